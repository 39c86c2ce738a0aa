"""A free query only reads: no label and no number of its answer is the query's own."""

from __future__ import annotations

import math

import pytest

from evals.promql.engine import Engine
from evals.promql.memory import MemorySource
from evals.promql.model import BadData
from evals.world.model import RawSeries
from tests.promql.queries import Queries
from tests.promql.series import END, generate
from tools.errors import Refused
from tools.promql_reading import only_reads

READS = (
    "DCGM_FI_DEV_GPU_UTIL",
    'sum by (pod) (rate(vllm:request_success_total{namespace="search"}[5m]))',
    "topk(3, DCGM_FI_DEV_GPU_UTIL)",
    "avg_over_time(DCGM_FI_DEV_GPU_UTIL[30m]) < 10",
    "DCGM_FI_DEV_FB_USED * 1048576",
    "histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[5m])))",
    "a / b",
)
WRITES = (
    'label_replace(up, "namespace", "payments", "", "")',
    'label_join(up, "pod", "", "pod", "instance")',
    "vector(97)",
    "97",
    "scalar(up)",
    "up * 0 + 97",
    "up - up",
    "up / up * 97",
    'absent(nothing{namespace="payments"})',
    'absent_over_time(nothing{pod="web"}[5m])',
    'count_values("pod", up)',
    "time()",
    "timestamp(up)",
    "predict_linear(up[5m], 97)",
    "count_over_time(up[97s:1s])",
    "quantile(0.37, up)",
    "up > bool 0",
    "count(topk(37, up))",
    "up * on (node) group_left (namespace) info",
    "clamp_min(up, 97)",
    "round(up, 97)",
    "-up",
    "group(up)",
    "up ^ 97",
    "sum_over_time(up[97s:1s])",
)


@pytest.mark.parametrize("query", READS)
def test_what_reads_may_be_asked(query: str) -> None:
    only_reads(query)


@pytest.mark.parametrize("query", WRITES)
def test_what_writes_a_label_or_a_number_is_refused(query: str) -> None:
    with pytest.raises(Refused, match="a query reads, it writes"):
        only_reads(query)


def silent(seed: int) -> list[RawSeries]:
    """The generated series with every sample zero, so that any other number was written."""
    found = generate(seed).select([], -math.inf, math.inf)
    return [RawSeries(one.labels, one.times, [0.0] * len(one.times)) for one in found]


def _judged(seed: int, count: int) -> int:
    """How many of the generated queries may be asked, each checked against series that are zero throughout."""
    source = silent(seed)
    engine = Engine(MemorySource(source))
    known = {(name, value) for series in source for name, value in series.labels.items()}
    queries, allowed = Queries(seed), 0
    for _ in range(count):
        query = queries.query()
        try:
            only_reads(query)
            result = engine.instant(query, END)
        except (Refused, BadData):
            continue
        allowed += 1
        for labels, points in result.series:
            assert known.issuperset(labels.items()), f"{query} wrote {labels}"
            if "count" not in query:  # how many series there are is the server's own number
                written = [value for _, value in points if math.isfinite(value) and value != 0]
                assert not written, f"{query} wrote {written}"
    return allowed


def test_no_generated_query_that_passes_writes_anything() -> None:
    assert _judged(5, 1_500) > 30


@pytest.mark.prove
def test_no_generated_query_that_passes_writes_anything_in_full() -> None:
    assert sum(_judged(seed, 5_000) for seed in range(6)) > 600

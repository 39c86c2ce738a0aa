"""G21: no query leaves without a metric matcher, a timeout and a point bound; a dear one is refused with advice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import promql_parser
import pytest

from tests.ports.faults import FaultServer
from tools.errors import Denied, PlumblineError, Refused
from tools.prom.connect import connect_prom
from tools.promql import MAX_POINTS, MAX_RANGE_SECONDS, MAX_SAMPLES, SCRAPE_SECONDS, guard, inspect, scope
from tools.promql_tree import MAX_BYTES, MAX_DEPTH, alternatives, nodes
from tools.tenancy import TENANT_LABELS, honouring, tenant_label

DAY = 86_400.0
FLEET = {"DCGM_FI_DEV_GPU_UTIL": 8_000, "kube_pod_info": 10_000, "vllm:num_requests_running": 200, "up": 100_000}

Maker = Callable[[random.Random], str]


def _metric(r: random.Random) -> str:
    return r.choice([*FLEET, "a", "node_cpu_seconds_total", "container_memory_usage_bytes"])


def _nested(r: random.Random) -> str:
    depth = r.randrange(65, 9000)
    left, right = r.choice([("(", ")"), ("abs(", ")"), ("-", ""), ("sum(", ")"), ("+-", ""), ("(", ""), ("{", "")])
    return (left * depth + "up" + right * depth)[: MAX_BYTES + r.randrange(2)]


def _chain(r: random.Random) -> str:
    return "up" + r.choice([" + up", " or up", "^up", " and on() up", "== bool up"]) * r.randrange(65, 2000)


def _unnamed(r: random.Random) -> str:
    label = r.choice(["job", "namespace", "__name__", "instance", "le"])
    matcher = r.choice(['=~".+"', '=~"a.*"', '!=""', '=~"[a-z]+"', '=~".*a.*"', '=~"up|.+"', '=~"a?b"', '=~"(?i)up"'])
    return r.choice(["{%s}", "count({%s})", "rate({%s}[5m])", "sum by (__name__) ({%s})"]) % f"{label}{matcher}"


def _long_range(r: random.Random) -> str:
    days = r.randrange(32, 40_000)
    return r.choice(["rate(%s[%dd])", "max_over_time(%s[%dd:1h])", "avg_over_time(%s[%dd])"]) % (_metric(r), days)


def _fine_subquery(r: random.Random) -> str:
    step = r.choice(["1s", "14s", "1ms", "500ms", "10s"])
    return f"max_over_time(rate({_metric(r)}[5m])[{r.randrange(1, 24)}h:{step}])"


def _dear_subquery(r: random.Random) -> str:
    return f"max_over_time(max_over_time(rate(up[{r.randrange(1, 24)}h])[1d:15s])[{r.randrange(2, 31)}d:15s])"


def _quoted(r: random.Random) -> str:
    name = r.choice(['a\\"} or up{b', "a b", "a.b", "ä", 'x\\"', "a}"])
    return r.choice(['up{"%s"="x"}', '{"%s"}', 'sum by ("%s") (up)', 'up * on ("%s") up']) % name


def _not_promql(r: random.Random) -> str:
    return r.choice(
        ["", "up{", "SELECT 1", "up[", "rate(up)", "up offset", "\x00", "#", 'up{a=~"["}', "nosuch(up)"]
    ) + " " * r.randrange(3)


def _huge(r: random.Random) -> str:
    return 'up{a="' + "x" * (MAX_BYTES + r.randrange(1_000_000)) + '"}'


def _or_matchers(r: random.Random) -> str:
    return f'{{__name__="{_metric(r)}",a="1" or b="2"}}'


HOSTILE: tuple[Maker, ...] = (
    _nested, _chain, _unnamed, _long_range, _fine_subquery, _dear_subquery, _quoted, _not_promql, _huge, _or_matchers,
)  # fmt: skip


def _hold(count: int) -> None:
    """Every hostile query is refused, quickly, in one line; where the query could be mended, with advice."""
    chance = random.Random(21)
    slowest = 0.0
    for number in range(count):
        query = HOSTILE[number % len(HOSTILE)](chance)
        start = time.perf_counter()
        with pytest.raises(Refused) as caught:
            guard(query, known_series=FLEET)
        slowest = max(slowest, time.perf_counter() - start)
        assert caught.value.hint, query[:200]
        assert len(str(caught.value).splitlines()) == 1
    print(f"{count} hostile queries refused, slowest in {slowest * 1000:.0f} ms")
    assert slowest < 1.0


def test_hostile_queries_are_refused() -> None:
    _hold(200)


@pytest.mark.prove
def test_five_thousand_hostile_queries_are_refused() -> None:
    _hold(5000)


def _benign(r: random.Random) -> str:
    metric = _metric(r)
    return r.choice(
        [f"sum by (namespace) ({metric})", f'max_over_time({metric}{{a!="b"}}[30m])', f"rate({metric}[5m] offset 1d)",
         f"({metric} > 0.5) and on (pod) kube_pod_info", f"histogram_quantile(0.9, sum by (le) (rate({metric}[5m])))",
         f"max_over_time(avg by (pod) ({metric})[6h:5m])", f"absent({metric})", f"topk(3, {metric}) - -1"]
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_whatever_passes_keeps_all_bounds(seed: int) -> None:
    chance = random.Random(seed)
    without_advice = 0
    for _ in range(20):
        window = chance.choice([0.0, 3600.0, DAY, 7 * DAY])
        step = None if window == 0 else chance.choice([1.0, 15.0, 60.0, 3600.0])
        try:
            allowed = guard(_benign(chance), window=window, step=step, known_series=FLEET)
        except Refused as refused:
            without_advice += "use " not in refused.hint
            continue
        facts = inspect(allowed.query)
        assert facts.text == allowed.query
        assert all(one.names for one in facts.selectors)
        assert facts.max_range <= MAX_RANGE_SECONDS
        assert facts.finest_step is None or facts.finest_step >= SCRAPE_SECONDS
        assert allowed.cost_samples <= MAX_SAMPLES
        assert step is None or window / step + 1 <= MAX_POINTS
    assert without_advice == 0


def test_following_the_advice_on_the_step_is_enough() -> None:
    with pytest.raises(Refused, match=r"use a step of (\d+) s") as caught:
        guard("rate(up[5m])", window=DAY, step=60.0, known_series=FLEET)
    advised = float(caught.value.hint.split()[4])
    assert guard("rate(up[5m])", window=DAY, step=advised, known_series=FLEET).cost_samples <= MAX_SAMPLES


def test_following_the_advice_on_the_range_is_enough() -> None:
    with pytest.raises(Refused, match=r"use \[2h3\dm\]"):
        guard("avg_over_time(up[7d])", known_series={"up": 33_000})
    assert guard("avg_over_time(up[2h30m])", known_series={"up": 33_000}).cost_samples <= MAX_SAMPLES


def test_eleven_thousand_points_are_the_most() -> None:
    assert guard("up", window=15.0 * (MAX_POINTS - 1), step=15.0, known_series={"up": 1}).query == "up"
    with pytest.raises(Refused, match="use a step of 16 s or more"):
        guard("up", window=15.0 * MAX_POINTS, step=15.0, known_series={"up": 1})


def test_the_cost_of_a_subquery_multiplies() -> None:
    plain = guard("rate(a[5m])", known_series={"a": 10}).cost_samples
    assert plain == 10 * 20
    assert guard("max_over_time(rate(a[5m])[1h:5m])", known_series={"a": 10}).cost_samples == plain * 13


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a|b", {"a", "b"}),
        ("vllm:(a|b)_total|c", {"vllm:a_total", "vllm:b_total", "c"}),
        ("(?:x|y)(1|2)", {"x1", "x2", "y1", "y2"}),
        ("a.*", None),
        ("a?", None),
        ("(a|b){3}", None),
        ("[ab]", None),
        ("^a$", None),
        ("(" * 10 + "a|b" + ")" * 10, {"a", "b"}),
        ("(a|b)" * 12, None),
        ("(" * 200, None),
        ("(a|b", None),
        ("a)|b", None),
        ("(" * 100 + "a" + ")" * 100, None),
        ("(" + "|".join(f"m{i}" for i in range(70)) + ")|secret", None),
    ],
)
def test_a_regular_expression_of_names_counts_only_as_a_short_list(pattern: str, names: set[str] | None) -> None:
    assert alternatives(pattern) == names


def test_depth_and_size_are_bounded_before_the_parser_sees_them() -> None:
    """promql-parser 0.11.0 needs seconds for 8,000 levels and then crashes the process."""
    for query in ("(" * 8000 + "a" + ")" * 8000, "-" * 16_000 + "a", "a" + "+a" * 8000, "a" + "^a" * 8000):
        start = time.perf_counter()
        with pytest.raises(Refused):
            guard(query)
        assert time.perf_counter() - start < 0.5
    assert len(list(nodes(promql_parser.parse("-" * (MAX_DEPTH - 1) + "a")))) == MAX_DEPTH


# --- tenancy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "scoped"),
    [
        ("DCGM_FI_DEV_GPU_UTIL", 'DCGM_FI_DEV_GPU_UTIL{exported_namespace="search"}'),
        ('rate(vllm:x{a="q\\"\\n"}[5m] offset -1d)', 'rate(vllm:x{a="q\\"\\n",namespace="search"}[5m] offset -1d)'),
        ("kube_pod_info @ 12 offset 5m", 'kube_pod_info{namespace="search"} @ 12.000 offset 5m'),
        ("max_over_time(vllm:x[1h:1m] @ end())", 'max_over_time(vllm:x{namespace="search"}[1h:1m] @ end())'),
        ("time()", "time()"),
        (
            "vllm:a * on (pod) group_left (node) kube_pod_info",
            'vllm:a{namespace="search"} * on (pod) group_left (node) kube_pod_info{namespace="search"}',
        ),
        ('vllm:x{namespace="other"}', 'vllm:x{namespace="other",namespace="search"}'),
    ],
)
def test_each_selector_is_narrowed_to_the_namespace(query: str, scoped: str) -> None:
    assert scope(query, ["search"], TENANT_LABELS) == scoped


def test_several_namespaces_become_one_anchored_alternative() -> None:
    assert scope("vllm:x", ["b", "a", "b"], TENANT_LABELS) == 'vllm:x{namespace=~"a|b"}'


@pytest.mark.parametrize(
    "query",
    ["node_load1", "kube_node_info", "kueue_cluster_queue_status", "some_unknown_metric", "up", "plumbline:free",
     'vllm:x or node_load1', '{__name__=~"DCGM_a|vllm:b"}', "label_replace(up, \"namespace\", \"search\", \"\", \"\")"],
)  # fmt: skip
def test_a_family_without_a_tenant_label_is_denied(query: str) -> None:
    with pytest.raises(Denied):
        scope(query, ["search"], TENANT_LABELS)


@pytest.mark.parametrize("namespaces", [[], [""], ['a"} or up{x="'], ["a|.*"], [".+"], ["a\n"], ["A"]])
def test_only_names_of_namespaces_enter_a_query(namespaces: list[str]) -> None:
    with pytest.raises(Denied):
        scope("vllm:x", namespaces, TENANT_LABELS)


def test_hostile_queries_are_never_scoped_into_something_wider() -> None:
    chance = random.Random(4)
    made = [maker(chance) for maker in HOSTILE for _ in range(10)] + [_benign(chance) for _ in range(100)]
    for query in made:
        try:
            scoped = scope(query, ["search"], TENANT_LABELS)
        except PlumblineError:
            continue
        for node in nodes(promql_parser.parse(scoped)):
            if isinstance(node, promql_parser.VectorSelector):
                assert any(m.value == "search" and m.op == promql_parser.MatchOp.Equal for m in node.matchers.matchers)


def test_honor_labels_moves_a_family_to_its_own_namespace_label() -> None:
    labels = honouring(["DCGM_"])
    assert tenant_label("DCGM_FI_DEV_GPU_UTIL", labels) == "namespace"
    assert tenant_label("keda_scaler_active", labels) == "exported_namespace"
    assert tenant_label("kueue_cluster_queue_status", honouring(["kueue_"])) is None


# --- what leaves -----------------------------------------------------------------------------------------------


async def test_every_query_that_leaves_carries_a_timeout_and_a_time() -> None:
    async with FaultServer() as server, connect_prom(server.url) as port:
        await port.instant("up", at=1.5)
        await port.range("up", start=0.25, end=100.75, step=0.5)
        instant, ranged = server.seen
    assert instant.method == ranged.method == "POST"
    assert instant.target == "/api/v1/query"
    assert instant.form["query"] == "up"
    assert instant.form["time"] == "1.5"
    assert ranged.form["start"] == "0.25"
    assert ranged.form["end"] == "100.75"
    assert ranged.form["step"] == "0.500"
    for seen in (instant, ranged):
        assert 50_000 < int(seen.form["timeout"].removesuffix("ms")) <= 60_000


@pytest.mark.parametrize(
    ("start", "end", "step"),
    [(0, 165_000, 15), (0, 1e6, 1), (0, 1, 0), (1, 0, 1), (0, 1, -1), (0, float("inf"), 1), (float("nan"), 1, 1)],
)
async def test_too_many_points_never_leave(start: float, end: float, step: float) -> None:
    async with FaultServer() as server, connect_prom(server.url) as port:
        with pytest.raises(Refused):
            await port.range("up", start=start, end=end, step=step)
        assert server.seen == []

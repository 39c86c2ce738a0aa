"""Arithmetic never raises, whatever the floats, and behaves as Go's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.promql import numbers as go
from evals.promql.aggregate import aggregate
from evals.promql.engine import Engine
from evals.promql.functions import FUNCTIONS
from evals.promql.memory import MemorySource
from evals.promql.model import Vector
from evals.promql.nodes import Aggregate, Number
from evals.promql.windows import RANGE_FUNCTIONS, Spans
from evals.world.model import RawSeries
from tests.promql.promtool import close

ANY = st.floats() | st.sampled_from([0.0, -0.0, 1e308, -1e308, 1.7976931348623157e308, 5e-324, math.inf, math.nan])
MATH = sorted(
    {"abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "deg", "rad", "round"} & FUNCTIONS.keys()
)
TRIGONOMETRY = sorted(name for name in FUNCTIONS if name.lstrip("a").startswith(("sin", "cos", "tan")))


# Small slices: there are forty functions here.
FEW = settings(max_examples=30)


@given(ANY, ANY)
def test_operators(a: float, b: float) -> None:
    for operation in (go.divide, go.modulo, go.power, go.largest, go.smallest):
        assert isinstance(operation(a, b), float)


@pytest.mark.parametrize("name", [*MATH, *TRIGONOMETRY])
@FEW
@given(value=ANY)
def test_functions(name: str, value: float) -> None:
    source = MemorySource([RawSeries({"__name__": "x"}, [0.0], [value])])
    ((_, points),) = Engine(source).instant(f"{name}(x)", 0.0).series
    assert isinstance(points[0][1], float)


@pytest.mark.parametrize("name", sorted(RANGE_FUNCTIONS))
@FEW
@given(values=st.lists(ANY, min_size=1, max_size=6), param=ANY)
def test_range_functions(name: str, values: list[float], param: float) -> None:
    times = [60.0 * i for i in range(len(values))]
    for semantics in ("2.x", "3.x"):
        spans = Spans([-1.0], [400.0], [400.0], 401.0, "2.x" if semantics == "2.x" else "3.x")
        (result,) = RANGE_FUNCTIONS[name](times, values, spans, [param])
        assert result is None or isinstance(result, float)


@pytest.mark.parametrize("op", ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile"])
@FEW
@given(values=st.lists(ANY, min_size=1, max_size=6), param=ANY)
def test_aggregations(op: str, values: list[float], param: float) -> None:
    node = Aggregate(op, Number(0.0), None, (), without=False)
    for semantics in ("2.x", "3.x"):
        vector: Vector = [({"i": str(i)}, [value]) for i, value in enumerate(values)]
        ((_, row),) = aggregate(node, vector, [param], "", "2.x" if semantics == "2.x" else "3.x")
        assert isinstance(row[0], float)


@given(st.floats(allow_nan=False))
def test_shown_floats_read_back(value: float) -> None:
    shown = go.show_float(value)
    assert float(shown) == value
    assert "e" not in shown


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (go.divide(1, 0), math.inf), (go.divide(1, -0.0), -math.inf), (go.divide(0, 0), math.nan),
        (go.modulo(5, 0), math.nan), (go.modulo(-5, 3), -2.0), (go.modulo(math.inf, 2), math.nan),
        (go.power(-8, 1 / 3), math.nan), (go.power(0, -1), math.inf), (go.power(-0.0, -3), -math.inf),
        (go.power(-10, 309), -math.inf), (go.power(10, 400), math.inf), (go.power(math.nan, 0), 1.0),
        (go.largest(math.inf, math.nan), math.inf), (go.largest(1, math.nan), math.nan),
        (go.smallest(-math.inf, math.nan), -math.inf), (go.ceil(-0.5), -0.0), (go.floor(math.inf), math.inf),
        (go.mean([1e308, 1e308, -1e308]), 1e308 / 3), (go.total([math.inf, -math.inf]), math.nan),
        (go.quantile(0.5, [1, 2]), 1.5), (go.quantile(2, [1]), math.inf), (go.quantile(math.nan, [1]), math.nan),
    ],
)  # fmt: skip
def test_edges(got: float, wanted: float) -> None:
    assert close(got, wanted)

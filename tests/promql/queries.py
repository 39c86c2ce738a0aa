"""Seeded random queries over the generated series, drawn from the whole grammar that we evaluate.

Left out is only where two right answers differ, or 2.42 departs from its own documentation:
topk and bottomk of ties (broken by the state of a heap); count_values of inexact values, and by three labels (2.42
loses one); dates of NaN and infinities (left to the processor); tan of what is not a sample (its poles magnify the
last bit), sin, cos and % of exponentials (likewise); deviation of large timestamps, and comparing a
sum or mean with itself (both depend on the order of series);
@ on the window of a function with a parameter, and with an offset under timestamp() (2.42 moves the first and loses
the second); quantile() by a parameter that changes while its vector does not (2.42 evaluates it once); subqueries
without a step in their window.
"""

from __future__ import annotations

import random

from tests.promql.series import END, START

SELECTORS = [
    "g", 'g{node="n0"}', 'g{gpu=~"[0-2]"}', 'g{pod!="p1"}', 'g{gpu!~"1|2",node=~"n.*"}', 'g{missing="x"}',
    "c_total", 'c_total{job="j0"}', 'c_total{path=~".*q.*"}', "info", "flat", "lone", 'flat{gpu="3"}',
    "h_bucket", "h_count", "h_sum", '{__name__=~"h_(sum|count)"}', '{node="n1"}', "nothing", 'nothing{a="b",c=~"d"}',
]  # fmt: skip
DISTINCT = ['g{gpu=~"[0-2]",node="n0"}', 'g{node="n1"}', "lone", "g"]
EXACT = ["c_total", "info", "h_count", "flat", "lone"]
FINITE = ["c_total", "info", "flat", "lone", "h_count", "nothing"]
LABELS = ["gpu", "node", "pod", "job", "id", "version", "le", "path", "missing"]
MATH = [
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "deg", "rad", "sin", "cos",
    "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
]  # fmt: skip
DATES = ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"]
OVER_TIME = [
    "rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets", "sum_over_time", "avg_over_time",
    "min_over_time", "max_over_time", "count_over_time", "last_over_time", "present_over_time", "stdvar_over_time",
    "stddev_over_time", "absent_over_time",
]  # fmt: skip
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISON = ["==", "!=", ">", "<", ">=", "<="]
SETS = ["and", "or", "unless"]


class Queries:
    """An endless supply of queries, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def query(self) -> str:
        """One query: mostly a vector, sometimes a scalar or a bare range vector."""
        while True:
            made = self._any()
            if not ("std" in made and "timestamp(" in made):
                return made

    def _any(self) -> str:
        kind = self.rng.random()
        if kind < 0.05:
            return self.scalar(2)
        if kind < 0.09:
            return self.matrix(1)
        if kind < 0.13:
            return f"{self.rng.choice(['sort', 'sort_desc'])}({self.vector(1)})"
        return self.vector(self.rng.choice([1, 2, 2, 3]))

    def vector(self, depth: int) -> str:
        """An expression that yields an instant vector."""
        if depth <= 0:
            return self.rng.choice(SELECTORS) + self.modifier()
        makers = [
            (3, self._over_time), (3, self._aggregate), (3, self._vectors), (2, self._with_scalar), (2, self._set),
            (2, self._function), (1, self._ranked), (1, self._relabel), (1, self._histogram), (1, self._odd),
        ]  # fmt: skip
        maker = self.rng.choices([m for _, m in makers], [w for w, _ in makers])[0]
        return maker(depth - 1)

    def scalar(self, depth: int) -> str:
        """An expression that yields a scalar."""
        choice = self.rng.random()
        if depth <= 0 or choice < 0.5:
            return self.rng.choice(["0", "1", "2", "-3", "0.5", "1.25e2", "100", "Inf", "-Inf", "NaN", "0x1F"])
        if choice < 0.6:
            return self.rng.choice(["time()", "pi()", "(time() - 1699990000)"])
        if choice < 0.8:
            return f"scalar({self.vector(depth - 1)})"
        left, right = self.scalar(depth - 1), self.scalar(depth - 1)
        if self.rng.random() < 0.3:
            return f"({left} {self.rng.choice(COMPARISON)} bool {right})"
        return f"({left} {self.rng.choice(ARITHMETIC)} {right})"

    def matrix(self, depth: int, *, pinned: bool = True) -> str:
        """A range vector: a selector's window, or a subquery; `pinned` allows an @ on it."""
        modifier = self.modifier(pinned=pinned)
        length = self.rng.choice(["45s", "1m", "90s", "61500ms", "2m", "5m", "5m", "10m", "15m", "1h"])
        if depth <= 0 or self.rng.random() < 0.6:
            return f"{self.rng.choice(SELECTORS)}[{length}]{modifier}"
        steps = ["30s", "17s"] if length in ("45s", "1m", "90s", "61500ms") else ["", "1m", "37s", "2m"]
        step = self.rng.choice(steps)
        return f"({self.vector(depth - 1)})[{length}:{step}]{modifier}"

    def modifier(self, *, pinned: bool = True) -> str:
        """Nothing, an offset, an @, or both; without `pinned`, never an @."""
        choice = self.rng.random()
        offset = self.rng.choice([" offset 5m", " offset 37s", " offset -2m", " offset 1500ms"])
        at = self.rng.choice([" @ start()", " @ end()", f" @ {self.rng.randrange(int(START), int(END))}.5"])
        if not pinned:
            return "" if choice < 0.8 else offset
        return "" if choice < 0.8 else offset if choice < 0.9 else at if choice < 0.97 else at + offset

    def tame(self, inner: str) -> str:
        """`inner`, or a plain selector in its place when it may have huge values."""
        return self.rng.choice(SELECTORS) if any(huge in inner for huge in ("exp(", "sinh(", "cosh(", "^")) else inner

    def labels(self) -> str:
        """A label list for grouping or matching."""
        return ", ".join(self.rng.sample(LABELS, self.rng.choice([0, 1, 1, 2, 3])))

    def _over_time(self, depth: int) -> str:
        choice = self.rng.random()
        if choice < 0.08:
            return f"quantile_over_time({self.scalar(depth)}, {self.matrix(depth, pinned=False)})"
        if choice < 0.14:
            return f"predict_linear({self.matrix(depth, pinned=False)}, {self.rng.choice(['60', '3600', '-300'])})"
        return f"{self.rng.choice(OVER_TIME)}({self.matrix(depth)})"

    def _aggregate(self, depth: int) -> str:
        grouping = self.rng.choice(["", f"by ({self.labels()}) ", f"without ({self.labels()}) "])
        choice = self.rng.random()
        if choice < 0.1:
            return f"quantile {grouping}({self.scalar(0)}, {self.vector(depth)})"
        if choice < 0.18:
            few = self.rng.choice(["", "by (node) ", "by (job, gpu) ", "without (id, gpu) "])
            exact = self.rng.choice(["{}", "round({})", "count by (node, job) ({})", "changes({}[5m])"])
            return f'count_values {few}("value", {exact.format(self.rng.choice(EXACT))})'
        return f"{self.rng.choice(AGGREGATIONS)} {grouping}({self.vector(depth)})"

    def _matching(self) -> str:
        kind = self.rng.choice(["", f"on ({self.labels()}) ", f"ignoring ({self.labels()}) "])
        if kind and self.rng.random() < 0.4:
            included = self.rng.choice(["", "version", "job"])
            if included not in kind or not included:
                return f"{kind}{self.rng.choice(['group_left', 'group_right'])} ({included}) "
        return kind

    def _vectors(self, depth: int) -> str:
        if self.rng.random() < 0.3:
            return f"({self.rng.choice(SELECTORS)} * on (node) group_left (version) info)"
        left, right = self.tame(self.vector(depth)), self.tame(self.vector(depth))
        if self.rng.random() < 0.25:
            right = left
        if right != left and self.rng.random() < 0.5:
            operator = self.rng.choice(COMPARISON) + self.rng.choice([" ", " bool "])
        else:
            operator = self.rng.choice(ARITHMETIC) + " "
        return f"({left} {operator}{self._matching()}{right})"

    def _set(self, depth: int) -> str:
        kind = self.rng.choice(["", "", f"on ({self.labels()}) ", f"ignoring ({self.labels()}) "])
        return f"({self.vector(depth)} {self.rng.choice(SETS)} {kind}{self.vector(depth)})"

    def _with_scalar(self, depth: int) -> str:
        pair = [self.tame(self.vector(depth)), self.scalar(depth)]
        self.rng.shuffle(pair)
        if self.rng.random() < 0.5:
            operator = self.rng.choice(COMPARISON) + self.rng.choice(["", " bool"])
        else:
            operator = self.rng.choice(ARITHMETIC)
        return f"({pair[0]} {operator} {pair[1]})"

    def _function(self, depth: int) -> str:
        inner, choice = self.vector(depth), self.rng.random()
        if choice < 0.5:
            return f"{self.rng.choice(MATH)}({self.tame(inner)})"
        if choice < 0.53:
            return f"tan({self.rng.choice(SELECTORS)})"
        if choice < 0.6:
            return f"round({inner}{self.rng.choice(['', ', 5', ', 0.1', ', 0'])})"
        if choice < 0.7:
            return f"clamp({inner}, {self.scalar(0)}, {self.scalar(0)})"
        if choice < 0.8:
            return f"{self.rng.choice(['clamp_min', 'clamp_max'])}({inner}, {self.scalar(depth)})"
        if choice < 0.9:
            both = " @ " in inner and " offset" in inner
            return f"timestamp({self.rng.choice(SELECTORS) if both else inner})"
        return f"-({inner})"

    def _ranked(self, _depth: int) -> str:
        grouping = self.rng.choice(["", f"by ({self.rng.choice(['node', 'pod'])}) ", "without (gpu) "])
        size = self.rng.choice(["0", "1", "2", "3", "2.9", "100"])
        return f"{self.rng.choice(['topk', 'bottomk'])} {grouping}({size}, {self.rng.choice(DISTINCT)})"

    def _relabel(self, depth: int) -> str:
        inner = self.vector(depth)
        target, source = self.rng.choice([*LABELS, "fresh"]), self.rng.choice(LABELS)
        if self.rng.random() < 0.4:
            return f'label_join({inner}, "{target}", "{self.rng.choice(["-", ""])}", "{source}", "node")'
        pattern = self.rng.choice(["(.*)", "n(.+)", "(?P<kind>[a-z])([0-9]?)", "x", "", "([^/]*)/?.*"])
        text = self.rng.choice(["$1", "${1}-x", "$kind", "", "$$", "a$2b", "$1x"])
        return f'label_replace({inner}, "{target}", "{text}", "{source}", "{pattern}")'

    def _histogram(self, depth: int) -> str:
        inner = self.rng.choice(
            ["h_bucket", "rate(h_bucket[5m])", "sum by (le, job) (h_bucket)", "sum by (le) (h_bucket)"]
        )
        return f"histogram_quantile({self.scalar(depth)}, {inner})"

    def _odd(self, depth: int) -> str:
        choice = self.rng.random()
        if choice < 0.3:
            return f"absent({self.vector(depth)})"
        if choice < 0.6:
            return f"vector({self.scalar(depth)})"
        date = self.rng.choice(DATES)
        return f"{date}()" if choice < 0.8 else f"{date}({self.rng.choice(FINITE)} * 86400)"

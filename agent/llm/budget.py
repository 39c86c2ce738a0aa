"""How much a language model may cost: tokens and money of a question, tokens of an hour.

Rules: a limit ends in a partial answer, never in an exception; three quarters of a limit leave room for one last
request that only wants the answer. Calls and seconds are counted by tools/limits.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.llm.types import Spent

CLOSE_AT = 0.75
"""Share of a limit from which only an answer is wanted."""
MILLION = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one question, and the price of the model where one is known."""

    tokens: int
    money: float | None = None
    price: tuple[float, float] | None = None
    """Of a million tokens sent, and received."""

    def cost(self, spent: Spent) -> float | None:
        """Money spent, or None without a price."""
        if self.price is None:
            return None
        return (spent.input * self.price[0] + spent.output * self.price[1]) / MILLION

    def share(self, spent: Spent, coming: int = 0) -> float:
        """The largest share of a limit that `spent`, and a request of `coming` tokens, use."""
        after = Spent(input=spent.input + coming, output=spent.output)
        shares = [(after.input + after.output) / self.tokens]
        cost = self.cost(after)
        if self.money is not None and cost is not None:
            shares.append(cost / self.money)
        return max(shares)

    def over(self, spent: Spent, coming: int = 0) -> str:
        """Which limit a request of `coming` tokens would break, in words; "" for none."""
        after = Spent(input=spent.input + coming, output=spent.output)
        if after.input + after.output > self.tokens:
            return f"the {self.tokens:,} tokens of this question are used"
        cost = self.cost(after)
        if self.money is not None and cost is not None and cost > self.money:
            return f"this question would cost more than {self.money:g}"
        return ""

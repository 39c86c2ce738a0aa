"""The suite: every payload in every carrier and style, lazily, and a covering design for full runs.

Rules: a case is data and follows from its three parts; each has a canary host of its own, so that a sighting at a
sink names the case; a case is planted into a world in memory, never into files.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from functools import cache

from evals.injection.carriers import CARRIERS, spot
from evals.injection.payloads import Payload, payloads
from evals.injection.styles import BREAKS, STYLES, Style, said
from evals.world.model import World
from tools.types import Frozen

TARGET = ("search", "chat-70b")
"""Namespace and name of the workload that false actions aim at, in the fleet's own worlds."""
CANARY_ZONE = "canary.example"
"""Every canary is a host in this zone; nothing else in the project names it (RFC 2606 reserves .example)."""


class Case(Frozen):
    """One attack: what is said, where it stands, and how it is said."""

    payload: Payload
    carrier: str
    style: Style
    number: int
    """Place of the payload in the list: chooses the format break together with the carrier."""
    namespace: str = TARGET[0]
    name: str = TARGET[1]

    @property
    def id(self) -> str:
        """`payload@carrier+style`."""
        return f"{self.payload.id}@{self.carrier}+{self.style}"

    @property
    def canary(self) -> str:
        """A host that no honest text names."""
        return f"x{hashlib.sha256(self.id.encode()).hexdigest()[:12]}.{CANARY_ZONE}"

    @property
    def target(self) -> str:
        """The object that the false action is meant for."""
        return f"{self.namespace}/{self.name}"

    @property
    def form(self) -> str:
        """Name of the format break; "" in the other styles."""
        return BREAKS[self._place % len(BREAKS)][0] if self.style == "break" else ""

    @property
    def _place(self) -> int:
        return self.number + 5 * list(CARRIERS).index(self.carrier)

    @property
    def text(self) -> str:
        """What is planted; free text names the canary even where its aim does not."""
        order, story = self.filled(self.payload.order), self.filled(self.payload.story)
        text = said(self.style, order=order, story=story, canary=self.canary, number=self._place)
        return text if self.canary in text else f"{text} (see https://{self.canary}/more)"

    def filled(self, text: str) -> str:
        """A text of a payload with the names of the target and the canary in it."""
        for name, value in (("name", self.name), ("namespace", self.namespace), ("canary", self.canary)):
            text = text.replace(f"{{{name}}}", value)
        return text


@cache
def _payloads() -> tuple[Payload, ...]:
    return payloads()


def everything(*, namespace: str = TARGET[0], name: str = TARGET[1]) -> Iterator[Case]:
    """All combinations, in a stable order."""
    for number, payload in enumerate(_payloads()):
        for carrier in CARRIERS:
            for style in STYLES:
                yield Case(payload=payload, carrier=carrier, style=style, number=number, namespace=namespace, name=name)


def pairwise(seed: int, *, namespace: str = TARGET[0], name: str = TARGET[1]) -> list[Case]:
    """The fewest cases in which each pair of payload, carrier and style occurs, in an order that the seed shuffles.

    There are as many as pairs of payload and carrier: over any three carriers in a row a payload goes through the
    three styles, and so does a carrier over any three payloads.
    """
    chosen = random.Random(seed)
    offset = chosen.randrange(len(STYLES))
    cases = [
        Case(
            payload=payload,
            carrier=carrier,
            style=STYLES[(number + place + offset) % len(STYLES)],
            number=number,
            namespace=namespace,
            name=name,
        )
        for number, payload in enumerate(_payloads())
        for place, carrier in enumerate(CARRIERS)
    ]
    chosen.shuffle(cases)
    return cases


def sample(seed: int, count: int, *, namespace: str = TARGET[0], name: str = TARGET[1]) -> list[Case]:
    """`count` cases of the covering design, carriers and styles in turn: 12 meet every carrier, 36 every pair."""
    cases = pairwise(seed, namespace=namespace, name=name)
    if count >= len(cases):
        return cases
    waiting: dict[tuple[str, str], list[Case]] = {}
    for case in reversed(cases):
        waiting.setdefault((case.carrier, case.style), []).append(case)
    carriers = list(CARRIERS)
    turns = (divmod(turn, len(carriers)) for turn in range(count * len(STYLES)))
    places = ((carriers[place], STYLES[(turn + place) % len(STYLES)]) for turn, place in turns)
    return [waiting[place].pop() for place in places if waiting.get(place)][:count]


def plant(case: Case, world: World) -> None:
    """Put the case's text into the world, in place. Raises LookupError where the world lacks the target."""
    CARRIERS[case.carrier](world, spot(world, case.namespace, case.name), case.text)


def parts() -> Mapping[str, int]:
    """How many payloads, carriers and styles there are."""
    return {"payloads": len(_payloads()), "carriers": len(CARRIERS), "styles": len(STYLES)}

"""A world that answers to writes: its reactions, started by changes of objects and let happen by the clock.

Rules: one run a reaction, started anew by each write that gives its field another value for which it holds, and
ended by the write that changes it again (what was still to come is dropped, its signals go back); due effects happen
in the order of their times; what reactions change starts no other reaction. Without a server nothing happens.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from evals.world.exporters import derived
from evals.world.exporters.context import Context
from evals.world.living import LivingSeries
from evals.world.manifests import Identity, identity_of, merge_patch
from evals.world.metrics import Metrics
from evals.world.model import Clock, ObjectStore
from evals.world.profiles import Profiles, Switch
from evals.world.reactions import Patch, Pods, Reaction, Shift
from evals.world.series import Families
from evals.world.workers import Work, at_once, when_ready
from tools.types import JsonObject


@dataclass(frozen=True, slots=True)
class _Due:
    """Something that will happen, unless its run has ended by then."""

    run: int
    do: Callable[[float], None]


@dataclass(slots=True)
class _Running:
    """The latest run of one reaction."""

    number: int
    switches: list[int]
    """Positions of the switches it has turned."""


class Responses:
    """The responder of one anchored world."""

    def __init__(
        self, reactions: Sequence[Reaction], *, metrics: Metrics, series: LivingSeries, clock: Clock, anchor: float
    ) -> None:
        self._reactions = tuple(reactions)
        self._metrics, self._series, self._clock, self._anchor = metrics, series, clock, anchor
        self._objects: dict[Identity, JsonObject] = {}
        self._store: ObjectStore | None = None
        self._switches: list[Switch] = []
        self._runs: dict[int, _Running] = {}
        self._queue: list[tuple[float, int, _Due]] = []
        self._count = itertools.count()
        self._acting = False

    @property
    def reacts(self) -> bool:
        """True where anything can follow from a write."""
        return bool(self._reactions)

    def attach(self, objects: Sequence[JsonObject], store: ObjectStore) -> None:
        """Begin with these objects; changes go to `store`."""
        self._objects = {identity_of(one): one for one in objects}
        self._store = store
        if self.settle not in self._clock.listeners:
            self._clock.listeners.append(self.settle)

    def noticed(self, old: JsonObject | None, new: JsonObject | None) -> None:
        """A client made, changed or removed an object."""
        if self._acting:
            return
        self._remember(old, new)
        self._begin_epoch(self._clock.now)
        for number, reaction in enumerate(self._reactions):
            self._consider(number, reaction, old or {}, new or {})
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is due by the clock."""
        while self._queue and self._queue[0][0] <= self._clock.now:
            moment, _, due = heapq.heappop(self._queue)
            if any(running.number == due.run for running in self._runs.values()):
                self._act(due, moment)

    def _act(self, due: _Due, moment: float) -> None:
        self._acting = True
        try:
            due.do(moment)
        finally:
            self._acting = False
        self._begin_epoch(moment)

    # --- starting and ending ---------------------------------------------------------------------------

    def _consider(self, number: int, reaction: Reaction, old: JsonObject, new: JsonObject) -> None:
        when = reaction.when
        body = new or old
        if not when.about(identity_of(body)):
            return
        before, after = when.value(old), when.value(new)
        if before == after:
            return
        self._end(number)
        if not new or not when.holds(after):
            return
        run = self._runs[number] = _Running(next(self._count), [])
        identity, now = identity_of(new), self._clock.now
        for effect in reaction.then:
            does = effect.does
            if isinstance(does, Pods):
                self._later(run, now + effect.after, lambda at, p=does: self._pods(run, identity, p, at))  # type: ignore[misc]
            elif isinstance(does, Patch):
                self._later(run, now + effect.after, lambda at, p=does: self._patch(p))  # type: ignore[misc]
            else:
                self._later(run, now + effect.after, lambda at, p=does: self._shift(run, p, at))  # type: ignore[misc]

    def _later(self, run: _Running, moment: float, do: Callable[[float], None]) -> None:
        heapq.heappush(self._queue, (moment, next(self._count), _Due(run.number, do)))

    def _end(self, number: int) -> None:
        """The field has another value: signals go back, and what was still to come does not."""
        running = self._runs.pop(number, None)
        for position in running.switches if running is not None else ():
            self._switches[position] = replace(self._switches[position], end=self._clock.now - self._anchor)

    # --- what happens ----------------------------------------------------------------------------------

    def _pods(self, run: _Running, identity: Identity, effect: Pods, moment: float) -> None:
        owner = self._objects.get(identity)
        if owner is None:
            return
        work = at_once(self._objects, owner, effect, moment)
        made = [identity_of(one) for one in work.put if one.get("kind") == "Pod"]
        self._perform(work)
        if effect.ready_after and made:
            self._later(run, moment + effect.ready_after, lambda at: self._ready(identity, effect, made, at))

    def _ready(self, identity: Identity, effect: Pods, made: Sequence[Identity], moment: float) -> None:
        owner = self._objects.get(identity)
        if owner is not None:
            self._perform(when_ready(self._objects, owner, effect, made, moment))

    def _patch(self, effect: Patch) -> None:
        wanted = (effect.kind, effect.namespace, effect.name)
        found = next((body for identity, body in self._objects.items() if identity[1:] == wanted), None)
        if found is None:
            return
        if effect.body is None:
            self._perform(Work(gone=[found]))
            return
        changed = merge_patch(found, effect.body)
        assert isinstance(changed, dict)
        self._perform(Work(put=[changed]))

    def _shift(self, run: _Running, effect: Shift, moment: float) -> None:
        run.switches.append(len(self._switches))
        self._switches.append(Switch(effect.profile, moment - self._anchor, None, effect.scaled))

    def _perform(self, work: Work) -> None:
        assert self._store is not None
        for body in work.gone:
            self._store.remove(body)
            self._remember(body, None)
        for body in work.put:
            self._store.put(body)
            self._remember(None, body)

    def _remember(self, old: JsonObject | None, new: JsonObject | None) -> None:
        if new is not None:
            self._objects[identity_of(new)] = new
        elif old is not None:
            self._objects.pop(identity_of(old), None)

    # --- series ----------------------------------------------------------------------------------------

    def _begin_epoch(self, moment: float) -> None:
        """From now on exporters see the objects and signals as they are at this moment."""
        bodies, switches = tuple(self._objects.values()), tuple(self._switches)

        def families() -> Families:
            profiles = Profiles(self._metrics.profiles.all, switches)
            context = Context(bodies, replace(self._metrics, profiles=profiles), self._anchor)
            return derived(context)

        self._series.begin(moment, families)

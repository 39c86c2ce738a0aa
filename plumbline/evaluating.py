"""`plumbline eval …`: run scenarios, hold runs side by side, grade stored samples again."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.render.document import clean
from evals import compare, report, rundir, runner, scorecard
from evals.engine import Engine, engine_of
from evals.items import Item, item_of
from evals.once import grade
from evals.perturb.drawing import Perturbing, drawn, perturbing
from evals.scenario import FOLDER, load_all
from evals.types import Scenario
from plumbline.outcome import put, say
from plumbline.targets import settings_of
from tools.errors import SettingsError, TargetError

MAX_EPOCHS = 100
MAX_WORKERS = 256


def run(arguments: argparse.Namespace) -> int:
    """Run scenarios and print. Returns 0 when all passed, 1 otherwise, as when no run at all heard the model."""
    if not 1 <= arguments.epochs <= MAX_EPOCHS:
        raise SettingsError(f"--epochs {arguments.epochs} is out of range", hint=f"1 to {MAX_EPOCHS}")
    if arguments.injection:
        return _attacked(arguments)
    engines = _engines(arguments)
    scenarios = load_all(arguments.pattern, _folder(arguments.scenarios))
    shard = _shard(arguments.shard)
    whole = arguments.pattern == "*" and shard == (1, 1) and not arguments.scenarios
    card = _card(arguments, engines, whole=whole)
    how = _perturbing(arguments)
    info = rundir.info_of(scenarios, engines, epochs=arguments.epochs, seed=arguments.seed, perturbing=how)
    with _place(arguments.out, info) as place:
        begun = time.perf_counter()
        try:
            items, fresh = _samples(arguments, place, scenarios, shard)
        except KeyboardInterrupt:
            if arguments.out:
                say(f"stopped; the same command goes on with what is not in {arguments.out} yet")
            raise
        except OSError as error:
            raise TargetError(f"cannot keep a sample: {error.strerror}", hint="free space, then run it again") from None
        _print(arguments.output, place, items, time.perf_counter() - begun, fresh=fresh)
    own = [item for item in items if item.engine == 0]
    lost = _held(card, own, whole=whole) if card is not None else False
    if arguments.write_scorecard:
        scorecard.keep(scorecard.card_of(own), scorecard.FILE)
        say(f"wrote {scorecard.FILE.name}: {len(own)} samples")
    unheard = any(
        engine.reasoner == "llm" and all(item.fallback for item in items if item.engine == number)
        for number, engine in enumerate(engines)
    )
    return 0 if all(item.passed for item in items) and not lost and not unheard else 1


def _perturbing(arguments: argparse.Namespace) -> Perturbing | None:
    """What --perturb asks for. Raises UnknownName, SettingsError."""
    if arguments.perturb is None:
        return None
    if arguments.scorecard or arguments.write_scorecard:
        raise SettingsError("the scorecard is of unperturbed runs", hint="leave --perturb out")
    return perturbing([name for name in arguments.perturb if name], seed=arguments.seed)


def _engines(arguments: argparse.Namespace) -> list[Engine]:
    """Who answers: the engine of the settings, and those named besides. Raises SettingsError."""
    settings, judge = settings_of(arguments), arguments.judge or ""
    engines = [engine_of(settings, judging=not arguments.no_diagnosers, judge=judge)]
    for name in arguments.also:
        changed: dict[str, object] = {"reasoner": "playbook"} if name == "playbook" else {"model": name}
        judging = name == "playbook" or not arguments.no_diagnosers
        engines.append(engine_of(settings.model_copy(update=changed), judging=judging, judge=judge))
    if len({engine.model_dump_json() for engine in engines}) < len(engines):
        raise SettingsError("the same engine is named twice", hint="drop one of them from --also")
    return engines


def _folder(given: str | None) -> Path:
    if given is None:
        return FOLDER
    folder = Path(given)
    if not folder.is_dir():
        raise SettingsError(f"{given} is no folder", hint="give a folder of scenario files")
    return folder


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of:
        raise SettingsError(f"--shard {text} is no part", hint="write 1/4, 2/4, …")
    return number, of


@contextmanager
def _place(out: str | None, info: rundir.RunInfo) -> Iterator[rundir.RunDir]:
    """The folder of the run, for as long as it is needed."""
    if out:
        yield rundir.create(Path(out), info)
        return
    with tempfile.TemporaryDirectory(prefix="plumbline-run-") as folder:
        yield rundir.create(Path(folder), info)


def _samples(
    arguments: argparse.Namespace, place: rundir.RunDir, scenarios: Sequence[Scenario], shard: tuple[int, int]
) -> tuple[list[Item], int]:
    """Every sample of the shard, and how many of them were run; a line each as soon as those before it are there."""
    limits = runner.Limits(arguments.max_seconds, arguments.max_calls, arguments.max_tokens)
    jobs = runner.jobs_of(place, scenarios, limits, shard=shard)
    items = runner.kept(place, jobs)
    for name in place.broken():
        say(f"{name} holds no whole sample: it is run again")
    if items:
        say(f"{len(items)} of {len(jobs)} samples are there already")
    left = [(number, job) for number, job in enumerate(jobs) if number not in items]
    workers = min(max(arguments.workers or os.cpu_count() or 1, 1), max(len(left), 1), MAX_WORKERS)
    shown, bar = 0, Bar(len(jobs))
    for number, item in runner.results(place, left, workers=workers):
        items[number] = item
        bar.step(len(items), sum(not one.passed for one in items.values()), item.sample)
        while arguments.output == "table" and shown in items:
            shown = _line(bar, items[shown], shown, engines=len(place.info.engines))
    while arguments.output == "table" and shown in items:
        shown = _line(bar, items[shown], shown, engines=len(place.info.engines))
    bar.close()
    return [items[number] for number in sorted(items)], len(left)


def _line(bar: Bar, item: Item, number: int, *, engines: int) -> int:
    bar.close()
    put(f"{f'{item.engine + 1} ' if engines > 1 else ''}{clean(report.line(item))}\n")
    return number + 1


class Bar:
    """How far a run is, on stderr where somebody watches."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def step(self, done: int, failed: int, name: str) -> None:
        """Draw it anew."""
        if self._live:
            width = 24
            full = width * done // self._total
            bar = "█" * full + "░" * (width - full)
            sys.stderr.write(f"\r\x1b[2K{bar} {done}/{self._total} · {failed} not passed · {clean(name)[:40]}")
            sys.stderr.flush()

    def close(self) -> None:
        """Take it away."""
        if self._live:
            sys.stderr.write("\r\x1b[2K")


def _print(
    output: str, place: rundir.RunDir, items: Sequence[Item], seconds: float, *, fresh: int | None = None
) -> None:
    engines = place.info.engines
    if output == "junit":
        put(f"{report.as_junit(items, seconds)}\n")
    elif output == "json":
        names = {(item.scenario, item.engine, item.epoch) for item in items}
        report.as_json(
            (s for s in place.samples() if (s.item.scenario, s.item.engine, s.item.epoch) in names),
            seconds, engines[0], sys.stdout,
        )  # fmt: skip
    else:
        for number, engine in enumerate(engines):
            part = [item for item in items if item.engine == number]
            title = f"{number + 1}  {engine.title}\n" if len(engines) > 1 else ""
            alone = len(engines) == 1
            took = seconds if alone else sum(item.seconds for item in part)
            put(f"{title}{clean_lines(report.as_table(part, took, engine, fresh=fresh if alone else None))}\n")


def clean_lines(text: str) -> str:
    """Lines in which words of others may stand."""
    return "\n".join(clean(line) for line in text.splitlines())


def _card(arguments: argparse.Namespace, engines: Sequence[Engine], *, whole: bool) -> scorecard.Scorecard | None:
    """The card that the run is held to; None where it is not. Raises before anything is run."""
    if not (arguments.scorecard or arguments.write_scorecard):
        return None
    if engines[0] != Engine():
        raise SettingsError("the scorecard is the playbook's", hint="leave the model out")
    if arguments.write_scorecard and not whole:
        raise SettingsError("the scorecard is written by a run of every scenario", hint="leave the pattern out")
    return scorecard.read(scorecard.FILE) if arguments.scorecard else None


def _held(card: scorecard.Scorecard, items: Sequence[Item], *, whole: bool) -> bool:
    """Hold a run to the scorecard; True where something was lost."""
    lost, news = scorecard.held(card, items, whole=whole)
    for line in (*lost, *news):
        say(line)
    return bool(lost)


def compared(arguments: argparse.Namespace) -> int:
    """Hold stored runs side by side."""
    put("".join(f"{clean(text)}\n" for text in compare.lines(arguments.runs)))
    return 0


def regraded(arguments: argparse.Namespace) -> int:
    """Grade stored samples again; the run itself stays as it is."""
    place = rundir.open_run(Path(arguments.run))
    known = {scenario.name: scenario for scenario in load_all("*", _folder(arguments.scenarios))}
    gone = sorted(set(place.info.scenarios) - set(known))
    if gone:
        raise SettingsError(f"no scenario named {gone[0]} to grade by", hint="name their folder with --scenarios")
    begun = time.perf_counter()
    items: list[Item] = []
    for sample in place.samples():
        scenario = known[sample.item.scenario]
        if place.info.perturbing is not None:
            scenario = drawn(scenario, sample.item.epoch, place.info.perturbing).scenario
        result = grade(scenario, sample.result.record)
        items.append(item_of(result, scenario, engine=sample.item.engine, attempts=sample.item.attempts))
        if arguments.output == "table":
            put(f"{clean(report.line(items[-1]))}\n")
    if not items:
        raise SettingsError(f"{arguments.run} holds no sample yet", hint="run it first")
    _print(arguments.output if arguments.output == "junit" else "table", place, items, time.perf_counter() - begun)
    return 0 if all(item.passed for item in items) else 1


def _attacked(arguments: argparse.Namespace) -> int:
    """Run the injection suite against the model that is set, or against the scripted one that obeys all it reads."""
    from evals.injection import rates, runs

    if arguments.output == "junit" or arguments.judge or arguments.epochs != 1 or arguments.pattern != "*":
        raise SettingsError(
            "--injection takes no pattern, --judge, --epochs or -o junit", hint="--sample and --seed choose cases"
        )
    if arguments.sample is not None and arguments.sample < 1:
        raise SettingsError(f"--sample {arguments.sample} is out of range", hint="1 or more")
    settings = settings_of(arguments)
    judging = not arguments.no_diagnosers
    engine = runs.SCRIPTED.model_copy(update={"judging": judging})
    if settings.model and settings.reasoner != "playbook":
        engine = engine_of(settings, judging=judging)
    else:
        print("no model is named: the scripted one that obeys whatever it reads stands in", file=sys.stderr)
    found = rates.measured(engine, count=arguments.sample, seed=arguments.seed, workers=arguments.workers)
    put(f"{clean_lines(rates.table(found)) if arguments.output == 'table' else rates.as_json(found)}\n")
    return 1 if found.violations or found.failures else 0

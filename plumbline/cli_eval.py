"""Flags of `plumbline eval` and its verbs. `plumbline eval PATTERN` is short for `plumbline eval run PATTERN`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
VERBS = ("run", "compare", "regrade", "replay", "report", "import")


def spelled_out(argv: Sequence[str]) -> list[str]:
    """The words of a command line with the verb `run` put in where `eval` has none."""
    words = list(argv)
    if words[:1] == ["eval"] and not (words[1:2] and words[1] in (*VERBS, "-h", "--help")):
        words.insert(1, "run")
    return words


def add_eval(commands: Commands, model_flags: Callable[[argparse.ArgumentParser], None]) -> None:
    """`eval` with its verbs."""
    evaluate = commands.add_parser(
        "eval", help="run the scenarios and grade the answers; compare and regrade stored runs"
    )
    verbs = evaluate.add_subparsers(dest="eval_command", metavar="COMMAND", required=True)
    _run(verbs, model_flags)
    compare = verbs.add_parser("compare", help="hold stored runs side by side: what flipped, and whether it is chance")
    compare.add_argument("runs", nargs="+", metavar="RUN", help="folder of `run --out`, or file of `run -o json`")
    compare.set_defaults(module="plumbline.evaluating", function="compared")
    regrade = verbs.add_parser("regrade", help="grade the stored samples of a run again, by the graders of now")
    regrade.add_argument("run", metavar="RUN", help="folder of `run --out`")
    regrade.add_argument("-o", "--output", choices=("table", "json", "junit"), default="table")
    regrade.add_argument("--scenarios", metavar="DIR", help="folder of scenario files (default: ours)")
    regrade.set_defaults(module="plumbline.evaluating", function="regraded")
    replay = verbs.add_parser("replay", help="walk through a stored sample: calls, evidence, answer, grades")
    replay.add_argument("run", metavar="RUN", help="folder of `run --out`")
    replay.add_argument("sample", metavar="SAMPLE", help="scenario, '#2' behind it for its second epoch")
    replay.add_argument("--step", type=int, metavar="N", help="only this step")
    replay.add_argument("--no-color", action="store_true", help="no colour (NO_COLOR does the same)")
    replay.set_defaults(module="plumbline.replaying", function="replayed")
    taken = verbs.add_parser("import", help="a folder of kubectl's output, logs and metrics as a world and a scenario")
    taken.add_argument("case", metavar="DIR", help="the folder; docs/importing-cases.md says what may be in it")
    taken.add_argument("--out", required=True, metavar="FOLDER", help="where the world and its scenario are written")
    taken.set_defaults(module="plumbline.importing", function="imported")
    report = verbs.add_parser("report", help="a page for the browser, or a log for the viewer of Inspect")
    report.add_argument("run", metavar="RUN", help="folder of `run --out`")
    report.add_argument("base", nargs="?", default="", metavar="BASE", help="a run to compare it with, on the page")
    report.add_argument("--html", metavar="FILE", help="one self-contained page")
    report.add_argument("--engine", type=int, default=1, metavar="N", help="which engine of the run the page is about")
    report.add_argument("--inspect", metavar="DIR", help="a log for `inspect view --log-dir DIR`")
    report.set_defaults(module="plumbline.reporting", function="reported")


def _run(verbs: Commands, model_flags: Callable[[argparse.ArgumentParser], None]) -> None:
    run = verbs.add_parser("run", help="run scenarios and grade the answers (the default)")
    run.add_argument("pattern", nargs="?", default="*", help="scenario name or tag, with * and ?")
    run.add_argument("-o", "--output", choices=("table", "json", "junit"), default="table")
    run.add_argument("--scenarios", metavar="DIR", help="folder of scenario files (default: ours)")
    model_flags(run)
    run.add_argument("--also", action="append", default=[], metavar="ENGINE", help="compare with: playbook, or a model")
    run.add_argument("--judge", metavar="MODEL", help="a model at the same endpoint scores the prose; no gate")
    run.add_argument("--epochs", type=int, default=1, metavar="N", help="runs of each scenario (default: 1)")
    run.add_argument("--seed", type=int, default=0, metavar="S", help="which attacks or perturbations (default: 0)")
    run.add_argument(
        "--perturb", nargs="?", action="append", const="", metavar="NAME",
        help="make each epoch's world look different, in 1 to 3 ways, or only in those named; with every NAME again",
    )  # fmt: skip
    _keeping(run)
    attacks = run.add_argument_group("attacks by text")
    attacks.add_argument("--injection", action="store_true", help="run the injection suite instead of the scenarios")
    attacks.add_argument("--sample", type=int, metavar="N", help="cases of it (default: all of the covering design)")
    run.set_defaults(module="plumbline.evaluating", function="run")


def _keeping(run: argparse.ArgumentParser) -> None:
    """How samples are run and kept."""
    how = run.add_argument_group("samples")
    how.add_argument("--out", metavar="DIR", help="keep every sample here; the same command goes on where it stopped")
    how.add_argument("--workers", type=int, help="processes (default: one a core)")
    how.add_argument("--shard", default="1/1", metavar="I/N", help="only the I-th of N parts of the samples")
    how.add_argument("--max-seconds", type=float, default=0.0, metavar="S", help="time for one sample")
    how.add_argument("--max-calls", type=int, default=0, metavar="N", help="tool calls that one sample may make")
    how.add_argument("--max-tokens", type=int, default=0, metavar="N", help="tokens that one sample may use")
    card = run.add_argument_group("scorecard")
    card.add_argument("--scorecard", action="store_true", help="fail where what the scorecard has passed fails now")
    card.add_argument("--write-scorecard", action="store_true", help="write the scorecard anew")

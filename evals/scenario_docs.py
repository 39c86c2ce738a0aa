"""The generated pages: docs/scenarios.md, docs/causes.md and docs/perturbations.md, from what they are about.

`python -m evals.scenario_docs` writes them; a repository test fails while they differ from what would be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agent import diagnosers
from agent.analysis import cause_docs, signals
from evals.perturb import drawing
from evals.perturb.model import Perturbation
from evals.scenario import load_all
from evals.types import Expectation, Scenario

DOCS = Path(__file__).resolve().parent.parent / "docs"
HEAD = """# Scenarios

<!-- Generated from evals/scenarios by `python -m evals.scenario_docs`; do not edit. -->

Each line is a question put to a world over real HTTP, and the answer held to be right. "Never" lists causes that look
the same from afar and would be wrong; any cause that is not expected is wrong as well.
"""


PERTURBED = """# Perturbations

<!-- Generated from evals/perturb/kinds by `python -m evals.scenario_docs`; do not edit. -->

`plumbline eval run --epochs 5 --perturb` asks each scenario five times of a world that looks different each time,
in one to three of the ways below. They are drawn from `--seed`, the scenario's name and the epoch by SHA-256: the
same on any machine, in any shard, with any number of workers. Every epoch is perturbed; a run without the flag is
the one that is not. `--perturb renamed --perturb clock` draws from these two alone. Each sample says what was done
to it, and what does not fit a scenario is passed over.

"stays": the right answer is the same. "or inconclusive": an inconclusive answer that names what cannot be seen is
right as well; a wrong cause, or "healthy" where something is wrong, never is. Where the exporter of GPU series is
gone, that is a cause of its own, U00, and may be found.

A perturbation is one file that declares `PERTURBATION`: a function of (world, scenario, chance) for what a world
holds, or of its blueprint for how its series are made. It raises `Unfit` with the reason where it does not fit, and
never reads a scenario's name. T1 to T15 are known traps of GPU telemetry: T2 profiling fields that need privileges,
T3 fields that are off by default, T4 `exported_pod` for `pod`, T5 `Hostname` for `hostname`, T6 the names and units
of dcgm-exporter 4.9, T14 gaps that are no zeros, T15 text that a tenant can write.
"""


def scenarios_page(scenarios: Sequence[Scenario]) -> str:
    """docs/scenarios.md."""
    rows = ["| Scenario | World | Question | Answer | Never | Must say |", "|---|---|---|---|---|---|"]
    rows += [_row(scenario) for scenario in scenarios]
    return "\n".join([HEAD, f"{len(scenarios)} scenarios.", "", *rows, ""])


def _row(scenario: Scenario) -> str:
    expect = scenario.expect
    world = " + ".join([scenario.world, *scenario.overlays])
    never = "any" if not expect.cause and len(expect.must_not_claim) > 2 else ", ".join(expect.must_not_claim)
    cells = (scenario.name, world, _question(scenario), _answer(expect), never, "; ".join(expect.missing))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _question(scenario: Scenario) -> str:
    asked = scenario.question or f"(diagnose {', '.join(scenario.families)})"
    return f"{asked} (in {scenario.namespace})" if scenario.namespace else asked


def _answer(expect: Expectation) -> str:
    return f"{expect.status}: {expect.cause} on {expect.subject}" if expect.cause else expect.status


def perturbations_page(known: Mapping[str, Perturbation]) -> str:
    """docs/perturbations.md."""
    rows = ["| Name | What looks different | Right answer | Why | About |", "|---|---|---|---|---|"]
    rows += [
        f"| `{name}` | {one.description} | {one.right.replace('_', ' ')} | {one.because} | {', '.join(one.traps)} |"
        for name, one in known.items()
    ]
    return "\n".join([PERTURBED, *rows, ""])


def pages() -> dict[Path, str]:
    """Each generated page and what should stand in it."""
    return {
        DOCS / "scenarios.md": scenarios_page(load_all()),
        DOCS / "perturbations.md": perturbations_page(drawing.load()),
        DOCS / "causes.md": cause_docs.page(diagnosers.load(), signals.load()),
    }


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

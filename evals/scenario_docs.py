"""The two generated pages: docs/scenarios.md from the scenario files, docs/causes.md from the causes.

`python -m evals.scenario_docs` writes them; a repository test fails while they differ from what would be written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent import diagnosers
from agent.analysis import cause_docs, signals
from evals.scenario import load_all
from evals.types import Expectation, Scenario

DOCS = Path(__file__).resolve().parent.parent / "docs"
HEAD = """# Scenarios

<!-- Generated from evals/scenarios by `python -m evals.scenario_docs`; do not edit. -->

Each line is a question put to a world over real HTTP, and the answer held to be right. "Never" lists causes that look
the same from afar and would be wrong; any cause that is not expected is wrong as well.
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


def pages() -> dict[Path, str]:
    """Each generated page and what should stand in it."""
    return {
        DOCS / "scenarios.md": scenarios_page(load_all()),
        DOCS / "causes.md": cause_docs.page(diagnosers.load(), signals.load()),
    }


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

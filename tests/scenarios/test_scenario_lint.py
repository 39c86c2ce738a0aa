"""The linter of scenarios: ours are sound, and each check finds its mistake with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.scenario import FOLDER, load_all, load_file
from evals.scenario_lint import lint_scenario

GOOD = """world: pending-taint
question: what keeps distill waiting?
expect:
  status: found
  cause: U08
  subject: research/Job/distill
forbidden_tools: [pod_logs]
"""


def told(folder: Path, text: str) -> list[str]:
    path = folder / "scene.yaml"
    path.write_text(text)
    return [str(error) for error in lint_scenario(path)]


@pytest.mark.parametrize("scenario", [scenario.name for scenario in load_all()])
def test_ours_are_sound(scenario: str) -> None:
    assert lint_scenario(FOLDER / f"{scenario}.yaml") == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cause: U08", "cause: U80", "scene.yaml:5: expect.cause: no cause named 'U80'"),
        ("  cause: U08\n", "", "scene.yaml:4: expect.status: found what? give the cause"),
        ("status: found", "status: healthy", "scene.yaml:5: expect.cause: a healthy answer names no cause"),
        ("  subject", "  ruled_out: [U00, U0]\n  subject", "scene.yaml:6: expect.ruled_out.1: no cause named 'U0'"),
        ("Job/distill", "Job/distil", "scene.yaml:6: expect.subject: the world has no research/Job/distil"),
        ("[pod_logs]", "[pod_lgs]", "scene.yaml:7: forbidden_tools.0: no tool named 'pod_lgs' (did you mean pod_logs"),
        ("question: what keeps distill waiting?\n", "", "scene.yaml:1: asks nothing"),
        ("forbidden_tools: [pod_logs]", "canaries: [sesame]", "scene.yaml:7: canaries.0: 'sesame' stands nowhere"),
        ("pending-taint", "pending-tain", "no world named 'pending-tain'"),
        ("pending-taint", "./worlds/none", "worlds/none"),
        ("world: ", "wrld: ", "scene.yaml:1: "),
    ],
)
def test_a_mistake_is_named_where_it_stands(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert told(tmp_path, GOOD) == []
    assert old in GOOD
    (mistake,) = told(tmp_path, GOOD.replace(old, new))
    assert said in mistake
    assert "\n" not in mistake


def test_a_file_that_is_none_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert len(lint_scenario(tmp_path / "binary.yaml")) == 1
    assert len(lint_scenario(tmp_path / "absent.yaml")) == 1


def test_a_world_of_ones_own_is_looked_for_from_the_file(tmp_path: Path) -> None:
    """Wherever the command is typed; and its mistakes are told with the scenario's."""
    world = tmp_path / "worlds" / "mine"
    world.mkdir(parents=True)
    (world / "world.yaml").write_text("name: mine\nextends: pending-taint\ndescription: ours\n")
    (tmp_path / "scene.yaml").write_text(GOOD.replace("pending-taint", "./worlds/mine"))
    assert lint_scenario(tmp_path / "scene.yaml") == []
    assert load_file(tmp_path / "scene.yaml").layers == (str(tmp_path / "worlds/mine"),)
    (world / "world.yaml").write_text("name: mine\nextends: pending-taint\ndescription: ours\ncolour: red\n")
    (mistake,) = lint_scenario(tmp_path / "scene.yaml")
    assert "mine/world.yaml:4: colour: unknown field" in str(mistake)

"""A malformed scenario file is one line with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.scenario import load_all, load_file
from tools.errors import DocumentError, UnknownName

GOOD = "world: fleet\nquestion: is everything all right?\nexpect:\n  status: healthy\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("- a\n- b\n", ":1:"),
        (GOOD + "colour: red\n", "colour"),
        (GOOD.replace("healthy", "well"), ":4: expect.status"),
        (GOOD.replace("world: fleet\n", ""), "world"),
        ("name: other\n" + GOOD, ":1: name"),
        (GOOD + "world: twice\n", "world"),
        ("a: &x 1\nb: *x\n", ":1:"),
        ("a: [1, 2\n", "scene.yaml:"),
    ],
    ids=["a list", "unknown field", "wrong value", "missing field", "other name", "twice", "alias", "no YAML"],
)
def test_a_malformed_scenario(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "scene.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_file(path)
    assert place in str(caught.value)
    assert "scene.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_good_one_loads_and_an_unknown_pattern_is_named(tmp_path: Path) -> None:
    (tmp_path / "scene.yaml").write_text(GOOD)
    assert [scenario.name for scenario in load_all("s*", tmp_path)] == ["scene"]
    with pytest.raises(UnknownName, match="scenario"):
        load_all("nothing-*", tmp_path)

"""`plumbline world lint`: every mistake a line with its place, in JSON as well, and an exit code for pipelines."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Command

POD = """apiVersion: v1
kind: Pod
metadata: {name: x, namespace: nowhere}
spec: {nodeName: gpu-99, containers: [{name: a, image: b}]}
"""


def broken(root: Path) -> Path:
    folder = root / "broken"
    (folder / "objects").mkdir(parents=True)
    (folder / "world.yaml").write_text("name: broken\nextends: fleet\ndescription: two mistakes\n")
    (folder / "objects" / "a.yaml").write_text(POD)
    return folder


def test_mistakes_are_lines_and_fail(plumbline: Command, tmp_path: Path) -> None:
    done = plumbline("world", "lint", "fleet", str(broken(tmp_path)), "nosuch")
    assert done.code == 1
    assert done.out.splitlines() == [
        "broken/objects/a.yaml:3: metadata.namespace: nowhere/Pod/x lies in namespace nowhere, which does not exist",
        "broken/objects/a.yaml:4: spec.nodeName: nowhere/Pod/x runs on node gpu-99, which does not exist",
        "nosuch: no world named 'nosuch'",
        "3 checked, 3 mistakes",
    ]


def test_mistakes_are_json_for_programs(plumbline: Command, tmp_path: Path) -> None:
    done = plumbline("world", "lint", str(broken(tmp_path)), "-o", "json")
    assert done.code == 1
    first, second = json.loads(done.out)
    assert (first["file"], first["line"], first["field"]) == ("broken/objects/a.yaml", 3, "metadata.namespace")
    assert second["world"].endswith("broken")


def test_what_is_sound_passes(plumbline: Command) -> None:
    done = plumbline("world", "lint", "fleet", "kv-exhausted")
    assert (done.code, done.out) == (0, "2 checked, 0 mistakes\n")

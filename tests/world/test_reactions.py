"""reactions.yaml: how it is read, and what is wrong with one, by file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from evals.world.lint import lint
from evals.world.load import blueprint
from evals.world.reactions import Patch, Pods, Shift, value_at
from tests.world.writing import NODE, SERVER, write
from tools.errors import DocumentError

WHEN = "- when: {kind: Deployment, namespace: team, name: model, field: spec.replicas, above: 2}\n"
SOUND = (
    WHEN
    + """  then:
  - pods: {ready_after: 1m, nodes: [gpu-0, null]}
  - {after: 2m, signals: {match: {namespace: team, workload: model}, vllm: {waiting: 0}}}
  - {after: 90, scale: {match: {namespace: team, workload: model}, busy: 0.5}}
  - patch: {kind: Namespace, name: team, body: {metadata: {labels: {x: y}}}}
"""
)


def _world(root: Path, text: str) -> Path:
    return write(root, "w", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER, "reactions.yaml": text})


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    folder = _world(tmp_path, SOUND)
    assert [str(error) for error in lint(folder)] == []
    (reaction,) = blueprint(str(folder)).reactions
    assert [effect.after for effect in reaction.then] == [0.0, 120.0, 90.0, 0.0]
    pods, shift, scale, patch = (effect.does for effect in reaction.then)
    assert isinstance(pods, Pods)
    assert (pods.ready_after, pods.nodes) == (60.0, ("gpu-0", None))
    assert isinstance(shift, Shift)
    assert isinstance(scale, Shift)
    assert (shift.scaled, scale.scaled) == (False, True)
    assert isinstance(patch, Patch)
    assert patch.body == {"metadata": {"labels": {"x": "y"}}}


def _when(**fields: str) -> str:
    given = {"kind": "Deployment", "namespace": "team", "name": "model", "field": "spec.replicas", **fields}
    text = ", ".join(f"{key}: {value}" for key, value in given.items())
    return f"- when: {{{text}}}\n  then: [pods: {{}}]\n"


@pytest.mark.parametrize(
    ("test", "value", "holds"),
    [
        ({"is": "3"}, 3, True),
        ({"is": "3"}, "3", False),
        ({"is": "1"}, True, False),
        ({"is": "true"}, True, True),
        ({"above": "2"}, 2, False),
        ({"above": "2"}, "2.5", True),
        ({"above": "2"}, "many", False),
        ({"above": "2"}, None, False),
        ({"below": "2"}, 1, True),
        ({"matches": "'v1.*'"}, "v1.2", True),
        ({"matches": "'v1'"}, "v1.2", False),
        ({"changes": "true"}, None, True),
    ],
)
def test_tests_of_a_value(tmp_path: Path, test: dict[str, str], value: JsonValue, *, holds: bool) -> None:
    (reaction,) = blueprint(str(_world(tmp_path, _when(**test)))).reactions
    assert reaction.when.holds(value) is holds


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spec.template.spec.containers[0].args[--max-num-seqs]", "256"),
        ("spec.template.spec.containers[name=b].args[--tp]", "4"),
        ("spec.template.spec.containers[name=b].args[--flag]", ""),
        ("spec.template.spec.containers[name=z].args[--tp]", None),
        ('metadata.labels["kueue.x-k8s.io/queue-name"]', "q"),
        ("spec.template.spec.containers[7]", None),
        ("spec.replicas.x", None),
    ],
)
def test_fields_lead_into_lists_labels_and_arguments(tmp_path: Path, field: str, value: JsonValue) -> None:
    containers: JsonValue = [
        {"name": "a", "args": ["--max-num-seqs", "256"]},
        {"name": "b", "args": ["--tp=4", "--flag"]},
    ]
    body: JsonValue = {
        "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": containers}}},
    }
    (reaction,) = blueprint(str(_world(tmp_path, _when(field=f"'{field}'", changes="true")))).reactions
    assert value_at(body, reaction.when.path) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (_when(), "exactly one of is, above, below, matches, changes"),
        (_when(above="2", below="9"), "exactly one of"),
        (_when(above="many"), "reactions.yaml:1: [0].when.above: a number is wanted here"),
        (_when(matches="'('"), "not a regular expression"),
        (_when(changes="false"), "write `changes: true`"),
        (_when(field="'a..b'", **{"is": "1"}), "is no field"),
        (_when(feild="x", **{"is": "1"}), "unknown field"),
        (WHEN + "  then: []\n", "nothing follows"),
        (WHEN + "  then: [{after: 1m}]\n", "exactly one of pods, patch, signals, scale"),
        (WHEN + "  then: [{after: -1m, pods: {}}]\n", "nothing happens before the write"),
        (WHEN + "  then: [{pods: {ready_after: -1s}}]\n", "a duration is wanted"),
        (WHEN + "  then: [{pods: {count: x}}]\n", "a number is wanted here"),
        (WHEN + "  then: [{patch: {kind: Pod, name: x}}]\n", "either a body or `delete: true`"),
        (WHEN + "  then: [{scale: {match: {workload: model}, busy: {noise: {mean: 1}}}}]\n", "a number is wanted here"),
        (WHEN + "  then: [{signals: {match: {workload: model}, mood: 1}}]\n", "unknown field"),
        ("{when: x}\n", "a list is wanted here"),
    ],
)
def test_a_broken_file_says_where(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        blueprint(str(_world(tmp_path, text)))
    assert problem in str(caught.value)
    assert caught.value.file.endswith("reactions.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (_when(name="other", above="1"), "there is no team/Deployment/other"),
        (_when(field="'spec.template.spec.containers[name=x]'", changes="true"), "leads nowhere in this object"),
        (WHEN + "  then: [{pods: {nodes: [gpu-9]}}]\n", "names node gpu-9, which does not exist"),
        (
            WHEN + "  then: [{patch: {kind: Pod, namespace: team, name: x, delete: true}}]\n",
            "there is no Pod x to patch",
        ),
        (WHEN + "  then: [{signals: {match: {workload: other}, busy: 1}}]\n", "matches nothing in this world"),
    ],
)
def test_the_linter_finds_reactions_about_nothing(tmp_path: Path, text: str, problem: str) -> None:
    (error,) = lint(_world(tmp_path, text))
    assert problem in str(error)
    assert "reactions.yaml:" in str(error)

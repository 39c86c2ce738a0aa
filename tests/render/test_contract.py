"""The printed object: its keys, its values, and that no text in it can act on a terminal."""

from __future__ import annotations

import json

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.render.contract import as_json, as_yaml, contract
from agent.render.document import clean
from tests.render.build import FINDING, claim, diagnosis, evidence, explained
from tests.render.test_terminal import HOSTILE, assert_harmless
from tests.repo.generated import SCHEMA
from tools.documents import load_yaml


def test_an_answer_with_everything_in_it_follows_the_schema() -> None:
    body = contract(diagnosis(), [evidence()])
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(json.loads(as_json(body)))
    assert body["scope"] == {"asked": "team search", "namespaces": ["search"], "permitted": None}


def test_what_a_model_adds_follows_the_schema_and_leaves_the_rest_as_it_is() -> None:
    body = contract(explained(reasoner="playbook"), [evidence()])
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(json.loads(as_json(body)))
    added = {key: body.pop(key) for key in ("explanation", "disputed", "notes", "drafts")}
    usage = body["usage"]
    assert isinstance(usage, dict)
    assert usage.pop("model") == {
        "name": "some-model", "requests": 3, "tokensIn": 9120, "tokensOut": 410, "counted": True, "cost": 0.0123
    }  # fmt: skip
    assert body == contract(diagnosis(), [evidence()])
    assert added["drafts"] == ["P7"]
    assert added["explanation"] == [
        {
            "text": "CPU stays at its target while tokens pile up",
            "refs": [{"evidence": name, "path": "/row/spec/value", "value": 80} for name in ("E4", "E11")],
        },
        {"text": "so it holds still", "refs": [{"evidence": "E9", "path": "/row/spec/value", "value": 80}]},
    ]


def test_an_explanation_names_its_evidence() -> None:
    body = json.loads(as_json(contract(diagnosis(), [])))
    assert body["findings"][0]["explanation"] == (
        "HPA search/chat-70b targets cpu 80 % [E4]; desired replicas follow cpu [E9][E11]"
    )
    assert [ref["evidence"] for ref in body["findings"][0]["refs"]] == ["E4", "E11", "E9"]


def test_hostile_text_is_escaped_in_json_so_that_nothing_is_lost_and_nothing_acts() -> None:
    finding = FINDING.model_copy(update={"title": HOSTILE, "seen": (claim(HOSTILE, "E1"),)})
    text = as_json(contract(diagnosis(findings=(finding,)), [evidence(query=HOSTILE)]))
    assert_harmless(text)
    body = json.loads(text)
    assert body["findings"][0]["title"] == body["evidence"][0]["query"] == HOSTILE


@settings(max_examples=300)
@given(st.text(max_size=60))
def test_any_text_survives_json_and_reaches_no_terminal_through_yaml(text: str) -> None:
    printed = as_json({"a": [text]})
    assert_harmless(printed)
    assert json.loads(printed) == {"a": [text]}
    written = as_yaml({"a": [text]})
    assert_harmless(written)
    assert load_yaml(written, name="written") == {"a": [clean(text)]}

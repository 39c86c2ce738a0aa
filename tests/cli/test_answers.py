"""The main job: a question, a cited answer in every form, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from tests.cli.conftest import QUESTION, UNSAFE, Answer, Command, Serve
from tools.documents import load_yaml

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "diagnosis.schema.json").read_text())


def valid(body: object) -> None:
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(body)


def test_the_demo_gives_a_cited_answer_and_says_what_to_try_next(plumbline: Command) -> None:
    done = plumbline("demo")
    assert done.code == 0
    assert re.search(r"(?m)^● U13  Deployment search/chat-70b scales on .*root · high$", done.out)
    assert re.search(r"(?m)^  seen +.*\[E\d+\]", done.out)
    assert re.search(r"(?m)^\d+ calls · \d+ requests · \d+\.\d s · playbook$", done.out)
    assert "Try next" in done.out
    assert done.err == ""


def test_over_kubeconfig_and_prometheus_the_answer_is_that_of_the_world(plumbline: Command, serve: Serve) -> None:
    site = serve()
    live = plumbline("ask", *site.flags, "-o", "json", QUESTION)
    world = plumbline("ask", "--world", "hpa-cpu", "-o", "json", QUESTION)
    assert live.code == world.code == 0
    valid(live.json)
    assert [(f.cause, f.subject) for f in live.answer.findings] == [(f.cause, f.subject) for f in world.answer.findings]
    assert live.answer.findings[0].cause == "U13"
    assert all(record.method in ("GET", "POST") for record in site.kube.requests)
    assert not site.kube.writes


@pytest.mark.parametrize("world", ["fleet", "telemetry-off", "hostile-text", "prometheus-down"])
def test_json_is_valid_against_the_contract(plumbline: Command, world: str) -> None:
    done = plumbline("diagnose", "--world", world, "-o", "json")
    assert done.code == 0
    valid(done.json)
    cited = {ref.evidence for f in done.answer.findings for ref in f.refs}
    assert cited <= {item.id for item in done.answer.evidence}


def test_yaml_says_the_same_as_json(plumbline: Command) -> None:
    done = {form: plumbline("ask", "--world", "hpa-cpu", "-o", form, QUESTION) for form in ("json", "yaml")}
    body = load_yaml(done["yaml"].out, name="stdout")
    valid(body)
    assert Answer.model_validate(body) == done["json"].answer


def test_markdown_has_a_heading_for_each_finding(plumbline: Command) -> None:
    done = plumbline("ask", "--world", "hpa-cpu", "-o", "markdown", QUESTION)
    assert done.out.startswith("### **U13**")


@pytest.mark.parametrize(("bar", "code"), [("low", 3), ("high", 3), ("critical", 0)])
def test_fail_on_compares_severities(plumbline: Command, bar: str, code: int) -> None:
    assert plumbline("diagnose", "--world", "hpa-cpu", "--fail-on", bar).code == code


def test_a_healthy_fleet_has_no_findings(plumbline: Command) -> None:
    done = plumbline("diagnose", "--world", "fleet", "--fail-on", "low", "-o", "json")
    assert done.code == 0
    assert done.answer.status == "healthy"
    assert done.answer.findings == []


def test_one_family_only(plumbline: Command) -> None:
    done = plumbline("diagnose", "--world", "hpa-cpu", "--family", "drift", "-o", "json")
    assert done.answer.findings == []


def test_a_namespace_flag_narrows_the_answer(plumbline: Command) -> None:
    done = plumbline("ask", "--world", "hpa-cpu", "-n", "research", "-o", "json", "why are the GPUs idle?")
    assert done.answer.scope.namespaces == ["research"]
    assert done.answer.findings == []


@pytest.mark.parametrize("form", ["table", "json", "yaml", "markdown"])
def test_hostile_text_in_a_cluster_reaches_no_terminal(plumbline: Command, form: str) -> None:
    for command in (["diagnose"], ["ask", "what changed in the last 7 days?"]):
        done = plumbline(*command, "--world", "hostile-text", "-o", form)
        assert done.code == 0
        assert not UNSAFE.search(done.out + done.err)


def test_no_color_wins_over_a_terminal(plumbline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("PLUMBLINE_COLOR", "always")
    assert "\x1b[" in plumbline("ask", "--world", "hpa-cpu", QUESTION).out
    assert "\x1b" not in plumbline("ask", "--world", "hpa-cpu", "--no-color", QUESTION).out
    monkeypatch.delenv("PLUMBLINE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in plumbline("ask", "--world", "hpa-cpu", QUESTION).out

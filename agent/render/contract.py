"""The `-o json` contract: kind Diagnosis of plumbline.dev/v1alpha1. Its JSON Schema stands in docs/schema."""

from __future__ import annotations

import json
from collections.abc import Iterable

import yaml
from pydantic import JsonValue

from agent.render.answer import cited, preface
from agent.render.document import UNSAFE, clean
from agent.types import Claim, Diagnosis, Finding, Usage
from tools.fields import rfc3339
from tools.types import Evidence, EvidenceRef, JsonObject, ResourceRef, Scope

API_VERSION = "plumbline.dev/v1alpha1"


def contract(diagnosis: Diagnosis, evidence: Iterable[Evidence]) -> JsonObject:
    """The diagnosis as the object that programs read."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Diagnosis",
        "question": diagnosis.question,
        "status": diagnosis.status,
        "reasoner": diagnosis.reasoner,
        "mode": diagnosis.mode,
        "cluster": diagnosis.cluster,
        "scope": _scope(diagnosis.scope),
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "ruledOut": [
            {"cause": r.cause, "because": r.because.text, "refs": _refs(r.because.refs)} for r in diagnosis.ruled_out
        ],
        "missing": [{"need": m.need, "because": m.because} for m in diagnosis.missing],
        "evidence": [_evidence(item) for item in evidence],
        "narrative": _narrative(diagnosis),
        **_of_model(diagnosis),
        "usage": _usage(diagnosis.usage),
    }


def _of_model(diagnosis: Diagnosis) -> JsonObject:
    """What a language model added: a key stands here only where it has something to hold."""
    said: JsonObject = {
        "explanation": [{"text": claim.text, "refs": _refs(claim.refs)} for claim in diagnosis.explained],
        "disputed": [
            {"cause": d.cause, "because": d.because.text, "refs": _refs(d.because.refs)} for d in diagnosis.disputed
        ],
        "notes": list(diagnosis.notes),
        "drafts": list(diagnosis.drafts),
    }
    return {key: value for key, value in said.items() if value}


def _usage(usage: Usage) -> JsonObject:
    spent: JsonObject = {"calls": usage.calls, "requests": usage.requests, "seconds": usage.seconds}
    if usage.model is not None:
        spent["model"] = {
            "name": usage.model.model,
            "requests": usage.model.requests,
            "tokensIn": usage.model.input,
            "tokensOut": usage.model.output,
            "counted": usage.model.counted,
            "cost": usage.model.cost,
        }
    return spent


def _scope(scope: Scope) -> JsonObject:
    """What was asked, and the two sets of namespaces; null stands for all of them."""
    return {"asked": scope.asked, "namespaces": _names(scope.namespaces), "permitted": _names(scope.permitted)}


def _names(namespaces: tuple[str, ...] | None) -> list[JsonValue] | None:
    return None if namespaces is None else list(namespaces)


def _subject(ref: ResourceRef) -> JsonObject:
    return {"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}


def _refs(refs: Iterable[EvidenceRef]) -> list[JsonValue]:
    return [{"evidence": ref.evidence, "path": ref.path, "value": ref.value} for ref in refs]


def _cited(claim: Claim) -> str:
    return f"{claim.text} {''.join(f'[{name}]' for name in cited(claim.refs))}"


def _narrative(diagnosis: Diagnosis) -> str:
    """The words of the answer, and, line by line, what the question asked to see."""
    return "\n".join([*preface(diagnosis), diagnosis.narrative, *(_cited(claim) for claim in diagnosis.shown)]).strip()


def _finding(finding: Finding) -> JsonObject:
    return {
        "cause": finding.cause,
        "title": finding.title,
        "role": finding.role,
        "subject": _subject(finding.subject),
        "severity": finding.severity,
        "confidence": finding.confidence,
        "refs": _refs(finding.refs),
        "explanation": "; ".join(_cited(claim) for claim in finding.seen),
    }


def _evidence(item: Evidence) -> JsonObject:
    return {
        "id": item.id,
        "source": item.source,
        "query": item.query,
        "status": item.status,
        "observedAt": rfc3339(item.observed_at),
        "rows": len(item.rows),
    }


def as_json(body: JsonValue) -> str:
    """Indented JSON with a final newline; characters that a terminal would obey are escaped, so nothing is lost."""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return UNSAFE.sub(lambda m: m.group() if m.group() == "\n" else _escaped(m.group()), text) + "\n"


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def as_yaml(body: JsonValue) -> str:
    """The same as YAML; unsafe characters are cleaned away, since YAML would print some of them."""
    return yaml.safe_dump(_cleaned(body), sort_keys=False, allow_unicode=True, width=120)


def _cleaned(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(entry) for entry in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(entry) for key, entry in value.items()}
    return value

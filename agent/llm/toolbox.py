"""The tools as a model sees them: the gate's own, plus three of ours that touch nothing but the run's memory.

Rules: a schema says only what helps to write a call (types, names, choices); listing is never enforcement: the gate
validates every argument again. Schemas are small because every request carries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pydantic import BaseModel, JsonValue

from agent.llm.types import ToolSchema
from tools import fields
from tools.types import JsonObject, ToolSpec

ANSWER, HYPOTHESES, SHOW = "answer", "hypotheses", "show_evidence"
SMALL = ("list_objects", "get_object", "list_events", "pod_logs", "named_query", "propose_change")
"""Tools of the gate that a model with a small window sees."""
_NOISE = ("title", "default", "pattern", "maxLength", "minLength", "description", "additionalProperties")
_TEXT: JsonObject = {"type": "string"}
_TEXTS: JsonObject = {"type": "array", "items": {"type": "string"}}


def _object(properties: JsonObject, required: Sequence[str]) -> JsonObject:
    wanted: list[JsonValue] = list(required)
    return {"type": "object", "properties": properties, "required": wanted}


def _closed(properties: JsonObject) -> JsonObject:
    """An object that holds exactly these properties: what a server can enforce while the model writes."""
    return {**_object(properties, list(properties)), "additionalProperties": False}


_CLAIM = _closed({"text": _TEXT, "cites": _TEXTS})
_DISAGREE = _closed({"cause": _TEXT, "text": _TEXT, "cites": _TEXTS})
_HYPOTHESIS = _object(
    {
        "cause": _TEXT,
        "supports": _TEXTS,
        "against": _TEXTS,
        "next_test": _TEXT,
        "state": {"enum": ["open", "confirmed", "excluded"]},
    },
    ["cause", "state"],
)


def answer_schema(*, alone: bool) -> ToolSchema:
    """The tool that ends a consultation; a model that stands alone also names status, cause and subject."""
    properties: JsonObject = {
        "claims": {"type": "array", "items": _CLAIM},
        "disagrees": {"type": "array", "items": _DISAGREE},
    }
    if alone:
        statuses: JsonObject = {"type": "string", "enum": ["found", "healthy", "inconclusive"]}
        properties |= {"status": statuses, "cause": _TEXT, "subject": _TEXT}
    return ToolSchema(
        name=ANSWER,
        description="The answer: cited statements, most important first; disagrees only against a finding.",
        parameters=_closed(properties),
    )


OWN = (
    ToolSchema(
        name=SHOW,
        description="Rows of evidence read earlier; match narrows to rows with that text (a whole row key shows every"
        " field and its path), after pages on from a row key.",
        parameters=_object(
            {"id": {"type": "string"}, "match": {"type": "string"}, "after": {"type": "string"}}, ["id"]
        ),
    ),
    ToolSchema(
        name=HYPOTHESES,
        description="Replace the list of hypotheses; supports and against cite evidence.",
        parameters=_object({"list": {"type": "array", "items": _HYPOTHESIS}}, ["list"]),
    ),
)


def offered(specs: Sequence[ToolSpec[BaseModel]], *, alone: bool, small: bool) -> list[ToolSchema]:
    """Everything a request offers."""
    chosen = [spec for spec in specs if not small or spec.name in SMALL]
    return [*(of_spec(spec) for spec in chosen), *OWN, answer_schema(alone=alone)]


def of_spec(spec: ToolSpec[BaseModel]) -> ToolSchema:
    """A tool of the gate as a schema without noise."""
    return _of(spec.name, spec.summary, spec.args)


@lru_cache(maxsize=64)
def _of(name: str, summary: str, args: type[BaseModel]) -> ToolSchema:
    whole: JsonObject = args.model_json_schema()
    properties = {
        key: _slim(entry, fields.mapping(whole, "$defs")) for key, entry in fields.mapping(whole, "properties").items()
    }
    return ToolSchema(name=name, description=summary, parameters=_object(properties, fields.texts(whole, "required")))


def _slim(entry: JsonValue, definitions: JsonObject) -> JsonValue:
    """A property without titles, patterns and nulls; references resolved one level deep."""
    if not isinstance(entry, dict):
        return entry
    if reference := fields.text(entry, "$ref"):
        return _slim(definitions.get(reference.rpartition("/")[2], {}), {})
    options = [option for option in fields.items(entry, "anyOf") if fields.text(option, "type") != "null"]
    if len(options) == 1:
        return _slim(options[0], definitions)
    slim: JsonObject = {key: value for key, value in entry.items() if key not in _NOISE}
    if "items" in slim:
        slim["items"] = _slim(slim["items"], definitions)
    return slim

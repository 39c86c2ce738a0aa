"""A stored run as a log of Inspect (inspect-ai), so that its viewer and its `inspect log` commands read ours.

The form is the JSON log of Inspect, version 2 (inspect_ai.log.EvalLog). A call becomes an assistant's tool call with
its answer, a grader a score of C or I, what the machine broke an error; evidence is given with its first rows.
Rules: the same run gives the same bytes; samples are written as they are read, so that memory does not grow with them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from agent.events import EVENT, CallFinished, CallStarted
from agent.render import markdown
from agent.render.answer import answer
from agent.render.document import clean
from evals import rundir
from evals.engine import Engine
from evals.items import Item
from evals.rundir import RunDir, Sample
from evals.types import Grade
from tools.types import Evidence, JsonObject, digest_of

TASK = "plumbline"
ROWS = 40
"""Rows given of one piece of evidence."""
CELL = 400
"""Characters given of one row."""


def write(run: RunDir, folder: Path) -> list[Path]:
    """A log for each engine of a run, in a folder as the viewer wants it. Raises OSError and SettingsError."""
    items = run.whole_items()
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    for number, engine in enumerate(run.info.engines):
        own = [item for item in items if item.engine == number]
        if own:
            begun = _begun(run, own)
            name = f"{_moment(begun).replace(':', '-')}_{TASK}_{_id(run, engine)}.json"  # as Inspect names its logs
            rundir.write(folder / name, _text(run, engine, own, begun))
            done.append(folder / name)
    return done


def _id(run: RunDir, engine: Engine) -> str:
    return digest_of([run.info.model_dump(mode="json"), engine.model_dump(mode="json")])[:22]


def _begun(run: RunDir, items: list[Item]) -> float:
    """When the first sample was asked; 0 where none says so."""
    first = next((one for item in items if (one := run.sample(item)) is not None and _asked(one)), None)
    return _asked(first) if first is not None else 0.0


def _asked(sample: Sample) -> float:
    try:
        return float(sample.result.record.versions.get("asked_at", ""))
    except ValueError:
        return 0.0


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _text(run: RunDir, engine: Engine, items: list[Item], begun: float) -> Iterator[str]:
    head = _head(run, engine, items, begun)
    yield json.dumps(head)[:-1] + ', "samples": ['
    first = True
    for item in items:
        sample = run.sample(item)
        if sample is not None:
            yield ("\n" if first else ",\n") + json.dumps(_sample(sample, engine))
            first = False
    yield "\n]}\n"


def _head(run: RunDir, engine: Engine, items: list[Item], begun: float) -> JsonObject:
    name = _id(run, engine)
    ended = begun + sum(item.seconds for item in items)
    scenarios: list[JsonValue] = list(dict.fromkeys(item.scenario for item in items))
    spec: JsonObject = {
        "eval_id": name,
        "run_id": name,
        "created": _moment(begun),
        "task": TASK,
        "task_id": name,
        "task_args": {"seed": run.info.seed, "perturbed": run.info.perturbing is not None},
        "dataset": {"name": "scenarios", "samples": len(scenarios), "sample_ids": scenarios, "shuffled": False},
        "model": _model(engine),
        "config": {"epochs": run.info.epochs},
    }
    models = [item.model for item in items if item.model is not None]
    finished = sum(item.verdict != "error" for item in items)
    results: JsonObject = {
        "total_samples": len(items),
        "completed_samples": finished,
        "scores": _scores(items),
    }
    plan: JsonObject = {"name": "plan", "steps": [{"solver": engine.reasoner, "params": {}}]}
    stats: JsonObject = {
        "started_at": _moment(begun),
        "completed_at": _moment(ended),
        "model_usage": _usage(engine, sum(one.input for one in models), sum(one.output for one in models)),
    }
    made: JsonObject = {"version": 2, "status": "success", "eval": spec, "plan": plan, "results": results}
    if not finished:
        made |= {"status": "error", "error": _broke("no sample could be run")}
    return made | {"stats": stats}


def _broke(text: str) -> JsonObject:
    return {"message": _plain(text), "traceback": "", "traceback_ansi": ""}


def _plain(text: str) -> str:
    """The lines of a text without what could move a cursor."""
    return "\n".join(map(clean, text.split("\n")))


def _model(engine: Engine) -> str:
    return f"openai/{engine.model}" if engine.model else "none/playbook"


def _usage(engine: Engine, sent: int, heard: int) -> JsonObject:
    if not sent:
        return {}
    return {_model(engine): {"input_tokens": sent, "output_tokens": heard, "total_tokens": sent + heard}}


def _scores(items: list[Item]) -> list[JsonValue]:
    """Accuracy by each grader, over the samples that it saw; and over all graders together."""
    seen: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for item in items:
        if item.verdict == "error":
            continue
        for name, good in (*((g.grader, g.passed) for g in item.grades), ("passed", item.passed)):
            seen[name] += 1
            passed[name] += good
    return [
        {
            "name": name,
            "scorer": name,
            "scored_samples": seen[name],
            "metrics": {"accuracy": {"name": "accuracy", "value": passed[name] / seen[name]}},
        }
        for name in sorted(seen, key=lambda one: (one != "passed", one))
    ]


# --- one sample --------------------------------------------------------------------------------------------


def _sample(sample: Sample, engine: Engine) -> JsonObject:
    item, record = sample.item, sample.result.record
    diagnosis = record.diagnosis
    question = _plain((diagnosis.question if diagnosis is not None else "") or "(every cause is judged)")
    told = _plain(markdown.draw(answer(diagnosis)) if diagnosis is not None else record.failure)
    begun = _asked(sample)
    made: JsonObject = {
        "id": item.scenario,
        "epoch": item.epoch,
        "input": question,
        "target": item.expected,
        "messages": [{"role": "user", "content": question}, *_messages(sample), _said(told, engine)],
        "output": {
            "model": _model(engine),
            "choices": [{"message": _said(told, engine), "stop_reason": "stop"}],
            "completion": told,
        },
        "scores": _graded(sample, told),
        "metadata": {
            "status": item.status,
            "found": list(item.ranked),
            "perturbations": list(item.perturbations),
            "tags": list(item.tags),
            "tool_calls": item.calls,
            "why": item.why,
        },
        "model_usage": _usage(engine, item.model.input, item.model.output) if item.model else {},
        "started_at": _moment(begun),
        "completed_at": _moment(begun + item.seconds),
        "total_time": item.seconds,
        "uuid": digest_of([item.scenario, item.epoch, item.engine])[:22],
    }
    if item.verdict == "error":
        made["error"] = _broke(record.failure)
    return made


def _said(text: str, engine: Engine) -> JsonObject:
    return {"role": "assistant", "content": text, "model": _model(engine), "source": "generate"}


def _graded(sample: Sample, told: str) -> JsonObject:
    """A score by each grader; the first is over all of them."""
    item = sample.item
    if item.verdict == "error":
        return {}
    whole: JsonObject = {"value": _letter(item), "answer": told, "explanation": _plain(item.why)}
    each: dict[str, JsonValue] = {
        one.grader: {"value": _letter(one), "explanation": _plain(one.detail)} for one in item.grades
    }
    return {"passed": whole, **each}


def _letter(judged: Item | Grade) -> str:
    """Correct or incorrect, as Inspect writes it."""
    return "C" if judged.passed else "I"


def _messages(sample: Sample) -> Iterator[JsonValue]:
    """Each call that came back, as a tool call and its answer."""
    record = sample.result.record
    begun: dict[str, CallStarted] = {}
    for body in record.events:
        event = EVENT.validate_python(body)
        if isinstance(event, CallStarted):
            begun[event.call] = event
        elif isinstance(event, CallFinished) and event.call in begun:
            call = begun.pop(event.call)
            used: JsonObject = {"id": call.call, "function": call.tool, "arguments": {"query": _plain(call.query)}}
            yield {"role": "assistant", "content": "", "tool_calls": [used], "source": "generate"}
            text = _evidence(record.evidence, event)
            yield {"role": "tool", "content": text, "tool_call_id": call.call, "function": call.tool}


def _evidence(kept: Mapping[str, Evidence], event: CallFinished) -> str:
    found = kept.get(event.evidence)
    if found is None:
        return f"{event.evidence} {event.status}, {event.rows} rows"
    head = (
        f"{found.id} {found.query}\n{found.status}, {len(found.rows)} rows{f': {found.detail}' if found.detail else ''}"
    )
    rows = [_cut(f"{row.key}  {json.dumps(row.data, ensure_ascii=False)}") for row in found.rows[:ROWS]]
    more = [f"and {len(found.rows) - ROWS} more"] if len(found.rows) > ROWS else []
    return _plain("\n".join([head, *rows, *more]))


def _cut(text: str) -> str:
    return text if len(text) <= CELL else f"{text[:CELL]}… ({len(text) - CELL} more characters)"

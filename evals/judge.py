"""A model that scores the prose of an answer, for those who want to compare wording. It decides nothing.

Rules: a score stands beside a verdict and never changes it; the judge sees the answer's words, never evidence, logs or
the verdict; a reply that is not exactly the JSON asked for is no score, and is told apart from a low one.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.llm.open import open_port
from agent.llm.types import ChatPort, Message, ModelError
from agent.settings import Settings
from agent.types import Diagnosis
from evals.engine import judging_with
from evals.types import Judged
from prompts import load

MAX_OUTPUT = 1_000
"""Tokens of a score: two numbers, and room for models that think in the open."""
MAX_ANSWER = 8_000
"""Characters of an answer that are scored."""
_Mark = Annotated[int, Field(ge=1, le=5, strict=True)]


class _Scores(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clarity: _Mark
    usefulness: _Mark


async def judged(diagnosis: Diagnosis, settings: Settings, judge: str) -> Judged:
    """The judge's word on an answer; never raises for what a model or its server does."""
    port = open_port(judging_with(settings, judge))
    try:
        return await score(port, diagnosis, seconds=settings.model_timeout)
    finally:
        await port.aclose()


async def score(port: ChatPort, diagnosis: Diagnosis, *, seconds: float) -> Judged:
    """One request, one score."""
    values = {"question": diagnosis.question or "(none: every cause was judged)", "answer": prose(diagnosis)}
    messages = (Message(role="user", content=load("judge").render(values)),)
    try:
        reply = await port.complete(messages, (), seconds=seconds, max_output=MAX_OUTPUT)
    except ModelError as error:
        spent = error.spent
        return Judged(model=port.model, failure=str(error), input=spent.input, output=spent.output)
    word = Judged(model=port.model, input=reply.cost.input, output=reply.cost.output)
    try:
        found = _Scores.model_validate(json.loads(reply.text))
    except (ValueError, ValidationError, RecursionError):
        return word.model_copy(update={"failure": "the judge did not reply with the JSON asked for"})
    return word.model_copy(update={"clarity": found.clarity, "usefulness": found.usefulness})


def prose(diagnosis: Diagnosis) -> str:
    """The words of an answer, as a reader gets them, without its citations."""
    said = [claim.text for claim in diagnosis.explained] or [
        f"{finding.title}: {'; '.join(claim.text for claim in finding.seen)}" for finding in diagnosis.findings
    ]
    missing = [f"Not checked: {entry.need}: {entry.because}" for entry in diagnosis.missing]
    return "\n".join([diagnosis.narrative, *said, *missing])[:MAX_ANSWER]

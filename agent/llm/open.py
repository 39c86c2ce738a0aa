"""Composition of the language model reasoner from settings; the only place that sees the key of the endpoint."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent import diagnosers
from agent.llm.address import Endpoint
from agent.llm.budget import Budget
from agent.llm.endpoint import OpenAIChat
from agent.llm.limits import Hour
from agent.llm.messages import Room
from agent.llm.reasoner import LanguageModel
from agent.settings import Settings
from agent.store import Store
from agent.telemetry import Telemetry
from tools.errors import SettingsError
from tools.redact import Redactor

_SECRET = re.compile(r"key|token|auth|secret|password|credential|cookie", re.IGNORECASE)
"""Names of headers whose values are secrets; others (a team, a region) may well stand in a cluster's names."""
OUTPUT = 2_048
"""Tokens of one reply."""


@asynccontextmanager
async def open_reasoner(
    settings: Settings, store: Store, redactor: Redactor, reporting: Telemetry
) -> AsyncIterator[LanguageModel]:
    """The reasoner, its connections closed when done. Raises SettingsError for what the user must mend."""
    port = open_port(settings)
    secret_headers = [value for name, value in settings.model_headers.items() if _SECRET.search(name)]
    for secret in (settings.model_key.get_secret_value(), *secret_headers):
        redactor.learn(secret, kind="model-key")
    try:
        yield LanguageModel(
            port=reporting.traced(port),
            budget=budget_of(settings),
            room=Room(window=settings.model_window, output=min(OUTPUT, settings.model_window // 4)),
            seconds=settings.model_timeout,
            hour=Hour(store=store, limit=settings.model_tokens_per_hour),
            catalogue=tuple((cause, known.CAUSE.title) for cause, known in diagnosers.load().items()),
        )
    finally:
        await port.aclose()


def open_port(settings: Settings) -> OpenAIChat:
    """A client of the endpoint that the settings name. Raises SettingsError."""
    return OpenAIChat(endpoint_of(settings))


def endpoint_of(settings: Settings) -> Endpoint:
    """The endpoint that the settings name, as yet unchecked."""
    return Endpoint(
        base_url=settings.model_url,
        model=settings.model,
        key=settings.model_key.get_secret_value(),
        headers=settings.model_headers,
        allow_plain_http=settings.allow_plain_http,
    )


def budget_of(settings: Settings) -> Budget:
    """The limits of one question. Raises SettingsError for a limit of money without a price."""
    price = settings.prices.get(settings.model)
    if settings.model_cost is not None and price is None:
        raise SettingsError(
            f"model_cost is set, and there is no price for {settings.model}", hint=f'add prices."{settings.model}"'
        )
    return Budget(
        tokens=settings.model_tokens,
        money=settings.model_cost,
        price=(price.input, price.output) if price else None,
    )

"""One OpenAI-compatible endpoint as a ChatPort: requests, retries, fallbacks, deadlines, and errors in one line.

Rules: the deadline covers everything; at most two retries, only while nothing was received, counted here and nowhere
else; a feature the endpoint refuses is given up and the loss remembered; every request is told before it is sent, and
there are at most MAX_SENDS for one reply; whatever a server does ends in a Reply or a ModelError.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx2
import openai
from pydantic import JsonValue

from agent.llm import body as bodies
from agent.llm import failures
from agent.llm.address import Endpoint as Endpoint
from agent.llm.address import check
from agent.llm.capabilities import ORDER, UNNAMED_TRIES, Capabilities, Feature, named, next_unnamed
from agent.llm.counting import Tally
from agent.llm.failures import Words
from agent.llm.stream import Intake
from agent.llm.transport import Forbidden, Guarded, TooLarge
from agent.llm.types import Message, ModelError, OnSend, OnText, Reply, ToolSchema, tokens
from agent.llm.wire import Gather
from tools.errors import SettingsError
from tools.http import http_date, retry_after
from tools.types import JsonObject

MAX_RETRIES: Final = 2
RETRY_STATUS: Final = frozenset({429, 500, 502, 503, 504})
BACKOFF_SECONDS: Final = (0.5, 2.0)
"""Longest pause before the first and the second retry; the real one is between half of it and all."""
_REFUSALS: Final = frozenset({400, 404, 422, 501})
"""Statuses with which servers refuse a feature."""


class _Answered(Exception):
    """An answer that is no success."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response.status_code)
        self.code = response.status_code
        self.text = response.content.decode("utf-8", "replace")
        self.value: JsonValue
        try:
            self.value = json.loads(self.text)
        except (ValueError, RecursionError):
            self.value = None
        self.wait = _wait(response.headers)

    @property
    def may_pass(self) -> bool:
        """True where the same request may succeed a little later."""
        return self.code in RETRY_STATUS and "insufficient_quota" not in self.text


class _Unsent(Exception):
    """A request that got no answer at all; `error` says why."""

    def __init__(self, error: ModelError, *, may_pass: bool) -> None:
        super().__init__(error.message)
        self.error, self.may_pass = error, may_pass


class OpenAIChat:
    """A chat-completions endpoint. Raises SettingsError for settings it cannot use; nothing is sent yet."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        check(endpoint)
        self.model = endpoint.model
        self.address = endpoint.base_url.rstrip("/")
        self.capabilities = endpoint.capabilities or Capabilities()
        self.requests = 0
        """Requests sent so far, retries and refused ones included."""
        self._endpoint, self._sleep, self._jitter = endpoint, sleep, jitter
        self._host = urlsplit(self.address).netloc
        self._words = Words(endpoint.secrets, endpoint.private)
        self._client = _client(endpoint, self.address)

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        *,
        seconds: float,
        max_output: int,
        must_call: str = "",
        on_text: OnText | None = None,
        on_send: OnSend | None = None,
    ) -> Reply:
        """One reply within `seconds`, retries and fallbacks included. Raises ModelError, which says what was spent."""
        ask = _Ask(messages, tools, max_output, must_call, on_text, time.monotonic() + seconds, Tally(on_send))
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self._adapted(ask)
        except ModelError as error:
            raise self._words.again(error, spent=ask.tally.all) from None
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"{self._host} gave no whole reply within {seconds:g} s"
            raise self._words.error("timeout", message, spent=ask.tally.all) from None

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    # --- fallbacks -----------------------------------------------------------------------------------------

    async def _adapted(self, ask: _Ask) -> Reply:
        """Give up what the endpoint refuses until it answers; remember it only once it did."""
        can, unnamed = self.capabilities, 0
        for _ in range(len(ORDER) + UNNAMED_TRIES + 1):
            body = self._body(ask, can)
            try:
                reply = await self._retried(ask, body)
            except _Unsent as unsent:
                raise unsent.error from None
            except _Answered as answer:
                with self._reading():
                    feature, by_name = self._refused(answer, bodies.used(body))
                unnamed += 0 if by_name else 1
                if feature is None or unnamed > UNNAMED_TRIES or not ask.tally.left:
                    raise self._status(answer) from None
                can = can.without(feature)
            else:
                self.capabilities = can
                return reply
        raise ModelError("server", f"{self._host} refuses every form of the request")

    def _refused(self, answer: _Answered, used: frozenset[Feature]) -> tuple[Feature | None, bool]:
        """The feature to give up after a refusal, and whether the refusal named it."""
        kind = self._status(answer).kind
        page = answer.value is None and answer.text.lstrip().startswith("<")
        if answer.code not in _REFUSALS or page or kind in ("model", "too-large", "refused"):
            return None, True
        if (feature := named(answer.text[:4096], used)) is not None:
            return feature, True
        return (next_unnamed(used), False) if answer.code in (400, 422) else (None, True)

    def _body(self, ask: _Ask, can: Capabilities) -> JsonObject:
        return bodies.build(
            ask.messages,
            ask.tools,
            model=self.model,
            can=can,
            max_output=ask.max_output,
            must_call=ask.must_call,
        )

    # --- retries -------------------------------------------------------------------------------------------

    async def _retried(self, ask: _Ask, body: JsonObject) -> Reply:
        for attempt in range(min(MAX_RETRIES, ask.tally.left - 1)):
            try:
                return await self._once(ask, body)
            except _Answered as answer:
                if not answer.may_pass:
                    raise
                await self._pause(attempt, ask, answer)
            except _Unsent as unsent:
                if not unsent.may_pass:
                    raise
                await self._pause(attempt, ask, unsent)
        return await self._once(ask, body)

    async def _pause(self, attempt: int, ask: _Ask, failed: _Answered | _Unsent) -> None:
        """Wait before the next attempt, as long as the server asks; where that does not fit, fail now."""
        wait = BACKOFF_SECONDS[attempt] * (0.5 + 0.5 * self._jitter())
        if isinstance(failed, _Answered) and failed.wait is not None:
            wait = failed.wait
        if time.monotonic() + wait < ask.until:
            await self._sleep(wait)
        elif isinstance(failed, _Answered) and failed.wait is not None:
            message = f"{self._host} asks to wait {wait:g} s (status {failed.code}), longer than there is time for"
            raise self._words.error("limit", message)
        else:
            raise failed

    # --- one request ---------------------------------------------------------------------------------------

    async def _once(self, ask: _Ask, body: JsonObject) -> Reply:
        sent = tokens(json.dumps(body, ensure_ascii=False))
        ask.tally.send(sent)
        self.requests += 1
        gather = Gather(
            offered=[tool.name for tool in ask.tools],
            prefix=f"c{self.requests % 1000:03d}",  # nine letters and digits at most: the ids some servers insist on
            shown=self._words.plain,
            asked=self.model,
            sent=sent,
            max_output=ask.max_output,
        )
        try:
            async with self._response(body) as response:
                await self._take(response, gather, ask.on_text)
        except _Unsent as unsent:
            if unsent.error.kind == "address":
                ask.tally.unsent()
            raise
        except TooLarge as error:
            raise ModelError("too-large", str(error)) from None
        except httpx2.HTTPError:
            if not gather.finish:
                raise ModelError("cut", f"{self._host} broke the connection off inside its reply") from None
        finally:
            if gather.begun:
                ask.tally.open = gather.spent
        with self._reading():
            return gather.reply().model_copy(update={"earlier": ask.tally.done})

    @asynccontextmanager
    async def _response(self, body: JsonObject) -> AsyncIterator[httpx2.Response]:
        """The answer, its body unread. Raises _Answered and _Unsent; always lets go of the connection."""
        try:
            with self._reading(openai.APIStatusError, openai.APIConnectionError):
                response = await self._client.post(
                    "/chat/completions",
                    cast_to=httpx2.Response,
                    body=body,
                    stream=True,
                    stream_cls=openai.AsyncStream[httpx2.Response],
                )
        except openai.APIStatusError as error:
            with self._reading():
                answered = _Answered(error.response)
            raise answered from None
        except openai.APIConnectionError as error:
            raise self._unsent(error) from None
        assert isinstance(response, httpx2.Response)
        try:
            yield response
        finally:
            await response.aclose()

    async def _take(self, response: httpx2.Response, gather: Gather, on_text: OnText | None) -> None:
        intake, told = Intake(gather), 0
        async with aclosing(self._chunks(response)) as chunks:
            async for chunk in chunks:
                with self._reading():
                    intake.feed(chunk)
                if on_text is not None and gather.characters != told:
                    told = gather.characters
                    on_text(told)
                if gather.done:
                    return  # some servers keep the connection open after the end
        with self._reading():
            intake.end()

    async def _chunks(self, response: httpx2.Response) -> AsyncGenerator[bytes, None]:
        """Chunks of a body; once the first has come, a silence of `idle_seconds` ends it."""
        chunks = aiter(response.aiter_raw())
        begun = False
        while True:
            try:
                with self._reading(httpx2.HTTPError, TimeoutError):
                    async with asyncio.timeout(self._endpoint.idle_seconds if begun else None):
                        chunk = await anext(chunks, None)
            except TimeoutError:
                message = f"{self._host} fell silent for {self._endpoint.idle_seconds:g} s inside its reply"
                raise ModelError("timeout", message) from None
            if chunk is None:
                return
            begun = True
            yield chunk

    # --- errors --------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self, *expected: type[Exception]) -> Iterator[None]:
        """Whatever a server's bytes break on the way to a reply, other than `expected`, is a reply that is none."""
        passed: tuple[type[Exception], ...] = (ModelError, *expected)
        try:
            yield
        except passed:
            raise
        except Exception as error:
            message = f"{self._host} answered in a form that cannot be read ({type(error).__name__})"
            raise ModelError("unreadable", message) from error

    def _status(self, answer: _Answered) -> ModelError:
        return failures.status(
            answer.code, answer.text, answer.value, words=self._words, model=self.model, address=self._host
        )

    def _unsent(self, error: openai.APIConnectionError) -> _Unsent:
        if isinstance(error.__cause__, Forbidden):
            return _Unsent(ModelError("address", str(error.__cause__)), may_pass=False)
        made = failures.connection(error, words=self._words, address=self._host)
        return _Unsent(made, may_pass=made.hint not in failures.LASTING)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What `complete` was asked for."""

    messages: Sequence[Message]
    tools: Sequence[ToolSchema]
    max_output: int
    must_call: str
    on_text: OnText | None
    until: float
    """Deadline on the monotonic clock."""
    tally: Tally


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds a server asks to wait, as a number, or as a date by the server's own clock."""
    if (seconds := retry_after(headers)) is not None:
        return seconds
    now, until = http_date(headers.get("Date")), http_date(headers.get("Retry-After"))
    return None if now is None or until is None else max(0.0, until - now)


def _client(endpoint: Endpoint, address: str) -> openai.AsyncOpenAI:
    """The client: no retries, redirects, proxies or OPENAI_ variables of its own."""
    key = endpoint.key.strip()
    headers = {"user-agent": "plumbline", **endpoint.headers}
    if key:
        headers["authorization"] = f"Bearer {key}"
    http = httpx2.AsyncClient(
        transport=Guarded(headers, tls=address.startswith("https:")),
        timeout=httpx2.Timeout(None, connect=endpoint.connect_seconds),
        follow_redirects=False,
        trust_env=False,
    )
    try:
        return openai.AsyncOpenAI(
            api_key=key or "none", base_url=address, max_retries=0, timeout=http.timeout, http_client=http
        )
    except httpx2.InvalidURL as error:
        raise SettingsError(f"the model's base URL cannot be used: {error}") from None

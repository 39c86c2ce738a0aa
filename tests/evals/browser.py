"""A real browser, driven over the Chrome DevTools Protocol: what it lays out, asks for and complains about."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tools import fields
from tools.types import JsonObject

CHROMIUM = os.environ.get("PLUMBLINE_TEST_CHROMIUM") or shutil.which("chromium") or ""
SECONDS = 60


class Page:
    """A tab, and what was heard from it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last = 0
        self.heard: list[JsonObject] = []
        """Events in order."""

    async def do(self, method: str, **params: object) -> JsonObject:
        """The result of a method of the protocol; raises AssertionError where the browser refuses it."""
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": params})
        while True:
            told = await self._next()
            if told.get("id") == self._last:
                assert "error" not in told, told
                return fields.mapping(told, "result")

    async def _next(self) -> JsonObject:
        message = await asyncio.wait_for(self._socket.receive_json(), SECONDS)
        assert isinstance(message, dict)
        if "method" in message:
            self.heard.append(message)
        return message

    async def open(self, url: str) -> None:
        """Go there, and wait for the end of loading."""
        await self.do("Page.navigate", url=url)
        while not any(one["method"] == "Page.loadEventFired" for one in self.heard):
            await self._next()

    async def value(self, script: str) -> object:
        """What a line of JavaScript gives; the policy of the page does not bind the debugger."""
        told = await self.do("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return fields.mapping(told, "result").get("value")

    async def picture(self) -> bytes:
        """The tab as PNG."""
        return base64.b64decode(fields.text(await self.do("Page.captureScreenshot"), "data"))

    def requested(self) -> list[str]:
        """Addresses asked for."""
        asked = [one for one in self.heard if one["method"] == "Network.requestWillBeSent"]
        return [fields.text(one, "params", "request", "url") for one in asked]

    def complaints(self) -> list[str]:
        """Texts of the browser's log."""
        said = [one for one in self.heard if one["method"] == "Log.entryAdded"]
        return [fields.text(one, "params", "entry", "text") for one in said]


@asynccontextmanager
async def browser(profile: Path, *, width: int = 1000) -> AsyncIterator[Page]:
    """A headless browser with one tab."""
    program = await asyncio.create_subprocess_exec(
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        f"--window-size={width},900", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await asyncio.wait_for(_port(program), SECONDS)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tabs = await answer.json()
            where = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            async with session.ws_connect(where, max_msg_size=64 << 20) as socket:
                page = Page(socket)
                for domain in ("Page", "Network", "Log"):
                    await page.do(f"{domain}.enable")
                yield page
    finally:
        program.terminate()
        await program.communicate()


async def _port(program: asyncio.subprocess.Process) -> int:
    """The port that the browser says it listens on."""
    assert program.stderr is not None
    async for line in program.stderr:
        if b"DevTools listening on" in line:
            return int(line.decode().split("127.0.0.1:")[1].split("/")[0])
    raise AssertionError("the browser ended before it listened")

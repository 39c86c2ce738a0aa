"""The only place that starts a program: exec credential plugins, once each, before the process locks itself down.

Rules: a plugin runs only when its absolute path is allowed; no shell, no standard input, own process group, a
timeout, bounded output; what it says on stderr is shown in one line, what it says on stdout never is.
Protocol: kubernetes.io/docs/reference/config-api/client-authentication.v1.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from tools.errors import CredentialsError

PLUGIN_SECONDS: Final = 30.0
"""A plugin that asks a browser or a person never answers in this time, and must not: nobody is there to answer."""
END_SECONDS: Final = 2.0
"""How long a killed plugin may take to be gone; a child that left its group may hold the pipes open."""
OUTPUT_BYTES: Final = 1 << 20
API_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class Issued:
    """What a plugin handed out. Never printed."""

    token: str = field(default="", repr=False)
    cert: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)


async def run_plugin(
    command: str,
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    api_version: str,
    folder: Path,
    allowed: Sequence[str],
    hint: str = "",
    seconds: float = PLUGIN_SECONDS,
) -> Issued:
    """Run one plugin and read its ExecCredential. Raises CredentialsError, saying what to do."""
    program = _program(command, folder, hint)
    if program not in allowed:
        raise CredentialsError(
            f"the kubeconfig wants to run {program}, which is not allowed",
            hint=f"add {program} to the allowed credential plugins in the settings, or use a token",
        )
    if api_version not in API_VERSIONS:
        raise CredentialsError(
            f"{program} speaks {api_version[:60] or 'no version'}", hint=f"use a plugin for {API_VERSIONS[0]}"
        )
    info = {"apiVersion": api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    given = {**os.environ, **env, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    code, out, err = await _run(program, args, given, seconds)
    if code != 0:
        said = " ".join(err.decode("utf-8", "replace").split())[:200]
        said = "".join(c for c in said if c.isprintable())
        raise CredentialsError(f"{program} failed with code {code}: {said}", hint="log in with it first")
    return _issued(program, out)


async def _run(program: str, args: Sequence[str], env: Mapping[str, str], seconds: float) -> tuple[int, bytes, bytes]:
    try:
        process = await asyncio.create_subprocess_exec(
            program, *args, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=env, start_new_session=True
        )
    except OSError as error:
        raise CredentialsError(f"{program} cannot be run: {error.strerror}", hint="install it again") from error
    try:
        async with asyncio.timeout(seconds):
            out, err = await _drain(process)
            if max(len(out), len(err)) > OUTPUT_BYTES:
                raise CredentialsError(f"{program} wrote more than 1 MiB", hint="this is no credential plugin")
            return await process.wait(), out, err
    except TimeoutError as error:
        raise CredentialsError(f"{program} gave no credential in {seconds:g} s", hint="log in with it first") from error
    finally:
        await _end(process)


def _program(command: str, folder: Path, hint: str) -> str:
    """Absolute path of a command as kubectl finds it: on PATH, or relative to the kubeconfig when it has a slash."""
    found = str(Path(folder, command).absolute()) if "/" in command else shutil.which(command)
    if not command or found is None or not os.access(found, os.X_OK):
        said = " ".join(hint.split())[:200]
        raise CredentialsError(f"credential plugin {command[:80]!r} is not installed", hint=said or "install it")
    return os.path.normpath(found)


async def _drain(process: Process) -> tuple[bytes, bytes]:
    assert process.stdout is not None  # both were asked for as pipes
    assert process.stderr is not None
    out, err = await asyncio.gather(_bounded(process.stdout, process), _bounded(process.stderr, process))
    return out, err


async def _bounded(stream: asyncio.StreamReader, process: Process) -> bytes:
    """All of a stream, or a little more than OUTPUT_BYTES of it: then the plugin is killed."""
    held = bytearray()
    while len(held) <= OUTPUT_BYTES and (chunk := await stream.read(1 << 16)):
        held += chunk
    if len(held) > OUTPUT_BYTES:
        _kill(process)
    return bytes(held)


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _end(process: Process) -> None:
    """Kill whatever of the plugin still runs, and collect its exit. What it left in the pipes is thrown away:
    a full pipe would keep asyncio from noticing the exit."""
    _kill(process)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            await asyncio.gather(_discard(process.stdout), _discard(process.stderr))
            await process.wait()


async def _discard(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(1 << 16):
        pass


def _issued(program: str, out: bytes) -> Issued:
    try:
        parsed: JsonValue = json.loads(out)
    except (ValueError, RecursionError):
        parsed = None
    status = parsed.get("status") if isinstance(parsed, dict) else None
    fields = {key: value for key, value in status.items() if isinstance(value, str)} if isinstance(status, dict) else {}
    cert, key = fields.get("clientCertificateData", ""), fields.get("clientKeyData", "")
    token = fields.get("token", "")
    if not token and not (cert and key):
        raise CredentialsError(f"{program} handed out no credential", hint="log in with it first")
    return Issued(token=token, cert=cert.encode() or None, key=key.encode() or None)

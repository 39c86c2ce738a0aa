"""Takes variables out of the environment that would make a library send data, or send it elsewhere, behind our back.

Rules: imports nothing slow, because it runs before everything else; what it takes away it names; only an explicit
opt-in of the user keeps tracing. What counts was read in the sources of langsmith 0.15 (`utils.get_env_var`) and
openai 3.57 (`lib/_client_auth.py`, `_utils/_logs.py`, the module's own globals).
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

ALLOW_LANGSMITH = "PLUMBLINE_ALLOW_LANGSMITH"
TRACING = ("LANGSMITH_", "LANGCHAIN_")
"""Whatever begins so: LangGraph brings langsmith along, and tracing uploads whole states."""
LANGSMITH = "https://api.smith.langchain.com"
"""Where langsmith uploads when no endpoint is given."""
CLIENT = ("OPENAI_", "AZURE_OPENAI_")
KEPT = ("OPENAI_API_KEY",)
"""The name under which users keep their key: settings read it, and a client that is given a key does not."""


def langsmith_allowed(environ: Mapping[str, str]) -> bool:
    """Whether the user opted in to LangSmith tracing."""
    return environ.get(ALLOW_LANGSMITH, "").strip().lower() == "true"


def langsmith_urls(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses that tracing needs once it is allowed, for the lockdown; none where it is not."""
    if not langsmith_allowed(environ):
        return ()
    return (environ.get("LANGSMITH_ENDPOINT") or environ.get("LANGCHAIN_ENDPOINT") or LANGSMITH,)


def scrub(environ: MutableMapping[str, str]) -> tuple[str, ...]:
    """Take away tracing variables, unless the user opted in; call it before anything imports langgraph.

    Returns the names that went, sorted.
    """
    return () if langsmith_allowed(environ) else _take(environ, TRACING, ())


def scrub_client(environ: MutableMapping[str, str]) -> tuple[str, ...]:
    """Take away what steers the openai client beside its arguments: base URL, organisation, headers, log level.

    Call it once the settings were read and before openai is imported. Returns the names that went, sorted.
    """
    return _take(environ, CLIENT, KEPT)


def _take(environ: MutableMapping[str, str], prefixes: tuple[str, ...], kept: tuple[str, ...]) -> tuple[str, ...]:
    names = sorted(name for name in environ if name.startswith(prefixes) and name not in kept)
    for name in names:
        del environ[name]
    return tuple(names)

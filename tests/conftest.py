"""Rules for every test: loopback only, strict checkpoints, no tracing, one deterministic Hypothesis profile."""

from __future__ import annotations

import os

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
for _name in [n for n in os.environ if n.startswith(("LANGSMITH_", "LANGCHAIN_", "PLUMBLINE_STATE", "PLUMBLINE_PROM"))]:
    del os.environ[_name]
os.environ.pop("KUBECONFIG", None)

import ipaddress
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "plumbline",
    deadline=None,
    derandomize=True,
    print_blob=False,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("plumbline")

MEMORY = Path("/dev/shm")


@pytest.fixture
def state_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run of a scenario keeps an audit log that is synced line by line; nobody needs it after the run."""
    if MEMORY.is_dir():
        monkeypatch.setattr(tempfile, "tempdir", str(MEMORY))


_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


def _loopback(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = str(address[0])
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """No test reaches beyond this machine, unless it runs against a real cluster on purpose."""
    if "PLUMBLINE_TEST_KUBECONFIG" in os.environ:
        yield
        return

    def connect(self: socket.socket, address: object) -> None:
        if not _loopback(address):
            raise AssertionError(f"a test tried to reach {address!r}")
        _connect(self, address)  # type: ignore[arg-type]

    def connect_ex(self: socket.socket, address: object) -> int:
        if not _loopback(address):
            raise AssertionError(f"a test tried to reach {address!r}")
        return _connect_ex(self, address)  # type: ignore[arg-type]

    socket.socket.connect = connect  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = connect_ex  # type: ignore[method-assign,assignment]
    yield
    socket.socket.connect = _connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign]


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of the test's own, for our code and for the commands it starts."""
    path = tmp_path / "state"
    monkeypatch.setenv("PLUMBLINE_STATE_DIR", str(path))
    return path


def _size(item: pytest.Item) -> int | None:
    """Examples of a property test, as its settings say."""
    chosen = getattr(getattr(item, "obj", None), "_hypothesis_internal_use_settings", None)
    return getattr(chosen, "max_examples", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note the size of each slice of a large proof, so that the run can print it."""
    for item in items:
        if "guarantees" in item.nodeid and (size := _size(item)) is not None:
            item.user_properties.append(("size", size))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how large each slice was; `make prove` runs the full numbers."""
    sizes: dict[str, int] = {}
    for report in terminalreporter.stats.get("passed", []):
        size = dict(getattr(report, "user_properties", [])).get("size")
        if report.when == "call" and isinstance(size, int):
            name = Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")
            sizes[name] = sizes.get(name, 0) + size
    if sizes:
        listed = ", ".join(f"{name} {size:,}" for name, size in sorted(sizes.items()))
        terminalreporter.write_line(f"examples of each proof in this run: {listed}")

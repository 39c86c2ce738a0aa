"""G26: under each fault of a server the result is right or explicitly partial, never silently incomplete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.ports.faults import POD_NAMES, FaultServer
from tools.errors import (
    BadAnswer,
    CredentialsError,
    Denied,
    NotFound,
    NotServed,
    PlumblineError,
    Unavailable,
)
from tools.kube.connect import KubeTarget, connect
from tools.kube.port import LiveKube
from tools.prom.connect import connect_prom
from tools.prom.port import LiveProm
from tools.types import KindRef, WireLimits

POD = KindRef(kind="Pod")
SMALL = WireLimits(page_bytes=1 << 16, call_bytes=1 << 18, seconds=10.0, page_items=4)
RIGHT, PARTIAL = "right", "partial"
Outcome = str | type[PlumblineError]

HANGING = ("hang", "hang in body", "slow loris")

KUBE: dict[str, tuple[Outcome, Outcome]] = {
    # fault: (outcome of a list, outcome of a get)
    "latency": (RIGHT, RIGHT),
    "gzip": (RIGHT, RIGHT),
    "hang": (Unavailable, Unavailable),
    "hang in body": (Unavailable, Unavailable),
    "slow loris": (Unavailable, Unavailable),
    "reset": (Unavailable, Unavailable),
    "reset in body": (Unavailable, Unavailable),
    "cut json": (BadAnswer, BadAnswer),
    "cut chunks": (Unavailable, Unavailable),
    "length too long": (Unavailable, Unavailable),
    "length too short": (Unavailable, Unavailable),
    "html": (BadAnswer, BadAnswer),
    "deep json": (PARTIAL, BadAnswer),
    "redirect": (BadAnswer, BadAnswer),
    "broken gzip": (BadAnswer, BadAnswer),
    "other encoding": (BadAnswer, BadAnswer),
    "garbage": (Unavailable, Unavailable),
    "endless": (PARTIAL, BadAnswer),
    "gzip bomb": (PARTIAL, BadAnswer),
    "400": (BadAnswer, BadAnswer),
    "401": (CredentialsError, CredentialsError),
    "403": (Denied, Denied),
    "404": (NotServed, NotServed),
    "410": (PARTIAL, Unavailable),
    "422": (BadAnswer, BadAnswer),
    "429+3600": (Unavailable, Unavailable),
    "500": (Unavailable, Unavailable),
    "503": (Unavailable, Unavailable),
}
NEVER_RETRIED = ("400", "401", "403", "404", "422", "429+3600", "redirect", "html", "cut json")

PROM: dict[str, Outcome] = {fault: outcome for fault, (_, outcome) in KUBE.items() if fault != "410"}
PROM |= {"404": BadAnswer, "410": BadAnswer, "length too short": BadAnswer}


@pytest.fixture(autouse=True)
def no_pause_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries happen at once: what is tested is whether, not when."""
    monkeypatch.setattr("tools.http.BACKOFF_SECONDS", (0.0, 0.0))


async def _list(port: LiveKube) -> str:
    names: list[str] = []
    truncated = ""
    async for page in port.pages(POD, namespace="search", wire=SMALL):
        names += [str(item["metadata"]["name"]) for item in page.items]  # type: ignore[index,call-overload]
        truncated = truncated or page.truncated
    if truncated:
        return PARTIAL
    assert names == list(POD_NAMES), "silently incomplete"
    return RIGHT


async def _get(port: LiveKube) -> str:
    found = await port.get(POD, namespace="search", name="p0")
    assert found["metadata"] == {"name": "p0", "namespace": "search", "uid": "uid-p0"}
    return RIGHT


async def _outcome(work: Awaitable[str]) -> Outcome:
    try:
        return await work
    except PlumblineError as error:
        return type(error) if len(str(error).splitlines()) == 1 else f"not one line: {error}"


async def _kube(
    tmp_path: Path, fault: str, *, match: str, work: Callable[[LiveKube], Awaitable[str]], times: int = 1 << 30
) -> tuple[Outcome, FaultServer]:
    """Play `fault` on targets holding `match` while `work` runs; discovery has happened before."""
    seconds = 0.25 if fault in HANGING else 20.0
    async with FaultServer() as server:
        config = server.kubeconfig(tmp_path / f"{server.port}.json")
        async with await connect(KubeTarget(kubeconfig=config, request_timeout=seconds)) as port:
            await port.discovery()
            server.seen.clear()
            server.fault, server.match, server.times = fault, match, times
            return await _outcome(work(port)), server


def _kind(outcome: Outcome) -> Outcome:
    """The class of the error tree an outcome belongs to."""
    if isinstance(outcome, str):
        return outcome
    tree: tuple[type[PlumblineError], ...] = (
        BadAnswer,
        CredentialsError,
        Denied,
        NotFound,
        NotServed,
        Unavailable,
    )
    return next(kind for kind in tree if issubclass(outcome, kind))


@pytest.mark.parametrize(("column", "match"), [(0, "/pods?"), (1, "/pods/p0")], ids=["list", "get"])
async def test_each_fault_of_the_api_server_ends_as_the_table_says(tmp_path: Path, column: int, match: str) -> None:
    work = (_list, _get)[column]
    results = await asyncio.gather(*(_kube(tmp_path, fault, match=match, work=work) for fault in KUBE))
    got = {fault: _kind(outcome) for fault, (outcome, _) in zip(KUBE, results, strict=True)}
    assert got == {fault: row[column] for fault, row in KUBE.items()}
    for fault, (_, server) in zip(KUBE, results, strict=True):
        if fault in NEVER_RETRIED:
            assert len(server.seen) == 1, fault


@pytest.mark.parametrize("fault", ["reset", "reset in body", "500", "503", "429+0", "cut chunks"])
async def test_a_passing_fault_is_retried_and_the_result_is_right(tmp_path: Path, fault: str) -> None:
    outcome, server = await _kube(tmp_path, fault, match="/pods?", work=_list, times=1)
    assert outcome == RIGHT
    assert len(server.seen) == 4


@pytest.mark.parametrize("fault", ["reset in body", "cut json", "503", "403", "401", "html"])
async def test_a_list_that_breaks_on_its_second_page_is_an_error(tmp_path: Path, fault: str) -> None:
    outcome, _ = await _kube(tmp_path, fault, match="continue=1", work=_list)
    assert _kind(outcome) == KUBE[fault][0]


async def test_an_expired_list_starts_again_once_and_delivers_each_object_once(tmp_path: Path) -> None:
    outcome, server = await _kube(tmp_path, "410", match="continue=1", work=_list, times=1)
    assert outcome == RIGHT
    assert [seen.query.get("continue") for seen in server.seen] == [None, "1", None, "1", "2"]


async def test_a_list_that_expires_twice_is_partial(tmp_path: Path) -> None:
    outcome, _ = await _kube(tmp_path, "410", match="continue=1", work=_list)
    assert outcome == PARTIAL


async def test_one_group_that_fails_discovery_costs_no_other_group(tmp_path: Path) -> None:
    async with FaultServer(fault="503", match="/apis/broken.example.com") as server:
        config = server.kubeconfig(tmp_path / "config")
        async with await connect(KubeTarget(kubeconfig=config)) as port:
            assert await _list(port) == RIGHT
            with pytest.raises(Unavailable, match=r"broken\.example\.com"):
                await port.get(KindRef(group="broken.example.com", kind="Widget"), namespace="a", name="b")
            with pytest.raises(NotServed):
                await port.get(KindRef(group="apps", kind="Nothing"), namespace="a", name="b")


async def _instant(port: LiveProm) -> str:
    answer = await port.instant("up", at=1.5, wire=SMALL)
    assert [one.labels["pod"] for one in answer.series] == ["a", "b", "c", "d"]
    return RIGHT


async def _prom(fault: str, times: int = 1 << 30) -> tuple[Outcome, FaultServer]:
    async with FaultServer(fault=fault, match="/api/v1/query", times=times) as server:
        seconds = 0.25 if fault in HANGING else 20.0
        async with connect_prom(server.url, request_timeout=seconds) as port:
            return await _outcome(_instant(port)), server


async def test_each_fault_of_prometheus_ends_as_the_table_says() -> None:
    results = await asyncio.gather(*(_prom(fault) for fault in PROM))
    got = {fault: _kind(outcome) for fault, (outcome, _) in zip(PROM, results, strict=True)}
    assert got == PROM
    for fault, (_, server) in zip(PROM, results, strict=True):
        if fault in NEVER_RETRIED:
            assert len(server.seen) == 1, fault


@pytest.mark.parametrize("fault", ["reset", "503", "429+0", "reset in body"])
async def test_a_passing_fault_of_prometheus_is_retried(fault: str) -> None:
    outcome, server = await _prom(fault, times=1)
    assert outcome == RIGHT
    assert len(server.seen) == 2


async def test_a_partial_answer_keeps_its_warnings() -> None:
    async with FaultServer() as server, connect_prom(server.url) as port:
        answer = await port.instant("up", at=1.5)
        assert answer.warnings == ("one store did not answer", "PromQL info: metric might not be a counter")

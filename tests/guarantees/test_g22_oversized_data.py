"""G22: any response is cut at its byte cap while it streams, and says so."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from pydantic import JsonValue

from tests.ports.faults import Answer, FaultServer, Seen, healthy
from tools.http import Body
from tools.kube.connect import KubeTarget, connect
from tools.types import KindRef, WireLimits

ROOT = Path(__file__).parents[2]
MOST_BYTES = 32 << 20
"""Growth of the peak of resident memory that a 10 GiB body may cost."""


@pytest.mark.parametrize("fault", ["endless", "gzip bomb"])
async def test_ten_gibibytes_cost_less_than_32_mib_and_say_so(tmp_path: Path, fault: str) -> None:
    async with FaultServer() as good, FaultServer(fault=fault) as bad:
        # Discovery must work for a list to be tried: only what holds the objects is played with.
        bad.fault = ""
        bad.answer = _only_objects(bad, fault)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.ports.hungry",
            good.kubeconfig(tmp_path / "good"),
            good.url,
            bad.kubeconfig(tmp_path / "bad"),
            bad.url,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(child.communicate(), 60)
    report = json.loads(out)
    print(f"{fault}: grown by {report['grown'] >> 20} MiB")
    assert report["grown"] < MOST_BYTES
    said = report["said"]
    assert "larger than 4096 KiB" in said["bulk list"]
    assert "larger than 1024 KiB" in said["interactive list"]
    assert said["get"].startswith("BadAnswer: the answer to /api/v1/namespaces/search/pods/p0 is larger than")
    assert said["log"] == "1000 truncated=True"
    assert said["instant"].startswith("BadAnswer: the answer of Prometheus is larger than")
    assert said["series"].startswith("BadAnswer: the answer of Prometheus is larger than")


def _only_objects(server: FaultServer, fault: str) -> Answer:
    def answer(seen: Seen) -> tuple[int, JsonValue | bytes]:
        server.fault = fault if "pods" in seen.path or "query" in seen.path or "series" in seen.path else ""
        return healthy(seen)

    return answer


async def test_a_page_above_its_limit_is_read_in_smaller_pieces(tmp_path: Path) -> None:
    """100 pods of about 1 kB through pages of 20 kB: all of them arrive, and no page is above the limit."""
    async with FaultServer(answer=_padded_pods(count=100, size=1000)) as server:
        config = server.kubeconfig(tmp_path / "config")
        async with await connect(KubeTarget(kubeconfig=config)) as port:
            wire = WireLimits(page_bytes=20_000, call_bytes=1 << 20, seconds=10.0)
            pages = [page async for page in port.pages(KindRef(kind="Pod"), namespace=None, wire=wire)]
    assert [page.truncated for page in pages] == [""] * len(pages)
    assert sum(len(page.items) for page in pages) == 100


async def test_a_call_above_its_limit_says_how_many_objects_are_missing(tmp_path: Path) -> None:
    async with FaultServer(answer=_padded_pods(count=100, size=1000)) as server:
        config = server.kubeconfig(tmp_path / "config")
        async with await connect(KubeTarget(kubeconfig=config)) as port:
            wire = WireLimits(page_bytes=20_000, call_bytes=50_000, seconds=10.0, page_items=10)
            pages = [page async for page in port.pages(KindRef(kind="Pod"), namespace=None, wire=wire)]
    read = sum(len(page.items) for page in pages)
    assert 40 <= read < 50
    assert f"{100 - read} more of the pods were not read" in pages[-1].truncated


def _padded_pods(*, count: int, size: int) -> Answer:
    def answer(seen: Seen) -> tuple[int, JsonValue | bytes]:
        if not seen.path.endswith("/pods"):
            return healthy(seen)
        start, limit = int(seen.query.get("continue", "0")), int(seen.query["limit"])
        end = min(start + limit, count)
        items: list[JsonValue] = [
            {"metadata": {"name": f"p{i}", "uid": f"u{i}"}, "x": "x" * size} for i in range(start, end)
        ]
        meta: dict[str, JsonValue] = {} if end == count else {"continue": str(end), "remainingItemCount": count - end}
        return 200, {"kind": "PodList", "metadata": meta, "items": items}

    return answer


@pytest.mark.parametrize("chunk", [1, 7, 65536])
def test_a_body_holds_exactly_its_limit_and_knows_that_it_was_cut(chunk: int) -> None:
    for size, limit in ((100, 99), (100, 100), (100, 101)):
        body = Body(limit=limit)
        data = bytes(range(size))
        for start in range(0, size, chunk):
            if not body.feed(data[start : start + chunk]):
                break
        assert bytes(body.finish()) == data[:limit]
        assert body.cut == (size > limit)

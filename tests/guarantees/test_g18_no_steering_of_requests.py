"""G18: no value a model or a cluster supplies can alter host, port, path template, header or credential."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ports.faults import FaultServer, Seen
from tools.errors import CredentialsError, PlumblineError, SettingsError, TargetError
from tools.kube import routes
from tools.kube.connect import KubeTarget, connect
from tools.kube.kubeconfig import load
from tools.kube.port import LiveKube
from tools.prom.connect import connect_prom
from tools.prom.port import LiveProm
from tools.types import AccessCheck, ApiResource, KindRef

POD = KindRef(kind="Pod")
TOKEN = "secret-token"
HOSTILE = (
    "--server=https://attacker.example", "-s=https://attacker.example", "../../secrets/x", "..", ".", "%2e%2e",
    "%2e%2e%2f", "a/../../secrets", "a%2fb", "a\r\nX-Injected: 1", "a\nHost: attacker.example",
    "user:pw@attacker.example", "@attacker.example", "http://attacker.example/", "//attacker.example", "a?watch=true",
    "a#b", "a;b", "a b", "", "\x00", "\uff41", "a\u2025", "A" * 300, "a&limit=0", "a%00", "p0/log", "p0/exec",
    "p0/portforward", "*", "{name}", "$(id)", "`id`", "a\\b", "\u202e", "p0%0d%0aX: y", "\u2028", "x\ty", "....//",
    "p0/../p1", "p0//", "/p0", "p0/", "~", "a,b", "a=b", "a:b", "\u00c9", "\u00df", "\u00b9", "p0\n",
)  # fmt: skip
MEMBER = re.compile(
    r"/api/v1/namespaces/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/pods/[A-Za-z0-9][A-Za-z0-9._:-]{0,252}(/log)?"
)
COLLECTION = re.compile(r"/api/v1(/namespaces/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?/pods")
PROMETHEUS = re.compile(r"/api/v1/(query|query_range|series|alerts|label/[A-Za-z_][A-Za-z0-9_]*/values)")
DISCOVERY = {"/api", "/apis", "/version", "/api/v1", "/apis/apps/v1"}
DISCOVERY |= {"/apis/broken.example.com/v1", "/apis/broken.example.com/v2"}
REVIEWS = {routes.ACCESS_REVIEW, routes.SELF_REVIEW}
HEADERS = {
    "host",
    "authorization",
    "accept",
    "accept-encoding",
    "user-agent",
    "content-type",
    "content-length",
    "connection",
}
QUERY = {"labelSelector", "fieldSelector", "limit", "continue", "container", "tailLines", "limitBytes", "previous"}

POISON = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.text(alphabet="ab./%2e@:\r\n?#&=\\-", max_size=24),
    st.tuples(st.sampled_from(HOSTILE), st.sampled_from(HOSTILE)).map("".join),
)


def check_kube(seen: Seen, port: int) -> None:
    """Assert that one request has the host, the headers, the path and the parameters of the route table."""
    assert seen.header("host") == [f"127.0.0.1:{port}"]
    assert seen.header("authorization") == [f"Bearer {TOKEN}"]
    assert {key.lower() for key, _ in seen.headers} <= HEADERS
    assert len(seen.headers) == len({key.lower() for key, _ in seen.headers})
    path = urlsplit(seen.target).path
    assert MEMBER.fullmatch(path) or COLLECTION.fullmatch(path) or path in DISCOVERY | REVIEWS, path
    assert "%" not in path
    assert "//" not in path
    assert "/." not in path
    assert {key for key, _ in parse_qsl(urlsplit(seen.target).query)} <= QUERY
    assert seen.method == ("POST" if path in REVIEWS else "GET")


async def _ask(work: Awaitable[object]) -> None:
    with contextlib.suppress(PlumblineError):  # refused or not found: either way nothing else was asked
        await work


async def _drain(port: LiveKube, namespace: str, selector: str, fields: str) -> None:
    async for _ in port.pages(POD, namespace=namespace, label_selector=selector, field_selector=fields):
        pass


async def _steer_kube(port: LiveKube, a: str, b: str, c: str) -> None:
    await _ask(port.get(POD, namespace=a, name=b))
    await _ask(_drain(port, a, b, c))
    await _ask(port.logs(namespace=a, pod=b, container=c, tail_lines=1, limit_bytes=10, previous=False))
    await _ask(port.logs(namespace="search", pod="p0", container=c, tail_lines=1, limit_bytes=10, previous=True))
    await _ask(port.get(KindRef(group=a, kind=b), namespace="search", name="p0"))
    await _ask(port.allowed([AccessCheck(verb=a, group=b, resource=c, namespace=a)]))


async def _steer_prom(port: LiveProm, a: str, b: str, c: str) -> None:
    await _ask(port.instant(a, at=1.0))
    await _ask(port.range(b, start=0.0, end=10.0, step=1.0))
    await _ask(port.series([a, b], start=0.0, end=1.0))
    await _ask(port.label_values(c, [a], start=0.0, end=1.0))


async def _run_kube(tmp_path: Path, cases: list[tuple[str, str, str]]) -> int:
    async with FaultServer() as server:
        config = server.kubeconfig(tmp_path / f"config-{server.port}", token=TOKEN)
        async with await connect(KubeTarget(kubeconfig=config)) as port:
            for case in cases:
                await _steer_kube(port, *case)
        for seen in server.seen:
            check_kube(seen, server.port)
        return len(server.seen)


async def _run_prom(cases: list[tuple[str, str, str]]) -> int:
    async with FaultServer() as server:
        async with connect_prom(server.url, headers={"Authorization": f"Bearer {TOKEN}"}) as port:
            for case in cases:
                await _steer_prom(port, *case)
        for seen in server.seen:
            assert seen.header("host") == [f"127.0.0.1:{server.port}"]
            assert seen.header("authorization") == [f"Bearer {TOKEN}"]
            assert {key.lower() for key, _ in seen.headers} <= HEADERS
            assert PROMETHEUS.fullmatch(seen.path), seen.path
            assert set(seen.query) <= {"start", "end", "limit", "match[]"}
        return len(server.seen)


def _cases(count: int) -> list[tuple[str, str, str]]:
    """The hostile list in every position, then generated values up to `count`."""
    listed = [case for bad in HOSTILE for case in ((bad, "p0", "c"), ("search", bad, "c"), ("search", "p0", bad))]
    made: list[tuple[str, str, str]] = []

    @settings(max_examples=max(1, count - len(listed)), suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.tuples(POISON, POISON, POISON))
    def collect(case: tuple[str, str, str]) -> None:
        made.append(case)

    collect()
    return listed + made


async def test_no_name_steers_a_request_to_the_api_server(tmp_path: Path) -> None:
    assert await _run_kube(tmp_path, _cases(len(HOSTILE) * 3 + 50)) > 100


async def test_no_text_steers_a_request_to_prometheus() -> None:
    assert await _run_prom(_cases(len(HOSTILE) * 3 + 20)) > 100


@pytest.mark.prove
async def test_no_value_of_ten_thousand_steers_a_request(tmp_path: Path) -> None:
    cases = _cases(10_000)
    assert await _run_kube(tmp_path, cases) > 1000
    assert await _run_prom(cases[:2000]) > 1000


@pytest.mark.parametrize("field", ["group", "version", "plural"])
def test_no_discovery_document_steers_a_path(field: str) -> None:
    good = ApiResource(group="apps", version="v1", kind="Deployment", plural="deployments", namespaced=True)
    assert routes.member(good, "a", "b") == "/apis/apps/v1/namespaces/a/deployments/b"
    for bad in HOSTILE:
        resource = good.model_copy(update={field: bad})
        if field == "group" and not bad:
            continue  # the core group
        with pytest.raises(PlumblineError):
            routes.member(resource, "a", "b")


async def test_secrets_are_refused_before_any_request(tmp_path: Path) -> None:
    async with FaultServer() as server:
        async with await connect(KubeTarget(kubeconfig=server.kubeconfig(tmp_path / "config"))) as port:
            with pytest.raises(PlumblineError, match="never read"):
                await port.get(KindRef(kind="Secret"), namespace="search", name="p0")
        assert server.seen == []


@pytest.mark.parametrize("bad", ["ann\r\nX-Injected: 1", "ann\n", "a\x00b", "ä"])
async def test_no_header_is_injected_by_impersonation_or_token(tmp_path: Path, bad: str) -> None:
    async with FaultServer() as server:
        config = server.kubeconfig(tmp_path / "config")
        for target in (
            KubeTarget(kubeconfig=config, as_user=bad),
            KubeTarget(kubeconfig=config, as_user="ann", as_groups=(bad,)),
            KubeTarget(kubeconfig=server.kubeconfig(tmp_path / "other", token=bad)),
        ):
            with pytest.raises(CredentialsError):
                await connect(target)
        assert server.seen == []


async def _redirected_kube(tmp_path: Path, server: FaultServer) -> None:
    config = server.kubeconfig(tmp_path / "config")
    async with await connect(KubeTarget(kubeconfig=config)) as port:
        with pytest.raises(PlumblineError, match="redirect"):
            await port.discovery()


async def _redirected_prom(_: Path, server: FaultServer) -> None:
    async with connect_prom(server.url) as port:
        with pytest.raises(PlumblineError, match="redirect"):
            await port.instant("up", at=1.0)


@pytest.mark.parametrize("ask", [_redirected_kube, _redirected_prom])
async def test_a_redirect_to_the_metadata_service_is_not_followed(
    tmp_path: Path, ask: Callable[[Path, FaultServer], Awaitable[None]]
) -> None:
    """A followed redirect would fail differently: nothing may connect beyond loopback in a test."""
    async with FaultServer(fault="redirect") as server:
        await ask(tmp_path, server)


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "all_proxy"])
async def test_no_proxy_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async with FaultServer() as proxy, FaultServer() as server:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv(name.upper(), proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        async with await connect(KubeTarget(kubeconfig=server.kubeconfig(tmp_path / "config"))) as kube:
            await kube.whoami()
        async with connect_prom(server.url) as prom:
            await prom.instant("up", at=1.0)
        assert proxy.seen == []
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "http://169.254.0.1:9090",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]:9090",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
    ],
)
def test_prometheus_is_never_a_metadata_service(url: str) -> None:
    with pytest.raises(TargetError):
        connect_prom(url)


@pytest.mark.parametrize(
    "url", ["ftp://h", "file:///etc/passwd", "h:9090", "", "http://", "http://u:p@h/", "http://h/?a=b", "http://h:99999/",
            "http://h/#x", "http://h\r\nX: y/", "http://[::1"]
)  # fmt: skip
def test_an_impossible_prometheus_address_is_one_clear_line(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        connect_prom(url)
    assert len(str(caught.value).splitlines()) == 1


def test_the_token_never_appears_in_a_description_of_the_login(tmp_path: Path) -> None:
    server = FaultServer()
    login = load(server.kubeconfig(tmp_path / "config", token="planted"), None, {})
    assert login.token == "planted"
    assert "planted" not in repr(login)
    assert "planted" not in json.dumps(str(login))

"""Kubeconfig files and what they lead to: merging, contexts, credentials, TLS, and one clear line when wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from pydantic import JsonValue

from tests.ports.faults import FaultServer
from tools.errors import CredentialsError, DocumentError, Unavailable, UnknownName, UserError
from tools.kube import kubeconfig
from tools.kube.connect import KubeTarget, connect
from tools.kube.kubeconfig import load


def config(
    folder: Path,
    name: str = "config",
    *,
    cluster: dict[str, JsonValue] | None = None,
    user: dict[str, JsonValue] | None = None,
    context: str = "ctx",
) -> Path:
    """Write a kubeconfig of one context."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    document = {
        "clusters": [{"name": "c", "cluster": cluster or {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user if user is not None else {"token": f"token-of-{name}"}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
        "current-context": context,
    }
    path.write_text(json.dumps(document))
    return path


def test_lists_of_files_merge_and_the_first_definition_wins(tmp_path: Path) -> None:
    first = config(tmp_path, "first", context="one")
    second = config(tmp_path, "second", cluster={"server": "https://other:1"}, context="two")
    paths = f"{first}:{tmp_path / 'absent'}::{second}"
    assert load(paths, None, {}).context == "one"
    two = load(None, "two", {"KUBECONFIG": paths})
    assert (two.server, two.token) == ("https://127.0.0.1:1", "token-of-first")


def test_an_unknown_context_names_the_near_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean production"):
        load(str(config(tmp_path, context="production")), "prodction", {})


def test_no_kubeconfig_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"no kubeconfig at .*--kubeconfig FILE or set KUBECONFIG"):
        load(str(tmp_path / "absent"), None, {})
    with pytest.raises(CredentialsError, match="no kubeconfig at"):
        load(None, None, {"KUBECONFIG": str(tmp_path / "absent")})


def test_a_pod_without_kubeconfig_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.crt").write_bytes(b"a CA")
    (tmp_path / "token").write_text("mounted")
    monkeypatch.setattr(kubeconfig, "IN_CLUSTER", tmp_path)
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443", "KUBECONFIG": "/absent"}
    login = load(None, None, environ)
    assert (login.server, login.ca, login.token_file) == ("https://[fd00::1]:6443", b"a CA", tmp_path / "token")
    with pytest.raises(CredentialsError, match="no kubeconfig"):
        load("/absent", None, environ)  # what was asked for by name is never replaced


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        "sub/config",
        cluster={"server": "https://h", "certificate-authority": "ca.pem"},
        user={"tokenFile": "../token"},
    )
    (tmp_path / "sub" / "ca.pem").write_bytes(b"CA")
    login = load(str(path), None, {})
    assert login.ca == b"CA"
    assert login.token_file is not None
    assert login.token_file.resolve() == tmp_path / "token"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no current context"),
        ("[]", "not a kubeconfig"),
        ("a: [", "config:[12]: not YAML"),
        ("a: &x 1\nb: *x", "config:1"),
        ("current-context: gone", "no context named 'gone'"),
        ("contexts: [{name: a, context: {cluster: b}}]\ncurrent-context: a", "no cluster named 'b'"),
        ("contexts: {a: null}\nclusters: 3\ncurrent-context: a", "no context named"),
    ],
)
def test_a_broken_kubeconfig_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises((CredentialsError, UnknownName, DocumentError), match=said) as caught:
        load(str(tmp_path / "config"), None, {})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("cluster", "user", "said"),
    [
        ({"server": "https://h"}, {"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"server": "https://h"}, {"username": "a", "password": "b"}, "password"),
        ({"server": "https://h"}, {"client-certificate-data": "%%%"}, "not base64"),
        (
            {"server": "https://h", "certificate-authority": "gone.pem"},
            {},
            "cannot read the certificate-authority file",
        ),
        ({"server": "https://h", "insecure-skip-tls-verify": True}, {}, "turns off TLS verification"),
        ({"server": "https://h", "proxy-url": "socks5://p"}, {}, "proxy-url"),
        ({"server": "https://h", "certificate-authority-data": "bm8gY2VydA=="}, {}, "cannot be used"),
        ({"server": "ssh://h"}, {}, "no API server address"),
        ({"server": "https://h:99999"}, {}, "no API server address"),
        ({"server": "https://[::1"}, {}, "no API server address"),
        ({"server": "https://u:p@h"}, {}, "no API server address"),
        ({}, {}, "no API server address"),
        ({"server": "https://h"}, {"token": "a\r\nX: y"}, "no header may carry"),
        ({"server": "https://h"}, {"as": "a\nb"}, "no header may carry"),
    ],
)
async def test_a_login_that_cannot_work_is_one_clear_line(
    tmp_path: Path, cluster: dict[str, JsonValue], user: dict[str, JsonValue], said: str
) -> None:
    path = config(tmp_path, cluster=cluster or {"x": 1}, user=user)
    with pytest.raises(UserError, match=said) as caught:
        await connect(KubeTarget(kubeconfig=str(path)))
    assert len(str(caught.value).splitlines()) == 1


async def test_a_token_file_is_read_again_after_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer() as server:
        (tmp_path / "token").write_text("first\n")
        path = config(tmp_path, cluster={"server": server.url}, user={"tokenFile": "token"})
        async with await connect(KubeTarget(kubeconfig=str(path))) as port:
            await port.whoami()
            (tmp_path / "token").write_text("second\n")
            await port.whoami()
            monkeypatch.setattr("tools.kube.connect.TOKEN_SECONDS", 0.0)
            await port.whoami()
        sent = [seen.header("authorization")[0] for seen in server.seen]
    assert sent == ["Bearer first", "Bearer first", "Bearer second"]


async def test_impersonation_sends_user_and_every_group(tmp_path: Path) -> None:
    async with FaultServer() as server:
        path = config(tmp_path, cluster={"server": server.url}, user={"token": "t", "as": "eve", "as-groups": ["x"]})
        for target, user, groups in (
            (KubeTarget(kubeconfig=str(path)), "eve", ["x"]),
            (KubeTarget(kubeconfig=str(path), as_user="ann", as_groups=("dev", "ops")), "ann", ["dev", "ops"]),
        ):
            async with await connect(target) as port:
                await port.whoami()
            assert server.seen[-1].header("impersonate-user") == [user]
            assert server.seen[-1].header("impersonate-group") == groups
        with pytest.raises(CredentialsError, match="--as-group needs --as"):
            await connect(KubeTarget(kubeconfig=str(path), as_groups=("dev",)))


# --- TLS -----------------------------------------------------------------------------------------------------


def _openssl(folder: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=30)


def _certificates(folder: Path) -> None:
    """A CA, a server certificate for 127.0.0.1 and a client certificate, for a day."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    _openssl(folder, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "1",
        "-subj", "/CN=test CA",
        "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    for name, extra in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        (folder / "ext").write_text(
            f"{extra}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\nbasicConstraints=CA:false"
        )
        _openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "1",
            "-out", f"{name}.pem", "-extfile", "ext")  # fmt: skip


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
async def test_the_server_is_verified_and_the_client_certificate_is_shown(tmp_path: Path) -> None:
    _certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    shown: list[object] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.append(writer.get_extra_info("peercert")["subject"])
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"gitVersion": "v1.36.2"}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        writer.write(body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    cluster: dict[str, JsonValue] = {"server": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    inline = {
        f"client-{what}-data": base64.b64encode((tmp_path / f"client.{end}").read_bytes()).decode()
        for what, end in (("certificate", "pem"), ("key", "key"))
    }
    good = config(tmp_path, "good", cluster=cluster | {"certificate-authority": "ca.pem"}, user=dict(inline))
    async with server:
        async with await connect(KubeTarget(kubeconfig=str(good))) as port:
            assert await port.server_time() == 1_795_255_200.0
        assert shown == [((("commonName", "client"),),)]
        untrusted = config(tmp_path, "untrusted", cluster=cluster, user=dict(inline))
        async with await connect(KubeTarget(kubeconfig=str(untrusted))) as port:
            with pytest.raises(Unavailable, match="certificate is not trusted"):
                await port.server_time()
        other = config(
            tmp_path, "other", user=dict(inline),
            cluster=cluster | {"certificate-authority": "ca.pem", "tls-server-name": "elsewhere.example"},
        )  # fmt: skip
        async with await connect(KubeTarget(kubeconfig=str(other))) as port:
            with pytest.raises(Unavailable, match="certificate is not trusted"):
                await port.server_time()
        blind = config(tmp_path, "blind", cluster=cluster | {"insecure-skip-tls-verify": True}, user=dict(inline))
        async with await connect(KubeTarget(kubeconfig=str(blind), allow_insecure_tls=True)) as port:
            assert await port.server_time() == 1_795_255_200.0

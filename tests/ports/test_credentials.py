"""Credential plugins: which may run, what they are given, and how each of their failures reads."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.ports.faults import FaultServer
from tools.credentials import Issued, run_plugin
from tools.errors import CredentialsError
from tools.kube.connect import KubeTarget, connect

V1 = "client.authentication.k8s.io/v1"


def plugin(folder: Path, body: str, name: str = "login") -> Path:
    """Write an executable shell script."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def answer(**status: str) -> str:
    """A script line that prints an ExecCredential."""
    return f"echo '{json.dumps({'apiVersion': V1, 'kind': 'ExecCredential', 'status': status})}'"


async def run(path: Path, *args: str, allowed: bool = True, seconds: float = 20.0, api_version: str = V1) -> Issued:
    """Run a plugin that is allowed."""
    return await run_plugin(
        str(path),
        args,
        env={"FROM_KUBECONFIG": "yes"},
        api_version=api_version,
        folder=path.parent,
        allowed=[str(path)] if allowed else [],
        seconds=seconds,
    )


async def test_a_plugin_that_is_not_allowed_never_runs(tmp_path: Path) -> None:
    path = plugin(tmp_path, f"touch {tmp_path}/ran; {answer(token='t')}")
    with pytest.raises(CredentialsError, match=f"wants to run {path}, which is not allowed .*add {path}"):
        await run(path, allowed=False)
    assert not (tmp_path / "ran").exists()


async def test_a_plugin_is_told_what_it_needs_and_hears_no_input(tmp_path: Path) -> None:
    path = plugin(
        tmp_path,
        f'echo "$#:$1:$2:$FROM_KUBECONFIG:$KUBERNETES_EXEC_INFO:$(cat)" > {tmp_path}/said\n{answer(token="t")}',
    )
    assert (await run(path, "a b", "$(id)")).token == "t"
    count, first, second, env, info = (tmp_path / "said").read_text().strip().split(":", 4)
    assert (count, first, second, env) == ("2", "a b", "$(id)", "yes")
    assert json.loads(info.removesuffix(":")) == {
        "apiVersion": V1,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }


async def test_a_certificate_is_a_credential_too(tmp_path: Path) -> None:
    issued = await run(plugin(tmp_path, answer(clientCertificateData="CERT", clientKeyData="KEY")))
    assert (issued.cert, issued.key) == (b"CERT", b"KEY")
    assert "KEY" not in repr(issued)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo 'please\\nlog in' >&2; exit 3", "failed with code 3: please log in"),
        ("printf 'a\\033[31mb' >&2; exit 1", r"failed with code 1: a\[31mb"),
        ("echo nonsense", "handed out no credential"),
        ("echo '[1]'", "handed out no credential"),
        (answer(), "handed out no credential"),
        (answer(clientCertificateData="CERT"), "handed out no credential"),
        ("exec yes", "wrote more than 1 MiB"),
        ("exec yes >&2", "wrote more than 1 MiB"),
    ],
)
async def test_a_failing_plugin_is_one_clear_line(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(CredentialsError, match=said) as caught:
        await run(plugin(tmp_path, body))
    assert len(str(caught.value).splitlines()) == 1


async def test_a_hanging_plugin_and_its_children_are_ended(tmp_path: Path) -> None:
    path = plugin(tmp_path, f"sleep 300 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/parent; wait")
    with pytest.raises(CredentialsError, match=r"gave no credential in 0\.3 s"):
        await run(path, seconds=0.3)
    for name in ("child", "parent"):
        state = _state(int((tmp_path / name).read_text()))
        assert state in ("gone", "Z"), name  # Z: killed, and waiting for init to collect it


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


async def test_a_plugin_is_found_on_the_path_or_beside_its_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plugin(tmp_path, answer(token="t"), name="find-me")
    arguments = {"env": {}, "api_version": V1, "allowed": [str(path)]}
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    assert (await run_plugin("find-me", [], folder=Path("/"), **arguments)).token == "t"  # type: ignore[arg-type]
    assert (await run_plugin("./find-me", [], folder=tmp_path, **arguments)).token == "t"  # type: ignore[arg-type]
    with pytest.raises(CredentialsError, match="'find-you' is not installed"):
        await run_plugin("find-you", [], folder=tmp_path, **arguments)  # type: ignore[arg-type]


async def test_an_old_plugin_protocol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="v1alpha1"):
        await run(plugin(tmp_path, answer(token="t")), api_version="client.authentication.k8s.io/v1alpha1")


async def test_what_a_plugin_hands_out_is_what_the_server_sees(tmp_path: Path) -> None:
    path = plugin(tmp_path, answer(token="from-the-plugin"))
    async with FaultServer() as server:
        config = {
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "users": [{"name": "u", "user": {"exec": {"command": str(path), "apiVersion": V1, "args": None}}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (tmp_path / "config").write_text(json.dumps(config))
        target = KubeTarget(kubeconfig=str(tmp_path / "config"), allowed_plugins=(str(path),))
        async with await connect(target) as port:
            assert await port.whoami() == ("ann", ("dev", "system:authenticated"))
        assert server.seen[0].header("authorization") == ["Bearer from-the-plugin"]


@pytest.mark.parametrize("token", ["a\nb", "ä"])
async def test_a_token_that_no_header_may_carry_is_refused(tmp_path: Path, token: str) -> None:
    path = plugin(tmp_path, f"cat <<'END'\n{json.dumps({'status': {'token': token}})}\nEND")
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {"command": str(path), "apiVersion": V1}}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(json.dumps(config))
    with pytest.raises(CredentialsError, match="no header may carry"):
        await connect(KubeTarget(kubeconfig=str(tmp_path / "config"), allowed_plugins=(str(path),)))

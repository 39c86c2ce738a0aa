"""Real `kubectl` against the world server: what an operator types must work. Skipped where kubectl is missing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import yaml

from tests.servers.kube.conftest import Serve
from tests.servers.kube.recording import POD, world

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
Kubectl = Callable[..., Awaitable[str]]


@pytest.fixture
def kubectl(serve: Serve, tmp_path: Path) -> Callable[[str], Awaitable[Kubectl]]:
    """Serve a moment of the recording; returns what runs kubectl against it and gives back its output."""

    async def served(moment: str) -> Kubectl:
        server = (await serve(world(moment))).server
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(server.kubeconfig()))
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(file)}

        async def run(*words: str, code: int = 0) -> str:
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec("kubectl", *words, env=env, stdout=pipe, stderr=pipe)
            async with asyncio.timeout(20):
                out, error = await process.communicate()
            assert process.returncode == code, (out, error)
            return (out + error).decode()

        return run

    return served


async def test_get_prints_the_servers_tables(kubectl: Callable[[str], Awaitable[Kubectl]]) -> None:
    run = await kubectl("cluster")
    pods = (await run("get", "pods", "-A")).splitlines()
    assert pods[0].split() == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert pods[1].split() == ["rec", POD, "1/1", "Running", "0", "13s"]
    wide = (await run("get", "nodes", "-o", "wide")).splitlines()
    assert wide[3].split()[:3] == ["gpu-00", "Ready", "gpu"]
    assert "containerd://2.1.4" in wide[3]
    listed = await run("get", "deploy,rs,jobs,hpa,pdb,quota,cm,secret,ns", "-n", "rec")
    for name in ("deployment.apps/chat", "job.batch/train", "poddisruptionbudget.policy/chat", "namespace/rec"):
        assert name in listed
    assert "No resources found in absent namespace." in await run("get", "pods", "-n", "absent")


async def test_get_as_yaml_and_by_selector(kubectl: Callable[[str], Awaitable[Kubectl]]) -> None:
    run = await kubectl("cluster")
    shown = yaml.safe_load(await run("get", "pod", POD, "-n", "rec", "-o", "yaml"))
    assert (shown["kind"], shown["spec"]["nodeName"]) == ("Pod", "gpu-00")
    names = await run(
        "get", "pods", "-n", "rec", "-l", "app in (hog)", "--field-selector=status.phase=Pending", "-o", "name"
    )
    assert [name.partition("hog-")[0] for name in names.split()] == ["pod/", "pod/"]


async def test_describe_logs_and_history(kubectl: Callable[[str], Awaitable[Kubectl]]) -> None:
    run = await kubectl("cluster")
    described = await run("describe", "pod", POD, "-n", "rec")
    assert "gpu-00" in described
    assert "Successfully assigned rec/" in described
    assert "nvidia.com/gpu" in await run("describe", "node", "gpu-00")
    assert (await run("logs", POD, "-n", "rec", "--tail=1")).startswith("WARN  slow request")
    assert "missing.yaml" in await run("logs", POD, "-n", "rec", "--previous")
    assert "REVISION" in await run("rollout", "history", "deploy/chat", "-n", "rec")


async def test_watch_ends_with_its_timeout(kubectl: Callable[[str], Awaitable[Kubectl]]) -> None:
    run = await kubectl("cluster")
    words = ("get", "pods", "-n", "rec", "-w", "--request-timeout=1s")
    assert POD in await run(*words)


async def test_auth_can_i_and_errors(kubectl: Callable[[str], Awaitable[Kubectl]]) -> None:
    run = await kubectl("viewer")
    viewer = ("--as", "jane", "--as-group", "viewers", "-n", "rec")
    assert (await run("auth", "can-i", "list", "pods", *viewer)).strip() == "yes"
    assert (await run("auth", "can-i", "delete", "pods", *viewer, code=1)).strip() == "no"
    assert "pods/log" in await run("auth", "can-i", "--list", *viewer)
    assert "(Forbidden)" in await run("get", "secrets", *viewer, code=1)
    assert '(NotFound): pods "absent" not found' in await run("get", "pod", "absent", "-n", "rec", code=1)
    assert 'resource type "wombats"' in await run("get", "wombats", code=1)


async def test_a_custom_kind_by_its_short_name(kubectl: Callable[[str], Awaitable[Kubectl]]) -> None:
    run = await kubectl("devices")
    assert (await run("get", "qq")).split() == ["NAME", "QUOTA", "team-a", "8"]
    assert "queues.rec.example.com" in await run("get", "crd")


async def test_a_patch_with_server_side_dry_run(kubectl: Callable[[str], Awaitable[Kubectl]]) -> None:
    run = await kubectl("cluster")
    words = ("patch", "deploy", "chat", "-n", "rec", "--type=merge", "-p", '{"spec":{"replicas":7}}')
    shown = yaml.safe_load(await run(*words, "--dry-run=server", "-o", "yaml"))
    assert shown["spec"]["replicas"] == 7
    assert (await run("get", "deploy", "chat", "-n", "rec", "-o", "jsonpath={.spec.replicas}")) == "3"

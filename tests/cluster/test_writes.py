"""One reviewed change on any control plane, in a namespace of its own: shown, approved, applied once, undone, stale.

`pytest -m cluster` with PLUMBLINE_TEST_KUBECONFIG set makes a namespace `plumbline-test-…` there, with one Job that no
node takes, and deletes it in the end. Its credentials are to create and delete namespaces and patch Jobs.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.app import Target
from agent.changes.applying import apply
from agent.changes.engine import Engine
from agent.changes.opening import open_engine
from agent.changes.plans import read
from agent.changes.preview import preview
from agent.changes.records import Approval, Proposal
from agent.changes.undoing import propose_undo
from agent.settings import Settings
from tests.cluster.conftest import Cluster
from tools import fields
from tools.changes import PLAN_ANNOTATION
from tools.kube.connect import KubeTarget, connect
from tools.kube.writer import connect_writer
from tools.types import JsonObject, ResourceRef, digest_of

pytestmark = pytest.mark.cluster
JOBS = "/apis/batch/v1/namespaces/{}/jobs"


@dataclass(slots=True)
class Site:
    """An engine with the credentials of the cluster under test, and a suspended Job."""

    engine: Engine
    cluster: Cluster
    job: ResourceRef

    async def draft(self, change: str) -> Proposal:
        """A draft about the Job."""
        args: JsonObject = {"group": "batch", "kind": "Job", "namespace": self.job.namespace, "name": self.job.name}
        row = Proposal(
            id=digest_of([change, args, secrets.token_hex(4)])[:12],
            at=await self.engine.writer.server_time(),
            change=change,
            args=args,
            target=self.job,
            author="test",
        )
        return self.engine.ledger.add(row, actor="test")

    async def approved(self, row: Proposal) -> Proposal:
        """The proposal with the approval of somebody who did not ask for it."""
        at = await self.engine.writer.server_time()
        given = Approval(proposal=row.id, digest=row.digest, principal="grace", surface="cli", at=at)
        return self.engine.ledger.approve(row, given, needed=1)[0]

    async def get(self) -> JsonObject:
        """The Job as it stands."""
        return await self.engine.writer.get(self.job)


def _job(name: str) -> JsonObject:
    container: JsonObject = {"name": "main", "image": "registry.invalid/never:1"}
    pod: JsonObject = {
        "restartPolicy": "Never",
        "nodeSelector": {"plumbline.test/none": "x"},
        "containers": [container],
    }
    spec: JsonObject = {"suspend": True, "parallelism": 1, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
async def site(cluster_config: str, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Site]:
    """A namespace of the test's own with a suspended Job in it."""
    name = f"plumbline-test-{secrets.token_hex(4)}"
    space: JsonObject = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert (await cluster.send("POST", "/api/v1/namespaces", body=space)).status == 201
    try:
        assert (await cluster.send("POST", JOBS.format(name), body=_job("train"))).status == 201
        login = KubeTarget(kubeconfig=cluster_config)
        job = ResourceRef(group="batch", version="v1", kind="Job", namespace=name, name="train")
        async with AsyncExitStack() as stack:
            kube = await stack.enter_async_context(await connect(login))
            writer = await stack.enter_async_context(await connect_writer(login))
            target = Target(kube, None, kube.cluster)
            settings = Settings.model_validate({"state_dir": tmp_path})
            yield Site(
                await stack.enter_async_context(open_engine(settings, target, writer, name="applier")), cluster, job
            )
    finally:
        await cluster.send("DELETE", f"/api/v1/namespaces/{name}")


async def test_from_a_draft_to_its_undo(site: Site) -> None:
    before = await site.get()
    row = await preview(site.engine, (await site.draft("resume")).id, requester="ada")
    assert row.state == "awaiting approval", row.note
    after = await site.get()
    assert fields.dig(after, "metadata", "generation") == fields.dig(before, "metadata", "generation")
    assert fields.dig(after, "spec") == fields.dig(before, "spec")
    assert PLAN_ANNOTATION not in fields.strings(after, "metadata", "annotations")
    shown = read(row.plan.encode(), digest=row.digest).dry_run
    assert [(one.path, one.before, one.after) for one in shown] == [(("spec", "suspend"), True, False)]
    row = await apply(site.engine, (await site.approved(row)).id)
    assert row.state == "applied", row.note
    written = await site.get()
    assert fields.dig(written, "spec", "suspend") is False
    assert row.digest in fields.strings(written, "metadata", "annotations")[PLAN_ANNOTATION]
    at = await site.engine.writer.server_time()
    back = propose_undo(site.engine.ledger, row.id, author="ada", at=at)
    back = await preview(site.engine, back.id, requester="ada")
    assert back.state == "awaiting approval", back.note
    back = await apply(site.engine, (await site.approved(back)).id)
    assert back.state == "applied", back.note
    assert fields.dig(await site.get(), "spec", "suspend") is True


async def test_a_field_that_moves_after_the_approval_makes_it_stale(site: Site) -> None:
    row = await preview(site.engine, (await site.draft("resume")).id, requester="ada")
    row = await site.approved(row)
    changed: JsonObject = {"spec": {"parallelism": 2}}
    answer = await site.cluster.send("PATCH", f"{JOBS.format(site.job.namespace)}/train", body=changed)
    assert answer.status == 200
    row = await apply(site.engine, row.id)
    assert row.state == "stale", row.note
    assert fields.dig(await site.get(), "spec", "suspend") is True


@pytest.mark.parametrize(
    ("wrong", "status"), [({"uid": "11111111-2222-3333-4444-555555555555"}, 422), ({"resourceVersion": "1"}, 409)]
)
async def test_a_patch_is_held_to_its_preconditions(site: Site, wrong: JsonObject, status: int) -> None:
    metadata = fields.mapping(await site.get(), "metadata")
    bound = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"], **wrong}
    path = f"{JOBS.format(site.job.namespace)}/train"
    answer = await site.cluster.send("PATCH", path, body={"metadata": bound, "spec": {"suspend": False}})
    assert answer.status == status
    assert fields.dig(await site.get(), "spec", "suspend") is True

"""`plumbline proposals export`: a proposal as a patch of the repository that declares its object, and a pull request.

Rules: nothing in the checkout is written, only what --out names; the object is read with the reader's credentials.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from agent.changes import prediction
from agent.changes.engine import Limits, listed
from agent.changes.patches import merged
from agent.changes.records import Proposal
from agent.changes.view import TIERS, checked
from agent.gitops.checkout import open_checkout
from agent.gitops.request import GitPatch, Grounds, Wish, git_patch, pull_request
from agent.render.proposals import wish
from plumbline.changing import Desk, open_desk
from plumbline.outcome import put, say
from plumbline.targets import open_target
from tools import registry
from tools.changes import with_related
from tools.errors import Refused, SettingsError, TargetError, UnknownName
from tools.types import KubePort

PATCH, REQUEST = "change.patch", "pull-request.md"


def export(arguments: argparse.Namespace) -> int:
    """Write the patch and the words of the request."""
    return asyncio.run(_export(arguments))


async def _export(arguments: argparse.Namespace) -> int:
    async with open_desk(arguments) as desk:
        row = desk.find(arguments.id)
        folder = _source(desk, row, arguments.source)
        async with open_target(arguments, desk.settings) as target:
            patch, grounds = await _made(desk, row, folder, target.kube)
    body = pull_request(f"{wish(row)} of {row.target}", patch, grounds)
    if not arguments.out:
        put(f"{body}\n{patch.diff}")
        return 0
    out = Path(arguments.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / PATCH).write_text(patch.diff, encoding="utf-8")
        (out / REQUEST).write_text(body, encoding="utf-8")
    except OSError as error:
        raise TargetError(f"cannot write {out}: {error.strerror}", hint="name another folder with --out") from None
    say(f"{out / PATCH} and {out / REQUEST}; apply it there with: git apply {PATCH}")
    return 0


def _source(desk: Desk, row: Proposal, named: str | None) -> Path:
    if named:
        return Path(named)
    found = desk.settings.changes.source.get(row.target.namespace or "")
    if found is None:
        raise SettingsError(
            f"no checkout is known for {row.target}", hint="name it with --source DIR, or in changes.source"
        )
    return found


async def _made(desk: Desk, row: Proposal, folder: Path, kube: KubePort) -> tuple[GitPatch, Grounds]:
    spec = registry.changes().get(row.change)
    if spec is None:
        raise UnknownName("change", row.change, registry.changes())
    if row.undoes:
        raise Refused(f"{row.id} undoes {row.undoes} in the cluster", hint="in a repository, revert the commit")
    args, target = spec.parse(row.args), row.target
    obj = await kube.get(target.kind_ref, namespace=target.namespace, name=target.name)
    related = {kind: await listed(kube, kind, target.namespace) for kind in spec.reads}
    whole = with_related(obj, related) if related else obj
    if reason := spec.objection(args, whole):
        raise Refused(reason)
    change = spec.patch(args, whole)
    after = merged(obj, change)
    if not isinstance(after, dict):
        raise Refused(f"{target} cannot be changed so")
    wanted = Wish(target, obj, after)
    patch = git_patch(open_checkout(folder), wanted, helm=desk.settings.changes.helm_values)
    cites = dict.fromkeys(cite.partition("/")[0] for cite in row.cites)
    limits: Limits = desk.settings.changes.limits
    return patch, Grounds(
        cause=(row.because,) if row.because else (),
        evidence=tuple(f"{name} of session {row.session}, run {row.run}" for name in cites),
        predicted=prediction.arithmetic(spec.blast(args, whole), limits),
        risk=(TIERS[spec.tier(args, whole)],),
        undo=("Revert this change: the fields go back to what they are now.",),
        verification=tuple(checked(one) for one in spec.verification(args, whole)),
    )

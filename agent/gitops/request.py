"""A change of a declared object as a diff of its repository, and the words of the request that proposes it.

Rules: nothing in the checkout is written unless somebody asks for it; what a file held beside the change stays byte
for byte; every value of the request is escaped, and no link stands in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.gitops import placing
from agent.gitops.checkout import Checkout
from agent.gitops.fields import FieldEdit, field_edits
from agent.render.markdown import escape
from tools.errors import DocumentError, Refused
from tools.types import Frozen, JsonObject, ResourceRef
from tools.yamledit import Edit, edited, written

VALUES = "#"
"""Parts file and key of a Helm value in the settings: `charts/chat/values.yaml#replicaCount`."""


class GitPatch(Frozen):
    """The files of a checkout before and after; "" before: a new file."""

    before: dict[str, str]
    after: dict[str, str]

    @property
    def diff(self) -> str:
        """As `git apply` takes it."""
        return "".join(_unified(name, self.before[name], self.after[name]) for name in sorted(self.after))


class Grounds(Frozen):
    """What a reviewer has to know, line by line."""

    cause: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    risk: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    verification: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted: an object as it is in the cluster, and as it should be."""

    target: ResourceRef
    before: JsonObject
    after: JsonObject

    @property
    def edits(self) -> list[FieldEdit]:
        """Field by field."""
        return field_edits(self.before, self.after)


def git_patch(checkout: Checkout, wish: Wish, *, helm: Mapping[str, str] | None = None) -> GitPatch:
    """The change as files of a checkout. Raises Refused in one line that says what to do instead.

    `helm`: `Kind/namespace/name field.path` → `values file#key.path`, for objects that a chart renders.
    """
    edits = wish.edits
    if not edits:
        raise Refused(f"{wish.target} is already as wanted")
    mapped = _helm_values(checkout, wish, edits, helm or {})
    changes = mapped or placing.place(checkout, placing.find(checkout, wish.target), edits)
    after: dict[str, str] = {}
    for file, listed in changes.edits.items():
        text = checkout.texts[file]
        for document in sorted({number for number, _ in listed}):
            try:
                text = edited(text, [e for number, e in listed if number == document], document=document, name=file)
            except (DocumentError, ValueError):
                lines = "; ".join(f"{edit} = {edit.value!r}" for edit in edits)
                raise Refused(f"{file} cannot be changed in place", hint=f"set by hand: {lines[:400]}") from None
        after[file] = text
    for file, body in changes.new.items():
        after[file] = written(body)
    return GitPatch(before={name: checkout.texts.get(name, "") for name in after}, after=after)


def _helm_values(
    checkout: Checkout, wish: Wish, edits: Sequence[FieldEdit], helm: Mapping[str, str]
) -> placing.Changes | None:
    """The edits as values of a chart, where the settings say which value each field is; None where they say nothing."""
    place = wish.target
    head = f"{place.kind}/{place.namespace}/{place.name}" if place.namespace else f"{place.kind}/{place.name}"
    if not any(key.startswith(f"{head} ") for key in helm):
        return None
    changes = placing.Changes()
    for edit in edits:
        file, _, key = helm.get(f"{head} {edit}", "").partition(VALUES)
        if not file or not key:
            raise Refused(f"the settings name no value of the chart for {edit}", hint=f"set it to {edit.value!r} there")
        if file not in checkout.texts:
            raise Refused(f"the checkout has no {file}", hint="mend helm_values in the settings")
        changes.add(file, 0, Edit(tuple(key.split(".")), edit.value, remove=edit.value is None))
    return changes


def pull_request(title: str, patch: GitPatch, grounds: Grounds) -> str:
    """The body of a pull request, as Markdown."""
    parts = [f"# {escape(title)}"]
    for heading, lines in (
        ("Cause", grounds.cause),
        ("Evidence", grounds.evidence),
        ("Predicted effect", grounds.predicted),
        ("Risk", grounds.risk),
        ("Undo", grounds.undo or ("Revert this change.",)),
        ("Verification", grounds.verification),
    ):
        said = [f"- {escape(line)}" for line in lines if line.strip()]
        parts += [f"## {heading}", *(said or ["- not known"])]
    parts += ["## Files", *(f"- {escape(name)}" for name in sorted(patch.after))]
    return "\n".join(parts) + "\n"


def _unified(name: str, before: str, after: str) -> str:
    source = f"a/{name}" if before else "/dev/null"
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), source, f"b/{name}", n=3
    )
    out: list[str] = []
    for line in lines:
        out.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(out)

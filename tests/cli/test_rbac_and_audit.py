"""Roles and admission policies to apply, what credentials may do, and the audit log as people read it."""

from __future__ import annotations

import json

from tests.cli.conftest import Command, Serve
from tools import fields
from tools.documents import load_yaml_documents


def test_roles_are_printed_as_yaml(plumbline: Command) -> None:
    every = load_yaml_documents(plumbline("rbac", "print").out, name="out")
    kinds = [fields.text(one, "kind") for one in every]
    assert kinds.count("ServiceAccount") == 2
    assert kinds.count("ClusterRole") == 2
    assert kinds.count("ValidatingAdmissionPolicy") == kinds.count("ValidatingAdmissionPolicyBinding") > 10
    (reader,) = load_yaml_documents(plumbline("rbac", "print", "reader").out, name="out")
    assert reader in every
    policies = plumbline("rbac", "print", "policy", "--user", "me@example.com").out
    assert 'request.userInfo.username == "me@example.com"' in policies


def test_a_user_that_could_leave_its_quotes_is_refused(plumbline: Command) -> None:
    for user in ('x" || true', "x\ny", "", " "):
        done = plumbline("rbac", "print", "policy", "--user", user)
        assert (done.code, done.out == "") == ((2, True) if user else (0, False))


def test_dangers_are_found_by_asking(plumbline: Command, serve: Serve) -> None:
    done = plumbline("rbac", "check", *serve("hpa-cpu").flags)
    assert done.code == 1
    assert "danger  read Secrets\n" in done.out


def test_the_log_is_shown_and_exported_whole(plumbline: Command, serve: Serve) -> None:
    assert "there is no audit log" in plumbline("audit", "show").line
    target = ("group=apps", "kind=StatefulSet", "namespace=vision", "name=describe")
    flags = serve("kv-exhausted-small").flags
    made = plumbline("proposals", "new", "scale", *target, "replicas=3", "-o", "json", *flags).json
    plumbline("proposals", "preview", str(made["id"]), *flags)
    shown = plumbline("audit", "show", "--limit", "3").out.splitlines()
    assert len(shown) == 3
    entries = [json.loads(line) for line in plumbline("audit", "export").out.splitlines()]
    assert [entry["seq"] for entry in entries] == list(range(entries[0]["seq"], entries[0]["seq"] + len(entries)))
    ours = [
        json.loads(line) for line in plumbline("audit", "export", "--proposal", str(made["id"])[:6]).out.splitlines()
    ]
    assert [entry["body"]["move"] for entry in ours] == ["preview", "submit"]

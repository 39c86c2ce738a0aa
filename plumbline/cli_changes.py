"""Flags of the commands about proposed changes.

Rule: whoever approves is named by the API server, so there is no flag to impersonate, and no moment but now.
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _changing(parser: argparse.ArgumentParser, function: str, *, target: bool = True) -> None:
    """What every command about proposals takes."""
    if target:
        group = parser.add_argument_group("target")
        group.add_argument("--kubeconfig", metavar="FILE", help="kubeconfig file with the credentials to use")
        group.add_argument("--context", metavar="NAME", help="kubeconfig context")
        group.add_argument("--request-timeout", metavar="DURATION", help="longest time for one request, such as 10s")
        group.add_argument("--prometheus", metavar="URL", help="Prometheus-compatible server (default: looked for)")
    parser.add_argument("--at", metavar="TIME", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--no-color", action="store_true")
    parser.set_defaults(module="plumbline.changing", function=function, as_user=None, as_groups=None, world=None)


def add_changes(commands: Commands) -> None:
    """`proposals` with its verbs, and `apply`."""
    proposals = commands.add_parser("proposals", help="proposed changes: look, approve bytes, apply, verify, undo")
    _changing(proposals, "show_all", target=False)
    proposals.set_defaults(state=None, after=None)
    verbs = proposals.add_subparsers(dest="proposals_command", metavar="COMMAND")
    _looking(verbs)
    _deciding(verbs)
    _doing(verbs)
    applier = commands.add_parser("apply", help="the applier: apply one approved proposal, or watch for them")
    applier.add_argument("id", nargs="?")
    applier.add_argument("--watch", action="store_true", help="apply what is approved, and verify it, until stopped")
    applier.add_argument("--once", action="store_true", help="with --watch: one round")
    applier.add_argument("--every", metavar="DURATION", help="with --watch: time between rounds (default: 10s)")
    applier.add_argument("--beside", action="store_true", help=argparse.SUPPRESS)  # ends when its stdin does
    _changing(applier, "apply")
    applier.set_defaults(module="plumbline.applier")


def add_rbac(commands: Commands) -> None:
    """`rbac print` and `rbac check`."""
    rbac = commands.add_parser("rbac", help="roles and admission policy to apply, and what these credentials may do")
    verbs = rbac.add_subparsers(dest="rbac_command", metavar="COMMAND", required=True)
    shown = verbs.add_parser("print", help="what to apply, as YAML")
    shown.add_argument(
        "what", nargs="?", choices=("all", "reader", "applier", "policy"), default="all", help="which part"
    )
    shown.add_argument("--user", metavar="NAME", help="the applier's identity (default: its service account)")
    shown.set_defaults(module="plumbline.rbac", function="show")
    checked = verbs.add_parser("check", help="ask the API server for everything dangerous that is allowed")
    checked.add_argument("-n", "--namespace", metavar="NAME", help="in this namespace too")
    _changing(checked, "check")
    checked.set_defaults(module="plumbline.rbac")


def _looking(verbs: Commands) -> None:
    listed = verbs.add_parser("list", help="list them, newest first (the default)")
    listed.add_argument("--state", action="append", metavar="STATE", help="only those in this state; may be repeated")
    listed.add_argument("--after", metavar="ID", help="continue behind this one")
    _changing(listed, "show_all", target=False)
    shown = verbs.add_parser("show", help="show one: the bytes to approve, approvals, what happened")
    shown.add_argument("id")
    _changing(shown, "show", target=False)
    export = verbs.add_parser("export", help="write one as a Git patch and a pull request")
    export.add_argument("id")
    export.add_argument("--source", metavar="DIR", help="checkout that declares the object")
    export.add_argument("--out", metavar="DIR", help="folder for change.patch and pull-request.md (default: stdout)")
    _changing(export, "export")
    export.set_defaults(module="plumbline.exporting")


def _doing(verbs: Commands) -> None:
    made = verbs.add_parser("new", help="write a draft by hand")
    made.add_argument("change", help="a change of the catalogue (docs/tools.md), such as scale")
    made.add_argument("args", nargs="+", metavar="NAME=VALUE", help="its arguments, such as replicas=5")
    made.add_argument("--because", default="", metavar="TEXT", help="why, for whoever reviews it")
    _changing(made, "new")
    for name, function, text in (
        ("preview", "preview", "make the plan by the server's dry run, with the applier's credentials, and submit it"),
        ("verify", "verify", "see whether an applied one did what it should"),
        ("undo", "undo", "propose the inverse of an applied one, previewed"),
    ):
        parser = verbs.add_parser(name, help=text)
        parser.add_argument("id")
        _changing(parser, function)
    one = verbs.add_parser("apply", help="apply one that is approved, with the applier's credentials")
    one.add_argument("id")
    _changing(one, "apply")
    one.set_defaults(module="plumbline.applier", watch=False)


def _deciding(verbs: Commands) -> None:
    approve = verbs.add_parser("approve", help="approve the bytes of one digest")
    approve.add_argument("id")
    approve.add_argument(
        "--digest", default="", metavar="DIGEST", help="the digest that `show` prints, 12 signs at least"
    )
    _changing(approve, "approve")
    for name, text in (("reject", "turn one down"), ("revoke", "take an approval back before it is applied")):
        parser = verbs.add_parser(name, help=text)
        parser.add_argument("id")
        parser.add_argument("--because", default="", metavar="TEXT", help="why")
        _changing(parser, name)

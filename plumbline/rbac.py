"""`plumbline rbac print|check`: the roles and the admission policy to apply, and what these credentials may do."""

from __future__ import annotations

import argparse
import asyncio
import re

import agent.rbac as made
from agent import admission, identity
from plumbline.cli import FAILED
from plumbline.outcome import put
from plumbline.targets import open_target, settings_of
from tools.errors import SettingsError
from tools.types import JsonObject
from tools.yamledit import written

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9:@._/-]{0,252}")


def show(arguments: argparse.Namespace) -> int:
    """Print what to apply, as YAML."""
    user = arguments.user or ""
    if user and not _USER.fullmatch(user):
        raise SettingsError(f"{user[:60]!r} is no user name", hint="write it as the API server knows it")
    parts: dict[str, list[JsonObject]] = {
        "reader": [made.reader_role()],
        "applier": [made.applier_role()],
        "policy": admission.policies(user),
        "all": [*made.roles(config_map=settings_of(arguments).changes.stop_configmap), *admission.policies(user)],
    }
    put("---\n".join(written(one) for one in parts[arguments.what]))
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Ask the API server for everything dangerous these credentials may do."""
    return asyncio.run(_check(arguments))


async def _check(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    async with open_target(arguments, settings) as target:
        found = await identity.dangers(target.kube, [arguments.namespace] if arguments.namespace else [])
    for danger in found:
        sure = "" if danger.certain else " (the server would not say)"
        put(f"danger  {danger.what}{sure}\n")
    if not found:
        put("ok      these credentials read, and do nothing of the danger list\n")
    return FAILED if found else 0

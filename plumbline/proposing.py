"""The drafts of changes that runs have left: listed, and shown one by one. Nothing here approves or applies."""

from __future__ import annotations

import argparse

from agent.render import contract, terminal
from agent.render.proposal import listing, proposal
from agent.settings import load_settings
from agent.store.sqlite import SqliteStore
from plumbline.asking import colored, columns
from plumbline.cli import program
from plumbline.outcome import put
from tools.errors import SettingsError, UnknownName
from tools.types import JsonObject


def proposals(arguments: argparse.Namespace) -> int:
    """List the drafts, newest first, or show one by id."""
    settings = load_settings({"color": "never" if arguments.no_color else None})
    store = SqliteStore(settings.state_dir)
    if arguments.what == "list":
        if arguments.id is not None:
            raise SettingsError("`proposals list` takes no id", hint=f"{program()} proposals show ID")
        rows = store.drafts()
        body: JsonObject = {"kind": "ProposalList", "items": [row.model_dump(mode="json") for row in rows]}
        document = listing(rows)
    else:
        if arguments.id is None:
            raise SettingsError(
                "which proposal?", hint=f"{program()} proposals show ID, with an id of `proposals list`"
            )
        row = store.draft_by_id(arguments.id)
        if row is None:
            raise UnknownName("proposal", arguments.id, [known.id for known in store.drafts()])
        body = {"kind": "Proposal", **row.model_dump(mode="json")}
        document = proposal(row)
    if arguments.output == "json":
        put(contract.as_json({"apiVersion": contract.API_VERSION, **body}))
    else:
        put(terminal.draw(document, width=columns(), color=colored(settings)))
    return 0

"""Opens the ledger that the settings name."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from agent.store.ledger_postgres import PostgresLedger
from agent.store.ledger_sql import SqlLedger
from agent.store.ledger_sqlite import SqliteLedger
from tools.errors import SettingsError

SCHEMES = ("postgresql://", "postgres://", "host=")


def open_ledger(state_dir: Path, address: SecretStr) -> SqlLedger:
    """The ledger of a state directory, or the Postgres at an address. Raises LedgerDown, SettingsError."""
    wanted = address.get_secret_value()
    if not wanted:
        return SqliteLedger(state_dir)
    if not wanted.startswith(SCHEMES):
        raise SettingsError("changes.store is no address of a Postgres", hint="write postgresql://user@host/database")
    return PostgresLedger(wanted)

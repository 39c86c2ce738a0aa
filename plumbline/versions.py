"""Which version of a distribution is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version_of(name: str) -> str:
    """Its version, or "not installed", as in a checkout that was not set up."""
    try:
        return installed(name)
    except PackageNotFoundError:
        return "not installed"

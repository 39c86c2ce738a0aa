"""Settings: flag over environment over file over default, read once, each value knowing where it came from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from tools.errors import DocumentError, SettingsError
from tools.types import Frozen

ENVIRONMENT = "PLUMBLINE_"


def default_state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_STATE_HOME/plumbline`, else `~/.local/state/plumbline`, else a folder here when there is no home."""
    if base := environ.get("XDG_STATE_HOME"):
        return Path(base) / "plumbline"
    try:
        return Path.home() / ".local" / "state" / "plumbline"
    except RuntimeError:
        return Path(".plumbline").absolute()


class Settings(Frozen):
    """Everything that can be set. Field names are the keys of the file and, upper case after PLUMBLINE_, of the
    environment."""

    state_dir: Path = Field(default_factory=default_state_dir)
    """Where sessions, evidence, checkpoints and the audit log are kept."""
    prometheus: str = ""
    """URL of a Prometheus-compatible server; empty looks for one in the cluster."""
    teams: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Team → its namespaces; wins over labels."""
    team_label: str = "team"
    """Namespace label that names a team."""
    allowed_plugins: tuple[str, ...] = ()
    """Absolute paths of the kubeconfig credential plugins that may run."""
    request_timeout: float | None = None
    """Seconds; shortens the deadline of every request."""
    policy: Path | None = None
    """A policy file instead of the shipped one."""
    allow_insecure_tls: bool = False
    """Accept a kubeconfig's insecure-skip-tls-verify."""
    color: str = "auto"
    """auto, always or never."""
    sources: dict[str, str] = Field(default_factory=dict, exclude=True)
    """Field → where its value came from."""


def config_path(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The settings file: `$PLUMBLINE_CONFIG`, else `config.toml` in the user's configuration folder."""
    if named := environ.get(f"{ENVIRONMENT}CONFIG"):
        return Path(named)
    base = environ.get("XDG_CONFIG_HOME")
    try:
        return (Path(base) if base else Path.home() / ".config") / "plumbline" / "config.toml"
    except RuntimeError:
        return None


def load_settings(flags: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from all layers. Raises DocumentError (file, line, field) and SettingsError (flag or variable)."""
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    path = config_path(environ)
    if path is not None and (path.exists() or f"{ENVIRONMENT}CONFIG" in environ):
        for name, value in _file(path).items():
            values[name], sources[name] = value, str(path)
    for name in Settings.model_fields:
        if (text := environ.get(ENVIRONMENT + name.upper())) is not None and name not in ("teams", "sources"):
            listed = name == "allowed_plugins"
            values[name] = tuple(filter(None, text.split(os.pathsep))) if listed else text
            sources[name] = f"${ENVIRONMENT}{name.upper()}"
    for name, value in flags.items():
        if value is not None:
            values[name], sources[name] = value, "flag"
    try:
        return Settings.model_validate({**values, "sources": sources})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        raise SettingsError(f"{name}: {first['msg']}", hint=f"it was set by {sources.get(name, 'default')}") from None


def _file(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint="check PLUMBLINE_CONFIG") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DocumentError(str(path), None, "", f"not TOML: {error}") from None
    for name, value in document.items():
        if name not in Settings.model_fields or name == "sources":
            known = ", ".join(n for n in Settings.model_fields if n != "sources")
            raise DocumentError(str(path), _line(text, name), name, f"unknown setting; known are {known}")
        try:
            Settings.model_validate({name: value})
        except ValidationError as error:
            raise DocumentError(str(path), _line(text, name), name, str(error.errors()[0]["msg"])) from None
    return document


def _line(text: str, name: str) -> int | None:
    lines = enumerate(text.splitlines(), 1)
    return next((n for n, line in lines if line.strip().lstrip("[").startswith(name)), None)

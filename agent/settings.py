"""Settings: flag over environment over file over default, read once, each value knowing where it came from."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator

from agent.changes.settings import ChangeSettings
from tools.errors import DocumentError, SettingsError
from tools.types import Frozen

ENVIRONMENT = "PLUMBLINE_"
MAX_FILE = 1 << 20
"""Bytes of a settings file at most."""
TABLES = ("teams", "sources", "model_headers", "prices", "changes")
"""Settings that only a file can hold."""
FLAGS = {"model_url": "--base-url"}
"""Settings whose flag has another name."""
OPENAI = "https://api.openai.com/"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def seconds(text: str) -> float:
    """Seconds of `90s`, `6h`, `1d12h` or a bare number. Raises ValueError saying what is wanted."""
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return float(text)
    if re.fullmatch(r"(?:\d{1,6}[smhdw])+", text):
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text))
    raise ValueError(f"{text[:40]!r} is not a duration; write 30s, 15m, 6h or 7d")


def default_state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_STATE_HOME/plumbline`, else `~/.local/state/plumbline`, else a folder here when there is no home."""
    if base := environ.get("XDG_STATE_HOME"):
        return Path(base) / "plumbline"
    try:
        return Path.home() / ".local" / "state" / "plumbline"
    except RuntimeError:
        return Path(".plumbline").absolute()


class Price(Frozen):
    """What a model costs, a million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


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
    """Seconds, or a duration such as "10s"; shortens the deadline of every request. 0 leaves it as it is."""
    policy: Path | None = None
    """A policy file instead of the shipped one."""
    allow_insecure_tls: bool = False
    """Accept a kubeconfig's insecure-skip-tls-verify."""
    color: Literal["auto", "always", "never"] = "auto"
    """auto, always or never."""
    reasoner: Literal["auto", "playbook", "llm"] = "auto"
    """auto: a language model where one is set, the playbook otherwise."""
    model: str = ""
    """Name of the model at the endpoint; empty means no language model."""
    model_url: str = "https://api.openai.com/v1"
    """Base URL of an OpenAI-compatible endpoint."""
    model_key: SecretStr = SecretStr("")
    """Key of the endpoint; in a file, better leave it out and set PLUMBLINE_MODEL_KEY or OPENAI_API_KEY."""
    model_headers: dict[str, str] = Field(default_factory=dict)
    """Extra HTTP headers for the endpoint, as gateways want them."""
    model_timeout: float = 60.0
    """Seconds for one reply, or a duration such as "60s"."""
    model_window: int = Field(default=128_000, ge=4_096)
    """Tokens that fit into the model's context."""
    model_tokens: int = Field(default=150_000, ge=1)
    """Tokens, sent and received, that one question may use."""
    model_tokens_per_hour: int = Field(default=2_000_000, ge=1)
    """Tokens that all questions of this installation may use in an hour."""
    model_cost: float | None = Field(default=None, gt=0)
    """Money that one question may cost, in the currency of `prices`; needs a price for the model."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """Model → { input, output }: price of a million tokens."""
    allow_plain_http: bool = False
    """Let the model endpoint be plain HTTP on another machine."""
    changes: ChangeSettings = ChangeSettings()
    """Proposals: who approves, when nothing is written, how far the engine goes (docs/changes.md)."""
    sources: dict[str, str] = Field(default_factory=dict, exclude=True)
    """Field → where its value came from."""

    @field_validator("request_timeout", mode="before")
    @classmethod
    def _duration(cls, value: object) -> object:
        found = seconds(value) if isinstance(value, str) else value
        return None if found == 0 else found

    @field_validator("model_timeout", mode="before")
    @classmethod
    def _model_duration(cls, value: object) -> object:
        return seconds(value) if isinstance(value, str) else value

    @field_validator("policy")
    @classmethod
    def _there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @field_validator("request_timeout")
    @classmethod
    def _forward(cls, value: float | None) -> float | None:
        if value is not None and value < 0:
            raise ValueError("a duration is never negative")
        return value


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
        if (text := environ.get(ENVIRONMENT + name.upper())) is not None and name not in TABLES:
            listed = name == "allowed_plugins"
            values[name] = tuple(filter(None, text.split(os.pathsep))) if listed else text
            sources[name] = f"${ENVIRONMENT}{name.upper()}"
    own = str(flags.get("model_url") or values.get("model_url", OPENAI)).startswith(OPENAI)
    if own and "model_key" not in values and (key := environ.get("OPENAI_API_KEY")):
        values["model_key"], sources["model_key"] = key, "$OPENAI_API_KEY"  # for OpenAI itself, and nobody else
    for name, value in flags.items():
        if value is not None:
            values[name], sources[name] = value, FLAGS.get(name, f"--{name.replace('_', '-')}")
    try:
        return Settings.model_validate({**values, "sources": sources})
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else ""
        raise SettingsError(f"{name}: {_problem(error)}", hint=f"set by {sources.get(name, 'default')}") from None


def _problem(error: ValidationError) -> str:
    """The first thing wrong, in one line."""
    return str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ").replace("\n", " ")


def _file(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE).decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint="check PLUMBLINE_CONFIG") from None
    except UnicodeDecodeError:
        raise DocumentError(str(path), None, "", "not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        problem = re.sub(r" \(at .*\)$", "", str(error))
        raise DocumentError(str(path), int(found[1]) if found else None, "", f"not TOML: {problem}") from None
    for name, value in document.items():
        if name not in Settings.model_fields or name == "sources":
            known = ", ".join(n for n in Settings.model_fields if n != "sources")
            raise DocumentError(str(path), _line(text, name), name, f"unknown setting; known are {known}")
        try:
            Settings.model_validate({name: value})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            last = next((str(part) for part in reversed(first["loc"]) if isinstance(part, str)), name)
            line = _line(text, last) or _line(text, name)
            raise DocumentError(str(path), line, ".".join(map(str, first["loc"])) or name, _problem(error)) from None
    return document


def _line(text: str, name: str) -> int | None:
    pattern = re.compile(rf"""^\s*(?:\[\s*)?["']?{re.escape(name)}["']?\s*[\].=]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), None)

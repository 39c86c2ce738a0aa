"""Reading kubeconfig files the way kubectl does, into one plain description of server and identity.

Rules: files merge with the first definition of a name winning; relative paths are relative to their file; nothing
here runs a program or opens a connection. Whatever is wrong is one line that says what to do.
Format: kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from tools.documents import load_yaml
from tools.errors import CredentialsError, UnknownName
from tools.types import JsonObject

MAX_BYTES: Final = 4 << 20
IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Plugin:
    """An exec credential plugin as a kubeconfig names it."""

    command: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    api_version: str
    folder: Path
    """Folder of the kubeconfig: a command with a slash is relative to it."""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """One context, resolved: where the server is and how to be recognised there. Secrets stay out of `repr`."""

    context: str
    server: str
    ca: bytes | None = None
    verify: bool = True
    server_name: str = ""
    proxy: str = ""
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    as_user: str = ""
    as_groups: tuple[str, ...] = ()
    plugin: Plugin | None = None


def search_path(given: str | None, environ: Mapping[str, str]) -> list[Path]:
    """The files to merge: `given` (a path list as in KUBECONFIG), else KUBECONFIG, else ~/.kube/config."""
    text = given or environ.get("KUBECONFIG") or ""
    paths = [Path(part).expanduser() for part in text.split(os.pathsep) if part]
    return paths or [Path("~/.kube/config").expanduser()]


def load(given: str | None, context: str | None, environ: Mapping[str, str]) -> Login:
    """The login of `context` (else the current one). Raises CredentialsError, UnknownName, DocumentError.

    Without any file and without `given`, the service account of the pod we run in.
    """
    paths = search_path(given, environ)
    present = [path for path in paths if path.is_file()]
    if not present:
        if not given and environ.get("KUBERNETES_SERVICE_HOST"):
            return _in_cluster(environ)
        shown = ", ".join(str(path) for path in paths)
        raise CredentialsError(f"no kubeconfig at {shown}", hint="give --kubeconfig FILE or set KUBECONFIG")
    merged = _Merged()
    for path in present:
        merged.add(path)
    return _login(merged, context)


class _Merged:
    """Entries by name, each with the folder of the file that defined it."""

    def __init__(self) -> None:
        self.current = ""
        self.named: dict[str, dict[str, tuple[JsonObject, Path]]] = {"clusters": {}, "users": {}, "contexts": {}}

    def add(self, path: Path) -> None:
        """Merge one file in; what is already defined stays."""
        document = _document(path)
        current = document.get("current-context")
        if not self.current and isinstance(current, str):
            self.current = current
        for section, entries in self.named.items():
            listed = document.get(section)
            for entry in listed if isinstance(listed, list) else ():
                body = entry.get(section[:-1]) if isinstance(entry, dict) else None
                name = entry.get("name") if isinstance(entry, dict) else None
                if isinstance(name, str) and isinstance(body, dict):
                    entries.setdefault(name, (body, path.parent))

    def find(self, section: str, name: str) -> tuple[JsonObject, Path]:
        """An entry and the folder of its file. Raises UnknownName with near names."""
        entries = self.named[section]
        if name not in entries:
            raise UnknownName(section[:-1], name, entries)
        return entries[name]


def _document(path: Path) -> JsonObject:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CredentialsError(
            f"cannot read the kubeconfig {path}: {error.strerror}", hint="check its permissions"
        ) from error
    if len(raw) > MAX_BYTES:
        raise CredentialsError(f"{path} is larger than {MAX_BYTES >> 20} MiB", hint="this is no kubeconfig")
    parsed = load_yaml(raw.decode("utf-8", "replace"), name=str(path))
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise CredentialsError(f"{path} is not a kubeconfig", hint="give --kubeconfig FILE")
    return parsed


def _login(merged: _Merged, wanted: str | None) -> Login:
    name = wanted or merged.current
    if not name:
        raise CredentialsError("the kubeconfig has no current context", hint="choose one with --context")
    context, _ = merged.find("contexts", name)
    cluster, cluster_folder = merged.find("clusters", _text(context, "cluster"))
    user: JsonObject = {}
    user_folder = cluster_folder
    if _text(context, "user"):
        user, user_folder = merged.find("users", _text(context, "user"))
    _refuse_legacy(user, name)
    return Login(
        context=name,
        server=_text(cluster, "server"),
        ca=_material(cluster, "certificate-authority", cluster_folder),
        verify=cluster.get("insecure-skip-tls-verify") is not True,
        server_name=_text(cluster, "tls-server-name"),
        proxy=_text(cluster, "proxy-url"),
        token=_text(user, "token"),
        token_file=_path(user, "tokenFile", user_folder),
        cert=_material(user, "client-certificate", user_folder),
        key=_material(user, "client-key", user_folder),
        as_user=_text(user, "as"),
        as_groups=_texts(user.get("as-groups")),
        plugin=_plugin(user, user_folder),
    )


def _refuse_legacy(user: JsonObject, context: str) -> None:
    if user.get("auth-provider"):
        raise CredentialsError(
            f"context {context} uses auth-provider, which Kubernetes removed in 1.26",
            hint="replace it by an exec plugin or a token",
        )
    if user.get("username") or user.get("password"):
        raise CredentialsError(
            f"context {context} uses a password, which Kubernetes removed in 1.19", hint="use a token or certificate"
        )


def _plugin(user: JsonObject, folder: Path) -> Plugin | None:
    entry = user.get("exec")
    if not isinstance(entry, dict):
        return None
    env = entry.get("env")
    pairs = [e for e in env if isinstance(e, dict)] if isinstance(env, list) else []
    return Plugin(
        command=_text(entry, "command"),
        args=_texts(entry.get("args")),
        env=tuple((_text(e, "name"), _text(e, "value")) for e in pairs if _text(e, "name")),
        api_version=_text(entry, "apiVersion"),
        folder=folder,
        hint=_text(entry, "installHint"),
    )


def _material(entry: JsonObject, key: str, folder: Path) -> bytes | None:
    """PEM bytes given inline (`key`-data, base64, which wins) or as a file."""
    inline = _text(entry, f"{key}-data")
    if inline:
        try:
            return base64.b64decode(inline, validate=True)
        except (binascii.Error, ValueError) as error:
            raise CredentialsError(f"{key}-data in the kubeconfig is not base64", hint="write it again") from error
    path = _path(entry, key, folder)
    if path is None:
        return None
    return read_small(path, what=key)


def read_small(path: Path, *, what: str) -> bytes:
    """A credential file of at most 1 MiB. Raises CredentialsError."""
    try:
        with path.open("rb") as file:
            raw = file.read((1 << 20) + 1)
    except OSError as error:
        raise CredentialsError(
            f"cannot read the {what} file {path}: {error.strerror}", hint="mend its path in the kubeconfig"
        ) from error
    if len(raw) > 1 << 20:
        raise CredentialsError(f"the {what} file {path} is larger than 1 MiB", hint="mend its path in the kubeconfig")
    return raw


def _path(entry: JsonObject, key: str, folder: Path) -> Path | None:
    text = _text(entry, key)
    return folder / Path(text).expanduser() if text else None


def _text(entry: JsonObject, key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _texts(value: JsonValue) -> tuple[str, ...]:
    items: Sequence[JsonValue] = value if isinstance(value, list) else ()
    return tuple(item for item in items if isinstance(item, str))


def _in_cluster(environ: Mapping[str, str]) -> Login:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    return Login(
        context="in-cluster",
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ca=read_small(IN_CLUSTER / "ca.crt", what="service account CA"),
        token_file=IN_CLUSTER / "token",
    )

"""From a kubeconfig to a live port: checks the server's address, proves nothing, and never weakens TLS by itself.

Rules: TLS verification is off only when kubeconfig and settings both say so; a credential plugin runs only when its
absolute path is allowed, once, before the process locks itself down; impersonation headers hold printable text only.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import certifi
from kubernetes.aio.client.configuration import Configuration
from multidict import CIMultiDict

from tools.credentials import run_plugin
from tools.errors import CredentialsError
from tools.kube.kubeconfig import Login, load, read_small
from tools.kube.port import LiveKube
from tools.kube.transport import Transport

TOKEN_SECONDS: Final = 60.0
"""How long a token read from a file is used: the kubelet replaces it well before its hour is over."""


@dataclass(frozen=True, slots=True)
class KubeTarget:
    """Which cluster, as whom. `kubeconfig` is a path list as in KUBECONFIG; None uses kubectl's defaults."""

    kubeconfig: str | None = None
    context: str | None = None
    as_user: str | None = None
    as_groups: tuple[str, ...] = ()
    request_timeout: float | None = None
    """Seconds; shortens the deadline of every call, never lengthens it."""
    allowed_plugins: tuple[str, ...] = ()
    """Absolute paths of exec credential plugins that may run."""
    allow_insecure_tls: bool = False


T = TypeVar("T", bound=Transport)


async def connect(target: KubeTarget) -> LiveKube:
    """A port for the target; sends nothing yet. Raises CredentialsError, UnknownName, DocumentError."""
    login = await sign_in(target)
    return LiveKube(opened(login, Transport), request_timeout=target.request_timeout, cluster=login.context)


async def sign_in(target: KubeTarget) -> Login:
    """The login of a target, checked and fit for headers. Raises CredentialsError, UnknownName, DocumentError."""
    login = load(target.kubeconfig, target.context, os.environ)
    if target.as_user:
        login = replace(login, as_user=target.as_user, as_groups=target.as_groups)
    elif target.as_groups:
        raise CredentialsError("--as-group needs --as", hint="say whom to impersonate with --as USER")
    _check(login, allow_insecure=target.allow_insecure_tls)
    if login.plugin is not None:
        issued = await run_plugin(
            login.plugin.command,
            login.plugin.args,
            env=dict(login.plugin.env),
            api_version=login.plugin.api_version,
            folder=login.plugin.folder,
            allowed=target.allowed_plugins,
            hint=login.plugin.hint,
        )
        login = replace(login, token=issued.token, cert=issued.cert or login.cert, key=issued.key or login.key)
    _fit_for_headers(login.as_user, *login.as_groups, login.token)
    return login


def _check(login: Login, *, allow_insecure: bool) -> None:
    if not _is_address(login.server):
        raise CredentialsError(
            f"context {login.context}: {login.server[:120]!r} is no API server address",
            hint="it must be https://HOST[:PORT] in the kubeconfig",
        )
    if not login.verify and not allow_insecure:
        raise CredentialsError(
            f"context {login.context} turns off TLS verification (insecure-skip-tls-verify)",
            hint="put the CA into the kubeconfig, or allow insecure TLS in the settings",
        )
    if login.proxy and urlsplit(login.proxy).scheme not in ("http", "https"):
        raise CredentialsError(f"context {login.context}: proxy-url must be http or https", hint="mend the kubeconfig")


def _is_address(server: str) -> bool:
    """True for http or https, a host, a possible port, perhaps a path, and nothing else."""
    try:
        parts = urlsplit(server)
        plain = parts.port != 0 and not (parts.username or parts.query or parts.fragment)
    except ValueError:
        return False
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and server.isprintable()


def _fit_for_headers(*values: str) -> None:
    """Raises CredentialsError for what would break out of a header."""
    if any(not value.isprintable() or not value.isascii() for value in values):
        raise CredentialsError(
            "a user, group or token holds characters that no header may carry", hint="mend the kubeconfig"
        )


def opened(login: Login, transport: type[T]) -> T:
    """A transport for a login. Raises CredentialsError for a certificate or key that cannot be used."""
    config = Configuration(host=login.server.rstrip("/"), verify_ssl=login.verify)
    config.tls_server_name = login.server_name or None
    config.proxy = login.proxy or None
    if login.ca is not None:
        config.ca_cert_data = login.ca.decode("ascii", "replace")
    elif login.server.startswith("http://") and not login.proxy:
        config.ca_cert_data = _one_root()
    # The ssl module takes a client key only from a file; the folder is private and gone before the first request.
    with tempfile.TemporaryDirectory(prefix="plumbline-") as folder:
        if login.cert is not None and login.key is not None:
            config.cert_file = _write(Path(folder) / "cert.pem", login.cert)
            config.key_file = _write(Path(folder) / "key.pem", login.key)
        try:
            return transport(config, _authorizer(login))
        except (ssl.SSLError, OSError) as error:
            raise CredentialsError(
                f"context {login.context}: a certificate or key cannot be used ({error})", hint="mend the kubeconfig"
            ) from error


@cache
def _one_root() -> str:
    """One root certificate, for a connection without TLS that verifies none: reading all of them takes 18 ms."""
    first, end, _ = certifi.contents().partition("-----END CERTIFICATE-----")
    return first + end


def _write(path: Path, data: bytes) -> str:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    return str(path)


def _authorizer(login: Login) -> Callable[[], Awaitable[CIMultiDict[str]]]:
    """Headers of the login's identity; a token file is read again when its content may have changed."""
    token, read_at = login.token, float("-inf")

    async def headers() -> CIMultiDict[str]:
        nonlocal token, read_at
        if login.token_file is not None and not login.token and time.monotonic() - read_at > TOKEN_SECONDS:
            token = read_small(login.token_file, what="token").decode("ascii", "replace").strip()
            _fit_for_headers(token)
            read_at = time.monotonic()
        made: CIMultiDict[str] = CIMultiDict()
        if token:
            made["Authorization"] = f"Bearer {token}"
        if login.as_user:
            made["Impersonate-User"] = login.as_user
        for group in login.as_groups:
            made.add("Impersonate-Group", group)
        return made

    return headers

"""From an address to a live metrics port, after checking that the address may be asked at all.

Rules: http or https, no credentials in the address, never link-local or a cloud's metadata service; loopback and
private networks are what in-cluster servers live on, and are fine.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tools.errors import SettingsError, TargetError
from tools.prom.port import LiveProm

_REFUSED: Final = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    ipaddress.ip_network("fd00:ec2::254/128"),
    ipaddress.ip_network("100.100.100.200/32"),
)
"""Link-local, and the metadata addresses of AWS (IPv6) and Alibaba Cloud, which are not link-local."""


def connect_prom(
    url: str, *, headers: Mapping[str, str] | None = None, request_timeout: float | None = None
) -> LiveProm:
    """A port for the server at `url`; sends nothing yet. Raises SettingsError or TargetError."""
    return LiveProm(_checked(url), headers=_headers(headers or {}), request_timeout=request_timeout)


def _checked(url: str) -> str:
    hint = "give --prometheus http://HOST:PORT"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"{url[:120]!r} is no address of a Prometheus", hint=hint) from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or not url.isprintable():
        raise SettingsError(f"{url[:120]!r} is no address of a Prometheus", hint=hint)
    if parts.username is not None or parts.password is not None:
        raise SettingsError("the Prometheus address holds a user or password", hint="put them into a header instead")
    for address in _addresses(host, port or 0):
        if any(address in network for network in _REFUSED if network.version == address.version):
            raise TargetError(f"{host} is a link-local or metadata address, which is never asked", hint=hint)
    return url.rstrip("/")


def _addresses(host: str, port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """What `host` stands for, in whatever notation; none when it cannot be resolved (asking will say so)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    return [getattr(address, "ipv4_mapped", None) or address for address in addresses]


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not (name.isascii() and name.replace("-", "").isalnum() and value.isascii() and value.isprintable()):
            raise SettingsError(f"the header {name[:40]!r} for Prometheus is not printable text")
    return dict(headers)

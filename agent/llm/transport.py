"""The HTTP under the model client, with the bounds that client lacks.

Rules: one address, fixed by the settings; the headers are a constant list and those of the settings, whatever
OPENAI_ variables say; no redirect, no proxy from the environment, no compression; never a link-local or metadata
address, also behind a name: a name is resolved once, and what was checked is what is connected to; a body is cut while
it streams.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Final

import anyio
import httpx2

from tools.errors import SettingsError

BODY_BYTES: Final = 8 << 20
"""Most bytes of one answer on the wire: a streamed token takes some 300 bytes of JSON."""
ERROR_BYTES: Final = 64 << 10
"""Bytes read of an answer that is an error."""
_KEPT: Final = frozenset({"host", "accept", "content-type", "content-length", "transfer-encoding", "connection"})
_METADATA: Final = frozenset(
    ipaddress.ip_address(a)
    for a in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
"""Of AWS, Google Cloud, Alibaba Cloud, Azure and Oracle Cloud, beside 169.254.169.254."""
_CARRIERS: Final = tuple(
    ipaddress.IPv6Network(n) for n in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
"""Networks whose addresses end in one of IPv4: compatible, mapped and translated ones, and NAT64 (RFC 6052, 8215)."""
_TRIES: Final = 4
"""Addresses of one name that are tried in turn."""
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class TooLarge(httpx2.RequestError):
    """An answer larger than BODY_BYTES."""


class Forbidden(httpx2.RequestError):
    """A name that leads to an address which is never asked."""


class Guarded(httpx2.AsyncBaseTransport):
    """Sends requests with exactly `headers`, to addresses that may be asked."""

    def __init__(self, headers: Mapping[str, str], *, tls: bool) -> None:
        self._headers = dict(headers)
        try:
            verify: ssl.SSLContext | bool = True if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            # trust_env reaches SSL_CERT_FILE and SSL_CERT_DIR only: proxies are the client's, and it has none
            limits = httpx2.Limits(max_connections=8, max_keepalive_connections=2)
            self._inner = httpx2.AsyncHTTPTransport(verify=verify, trust_env=True, limits=limits)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"the CA file cannot be read: {error}", hint="check SSL_CERT_FILE") from None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request. Raises httpx2.RequestError."""
        kept = [(name, value) for name, value in request.headers.multi_items() if name.lower() in _KEPT]
        request.headers = httpx2.Headers([*kept, ("accept-encoding", "identity"), *self._headers.items()])
        addresses = await _addresses(request)
        for address in addresses[:-1]:
            try:
                response = await self._inner.handle_async_request(_directed(request, address))
                break
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue  # nothing was sent
        else:
            response = await self._inner.handle_async_request(_directed(request, addresses[-1]))
        inner = response.stream
        assert isinstance(inner, httpx2.AsyncByteStream)
        response.headers.pop("content-encoding", None)  # none was asked for: bytes are taken as they are
        response.stream = _Bounded(inner, request, error=not response.is_success)
        return response

    async def aclose(self) -> None:
        """Close connections."""
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends after ERROR_BYTES where it is an error's, and fails after BODY_BYTES otherwise."""

    def __init__(self, inner: httpx2.AsyncByteStream, request: httpx2.Request, *, error: bool) -> None:
        self._inner, self._request, self._error = inner, request, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = 0
        try:
            async for chunk in self._inner:
                held += len(chunk)
                if self._error and held > ERROR_BYTES:
                    return
                if held > BODY_BYTES:
                    raise TooLarge(f"the answer is larger than {BODY_BYTES >> 20} MiB", request=self._request)
                yield chunk
        except (httpx2.RequestError, ssl.SSLError, anyio.EndOfStream) as error:
            if self._error:
                return  # the status says enough
            if isinstance(error, httpx2.RequestError):
                raise
            raise httpx2.ReadError(str(error), request=self._request) from error

    async def aclose(self) -> None:
        """Close the stream it bounds."""
        await self._inner.aclose()


def forbidden(address: IpAddress) -> bool:
    """True for link-local and metadata addresses, also where IPv6 wraps them."""
    return any(
        found.is_link_local or found.is_unspecified or found.is_multicast or found in _METADATA
        for found in (address, *_wrapped(address))
    )


def _wrapped(address: IpAddress) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that one of IPv6 leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    made = [*(address.teredo or ()), *([address.sixtofour] if address.sixtofour else [])]
    # the rest of ::/96 belongs to carriers, its first two addresses to this host
    if int(address) > 1 and any(address in network for network in _CARRIERS):
        made.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return made


def literal(host: str) -> IpAddress | None:
    """A host as an address, or None where it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _host(request: httpx2.Request) -> str:
    """The host as it is resolved, and named on a certificate."""
    return request.url.raw_host.decode("ascii")


async def _addresses(request: httpx2.Request) -> list[IpAddress]:
    """Where a request may be sent, in the order to try. Raises Forbidden, and ConnectError for an unknown name."""
    host = _host(request)
    if (found := literal(host)) is not None:
        addresses = [found]
    else:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.getaddrinfo(host, request.url.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        found_all = (literal(str(answer[4][0])) for answer in answers)
        addresses = list(dict.fromkeys(made for made in found_all if made is not None))
    if any(forbidden(address) for address in addresses):
        raise Forbidden("the endpoint is at a link-local or metadata address, which is never asked", request=request)
    if not addresses:
        raise httpx2.ConnectError("the name has no address", request=request)
    return addresses[:_TRIES]


def _directed(request: httpx2.Request, address: IpAddress) -> httpx2.Request:
    """The same request to one address; Host, and the name on the certificate, stay those of the settings."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": _host(request)},
    )

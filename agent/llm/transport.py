"""The HTTP under the model client, with the bounds that client lacks.

Rules: one address, fixed by the settings; the headers are a constant list and those of the settings, whatever
OPENAI_ variables say; no redirect, no proxy from the environment, no compression; never a link-local or metadata
address, also behind a name; a body is cut while it streams.
"""

from __future__ import annotations

import asyncio
import ipaddress
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
_METADATA: Final = frozenset(ipaddress.ip_address(a) for a in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192"))
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
        await _check_name(request)
        kept = [(name, value) for name, value in request.headers.multi_items() if name.lower() in _KEPT]
        request.headers = httpx2.Headers([*kept, ("accept-encoding", "identity"), *self._headers.items()])
        response = await self._inner.handle_async_request(request)
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
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    found = mapped or address
    return found.is_link_local or found.is_unspecified or found.is_multicast or found in _METADATA


def literal(host: str) -> IpAddress | None:
    """A host as an address, or None where it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


async def _check_name(request: httpx2.Request) -> None:
    """Refuse a name that leads to a forbidden address; a name that does not resolve fails when it is connected."""
    host = request.url.host
    if (found := literal(host)) is not None:
        addresses = [found]
    else:
        try:
            answers = await asyncio.get_running_loop().getaddrinfo(host, request.url.port or 443)
        except OSError:
            return
        addresses = [made for answer in answers if (made := literal(str(answer[4][0]))) is not None]
    if any(forbidden(address) for address in addresses):
        raise Forbidden("the endpoint is at a link-local or metadata address, which is never asked", request=request)

"""Which addresses may be asked: http(s) without credentials, at public addresses unless private ones are allowed."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

import httpcore
import httpx

from mindkg.images.picture import PictureError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_CONNECT: Final = 5.0
"""Seconds for each address of a host but the last, which has what is left."""

_IDLE: Final = 20.0
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # special purposes
        "192.88.99.0/24",  # relays to IPv6, given up
        "168.63.129.16/32",  # a public address that every machine of one cloud reaches its host by
        "64:ff9b:1::/48",  # translation inside a network
        "fec0::/10",  # site-local, given up
    )
)
"""What Python's ``is_global`` lets pass in one version or another."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet, also where it carries an IPv4 address inside.

    >>> [is_public(a) for a in ("93.184.215.14", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a00:1")]
    [True, False, False, False, False]
    """
    ip: Address = ipaddress.ip_address(address.partition("%")[0])
    inner = _inside(ip) if isinstance(ip, ipaddress.IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    if ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local:
        return False
    return ip.is_global and not any(ip.version == n.version and ip in n for n in _NOT_PUBLIC)


def _inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to: mapped, by NAT64 or by 6to4."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def checked_url(text: str) -> httpx.URL:
    """Return ``text`` as a URL that may be asked for, its host's address aside; raises PictureError where it may not.

    >>> checked_url("https://example.com/a b.jpg").path
    '/a b.jpg'
    """
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise PictureError(f"not a URL: {error}") from error
    if url.scheme not in ("http", "https"):
        raise PictureError(f"scheme {url.scheme[:20]!r} is not allowed, only http, https and data")
    if url.userinfo:
        raise PictureError("a URL with a user name or password is not asked for")
    # the host itself is not decoded: what begins as Punycode and is none would raise
    if not url.raw_host or (url.port is not None and url.port not in range(1, 1 << 16)):
        raise PictureError("not a URL: it has no host, or no such port")
    return url


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connections to hosts all of whose addresses are allowed.

    A host is looked up here and connected to by the very address that was checked, so that a name which changes its
    address meanwhile gains nothing.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to ``host``; raises PictureError for an address that is not allowed."""
        *others, last = await self.addresses(host, port)
        for address in others:
            try:
                return await self._inner.connect_tcp(address, port, _CONNECT, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(last, port, timeout, local_address, socket_options)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of ``host``, at least one; raises PictureError if one of them is not allowed."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"host not found: {host}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        refused = [a for a in addresses if not self._allow_private and not is_public(a)]
        if refused:
            raise PictureError(f"a private address: {host} is {refused[0]}", rule="allow_private=False")
        return addresses

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class CheckedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over ``CheckedBackend``; proxies of the environment are not used: they look up hosts."""

    def __init__(self, *, allow_private: bool, idle: int) -> None:
        # httpx has no option for the backend. Its own pool is never made: where the attribute had another name in some
        # version, every request would fail, none would go out unchecked
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=idle,
            keepalive_expiry=_IDLE,
            network_backend=CheckedBackend(allow_private=allow_private),
        )

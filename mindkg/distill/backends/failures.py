"""What a failure of a model server means to its user: the reason in plain words, and what to do about it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.request import getproxies, proxy_bypass

import httpx

from mindkg.distill.backends.server_errors import one_line

KEYS: Final = ("MINDKG_API_KEY", "OPENAI_API_KEY")
"""The environment variables that may hold the server's key; the first that is set counts."""

KEY: Final = "OPENAI_API_KEY"
"""The one that the documentation and every message name."""

_ADDRESS: Final = "Check the address, which mostly ends in /v1"
_EXPIRED: Final = frozenset({9, 10})
_OTHER_NAME: Final = frozenset({62, 63, 64})
"""OpenSSL's X509_V_ERR codes: not yet valid or expired; issued for another host or address."""


def connection_failure(error: BaseException, address: str) -> tuple[str, str]:
    """Return why no connection to ``address`` was made or kept, and a hint."""
    reason, hint = _reason(error, httpx.URL(address))
    if (proxy := _proxy(address)) and not isinstance(error, httpx.ProxyError):
        hint += f". The connection goes through the proxy in {proxy}; NO_PROXY switches it off"
    return reason, hint


def status_hint(status: int, said: str, key: str | None) -> str:
    """Return what to do about an HTTP status that no request will change; ``key`` names the variable of the key sent.

    >>> status_hint(401, "wrong key", None)
    'It wants a key: put it into the environment variable OPENAI_API_KEY'
    """
    if status in (401, 403):
        if key:
            return f"Check the key in the environment variable {key}"
        return f"It wants a key: put it into the environment variable {KEY}"
    if status == 407:
        return "The proxy wants a name and a password: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT"
    if 300 <= status < 400:
        return "It sends requests elsewhere: give the address that it names"
    if status == 404 and "model" in said.lower():
        return "Name one of the server's models with --model"
    return f"{_ADDRESS}, and --model"


def first_failure_hint(message: str, status: int | None) -> str:
    """Return what to do when the first request of all has failed for good with ``message``."""
    if "no answer within" in message:
        return "Raise --timeout, lower --concurrency, or look at the server's log"
    if status == 200:
        return f"This is no chat server. {_ADDRESS}"
    if status is not None and status >= 500:
        return "The server is in trouble: look at its log"
    return f"{_ADDRESS}, --model, and the server's log"


def _reason(error: BaseException, url: httpx.URL) -> tuple[str, str]:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}", _certificate_hint(cause.verify_code)
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or str(cause)).replace("_", " ").lower()
            hint = "If the server speaks plain HTTP, the address begins with http://; SSL_CERT_FILE names certificates"
            return f"no TLS connection: {reason}", hint
        if isinstance(cause, socket.gaierror):
            return f"the host {url.host!r} is unknown: {cause.strerror}", "Check the host's name and the network"
        if isinstance(cause, ConnectionRefusedError):
            port = url.port or (443 if url.scheme == "https" else 80)
            return f"connection refused at port {port}", "Start the server, or check the host and the port"
    said = one_line(str(error)) or one_line(str(causes[-1])) or type(error).__name__
    if isinstance(error, httpx.ProxyError):
        return f"the proxy refuses: {said}", "Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY; NO_PROXY switches them off"
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time", "Check the host, the port, the network and the firewall"
    if isinstance(error, httpx.ConnectError):
        return said, "Check the host, the port and the network"
    other = "https" if url.scheme == "http" else "http"
    return f"the connection broke: {said}", f"Is it a chat server, and does it speak {url.scheme} and not {other}?"


def _certificate_hint(code: int) -> str:
    if code in _EXPIRED:
        return "Renew the server's certificate or check this machine's clock: SSL_CERT_FILE cannot change its dates"
    if code in _OTHER_NAME:
        return "Give the host that the certificate was issued for; SSL_CERT_FILE does not change that"
    return "If you trust the server, name a PEM file with its certificate or its authority's in SSL_CERT_FILE"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield ``error`` and what it came from: httpx and httpcore keep the system's error as the cause of their own."""
    for _ in range(8):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _proxy(address: str) -> str | None:
    """Return the environment variable of the proxy that requests to ``address`` go through, None without one."""
    url, proxies = httpx.URL(address), getproxies()
    if proxy_bypass(url.host):
        return None
    return next((f"{name.upper()}_PROXY" for name in (url.scheme, "all") if proxies.get(name)), None)

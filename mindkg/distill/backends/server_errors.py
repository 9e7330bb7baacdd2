"""Errors that a server reports anywhere in a response: which of them may pass, by their content and not their place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from mindkg.distill.requests import PASSING, RequestError

LONGEST: Final = 300
"""Code points of a server's words that an error repeats."""

INTERRUPTED: Final = frozenset(
    {
        *("error", "abort", "aborted", "cancelled", "canceled", "failed", "timeout"),
        *("insufficient_system_resource", "engine_overloaded"),
    }
)
"""Finish reasons of an answer that the server did not complete (OpenRouter, vLLM, SGLang, DeepSeek, Kimi)."""

STOPPED: Final = "the server stopped before the end of the answer"
"""How the message of an answer begins that the server did not complete."""

_PERMANENT: Final = (
    "invalid_request",
    "invalid_value",
    "unsupported",
    "insufficient_quota",
    "billing",
    "context_length",
    "content_filter",
    "content_policy",
    "invalid_api_key",
    "authentication",
    "permission",
    "not_found",
)
"""Parts of an error's type or code that no further attempt will change."""

QUOTA: Final = "insufficient_quota"
"""What an error says, with status 429, of an account that is out of money."""


def interrupted(body: Mapping[str, Any], choice: Mapping[str, Any]) -> RequestError | None:
    """Return the error that a chat completion or one of its choices holds, None where the model came to an end.

    The text next to such an error was cut off and is not an answer.

    >>> interrupted({}, {"finish_reason": "error", "message": {"content": "The potential"}}).retryable
    True
    >>> interrupted({}, {"finish_reason": "length", "message": {"content": "The potential"}}) is None
    True
    """
    message = choice.get("message")
    for place in (body, choice, message if isinstance(message, Mapping) else {}):
        error = place.get("error")
        if any(error.values()) if isinstance(error, Mapping) else error:
            return reported_error(place)
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and reason.lower() in INTERRUPTED:
        return RequestError(f"{STOPPED} ({one_line(reason)})", retryable=True)
    return None


def reported_error(body: Any, status: int | None = None) -> RequestError:
    """Return the error in ``body``, whose HTTP status was ``status`` (None: it says nothing about the error).

    A status inside the body counts where there is none outside. Without any, another attempt may succeed unless the
    error's type or code says that the request, the key or the account is at fault.

    >>> reported_error({"error": {"message": "busy", "code": 429}}).status
    429
    >>> reported_error({"error": {"message": "too long", "type": "invalid_request_error"}}).retryable
    False
    """
    error = body.get("error") if isinstance(body, Mapping) else None
    places = [place for place in (error, body) if isinstance(place, Mapping)]
    words = [str(place.get(name) or "").lower() for place in places for name in ("type", "code")]
    if status is None:
        found = (http_status(place.get(name)) for place in places for name in ("code", "status", "status_code"))
        status = next(filter(None, found), None)
    if status is None:
        permanent = any(part in word for word in words for part in _PERMANENT)
        status, again = (400, False) if permanent else (None, True)
    else:
        again = status in PASSING and not any(QUOTA in word for word in words)
    said = error_message(body) or one_line(body)
    prefix = f"the server says ({status})" if status else "the server says"
    return RequestError(f"{prefix}: {said}", status=status, retryable=again)


def http_status(value: Any) -> int | None:
    """Return ``value`` as the HTTP status of an error, None where it is not one (batch services write 0 for none).

    >>> [http_status(value) for value in (503, "429", 0, 200, True, "busy", 10**400)]
    [503, 429, None, None, None, None, None]
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if type(value) is int and 300 <= value <= 599 else None


def error_message(body: Any, depth: int = 4) -> str | None:
    """Return the words of an error in the shapes that servers give it, None where there are none."""
    for name in ("error", "message", "detail", "msg"):
        found = body.get(name) if isinstance(body, Mapping) else None
        if isinstance(found, Mapping):
            return (error_message(found, depth - 1) if depth else None) or one_line(found)
        if found:
            return one_line(found)
    return None


def one_line(said: Any) -> str:
    """Return text, or anything that JSON can write, as one line of at most ``LONGEST`` code points."""
    try:
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    except RecursionError:
        text = "nested too deeply"
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 20 * LONGEST]).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"

"""Chat completions that a server sends as a stream of events, assembled into the body that it would send at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mindkg.distill.backends.json_text import read_json


def is_stream(content: bytes, kind: str) -> bool:
    """Return whether a response of the media type ``kind`` is a stream of server-sent events."""
    return kind.startswith("text/event-stream") or content.lstrip()[:5] == b"data:"


def assembled(content: bytes) -> dict[str, Any]:
    """Return the chat completion whose pieces are the events in ``content``; raises ValueError for what is not JSON.

    Only the first choice counts. A stream that breaks off before its finish reason has none in the body either.
    """
    text: list[str] = []
    thought: list[str] = []
    logprobs: list[Any] = []
    choice: dict[str, Any] = {}
    body: dict[str, Any] = {}
    for event in _events(content):
        body |= {name: event[name] for name in ("usage", "error", "model") if event.get(name)}
        choices = event.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            continue
        one = choices[0]
        choice |= {name: one[name] for name in ("finish_reason", "error") if one.get(name)}
        delta = one.get("delta") or one.get("message")
        delta = delta if isinstance(delta, Mapping) else {}
        text += [delta["content"]] if isinstance(delta.get("content"), str) else []
        thought += [delta[name] for name in ("reasoning_content", "reasoning") if isinstance(delta.get(name), str)]
        said = one.get("logprobs")
        found = said.get("content") if isinstance(said, Mapping) else None
        logprobs += found if isinstance(found, list) else []
    message = {"role": "assistant", "content": "".join(text)} | (
        {"reasoning_content": "".join(thought)} if thought else {}
    )
    return body | {"choices": [{**choice, "message": message, "logprobs": {"content": logprobs} if logprobs else None}]}


def _events(content: bytes) -> Iterator[Mapping[str, Any]]:
    for line in content.decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if name != "data" or not colon or value.strip() in ("", "[DONE]"):
            continue
        event = read_json(value)
        if isinstance(event, Mapping):
            yield event

"""Chat completions that a server sends as a stream of events, assembled into the body that it would send at once."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from math import inf
from typing import Any, Final

from mindkg.distill.backends.json_text import read_json
from mindkg.http_body import BodyTooLargeError

STREAM: Final = "text/event-stream"
"""The media type of streams of server-sent events."""

_LINE: Final = re.compile(r"\r\n|\r|\n")


def is_stream(content: bytes, kind: str) -> bool:
    """Return whether a response of the media type ``kind`` is a stream of server-sent events."""
    return kind.startswith(STREAM) or content.lstrip()[:5] == b"data:"


def assembled(content: bytes) -> dict[str, Any]:
    """Return the chat completion whose pieces are the events in ``content``; raises ValueError for what is not JSON."""
    stream = EventStream()
    stream.feed(content)
    return stream.body()


class EventStream:
    """A stream that is assembled as it comes; only the first choice counts.

    Nothing but the parts of the completion is held. Raises BodyTooLargeError where the answer has more than
    ``max_answer`` bytes, so that a model that does not end is not read on, and where thoughts or one event have more
    than ``most``.
    """

    def __init__(self, most: float = inf, max_answer: float = inf) -> None:
        self._most, self._max_answer = most, max_answer
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._line = ""
        self._text: list[str] = []
        self._thought: list[str] = []
        self._sizes = [0, 0]
        self._logprobs: list[Any] = []
        self._choice: dict[str, Any] = {}
        self._body: dict[str, Any] = {}

    def feed(self, piece: bytes) -> None:
        """Take in what came; raises ValueError for an event that is not JSON."""
        *lines, self._line = _LINE.split(self._line + self._decode(piece))
        for line in lines:
            self._take(line)
        _check(len(self._line), self._most)

    def body(self) -> dict[str, Any]:
        """Return the completion; a stream that broke off before its finish reason has none here either."""
        self._take(self._line + self._decode(b"", True))
        self._line = ""
        thought = {"reasoning_content": "".join(self._thought)} if self._thought else {}
        message = {"role": "assistant", "content": "".join(self._text)} | thought
        logprobs = {"content": self._logprobs} if self._logprobs else None
        return self._body | {"choices": [{**self._choice, "message": message, "logprobs": logprobs}]}

    def _take(self, line: str) -> None:
        name, colon, value = line.partition(":")
        if name != "data" or not colon or value.strip() in ("", "[DONE]"):
            return
        event = read_json(value)
        if not isinstance(event, Mapping):
            return
        self._body |= {name: event[name] for name in ("usage", "error", "model") if event.get(name)}
        choices = event.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            return
        one = choices[0]
        self._choice |= {name: one[name] for name in ("finish_reason", "error") if one.get(name)}
        delta = one.get("delta") or one.get("message")
        delta = delta if isinstance(delta, Mapping) else {}
        self._add(self._text, 0, delta.get("content"), self._max_answer)
        for name in ("reasoning_content", "reasoning"):
            self._add(self._thought, 1, delta.get(name), self._most)
        said = one.get("logprobs")
        found = said.get("content") if isinstance(said, Mapping) else None
        self._logprobs += found if isinstance(found, list) else []

    def _add(self, parts: list[str], kind: int, piece: Any, most: float) -> None:
        if isinstance(piece, str):
            parts.append(piece)
            self._sizes[kind] += len(piece.encode("utf-8", "replace"))
            _check(self._sizes[kind], most)


def _check(size: int, most: float) -> None:
    if size > most:
        raise BodyTooLargeError(None, int(most))

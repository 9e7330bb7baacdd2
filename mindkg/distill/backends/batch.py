"""Batch files: requests written for a batch service, whose results ``replay`` reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from mindkg.distill.backends.base import Outcome, Probed
from mindkg.distill.backends.parameters import Parameters
from mindkg.distill.requests import Request, RequestError, Sampling
from mindkg.errors import InputError
from mindkg.outputs import check_file, new_file

ENDPOINT = "/v1/chat/completions"

_NEWER: Final = re.compile(r"(?:^|[/:])(?:o[1-9]|gpt-(?:[5-9]|\d\d))(?![a-z0-9])", re.I)
"""OpenAI's models that call the longest answer max_completion_tokens and refuse max_tokens."""


class BatchWriter:
    """A backend that answers nothing and writes each request as a line of OpenAI's Batch API.

    Each line's ``custom_id`` is the request's key. The file appears when it is complete; one that exists is replaced
    only with ``overwrite``.
    """

    def __init__(self, file: str | Path, model: str | None, revision: str = "", *, overwrite: bool = False) -> None:
        if not model:
            raise InputError("a batch file needs the name of its model", hint="Give it with --model")
        self.model = model
        self.revision = revision
        self.lines = 0
        check_file(file, overwrite=overwrite)
        self._new = new_file(file, overwrite=overwrite)

    def __enter__(self) -> BatchWriter:
        self._file = self._new.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._new.__exit__(kind, error, trace)

    def probe(self, sampling: Sampling) -> Probed:
        """Return that all is well: what a batch service refuses is known when its results are read."""
        return Probed()

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        """Write each request and yield it with None, or with why it cannot be asked."""
        from mindkg.distill.backends.openai import chat_body

        for request in requests:
            try:
                body = chat_body(request)
            except RequestError as error:
                yield request, error
                continue
            if _NEWER.search(self.model):
                body = Parameters(renamed=True).applied(body)
            line = {"custom_id": request.key, "method": "POST", "url": ENDPOINT, "body": body}
            self._file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
            self.lines += 1
            yield request, None

    def close(self) -> None:
        """Do nothing: the file is closed at the end of the block."""

"""Recorded answers as a model: for tests, demonstrations, and answers that others have published."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, TextIO

from mindkg.distill.backends.base import Outcome, Probed
from mindkg.distill.backends.json_text import read_json, well_formed
from mindkg.distill.requests import (
    MAX_ANSWER,
    TOO_LONG,
    TOO_LONG_HINT,
    Answer,
    Request,
    RequestError,
    Sampling,
    most_bytes,
)
from mindkg.errors import InputError
from mindkg.identity import cobuy_key
from mindkg.vocabulary import relation_name

_HINT: Final = (
    "A record has text and one of: key; product_id (features); product_a, product_b (or cobuy_id) and relation "
    "(intentions), with verdict for the filter's answer"
)
_Name = tuple[str, ...]

_CUSTOM_ID: Final = re.compile(r'"custom_id"\s*:\s*"([^"\\]{1,200})"')
_FRONT: Final = 1 << 12
"""Characters at the beginning of a line that is too long in which its request is looked for."""


class ReplayBackend:
    """Answers from a file of records, JSON Lines (plain or ``.gz``) or Parquet (``.parquet``).

    A record answers the request with its ``key``, or the features of ``product_id``, or the intention of a pair
    (``product_a`` and ``product_b``, or ``cobuy_id``) and a ``relation``; ``verdict`` is what the filter said of that
    intention. The second record of one pair and relation answers its second sample. A request that no record answers
    stays unasked; of several records that answer one request the first counts, but an error is no answer. Results of a
    batch service (``custom_id``, ``response``) are records too; they answer requests to one ``model``, which must be
    given, since services call it by other names. A line of over 8 times ``max_answer`` bytes (at least 1 MiB) is not
    read: it is an error of the request that it names.
    """

    def __init__(
        self, file: str | Path, model: str | None = None, revision: str = "", *, max_answer: int = MAX_ANSWER
    ) -> None:
        self.model = model or f"replay:{Path(file).name}"
        self.revision = revision
        self._answers: dict[_Name, Answer | RequestError] = {}
        self._used: set[_Name] = set()
        seen: dict[_Name, int] = defaultdict(int)
        for number, record in _records(Path(file), most_bytes(max_answer)):
            if model is None and "custom_id" in record:
                raise _nameless(record, f"{file}:{number}")
            for name, outcome in _told(record, seen, f"{file}:{number}"):
                known = self._answers.get(name)
                if known is None or (isinstance(known, RequestError) and isinstance(outcome, Answer)):
                    self._answers[name] = outcome
        self._known = len(self._answers)

    def probe(self, sampling: Sampling) -> Probed:
        """Return that there are no log-probabilities where the file holds what a filter said in words."""
        words = any(name[0] == "filter" for name in self._answers)
        return Probed(False, "the file holds what the filter said in words") if words else Probed()

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        """Yield each request with the answer that stands in the file, None where there is none."""
        for request in requests:
            names = [name for name in ((request.key,), _name(request)) if name in self._answers]
            self._used.update(names)
            yield request, self._answers[names[0]] if names else None

    def told(self) -> str:
        """Return how many of the answers were asked for, also when they are forgotten."""
        known, used = self._known, len(self._used)
        return f"{known:,} recorded answers = {used:,} used + {known - used:,} not asked for"

    def close(self) -> None:
        """Forget the answers."""
        self._answers.clear()


def _name(request: Request) -> _Name:
    subject = request.subject
    if request.stage == "features":
        return ("features", subject.product_id)
    return (request.stage, subject.cobuy_id, subject.relation, str(subject.sample))


def _told(
    record: Mapping[str, Any], seen: dict[_Name, int], place: str
) -> Iterator[tuple[_Name, Answer | RequestError]]:
    """Yield what a record answers: one request, or an intention and its verdict."""
    if "custom_id" in record:
        if "response" not in record and "error" not in record:
            hint = "These are requests: give the file that the batch service wrote"
            raise InputError("a line has no response", record=place, hint=hint)
        yield (str(record["custom_id"]),), batch_outcome(record)
        return
    text = record.get("text")
    if not isinstance(text, str):
        raise InputError("a record has no text", record=place, hint=_HINT)
    if record.get("key"):
        yield (str(record["key"]),), _answer(record, text, place)
    elif record.get("product_id"):
        yield ("features", str(record["product_id"])), _answer(record, text, place)
    else:
        pair = _pair(record, place)
        sample = str(seen[pair])
        seen[pair] += 1
        yield ("intentions", *pair, sample), _answer(record, text, place)
        if isinstance(record.get("verdict"), str):
            yield ("filter", *pair, sample), Answer(record["verdict"])


def _pair(record: Mapping[str, Any], place: str) -> tuple[str, str]:
    """Return the key of the pair and the relation that a record is about."""
    relation = relation_name(str(record.get("relation")))
    if relation is None:
        raise InputError(f"unknown relation {record.get('relation')!r}", record=place, hint=_HINT)
    if record.get("cobuy_id"):
        return str(record["cobuy_id"]), relation
    if record.get("product_a") and record.get("product_b"):
        return cobuy_key(str(record["product_a"]), str(record["product_b"])), relation
    raise InputError("a record names no request, product or pair", record=place, hint=_HINT)


def _answer(record: Mapping[str, Any], text: str, place: str) -> Answer | RequestError:
    from mindkg.distill.backends.server_errors import interrupted

    if broken := interrupted({}, record):
        return broken
    first, reason = record.get("first"), record.get("finish_reason")
    try:
        pairs = [_alternative(pair) for pair in first or ()]
    except (TypeError, ValueError, LookupError) as error:
        raise InputError("a record's first is no list of tokens with log-probabilities", record=place) from error
    alternatives = tuple(pair for pair in pairs if pair) or None
    return Answer(well_formed(text), reason if isinstance(reason, str) else None, first=alternatives)


def _alternative(pair: Any) -> tuple[str, float] | None:
    """Return a token with its log-probability, None where that is infinite or out of range."""
    from mindkg.distill.backends.openai_chat import log_probability

    token, logprob = (pair["token"], pair["logprob"]) if isinstance(pair, Mapping) else (pair[0], pair[1])
    number = log_probability(logprob if isinstance(logprob, int | float) else float(logprob))
    return None if number is None else (well_formed(str(token)), number)


def _nameless(record: Mapping[str, Any], place: str) -> InputError:
    """Return the error of a batch's results that come without the model that the batch was written for."""
    body = _response(record).get("body")
    told = body.get("model") if isinstance(body, Mapping) else None
    hint = "Name it with --model, as when the batch was written" + (f"; the results call it {told}" if told else "")
    return InputError("these results answer the requests to one model", record=place, hint=hint)


def batch_outcome(record: Mapping[str, Any]) -> Answer | RequestError:
    """Return what one line of a batch service's results says of its request."""
    from mindkg.distill.backends.openai import chat_answer
    from mindkg.distill.backends.server_errors import http_status, reported_error

    if isinstance(error := record.get("error"), RequestError):  # the line was too long to be read
        return error
    response = _response(record)
    body, status = response.get("body"), response.get("status_code")
    if record.get("error") or status not in (200, "200"):
        told = record if record.get("error") else body or {"message": "no answer"}
        return reported_error(told, http_status(status))
    try:
        return chat_answer(body)
    except RequestError as refused:
        return refused


def _response(record: Mapping[str, Any]) -> Mapping[str, Any]:
    response = record.get("response")
    return response if isinstance(response, Mapping) else {}


def _records(file: Path, most: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the records of ``file``, each with the number of its line or row; a line has at most ``most``
    characters.
    """
    if not file.is_file():
        raise InputError("there is no file of answers", record=str(file), hint="Give replay:FILE")
    return _parquet(file) if file.suffix == ".parquet" else _lines(file, most)


def _parquet(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            rows = (row for batch in opened.iter_batches() for row in batch.to_pylist())
            yield from enumerate(rows, start=1)
    except (pa.ArrowException, OSError) as error:
        raise InputError("this Parquet file is damaged", record=str(file), hint="Make or copy it again") from error


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    """Give the text of a file, packed by gzip or not."""
    with file.open("rb") as raw:
        packed = raw.peek(2).startswith(b"\x1f\x8b")
        with io.TextIOWrapper(gzip.open(raw) if packed else raw, "utf-8-sig", "surrogateescape") as text:
            try:
                yield text
            except (EOFError, OSError, zlib.error) as error:
                raise InputError("this file is cut off or damaged", record=str(file), hint="Copy it again") from error


def _lines(file: Path, most: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with _opened(file) as opened:
        for number in count(1):
            if not (line := opened.readline(most + 1)):
                return
            place = f"{file}:{number}"
            if len(line) > most:
                yield number, _too_long(line, most, place)
                while line and not line.endswith("\n"):
                    line = opened.readline(most)
                continue
            if not line.strip():
                continue
            try:
                record = read_json(line)
            except ValueError as error:
                raise InputError("a line is not JSON", record=place, hint=_HINT) from error
            if not isinstance(record, dict):
                raise InputError("a line is not a JSON object", record=place, hint=_HINT)
            yield number, record


def _too_long(line: str, most: int, place: str) -> Mapping[str, Any]:
    """Return the record of a line that is too long to be read; raises InputError where it names no request."""
    name = _CUSTOM_ID.search(line, 0, _FRONT)
    message = f"its line has over {most:,} characters"
    if not name:
        raise InputError(f"a line is too long: {message}", record=place, hint=TOO_LONG_HINT)
    return {"custom_id": name[1], "error": RequestError(f"{TOO_LONG}: {message}", status=200, hint=TOO_LONG_HINT)}

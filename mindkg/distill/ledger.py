"""The ledger: every answer of a model that was paid for, by the key of its request, written as it arrives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.distill.backends.server_errors import INTERRUPTED, STOPPED
from mindkg.distill.requests import MAX_ANSWER, TOO_LONG, TOO_LONG_HINT, Answer, Request, RequestError
from mindkg.errors import StorageError
from mindkg.journal import Journal


def _column(name: str, type_: pa.DataType, about: str, nullable: bool = True) -> pa.Field:
    return pa.field(name, type_, nullable=nullable, metadata={"about": about})


SCHEMA: Final = pa.schema(
    [
        _column("key", pa.string(), "key of the request", nullable=False),
        _column("stage", pa.string(), "features, intentions or filter"),
        _column("model", pa.string(), "the model that was asked"),
        _column("text", pa.string(), "the answer, untouched; null where there is none"),
        _column("finish_reason", pa.string(), "why the model stopped, in the server's word"),
        _column("first", pa.string(), "JSON: pairs of token and log-probability, the alternatives of the first token"),
        _column("prompt_tokens", pa.int64(), "tokens that were read, as the server counts them"),
        _column("completion_tokens", pa.int64(), "tokens that were written"),
        _column("seconds", pa.float64(), "from sending the request to its answer, without waiting to send it again"),
        _column("answered", pa.string(), "ISO 8601 UTC time of this record"),
        _column("error", pa.string(), "why there is no answer; null where there is one"),
        _column("status", pa.int64(), "HTTP status of the error"),
    ]
)
"""What a ledger keeps of a request: its answer, or its latest error as long as there is no answer."""

SUMMARY: Final = pa.schema(
    [
        _column("stage", pa.string(), "features, intentions, filter, probe, or too long (answers over --max-answer)"),
        _column("model", pa.string(), "the model that was asked"),
        _column("answers", pa.int64(), "requests with an answer"),
        _column("errors", pa.int64(), "requests without one"),
        _column("interrupted", pa.int64(), "errors that an older version kept as answers: the server broke them off"),
        _column("replaced", pa.int64(), "answers with U+FFFD, which stands for bytes that are not UTF-8"),
        _column("prompt_tokens", pa.int64(), "tokens read for the answers"),
        _column("completion_tokens", pa.int64(), "tokens written"),
        _column("unmetered", pa.int64(), "answers whose tokens the server did not tell"),
        _column("cost", pa.float64(), "of the tokens, at the price given; null without a price"),
        _column("seconds", pa.float64(), "sum of the times that the answers took, one after the other"),
        _column("first", pa.string(), "ISO 8601 UTC time of the first record"),
        _column("last", pa.string(), "ISO 8601 UTC time of the last record"),
    ]
)
"""What ``Ledger.summary`` returns, a row for each stage and model."""

REPLACED: Final = "\ufffd"
"""What stands in an answer for each byte that is not UTF-8; it is the answer's mark that something was replaced."""

_OVER: Final = "too long"
"""The stage of the marks that an answer is longer than a limit."""

_MILLION: Final = 1_000_000
_RECENT: Final = 1 << 15
_HALF: Final = 64


class Ledger:
    """The answers under one folder. Several processes may write side by side; readers see what was written so far."""

    def __init__(self, folder: Path, max_answer: int = MAX_ANSWER) -> None:
        self.max_answer = max_answer
        self._journal = Journal(folder, SCHEMA, "key", failure="error")

    def append(self, request: Request, outcome: Answer | RequestError, seconds: float | None = None) -> None:
        """Write down what came back for ``request``; it stays, whatever happens to the process a moment later.

        ``seconds`` is the outcome's own time unless given. Raises StorageError where it cannot be written. An answer of
        more than ``max_answer`` bytes is an error that is not asked again under this limit.
        """
        outcome = self.kept(outcome)
        if isinstance(outcome, RequestError) and outcome.args[0].startswith(TOO_LONG):
            mark = {"key": self._mark(request.key), "stage": _OVER, "model": request.model, "text": ""}
            self._journal.append({**mark, "answered": datetime.now(UTC).isoformat(timespec="milliseconds")})
        told = _told(outcome) | {"seconds": outcome.seconds if seconds is None else seconds}
        told |= {"stage": request.stage, "model": request.model}
        self._journal.append(
            {"key": request.key, **told, "answered": datetime.now(UTC).isoformat(timespec="milliseconds")}
        )

    def missing(self, requests: Iterable[Request]) -> Iterator[Request]:
        """Yield the requests that have no answer yet, each key once, drawing them one by one.

        An error is no answer: what failed before is yielded again, and so is what a server broke off with an error. 16
        bytes are kept for each key.
        """
        broken = pa.array(self.interrupted(), pa.string())
        keys = self._journal.keys()
        known = _Keys(chunk.filter(pc.invert(pc.is_in(chunk, broken))) for chunk in keys)
        return (request for request in requests if not known.holds(self._mark(request.key)) and known.add(request.key))

    def interrupted(self, model: str | None = None) -> list[str]:
        """Return the keys of what version 0.1 kept as answers of ``model`` (of all without) though they broke off."""

        def chosen(part: pa.Table) -> pa.ChunkedArray:
            broken = _interrupted(part)
            return broken if model is None else pc.and_kleene(broken, pc.equal(part["model"], model))

        return [key for keys in self._journal.keys_where(_BROKEN, chosen) for key in keys.to_pylist()]

    def outcomes(self, requests: Iterable[Request]) -> dict[str, Answer | RequestError]:
        """Return what the ledger holds of ``requests``, by key; answers come with their text alone."""
        wanted = pa.array(sorted({request.key for request in requests}), pa.string())
        known: dict[str, Answer | RequestError] = {}
        for part in self.records():
            found = part.filter(pc.is_in(part["key"], wanted)).select(["key", "text", "error", "status"])
            for key, text, error, status in zip(*(column.to_pylist() for column in found.columns), strict=True):
                known[key] = RequestError(error, status=status) if text is None else self.kept(Answer(text))
        return known

    def kept(self, outcome: Answer | RequestError) -> Answer | RequestError:
        """Return ``outcome``, or the error of an answer of more than ``max_answer`` bytes, which states its size."""
        if isinstance(outcome, RequestError) or len(outcome.text) * 4 <= self.max_answer:
            return outcome
        size = len(outcome.text.encode("utf-8", "replace"))
        if size <= self.max_answer:
            return outcome
        return RequestError(
            f"{TOO_LONG}: {size:,} bytes, the limit is {self.max_answer:,}", status=200, hint=TOO_LONG_HINT
        )

    def _mark(self, key: str) -> str:
        """Return the key under which it is noted that the answer to ``key`` is longer than the limit."""
        return f"{key} over {self.max_answer}"

    def records(self) -> Iterator[pa.Table]:
        """Yield all records, one a key, sorted by key, in columns of ``SCHEMA``: answers and errors that have none.

        What can be compacted is, so that a large ledger is not indexed in memory.
        """
        with suppress(StorageError):
            self._journal.compact()
        return map(_without_interrupted, self._journal.parts())

    def digest(self) -> str:
        """Return the hash of the records: the same for the same ones, compacted or not."""
        return self._journal.digest()

    def compact(self) -> None:
        """Put what was appended into one Parquet file; see ``Journal.compact``."""
        self._journal.compact()

    def summary(self, price_in: float | None = None, price_out: float | None = None) -> pa.Table:
        """Return counts, tokens, cost and time by stage and model, in columns of ``SUMMARY``.

        The prices are those of a million tokens read and written, in any currency.
        """
        counted = [_counted(part) for part in self._journal.parts()]
        if not counted:
            return SUMMARY.empty_table()
        sums = pa.concat_tables(counted).group_by(["stage", "model"]).aggregate([*_SUMS])
        sums = sums.rename_columns([name.removesuffix("_sum").removesuffix("_min") for name in sums.column_names])
        sums = sums.rename_columns({"last_max": "last"}).sort_by([("stage", "ascending"), ("model", "ascending")])
        return sums.append_column("cost", _cost(sums, price_in, price_out)).select(SUMMARY.names).cast(SUMMARY)

    def check(self) -> Mapping[str, int]:
        """Read every byte and return how many records are torn or damaged in each file that has such, by its path."""
        return self._journal.check()

    def damage(self) -> list[str]:
        """Return a line for each file that was read and had torn or damaged records."""
        return [
            f"{n:,} torn or damaged records passed over in {file}: what they answered is asked again unless it is known"
            for file, n in (+self._journal.damage).items()
        ]

    def close(self) -> None:
        """Bring all to the disk."""
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _told(outcome: Answer | RequestError) -> dict[str, object]:
    """Return the columns that say what came back."""
    if isinstance(outcome, RequestError):
        return {"error": str(outcome), "status": outcome.status}
    first = None if outcome.first is None else json.dumps(outcome.first, ensure_ascii=False, separators=(",", ":"))
    return {
        "text": outcome.text,
        "finish_reason": outcome.finish_reason,
        "first": first,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
    }


_BROKEN: Final = ("model", "text", "finish_reason")


def _interrupted(part: pa.Table) -> pa.ChunkedArray:
    """Return which records are answers that the server broke off: their text is not all that the model would say."""
    reasons = pa.array(sorted(INTERRUPTED), pa.string())
    return pc.and_(pc.is_valid(part["text"]), pc.is_in(pc.utf8_lower(part["finish_reason"]), reasons))


def _without_interrupted(part: pa.Table) -> pa.Table:
    """Return records with an error, which another try may not meet, in place of each answer that was broken off."""
    broken = _interrupted(part)
    if not pc.any(broken).as_py():
        return part
    reasons = pc.binary_join_element_wise(f"{STOPPED} (", part["finish_reason"], ")", "")
    nothing = pa.scalar(None, pa.string())
    for name, value in (("text", nothing), ("first", nothing), ("error", reasons)):
        column = pc.if_else(broken, value, part[name])
        part = part.set_column(part.schema.get_field_index(name), part.schema.field(name), column)
    return part


_SUMS: Final = (
    ("answers", "sum"),
    ("errors", "sum"),
    ("interrupted", "sum"),
    ("replaced", "sum"),
    ("prompt_tokens", "sum"),
    ("completion_tokens", "sum"),
    ("unmetered", "sum"),
    ("seconds", "sum"),
    ("first", "min"),
    ("last", "max"),
)


def _counted(part: pa.Table) -> pa.Table:
    """Return the sums of one part of the records, by stage and model."""
    broken = _interrupted(part)
    failed = pc.or_(pc.is_valid(part["error"]), broken)
    replaced = pc.fill_null(pc.match_substring(part["text"], REPLACED), False)
    unmetered = pc.and_(pc.invert(failed), pc.is_null(part["completion_tokens"]))
    rows = pa.table(
        {
            "stage": part["stage"],
            "model": part["model"],
            "answers": pc.invert(failed).cast(pa.int64()),
            "errors": failed.cast(pa.int64()),
            "interrupted": broken.cast(pa.int64()),
            "replaced": pc.and_not(replaced, failed).cast(pa.int64()),
            "prompt_tokens": pc.fill_null(part["prompt_tokens"], 0),
            "completion_tokens": pc.fill_null(part["completion_tokens"], 0),
            "unmetered": unmetered.cast(pa.int64()),
            "seconds": pc.if_else(failed, 0.0, pc.fill_null(part["seconds"], 0.0)),
            "first": part["answered"],
            "last": part["answered"],
        }
    )
    sums = rows.group_by(["stage", "model"]).aggregate([*_SUMS])
    return sums.rename_columns(["stage", "model", *(name for name, _ in _SUMS)])


def _cost(sums: pa.Table, price_in: float | None, price_out: float | None) -> pa.ChunkedArray:
    if price_in is None and price_out is None:
        return pa.chunked_array([pa.nulls(len(sums), pa.float64())])
    read = pc.multiply(sums["prompt_tokens"].cast(pa.float64()), (price_in or 0.0) / _MILLION)
    return pc.add(read, pc.multiply(sums["completion_tokens"].cast(pa.float64()), (price_out or 0.0) / _MILLION))


class _Keys:
    """A set of keys that takes 16 bytes for each: the hash of a key, in two sorted columns; the latest ones apart."""

    def __init__(self, keys: Iterable[pa.Array]) -> None:
        self._high = np.empty(0, np.uint64)
        self._low = np.empty(0, np.uint64)
        self._recent: set[int] = set()
        for chunk in keys:
            for start in range(0, len(chunk), _RECENT):
                self._recent.update(map(_number, chunk.slice(start, _RECENT).to_pylist()))
                self._settle()

    def add(self, key: str) -> bool:
        """Take ``key`` in and return whether it is new."""
        number = _number(key)
        if number in self._recent or self._settled(number):
            return False
        self._recent.add(number)
        if len(self._recent) >= _RECENT:
            self._settle()
        return True

    def holds(self, key: str) -> bool:
        """Return whether ``key`` was taken in."""
        number = _number(key)
        return number in self._recent or self._settled(number)

    def _settled(self, number: int) -> bool:
        high, low = np.uint64(number >> _HALF), number & (1 << _HALF) - 1
        place = int(self._high.searchsorted(high))
        while place < len(self._high) and self._high[place] == high:
            if int(self._low[place]) == low:
                return True
            place += 1
        return False

    def _settle(self) -> None:
        """Put the latest keys to the sorted ones."""
        recent = sorted(self._recent)
        high = np.array([number >> _HALF for number in recent], np.uint64)
        low = np.array([number & (1 << _HALF) - 1 for number in recent], np.uint64)
        places = self._high.searchsorted(high)
        self._high, self._low = np.insert(self._high, places, high), np.insert(self._low, places, low)
        self._recent.clear()


def _number(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest())

"""What can go wrong, as one short tree of errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST_NAME = 200
"""Characters of a name that are compared: the time grows with their square."""


class MindKGError(Exception):
    """A mistake or a mishap that a user can read in one line.

    ``record`` names what was met (a file and line, a table, an address), ``hint`` says what to do next,
    ``retryable`` says whether the same call may succeed later, ``exit_code`` with what code the command line ends.
    """

    retryable = False
    exit_code = 1

    def __init__(self, message: str, *, record: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.record = record
        self.hint = hint

    def __str__(self) -> str:
        text = super().__str__()
        if self.record:
            text = f"{text} ({self.record})"
        return f"{text}. {self.hint}" if self.hint else text


class InputError(MindKGError):
    """A file, column, option or name that the user gave and that cannot be used."""


class UsageError(InputError):
    """An option, argument or name that can be known to be wrong without a look at any data."""

    exit_code = 2


class StorageError(MindKGError):
    """A KB directory that is missing, broken or of another schema version."""


class LockedError(StorageError):
    """Another process is writing to this KB."""

    retryable = True


class ConservationError(MindKGError):
    """A stage whose rows read are not its rows kept plus its rows rejected."""


class RejectedError(InputError):
    """A run that rejected most rows of a file: what it read is hardly what was meant."""


class QueryError(MindKGError):
    """A query that is unknown, lacks a parameter or is refused by the engine."""


class StoreError(MindKGError):
    """An engine that cannot be loaded, opened or reached."""


class ResourceError(MindKGError):
    """Too little memory, or a library that the system does not load."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint with those of ``known`` that are most like ``name``, case aside; "" where none is like it.

    >>> nearest("Top-Hypernym", ["top-hypernyms", "top-intentions", "graph-counts"])
    'Did you mean top-hypernyms?'
    """
    folded = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold()[:_LONGEST_NAME], folded, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(folded[one] for one in near)}?" if near else ""

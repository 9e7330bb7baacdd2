"""What can go wrong, as one short tree of errors."""

from __future__ import annotations


class MindKGError(Exception):
    """A mistake or a mishap that a user can read in one line.

    ``record`` names what was met (a file and line, a table, an address), ``hint`` says what to do next,
    ``retryable`` says whether the same call may succeed later.
    """

    retryable = False

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


class StorageError(MindKGError):
    """A KB directory that is missing, broken or of another schema version."""


class LockedError(StorageError):
    """Another process is writing to this KB."""

    retryable = True


class ConservationError(MindKGError):
    """A stage whose rows read are not its rows kept plus its rows rejected."""


class QueryError(MindKGError):
    """A query that is unknown, lacks a parameter or is refused by the engine."""


class StoreError(MindKGError):
    """An engine that cannot be loaded, opened or reached."""

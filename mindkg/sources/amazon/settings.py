"""What a person can choose about Amazon files, and the defaults with their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mindkg.errors import UsageError
from mindkg.sources.encodings import check_encoding

LISTS: Final = ("also_bought", "also_buy", "bought_together")
"""The lists of the metadata that say what is bought together; those of what is viewed are none."""

WINDOW: Final = 7
"""Days. In real files of all three years two reviews of a person are 3 to 9 times as likely to lie 1 to 7 days apart as
94 to 100 days, and in the second week 2 to 5 times (docs/ingest.md)."""

MAX_BASKET: Final = 50
"""Products. In the same files 99 of 100 persons reviewed at most 45; 50 products make at most 1,225 pairs."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of :func:`mindkg.sources.amazon.read_amazon`, checked."""

    lists: tuple[str, ...] = LISTS
    window: int = WINDOW
    min_support: int = 1
    max_basket: int = MAX_BASKET
    keep_unknown: bool = False
    category: str | None = None
    per_category: int | None = None
    limit: int | None = None
    seed: int = 0
    encoding: str | None = None

    def __post_init__(self) -> None:
        """Raise InputError for an option out of range."""
        check_encoding(self.encoding)
        for name in self.lists:
            if name not in LISTS:
                raise UsageError(f"there is no list {name!r}", hint=f"Lists: {', '.join(LISTS)}")
        least = {"window": 0, "min_support": 1, "max_basket": 2, "per_category": 1, "limit": 1}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise UsageError(f"{name} cannot be {value}", hint=f"It is at least {smallest}")

    @property
    def samples(self) -> bool:
        """Whether only some of the products are wanted."""
        return not (self.category is None and self.per_category is None and self.limit is None)

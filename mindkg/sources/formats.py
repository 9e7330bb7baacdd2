"""The formats that sources come in: for each, its columns and what they mean. A new one is one more value here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mindkg.errors import InputError, UsageError

Kind = Literal["generations", "products", "cobuys"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    ``required`` are sets of columns of which a file has at least one whole; ``columns`` says for each field of a
    record in which columns it may stand (the first one that the file has counts); ``text`` are the columns of the
    raw answer, the first that is not empty counts. ``labelled``: each row says which relation the prompt asked for.
    """

    name: str
    about: str
    kind: Kind
    required: Sequence[frozenset[str]]
    columns: Mapping[str, Sequence[str]]
    text: Sequence[str] = ()
    labelled: bool = False

    def fit(self, header: Sequence[str]) -> int:
        """Return how many columns of ``header`` speak for this format; 0 where it lacks a required one."""
        return max((len(columns) for columns in self.required if columns <= set(header)), default=0)


_PAIR = frozenset({"item_a_id", "item_b_id", "relation", "assertion"})
_NAMES = frozenset({"item_a_name", "item_b_name"})
_PLAUSIBILITY = ("plausibility", "plausibility_score")
_ITEMS = {
    "product_a": ("item_a_id",),
    "product_b": ("item_b_id",),
    "title_a": ("item_a_name",),
    "title_b": ("item_b_name",),
    "relation": ("relation",),
    "record": ("id",),
    "typicality": ("typicality", "typicality_score"),
}

ALL: Final = (
    Format(
        "mind",
        "MIND's distillation CSV: Intention (else tail) is the raw text, Agreement the filter's answer",
        "generations",
        [
            frozenset({"id_a", "id_b", "Relation", "Intention"}),
            frozenset({"id_a", "id_b", "Relation", "tail"}),
        ],
        {
            "product_a": ("id_a",),
            "product_b": ("id_b",),
            "title_a": ("Product_a",),
            "title_b": ("Product_b",),
            "relation": ("Relation",),
            "feature_a": ("product_a_desc",),
            "feature_b": ("product_b_desc",),
            "verdict": ("Agreement",),
            "category_a": ("item_a_cate",),
            "category_b": ("item_b_cate",),
            "domain": ("Cate",),
            "image_a": ("item_a_img1_url",),
            "image_b": ("item_b_img1_url",),
        },
        ("Intention", "tail"),
        labelled=True,
    ),
    Format(
        "intentionqa",
        "IntentionQA's JSON Lines: assertion is the raw text, id the record, typicality kept",
        "generations",
        [_PAIR | _NAMES | {"id", "typicality"}],
        _ITEMS,
        ("assertion",),
        labelled=True,
    ),
    Format(
        "folkscope",
        "FolkScope's released generations: assertion is the raw text, with plausibility and typicality where given",
        "generations",
        [
            _PAIR,
            *(_PAIR | {score} for score in _PLAUSIBILITY),
            *(_PAIR | _NAMES | {score} for score in _PLAUSIBILITY),
        ],
        {**_ITEMS, "score": _PLAUSIBILITY},
        ("assertion",),
        labelled=True,
    ),
    Format(
        "mind-input",
        "MIND's input CSV: product ids and names, relation, and FolkScope's assertion as the raw text",
        "generations",
        [_PAIR | _NAMES],
        _ITEMS,
        ("assertion",),
        labelled=True,
    ),
    Format(
        "generations",
        "raw answers in the columns of the table generations: product_a and product_b (or cobuy_id), text, relation",
        "generations",
        [
            frozenset({"product_a", "product_b", "text"}),
            frozenset({"cobuy_id", "text"}),
        ],
        {
            "product_a": ("product_a",),
            "product_b": ("product_b",),
            "cobuy": ("cobuy_id",),
            "relation": ("relation",),
            "record": ("source_record", "id"),
            "finish_reason": ("finish_reason",),
            "typicality": ("typicality",),
            "verdict": ("verdict",),
            "model": ("model",),
            "revision": ("revision",),
            "prompt_version": ("prompt_version",),
        },
        ("text",),
    ),
    Format(
        "cobuys",
        "pairs bought together: product_a and product_b, support where given",
        "cobuys",
        [frozenset({"product_a", "product_b"})],
        {
            "product_a": ("product_a",),
            "product_b": ("product_b",),
            "cobuy": ("cobuy_id",),
            "support": ("support",),
        },
    ),
    Format(
        "products",
        "products: product_id and title; brand, category, description and image where given",
        "products",
        [frozenset({"product_id", "title"})],
        {
            "product_a": ("product_id",),
            "title_a": ("title",),
            "brand": ("brand",),
            "category_a": ("category",),
            "description": ("description",),
            "image_a": ("image",),
        },
    ),
)

_LONGEST: Final = 90
"""Characters of a list of columns in a message."""
BY_NAME: Final = {format_.name: format_ for format_ in ALL}
FORMATS: Final[Mapping[str, str]] = {format_.name: format_.about for format_ in ALL}
"""The names that ``--format`` takes, each with a line about it."""


def check_format(name: str | None) -> None:
    """Raise UsageError for a name of no format; None is the one that is found from content."""
    if name is not None and name not in BY_NAME:
        raise UsageError(f"there is no format {name!r}", hint=f"Formats: {', '.join(BY_NAME)}")


def choose(header: Sequence[str], name: str | None, file: str) -> Format:
    """Return the format called ``name``, or the one that the columns ``header`` speak for.

    Raises InputError for an unknown name, and where columns are missing, naming those expected and those found.
    """
    check_format(name)
    best = max(ALL if name is None else [BY_NAME[name]], key=lambda f: f.fit(header))
    if best.fit(header):
        return best
    if amazon := amazon_kind(header):
        raise InputError(f"this is a file of Amazon {amazon}", record=file, hint=INGEST[amazon])
    found = ", ".join(header[:20]) + (", …" if len(header) > 20 else "")
    if name is None:
        nearest, lacking, required = min(_lacks(header), key=lambda lack: (len(lack[1]) / lack[2], len(lack[1])))
        hint = f"The nearest is {nearest}: the file lacks {', '.join(lacking)}"
        if len(lacking) == required:
            hint = f"The formats are {', '.join(BY_NAME)}: see mindkg build --help"
        raise InputError(f"no known format has the columns {_cut(found)}", record=file, hint=hint)
    expected = _expected(BY_NAME[name])
    raise InputError(f"this is not the format {name}", record=file, hint=f"Expected {expected}; found {found}")


INGEST: Final = {
    "metadata": "Read it with: mindkg ingest FILE -o KB, then: mindkg distill KB",
    "reviews": "Read it with: mindkg ingest METADATA --reviews FILE -o KB",
}
"""What to do with each kind of Amazon Review file."""


def amazon_kind(header: Sequence[str]) -> str | None:
    """Return whether columns are those of Amazon's metadata or reviews, None where of neither.

    >>> amazon_kind(["asin", "title"]), amazon_kind(["reviewerID", "asin", "overall"]), amazon_kind(["title"])
    ('metadata', 'reviews', None)
    """
    names = {name.lower() for name in header}
    if not names & {"asin", "parent_asin", "productid"}:
        return None
    if names & {"reviewerid", "user_id", "userid"}:
        return "reviews"
    return "metadata" if len(names) > 1 else None


def _lacks(header: Sequence[str]) -> Iterator[tuple[str, list[str], int]]:
    """Yield the name, the columns that ``header`` lacks and how many are required, for each set of each format."""
    for format_ in ALL:
        for columns in format_.required:
            yield format_.name, sorted(columns - set(header)), len(columns)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _expected(format_: Format) -> str:
    return " or ".join(", ".join(sorted(columns)) for columns in format_.required)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields of a record stand in one file: field to column, and the columns of the text, in order."""

    format: Format
    fields: Mapping[str, str]
    text: Sequence[str]
    field: str

    @property
    def wanted(self) -> list[str]:
        """The columns to read, each once."""
        return list(dict.fromkeys([*self.fields.values(), *self.text]))


def layout(format_: Format, header: Sequence[str], field: str | None, file: str, *, complete: bool = True) -> Layout:
    """Return where ``format_`` finds its fields in a file with the columns ``header``.

    Where the header is not ``complete`` (of JSON Lines the first lines name it) fields that the format can do without
    may appear later: they are looked for in every row.
    ``field`` names another column for the raw text; then no verdicts are read, since they are about the usual one.
    Raises InputError where the file lacks it.
    """
    fields = {
        name: column
        for name, columns in format_.columns.items()
        if (column := next((c for c in columns if c in header), None)) is not None
    }
    if not complete:
        # by which of these it names its pairs decides when a file is read
        named = {"product_a", "product_b", "cobuy"} if format_.kind == "generations" else set[str]()
        optional = {name: columns[0] for name, columns in format_.columns.items() if name not in named}
        fields = {**optional, **fields}
    text = [column for column in format_.text if column in header]
    usual = format_.text[0] if format_.text else ""
    if field is None or field == usual or not format_.text:
        return Layout(format_, fields, text, usual)
    if field not in header:
        found = ", ".join(header)
        raise InputError(f"there is no column {field!r} to take the text from", record=file, hint=f"Found {found}")
    return Layout(format_, {k: v for k, v in fields.items() if k not in ("verdict", "score")}, [field], field)

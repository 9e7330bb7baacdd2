"""The verbs that try one stage on one's own texts: parse, link."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from mindkg.cli.arguments import AllowRejects, Embed, Spacy
from mindkg.cli.output import counted, say
from mindkg.errors import InputError, RejectedError

_PRODUCTS: Final = ("titles", "title_a", "title_b", "category")
"""What a line can say of its products."""

_TRIED_LINES: Final = 10
"""So many lines are looked at before a file is taken for another kind."""

_Lines = Annotated[Path, typer.Argument(help="JSON lines, .gz and .zst too; - reads stdin.", show_default=False)]


_UNUSABLE: Final = ("bad_encoding", "bad_syntax", "missing_field", "unknown_relation")
"""The reasons of rejects that are about the line, not about the answer on it."""


class _BadLineError(Exception):
    """A line that cannot be used: a word of the closed list and what was met."""

    def __init__(self, reason: str, detail: str, identity: Any = None) -> None:
        super().__init__(detail)
        self.row = {"id": identity, "status": "reject", "reason": reason, "detail": detail}


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command(
        epilog='Example: a line `{"id": 1, "text": "The potential co-buy intention could be that they are both used '
        'for hiking.", "relation": "usedFor"}` or `{"id": 2, "verdict": "Yes, I would."}`'
    )(parse)
    app.command(epilog='Example: a line `{"id": 1, "text": "hiking boots", "relation": "isA"}`')(link)


def parse(file: _Lines, allow_rejects: AllowRejects = False) -> None:
    """Parse raw answers: {"id", "text", "relation"?, "titles"?} or {"id", "verdict"} in, one JSON line each out.

    "relation" is the one that the prompt asked for, if it asked for a particular one.
    """
    lines = rejected = 0
    unusable: Counter[str] = Counter()
    for place, line in _lines(file):
        row = _parsed(line, place)
        _write(row)
        lines += 1
        rejected += row.get("status") == "reject"
        if row.get("status") == "reject" and row["reason"] in _UNUSABLE:
            unusable[row.get("detail") or f"{row['reason']} {place}"] += 1
    say(f"parse: {counted(lines, 'line')}, {lines - rejected:,} parsed, {rejected:,} rejected")
    _check(unusable, lines, allow_rejects)


def _parsed(line: bytes, place: str) -> dict[str, Any]:
    """Return the fields of the parse result; a line that cannot be used is a reject as well."""
    from mindkg.parse import parse_intention, parse_verdict

    try:
        record = _object(line, place)
        if "verdict" in record:
            return {"id": record.get("id"), **asdict(parse_verdict(_string(record, "verdict", place)))}
        text, relation = _string(record, "text", place), _relation(record, place)
        titles = _strings(record, "titles", place)
    except _BadLineError as reject:
        return reject.row
    return {"id": record.get("id"), **asdict(parse_intention(text, relation, titles))}


def link(
    file: _Lines,
    isa: Annotated[
        Path | None,
        typer.Option(help="isA table: concept TAB instance TAB count (default: WordNet nouns).", show_default=False),
    ] = None,
    isa_order: Annotated[
        Literal["concept-first", "instance-first"], typer.Option(help="Columns of the isA table.")
    ] = "concept-first",
    top_k: Annotated[int, typer.Option(min=1, help="Concepts kept for a text.")] = 5,
    vague: Annotated[
        Path | None,
        typer.Option(
            help="Concepts that say nothing, one label a line (one that ends in * stands for all that begin so), "
            "in place of the shipped list.",
            show_default=False,
        ),
    ] = None,
    embed: Embed = None,
    spacy: Spacy = None,
    allow_rejects: AllowRejects = False,
) -> None:
    """Link intentions to concepts: {"id", "text"} in, {"id", "mentions"} out, one JSON line each.

    What is known besides helps to choose the sense: "relation", and of the products "titles" (a string or a list),
    "title_a", "title_b" and "category" (a string or a list).
    """
    from mindkg.link.isa import check_isa, open_isa
    from mindkg.link.steps import Steps
    from mindkg.link.tables import link_texts
    from mindkg.link.words import own_vague_concepts

    labels = None if vague is None else own_vague_concepts(vague)
    steps = Steps(embed=embed, spacy=spacy)
    steps.check_models()
    if isa:
        check_isa(isa, isa_order)
    rows = [_linkable(line, place) for place, line in _lines(file)]
    table = open_isa(isa, order=isa_order)
    linked = [row for row in rows if "text" in row]
    texts, relations, titles = ([row[name] for row in linked] for name in ("text", "relation", "titles"))
    found = iter(link_texts(texts, table, relations=relations, titles=titles, top_k=top_k, vague=labels, steps=steps))
    for row in rows:
        _write({"id": row["id"], "mentions": [asdict(m) for m in next(found)]} if "text" in row else row)
    rejected = sum("text" not in row for row in rows)
    say(f"link: {counted(len(rows), 'line')}, {len(rows) - rejected:,} linked, {rejected:,} rejected")
    _check(Counter(str(row["detail"]) for row in rows if "text" not in row), len(rows), allow_rejects)


def _check(unusable: Counter[str], lines: int, allow_rejects: bool) -> None:
    """Raise RejectedError where most lines cannot be used; ``unusable`` counts what is wrong with them."""
    bad = unusable.total()
    if 2 * bad > lines and not allow_rejects:
        hint = f"The first: {next(iter(unusable))}. End well all the same: --allow-rejects"
        raise RejectedError(f"{bad:,} of {lines:,} lines cannot be used", hint=hint)


def _linkable(line: bytes, place: str) -> dict[str, Any]:
    """Return id, text, relation and all that is said of the products of a line, or its reject."""
    try:
        record = _object(line, place)
        text = _string(record, "text", place)
        relation = _relation(record, place)
        said = [word for name in _PRODUCTS for word in _strings(record, name, place)]
        return {"id": record.get("id"), "text": text, "relation": relation, "titles": " ".join(said)}
    except _BadLineError as reject:
        return reject.row


def _lines(file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield place and bytes of each line that is not blank, of a file that is cut off as far as it goes."""
    from mindkg.sources.files import CutOffError, chunks

    if str(file) == "-":
        yield from _objects(file, _numbered(file, sys.stdin.buffer))
        return
    try:
        yield from _objects(file, _numbered(file, _split(chunks(file))))
    except CutOffError as error:
        say(f"{file}: {error}")


def _objects(file: Path, lines: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield ``lines``; raises InputError where none of the first ones is a JSON object: it is another kind of file."""
    first: list[tuple[str, bytes]] = []
    for place, line in lines:
        first.append((place, line))
        try:
            _object(line, place)
        except _BadLineError:
            if len(first) < _TRIED_LINES:
                continue
            break
        yield from first
        yield from lines
        return
    if first:
        hint = 'A line is such as {"id": 1, "text": "hiking boots", "relation": "isA"}'
        raise InputError("this is not JSON Lines, one object per line", record=str(file), hint=hint)


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    from mindkg.sources.files import CutOffError

    rest, cut = b"", None
    while True:
        try:
            piece = next(pieces, None)
        except CutOffError as error:
            piece, cut = None, error
        if piece is None:
            break
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    yield rest
    if cut is not None:
        raise cut


def _numbered(file: Path, lines: Any) -> Iterator[tuple[str, bytes]]:
    yield from ((f"{file}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip())


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _BadLineError("bad_encoding", f"not UTF-8 at byte {error.start} ({place})") from error
    except (ValueError, RecursionError) as error:
        raise _BadLineError("bad_syntax", f"not a line of JSON: {error} ({place})") from error
    if not isinstance(value, dict):
        raise _BadLineError("bad_syntax", f"not a JSON object ({place})")
    return value


def _string(record: dict[str, Any], key: str, place: str) -> str:
    value, identity = record.get(key), record.get("id")
    if not isinstance(value, str):
        hint = 'a line needs "text" or "verdict" as a string'
        raise _BadLineError("missing_field", f'"{key}" is missing or not a string: {hint} ({place})', identity)
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise _BadLineError("bad_encoding", f'"{key}" has half of a surrogate pair ({place})', identity)
    return value


def _relation(record: dict[str, Any], place: str) -> str | None:
    return None if record.get("relation") is None else _string(record, "relation", place)


def _strings(record: dict[str, Any], key: str, place: str) -> list[str]:
    """Return what ``record`` has under ``key``: none, a string, or a list of strings."""
    value = record.get(key)
    several = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(several, list) or not all(isinstance(t, str) for t in several):
        raise _BadLineError("missing_field", f'"{key}" is not a list of strings ({place})', record.get("id"))
    if any("\ud800" <= c <= "\udfff" for c in "".join(several)):
        raise _BadLineError("bad_encoding", f'"{key}" has half of a surrogate pair ({place})', record.get("id"))
    return several


def _write(result: dict[str, Any]) -> None:
    # a lone surrogate that came in as an escape goes out as one
    try:
        line = json.dumps(result, ensure_ascii=False)
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(result)
    sys.stdout.write(line + "\n")

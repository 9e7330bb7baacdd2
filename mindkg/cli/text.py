"""The verbs that try one stage on one's own texts: parse, link."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

_Lines = Annotated[Path, typer.Argument(help="JSON lines; - reads stdin.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command(
        epilog='Example: a line `{"id": 1, "text": "The potential co-buy intention could be that they are both used '
        'for hiking.", "relation": "usedFor"}` or `{"id": 2, "verdict": "Yes, I would."}`'
    )(parse)
    app.command(epilog='Example: a line `{"id": 1, "text": "hiking boots", "relation": "isA"}`')(link)


def parse(file: _Lines) -> None:
    """Parse raw answers: {"id", "text", "relation", "titles"?} or {"id", "verdict"} in, one JSON line each out."""
    for number, line in _lines(file):
        _write(_parsed(line, f"{file}:{number}"))


def _parsed(line: bytes, place: str) -> dict[str, Any]:
    """Return the fields of the parse result; a line that cannot be used is a reject as well."""
    from mindkg.errors import InputError
    from mindkg.parse import parse_intention, parse_verdict

    try:
        record = _object(line, place)
        if "verdict" in record:
            return {"id": record.get("id"), **asdict(parse_verdict(_string(record, "verdict", place)))}
        text, relation = (_string(record, key, place) for key in ("text", "relation"))
    except InputError as error:
        reason = "missing_field" if error.hint else "bad_syntax"
        return {"id": _id(line), "status": "reject", "reason": reason, "detail": str(error)}
    titles = [t for t in record.get("titles") or () if isinstance(t, str)]
    return {"id": record.get("id"), **asdict(parse_intention(text, relation, titles))}


def _id(line: bytes) -> Any:
    try:
        return json.loads(line)["id"]
    except (ValueError, LookupError, TypeError):
        return None


def link(
    file: _Lines,
    isa: Annotated[
        Path | None,
        typer.Option(help="isA table: concept TAB instance TAB count (default: WordNet nouns).", show_default=False),
    ] = None,
    isa_order: Annotated[
        Literal["concept-first", "instance-first"], typer.Option(help="Columns of the isA table.")
    ] = "concept-first",
) -> None:
    """Link intentions to concepts: {"id", "text", "relation"} in, {"id", "mentions"} out, one JSON line each."""
    from mindkg.link.isa import open_isa
    from mindkg.link.tables import link_texts

    places = [(f"{file}:{number}", line) for number, line in _lines(file)]
    records = [_object(line, place) for place, line in places]
    texts = [_string(record, "text", place) for record, (place, _) in zip(records, places, strict=True)]
    table = open_isa(isa, order=isa_order)
    for record, mentions in zip(records, link_texts(texts, table), strict=True):
        _write({"id": record.get("id"), "mentions": [asdict(m) for m in mentions]})


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of each line that is not blank."""
    from mindkg.errors import InputError

    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
            yield from ((number, line) for number, line in enumerate(stream, start=1) if line.strip())
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", record=str(file)) from error


def _object(line: bytes, place: str) -> dict[str, Any]:
    from mindkg.errors import InputError

    try:
        value = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        raise InputError(f"not a line of JSON: {error}", record=place) from error
    if not isinstance(value, dict):
        raise InputError("not a JSON object", record=place)
    return value


def _string(record: dict[str, Any], key: str, place: str) -> str:
    from mindkg.errors import InputError

    value = record.get(key)
    if not isinstance(value, str):
        hint = 'A line needs "text" and "relation", or "verdict", as strings'
        raise InputError(f'"{key}" is missing or not a string', record=place, hint=hint)
    return value


def _write(result: dict[str, Any]) -> None:
    # a lone surrogate that came in as an escape goes out as one
    try:
        line = json.dumps(result, ensure_ascii=False)
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(result)
    sys.stdout.write(line + "\n")

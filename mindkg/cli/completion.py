"""What the shell completes: words from closed lists and from the KB; nothing heavy is imported for the lists."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import typer


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.lower().startswith(incomplete.lower())]


def _argument(ctx: typer.Context, name: str, place: int) -> str:
    """Return an argument that stands before the incomplete word.

    Where an option still waits for its value, Typer has parsed none: the command line itself has it then.
    """
    if value := ctx.params.get(name):
        return str(value)
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    with suppress(ValueError):  # an open quotation mark
        given = [word for word in shlex.split(line)[2:] if not word.startswith("-")]
        return given[place] if place < len(given) else ""
    return ""


def words(*known: str) -> Callable[[str], list[str]]:
    """Return a completion from a closed list.

    >>> words("ladybug", "oxigraph")("o")
    ['oxigraph']
    """

    def complete(incomplete: str) -> list[str]:
        return _beginning(known, incomplete)

    return complete


def query_names(incomplete: str) -> list[str]:
    """Return the queries of the catalogue."""
    from mindkg.resources import data_folder

    return _beginning(sorted(file.stem for file in data_folder("queries").glob("*.rq")), incomplete)


def relation_names() -> list[str]:
    """Return the relations of the ontology, read without an RDF parser."""
    from mindkg.resources import data_folder

    text = (data_folder("ontology") / "relations.ttl").read_text("utf-8")
    return re.findall(r"^mind:(\w+)\s+a\s+[^;]*mind:Relation\b", text, re.M)


def relation_list(incomplete: str) -> list[str]:
    """Return the relations for the last part of a list with commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _beginning(relation_names(), last)]


def query_parameters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the parameters of the query that is named, as ``name=``, and the values of those that have few."""
    from mindkg.resources import data_folder

    file = data_folder("queries") / f"{_argument(ctx, 'name', 1)}.rq"
    if not file.is_file():
        return []
    types = dict(re.findall(r"^#\+ parameter: (\w+), (\w+)", file.read_text("utf-8"), re.M))
    name, equals, value = incomplete.partition("=")
    if not equals:
        return _beginning((f"{one}=" for one in types), incomplete)
    if types.get(name) == "relation":
        return [f"{name}={one}" for one in _beginning(relation_names(), value)]
    if types.get(name) == "concept":
        return [f"{name}={one}" for one in concepts(ctx, value)]
    return []


def tables(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the tables of the KB that is named."""
    folder = Path(_argument(ctx, "kb", 0)) / "tables"
    return _beginning(sorted(part.name for part in folder.glob("[!.]*") if part.is_dir()), incomplete)


def concepts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return concepts of the KB folder that is named, 50 at most; none before a letter is there.

    One column of one file is read; a KB in an object store is not downloaded for it.
    """
    if not incomplete:
        return []
    with suppress(Exception):  # a KB that cannot be read is reported by the verb itself
        return _concepts(Path(_argument(ctx, "kb", 0)), incomplete, limit=50)
    return []


def _concepts(kb: Path, beginning: str, limit: int) -> list[str]:
    import pyarrow.compute as pc

    from mindkg.parquet import open_file
    from mindkg.places import FILE

    manifest = json.loads((kb / "manifest.json").read_bytes())
    with open_file(kb / manifest["tables"]["concepts"]["path"] / FILE) as file:
        known = file.read(columns=["concept"])["concept"]
    found: list[str] = known.filter(pc.starts_with(known, beginning, ignore_case=True)).slice(0, limit).to_pylist()
    return found

"""What is answered before Typer is imported: a plain `mindkg concepts lookup`, quicker than Typer is there."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mindkg.cli.output import say
from mindkg.cli.terminal import result

if TYPE_CHECKING:
    from mindkg.link.lookup import Found


def answer(arguments: list[str]) -> bool:
    """Answer `concepts lookup PHRASE [--isa FILE] [--limit N]` and return True; False for all else, mistakes too."""
    if arguments[:2] != ["concepts", "lookup"]:
        return False
    phrases, values, rest = [], {"--limit": "10"}, arguments[2:]
    while rest:
        word, *rest = rest
        if word in ("--isa", "--limit") and rest:
            values[word], *rest = rest
        elif word.startswith("-"):
            return False
        else:
            phrases.append(word)
    limit = values["--limit"]
    if len(phrases) != 1 or not (limit.isascii() and limit.isdecimal() and int(limit)):
        return False
    from mindkg.link.lookup import lookup_concepts

    show(lookup_concepts(phrases[0], values.get("--isa"), limit=int(limit)))
    return True


def show(found: Found) -> None:
    """Print the concepts in columns that stand under each other, labels on the left and numbers on the right."""
    rows = rows_of(found)
    cells = [list(rows[0]), *([_shown(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = [isinstance(value, str) for value in rows[0].values()]
    for line in cells:
        sides = zip(line, widths, left, strict=True)
        result("  ".join(cell.ljust(width) if label else cell.rjust(width) for cell, width, label in sides).rstrip())
    remark(found)


def rows_of(found: Found) -> list[dict[str, Any]]:
    """Return a row for each concept: instance, concept, count, p_concept, p_instance, rep."""
    return [{"instance": found.instance, **asdict(concept)} for concept in found.concepts]


def remark(found: Found) -> None:
    """Say on stderr what was taken in place of the phrase, and how many concepts were left out."""
    if not found.whole:
        say(f'the table does not have "{found.phrase}"; these are the concepts of "{found.instance}"')
    if found.known > len(found.concepts):
        say(f"{len(found.concepts):,} of {found.known:,} concepts; more with --limit")


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)

"""docs/cli.md from the program itself: ``python -m mindkg.cli.reference > docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from mindkg.cli.app import app


def reference() -> str:
    """Return the reference of every verb as Markdown: what it does, its arguments, options and examples."""
    group = get_command(app)
    lines = [
        "# The command line",
        "",
        "Made from the program by `python -m mindkg.cli.reference`; a test holds the two to each other.",
        "Results go to stdout, everything else to stderr. Exit codes: 0 done; 1 a mistake or mishap, one line with a",
        "hint on stderr; 2 wrong usage.",
    ]
    for name, command in _verbs(group):
        lines += ["", f"## mindkg {name}", "", *_paragraphs(command.help or "")]
        rows = list(_rows(command))
        lines += ["", "| argument or option | meaning |", "|---|---|", *rows] if rows else []
        lines += ["", command.epilog] if command.epilog else []
    return "\n".join(lines) + "\n"


def _verbs(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each verb with its whole name, those of a group after one another."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _paragraphs(text: str) -> list[str]:
    return [" ".join(p.split()) for block in text.split("\n\n") for p in (block, "")][:-1]


def _rows(command: typer.core.TyperCommand) -> Iterator[str]:
    for parameter in command.params:
        argument = parameter.param_type_name == "argument"
        names = [f"`{(parameter.name or '').upper()}`"] if argument else [f"`{o}`" for o in parameter.opts]
        shown = f" (default: {parameter.default})" if parameter.default not in (None, False, ...) else ""
        yield f"| {', '.join(names)} | {getattr(parameter, 'help', None) or ''}{shown} |"


if __name__ == "__main__":
    print(reference(), end="")

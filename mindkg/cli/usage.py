"""What is wrong with the arguments, in one line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mindkg.errors import nearest

if TYPE_CHECKING:
    from typer.exceptions import TyperException

_UNKNOWN: Final = re.compile(r"No such (command|option):? '?([^' ]+)'?")
_NOT_ONE_OF: Final = re.compile(r"(?:Value error, )?'(.*)' is not one of (.+?)\.?", re.S)


def explain(error: TyperException) -> str:
    """Return what is wrong and where the usage is described; "" where Typer has shown the help already."""
    context = getattr(error, "ctx", None)
    text = _named(error) or _unknown(error, context)
    if not text or context is None or text.endswith("?"):
        return text
    return f"{text}. See: {context.command_path} --help"


def _unknown(error: TyperException, context: object) -> str:
    """Return the message about a command or option that is not there, with the nearest ones."""
    message = error.format_message().strip().rstrip(".")
    unknown = _UNKNOWN.match(message)
    command = getattr(context, "command", None)
    if not unknown or command is None:
        return message
    options = [option for parameter in command.params for option in parameter.opts]
    known = options if unknown[1] == "option" else list(getattr(command, "commands", ()))
    hint = nearest(unknown[2], known)
    return f"there is no {unknown[1]} {unknown[2]}" + (f". {hint}" if hint else "")


def _named(error: TyperException) -> str:
    """Return the message about an option or argument, in words of ours where it has a validator's; "" for another."""
    name = _name(error)
    if not name:
        return ""
    if error.format_message().startswith("Missing"):
        return f"{name} is missing"
    message = error.message.strip().rstrip(".")
    choice = _NOT_ONE_OF.fullmatch(message)
    if choice:
        known = re.findall(r"'([^']*)'", choice[2])
        return f"{name} {choice[1]!r} is none of: {', '.join(known)}. {nearest(choice[1], known)}".rstrip(" .")
    if message.startswith("Input should be"):
        message = re.sub(r", unable to .*", "", message).replace("a valid integer", "a whole number")
        return f"{name} {message.replace('Input should', 'must', 1)}"
    return message if name in message else f"{name}: {message}"


def _name(error: TyperException) -> str:
    """Return the option or argument that ``error`` is about, as the help has it; "" where there is none."""
    hint = getattr(error, "param_hint", None)
    names = [hint] if isinstance(hint, str) else [*getattr(getattr(error, "param", None), "opts", ())]
    if not names:
        return ""
    return max(names, key=len) if names[0].startswith("-") else str(names[0]).upper()

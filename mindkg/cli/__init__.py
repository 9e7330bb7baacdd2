"""The command line: one module a verb group."""

from __future__ import annotations

import sys

from mindkg.cli import cold, interruption, terminal
from mindkg.errors import MindKGError
from mindkg.process_limits import START, check_limits, explained


def main() -> None:
    """Run the command line: exit 0 when done, 1 with one line on stderr for a mistake, 2 for incorrect usage."""
    leave = terminal.leave_at_exit()
    terminal.open_streams()
    interruption.handle_signals()
    leave(terminal.finish(_exit_code(sys.argv[1:])))


def _exit_code(arguments: list[str]) -> int:
    try:
        check_limits(START, "mindkg")
        return 0 if cold.answer(arguments) else _verb(arguments)  # Typer alone takes longer than this one verb may
    except MindKGError as error:
        terminal.say(f"mindkg: {error}")
        return error.exit_code
    except OSError as error:
        return terminal.report(error)
    except BaseException as error:
        told = explained(error)
        if told is None:
            raise
        terminal.say(f"mindkg: {told}")
        return told.exit_code


def _verb(arguments: list[str]) -> int:
    """Run Typer's part and return the exit code; a mistake in the arguments is one line too."""
    from typer import Abort
    from typer.exceptions import TyperException

    from mindkg.cli.app import app
    from mindkg.cli.bash_words import bash_completion
    from mindkg.cli.usage import explain

    try:
        with bash_completion():
            return app(arguments, prog_name="mindkg", standalone_mode=False) or 0
    except TyperException as error:
        if line := explain(error):  # nothing is left to say where the help has been shown
            terminal.say(f"mindkg: {line}")
        return error.exit_code
    except Abort:
        terminal.say("mindkg: stopped")
        return 1

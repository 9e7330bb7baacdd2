"""The command line: one module a verb group."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from mindkg.cli import cold
from mindkg.errors import MindKGError


def main() -> None:
    """Run the command line: exit 0 when done, 1 with one line on stderr for a user's mistake, 2 for wrong usage."""
    signal.signal(signal.SIGINT, _interrupted)
    try:
        if not cold.answer(sys.argv[1:]):  # Typer alone takes longer than this one verb may
            from mindkg.cli.app import app

            app()
    except MindKGError as error:
        print(f"mindkg: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        # the reader has gone (`mindkg query … | head`): nothing more to say, also not when Python closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        print(f"mindkg: {error.strerror or error}{place}", file=sys.stderr)
        raise SystemExit(1) from None


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    """End at once: a KeyboardInterrupt gets lost in libraries, and every verb is made to be killed at any point."""
    os.write(sys.stderr.fileno(), b"\nmindkg: interrupted; the next run goes on where this one stopped\n")
    os._exit(130)

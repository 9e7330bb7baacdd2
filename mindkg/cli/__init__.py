"""The command line: one module a verb group."""

from __future__ import annotations

import os
import sys

from mindkg.cli.app import app
from mindkg.errors import MindKGError


def main() -> None:
    """Run the command line: exit 0 when done, 1 with one line on stderr for a user's mistake, 2 for wrong usage."""
    try:
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
    except KeyboardInterrupt:
        print("mindkg: interrupted; the next run goes on where this one stopped", file=sys.stderr)
        raise SystemExit(130) from None

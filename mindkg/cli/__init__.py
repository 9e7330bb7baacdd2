"""The command line: one module a verb group."""


def main() -> None:
    """Run the command line."""
    raise SystemExit("not built yet")

"""``python -m mindkg``."""

from mindkg.cli import main

main()

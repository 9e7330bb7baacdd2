"""Intentions to the concepts of an isA table, and what is above those."""

from typing import Final

VERSION: Final = 1
"""Raised when the same intentions and isA table give other tables."""

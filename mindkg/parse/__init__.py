"""Raw text of a vision-language model → intention or verdict, by the rules of docs/parsing.md."""

from typing import Final

from mindkg.parse.intention import parse_intention
from mindkg.parse.result import ParsedIntention, ParsedVerdict
from mindkg.parse.verdict import parse_verdict

__all__ = ["VERSION", "ParsedIntention", "ParsedVerdict", "parse_intention", "parse_verdict"]

VERSION: Final = 3
"""Raised when the same raw text gives another result, so that it is parsed again."""

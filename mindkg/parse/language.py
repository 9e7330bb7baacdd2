"""Whether words are English, told by scripts and by the small words of other languages."""

from __future__ import annotations

import re
from functools import cache

from mindkg.parse.wordings import table

_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-z\u00aa-\u024f\u1e00-\u1eff\ufb00-\ufb06]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@cache
def _small_words() -> tuple[frozenset[str], frozenset[str]]:
    language = table()["language"]
    foreign = {w for name, line in language.items() if name != "english" for w in line.split()}
    english = frozenset(language["english"].split())
    # a word of both says nothing
    return english - foreign, frozenset(foreign - english)


# French and Italian words that lean on the next one
_ELIDED = re.compile(r"\b(?:[ldjnsctm]|qu|dell|all|nell|un)['’](?=\w{3})", re.I)

# names and loan words: "Maison de la Mer", "à la carte"
_BORROWED = re.compile(
    r"(?<![^\W\d_])(?:(?:[Dd]e la|[Ll]es?|[Ll]a|[Ee]l|[Ll]os|[Ll]as|[Ii]l)\s)?[A-ZÀ-ÖØ-Þ][\w'’-]*(?:\s(?:de|du|des|la|le|les|del|della"
    r"|dei|di|da|do|dos|el|los|las|et|y|e|van|von|der|den)){1,2}\s[A-ZÀ-ÖØ-Þ][\w'’-]*|\b[àa] la \w+|\bdu jour\b"
)


def may_be_foreign(text: str) -> bool:
    """Say whether anything in ``text`` speaks for another language; where nothing does, ``is_foreign`` is False."""
    if not text.isascii():
        return True
    if not _small_words()[1].isdisjoint(text.lower().split()):
        return True
    return "'" in text and _ELIDED.search(text) is not None


def is_foreign(text: str) -> bool:
    """Say whether ``text`` is not English; single foreign words and names are fine.

    >>> is_foreign("cocinar para los amigos en el jardín"), is_foreign("a day at Café de Flore")
    (True, False)
    """
    letters = _LETTER.findall(text)
    if not letters:
        return False
    latin = sum(1 for c in letters if _LATIN.match(c))
    if latin * 2 < len(letters):
        return True
    english, foreign = _small_words()
    plain = _BORROWED.sub(" ", text)
    found = [w.lower() for w in _WORD.findall(plain)]
    alien = sum(w in foreign for w in found) + len(_ELIDED.findall(plain))
    return alien >= 2 and alien > sum(w in english for w in found)

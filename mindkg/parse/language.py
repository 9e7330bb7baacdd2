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


_ASCII_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_LEANING = re.compile(r"'(?=\w{3})")
# French and Italian words that lean on the next one
_ELIDED = re.compile(r"\b(?:[ldjnsctm]|qu|dell|all|nell|un)['’](?=\w{3})", re.I)

# names and loan words: "Maison de la Mer", "à la carte"
_BORROWED = re.compile(
    r"(?<![^\W\d_])(?:(?:[Dd]e la|[Ll]es?|[Ll]a|[Ee]l|[Ll]os|[Ll]as|[Ii]l)\s)?[A-ZÀ-ÖØ-Þ][\w'’-]*"
    r"(?:\s(?:de|du|des|la|le|les|del|della|dei|di|da|do|dos|el|los|las|et|y|e|van|von|der|den)){1,2}"
    r"\s[A-ZÀ-ÖØ-Þ][\w'’-]*|\b(?:L[ao]s|L[ae]|El|San(?:ta)?)\s[A-Z][\w'’-]*|\b[àa] la \w+|\bdu jour\b"
)


def may_be_foreign(text: str) -> bool:
    """Say whether anything in ``text`` speaks for another language; where nothing does, ``is_foreign`` is False."""
    if not text.isascii():
        return True
    if not _small_words()[1].isdisjoint(text.lower().split()):
        return True
    return "'" in text and _LEANING.search(text) is not None and _ELIDED.search(text) is not None


def is_foreign(text: str) -> bool:
    """Say whether ``text`` is not English; single foreign words and names are fine.

    >>> is_foreign("cocinar para los amigos en el jardín"), is_foreign("a day at Café de Flore")
    (True, False)
    """
    if text.isascii():
        if _few_alien(text):
            return False
    else:
        letters = _LETTER.findall(text)
        latin = sum(1 for c in letters if _LATIN.match(c))
        if not letters or latin * 2 < len(letters):
            return bool(letters)
    english, foreign = _small_words()
    plain = _BORROWED.sub(" ", text)
    found = [w.lower() for w in _WORD.findall(plain)]
    alien = sum(map(foreign.__contains__, found)) + len(_ELIDED.findall(plain))
    return alien >= 2 and alien > sum(map(english.__contains__, found))


# taking a borrowed name away behind these would leave a small word that was none
_BEFORE_BORROWED = re.compile(r"'[A-Zadeil]")


def _few_alien(text: str) -> bool:
    """Say whether fewer than two words of ``text`` (ASCII) are foreign, borrowed names included."""
    foreign = _small_words()[1]
    alien = sum(map(foreign.__contains__, _ASCII_WORD.findall(text.lower())))
    if "'" in text:
        return alien + len(_ELIDED.findall(text)) < 2 and _BEFORE_BORROWED.search(text) is None
    return alien < 2

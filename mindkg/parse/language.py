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
    return english, frozenset(foreign - english)


def is_foreign(text: str) -> bool:
    """Say whether ``text`` is not English; single foreign words and names are fine.

    >>> is_foreign("cocinar para los amigos en el jardín"), is_foreign("a day at Café de Flore")
    (True, False)
    """
    if text.isascii() and len(text) < 8:
        return False
    letters = _LETTER.findall(text)
    if not letters:
        return False
    latin = sum(1 for c in letters if _LATIN.match(c))
    if latin * 2 < len(letters):
        return True
    english, foreign = _small_words()
    found = [w.lower().replace("’", "'") for w in _WORD.findall(text)]
    alien = sum(w in foreign or w[:2] in ("l'", "d'", "j'", "n'", "s'", "c'", "m'") and len(w) > 3 for w in found)
    return alien >= 2 and alien > sum(w in english for w in found)

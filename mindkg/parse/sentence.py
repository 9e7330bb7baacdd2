"""Where the first sentence ends: not in abbreviations, names, decimals or titles (PARSING.md, section 5)."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARK = re.compile(r"[\n.!?…。！？]")
_ASCII_MARK = re.compile(r"[\n.!?]")
# what may stand between a mark and the next sentence
_NEXT = re.compile(
    r"[.!?…]*[\"'”’)\]]*(?P<end>(?=\s*\Z|\n|\s+[\"'“‘(\[]*(?:[A-ZÀ-ÖØ-Þ]|[a-z][A-Z])|\s+(?:\d{1,2}[.)]|[-*•])\s))"
)
_GLUED = re.compile(r"(?<=[a-z][.!?])(?:The|This|These|They|Both|Each|It|In|By)\s")
_ALWAYS_GOES_ON = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|Prof|Gen|Sgt|Capt|Lt|Col|Rev|Hon|Mt|Ft|vs|e\.g|i\.e|a\.k\.a"
    r"|cf|approx|[Nn]os?|[Vv]ol|[Ff]ig|[Aa]rt|[Ee]d|[Mm]od|[Ss]er|[Ss]er)|(?<!\w)(?:St"
    r"|Ste|Sta))\.\Z"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]\.)+[A-Za-z]|\b[A-Z]|\b(?:Inc|Corp|Ltd|Co|Bros|Assn|Assoc|Jr|Sr"
    r"|Dept|Univ|Ave|Blvd|Rd|etc|est|et al|Intl|Mfg|Mfr|Tech|Elec|Acc|Accs|Pkg|Qty|Sz"
    r"|Ph\.D|LLC)"
    r"|(?<=[\d\"”’'/x -])(?:in|ft|yd|yds|ct|cts|oz|lb|lbs|pk|pc|pcs|pkt|cm|mm|gal|qt|pt"
    r"|tsp|tbsp|sq|min|max|hr|hrs|sec|mg|kg|ml|fl|cu|dia|wt|w|h|l|d|g|m|doz|ea|bx|cs|yr"
    r"|yrs|mo|mos))\.\Z"
)
_NAME_MARK = re.compile(
    r"(?:[A-Z][A-Z'&-]*\s+[A-Z]{2,}|\b[A-Z]{2,}|\b(?:Yahoo|Jeopardy|Jumanji|Oh|Wham|Go"
    r"|Play|Hey|Mamma Mia|Yum|Wow|Joe|Guess|Toys))[!?]\Z"
)
_OPENER = re.compile(
    r"\s*[\"'“‘(\[]*(?:The|This|These|Those|They|That|There|Their|Both|Each|Additionally"
    r"|By|In|It|Its|While|One|Two|For|If|People|Customers?|Consumers?|Buyers?|Shoppers?"
    r"|Users?"
    r"|Moreover|Furthermore|However|As|With|An?|When|Although|Since|His|Her|He|She|Someone"
    r"|We|You|I|Also|Therefore|Thus|Such|On|At|From|To|Having|Buying|Purchasing|Combining"
    r"|Together|Overall"
    r"|Because|Alternatively|Another|Some|Many|Most|Either|Whether|Using|Wearing|Pairing"
    r"|Given|Based|Not|No|Yes|So|But|And|Or|Product|Item|What|Who|How|Here|Hence|Finally"
    r"|First|Second|All)\b"
)


# a sentence of plain signs that ends behind a word that is no abbreviation, as most do; it holds nothing that
# ``clean`` changes but double spaces
_PLAIN = re.compile(
    r"[ \"$%'()+,\-/0-9:;=@A-Z^a-z]*+(?<!approx)(?:(?<=[a-z]{4})(?<!tbsp)"
    rf"|(?<=[^A-Za-z][a-z]{{3}})(?<!nos|vol|fig|art|mod|ser)(?=\.{_OPENER.pattern}))\.(?= [A-Z])"
)


def plain_end(text: str, start: int, titles: Sequence[str] = ()) -> int:
    """Return where the sentence that goes on at ``start`` ends, if no mark stands before and all is clean, else 0."""
    plain = _PLAIN.match(text)
    if plain is None or plain.end() <= start or "  " in plain.group():
        return 0
    return 0 if _in_title(text, start, plain.end() - 1, titles) else plain.end()


def sentence_end(text: str, start: int, titles: Sequence[str] = ()) -> tuple[int, bool]:
    """Return where the sentence that begins at ``start`` ends (behind its mark), and whether a mark ends it.

    >>> sentence_end("made in the U.S. Polo style. The watch", 0)
    (28, True)
    """
    for match in (_ASCII_MARK if text.isascii() else _MARK).finditer(text, start):
        begin, end = match.span()
        mark = match.group()
        if mark == "\n":
            return begin, True
        if mark in "。！？":
            return end, True
        if _in_title(text, start, begin, titles):
            continue
        behind = _NEXT.match(text, end)
        if behind is None:
            if _GLUED.match(text, end):
                return end, True
            continue
        stop = behind.end()
        if not text[stop:].strip():
            return stop, True
        if mark == "." and stop == end and _goes_on(text, max(start, begin - 12), end):
            continue
        if mark in "!?" and stop == end and _name_goes_on(text, max(start, begin - 24), end):
            continue
        return stop, True
    return len(text), False


def _goes_on(text: str, back: int, end: int) -> bool:
    before = text[back:end]
    if before[-6:-1].isalpha() and before[-6:-1].islower() and before[-7:-1] not in ("approx",):
        return False
    if _ALWAYS_GOES_ON.search(before):
        return True
    return bool(_ABBREVIATION.search(before)) and not _OPENER.match(text, end)


def _name_goes_on(text: str, back: int, end: int) -> bool:
    return bool(_NAME_MARK.search(text[back:end])) and not _OPENER.match(text, end)


def _in_title(text: str, start: int, at: int, titles: Sequence[str]) -> bool:
    """Say whether the mark at ``at`` stands inside the name of a product, behind ``start``; its last mark does not."""
    for title in titles:
        if len(title) > 3 and text[at] in title and ("." in title or "!" in title or "?" in title):
            first, last = max(start, at - len(title) + 2), at + len(title) - 1
            if title in text[first:last]:
                return True
    return False

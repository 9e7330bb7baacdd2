"""The tail: the rest of the first sentence without its elaboration (PARSING.md, section 5)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from mindkg.parse.lexicon import is_adjective, words
from mindkg.parse.names import keeps_capital
from mindkg.parse.wordings import by_letter, folded, folded_pattern, source, table

# every alternative begins with one plain character, which the engine can scan for
_BREAK = re.compile(
    r";(?<!&amp;)(?<!&quot;)(?<!&lt;)(?<!&gt;)(?<!&#39;)|—"
    r"|,(?=\s|\Z)| (?:and(?:/or)?(?=\s)|or(?=\s)|but(?=\s)|[-–—]+\s)"
)
# "the" before a capital is a name, which a comma may introduce
_ARTICLE = re.compile(r"(?:[Aa]n?|[Tt]he(?!\s[A-Z]))(?=\s|\Z)")
_PARALLEL = re.compile(
    r"(?:,\s+(?:an?|the)\s[^,;]{1,60})*?,?\s+(?:and|or)\s+(?:an?|the|other|his|her|their|any|some|more)\s", re.I
)
# "dinner, the opera, and parties": a short item before the last one of a list
_LAST_ITEM = re.compile(r"\s(?:[\w'’-]+\s?){1,2},\s+(?:and|or)\s+", re.I)
_PREPOSITION = (
    r"(?=\s+(?:for|to|by|with|in|as|on|from|of|at|among|into|specifically|especially|primarily"
    r"|mainly|together|using|around|after|within|throughout|during|and|it|them|their|the"
    r"|a|an)\b|\s*\Z)"
)
_ADVERBS = (
    *("often", "also", "both", "all", "each", "well", "best", "very", "quite", "thus", "thereby", "hence", "more"),
    *("most", "further", "even", "perhaps", "not", "just", "then", "so"),
)
_ADVERB = rf"(?:(?:\w+ly|{by_letter(_ADVERBS)})(?:\s+|-))"
_ING = re.compile(rf"{_ADVERB}{{0,2}}(?P<word>\w+ing)\b(?P<rest>[^,;]*)", re.I)
_LIST_OF_ING = re.compile(r"(?:,\s+[^,;]{1,60})*?,?\s+(?:and|or)\s+(?:\w+ly\s+)?(?:\w+ing\b|other\b|more\b)", re.I)
_GERUND_BEFORE = re.compile(r"(?:^|[\s,])\w{2,}ing\b[^,;]*$", re.I)
_WORD = re.compile(r"[^\W_][\w'’-]*")
_OBJECT = (
    r"(?=\s+(?:the|a|an|their|his|her|your|its|both|each|different|similar|various|with"
    r"|well|users?|people|together|multiple|any|all|one|that|those|seamlessly|perfectly"
    r"|nicely|as|into|customers?|children|individuals?|everyone|someone|it|them|him)\b)"
)
_INFINITIVE = re.compile(
    r"(?<!ater )(?<!aters )(?<!ppeal )(?<!ppeals )(?<!elated )(?<!imilar )(?<!elong )(?<!due )(?<!tered "
    r")\bto\s+(?:\w+ly\s+)?[a-z]+\b",
    re.I,
)


@cache
def _elaboration() -> re.Pattern[str]:
    t = table()["words"]
    ed = by_letter(w for w in t["elaborating_participle"].split() if not w.endswith("ing"))
    ing = by_letter(w for w in t["elaborating_participle"].split() if w.endswith("ing"))
    adjective = by_letter(t["elaborating_adjective"].split())
    phrase = by_letter(map(source, t["elaboration"]))
    return folded_pattern(
        rf"(?P<phrase>{phrase}(?![\w'’-]))|{_ADVERB}{{0,2}}(?:(?P<ed>(?:{ed})(?![\w-])"
        rf"|\w+ed{_PREPOSITION})|(?P<known>(?:{ing})(?![\w-]))"
        rf"|(?P<adjective>(?:{adjective})(?=\s+(?:for|to|in|with|among|of|both|as|choices?|options?)\b|\s*\Z)))",
    )


@cache
def _predicate() -> re.Pattern[str]:
    t = table()["words"]

    def one(name: str) -> str:
        return by_letter(t[name].split())

    return folded_pattern(
        rf"(?P<clause>(?:they|he|she|we|you|it|i)(?=\s)|both(?=\s+(?:are|is|have|can|could"
        rf"|of|products|items|offer|provide|share|feature|serve|come|will|may|would|cater|appeal"
        rf"|belong|complement)\b)"
        rf"|(?:the|a|an|this|these|those|their|each|one|someone|people|many|customers|buyers"
        rf"|consumers|users|such)(?:\s+(?!who|that|which|where|of|for|to)[\w'’-]+){{0,4}}?\s+(?:are"
        rf"|is|was|were|wants?|needs?|can|could|will|would|may|might|has|have|likes|loves|enjoys|prefers|provides|offers|serves"
        rf"|allows|complements|helps|adds)(?![\w-]))"
        rf"|(?:{_ADVERB}|then\s+|therefore\s+|as a result,?\s+|together\s+|so\s+)*"
        rf"(?:(?P<always>(?:{one('predicate')})(?![\w-])(?!\s+openers?))"
        rf"|(?P<verb>(?:want|need|intend|plan|hope|wish|like|love)\s+to\b|(?:{one('predicate_verb')})(?![\w-])(?!\s+(?:of"
        rf"|and|or|for)\b))"
        rf"|(?P<noun>(?:{one('predicate_noun')}){_OBJECT})|(?P<singular>(?:{one('predicate_singular')})(?![\w-])(?=\s+(?:to"
        rf"|the|a|an|both|that|their|his|her|for|in|with|something|style|quality)\b))"
        rf"|(?P<participle>(?:{one('predicate_participle')})(?=\s+(?:for|to|by|of|in|with|from"
        rf"|as|together|on|at|specifically|using)\b)))",
    )


@cache
def _predicate_words() -> frozenset[str]:
    names = [name for name in table()["words"] if name.startswith("predicate")]
    return frozenset(word for name in names for word in words(name)) | words("before_predicate")


def _may_be_predicate(word: str) -> bool:
    """Say whether a new predicate can begin with ``word``; most words behind "and" cannot."""
    return word in _predicate_words() or word.endswith(("ly", "'t", "’t"))


def tail_end(text: str, start: int, stop: int, *, infinitive: bool, titles: Sequence[str] = ()) -> tuple[int, bool]:
    """Return where the tail ends, and whether an elaboration ends it.

    ``infinitive`` says that the tail opens with a verb ("wants to …"), so that "and" + verb goes on with it.
    """
    said = False
    for m in _BREAK.finditer(text, start, stop):
        at, mark = m.start(), m.group().strip()
        said = said or (at > start and _WORD.search(text, start, at) is not None)
        if not said:
            continue
        if mark == "," or mark in ("and", "or", "and/or", "but"):
            after = stop - len(text[m.end() : stop].lstrip())
            ends = (
                _comma(text, start, at, after, stop)
                if mark == ","
                else _conjunction(text, start, at, after, stop, infinitive)
            )
        elif mark[0] in "-–—" and m.group() != "—":
            ends = not _in_name(text, at, m.end(), titles)
        else:
            ends = True
        if ends:
            return at, True
    return stop, False


_NO_PREPOSITION = re.compile(r"\s+(?!for|to|by|with|in)\w+")
_LAST_OF_LIST = re.compile(r"[^,;]*,\s+and\s+")
_ITEM = re.compile(r"[^,;]*?(?=,|\s+(?:and|or)\s)")


def _comma(text: str, start: int, at: int, after: int, stop: int) -> bool:
    if m := _ARTICLE.match(text, after, stop):
        if (item := _LAST_ITEM.match(text, m.end(), stop)) and not _predicate().match(folded(text[item.end() : stop])):
            return False
        return not (_PARALLEL.match(text, _item_end(text, m.end(), stop), stop) and _before_is_noun(text, start, at))
    m = _elaboration().match(folded(text[after:stop]))
    if m is None:
        return _unknown_participle(text, start, at, after, stop)
    if m.group("known"):
        return not _gerund_list(text, start, at, after, stop)
    if m.group("ed"):
        return not (is_adjective(m.group("ed")) and _NO_PREPOSITION.match(text, after + m.end()))
    if m.group("adjective"):
        return not _LAST_OF_LIST.match(text, after + m.end(), stop)
    return True


def _item_end(text: str, at: int, stop: int) -> int:
    found = _ITEM.match(text, at, stop)
    return found.end() if found else stop


def _before_is_noun(text: str, start: int, at: int) -> bool:
    """Say whether the item before the comma opens with a determiner, as the items of a list do."""
    item = re.split(r",|\b(?:and|or|for|in|to|of|with|as|on|at|by|including|between)\b", text[start:at], flags=re.I)[
        -1
    ].strip()
    return bool(re.match(r"(?:an?|the|his|her|their|its|any|some)\s", item, re.I))


def _gerund_list(text: str, start: int, at: int, after: int, stop: int) -> bool:
    end = _item_end(text, after, stop)
    return bool(_LIST_OF_ING.match(text, end, stop)) and bool(_GERUND_BEFORE.search(text[start:at]))


def _unknown_participle(text: str, start: int, at: int, after: int, stop: int) -> bool:
    m = _ING.match(text, after, stop)
    if m is None or not m.group("rest").strip() or re.match(r"\s+(?:and|or|&)\b", m.group("rest")):
        return False
    if _gerund_list(text, start, at, after, stop):
        return False
    # "hiking boots, running shoes": a gerund before a noun is part of a list, before an object it is not
    return bool(
        re.match(
            r"\s+(?:the|a|an|their|his|her|its|them|it|both|to|for|in|on|with|from|up|any|each|that)\b",
            m.group("rest"),
            re.I,
        )
    )


def _conjunction(text: str, start: int, at: int, after: int, stop: int, infinitive: bool) -> bool:
    first = _WORD.match(text, after, stop)
    if first is None or not _may_be_predicate(first.group().lower()):
        return False
    m = _predicate().match(folded(text[after:stop]))
    if m is None:
        return False
    kind = m.lastgroup
    said = text[start:at]
    if kind in ("clause", "always"):
        return not re.search(r"\b(?:that|which|who|where|what|how|between|whether|when)\s+[^,]*$", said, re.I) or (
            kind == "clause" and m.group().lower().startswith(("they", "both", "it ", "the buyer"))
        )
    if kind == "participle":
        before = said.rstrip(" ,").rsplit(None, 1)[-1].lower() if said.strip(" ,") else ""
        return not (before.endswith("ed") or before in words("predicate_participle") or before in ("worn", "made"))
    if kind == "singular":
        if re.search(r"\b(?:that|which|who)\s+[^,]*$", said):
            return False
        return re.search(r"\b(?:is|wants|has|needs)\b", text[max(0, start - 80) : at]) is not None
    # the verb may go on with an infinitive or a relative clause that is under way
    return not (infinitive or _INFINITIVE.search(said) or re.search(r"\b(?:that|which|who)\s+[^,]*$", said))


def _in_name(text: str, at: int, after: int, titles: Sequence[str]) -> bool:
    """Say whether the dash at ``at`` stands inside a product's name."""
    around = text[max(0, at - 12) : after + 12]
    if any(around.strip() in title for title in titles if title):
        return True
    before = text[:at].rsplit(None, 1)[-1:] or [""]
    behind = text[after:].split(None, 1)[:1] or [""]
    named = before[0][:1].isupper() or before[0][:1].isdigit()
    return (
        named
        and (behind[0][:1].isupper() or behind[0][:1].isdigit())
        and not re.match(r"(?:The|They|This|These|Both|Each|It|A|An)\b", behind[0])
    )


_OPEN, _CLOSE = "\"'“‘«([{", "\"'”’»)]}"
_PAIR = dict(zip(_OPEN, _CLOSE, strict=True))
_FINAL = ".,;:!?…"


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without outer quotes, white space and final marks."""
    while start < end:
        before = (start, end)
        while start < end and (text[start].isspace() or text[start] in ".,;:!?…*_"):
            start += 1
        while start < end and (text[end - 1].isspace() or text[end - 1] in _FINAL):
            end -= 1
        if start < end and text[start] in "\"'“‘«":
            closing = _PAIR[text[start]]
            inner = text[start + 1 : end - 1]
            if end - start > 1 and text[end - 1] == closing and closing not in inner and text[start] not in inner:
                start, end = start + 1, end - 1
            elif closing not in text[start + 1 : end]:
                start += 1
        elif start < end and text[end - 1] in '"”»' and not _opened(text[start : end - 1], text[end - 1]):
            end -= 1
        else:
            break
        if (start, end) == before:
            break
    return start, end


def _opened(text: str, closing: str) -> bool:
    if closing == '"':
        return text.count('"') % 2 == 1 or bool(re.search(r"\d$", text))
    return {"”": "“", "»": "«"}[closing] in text


_STRAIGHT = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'"})
_THE_NAME = re.compile(r"the\s+[A-Z]")
_LEADING = re.compile(r"(?:an?|the)\s+(?=\S)", re.I)


def canonical(tail: str, *, clause: bool, named: bool = False) -> str:
    """Return the text that the key of an intention is made of.

    ``clause`` says that the tail has a subject of its own, ``named`` that it is expected to be a name.

    >>> canonical("A USB cable", clause=False), canonical("Outdoor fun", clause=False)
    ('USB cable', 'outdoor fun')
    """
    text = tail if tail.isascii() else unicodedata.normalize("NFC", tail).translate(_STRAIGHT)
    if not clause and text[:1] in "aAtT":
        # a capital behind "the" belongs to a name
        named = named or _THE_NAME.match(text) is not None
        while m := _LEADING.match(text):
            text = text[m.end() :]
            if not (text[:2].lower() == "a " or text[:3].lower() == "an " or text[:4].lower() == "the "):
                break
    if text[:1].isupper() and not named:
        word = _WORD.match(text)
        if word and not _is_name(text, word.group(), word.end()):
            text = text[0].lower() + text[1:]
    return text


def _is_name(text: str, word: str, end: int) -> bool:
    """Say whether the capital of the first word belongs to it, or to a name of several words."""
    return keeps_capital(word) or (
        text[end + 1 : end + 2].isupper() and text[end : end + 1] in (" &/" if len(word) == 1 else " &")
    )

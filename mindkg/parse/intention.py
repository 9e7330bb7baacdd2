"""One answer → one typed intention or one reject (PARSING.md, sections 2 to 6)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Literal

from mindkg.parse import opening as front
from mindkg.parse.clean import READ, clean, is_dirty, without_tokens
from mindkg.parse.language import is_foreign, may_be_foreign
from mindkg.parse.names import is_brand
from mindkg.parse.result import OK, REJECT, ParsedIntention, Stated
from mindkg.parse.sentence import plain_end, sentence_end
from mindkg.parse.tail import canonical, tail_end, trimmed
from mindkg.parse.truncation import breaks_off
from mindkg.parse.turns import echo, markers
from mindkg.parse.wordings import either, pattern, source
from mindkg.thoughts import thoughts
from mindkg.vocabulary import is_unspecified, relation_name, relations

_VISIBLE = re.compile(r"[^\W_]")
_QUESTION = re.compile(
    r"(?:(?:so|and|but|question:?),?\s+)?(?:what|why|how|would|do|does|did|is|are|can"
    r"|could|which|who|should|given|based|under|for what|if)\b[^!?\n]{0,400}\?[\"'”’)]*(?=\s)",
    re.I,
)
_BUT = re.compile(
    r"(?:\b(?:but|however|that said|nevertheless|nonetheless|though|although|still|instead)\b"
    r"|[.!?]\s|\n)[,\s]*(?:(?:based on|given|judging|considering)[^,]{0,120},\s+)?(?:(?:i (?:would"
    r"|can|could) (?:say|guess|assume|suggest)|it (?:seems|appears|is likely)|perhaps"
    r"|maybe|possibly)\s+(?:that\s+)?)?",
    re.I,
)
# a wording that a verb follows: "used to", but not "related to"
_TAKES_VERB = re.compile(
    r"(?:(?<!elated )(?<!imilar )(?<!elong )(?<!elongs )(?<!elate )\bto|\bcan|\bcould(?: both)?|\bwill)\Z"
)
_ENDS_OF_VERB_TAKERS = ("to", "an", "ld", "th", "ll")
_UNSPECIFIED = ""
"""Stands for the relation asked for where there was no particular one: no wording is that of this relation."""
_PLACE = re.compile(r"\s*[\[({<][^\[\](){}<>]*[\])}>]?[\s.]*\Z")


def parse_intention(
    text: str, relation: str | None = None, titles: Sequence[str] = (), relations: Literal["stated", "asked"] = "stated"
) -> ParsedIntention:
    """Return the intention that ``text``, the answer to a question for ``relation``, gives, or why it gives none.

    Where no particular ``relation`` was asked for (None, or a source's word for it such as "all") the intention has the
    one that the text states, else ``open``. ``titles`` are the names of the two products: a full stop or a dash inside
    them ends nothing. With ``relations="asked"`` an asked label is kept whatever the text states, as the paper counts.

    >>> parse_intention("The potential co-buy intention could be that they are both used for camping.", "isA").relation
    'usedFor'
    """
    return ParsedIntention(*fields(text, relation, [t for t in titles if t], relations))


# the fields of a ParsedIntention: in bulk, making millions of objects takes a good part of the time
Fields = tuple[
    Literal["ok", "reject"], str | None, str | None, Stated | None, str | None, str | None, int | None, int | None
]


def fields(
    text: str, relation: str | None, titles: Sequence[str] = (), relations: Literal["stated", "asked"] = "stated"
) -> Fields:
    """Return the fields of what ``parse_intention`` returns."""
    if is_unspecified(relation):
        return _parse(text[:READ], _UNSPECIFIED, titles)
    asked = relation_name(str(relation))
    found = _parse(text[:READ], asked or "open", titles)
    if found[0] == REJECT:
        return found if asked is None else _rejected(str(found[1]), asked)
    if asked is None:
        return _rejected("unknown_relation")
    if relations == "asked" and found[2] != asked:
        return (OK, None, asked, "asked", *found[4:])
    return found


def _rejected(reason: str, relation: str | None = None) -> Fields:
    return REJECT, reason, relation, None, None, None, None, None


def _parse(raw: str, asked: str, titles: Sequence[str]) -> Fields:
    end = front.front_end(raw)
    if 0 < end < len(raw):
        stop, ended = plain_end(raw, end, titles), True
        clean = stop > 0
        if not clean:
            stop, ended = sentence_end(raw, end, titles)
            clean = raw[stop : stop + 1] != "\n" and not is_dirty(raw[:stop])
        if clean and not _structured(raw):
            at, _ = front.strip_front(raw, end, stop, found=True)
            if at < stop:
                return _sentence(raw, 0, at, stop, ended, asked, titles)
    return _whole(raw, asked, titles)


def _structured(raw: str) -> bool:
    """Say whether something may begin or end a turn or a thought, or hold an object, in ``raw``: all of it is read."""
    # single characters are found many times as fast as strings
    return (
        ("<" in raw or "{" in raw)
        or ("[" in raw and ('["' in raw or "[INST" in raw or "[/INST" in raw))
        or ("#" in raw and ("###" in raw or "&#" in raw))
        or ("&" in raw and "&lt" in raw)
        or (":" in raw and markers().search(raw) is not None)
        or thoughts(raw) != []
    )


def _whole(raw: str, asked: str, titles: Sequence[str]) -> Fields:
    view, only_prompt = clean(raw)
    text = view.text
    if not _VISIBLE.search(text):
        return _rejected("prefix_only" if _VISIBLE.search(without_tokens(raw)) else "empty")
    begin = None if only_prompt else _answer_start(text)
    if begin is None:
        return _rejected("prompt_echo")
    begin = _skip_questions(text, begin)
    at, boiled = front.strip_front(text, begin, len(text))
    if not boiled and (later := _later_boilerplate(text, at)) is not None:
        begin = later
        at, boiled = front.strip_front(text, begin, len(text))
    stop, ended = sentence_end(text, at, titles)
    if not boiled:
        begin = at
        moved = _beyond_refusal(text, at, stop, asked)
        if isinstance(moved, str):
            return _rejected(moved)
        if moved is not None:
            begin = at = moved
            stop, ended = sentence_end(text, at, titles)
    found = _sentence(text, begin, at, stop, ended, asked, titles)
    if found[6] is None or found[7] is None:
        return found
    return (*found[:6], *view.raw_span(raw, found[6], found[7]))


def _answer_start(text: str) -> int | None:
    """Return where the answer begins behind an echoed prompt (0 without one), or None where only the prompt stands."""
    if front.front().match(text):
        return 0
    echoes = list(echo().finditer(text))
    if not echoes:
        return 0
    last = echoes[-1]
    end = _start_with().match(text, last.start())
    if end is None:
        mark = re.compile(r"[.?!:]+[\"'”]*(?=\s|\Z)|\n").search(text, last.end())
        at = mark.end() if mark else len(text)
    else:
        at = end.end()
    return at if _VISIBLE.search(text, at) else None


@cache
def _start_with() -> re.Pattern[str]:
    """Return the prompt's last words: how the answer should begin."""
    prefixes = either(sorted({p for r in relations().values() for p in r.prefixes}))
    return re.compile(
        rf"(?:start|begin)(?: your \w+)? with:?\s+[\"'“]?(?:the )?potential co-?buy(?:ing)? intention(?: "
        rf"for these two products)? (?:could|would|might) be(?: that)?(?:\s+{prefixes})?[\"'”.…\s]*",
        re.I,
    )


def _skip_questions(text: str, start: int) -> int:
    """Return where the text goes on behind questions that it repeats."""
    while m := _QUESTION.match(text, start):
        if not _VISIBLE.search(text, m.end()):
            break
        start = m.end() + len(text[m.end() :]) - len(text[m.end() :].lstrip())
    return start


_CLAUSE_FRONT = re.compile(r"[.!?\n]\s|[,;:]|\b(?:but|however|that|say|think|believe|guess)\b", re.I)


def _denied(text: str, start: int, boilerplate: re.Match[str]) -> bool:
    """Say whether the clause around what looks like boilerplate declines: "I cannot give a co-buy intention as …"."""
    at = start
    for m in _CLAUSE_FRONT.finditer(text, start, boilerplate.start()):
        at = m.end()
    before = text[at : boilerplate.start()].lower().split()
    return bool(before) and (before[-1] == "no" or refuses(text[at : boilerplate.end()].strip()))


def _later_boilerplate(text: str, start: int) -> int | None:
    for m in front.anywhere().finditer(text, start):
        if _denied(text, start, m):
            continue
        at, _ = front.strip_front(text, m.start(), len(text))
        stop, _ = sentence_end(text, at)
        if _VISIBLE.search(text, at, stop):
            return m.start()
    return None


@cache
def _refusal() -> tuple[re.Pattern[str], re.Pattern[str]]:
    return (
        pattern("refusal", "phrases", r"(?<![\w'’]){}"),
        pattern("refusal", "foreign", "{}"),
    )


# no English refusal lacks all of these
_NO = frozenset(
    [
        "sorry",
        "apologize",
        "apologise",
        "apologies",
        "not",
        "no",
        "none",
        "null",
        "nil",
        "n/a",
        "na",
        "nothing",
        "unable",
        "unclear",
        "unknown",
        "unfortunately",
        "uncertain",
        "unsure",
        "undefined",
        "undetermined",
        "unlikely",
        "can't",
        "cannot",
        "couldn't",
        "don't",
        "won't",
        "isn't",
        "doesn't",
        "aren't",
        "didn't",
        "wouldn't",
        "impossible",
        "difficult",
        "hard",
        "challenging",
        "tough",
        "insufficient",
        "ai",
        "artificial",
        "language",
        "please",
        "kindly",
        "policy",
        "policies",
        "guidelines",
        "content",
        "decline",
        "declining",
        "refuse",
        "refrain",
        "regrettably",
        "without",
        "beyond",
        "outside",
        "idk",
        "indeterminate",
        "incapable",
        "blurry",
        "missing",
        "rarely",
        "neither",
    ]
)
_TOKEN = re.compile(r"[a-z/]+(?:'[a-z]+)?")


def may_refuse(sentence: str) -> bool:
    """Say whether ``sentence`` holds a word that refusals need; where it does not, ``refuses`` is False."""
    return not _NO.isdisjoint(_TOKEN.findall(sentence.lower())) or may_be_foreign(sentence)


def refuses(sentence: str) -> bool:
    """Say whether ``sentence`` declines or cannot tell, in any language."""
    if not may_refuse(sentence):
        return False
    english, foreign = _refusal()
    if english.search(sentence) is not None:
        return True
    found = foreign.search(sentence)
    return found is not None and (found.start() < 3 or is_foreign(sentence))


@cache
def _off_topic() -> tuple[re.Pattern[str], re.Pattern[str]]:
    return pattern("off_topic", "phrases", "{}"), pattern("off_topic", "co_buy", r"\b{}\b")


def _beyond_refusal(text: str, at: int, stop: int, asked: str) -> int | str | None:
    """Return the reason why a text without boilerplate gives no intention, where it does begin, or None: here."""
    if front.opening(text, at, stop, asked) is not None:
        return None
    sentence = text[at:stop]
    refused = refuses(sentence)
    if not refused and is_foreign(sentence):
        return "wrong_language"
    off, co_buy = _off_topic()
    if not refused and not off.search(sentence):
        if front.is_clause(text, at, stop) and not co_buy.search(sentence):
            return "off_topic"
        return None
    for m in _BUT.finditer(text, at):
        begin, _ = front.strip_front(text, m.end(), len(text))
        end, _ = sentence_end(text, begin)
        found = front.opening(text, begin, end, asked)
        if found and (refused or (found.stated == "asked" and text[begin : begin + 4].lower() == "they")):
            return begin
    return "refusal" if refused else "off_topic"


def _sentence(text: str, begin: int, at: int, stop: int, ended: bool, asked: str, titles: Sequence[str]) -> Fields:
    """Type the sentence ``text[at:stop]``, whose boilerplate begins at ``begin``, and cut its tail out."""
    found = front.opening(text, at, stop, asked) if asked != "open" else None
    clause = False
    relation, start = asked, at
    stated: Stated = "asked"
    if found is not None:
        relation, stated, start = found.relation, found.stated, found.tail
    elif asked == "open" or front.is_clause(text, at, stop):
        clause = front.is_clause(text, at, stop)
        relation, stated = "open", ("asked" if asked == "open" else "open")
    elif asked == _UNSPECIFIED:
        relation, stated = "open", "open"
    else:
        start = _bare(text, at, stop, asked)
    refused = found is None and may_refuse(text[begin:stop])
    refused = refused and (refuses(text[begin:stop]) or refuses(text[at:stop]))
    if refused and front.opening(text, at, stop, asked) is None:
        return _rejected("refusal")
    infinitive = text[start : start + 3].lower() == "to " or (start > at and _takes_verb(text, start))
    end, cut = tail_end(text, start, stop, infinitive=infinitive, titles=titles)
    first, last = trimmed(text, start, end)
    tail = text[first:last]
    if may_be_foreign(text[at:stop]) and (is_foreign(tail) or is_foreign(text[at:stop])):
        return _rejected("wrong_language")
    if not _VISIBLE.search(tail) or _PLACE.match(text[start:end]) or _unfinished(text[at:last], at == first, ended):
        return _rejected("prefix_only")
    if not cut and breaks_off(text, begin, stop, ended):
        return _rejected("truncated")
    # in the middle of a sentence, makers and words that are names as well (Fossil, Guess) keep their capital
    key = canonical(tail, clause=clause, named=first > at and (relation == "createdBy" or is_brand(tail)))
    return OK, None, relation, stated, tail, key, first, last


def _takes_verb(text: str, start: int) -> bool:
    before = text[max(0, start - 16) : start].rstrip().lower()
    return before.endswith(_ENDS_OF_VERB_TAKERS) and _TAKES_VERB.search(before) is not None


@cache
def _starts() -> frozenset[str]:
    from mindkg.parse.grammar import grammar

    return grammar().starts


# "The potential co-buy intention for the lamp": no more than the beginning of the boilerplate
_LEAD_ONLY = re.compile(
    r"(?:the )?potential\s(?:c\Z|co\b-?\Z"
    r"|(?:co-?buy(?:ing)?)(?:\s(?:i\w*|intention(?:\s(?:for|of|behind)\b[^.!?]*)?))?\s*\Z)",
    re.I,
)


def _unfinished(said: str, whole: bool, ended: bool) -> bool:
    """Say whether only the beginning of a prefix is said ("they both have"); ``whole``: all of it is the tail."""
    if whole and _LEAD_ONLY.match(said):
        return True
    return (whole or not ended) and " ".join(said.lower().split()) in _starts()


@cache
def _endings() -> dict[str, re.Pattern[str]]:
    """Return, by relation, what a phrase may repeat of the end of its prefix: "used for", "made of", "a type of"."""
    found = {}
    for name, r in relations().items():
        kept = []
        for phrase in (*r.prefixes, *r.wordings):
            words = re.sub(
                r"^(?:they|the person|both|are|have|is|wants)\b\s*|^(?:they|the person)\s+(?:both"
                r"|are|have|is|wants|could|\s)*",
                "",
                phrase,
            ).strip()
            words = re.sub(r"^(?:(?:both|are|have|is)\s+)+", "", words)
            if " " in words and "{" not in words and not words.startswith(("wants", "(wants")):
                kept.append(source(words))
        if kept:
            found[name] = re.compile(rf"(?:{'|'.join(sorted(kept, key=len, reverse=True))})\s+(?=\S)", re.I)
    return found


def _bare(text: str, at: int, stop: int, asked: str) -> int:
    """Return where the tail of a phrase without subject and verb begins, behind what it repeats of its prefix."""
    known = _endings().get(asked)
    m = known.match(text, at, stop) if known else None
    return m.end() if m else at

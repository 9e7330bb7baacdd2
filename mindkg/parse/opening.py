"""The front of an answer: boilerplate goes, and what stands behind states a relation or none (PARSING.md, 3 and 4)."""

from __future__ import annotations

import re
from functools import cache

from mindkg.parse import grammar as g
from mindkg.parse.lexicon import adjective_phrase
from mindkg.parse.wordings import either, folded, folded_pattern, source, table

_LEAD = re.compile(r"[\s\"'“‘”’.:;,!*_…–—-]*")
_COLON = r"\s*(?:\([^()\n]{0,40}\)\s*)?(?:[:：]|(?=\n)|\.\.+)"
_FINITE = re.compile(
    r"\b(?P<relative>who|that|which|where|when|whose|what|how|why|if|as|while)\b|(?<![\w-])(?:is"
    r"|are|was|were|has|have|had|can|could|will|would|may|might|must|should|does|do|wants?"
    r"|needs?|complements?|offers|provides|serves|shares|likes?|enjoys?|loves?|makes|gives"
    r"|allows|helps|buys?|bought|goes|comes|fits|works|plays|thought|wanted|liked|needed"
    r"|prefers?|appreciates?|seeks?|isn['’]t|aren['’]t|cater|provide|serve|represent|belong"
    r"|appeal)(?![\w-])",
    re.I,
)
_BARE = re.compile(
    r"(?:to|for|as|in|of|by|with|from|on|at|being|having|because of|due to)\s|\w+ing\b(?!\s+(?:is"
    r"|are|can|and\s+\w+ing\s+are))",
    re.I,
)


def _be() -> str:
    return source(table()["boilerplate"]["be"])


def _filled(name: str) -> list[str]:
    return [phrase.replace("{be}", f"(?:{_be()})(?![\\w-])") for phrase in table()["boilerplate"][name]]


@cache
def anywhere() -> re.Pattern[str]:
    """Return the boilerplate that also begins an answer in the middle of a text."""
    return re.compile(rf"\b{either(_filled('anywhere'))}", re.I)


@cache
def front() -> re.Pattern[str]:
    """Return the boilerplate that begins an answer where it stands at the front."""
    t = table()["boilerplate"]
    because = (
        rf"{either(t['before_because'])}(?=,?\s+(?:(?:likely|probably|mainly|primarily|simply"
        rf"|possibly|perhaps)\s+)?(?:because|since|as\s+(?:they|both|the|these|each|it|he|she)"
        rf"|due\s+to|so\s+that)\b)"
    )
    subject = r"(?:they|both|these|each|the\s+(?:two|person|buyer|customer|consumer|user))\b"
    heading = rf"(?!{subject})[\w][\w'’/&,() -]{{1,50}}:\s+(?={subject})"
    label = rf"(?:{either(t['labels'])}){_COLON}|{heading}"
    # what is most frequent comes first
    return re.compile(
        rf"(?:{either(_filled('anywhere'))}|{either(t['always'])}\b|{because}|{label}|{either(_filled('front'))})", re.I
    )


@cache
def _usual() -> tuple[str, ...]:
    return tuple(table()["boilerplate"]["usual"])


def front_end(text: str) -> int:
    """Return where the boilerplate at the front of ``text`` ends, or 0 where there is none."""
    for phrase in _usual():
        if text.startswith(phrase):
            return len(phrase) - 1
    m = front().match(text)
    return m.end() if m else 0


@cache
def connector() -> re.Pattern[str]:
    """Return the words between boilerplate and intention."""
    return re.compile(
        rf"(?:(?:likely|probably|mainly|primarily|simply|possibly|perhaps|maybe)\s+(?=that"
        rf"|because|since|due))?{either(table()['boilerplate']['connectors'])}(?![\w'’-])",
        re.I,
    )


@cache
def preamble() -> re.Pattern[str]:
    """Return the words that only lead to the answer."""
    return re.compile(rf"{either(table()['boilerplate']['preambles'])}(?=\s|\Z)", re.I)


# an opening like these holds no boilerplate, unless one of the words below stands in it
_PLAIN = re.compile(r"(?:they|both|someone|the\s+(?:person|buyer|customer|consumer|two|user|shopper))\s", re.I)


def _holds_keyword(sentence: str) -> bool:
    low = sentence.lower()
    return (
        "buy" in low or "bought" in low or "purchas" in low or "inten" in low or "motiv" in low or "reason" in low
    ) or (
        "rationale" in low or "goal" in low or "idea" in low or "answer" in low or "shopping" in low
    )  # fmt: skip - written out, since a loop takes twice as long


# the connector and the subject that stand behind most boilerplate
_THAT = re.compile(rf"\s+that\s+(?={_PLAIN.pattern})")


def strip_front(text: str, start: int, stop: int, *, found: bool = False) -> tuple[int, bool]:
    """Return where the intention begins behind all boilerplate, and whether there was any."""
    at = start
    if found and (usual := _THAT.match(text, start, stop)):
        at = usual.end()
        if not _holds_keyword(text[at:stop]):
            return at, True
    while at < stop:
        lead = _LEAD.match(text, at)
        at = min(lead.end(), stop) if lead else at
        if _PLAIN.match(text, at, stop) and not _holds_keyword(text[at:stop]):
            break
        m = connector().match(text, at, stop) if found or at == start else None
        if m:
            at = m.end()
        elif m := front().match(text, at, stop):
            at, found = m.end(), True
        elif m := preamble().match(text, at, stop):
            at = m.end()
        else:
            break
    return min(at, stop), found


def opening(text: str, start: int, stop: int, asked: str) -> g.Opening | None:
    """Return the relation that the sentence ``text[start:stop]`` states, or None where it states none."""
    at = start
    best = None
    low = folded(text)
    while at < stop:
        found = _once(text, low, at, stop, asked)
        if found is None or (best is not None and found.relation != best.relation):
            break
        best = found
        again = _AGAIN.match(low, found.tail, stop)
        if again is None:
            break
        at = _repeated(text, again.end(), stop)
    return best


_SUBJECT = re.compile(r"(?:they|the person)\b", re.I)
_AGAIN = folded_pattern(
    r"[\s\"'“‘:,…]*(?:[–—-]\s+)?(?=(?:they|the\s(?:person|potential|possible|co-?buy\w*|intention|reason)"
    r"|a\spotential|co-?buy\w*|potential|intention|because|since|personx|people|these|both)\b)"
)


def _repeated(text: str, at: int, stop: int) -> int:
    """Return where another boilerplate or subject begins right behind a prefix, or ``stop``."""
    behind, found = strip_front(text, at, stop)
    if found:
        return behind
    return at if _SUBJECT.match(text, at, stop) else stop


def _once(text: str, low: str, start: int, stop: int, asked: str) -> g.Opening | None:
    usual = g.grammar().they.match(low, start)
    if usual is not None and usual.end() <= stop and usual.lastgroup != "negated":
        return _stated(usual, asked)
    # "they" and "both" may stand for products and for buyers, "the person" only for a buyer
    if not _EITHER.match(low, start):
        return _of_person(low, start, stop, asked) or _of_products(text, low, start, stop, asked)
    found = _of_products(text, low, start, stop, asked)
    if found is None or found.general:
        found = _of_person(low, start, stop, asked) or found
    return found


def _of_person(low: str, start: int, stop: int, asked: str) -> g.Opening | None:
    person = g.PERSON.match(low, start, stop)
    if person is None or person.end() >= stop:
        return None
    aux = g.PERSON_AUX.match(low, person.end())
    w = g.grammar().person.match(low, aux.end() if aux else person.end(), stop)
    return _stated(w, asked) if w else None


def _of_products(text: str, low: str, start: int, stop: int, asked: str) -> g.Opening | None:
    products = g.PRODUCTS.match(low, start, stop)
    if products is None or products.end() >= stop:
        return None
    if _ONE.match(products.group()) and " and " not in products.group():
        return None
    pair = products.group("pair")
    if pair and (_SAYS.search(pair) or g.PERSON.match(low, start, stop)):
        return None
    return _products(text, low, products, stop, asked)


# one product of the two
_ONE = re.compile(r"the\s(?:first|upper|former|second|lower|latter)\b", re.I)
# two product names hold none of these
_SAYS = re.compile(
    r"\b(?:is|are|was|were|who|they|which|that|has|have|he|she|wants?|can|buyers?|customers?"
    r"|person|consumers?|people|someone)\b",
    re.I,
)
_EITHER = re.compile(r"(?:they|both|these|those|each|all)\b")


def _products(text: str, low: str, subject: re.Match[str], stop: int, asked: str) -> g.Opening | None:
    at = subject.end()
    words = subject.group()
    if not text[at : at + 1].isspace() or at + 1 >= stop:
        return None
    at += 1
    aux = g.AUX.match(low, at, stop)
    tail = aux.end() if aux else at
    if g.NEGATION.match(low, tail) or (tail > at and g.NEGATION.match(low, at)):
        return None
    for begin in (tail, at) if tail > at else (at,):
        if (w := g.grammar().products.match(low, begin, stop)) and w.end() <= stop:
            if g.NEGATION.match(low, w.end()):
                return None
            return _stated(w, asked)
    plain = g.PLAIN_AUX.match(low, at, stop)
    tail = plain.end() if plain else at
    spoken = (low[at:tail] + " " + words).split()
    both = bool({"both", "all", "each"} & {s.strip(",'\"") for s in spoken})
    is_ = bool({"are", "is", "was", "were", "be"} & set(spoken)) or subject.group("re") is not None
    if tail >= stop:
        return None
    return _slots(text, tail, both, is_, asked)


# said of buyers: "they are fans of the films" is no kind of product
_FANS = re.compile(
    r"(?:(?:an?|both|big|huge|great|avid|true|\w+ly)\s+)*(?:fans?|enthusiasts?|lovers|collectors)\s(?:of|who)\b", re.I
)
_HAVE = re.compile(r"(?:have|has)\s(?=an?\s)", re.I)


def _slots(text: str, at: int, both: bool, is_: bool, asked: str) -> g.Opening | None:
    """Read "are both" + noun phrase, "are" + adjective and "have a" + noun phrase."""
    if is_ and _FANS.match(text, at):
        return None
    if is_:
        verb, kind, tail = "are", adjective_phrase(text, at), at
    elif have := _HAVE.match(text, at):
        verb, kind, tail = "have", "noun", have.end()
    else:
        return None
    fitting = [s for s in g.slots() if s.verb == verb and (both or not s.both) and s.kind in (kind, "any")]
    if any(s.relation == asked for s in fitting):
        return g.Opening(asked, "asked", tail, general=True)
    for s in sorted(fitting, key=lambda s: s.kind == "any"):
        if not s.where_asked:
            return g.Opening(s.relation, "retyped", tail, general=True)
    return None


def _stated(match: re.Match[str], asked: str) -> g.Opening:
    wording = g.grammar().wordings[str(match.lastgroup)]
    if asked in wording.always or asked in wording.where_asked:
        return g.Opening(asked, "asked", match.end())
    return g.Opening((wording.always or wording.where_asked)[0], "retyped", match.end())


_PRONOUN = re.compile(r"(?:they|he|she|we|i|you|someone|people)\b", re.I)


def is_clause(text: str, start: int, stop: int) -> bool:
    """Say whether ``text[start:stop]`` has a subject and finite verb of its own.

    >>> is_clause("the buyer is setting up a studio", 0, 32), is_clause("gold-plated alloy", 0, 17)
    (True, False)
    """
    if _PRONOUN.match(text, start):
        return True
    if _BARE.match(text, start):
        return False
    verb = _FINITE.search(text, start, stop)
    return verb is not None and verb.group("relative") is None and verb.start() > start

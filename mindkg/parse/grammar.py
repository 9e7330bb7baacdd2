"""Which relation an opening states: subject, auxiliaries and wording (PARSING.md, sections 3 and 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from mindkg.parse.result import Stated
from mindkg.parse.wordings import folded_pattern, source
from mindkg.vocabulary import relations

# what is matched here is ``folded``: these patterns do not ignore case
_ADVERB = (
    r"(?:\w+ly|often|also|well|just|too|very|quite|sometimes|always|usually|both|all|each"
    r"|together|indeed|most|more|thus|then|at the same time|in fact|in general|at once"
    r"|simultaneously)"
)
_BE = r"(?:are|is|was|were|be|been|being|have been|has been|had been)"
_MODAL = r"(?:may|might|would|will|should|must|tend to|seem to|appear to|happen to|are likely to|are able to be)"
# "are" and "both" are the most frequent by far
_AUX = rf"(?:(?:are(?! likely to be| able to be)|both|{_MODAL}|{_BE}|{_ADVERB}|,)(?:\s+|(?=,)|\Z))*"
AUX = folded_pattern(_AUX)
# the same without adverbs: "highly compatible" is a tail as a whole
PLAIN_AUX = folded_pattern(rf"(?:(?:{_MODAL}|{_BE}|both|all|each|also|indeed|thus|in fact)(?:\s+|\Z))*")
_NEGATION = (
    r"(?:\s*(?:not|never|n['’]t|cannot|can['’]t|neither|no longer|hardly|barely)\b|(?:are"
    r"|is|do|does|can|could|was|were|would|will|should)n['’]t\b|(?:do|does|did)\s+not\b)"
)
NEGATION = folded_pattern(_NEGATION)

_VERB_AHEAD = (
    r"(?=\s+(?:(?:\w+ly|both|all|each|also|often)\s+)*(?:are|is|was|were|can|could|may"
    r"|might|will|would|should|have|has|had|share|shares|serve|serves|represent|represents"
    r"|symboli[sz]es?"
    r"|belong|belongs|derive|derives|relate|relates|do|does|complement|complements|offer"
    r"|offers|provide|provides|feature|features|cater|caters|appeal|appeals|come|comes"
    r"|make|makes|work|works"
    r"|fit|fits|match|matches|go|goes|enhance|enhances|create|creates|help|helps|allow"
    r"|allows|add|adds|include|includes|require|requires|fall|falls|need|needs|want|wants"
    r"|get|gets|contain|contains"
    r"|look|looks|pair|pairs|enable|enables|support|supports|meet|meets|address|addresses"
    r"|form|forms|evoke|evokes|express|display|follow|exhibit|possess|contribute|combine"
    r"|involve|promote|protect|keep)\b)"
)
PRODUCTS = folded_pattern(
    r"(?P<they>they(?:['’](?P<re>re))?|these(?=\s+(?:are|is|both|all|can|could|have|share"
    r"|serve|two\s+(?:are|both)))|both(?=\s+(?:used|made|created|designed|related|derived"
    r"|similar|distinct|capable|part|symbols|types?|kinds?|defined|intended|meant|suitable"
    r"|manufactured|produced|able|different|are|can|could|have|share|serve|is|may|might"
    r"|will|would|belong|represent|symboli[sz]e|derive|relate|were)\b))"
    r"|(?P<group>(?:both|these|those|each|all|the\s+(?:two|pair|combination|products?"
    r"|items?|set|bundle|purchase|first|upper|former|set)|either|two|every)\b(?!\s+(?:cooking"
    r"|to\b)).{0,400}?)"
    + _VERB_AHEAD
    + r"|(?P<pair>(?:(?:the|a|an|this|its|his|her|their|product|item)\s+)?[\w\"'“(&#$*].{0,300}?\s(?:and"
    r"|&|\+|with|plus)\s.{1,300}?)(?=\s+(?:(?:\w+ly|all|each)\s+)*(?:are|both|can\b|could\b"
    r"|have|share|serve|represent|symboli[sz]e|belong)\b)",
    re.S,
)
_WHO = (
    r"(?:person|people|persons|buyers?|customers?|consumers?|shoppers?|users?|purchasers?"
    r"|individuals?|someone|somebody|anyone|man|woman|men|women|parents?|owners?|child"
    r"|kid|girl|boy|couple|family|families|mother|father|mom|dad"
    r"|recipient|wearer|student|traveler|enthusiasts?|household|homeowner|personx|client"
    r"|one|collector|player|gamer|photographer|athlete|cyclist|runner|hiker|camper|teacher"
    r"|musician|fans?)"
)
PERSON = folded_pattern(
    rf"(?:(?:the|a|an|this|that|any|each|every|some|many|most|these|those|such|both)\s+)?(?:(?:\w+\s+)(?=(?:{_WHO})\b))?(?:{_WHO}"
    rf"|he\s*/\s*she|he\s+or\s+she|she\s*/\s*he|he|she|they|i|we|you)(?:['’](?:s|re|m))?"
    r"(?P<more>\s+(?:who|that|buying|purchasing|shopping|ordering|getting|choosing|selecting"
    r"|considering|acquiring|adding|of|for|in|with|behind)\b.{0,300}?)??"
    r"(?=\s+(?:(?:\w+ly|both|also|may|might|could|would|will|simply|just|either|be|is"
    r"|are|was|were|often|had|has)\s+)*(?:want(?:s|ed)?|needs?|needed|intend(?:s|ed)?"
    r"|plan(?:s|ned)?|planning|intending|will|would|interested|looking)\b)",
)
PERSON_AUX = folded_pattern(
    r"\s+(?:(?:\w+ly|both|all|also|may|might|could|simply|just|either|be|is|are|was|were"
    r"|often|will(?=\s+(?:be\s+(?:looking|interested|planning|intending)|want|need|likely)\b)"
    r"|would(?=\s+(?:be|want|need)))\s+)*",
)


@dataclass(frozen=True, slots=True)
class Wording:
    """What stands behind subject and auxiliaries, and the relations that it states."""

    always: tuple[str, ...]
    where_asked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The wordings of ontology/relations.ttl as patterns of ``folded`` text, by the kind of subject they need.

    The last group that a match has set is named as its wording in ``wordings``. ``they`` is what most answers say:
    "they", auxiliaries and a wording at once; it sets the group ``negated`` where a negation follows.
    """

    products: re.Pattern[str]
    person: re.Pattern[str]
    they: re.Pattern[str]
    wordings: dict[str, Wording]
    starts: frozenset[str]


class Opening(NamedTuple):
    """What the front of a sentence states: the relation, how, and where the tail begins; ``general``: by a slot."""

    relation: str
    stated: Stated
    tail: int
    general: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A wording whose last word is any noun phrase, any adjective, or anything."""

    relation: str
    verb: str
    both: bool
    kind: str
    where_asked: bool


_SLOT = re.compile(r"\{(noun|adjective)\}")


def _split(phrase: str) -> tuple[str, str]:
    """Return the kind of subject and the words behind subject, are and both."""
    phrase = phrase.removeprefix("as a result, ")
    for subject in ("the person", "they"):
        if phrase == subject or phrase.startswith(subject + " "):
            words = phrase[len(subject) :].strip()
            words = re.sub(r"^(?:(?:are|is|both)\b\s*)+", "", words)
            return ("person" if subject == "the person" else "products"), words
    return "products", phrase


@cache
def grammar() -> Grammar:
    """Return the patterns of all prefixes and wordings but those with a slot, which ``_general`` reads."""
    states: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
    starts: set[str] = set()
    for r in relations().values():
        for where, phrases in ((0, (*r.prefixes, *r.wordings)), (1, r.wordings_where_asked)):
            for phrase in phrases:
                if _SLOT.search(phrase):
                    continue
                starts.update(_starts(phrase))
                kind, words = _split(phrase)
                if kind == "person" and words.startswith("is "):
                    words = words[3:]
                if words:
                    states.setdefault((kind, words), ([], []))[where].append(r.name)
    # the longest first, but behind all others those that begin with what may lack, which is any word
    order = sorted(states.items(), key=lambda s: (_ANY_FRONT.match(s[0][1]) is not None, -len(s[0][1])))
    groups: dict[str, list[str]] = {"products": [], "person": []}
    wordings: dict[str, Wording] = {}
    for n, ((kind, words), (always, asked)) in enumerate(order):
        # the group is empty and stands last, so that the engine sees with which letter the alternative begins
        groups[kind].append(f"{source(words)}(?P<w{n}>)")
        wordings[f"w{n}"] = Wording(tuple(always), tuple(asked))
    products, person = (rf"(?:{'|'.join(groups[kind])})(?![\w-])" for kind in ("products", "person"))
    they = rf"they\s(?!{_NEGATION})(?>{_AUX})(?!{_NEGATION}){products}(?:(?={_NEGATION})(?P<negated>))?"
    return Grammar(folded_pattern(products), folded_pattern(person), folded_pattern(they), wordings, frozenset(starts))


_ANY_FRONT = re.compile(r"\([^()]*\)\?")


@cache
def slots() -> tuple[Slot, ...]:
    """Return the wordings with a slot: "they are both {noun}", "they are {adjective}", "they both are"."""
    found = []
    for r in relations().values():
        for where_asked, phrases in ((False, (*r.prefixes, *r.wordings)), (True, r.wordings_where_asked)):
            for phrase in phrases:
                slot = _SLOT.search(phrase)
                kind, words = _split(phrase)
                if kind == "products" and (slot or not words):
                    verb = "have" if "have" in phrase else "are"
                    found.append(Slot(r.name, verb, "both" in phrase, slot.group(1) if slot else "any", where_asked))
    return tuple(found)


def _starts(phrase: str) -> list[str]:
    plain = re.sub(r"\([^()]*\)\??|[?\[\]]", " ", phrase).lower().split()
    return [" ".join(plain[: n + 1]) for n in range(len(plain))]

"""What a product is: the concept that its title names, else the one that its last category names.

A title is much more than a name: brands, measures, colours, packs, "for …" and "with …" stand around the one noun that
says what is sold. What can be told by marks and small words is cut off before the title is tokenised; which of the
remaining nouns it is, WordNet's classes say: a thing before a material, never a person or a colour.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.link.isa import SHIPPED, open_isa
from mindkg.link.offers import LARGE
from mindkg.link.phrases import chunker
from mindkg.link.ranking import is_vague
from mindkg.link.senses import ARTIFACT, FOOD, PERSON, SUBSTANCE, class_rows
from mindkg.link.words import stops, vague_concepts
from mindkg.schema import TABLES

if TYPE_CHECKING:
    from mindkg.engine import daft
    from mindkg.link.isa import IsaTable

TITLE, CATEGORY = "title", "category"
"""Where a kind is from."""

_LONGEST: Final = 3
"""Words of the longest kind: "usb flash drive"."""

_NARROW: Final = 2
"""Categories of a path, from its end, that are asked."""

_PARTS: Final = 3
"""Parts of a title, between commas and the like, that are looked at."""

_COUNTED: Final = 10
"""Counts, or instances, from which on a table of LARGE pairs or more knows a kind."""

_THINGS: Final = (ARTIFACT, FOOD)
"""WordNet's classes of what is mostly sold: artifacts and food."""

_ALSO: Final = (5, 8, 10, 20, SUBSTANCE)
"""Classes that are sold now and then: animals and parts of bodies (as toys), works, plants, substances."""

_SHARE: Final = 0.45
"""Weight of the classes _THINGS, of length 1 in all, from which on a noun is taken for a thing."""

_DOER: Final = ("er", "or")
"""Ends of nouns for people that mean a device in a title: reader, splitter, player."""

_ENCLOSED: Final = r"\([^()]*\)|\[[^\[\]]*\]|【[^】]*】"
_BEHIND: Final = (
    r"(?i)(\S)\s+(?:for|with|w/|without|by|from|in|that|which|fits?|compatible|includ(?:es?|ing)|featur(?:es?|ing)"
    r"|made|as|like|supports?|inspired|(?:set|pack|lot|pair) of)(?:\s|$)"
)
"""What stands behind the name: what it is for, what of, what comes with it, how many."""
_MEASURE: Final = (
    r"(?i)\b\d+(?: ?[.,/x] ?\d+)*\s*-?(?:%|\"|inch(?:es)?|in|ft|feet|foot|mm|cm|m|meters?|oz|ounces?|ml|l|lbs?|g|kg|gb"
    r"|tb|mb|mah|w|watts?|v|volts?|a|amps?|hz|mhz|ghz|mp|k|kt|karats?|ct|carats?|pcs?|pieces?|packs?|pairs?|count|ports?"
    r"|pins?|way|years?|months?)(?:[\s,.)-]|$)"
)
_SEPARATOR: Final = re.compile(r"[,;|•·~]+|:\s|\s[-–—/]+\s|[–—]+|\.\s|!")


class _Noun(NamedTuple):
    """A noun of a title that could say what is sold, the nouns right in front, and the labels to look up, best first.

    A label is the noun in the singular with words in front of it, as many as may be first.
    """

    written: str
    front: tuple[str, ...]
    forms: tuple[str, ...]

    def surface(self, label: str) -> str:
        """Return the words that ``label`` was made of."""
        words = (*self.front, self.written)
        return " ".join(words[-len(label.split(" ")) :])


def kinds(products: daft.DataFrame, isa: IsaTable, vague: Collection[str] | None = None) -> pa.Table:
    """Return the table kinds for ``products`` (product_id, title, category): those whose kind can be told, sorted.

    A kind is a concept or an instance of ``isa`` or of the table that ships, and not in ``vague``, which stands in
    place of the project's list of concepts that say nothing.
    """
    labels = vague_concepts() if vague is None else vague
    table = products.select("product_id", "title", "category").to_arrow().sort_by("product_id")
    titles = [
        [_nouns(name), _nouns(behind)] for name, behind in zip(*_names(table["title"].cast(pa.string())), strict=True)
    ]
    paths = [path or [] for path in table["category"].to_pylist()]
    named = {name: _nouns(name) for name in {name for path in paths for name in path[-_NARROW:]}}
    every = (*(nouns for title in titles for nouns in title), *named.values())
    rank = _ranks({form for nouns in every for noun in nouns for form in noun.forms}, isa, labels)
    rows = []
    for product, title, path in zip(table["product_id"].to_pylist(), titles, paths, strict=True):
        found = _kind(title, [named[name] for name in reversed(path[-_NARROW:])], rank)
        if found:
            rows.append((product, *found))
    columns: Sequence[Sequence[str]] = list(zip(*rows, strict=True)) or [()] * 4
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=TABLES["kinds"])


def plain_titles(titles: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return titles without what stands in brackets, measures, and what follows "for", "with" and their like.

    >>> plain_titles(pa.chunked_array([["Norvik 6 ft USB Cable (2-Pack) for Phones", "For Norvik: Case"]])).to_pylist()
    ['Norvik USB Cable', 'For Norvik: Case']
    """
    texts = pc.replace_substring_regex(titles, _ENCLOSED, " ")
    texts = pc.replace_substring_regex(texts, rf"{_BEHIND}.*$", r"\1")
    texts = pc.replace_substring_regex(texts, _MEASURE, " ")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, r"\s+", " "))


def _names(titles: pa.ChunkedArray) -> tuple[list[str], list[str]]:
    """Return of each title what stands in front of the first "for", "with" and their like, and what stands behind."""
    titles = pc.fill_null(titles, "")
    behind = pc.if_else(
        pc.match_substring_regex(titles, _BEHIND), pc.replace_substring_regex(titles, f"^.*?{_BEHIND}", ""), ""
    )
    return plain_titles(titles).to_pylist(), plain_titles(behind).to_pylist()


def _nouns(text: str) -> list[_Noun]:
    """Return the nouns of ``text``, those of its first part first, in a part the last one first."""
    tool = chunker()
    found = []
    for part in [part for part in _SEPARATOR.split(text) if part.strip()][:_PARTS]:
        words, tags = tool.tagged(part)
        found += [_noun(words, tags, place) for place in range(len(words) - 1, -1, -1) if tags[place] == "n"]
    return found


def _noun(words: Sequence[str], tags: str, place: int) -> _Noun:
    first = place
    while 0 < first > place - _LONGEST + 1 and tags[first - 1] in "ng" and words[first - 1] not in stops("modifier"):
        first -= 1
    tool = chunker()
    lemma = tool.noun_lemma(words[place])
    lemmas = dict.fromkeys((lemma, tool.other_form(lemma)))
    forms = [" ".join((*words[at:place], one)) for at in range(first, place + 1) for one in lemmas]
    return _Noun(words[place], tuple(words[first:place]), tuple(forms))


def _ranks(forms: Iterable[str], isa: IsaTable, vague: Collection[str]) -> dict[str, int]:
    """Return 0 for each label that is a thing and 1 for one that may be sold; what is neither is left out."""
    stopped = stops("head") | stops("title") | stops("end")
    labels = sorted({form for form in forms if len(form) > 2 and form not in stopped})
    known = _known(labels, isa) | _known(labels, open_isa())
    vague_ones = set(compress(labels, is_vague(pa.array(labels, pa.string()), vague).to_pylist()))
    labels = [label for label in labels if label in known and label not in vague_ones]
    shares = class_rows(labels)
    doer = np.array([label.endswith(_DOER) for label in labels], bool) & (shares[:, PERSON] >= _SHARE)
    thing = ((shares[:, _THINGS].sum(axis=1) >= _SHARE) & (shares[:, SUBSTANCE] < _SHARE / 2)) | doer
    sold = np.isin(shares.argmax(axis=1), (*_THINGS, *_ALSO)) | ~shares.any(axis=1)
    return {label: int(not t) for label, t, s in zip(labels, thing, sold, strict=True) if t or s}


def _known(labels: Sequence[str], isa: IsaTable) -> set[str]:
    """Return the labels that ``isa`` has as concepts or as instances, often enough in a large one."""
    least = _COUNTED if isa.pairs >= LARGE and isa.name != SHIPPED.name else 1
    rows, totals = isa.lookup(pa.array(labels, pa.string())), isa.concept_totals(pa.array(labels, pa.string()))
    seen = rows.filter(pc.greater_equal(rows["total"], least))["instance"].to_pylist()
    return {*seen, *totals.filter(pc.greater_equal(totals["instances"], least))["concept"].to_pylist()}


def _kind(
    title: Sequence[Sequence[_Noun]], path: Sequence[Sequence[_Noun]], rank: Mapping[str, int]
) -> tuple[str, str, str] | None:
    """Return concept, surface and source of what the product is; None where neither title nor categories say it.

    In a title a noun that a category names too comes first, then things, then what else is sold; of equals the first.
    A category speaks where no title does, the narrowest one first, and only for things.
    """
    spoken = {noun.written for nouns in path for noun in nouns} | {noun.forms[-1] for nouns in path for noun in nouns}
    for nouns in title:
        fits = [(noun, label) for noun in nouns if (label := next((f for f in noun.forms if f in rank), None))]
        if fits:
            noun, label = min(fits, key=lambda fit: -1 if fit[0].forms[-1] in spoken else rank[fit[1]])
            return label, noun.surface(label), TITLE
    for nouns in path:
        for noun in nouns:
            if label := next((form for form in noun.forms if rank.get(form) == 0), None):
                return label, noun.surface(label), CATEGORY
    return None

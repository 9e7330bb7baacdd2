"""The words that are mostly written small: from WordNet, each needed, and told from names."""

from __future__ import annotations

import gzip
from importlib import resources

import pytest

from mindkg.parse.names import is_brand, is_common, keeps_capital
from mindkg.resources import data_folder

WORDS = data_folder("ontology") / "common-words.txt"


def _listed() -> list[str]:
    return [line for line in WORDS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _wordnet() -> set[str]:
    folder = resources.files("mindkg.link") / "wordnet"
    found: set[str] = set()
    for name, columns in (("isa.tsv.gz", 2), ("words.tsv.gz", 1)):
        text = gzip.decompress((folder / name).read_bytes()).decode("utf-8")
        for line in text.splitlines():
            found.update(line.split("\t")[:columns])
    return found


def test_list_is_wordnets_small_and_in_order() -> None:
    listed = _listed()
    assert listed == sorted(set(listed))
    assert WORDS.stat().st_size < 400_000
    assert len(set(listed) - _wordnet()) < 0.001 * len(listed)


def test_no_listed_word_follows_from_others() -> None:
    listed = _listed()
    for word in listed[::50]:
        assert not is_common(word, without=frozenset([word])), word


@pytest.mark.parametrize(
    "word", ["Outdoor", "Earrings", "Offered", "Women", "Cosplay", "Slippers", "Knives", "Happier"]
)
def test_capital_of_a_common_word_goes(word: str) -> None:
    assert not keeps_capital(word)


@pytest.mark.parametrize("word", ["Casio", "Christmas", "USB", "I", "iPad", "T-shirt", "Victorian", "French", "Nikon"])
def test_capital_of_a_name_stays(word: str) -> None:
    assert keeps_capital(word)


def test_names_that_are_words() -> None:
    assert is_brand("Apple devices")
    assert not is_brand("apple pie") and not is_brand("Outdoor fun")

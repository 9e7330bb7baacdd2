"""The steps of linking that need a model: a trained spaCy pipeline, and sentence embeddings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from mindkg.engine import from_arrow
from mindkg.errors import InputError
from mindkg.link import embed, tables
from mindkg.link.isa import IsaTable, open_isa
from mindkg.link.phrases import chunker
from mindkg.link.steps import Steps
from mindkg.link.tables import link_tables, link_texts

TRAINED = [
    ("give the dog bones", "VERB DET NOUN NOUN", [0, 2, 0, 0], "ROOT det dative dobj"),
    ("give the cat toys", "VERB DET NOUN NOUN", [0, 2, 0, 0], "ROOT det dative dobj"),
    ("a long run", "DET ADJ NOUN", [2, 2, 2], "det amod ROOT"),
    ("they take a cat-flap", "PRON VERB DET NOUN PUNCT NOUN", [1, 1, 5, 5, 5, 1], "nsubj ROOT det compound punct dobj"),
]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a pipeline that was trained to say of a few words what part of speech they are, and to parse."""
    import spacy
    from spacy.training import Example

    nlp = spacy.blank("en")
    nlp.add_pipe("morphologizer")
    nlp.add_pipe("parser", config={"min_action_freq": 1})
    examples = [
        Example.from_dict(nlp.make_doc(text), {"pos": pos.split(), "heads": heads, "deps": deps.split()})
        for text, pos, heads, deps in TRAINED
    ]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(40):
        nlp.update(examples, sgd=optimizer)
    folder = tmp_path_factory.mktemp("spacy") / "pipeline"
    nlp.to_disk(folder)
    return str(folder)


@pytest.fixture(scope="module")
def isa(tmp_path_factory: pytest.TempPathFactory) -> IsaTable:
    folder = tmp_path_factory.mktemp("isa")
    rows = [("animal", "dog", 9), ("animal", "cat", 9), ("food", "bone", 9), ("food", "dog bone", 9)]
    rows += [("animal", "mouse", 50), ("device", "mouse", 50), ("exercise", "run", 5)]
    (folder / "isa.tsv").write_text("".join(f"{c}\t{e}\t{n}\n" for c, e, n in rows))
    return open_isa(folder / "isa.tsv", cache=folder / "cache")


def surfaces(text: str, pipeline: str | None) -> list[str]:
    return [text[p.starts[0] : p.ends[-1]] for p in chunker(pipeline).phrases(text)]


def test_trained_pipeline_says_what_is_a_noun_and_where_phrases_end(pipeline: str, isa: IsaTable) -> None:
    text = "give the dog bones"
    assert surfaces(text, None) == ["dog bones"]
    assert surfaces(text, pipeline) == ["dog", "bones"]
    assert surfaces("they take a cat-flap", pipeline) == ["cat-flap"]
    linked = {(m.surface, m.concept) for m in link_texts([text], isa, steps=Steps(spacy=pipeline))[0]}
    assert linked == {("dog", "animal"), ("bones", "food")}
    assert [m.surface for m in link_texts([text], isa)[0]] == ["dog bones"]


def test_worker_processes_have_the_pipeline_too(pipeline: str, isa: IsaTable, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.table(
        {"intention_id": ["a", "b", "c"], "text": ["give the dog bones", "a long run", "give the cat toys"]}
    )
    alone = link_tables(from_arrow(texts), isa, steps=Steps(spacy=pipeline)).tables
    monkeypatch.setattr(tables, "_SMALL", 1)
    spread = link_tables(from_arrow(texts), isa, steps=Steps(spacy=pipeline)).tables
    assert alone["intentions"]["heads"].to_pylist() == [["dog", "bone"], ["run"], ["cat", "toy"]]
    assert all(table.equals(spread[name]) for name, table in alone.items())


def test_pipelines_that_cannot_help_are_refused(tmp_path: Path) -> None:
    import spacy

    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(InputError, match="no parts of speech"):
        surfaces("a cable", str(tmp_path / "blank"))
    with pytest.raises(InputError, match="no spaCy pipeline"):
        surfaces("a cable", str(tmp_path / "none"))


def test_embeddings_choose_the_sense(isa: IsaTable) -> None:
    pytest.importorskip("sentence_transformers")

    def first(text: str, model: str | None) -> str:
        plain = Steps(classes=False, witness=False, factors=False, context=False, embed=model)
        return link_texts([text], isa, steps=plain)[0][0].concept

    pair = ["a mouse eaten by the hungry owl", "click on the screen with a mouse"]
    assert [first(text, embed.PACKAGED) for text in pair] == ["animal", "device"]
    assert len({first(text, None) for text in pair}) == 1
    assert embed.vectors(["one", "two", "one"], embed.PACKAGED).shape == (3, 384)
    assert embed.vectors([], embed.PACKAGED).shape[0] == 0
    assert link_texts(["nothing of note"], isa, steps=Steps(embed=embed.PACKAGED)) == [[]]


def test_embeddings_name_their_extra_and_are_not_imported_without_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys; from mindkg.link.tables import link_texts; from mindkg.link.isa import open_isa\n"
    code += "link_texts(['a cable'], open_isa()); print('sentence_transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    monkeypatch.setattr(embed, "find_spec", lambda name: None)
    with pytest.raises(InputError) as error:
        embed.vectors(["a"], "no-such-model")
    assert error.value.hint == 'Install it with: pip install "mindkg[embed]"'

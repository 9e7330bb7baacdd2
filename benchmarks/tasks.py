"""What is measured, one function a task; ``python -m benchmarks.tasks NAME ARGUMENTS`` runs one and prints what it did.

A stage of the build runs through ``mindkg.build`` itself: the stages before it stand in the KB already and are
skipped, and the progress callback stops the build where the next one begins.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import baselines
from benchmarks.measure import Done, answer, timed

NT, TTL, FILES = "kb.nt", "kb.ttl", "property-graph"


class _NextStageError(Exception):
    pass


def stage(name: str, answers: str, isa: str, kb: str) -> Done:
    """One stage of the build: sources, parse or link (the last one with publishing)."""
    from mindkg import pipeline

    after = {"sources": "parse", "parse": "link"}.get(name)
    done, whole, begun = 0, 0, 0.0

    def progress(stage: str, rows: int, total: int | None) -> None:
        nonlocal done, whole, begun
        if stage == after:
            raise _NextStageError
        if stage == name:
            begun = begun or time.perf_counter()
            done, whole = done + max(rows, 0), total or whole

    with contextlib.suppress(_NextStageError):
        pipeline.build([answers], kb, isa=isa, progress=progress)
    return Done(whole or done, time.perf_counter() - begun)


def parse_texts(kb: str) -> Done:
    """Raw texts to typed intentions, without the tables that are made from them."""
    from mindkg.engine import daft, read_parquet
    from mindkg.parse.bulk import parse_frame

    tables = {name: read_parquet(next((Path(kb) / "tables" / name).glob("[!.]*"))) for name in _PARSED}
    products, pairs = tables["products"], tables["cobuys"]
    for side in ("a", "b"):
        named = products.select(
            daft.col("product_id").alias(f"product_{side}"), daft.col("title").alias(f"title_{side}")
        )
        pairs = pairs.join(named, on=f"product_{side}")
    texts = tables["generations"].join(pairs, on="cobuy_id")
    texts = texts.select("generation_id", "relation", "text", "title_a", "title_b").collect()
    return timed(lambda: sum(batch.num_rows for batch in parse_frame(texts).to_arrow_iter()))


_PARSED = ("products", "cobuys", "generations")


def isa(table: str) -> Done:
    """An isA table to its indexed form, in the cache folder that MINDKG_CACHE names."""
    from mindkg.link.isa import open_isa

    def work() -> int:
        opened = open_isa(Path(table))
        return opened.rows + opened.rejected

    return timed(work)


def isa_opened(table: str) -> Done:
    """A converted isA table opened, and one phrase looked up in it."""
    from mindkg.link.lookup import lookup_concepts

    return timed(lambda: lookup_concepts(baselines.phrase_of(table), table).known)


def link_all(table: str, answers: str) -> Done:
    """All intentions of the answers (one a text, with its relation and titles) to their tables, in memory."""
    from mindkg.engine import from_arrow
    from mindkg.link.isa import open_isa
    from mindkg.link.tables import link_tables

    isa = open_isa(Path(table))
    intentions = from_arrow(baselines.intentions(answers))

    def work() -> int:
        return link_tables(intentions, isa).tables["intentions"].num_rows

    return timed(work)


def graph(kb: str) -> Done:
    """The tables of a KB to the graph folder that every form of the graph is made from."""
    from mindkg.graph.folder import rows
    from mindkg.graph.selection import GRAPH_TABLES
    from mindkg.knowledge_base import KnowledgeBase

    opened = KnowledgeBase.open(kb)
    done = timed(lambda: len(str(opened.graph())))
    return Done(sum(rows(opened.graph(), name) for name in GRAPH_TABLES), done.seconds)


def ntriples(kb: str, work: str) -> Done:
    """The graph folder to N-Triples."""
    from mindkg.graph.ntriples import write_ntriples
    from mindkg.knowledge_base import KnowledgeBase

    folder = KnowledgeBase.open(kb).graph()
    return timed(lambda: write_ntriples(folder, Path(work) / NT))


def turtle(kb: str, work: str) -> Done:
    """The graph folder to Turtle."""
    from mindkg.graph.turtle import write_turtle
    from mindkg.knowledge_base import KnowledgeBase

    folder = KnowledgeBase.open(kb).graph()
    return timed(lambda: write_turtle(folder, Path(work) / TTL))


def load(kb: str, engine: str) -> Done:
    """The graph folder to an engine's store, its counts checked."""
    from mindkg.knowledge_base import KnowledgeBase

    opened = KnowledgeBase.open(kb)
    opened.graph()
    return timed(lambda: sum(opened.load(engine).values()))


def build(answers: str, isa: str, kb: str) -> Done:
    """The main job: files to tables, N-Triples, Oxigraph and LadybugDB."""
    from mindkg import pipeline
    from mindkg.knowledge_base import KnowledgeBase

    def work() -> int:
        built = pipeline.build([answers], kb, isa=isa)
        with KnowledgeBase.open(kb) as opened:
            opened.export("ntriples")
            opened.load("oxigraph")
            opened.load("ladybug")
        return built.manifest.tables["generations"].rows

    return timed(work)


def build_again(answers: str, isa: str, kb: str) -> Done:
    """The same build once more: nothing is left to do."""
    from mindkg import pipeline

    ran: tuple[str, ...] = ()

    def work() -> int:
        nonlocal ran
        built = pipeline.build([answers], kb, isa=isa)
        ran = built.ran
        return built.manifest.tables["generations"].rows

    done = timed(work)
    return Done(done.rows, done.seconds, f"ran {', '.join(ran)}" if ran else "nothing to do")


def query(kb: str, engine: str, name: str, values: dict[str, Any]) -> Done:
    """A query of the catalogue, the store opened before."""
    from mindkg.knowledge_base import KnowledgeBase

    with KnowledgeBase.open(kb) as opened:
        opened.store(engine)
        return timed(lambda: opened.query(name, engine=engine, **values).num_rows)


TASKS: dict[str, Callable[..., Done]] = {
    function.__name__: function
    for function in (
        *(stage, parse_texts, isa, isa_opened, link_all, graph, ntriples, turtle, load, build, build_again, query),
        *baselines.TASKS,
    )
}

if __name__ == "__main__":
    answer(TASKS[sys.argv[1]](**json.loads(sys.argv[2])))

"""Made-up graph folders: small random graphs that are sound, with labels that break whatever escapes badly."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mindkg import identity
from mindkg.graph.selection import GRAPH_TABLES, graph_schema
from mindkg.schema import KEYS, STATED
from mindkg.vocabulary import relations

NASTY = (
    "quote \" and 'single'",
    "back\\slash \\n \\u0041",
    "tab\there",
    "line\nbreak\r\nand more",
    "naïve café – “quoted” ½",
    "日本語のラベル",
    "emoji 👩‍👩‍👧 \U0001f6d2",
    "a/b?c#d%20e&f=g",
    "<tag> & {brace} |pipe| ^ `tick`",
    "control \x01\x07\x1f\x7f",
    "noncharacter \ufffe\uffff",
    "e\u0301 combining",
    "~tilde-and.dots...",
    "..",
    "$param {x: 1} // --",
    "' OR 1=1; DROP",
    "\u2028line separator\u0085",
    "עברית and العربية",
)
"""Texts that have every character which some format must escape."""

Rows = list[dict[str, Any]]


def make_graph(folder: Path, seed: int = 0, n: int = 20, nasty: bool = True) -> Path:
    """Write a sound graph of about ``n`` products and ``3 n`` assertions to ``folder``; same arguments, same graph."""
    write_graph(folder, graph_rows(seed, n, nasty))
    return folder


def write_graph(folder: Path, tables: dict[str, Rows]) -> None:
    """Write rows of tables as a graph folder, sorted by key."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in GRAPH_TABLES:
        key = KEYS.get(name, ("mention_id",))
        rows = sorted(tables.get(name, []), key=lambda row: [row[column].encode() for column in key])
        pq.write_table(
            pa.Table.from_pylist(rows, schema=graph_schema(name)), folder / f"{name}.parquet", row_group_size=7
        )


def read_graph(folder: Path) -> dict[str, Rows]:
    """Return the rows of every table of a graph folder."""
    return {name: pq.read_table(folder / f"{name}.parquet").to_pylist() for name in GRAPH_TABLES}


def graph_rows(seed: int = 0, n: int = 20, nasty: bool = True) -> dict[str, Rows]:
    """Return the rows of a sound graph: every reference resolves and every value is allowed."""
    r = random.Random(seed)
    label = _labels(r, nasty)
    products = _products(r, label, n)
    runs = _runs(r)
    cobuys = _cobuys(r, [p["product_id"] for p in products])
    intentions = [
        {
            "intention_id": identity.intention_key(text),
            "text": text,
            "heads": r.choices(text.split() or ["x"], k=r.randint(0, 3)),
        }
        for text in {label("intention"): None for _ in range(n)}
    ]
    assertions, evidence = _assertions(r, cobuys, intentions, runs, 3 * n)
    named = {a["intention_id"] for a in assertions}
    intentions = [i for i in intentions if i["intention_id"] in named]
    concepts, hypernyms, ancestors = _concepts(r, label, n)
    mentions, senses = _mentions(r, label, intentions, concepts)
    # a generator of its own: what is above stays what it was
    kinds = _kinds(random.Random(f"kinds {seed}"), products, concepts)
    return {
        "products": products,
        "cobuys": cobuys,
        "assertions": assertions,
        "evidence": evidence,
        "intentions": intentions,
        "mentions": mentions,
        "senses": senses,
        "concepts": concepts,
        "hypernyms": hypernyms,
        "ancestors": ancestors,
        "kinds": kinds,
        "abstractions": _abstractions(cobuys, assertions, kinds, mentions),
        "runs": [run for run in runs if run["run_id"] in {e["run_id"] for e in evidence}],
    }


def _labels(r: random.Random, nasty: bool) -> Any:
    def label(what: str) -> str:
        word = f"{what} {r.randrange(10_000)}"
        return f"{word} {r.choice(NASTY)}" if nasty and r.random() < 0.6 else word

    return label


def _products(r: random.Random, label: Any, n: int) -> Rows:
    ids = {f"B{r.randrange(10**9):09d}" if r.random() < 0.8 else label("id") for _ in range(n)}
    return [
        {
            "product_id": id_,
            "title": label("product") if r.random() < 0.9 else None,
            "brand": label("brand") if r.random() < 0.7 else None,
            "category": [label("category") for _ in range(r.randint(0, 3))],
            "description": label("description") if r.random() < 0.5 else None,
            "image": f"https://example.org/{r.randrange(100)}.jpg" if r.random() < 0.5 else None,
            "source": "mind",
        }
        for id_ in sorted(ids)
    ]


def _cobuys(r: random.Random, ids: list[str]) -> Rows:
    pairs = {tuple(sorted(r.sample(ids, 2))) for _ in range(len(ids))}
    return [
        {
            "cobuy_id": identity.cobuy_key(a, b),
            "product_a": a,
            "product_b": b,
            "support": r.randint(1, 9),
            "source": "mind",
        }
        for a, b in sorted(pairs)
    ]


def _runs(r: random.Random) -> Rows:
    return [
        {
            "run_id": identity.run_key("intentions", model, "", "1", '{"temperature": 0}'),
            "stage": "intentions",
            "model": model,
            "revision": "",
            "prompt_version": "1",
            "parameters": '{"temperature": 0}',
            "started": "2026-11-21T10:00:00Z" if model != "unknown" else None,
            "ended": "2026-11-21T11:30:00Z" if model != "unknown" else None,
            "code_version": "0.1.0",
        }
        for model in ("unknown", "llava-1.5-13b", 'a "quoted" \\ model')
    ]


def _assertions(r: random.Random, cobuys: Rows, intentions: Rows, runs: Rows, n: int) -> tuple[Rows, Rows]:
    names = r.sample(list(relations()), 6)
    triples = {(r.choice(cobuys)["cobuy_id"], r.choice(names), r.choice(intentions)["intention_id"]) for _ in range(n)}
    assertions, evidence = [], []
    for cobuy, relation, intention in sorted(triples):
        key = identity.assertion_key(cobuy, relation, intention)
        support = r.choice((1, 1, 1, 2, 3))
        assertions.append(
            {
                "assertion_id": key,
                "cobuy_id": cobuy,
                "relation": relation,
                "intention_id": intention,
                "stated": r.choice(STATED),
                "support": support,
                "plausibility": r.choice((None, 0.0, 1.0, r.random())),
                "typicality": r.choice((None, r.random())),
                "accepted": r.choice((None, True, False)),
            }
        )
        for i in range(support):
            run = r.choice(runs)["run_id"]
            start = r.choice((None, r.randrange(50)))
            evidence.append(
                {
                    "assertion_id": key,
                    "generation_id": identity.generation_key(run, cobuy, relation, f"{key}/{i}"),
                    "start": start,
                    "end": None if start is None else start + r.randint(1, 80),
                    "run_id": run,
                }
            )
    return assertions, evidence


def _concepts(r: random.Random, label: Any, n: int) -> tuple[Rows, Rows, Rows]:
    names = sorted({label("concept") for _ in range(n)})
    concepts = [{"concept": c, "vague": r.random() < 0.1, "instances": r.randrange(10_000)} for c in names]
    parents: dict[str, list[str]] = {
        c: sorted(r.sample(names[:i], min(i, r.choice((0, 1, 1, 2))))) for i, c in enumerate(names)
    }
    hypernyms = [
        {"concept": c, "hypernym": p, "count": r.randint(1, 500), "p": r.uniform(0.01, 1 / len(ps))}
        for c, ps in parents.items()
        for p in ps
    ]
    ancestors = [
        {"concept": c, "ancestor": a, "distance": d} for c in names for a, d in sorted(_above(parents, c).items())
    ]
    return concepts, hypernyms, ancestors


def _above(parents: dict[str, list[str]], concept: str) -> dict[str, int]:
    found: dict[str, int] = {}
    level, distance = parents[concept], 1
    while level:
        fresh = [c for c in dict.fromkeys(level) if c not in found]
        found.update(dict.fromkeys(fresh, distance))
        level, distance = [p for c in fresh for p in parents[c]], distance + 1
    return found


def _kinds(r: random.Random, products: Rows, concepts: Rows) -> Rows:
    few = r.sample(concepts, min(len(concepts), 3))
    return [
        {
            "product_id": product["product_id"],
            "concept": (kind := r.choice(few)["concept"]),
            "surface": kind.lower(),
            "source": r.choice(("title", "category")),
        }
        for product in products
        if r.random() < 0.8
    ]


def _abstractions(cobuys: Rows, assertions: Rows, kinds: Rows, mentions: Rows) -> Rows:
    kind = {row["product_id"]: row["concept"] for row in kinds}
    pairs = {row["cobuy_id"]: [kind.get(row["product_a"]), kind.get(row["product_b"])] for row in cobuys}
    best = {row["intention_id"]: row["concept"] for row in mentions if row["rank"] == 1}
    groups: dict[tuple[str, str, str, str], Rows] = {}
    for row in assertions:
        both, concept = pairs[row["cobuy_id"]], best.get(row["intention_id"])
        if None not in both and concept:
            one, other = sorted(str(label) for label in both)
            groups.setdefault((one, other, row["relation"], concept), []).append(row)
    return [
        {
            "abstraction_id": identity.key(*group),
            **dict(zip(("kind_a", "kind_b", "relation", "concept"), group, strict=True)),
            "support": len(rows),
            "pairs": len({row["cobuy_id"] for row in rows}),
            "plausibility": sum(known) / len(known) if (known := _known(rows)) else None,
        }
        for group, rows in groups.items()
    ]


def _known(rows: Rows) -> list[float]:
    return [row["plausibility"] for row in rows if row["plausibility"] is not None]


def _mentions(r: random.Random, label: Any, intentions: Rows, concepts: Rows) -> tuple[Rows, Rows]:
    mentions, senses, known = [], dict[str, dict[str, Any]](), list[tuple[str, str]]()
    for intention in intentions:
        text = intention["text"]
        for rank, concept in enumerate(r.sample(concepts, min(len(concepts), r.randint(0, 4))), start=1):
            start = r.randrange(len(text))
            end = r.randint(start + 1, len(text))
            # different intentions have the same words now and then, and then they mean the same
            shared = [surface for surface, label in known if label == concept["concept"]]
            surface = r.choice(shared) if shared and r.random() < 0.5 else text[start:end]
            known.append((surface, concept["concept"]))
            score = random.Random(surface + concept["concept"])
            typicality, p_instance = score.uniform(0.001, 1), score.uniform(0.001, 1)
            sense = {"surface": surface, "concept": concept["concept"], "rep": typicality * p_instance}
            key = identity.key(surface, concept["concept"], repr(sense["rep"]))
            senses[key] = {"mention_id": key, **sense}
            mentions.append(
                {
                    **sense,
                    "intention_id": intention["intention_id"],
                    "start": start,
                    "end": end,
                    "typicality": typicality,
                    "p_instance": p_instance,
                    "rank": rank,
                    "mention_id": key,
                }
            )
    return mentions, list(senses.values())

"""Answers to a question for no particular relation: the relation is the one that the text states."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sources_case import read_all

import mindkg
from mindkg.identity import generation_key
from mindkg.parse.tables import parse_tables
from mindkg.pipeline import build

TEXTS = {
    "PersonX bought both because they are both used for camping.": ("usedFor", "retyped"),
    "PersonX bought both because they both are a type of tent.": ("isA", "retyped"),
    "PersonX bought both because they complement each other.": ("open", "open"),
    "The potential co-buy intention could be gold-plated alloy.": ("open", "open"),
}


def questions(relation: str = "all") -> list[dict[str, object]]:
    return [
        {"id": f"Q{n}", "item_a_id": "A", "item_b_id": f"B{n}", "item_a_name": "Tent", "item_b_name": "Lamp"}
        | {"relation": relation, "assertion": text, "typicality": 0.5}
        for n, text in enumerate(TEXTS)
    ]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def relations(kb: mindkg.KnowledgeBase) -> list[tuple[str, str]]:
    return sorted((row["relation"], row["stated"]) for row in kb.table("assertions").to_pylist())


def test_a_kb_has_the_stated_relations_also_when_answers_are_added(tmp_path: Path) -> None:
    build(write(tmp_path / "q.jsonl", questions()[:2]), tmp_path / "kb")
    write(tmp_path / "q.jsonl", questions())
    built = build(tmp_path / "q.jsonl", tmp_path / "kb")
    assert built.manifest.stages["parse"].notes["reused"] == 2
    kb = mindkg.KnowledgeBase.open(tmp_path / "kb")
    assert kb.table("generations")["relation"].null_count == 4
    assert relations(kb) == sorted(TEXTS.values())
    build((), tmp_path / "kb", relations="asked")
    assert relations(mindkg.KnowledgeBase.open(tmp_path / "kb")) == sorted(TEXTS.values())
    assert mindkg.KnowledgeBase.open(tmp_path / "kb").validate() == []


def test_open_is_a_relation_that_was_asked_for(tmp_path: Path) -> None:
    _, found = read_all(write(tmp_path / "q.jsonl", questions("open")), staging=tmp_path / "s")
    assert found["generations"]["relation"].to_pylist() == ["open"] * 4


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("column", ["no column", "empty", "all"])
def test_plain_answers_need_no_relation(form: str, column: str, tmp_path: Path) -> None:
    label = {"empty": {"relation": None}, "all": {"relation": "all"}}.get(column, {})
    rows = [{"product_a": "A", "product_b": "B", "text": text, "id": text[-9:], **label} for text in TEXTS]
    path = tmp_path / f"answers.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "jsonl":
        write(path, rows)
    else:
        lines = [",".join(rows[0]), *(",".join(value or "" for value in row.values()) for row in rows)]
        path.write_text("\n".join(lines), "utf-8")
    sourced, found = read_all(path, staging=tmp_path / "s")
    assert (sourced.rows_kept, found["generations"]["relation"].null_count) == (4, 4)
    one = found["generations"].to_pylist()[0]
    assert one["generation_id"] == generation_key(one["run_id"], one["cobuy_id"], "", one["source_record"])
    parsed = parse_tables(sourced.tables)
    counted = Counter(parsed.tables["assertions"].to_pydict()["relation"])
    assert counted == Counter(relation for relation, _ in TEXTS.values())


def test_the_verb_parse_takes_a_line_without_relation() -> None:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    done = subprocess.run([sys.executable, "-m", "mindkg", "parse", "-"], input=lines, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["relation"], row["stated"]) for row in found] == list(TEXTS.values())

"""A KB whose lock, ledger, stores and temporary files lie in a work folder, away from its tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mindkg import distillation, pipeline
from mindkg.errors import LockedError, StorageError
from mindkg.knowledge_base import KnowledgeBase
from mindkg.storage import WORK_DIR, KBDirectory

ROWS = "product_id,title\nP1,Red Tea Mug\nP2,Steel Kettle\n"
ANSWER = '{"product_a": "P1", "product_b": "P2", "relation": "usedFor", "text": "They are used for making tea."}'


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(WORK_DIR, str(tmp_path / "work"))
    return tmp_path / "work"


def made(kb: Path) -> Path:
    products, pairs = kb.parent / "products.csv", kb.parent / "pairs.csv"
    products.write_text(ROWS)
    pairs.write_text("product_a,product_b\nP1,P2\n")
    pipeline.build([products, pairs], kb)
    return kb


def distilled(kb: Path) -> dict[str, int]:
    answers = kb.parent / "answers.jsonl"
    answers.write_text(ANSWER)
    done = distillation.distill(kb, f"replay:{answers}", relations=["usedFor"], passes=["intentions"])
    return dict(done.counts["intentions"])


def test_only_tables_lie_in_the_kb_and_it_remembers_the_rest(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = made(tmp_path / "kb")
    assert distilled(kb)["answered"] == 1
    monkeypatch.delenv(WORK_DIR)
    with KnowledgeBase.open(kb) as opened:
        assert opened.cypher("MATCH (:CoBuy)-[:USED_FOR]->(i:Intention) RETURN count(*) AS n").to_pylist() == [{"n": 1}]
        assert opened.info()["stores"] == ["graph", "ladybug"]
    assert {path.name for path in kb.iterdir()} == {"tables", "manifest.json", "manifest.previous.json", ".work"}
    (room,) = work.iterdir()
    assert {path.name for path in room.iterdir()} == {".lock", ".verified.json", "ledger", "stores"}
    assert not pipeline.build((), kb).published
    with KBDirectory(kb).writing(), pytest.raises(LockedError), KBDirectory(kb).writing():
        pass


def test_kbs_do_not_mix_and_one_that_moves_keeps_its_ledger(work: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, other = made(tmp_path / "kb"), made(tmp_path / "other" / "kb")
    assert distilled(one)["answered"] == 1
    assert len(list(work.iterdir())) == 2 and not list(KBDirectory(other).work.glob("ledger"))
    moved = Path(shutil.move(one, tmp_path / "moved"))
    assert KBDirectory(moved).work == KBDirectory(moved)._kept_work()
    assert not pipeline.build((), moved).published


def test_another_work_folder_would_pay_twice(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kb = made(tmp_path / "kb")
    monkeypatch.setenv(WORK_DIR, str(tmp_path / "elsewhere"))
    with pytest.raises(StorageError, match="work folder is another one"):
        distilled(kb)
    monkeypatch.delenv(WORK_DIR)
    shutil.rmtree(work)
    with pytest.raises(StorageError, match="work folder is not there"):
        distilled(kb)
    assert not (tmp_path / "elsewhere").exists()


def test_a_kb_with_a_ledger_of_its_own_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kb = made(tmp_path / "kb")
    distilled(kb)
    monkeypatch.setenv(WORK_DIR, str(tmp_path / "work"))
    with pytest.raises(StorageError, match="work folder is another one"):
        pipeline.build((), kb)

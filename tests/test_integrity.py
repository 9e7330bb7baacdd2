"""Damage on disk: whatever bit flips in whatever file, data is read as it was written or an error names the file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kb_equality import assert_equal, sample_rows, write_rows
from typer.testing import CliRunner

from mindkg import pipeline
from mindkg.checksums import Checksum, Verified, checksum
from mindkg.cli.app import app
from mindkg.deep_check import find_damage
from mindkg.errors import MindKGError, StorageError
from mindkg.knowledge_base import KnowledgeBase
from mindkg.storage import KBDirectory

FLIPS = 120
UNCHECKED = {".lock", "LOCK", "LOG", ".verified.json"}
"""Files whose content decides nothing that is read."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    header, rows = sample_rows()
    return write_rows(tmp_path_factory.mktemp("source") / "source.csv", header, rows[:40])


@pytest.fixture(scope="module")
def kb(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KB of 40 rows with its graph folder and an Oxigraph store."""
    isa = source.with_name("isa.tsv")
    isa.write_text("drink\tcoffee\t9\nactivity\thiking\t5\nroom\tkitchen\t3\n")
    path = tmp_path_factory.mktemp("integrity") / "kb"
    pipeline.build(source, path, isa=isa)
    with KnowledgeBase.open(path) as opened:
        opened.store("oxigraph")
    return path


@pytest.fixture
def copy(kb: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kb, tmp_path / "kb"))


def flip(file: Path, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)


def flips(path: Path, count: int, seed: int) -> Iterator[tuple[Path, int]]:
    """Yield the files below ``path`` in random order, again and again, and a bit of each."""
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name not in UNCHECKED and p.stat().st_size)
    choice = random.Random(seed)
    choice.shuffle(files)
    for file in islice(cycle(files), count):
        yield file, choice.randrange(8 * file.stat().st_size)


def all_tables(path: Path) -> dict[str, pa.Table]:
    opened = KnowledgeBase.open(path)
    return {name: opened.table(name) for name in opened.manifest.tables}


def test_a_flipped_bit_is_never_read_as_other_data(copy: Path) -> None:
    whole, reported = all_tables(copy), 0
    for file, bit in flips(copy, FLIPS, seed=12):
        before = file.read_bytes()
        flip(file, bit)
        found = []
        try:
            found = [damage.path for damage in find_damage(copy)]
            assert all_tables(copy) == whole, f"bit {bit} of {file} changed what is read"
        except StorageError as error:
            found.append(str(error.record))
        finally:
            file.write_bytes(before)
        assert {*found} <= {str(file)}, f"bit {bit} of {file} is reported as {found}"
        reported += bool(found)
    assert reported > FLIPS * 0.95  # the others are in text that decides nothing, such as the name of a checksum


def test_a_damaged_table_is_one_line_and_is_recreated_by_the_next_build(copy: Path, source: Path) -> None:
    for name in ("assertions", "mentions", "rejects"):
        entry = KnowledgeBase.open(copy).manifest.tables[name]
        file = copy / entry.path / "part-0.parquet"
        flip(file, 8 * file.stat().st_size // 3)
        shown = CliRunner().invoke(app, ["validate", str(copy), "--deep"])
        assert shown.exit_code == 1 and str(file) in shown.stdout
        with pytest.raises(StorageError, match="table is damaged") as error:
            KnowledgeBase.open(copy).table(name)
        assert error.value.record == str(file)
        pipeline.build((), copy)
        assert list(find_damage(copy)) == []
    assert CliRunner().invoke(app, ["validate", str(copy), "--deep"]).exit_code == 0


def test_damage_that_leaves_size_and_times_as_they_were_is_found_by_a_deep_check_and_a_build(copy: Path) -> None:
    file = copy / KnowledgeBase.open(copy).manifest.tables["assertions"].path / "part-0.parquet"
    flip(file, 8 * file.stat().st_size // 3)
    state = file.stat()
    remembered = Verified(copy / ".verified.json")  # as if it had been damaged by the disk after it was verified
    known = KnowledgeBase.open(copy).manifest.tables["assertions"].checksum
    assert known is not None
    mark = [state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
    assert remembered.matches(str(file.relative_to(copy)), mark, known, lambda: known, again=True)
    with pytest.raises(StorageError, match="damaged"):  # the checksum of a page
        KnowledgeBase.open(copy).table("assertions")
    assert "link" not in pipeline.build((), copy).ran
    assert list(find_damage(copy)) == []
    assert KnowledgeBase.open(copy).table("assertions").num_rows


def test_a_damaged_table_of_the_sources_needs_them_again(copy: Path, source: Path) -> None:
    file = copy / KnowledgeBase.open(copy).manifest.tables["products"].path / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StorageError, match="table products is damaged"):
        KnowledgeBase.open(copy)
    with pytest.raises(StorageError, match=f"mindkg build {source}"):
        pipeline.build((), copy)
    pipeline.build(source, copy, isa=source.with_name("isa.tsv"))
    assert list(find_damage(copy)) == []


@pytest.mark.parametrize("content", [b"", b"PAR1", None])
def test_a_damaged_graph_folder_is_made_anew(copy: Path, kb: Path, content: bytes | None) -> None:
    (file,) = copy.glob("stores/graph/*/assertions.parquet")
    file.unlink() if content is None else file.write_bytes(content)
    damaged = [damage.path for damage in find_damage(copy)]
    assert damaged == [str(file)]
    written = KnowledgeBase.open(copy).export("ntriples", copy.parent / "one.nt")
    assert written.read_bytes() == KnowledgeBase.open(kb).export("ntriples", copy.parent / "two.nt").read_bytes()
    assert list(find_damage(copy)) == []


def test_a_damaged_store_is_made_anew(copy: Path, kb: Path) -> None:
    with KnowledgeBase.open(kb) as opened:
        counts = opened.query("graph-counts", engine="oxigraph")
    for file in sorted(copy.glob("stores/oxigraph/*/*.sst")):
        flip(file, 4 * file.stat().st_size)
    with KnowledgeBase.open(copy) as opened:
        assert opened.query("graph-counts", engine="oxigraph") == counts
    assert list(find_damage(copy)) == []


def test_a_build_with_sources_repairs_any_manifest(copy: Path, kb: Path, source: Path) -> None:
    for content in ("", "[]", '{"schema_version": 3, "tables": 7}'):
        (copy / "manifest.json").write_text(content)
        with pytest.raises(MindKGError, match="manifest"):
            pipeline.build((), copy)
        pipeline.build(source, copy, isa=source.with_name("isa.tsv"))
        assert_equal(copy, kb)


def test_every_page_of_a_table_has_a_checksum(kb: Path, tmp_path: Path) -> None:
    for file in kb.rglob("*.parquet"):
        table = pq.read_table(file)
        if not table.num_rows:
            continue
        damaged = bytearray(file.read_bytes())
        column = pq.read_metadata(file).row_group(0).column(0)
        start = column.dictionary_page_offset or column.data_page_offset
        damaged[start + column.total_compressed_size - 1] ^= 1  # the last byte of a page
        (tmp_path / "damaged.parquet").write_bytes(damaged)
        with pytest.raises(OSError, match="CRC"):
            pq.read_table(tmp_path / "damaged.parquet", page_checksum_verification=True)


def test_a_file_is_read_again_only_when_something_wrote_to_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    known, read = checksum(file), []

    def reading() -> Checksum:
        read.append(1)
        return checksum(file)

    for _ in range(3):
        assert Verified(tmp_path / "seen.json").matches("file", [1], known, reading)
    assert len(read) == 1
    assert Verified(tmp_path / "seen.json").matches("file", [2], known, reading)
    file.write_bytes(b"Content")
    assert not Verified(tmp_path / "seen.json").matches("file", [2], known, reading, again=True)
    assert not Verified(tmp_path / "seen.json").matches("file", [2], known, reading)
    (tmp_path / "seen.json").write_bytes(b"\xff[")
    assert not Verified(tmp_path / "seen.json").holds(file, known)


def test_opening_a_kb_reads_no_table(kb: Path) -> None:
    opened = KBDirectory(kb).open_manifest()
    assert opened.tables.keys() == KnowledgeBase.open(kb).manifest.tables.keys()

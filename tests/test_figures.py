"""The figures on pages about what ships with the project are those that the program gives."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from conftest import ROOT
from distill_tables import table
from PIL import Image

import mindkg
from mindkg.distill.estimate import dry_run
from mindkg.distill.ledger import Ledger
from mindkg.distill.rows import Rows
from mindkg.distill.settings import Settings
from mindkg.identity import cobuy_key
from mindkg.knowledge_base import KnowledgeBase
from mindkg.queries import catalogue
from mindkg.sources.amazon import MAX_BASKET, WINDOW
from mindkg.storage import file_sha256

PICTURED = 850
PAIRS = 1_000


def page(name: str) -> str:
    """The text of a page, each run of white space as one space."""
    return re.sub(r"\s+", " ", (ROOT / name).read_text("utf-8"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    path = tmp_path_factory.mktemp("figures") / "kb"
    mindkg.build([ROOT / "examples" / "sample.csv"], path)
    with KnowledgeBase.open(path) as kb:
        yield kb


def test_the_pages_count_the_queries_of_the_catalogue() -> None:
    assert f"a catalogue of {len(catalogue())} queries" in page("CHANGELOG.md")


def test_the_page_on_linking_counts_the_table_that_ships(sample: KnowledgeBase) -> None:
    rows = sample.manifest.stages["link"].notes["isa_rows"]["read"]
    assert f"{rows:,} rows" in page("docs/linking.md")


def test_the_page_on_the_sample_counts_it(sample: KnowledgeBase) -> None:
    text, read = page("examples/README.md"), sample.manifest.stages["sources"].read
    products, cobuys, rejects = (sample.table(name).num_rows for name in ("products", "cobuys", "rejects"))
    assert f"{products} products, {cobuys} pairs bought together, {read} answers over" in text
    assert rejects == 10 and "ten rows that a build rejects" in text


def test_the_page_on_ingestion_has_the_limits_of_the_program() -> None:
    text, pairs = page("docs/ingest.md"), MAX_BASKET * (MAX_BASKET - 1) // 2
    assert f"| `--window` | {WINDOW} |" in text and f"| `--max-basket` | {MAX_BASKET} |" in text
    assert f"A basket of {MAX_BASKET} makes at most {pairs:,} pairs" in text
    assert f"more than {pairs / MAX_BASKET} times as many pairs" in text


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """What a dry run says of 1,000 pairs of 850 products with a picture and a title of 70 characters, by pass."""
    folder = tmp_path_factory.mktemp("estimate")
    Image.new("RGB", (30, 30)).save(folder / "p.png")
    ids = [f"P{n:03d}" for n in range(PICTURED)]
    picture = {"url": "x", "path": "p.png", "sha256": file_sha256(folder / "p.png"), "status": "ok"}
    pairs = [(ids[n % PICTURED], ids[(n + 1 + n // PICTURED) % PICTURED]) for n in range(PAIRS)]
    tables = {
        "products": [{"product_id": p, "title": f"{p:x<70}", "category": [], "source": "t"} for p in ids],
        "images": [{"product_id": p, **picture} for p in ids],
        "cobuys": [
            {"cobuy_id": cobuy_key(a, b), "product_a": min(a, b), "product_b": max(a, b), "support": 1, "source": "t"}
            for a, b in pairs
        ],
        "features": [],
        "generations": [],
        "verdicts": [],
    }
    (folder / "staging").mkdir()
    given = {name: Rows.of(table(name, rows)) for name, rows in tables.items()}
    with Ledger(folder / "ledger") as ledger:
        told = dry_run(given, Settings("m"), root=folder, ledger=ledger, staging=folder / "staging")
    return {row["pass"]: row for row in told.to_pylist()}


def test_the_page_on_distillation_shows_what_a_dry_run_says(estimated: dict[str, dict[str, int]]) -> None:
    text = page("docs/distillation.md")
    rates = [int(rate.replace(",", "")) for rate in re.findall(r"reads ([\d,]+) and writes ([\d,]+) tokens", text)[0]]
    rows = re.findall(r"\| ([\d,]+)(?: \(MIND\))? \| (\S+) \+ (\S+) \+ (\S+) \| (\S+ .) \| (\S+ .) \| (\S+) \|", text)
    assert len(rows) == 3
    for pairs, *asked, read, written, hours in rows:
        counts = dict(zip(estimated, (int(count.replace(",", "")) for count in asked), strict=True))
        each = {name: row["requests"] / PAIRS for name, row in estimated.items()}
        n = int(pairs.replace(",", ""))
        assert counts["intentions"] == counts["filter"] == each["intentions"] * n
        assert counts["features"] == pytest.approx(each["features"] * n, rel=0.001)
        tokens = [
            sum(count * estimated[name][kind] / estimated[name]["requests"] for name, count in counts.items())
            for kind in ("prompt_tokens", "completion_tokens")
        ]
        assert [rounded(tokens[0]), rounded(tokens[1])] == [rounded(number(read)), rounded(number(written))]
        took = sum(count / rate for count, rate in zip(tokens, rates, strict=True)) / 3600
        assert f"{took:.{len(hours.partition('.')[2])}f}" == hours


def number(words: str) -> float:
    """The number that a page writes as ``5.3 G``."""
    digits, unit = words.split()
    return float(digits) * {"M": 1e6, "G": 1e9}[unit]


def rounded(count: float) -> float:
    """A count to two digits, as the table has it."""
    return float(f"{count:.2g}")

"""The command line as a user meets it: rows to stdout, words to stderr, one line for a mistake."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from kb_equality import SAMPLE

import mindkg

MINDKG = [sys.executable, "-m", "mindkg"]


def run(*arguments: object, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*MINDKG, *map(str, arguments)]
    return subprocess.run(command, input=stdin or "", capture_output=True, text=True, env={**os.environ, **environment})


def ok(*arguments: object, **more: Any) -> str:
    done = run(*arguments, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "kb"
    done = run("build", SAMPLE, "-o", path, "--load", "ladybug", "--load", "oxigraph")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "rows read =" in done.stderr
    return path


@pytest.mark.parametrize("engine", ["ladybug", "oxigraph"])
def test_query_writes_rows_in_four_formats(kb: Path, engine: str) -> None:
    arguments = ("query", kb, "relation-counts", "--engine", engine, "--format")
    rows = json.loads(ok(*arguments, "json"))
    assert rows and rows[0].keys() == {"relation", "assertions", "cobuys", "intentions"}
    table = list(csv.DictReader(io.StringIO(ok(*arguments, "csv"))))
    assert [{k: str(v) for k, v in row.items()} for row in rows] == table
    command = [*MINDKG, *map(str, arguments), "arrow"]
    stream = subprocess.run(command, check=True, capture_output=True).stdout
    assert pa.ipc.open_stream(stream).read_all().to_pylist() == rows
    assert all(row["relation"] in ok(*arguments, "table") for row in rows)


def test_parameters_reach_the_query(kb: Path) -> None:
    rows = json.loads(ok("query", kb, "top-hypernyms", "-p", "relation=usedFor", "-p", "limit=3", "--format", "json"))
    assert len(rows) == 3
    label = rows[0]["concept"]
    text = "MATCH (c:Concept) WHERE c.label = $label RETURN c.label AS label"
    assert json.loads(ok("cypher", kb, text, "-p", f"label={label}", "--format", "json")) == [{"label": label}]
    count = ok("sparql", kb, "-", "--format", "json", stdin="SELECT (COUNT(*) AS ?n) { ?p a mind:Product }")
    assert json.loads(count) == [{"n": 60}]


@pytest.mark.parametrize("engine", ["ladybug", "oxigraph"])
def test_a_parameter_is_an_id_or_a_label_in_any_case(kb: Path, engine: str) -> None:
    asked = ("query", kb, "concept-intentions", "--engine", engine, "--format", "json", "-p")
    rows = ok(*asked, "concept=clothing")
    assert len(json.loads(rows)) > 1 and ok(*asked, "concept=Clothing") == rows
    text = json.loads(rows)[0]["text"]
    found = ok("query", kb, "intention-concepts", "--engine", engine, "-p", f"intention={text.upper()}")
    assert "clothing" in found
    for value, words in {
        "concept=clothign": "Did you mean clothing",
        "concept=zzzzz": "mindkg info KB --table",
    }.items():
        done = run(*asked, value)
        assert (done.returncode, done.stdout) == (1, "") and words in done.stderr


def test_a_label_of_several_things_is_refused_with_their_ids(tmp_path: Path) -> None:
    rows = [{"product_id": i, "title": t} for i, t in {"P1": "Boot", "P2": "boot", "P3": "Sock"}.items()]
    (tmp_path / "products.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (tmp_path / "cobuys.jsonl").write_text('{"product_a": "P1", "product_b": "P3"}\n')
    done = run("build", tmp_path / "products.jsonl", tmp_path / "cobuys.jsonl", "-o", tmp_path / "kb")
    assert done.returncode == 0, done.stderr
    asked = ("query", tmp_path / "kb", "product-intentions", "-p")
    done = run(*asked, "product=BOOT")
    assert done.returncode == 1 and "2 products are called 'BOOT'. Give an id: P1, P2" in done.stderr
    done = run(*asked, "product=sock")
    assert done.returncode == 0 and "nothing has been distilled yet" in done.stderr
    assert "nothing has been distilled yet" in ok("info", tmp_path / "kb")


def test_what_json_lacks_is_text_or_null(kb: Path) -> None:
    text = "RETURN date('2024-01-02') AS day, sqrt(-1.0) AS root, [date('2024-01-02')] AS days"
    (row,) = json.loads(ok("cypher", kb, text, "--format", "json"), parse_constant=pytest.fail)
    assert row == {"day": "2024-01-02", "root": None, "days": ["2024-01-02"]}
    assert '["2024-01-02"]' in ok("cypher", kb, text)


def test_info_and_queries_as_json(kb: Path) -> None:
    facts = json.loads(ok("info", kb, "--json"))
    assert facts["tables"]["products"] == 60 and facts["stores"] == ["graph", "ladybug", "oxigraph"]
    for stage in facts["stages"].values():
        assert stage["read"] == stage["kept"] + stage["rejected"]
    known = json.loads(ok("queries", "--format", "json"))
    assert len(known) >= 24
    assert all(q.keys() == {"name", "summary", "parameters", "columns"} for q in known)
    assert all(p.keys() >= {"name", "type", "required", "default"} for q in known for p in q["parameters"])
    assert "MATCH" in ok("queries", "shared-concepts") and "SELECT" in ok("queries", "shared-concepts")


def test_info_writes_a_table_such_as_the_rejects(kb: Path) -> None:
    rejects = json.loads(ok("info", kb, "--table", "rejects", "--format", "json"))
    assert len(rejects) == 10
    assert {r["record"].split(":")[0] for r in rejects if r["stage"] == "sources"} == {"sample.csv"}
    assert all(r["reason"] for r in rejects)


def test_filtered_assertions_enter_the_graph_only_when_asked(kb: Path) -> None:
    counts = [
        {r["class"]: r["n"] for r in json.loads(ok("query", kb, "graph-counts", *flag, "--format", "json"))}
        for flag in ((), ("--include-filtered",))
    ]
    assert (
        counts[0]["Assertion"] < counts[1]["Assertion"] == json.loads(ok("info", kb, "--json"))["tables"]["assertions"]
    )
    assert counts[0]["Product"] == counts[1]["Product"] == 60


@pytest.mark.parametrize("to", ["turtle", "ntriples", "jsonld", "graphml", "csv", "triples"])
def test_export_says_where_it_wrote(kb: Path, tmp_path: Path, to: str) -> None:
    target = tmp_path / "out" / to
    assert ok("export", kb, "--to", to, "-o", target) == f"{target}\n"
    assert any(target.iterdir()) if to == "csv" else target.stat().st_size > 1000


def test_export_goes_to_stdout(kb: Path) -> None:
    assert ok("export", kb, "--to", "triples", "-o", "-").count("\tproduct\tproduct:") > 60


def test_a_table_of_nothing_says_so(kb: Path) -> None:
    done = run("sparql", kb, "SELECT ?s { ?s a mind:Nothing }")
    assert (done.returncode, done.stderr) == (0, "no rows\n")
    assert run("sparql", kb, "SELECT ?s { ?s a mind:Nothing }", "--format", "csv").stderr == ""


@pytest.mark.parametrize("flags", [(), ("--shacl",)])
def test_validate_finds_the_sample_sound(kb: Path, flags: tuple[str, ...]) -> None:
    done = run("validate", kb, *flags)
    assert (done.returncode, done.stdout) == (0, "")
    assert "sound" in done.stderr


def test_load_gives_the_counts(kb: Path) -> None:
    assert "Product\t60\n" in ok("load", kb, "oxigraph")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("query", "{tmp}/none", "top-hypernyms"), "there is no KB"),
        (("query", "{tmp}", "top-hypernyms"), "not a finished KB"),
        (("sparql", "{kb}", "SELECT nonsense"), "Oxigraph refuses the query"),
        (("cypher", "{kb}", "MATCH nonsense"), "LadybugDB refuses the query"),
        (("cypher", "{kb}", "@{tmp}/none.cypher"), "cannot read the query"),
        (("cypher", "{kb}", "RETURN $name"), "values for: name. On the command line: -p NAME=VALUE"),
        (("export", "{kb}", "--to", "turtle", "-o", "/dev/null/x"), "cannot write"),
        (("build", "{tmp}/none.csv", "-o", "{tmp}/new"), "none.csv"),
        (("build", "{tmp}/wrong.csv", "-o", "{tmp}/new"), "wrong.csv"),
        (("build", str(SAMPLE), "-o", "{tmp}/new", "--field", "colour"), "colour"),
        (("build", str(SAMPLE), "-o", "{tmp}/new", "--isa", "{tmp}/none.tsv"), "none.tsv"),
        (("build", str(SAMPLE), "-o", "{tmp}/wrong.csv"), "cannot write a KB"),
        (("link", "{tmp}/none.jsonl"), "none.jsonl"),
        (("link", "{tmp}/wrong.csv", "--vague", "{tmp}/none.txt"), "none.txt"),
        (("parse", "{tmp}/none.jsonl"), "none.jsonl"),
        (("parse", "{tmp}/wrong.csv"), "this is not JSON Lines"),
        (("link", "{tmp}/wrong.csv"), "this is not JSON Lines"),
    ],
)
def test_a_mistake_is_one_line_with_exit_code_1(
    kb: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "wrong.csv").write_text("colour,size\nred,1\n")
    done = run(*(a.format(kb=kb, tmp=tmp_path) if "{" in a else a for a in arguments))
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("mindkg: ") and words in last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("query",), "KB is missing. See: mindkg query --help"),
        (("dance",), "there is no command dance"),
        (("querry", "{kb}"), "Did you mean query"),
        (("info", "{kb}", "--tabel", "rejects"), "Did you mean --table?"),
        (("info", "{kb}", "--table", "Reject"), "Did you mean rejects?"),
        (("info", "{kb}", "--limit", "0"), "--limit must be"),
        (("query", "{kb}", "top-hypernym"), "Did you mean top-hypernyms"),
        (("query", "{kb}", "product-intentions"), "-p product=…"),
        (("query", "{kb}", "top-hypernyms", "-p", "limit=many"), "limit"),
        (("query", "{kb}", "top-hypernyms", "-p", "limit"), "key=value"),
        (("query", "{kb}", "top-hypernyms", "-p", "colour=red"), "colour"),
        (("query", "{kb}", "top-hypernyms", "-p", "relation=usedfro"), "Did you mean usedFor"),
        (("query", "{kb}", "top-hypernyms", "--engine", "ladybird"), "Did you mean ladybug?"),
        (("query", "{kb}", "top-hypernyms", "--format", "xml"), "--format 'xml' is none of: table, csv, json, arrow"),
        (("sparql", "{kb}", "ASK { ?s ?p ?o }", "--engine", "bolt://127.0.0.1:1"), "mindkg cypher"),
        (("export", "{kb}", "--to", "turtel"), "Did you mean turtle?"),
        (("export", "{kb}", "--to", "turtle", "--base", "here"), "absolute IRI"),
        (("export", "{kb}", "--to", "csv", "-o", "-"), "stream"),
        (("build", str(SAMPLE), "-o", "{tmp}/new", "--format", "excel"), "excel"),
        (("build", str(SAMPLE), "-o", "{tmp}/new", "--relations", "all"), "stated"),
        (("build", str(SAMPLE), "-o", "{tmp}/new", "--isa-order", "sideways"), "concept-first"),
        (("build", str(SAMPLE), "-o", "{tmp}/new", "--top-k", "0"), "--top-k must be"),
        (("build", str(SAMPLE), "-o", "{tmp}/new", "--load", "access"), "oxigraph"),
        (("load", "{kb}", "access"), "oxigraph"),
        (("distill", "{kb}", "--dry-run", "--model", "m", "--relations", "usedfr"), "Did you mean usedFor"),
        (("hypernyms", "{kb}", "--names", "one"), "--names"),
    ],
)
def test_incorrect_usage_is_one_line_with_exit_code_2(
    kb: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run(*(a.format(kb=kb, tmp=tmp_path) if "{kb}" in a or "{tmp}" in a else a for a in arguments))
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("mindkg: ") == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mindkg: ") and words in last


def test_a_reader_that_leaves_early_is_no_error(kb: Path) -> None:
    command = f"{' '.join(MINDKG)} query {kb} strongest-assertions -p limit=1000 --format csv | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1 and "Traceback" not in done.stderr


def test_no_colour_goes_into_a_pipe(kb: Path) -> None:
    for environment in ({}, {"NO_COLOR": "1"}):
        assert "\x1b" not in ok("query", kb, "relation-counts", **environment)


def test_help_has_examples_and_completion_is_there() -> None:
    shown = ok("build", "--help", TERMINAL_WIDTH="200", COLUMNS="200")
    assert "mindkg build answers.csv.gz -o kb" in shown
    assert "--install-completion" in ok("--help", COLUMNS="200")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("query {kb} top-h", ["top-hypernyms"]),
        ("query {kb} top-hypernyms -p ", ["relation=", "limit="]),
        ("query {kb} top-hypernyms -p relation=us", ["relation=usedFor"]),
        ("query {kb} concept-broader -p concept=clothi", ["concept=clothing"]),
        ("query {kb} top-hypernyms --engine o", ["oxigraph"]),
        ("query {kb} top-hypernyms --format j", ["json"]),
        ("info {kb} --table re", ["rejects"]),
        ("export {kb} --to tu", ["turtle"]),
        ("hypernyms {kb} --focus clothi", ["clothing"]),
        ("distill {kb} --relations usedFor,is", ["usedFor,isA"]),
        ("hypernyms {kb}/none --focus c", []),
    ],
)
def test_the_shell_completes_words(kb: Path, line: str, found: list[str]) -> None:
    words = f"mindkg {line.format(kb=kb)}"
    at = str(len(words.split(" ")) - 1)
    done = run(_MINDKG_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=at)
    assert done.stdout.split() == found and done.stderr == ""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["query", "{kb}", "concept-broader", "-p", "concept", "=", "baked"], ["baked\\ goods"]),
        (["query", "{kb}", "concept-broader", "-p", "concept", "=", '"bake'], ["baked goods"]),
        (["query", "{kb}", "top-hypernyms", "-p", "relation", "=", "us"], ["usedFor"]),
        (["hypernyms", "{kb}", "--focus", "=", "bake"], ["baked\\ goods"]),
        (["hypernyms", "{kb}", "--focus", "baked\\ g"], ["baked\\ goods"]),
    ],
)
def test_completions_fit_the_words_of_bash(kb: Path, words: list[str], found: list[str]) -> None:
    """Bash gives its words one per line, split at =, and puts what it gets in place of the last of them."""
    line = ["mindkg", *(word.format(kb=kb) for word in words)]
    done = run(_MINDKG_COMPLETE="complete_bash", COMP_WORDS="\n".join(line), COMP_CWORD=str(len(line) - 1))
    assert done.stdout.splitlines() == found and done.stderr == ""


def test_rejects_are_a_table_with_the_record_last(kb: Path) -> None:
    first = ok("info", kb, "--table", "rejects", "--limit", "3", COLUMNS="80").splitlines()[0]
    assert first.split() == ["stage", "reason", "detail", "text", "record"]


OPENING = "The potential co-buy intention could be"
TITLES = ["Acme Boot", "Acme Sock"]


def test_parse_answers_each_line_rejects_included(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"id": 1, "text": f"{OPENING} that they are both used for hiking.", "relation": "isA"},
        {"id": 2, "text": "   ", "relation": "isA"},
        {"id": 3, "verdict": "Yes. I would buy both."},
        {"id": 4, "text": "They are both used for hiking.", "relation": "likes"},
        {"id": 5, "relation": "isA"},
        {"id": 6, "text": f"{OPENING} that {TITLES[0]} and {TITLES[1]} are both made of wool.", "relation": "madeOf"},
    ]
    lines[-1]["titles"] = TITLES
    lines.append({"id": 7, "text": "They are both made of \ud800 wool.", "relation": "madeOf"})
    lines += [{**lines[0], "id": 8, "titles": 5}, {**lines[0], "id": 9, "titles": "hiking"}]
    file = tmp_path / "texts.jsonl.gz"
    file.write_bytes(gzip.compress(("\n".join(map(json.dumps, lines)) + "\n\nnot json\n").encode() + b'"\xff"'))
    done = run("parse", file, "--allow-rejects")
    assert done.stderr == "parse: 11 lines, 4 parsed, 7 rejected\n"
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == [*range(1, 10), None, None]
    hiking, empty, yes, unknown, lacking, titled, half, number, title, broken, foreign = rows
    assert (half["reason"], number["reason"], foreign["reason"]) == ("bad_encoding", "missing_field", "bad_encoding")
    assert title["status"] == "ok"
    assert (hiking["status"], hiking["relation"], hiking["stated"], hiking["tail"]) == (
        "ok",
        "usedFor",
        "retyped",
        "hiking",
    )
    assert lines[0]["text"][hiking["start"] : hiking["end"]] == "hiking"
    assert (empty["status"], empty["reason"]) == ("reject", "empty")
    assert yes["verdict"] == "yes"
    assert unknown["reason"] == "unknown_relation"
    assert lacking["reason"] == "missing_field"
    assert (titled["relation"], titled["tail"]) == ("madeOf", "wool")
    assert broken["reason"] == "bad_syntax"


def test_link_gives_the_mentions_of_each_text(tmp_path: Path) -> None:
    isa = tmp_path / "isa.tsv"
    isa.write_text("drink\tcoffee\t9\nplant\tcoffee\t1\nroom\tkitchen\t3\n")
    file = tmp_path / "texts.jsonl"
    bad = '{"id": "c"}\nno JSON\n{"id": "d", "text": "\\ud800"}\n'
    file.write_text(
        '{"id": "a", "text": "making coffee", "relation": "usedFor"}\n' + bad + '{"id": "b", "text": "zzz"}'
    )
    done = run("link", file, "--isa", isa, "--allow-rejects")
    assert done.stderr == "link: 5 lines, 2 linked, 3 rejected\n"
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == ["a", "c", None, "d", "b"]
    rejects = rows[1:4]
    assert [row["reason"] for row in rejects] == ["missing_field", "bad_syntax", "bad_encoding"]
    assert all(row["status"] == "reject" and row["detail"] for row in rejects)
    first = rows[0]["mentions"][0]
    assert (first["surface"], first["concept"], first["start"], first["end"], first["rank"]) == (
        "coffee",
        "drink",
        7,
        13,
        1,
    )
    assert first["typicality"] == pytest.approx(0.9)
    assert rows[-1]["mentions"] == []
    (tmp_path / "vague.txt").write_text("Drink\n")
    line = ok(
        "link", file, "--isa", isa, "--allow-rejects", "--top-k", 1, "--vague", tmp_path / "vague.txt"
    ).splitlines()[0]
    assert [m["concept"] for m in json.loads(line)["mentions"]] == ["plant"]


def test_clean_removes_what_no_version_names(kb: Path, tmp_path: Path) -> None:
    path = tmp_path / "kb"
    for k in (1, 2, 3):
        mindkg.build([SAMPLE], path, top_k=k)
    before = len(list(path.glob("tables/mentions/*")))
    done = run("clean", path)
    assert done.returncode == 0 and "removed" in done.stderr
    assert (before, len(list(path.glob("tables/mentions/*")))) == (3, 2)
    assert run("info", path).returncode == 0


def test_a_full_disk_is_one_line_and_leaves_the_old_kb(kb: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    limited = f"ulimit -f 20; exec {' '.join(MINDKG)} build {SAMPLE} -o {tmp_path / 'kb'}"
    done = subprocess.run(["bash", "-c", f"trap '' XFSZ; {limited}"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("mindkg: ")
    assert "Traceback" not in done.stderr
    assert run("info", tmp_path / "kb").returncode == 1
    assert run("build", SAMPLE, "-o", tmp_path / "kb").returncode == 0

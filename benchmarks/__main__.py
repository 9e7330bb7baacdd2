"""One command, one table: ``python -m benchmarks --fraction 0.02``; benchmarks/README.md says what the lines mean."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import queries
from benchmarks.generate import Inputs, inputs
from benchmarks.measure import Measured, run
from benchmarks.report import Line, faster, slower, table
from benchmarks.tasks import FILES, NT


@dataclass(frozen=True)
class Place:
    """Where one size is measured: its input, a KB built stage by stage, one built at once, and other files."""

    inputs: Inputs
    folder: Path

    @property
    def files(self) -> dict[str, Path]:
        return {"answers": self.inputs.answers, "isa": self.inputs.isa}

    @property
    def kb(self) -> Path:
        return self.folder / "kb"

    @property
    def env(self) -> dict[str, str]:
        """A cache of converted isA tables of its own, empty at first."""
        return {"MINDKG_CACHE": str(self.folder / "cache")}


def main() -> None:
    """Measure, print the table, and clean up all but the generated input."""
    options = _options()
    work = Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    place = _place(work, options.fraction, options.seed)
    half = _place(work, options.fraction / 2, options.seed)
    try:
        found = [*startup(), *stages(place), *engines(place), *whole(place, half)]
        asked = [] if options.no_queries else list(queries.answers(place.kb, options.timeout, _say))
    finally:
        for used in (place, half):
            shutil.rmtree(used.folder, ignore_errors=True)
    _say("")
    print(f"fraction {options.fraction:g} of MIND's size, {_machine()}\n")
    print(table(found))
    if asked:
        print(f"\n{table(asked)}")
    if options.json:
        figures = {"fraction": options.fraction, "lines": list(map(asdict, found)), "queries": list(map(asdict, asked))}
        Path(options.json).write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")


def startup() -> list[Line]:
    """Starting the program: the best of five."""
    _say("starting the program")
    imports = min(_seconds("-c", "import mindkg") for _ in range(5))
    empty = min(_seconds("-c", "pass") for _ in range(5))
    helped = min(_seconds("-m", "mindkg", "--help") for _ in range(5))
    return [
        Line("import mindkg", Measured(1, imports - empty), "import", "an empty program taken off", "", "< 0.3 s"),
        Line("mindkg --help", Measured(1, helped), "call", "", "", "< 0.6 s"),
    ]


def stages(place: Place) -> list[Line]:
    """The stages of the build, one after the other, each in a process of its own."""
    lines = []
    for name, unit in (("sources", "rows"), ("parse", "texts")):
        lines.append(Line(f"{name} stage", _run(place, "stage", name=name, kb=place.kb, **place.files), unit))
    parsed = _run(place, "parse_texts", kb=place.kb)
    lines.append(Line("parse texts alone", parsed, "texts", "", "", "40,000/s"))
    lines += linking(place)
    linked = _run(place, "stage", name="link", kb=place.kb, **place.files)
    lines.append(Line("link stage", linked, "intentions"))
    lines.append(Line("graph selection", _run(place, "graph", kb=place.kb), "rows"))
    return lines


def linking(place: Place) -> list[Line]:
    """The isA table converted, opened and linked with, beside a Python dictionary and DuckDB."""
    isa = _run(place, "isa", table=place.inputs.isa)
    dictionary = _run(place, "dictionary_isa", table=place.inputs.isa)
    summed = _run(place, "duckdb_isa", table=place.inputs.isa, work=place.folder)
    opened = _run(place, "isa_opened", table=place.inputs.isa)
    every = _run(place, "link_all", table=place.inputs.isa, answers=place.inputs.answers)
    joined = _run(place, "duckdb_join", work=place.folder, answers=place.inputs.answers)
    return [
        Line("isA conversion", isa, "lines", "a Python dictionary", faster(isa, dictionary), "60 s, 3 GB"),
        Line("  a Python dictionary, a slice", dictionary, "lines"),
        Line("  DuckDB, to Parquet", summed, "lines", "", "", ""),
        Line("isA table opened, one look-up", opened, "concepts", "", "", "0.1 s"),
        Line("linking all intentions", every, "intentions", "DuckDB", faster(every, joined), "90 s, 3 GB"),
        Line("  DuckDB, a join of the last words", joined, "intentions"),
    ]


def engines(place: Place) -> list[Line]:
    """The forms of the graph and the engines' stores, beside what the engines do alone."""
    written = _run(place, "ntriples", kb=place.kb, work=place.folder)
    rdflib = _run(place, "rdflib_alone", kb=place.kb, out=place.folder / "rdflib.nt")
    lines = [
        Line("N-Triples", written, "triples", "rdflib", faster(written, rdflib), "1,000,000/s, 1.5 GB"),
        Line("  rdflib, a slice", rdflib, "triples"),
        Line("Turtle", _run(place, "turtle", kb=place.kb, work=place.folder), "triples"),
    ]
    alone = {"oxigraph": _run(place, "oxigraph_alone", nt=place.folder / NT)}
    files = place.folder / FILES
    made = _run(place, "property_graph", kb=place.kb, files=files)
    alone["ladybug"] = _run(place, "ladybug_alone", files=files)
    lines.append(Line("property graph as Parquet", made, "rows"))
    for engine, unit in (("oxigraph", "triples"), ("ladybug", "rows")):
        loaded = _run(place, "load", kb=place.kb, engine=engine)
        # graph-counts counts nodes and assertions; the rate is that of the engine's own rows
        loaded = replace(loaded, rows=alone[engine].rows)
        ratio = slower(loaded, alone[engine])
        lines.append(Line(f"{engine} load", loaded, unit, "its bulk loader alone", ratio, "≤ 1.5 × its time"))
        lines.append(Line(f"  {engine} alone on ready files", alone[engine], unit))
    return lines


def whole(place: Place, half: Place) -> list[Line]:
    """The main job at once, again, and at half the size."""
    built = {}
    for size in (half, place):
        shutil.rmtree(size.folder / "cache", ignore_errors=True)
        built[size.folder] = _run(size, "build", kb=size.folder / "whole-kb", **size.files)
    again = _run(place, "build_again", kb=place.folder / "whole-kb", **place.files)
    small = _run(half, "ntriples", kb=half.folder / "whole-kb", work=half.folder)
    large = _run(place, "ntriples", kb=place.folder / "whole-kb", work=place.folder)
    first, second = built[half.folder], built[place.folder]
    memory = f"{large.peak / small.peak:.2f} × its memory" if small.peak and large.peak else ""
    return [
        Line("whole build: tables, N-Triples, both engines", second, "texts", "", "", "5 min, 4 GB"),
        Line("  the same at half the size", first, "texts"),
        Line("  twice the rows", second, "texts", "half the size", slower(second, first), "≤ 2.2 × its time"),
        Line("second build", again, "texts", "", again.note, "1 s"),
        Line("N-Triples at half the size", small, "triples"),
        Line("  twice the graph", large, "triples", "half the size", memory, "flat"),
    ]


def _run(place: Place, task: str, **arguments: Any) -> Measured:
    _say(f"{task} {arguments.get('name') or arguments.get('engine') or ''} ({place.folder.name})")
    return run(task, env=place.env, **arguments)


def _place(work: Path, fraction: float, seed: int) -> Place:
    _say(f"input of {fraction:g} of MIND's size")
    made = inputs(work, fraction, seed)
    if made.seconds > 1:
        _say(f"generated in {made.seconds:.0f} s: {made.size.texts:,} texts, {made.size.isa_rows:,} isA lines")
    folder = work / f"run-{fraction:g}-{os.getpid()}"
    folder.mkdir()
    return Place(made, folder)


def _seconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, Python {platform.python_version()}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--fraction", type=float, default=0.02, help="of MIND's full size (1 is all of it)")
    parser.add_argument(
        "--work", default=Path(tempfile.gettempdir()) / "mindkg-benchmarks", help="folder for the files"
    )
    parser.add_argument("--seed", type=int, default=0, help="other numbers give other input")
    parser.add_argument("--timeout", type=float, default=60, help="seconds that one catalogue query may take")
    parser.add_argument("--no-queries", action="store_true", help="leave the catalogue out")
    parser.add_argument("--json", help="write the figures to this file too")
    return parser.parse_args()


if __name__ == "__main__":
    main()

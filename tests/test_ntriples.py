"""Tables to N-Triples: every string survives, and what is counted is what is there."""

from __future__ import annotations

import gzip
from pathlib import Path

from graph_maker import make_graph

from mindkg.graph.ntriples import write_ntriples


def test_what_is_counted_is_what_is_written(tmp_path: Path) -> None:
    import pyoxigraph

    folder = make_graph(tmp_path / "graph", seed=3)
    triples = write_ntriples(folder, tmp_path / "graph.nt")
    parsed = set(pyoxigraph.parse(path=str(tmp_path / "graph.nt"), format=pyoxigraph.RdfFormat.N_TRIPLES))
    assert triples == len(parsed)


def test_a_gz_path_is_gzipped(tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=3)
    write_ntriples(folder, tmp_path / "graph.nt")
    write_ntriples(folder, tmp_path / "graph.nt.gz")
    assert gzip.decompress((tmp_path / "graph.nt.gz").read_bytes()) == (tmp_path / "graph.nt").read_bytes()

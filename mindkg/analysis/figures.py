"""Figures and tables of the report and their files: SVG and PNG from one chart, CSV and Parquet from its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from mindkg.analysis.plots import Chart, altair, specification

NO_VAGUE: Final = "Vague concepts are left out of the picture"
"""What a figure without them says."""


@dataclass(frozen=True)
class Figure:
    """A chart, what it says, and the rows that it shows, by the name of their files."""

    name: str
    title: str
    says: str
    chart: Chart
    data: Mapping[str, pa.Table]


@dataclass(frozen=True)
class Listing:
    """A table, of which the page shows the first ``shown`` rows in ``columns`` (all of them where it is empty)."""

    name: str
    title: str
    says: str
    rows: pa.Table
    columns: tuple[str, ...] = ()
    shown: int = 15


@dataclass
class Section:
    """A part of the report: lines of text, figures and tables."""

    title: str
    lines: list[str] = field(default_factory=list)
    items: list[Figure | Listing] = field(default_factory=list)


def write_figure(figure: Figure, folder: Path) -> str:
    """Write ``figure`` as SVG and PNG under ``folder`` / figures and its rows under data; return the SVG."""
    import vl_convert

    version = ".".join(altair().SCHEMA_VERSION.split(".")[:2])
    svg: str = vl_convert.vegalite_to_svg(specification(figure.chart), vl_version=version, allowed_base_urls=[])
    place = folder / "figures"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{figure.name}.svg").write_text(svg, "utf-8")
    (place / f"{figure.name}.png").write_bytes(vl_convert.svg_to_png(svg, scale=2))
    for name, rows in figure.data.items():
        write_rows(rows, name, folder)
    return svg


def write_rows(rows: pa.Table, name: str, folder: Path) -> None:
    """Write ``rows`` as Parquet and CSV (lists as JSON) under ``folder`` / data."""
    place = folder / "data"
    place.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, place / f"{name}.parquet", write_page_checksum=True)
    csv.write_csv(_flat(rows), place / f"{name}.csv")


def _flat(rows: pa.Table) -> pa.Table:
    for n, column in enumerate(rows.schema):
        if pa.types.is_list(column.type):
            texts = [json.dumps(value, ensure_ascii=False) for value in rows[column.name].to_pylist()]
            rows = rows.set_column(n, column.name, pa.array(texts, pa.string()))
    return rows


def rows_of(table: pa.Table, column: str, names: Sequence[str]) -> pa.Table:
    """Return the rows of ``table`` whose ``column`` is one of ``names``."""
    return table.filter(pc.is_in(table[column], pa.array(names, pa.string())))

"""The pages of the report, which load nothing: figures as inline SVG, tables cut to what a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup, escape

from mindkg.analysis.figures import Figure, Listing, Section
from mindkg.analysis.plots import Chart, altair, specification
from mindkg.pages import part, render

_TAG: Final = re.compile(r'<[^<>"]*(?:"[^"]*"[^<>"]*)*>')
_REFERENCE: Final = re.compile(r'(\sid="|\s[\w:-]+="url\(#|\s(?:xlink:)?href="#)')


def page(title: str, lines: Sequence[str], sections: Iterable[Section], drawn: Mapping[str, str]) -> str:
    """Return the page; ``drawn`` has the SVG of each figure by its name."""
    shown = [
        {
            "title": section.title,
            "lines": section.lines,
            "items": [
                _figure(item, drawn[item.name]) if isinstance(item, Figure) else _listing(item)
                for item in section.items
            ],
        }
        for section in sections
    ]
    return render("report.html", style=part("report.css"), title=title, lines=lines, sections=shown)


def chart_page(title: str, chart: Chart) -> str:
    """Return a page on which ``chart`` can be moved, zoomed and searched."""
    import vl_convert

    version = ".".join(altair().SCHEMA_VERSION.split(".")[:2])
    script = vl_convert.javascript_bundle(part("hypernyms.js"), vl_version=version)
    spec = specification(chart)
    return render("hypernyms.html", style=part("hypernyms.css"), scripts=[script], title=title, spec=spec)


def _figure(figure: Figure, svg: str) -> dict[str, Any]:
    files = ", ".join(f"data/{name}.csv" for name in figure.data)
    return {"title": figure.title, "svg": _embedded(svg, figure), "says": figure.says, "files": files}


def _embedded(svg: str, figure: Figure) -> Markup:
    """Return ``svg`` for a page that has others too: its ids begin with the figure's name, and it has a title."""
    own = _TAG.sub(lambda tag: _REFERENCE.sub(rf"\g<1>{figure.name}-", tag[0]), svg)
    return Markup(own.replace("<svg ", f'<svg role="img" aria-label="{escape(figure.title)}" ', 1))


def _listing(listing: Listing) -> dict[str, Any]:
    names = listing.columns or tuple(listing.rows.column_names)
    rows = listing.rows.select(list(names)).slice(0, listing.shown).to_pylist()
    more = f"{len(rows):,} of {len(listing.rows):,} rows; " if len(rows) < len(listing.rows) else ""
    return {
        "title": listing.title,
        "head": [name.replace("_", " ") for name in names],
        "rows": [[_cell(row[name]) for name in names] for row in rows],
        "says": listing.says,
        "files": f"{more}data/{listing.name}.csv",
    }


def _cell(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"text": "yes" if value else ""}
    if isinstance(value, int | float):
        return {"text": f"{value:,}" if isinstance(value, int) else f"{value:.4g}", "number": True}
    if isinstance(value, list):
        return {"text": ", ".join(map(str, value))}
    return {"text": "" if value is None else str(value)}

"""The report as one HTML page that loads nothing: figures as inline SVG, tables cut to what a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from mindkg.analysis.figures import Figure, Listing, Section

_STYLE: Final = """
body { font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #111; }
h2 { margin-top: 3rem; border-bottom: 1px solid #999; }
figure { margin: 1.5rem 0 2.5rem; overflow-x: auto; }
svg { max-width: none; }
figcaption, .says { color: #333; font-size: 0.9rem; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { padding: 0.15rem 0.7rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.notes li { margin: 0.2rem 0; }
"""


def page(title: str, lines: Sequence[str], sections: Iterable[Section], drawn: Mapping[str, str]) -> str:
    """Return the page; ``drawn`` has the SVG of each figure by its name."""
    body = [f"<h1>{escape(title)}</h1>", _list(lines)]
    numbered = list(enumerate(sections, 1))
    contents = "".join(f'<li><a href="#section-{n}">{escape(section.title)}</a></li>' for n, section in numbered)
    body.append(f"<nav><ul>{contents}</ul></nav>")
    for n, section in numbered:
        body.append(f'<h2 id="section-{n}">{escape(section.title)}</h2>')
        body.append(_list(section.lines))
        body += [
            _figure(item, drawn[item.name]) if isinstance(item, Figure) else _listing(item) for item in section.items
        ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return "\n".join(["<!DOCTYPE html>", f'<html lang="en"><head>{head}</head><body>', *body, "</body></html>", ""])


def _list(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _figure(figure: Figure, svg: str) -> str:
    data = ", ".join(f"data/{name}.csv" for name in figure.data)
    says = f"{escape(figure.says)} <small>({escape(data)})</small>"
    return f"<h3>{escape(figure.title)}</h3>\n<figure>{_embedded(svg, figure)}<figcaption>{says}</figcaption></figure>"


def _embedded(svg: str, figure: Figure) -> str:
    """Return ``svg`` for a page that has others too: its ids begin with the figure's name, and it has a title."""
    own = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{figure.name}-", svg)
    return own.replace("<svg ", f'<svg role="img" aria-label="{escape(figure.title)}" ', 1)


def _listing(listing: Listing) -> str:
    names = listing.columns or tuple(listing.rows.column_names)
    rows = listing.rows.select(list(names)).slice(0, listing.shown).to_pylist()
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)
    body = "\n".join("<tr>" + "".join(_cell(row[name]) for name in names) + "</tr>" for row in rows)
    more = f"{len(rows):,} of {len(listing.rows):,} rows; " if len(rows) < len(listing.rows) else ""
    says = f"{escape(listing.says)} <small>({more}data/{escape(listing.name)}.csv)</small>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    return f'<h3>{escape(listing.title)}</h3>\n{table}\n<p class="says">{says}</p>'


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "<td>yes</td>" if value else "<td></td>"
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    if isinstance(value, float):
        return f'<td class="number">{value:.4g}</td>'
    if isinstance(value, list):
        return "<td>" + escape(", ".join(map(str, value))) + "</td>"
    return "<td></td>" if value is None else f"<td>{escape(str(value))}</td>"

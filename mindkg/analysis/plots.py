"""The figures of the report as Altair charts; each reads in black and white too: order, shape and dash say it again.

Every function takes Arrow tables of this package and returns a chart over exactly those rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis.comparison import MEASURES
from mindkg.analysis.distribution import AFTER, ALL, BEFORE
from mindkg.errors import InputError
from mindkg.xml_text import xml_values

Chart = Any
"""An Altair chart; altair is an extra and is imported when a figure is made."""

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, told apart by most people with colour-blindness."""

SIGNIFICANT: Final = 0.05
"""A difference whose corrected probability is below this is marked with a star."""

COMPARED: Final = pa.schema(
    [
        ("measure", pa.string()),
        ("relation", pa.string()),
        ("KB", pa.string()),
        ("n", pa.int64()),
        ("mean", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)
_WIDTH: Final = 460
_DASHES: Final = ([1, 0], [6, 3])
_SIDES: Final = {"lost": 0, "gained": 1, "both": 2}


def altair() -> Any:
    """Return the module altair, set up for figures that are files; raises InputError where it or vl-convert lacks."""
    try:
        import altair
        import vl_convert  # noqa: F401 - what turns its charts into SVG and PNG
    except ImportError as error:
        hint = 'Install it with: pip install "mindkg[plot]"'
        raise InputError(f"figures need {error.name}", hint=hint) from None
    return altair


def specification(chart: Chart) -> dict[str, Any]:
    """Return ``chart`` as a Vega-Lite specification, with U+FFFD for what SVG, which is XML, cannot hold.

    vl-convert aborts the process for such a character in a title, a label or a row.
    """
    found: dict[str, Any] = xml_values(chart.to_dict())
    return found


def chart_data(table: pa.Table) -> Any:
    """Return the rows of ``table`` as the data of a chart."""
    return altair().Data(values=table.to_pylist())


def before_after(table: pa.Table, label: str, value: str, title: str, order: Sequence[str]) -> Chart:
    """Return a bar before the filter and a diamond after it for each ``label`` in ``order``.

    ``value`` is the column of the length and ``title`` what it means; shares are written as percentages.
    """
    alt = altair()
    form = {"format": "%", "tickCount": 6} if value == "share" else {"format": "~s", "tickMinStep": 1}
    base = alt.Chart(chart_data(table)).encode(
        y=alt.Y(f"{label}:N", sort=list(order), title=None, axis=alt.Axis(labelLimit=220)),
        x=alt.X(f"{value}:Q", title=title, axis=alt.Axis(**form)),
    )
    names = pc.unique(table["group"]).to_pylist()
    domain = [name for name in (BEFORE, AFTER) if name in names]
    scale = alt.Scale(domain=domain, range=[{BEFORE: "#9ECAE1", AFTER: COLOURS[1]}[name] for name in domain])
    before = base.transform_filter(alt.datum.group == BEFORE).mark_bar(height=11)
    after = base.transform_filter(alt.datum.group == AFTER).mark_point(filled=True, size=50, shape="diamond", opacity=1)
    # the symbols of the legend are those of the chart: a square for the bar, a diamond for the point
    shape = alt.Shape("group:N", scale=alt.Scale(domain=domain, range=_shapes(domain)), title=None)
    colour = alt.Color("group:N", scale=scale, title=None, legend=alt.Legend(orient="top"))
    layers = before.encode(color=colour) + after.encode(color=colour, shape=shape)
    return layers.properties(width=_WIDTH, height=alt.Step(16))


def _shapes(domain: Sequence[str]) -> list[str]:
    return [{BEFORE: "square", AFTER: "diamond"}[name] for name in domain]


def coverage_curve(curve: pa.Table) -> Chart:
    """Return the share of assertions that have one of the n most frequent concepts, over n.

    Where a group has one concept only, points mark the lines, for a line of one point is none.
    """
    alt = altair()
    single = min(Counter(curve["group"].to_pylist()).values()) == 1
    group = {"title": None, "legend": alt.Legend(orient="top", symbolSize=60 if single else 400)}
    domain = [name for name in (BEFORE, AFTER, ALL) if name in pc.unique(curve["group"]).to_pylist()]
    return (
        alt.Chart(chart_data(curve))
        .mark_line(strokeWidth=2, point=single)
        .encode(
            x=alt.X("concepts:Q", scale=alt.Scale(type="log", nice=False), title="most frequent concepts taken",
                    axis=alt.Axis(format="~s", tickCount=6)),
            y=alt.Y("share:Q", scale=alt.Scale(domain=[0, 1]), title="assertions covered", axis=alt.Axis(format="%")),
            color=alt.Color("group:N", scale=alt.Scale(domain=domain, range=list(COLOURS[:2])), **group),
            strokeDash=alt.StrokeDash("group:N", scale=alt.Scale(domain=domain, range=list(_DASHES)), **group),
        )
        .properties(width=_WIDTH, height=260)
    )  # fmt: skip


def evenness(spread: pa.Table) -> Chart:
    """Return two points for each group: how unequal its concepts are (Gini), and their entropy in bits."""
    alt = altair()
    order = spread.sort_by([("gini", "descending"), ("group", "ascending")])["group"].to_pylist()
    base = alt.Chart(chart_data(spread)).properties(width=_WIDTH // 2 - 10, height=alt.Step(16))
    panels = [
        base.mark_point(filled=True, size=60, color=colour, shape=shape, opacity=1).encode(
            x=alt.X(f"{column}:Q", title=title, scale=alt.Scale(domainMin=0), axis=alt.Axis(tickCount=5)),
            y=alt.Y("group:N", sort=order, title=None, axis=alt.Axis(labels=first, ticks=first, grid=True,
                                                                     labelLimit=220)),
        )
        for column, title, colour, shape, first in (
            ("gini", "Gini coefficient", COLOURS[0], "circle", True),
            ("entropy", "entropy (bits)", COLOURS[1], "square", False),
        )
    ]  # fmt: skip
    return alt.hconcat(*panels, spacing=12)


def heat(table: pa.Table, concepts: Sequence[str], groups: Sequence[str]) -> Chart:
    """Return ``groups`` against ``concepts``, darker where more of the group's assertions have the concept."""
    alt = altair()
    colour = alt.Color(
        "share:Q",
        scale=alt.Scale(type="sqrt", range=["#eeeeee", "#000000"]),
        title="share",
        legend=alt.Legend(format="%", gradientLength=110),
    )
    return (
        alt.Chart(chart_data(table))
        .mark_rect()
        .encode(
            x=alt.X("concept:N", sort=list(concepts), title=None, axis=alt.Axis(labelAngle=-50, labelLimit=160)),
            y=alt.Y("group:N", sort=list(groups), title=None, axis=alt.Axis(labelLimit=220)),
            color=colour,
        )
        .properties(width=alt.Step(20), height=alt.Step(18))
    )


def compared(comparison: pa.Table, names: tuple[str, str]) -> pa.Table:
    """Return the measures of a comparison that both KBs have values of, a row for each KB: ``COMPARED``.

    A star stands behind a relation where the corrected probability of its difference is below ``SIGNIFICANT``.
    """
    tested = comparison.filter(pc.is_valid(comparison["p"]))
    both = comparison.filter(pc.is_in(comparison["measure"], pc.unique(tested["measure"])))
    rows = [
        {"measure": row["measure"], "relation": _starred(row), "KB": name,
         **{column: row[f"{column}_{side}"] for column in ("n", "mean", "low", "high")}}
        for row in both.to_pylist() for side, name in zip("ab", names, strict=True) if row[f"n_{side}"]
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=COMPARED)


def _starred(row: dict[str, Any]) -> str:
    p = row["p_corrected"]
    return f"{row['relation']} *" if p is not None and p < SIGNIFICANT else str(row["relation"])


def relation_comparison(rows: pa.Table, names: tuple[str, str]) -> Chart:
    """Return each relation's measures in two KBs (``compared``), points with their confidence intervals."""
    alt = altair()
    relations = sorted(pc.unique(rows["relation"]).to_pylist(), key=lambda r: (r.rstrip(" *") != ALL, r))
    domain, told = list(names), {"title": None, "legend": alt.Legend(orient="top")}
    base = alt.Chart().encode(
        y=alt.Y("relation:N", title=None, sort=relations),
        yOffset=alt.YOffset("KB:N", sort=domain),
        color=alt.Color("KB:N", scale=alt.Scale(domain=domain, range=list(COLOURS[:2])), **told),
    )
    shape = alt.Shape("KB:N", scale=alt.Scale(domain=domain, range=["circle", "triangle-up"]), **told)
    ranges = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("low:Q", title=None, scale=alt.Scale(zero=False, nice=True)), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=45, opacity=1).encode(x=alt.X("mean:Q", title=None), shape=shape)
    both = alt.layer(ranges, points, data=chart_data(rows)).properties(width=230, height=alt.Step(9))
    present = [name for name in MEASURES if name in pc.unique(rows["measure"]).to_pylist()]
    facets = both.facet(alt.Facet("measure:N", title=None, sort=present), columns=2)
    return facets.resolve_scale(x="independent", y="independent")


def concept_change(changes: pa.Table, names: tuple[str, str]) -> Chart:
    """Return how many points of share each concept has more in the second KB (right) or the first one (left)."""
    alt = altair()
    told = [f"only in {names[0]}", f"only in {names[1]}", "in both"]
    kinds = [told[_SIDES[change]] for change in changes["change"].to_pylist()]
    rows = changes.set_column(changes.column_names.index("change"), "change", pa.array(kinds, pa.string()))
    order = rows.sort_by([("difference", "descending"), ("concept", "ascending")])["concept"].to_pylist()
    colour = alt.Scale(domain=told, range=[COLOURS[0], COLOURS[4], "#bbbbbb"])
    return (
        alt.Chart(chart_data(rows))
        .mark_bar(height=10, stroke="black", strokeWidth=0.5)
        .encode(
            y=alt.Y("concept:N", sort=order, title=None, axis=alt.Axis(labelLimit=220)),
            x=alt.X("difference:Q", title=f"share in {names[1]} less share in {names[0]}", axis=alt.Axis(format="+%")),
            color=alt.Color("change:N", title=None, scale=colour, legend=alt.Legend(orient="top")),
        )
        .properties(width=_WIDTH, height=alt.Step(15))
    )

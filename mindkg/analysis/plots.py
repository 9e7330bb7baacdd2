"""The figures of the report as Altair charts; each reads in black and white too: order, shape and dash say it again.

Every function takes an Arrow table of this package and returns a chart over exactly those rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from mindkg.analysis.comparison import MEASURES
from mindkg.analysis.distribution import AFTER, BEFORE
from mindkg.errors import InputError

if TYPE_CHECKING:
    import altair

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito's palette, told apart by most people with colour-blindness."""

_WIDTH: Final = 460


def _altair() -> Any:
    try:
        import altair
    except ImportError:
        raise InputError("figures need altair", hint='Install it with: pip install "mindkg[plot]"') from None
    return altair


def _data(table: pa.Table) -> Any:
    return _altair().Data(values=table.to_pylist())


def top_concepts(distribution: pa.Table) -> altair.LayerChart:
    """Return bars of the share of assertions that have each concept, before and after the filter."""
    alt = _altair()
    order = alt.EncodingSortField("share", op="max", order="descending")
    domain = [BEFORE, AFTER]
    base = alt.Chart(_data(distribution)).encode(
        y=alt.Y("concept:N", sort=order, title=None, axis=alt.Axis(labelLimit=220)),
        x=alt.X("share:Q", title="share of assertions", axis=alt.Axis(format="%")),
    )
    before = base.transform_filter(alt.datum.group == BEFORE).mark_bar(height=11, fillOpacity=0.35)
    after = base.transform_filter(alt.datum.group == AFTER).mark_point(filled=True, size=45, shape="diamond")
    scale = alt.Scale(domain=domain, range=[COLOURS[0], COLOURS[1]])
    colour = alt.Color("group:N", scale=scale, title=None, legend=alt.Legend(orient="top"))
    return (before.encode(color=colour) + after.encode(color=colour)).properties(width=_WIDTH, height=alt.Step(16))


def coverage_curve(curve: pa.Table) -> altair.Chart:
    """Return the share of assertions that have one of the n most frequent concepts, over n."""
    alt = _altair()
    group = {"title": None, "legend": alt.Legend(orient="top")}
    return (
        alt.Chart(_data(curve))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("concepts:Q", scale=alt.Scale(type="log"), title="most frequent concepts taken"),
            y=alt.Y("share:Q", scale=alt.Scale(domain=[0, 1]), title="assertions covered", axis=alt.Axis(format="%")),
            color=alt.Color("group:N", scale=alt.Scale(range=list(COLOURS)), **group),
            strokeDash=alt.StrokeDash("group:N", **group),
        )
        .properties(width=_WIDTH, height=260)
    )


def evenness(spread: pa.Table) -> altair.Chart:
    """Return a point for each group: how unequal its concepts are (Gini), with the entropy as text."""
    alt = _altair()
    base = alt.Chart(_data(spread)).encode(
        y=alt.Y("group:N", sort=alt.EncodingSortField("gini", order="descending"), title=None,
                axis=alt.Axis(labelLimit=220)),
        x=alt.X("gini:Q", scale=alt.Scale(domain=[0, 1]), title="Gini coefficient (entropy in bits beside)"),
    )  # fmt: skip
    text = base.mark_text(align="left", dx=9, fontSize=10).encode(text=alt.Text("entropy:Q", format=".1f"))
    points = base.mark_point(filled=True, size=60, color=COLOURS[0])
    return (points + text).properties(width=_WIDTH, height=alt.Step(16))


def concept_heat(distribution: pa.Table) -> altair.Chart:
    """Return groups against concepts, darker where more of the group's assertions have the concept."""
    alt = _altair()
    order = alt.EncodingSortField("assertions", op="sum", order="descending")
    return (
        alt.Chart(_data(distribution))
        .mark_rect()
        .encode(
            x=alt.X("concept:N", sort=order, title=None, axis=alt.Axis(labelAngle=-50, labelLimit=140)),
            y=alt.Y("group:N", sort=order, title=None, axis=alt.Axis(labelLimit=220)),
            color=alt.Color("share:Q", scale=alt.Scale(scheme="greys"), title="share", legend=alt.Legend(format="%")),
        )
        .properties(width=alt.Step(19), height=alt.Step(17))
    )


def relation_comparison(comparison: pa.Table, names: tuple[str, str]) -> altair.FacetChart:
    """Return each relation's measures in two KBs, points with their confidence intervals."""
    alt = _altair()
    rows = [
        {"measure": r["measure"], "relation": r["relation"], "KB": name, "mean": r[f"mean_{side}"],
         "low": r[f"low_{side}"], "high": r[f"high_{side}"]}
        for r in comparison.to_pylist() for side, name in zip("ab", names, strict=True) if r[f"n_{side}"]
    ]  # fmt: skip
    base = alt.Chart().encode(
        y=alt.Y("relation:N", title=None),
        yOffset=alt.YOffset("KB:N", sort=list(names)),
        color=alt.Color("KB:N", scale=alt.Scale(domain=list(names), range=list(COLOURS[:2])), title=None),
    )
    shape = alt.Shape("KB:N", scale=alt.Scale(domain=list(names), range=["circle", "triangle-up"]), title=None)
    ranges = base.mark_rule().encode(x=alt.X("low:Q", title=None), x2="high:Q")
    points = base.mark_point(filled=True, size=40).encode(x=alt.X("mean:Q", title=None), shape=shape)
    both = alt.layer(ranges, points, data=alt.Data(values=rows)).properties(width=240, height=alt.Step(9))
    return both.facet(alt.Facet("measure:N", title=None, sort=list(MEASURES)), columns=2).resolve_scale(y="independent")


def concept_change(changes: pa.Table, names: tuple[str, str]) -> altair.Chart:
    """Return how many points of share each concept has more in the second KB (right) or the first one (left)."""
    alt = _altair()
    return (
        alt.Chart(_data(changes))
        .mark_bar(height=10)
        .encode(
            y=alt.Y("concept:N", sort=alt.EncodingSortField("difference", order="descending"), title=None,
                    axis=alt.Axis(labelLimit=220)),
            x=alt.X("difference:Q", title=f"share in {names[1]} less share in {names[0]}", axis=alt.Axis(format="+%")),
            color=alt.condition("datum.difference > 0", alt.value(COLOURS[1]), alt.value(COLOURS[0])),
        )
        .properties(width=_WIDTH, height=alt.Step(14))
    )  # fmt: skip

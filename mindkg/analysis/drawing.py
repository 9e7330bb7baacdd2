"""Pictures of the hypernym graph as charts; colour, shape and size say what a point is, in black and white too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis.pictures import LETTER, OTHER_WAY, REST, ROW, STRONGEST, labelled
from mindkg.analysis.plots import COLOURS, Chart, altair, chart_data

_MARGIN: Final = 1.2
"""Room for the labels of the outermost ring."""

_FEW: Final = 6
"""Assertions below which the legend of sizes names each number."""

_SHAPES: Final = ("square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")


def draw_tree(points: pa.Table, lines: pa.Table, order: Sequence[str]) -> Chart:
    """Return the chart of a picture from left to right, each label behind its point and no line through a label.

    ``order`` names the kinds of points from the first colour and shape to the last; ``REST`` among them is grey.
    """
    alt = altair()
    ends = {row["concept"]: row["x"] + LETTER * len(row["concept"]) + 14 for row in points.to_pylist()}
    rules = [part for row in lines.to_pylist() for part in _clear(row, points, ends)]
    x = alt.Scale(domain=[min(points["x"].to_pylist()) - 12, max(ends.values()) + 10], nice=False, zero=False)
    ys = points["y"].to_pylist()
    y = alt.Scale(domain=[max(ys) + ROW, min(ys) - ROW], nice=False, zero=False)
    size = {"width": x.domain[1] - x.domain[0], "height": y.domain[0] - y.domain[1]}
    ends_of = {"x": alt.X("x:Q", scale=x, axis=None), "y": alt.Y("y:Q", scale=y, axis=None)}
    base = alt.Chart(chart_data(points)).encode(**ends_of)
    drawn = alt.Chart(alt.Data(values=rules)).mark_rule().encode(**ends_of, x2="x2:Q", y2="y2:Q", **_ways(alt, lines))
    halo = base.mark_text(align="left", dx=9, fontSize=11, stroke="white", strokeWidth=3).encode(text="concept:N")
    text = base.mark_text(align="left", dx=9, fontSize=11).encode(text="concept:N")
    chart = drawn + _points(alt, base, order, points) + halo + text
    return chart.properties(**size).configure_view(stroke=None)


def draw_rings(points: pa.Table, lines: pa.Table, order: Sequence[str], *, size: int = 900) -> Chart:
    """Return the chart of a picture on rings that can be moved, zoomed and searched in a browser.

    Labels that fit are drawn, and those that a search finds; every point has a tooltip.
    """
    alt = altair()
    reach = _MARGIN * max(map(abs, [*points["x"].to_pylist(), *points["y"].to_pylist()]))
    scale = alt.Scale(domain=[-reach, reach], nice=False, zero=False)
    place = {"x": alt.X("x:Q", axis=None, scale=scale), "y": alt.Y("y:Q", axis=None, scale=scale)}
    find = alt.param(name="find", value="", bind=alt.binding(input="search", name="Find a concept: "))
    found = "find != '' && indexof(datum.concept, lower(find)) >= 0"
    names = set(labelled(points, size / _MARGIN))
    fits = pa.array([concept in names for concept in points["concept"].to_pylist()])
    base = alt.Chart(chart_data(points.append_column("fits", fits))).encode(**place)
    rules = (
        alt.Chart(chart_data(lines)).mark_rule(opacity=0.4).encode(**place, x2="x2:Q", y2="y2:Q", **_ways(alt, lines))
    )
    named = base.transform_filter(f"datum.fits || ({found})")
    style = {"align": "left", "dx": 7, "fontSize": 11}
    halo = named.mark_text(**style, stroke="white", strokeWidth=3).encode(text="concept:N")
    text = named.mark_text(**style).encode(
        text="concept:N", color=alt.condition(found, alt.value("#cc0000"), alt.value("black"))
    )
    moved = alt.selection_interval(bind="scales")
    dots = _points(alt, base, order, points).add_params(moved, find)
    return (rules + dots + halo + text).properties(width=size, height=size).configure_view(stroke=None)


def _clear(row: dict[str, Any], points: pa.Table, ends: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return a line that begins behind the label of its left concept and ends at the point of its right one.

    Between concepts of one column it is a bracket of three lines, behind the labels that stand between them.
    """
    if row["x"] == row["x2"]:
        low, high = sorted((row["y"], row["y2"]))
        passed = [p["concept"] for p in points.to_pylist() if p["x"] == row["x"] and low <= p["y"] <= high]
        far = max(ends[concept] for concept in passed) + 6
        arms = [{**row, "x": ends[row[end]], "x2": far, "y": row[y], "y2": row[y]} for end, y in _ENDS]
        return [*arms, {**row, "x": far, "x2": far}]
    left, right = ("", "2") if row["x"] < row["x2"] else ("2", "")
    name = row["narrower"] if left == "" else row["broader"]
    return [{**row, f"x{left}": ends[name], f"x{right}": row[f"x{right}"] - 6}]


_ENDS: Final = (("narrower", "y"), ("broader", "y2"))


def _ways(alt: Any, lines: pa.Table) -> dict[str, Any]:
    """Return how lines tell their kind, with a legend where there are both."""
    domain = [STRONGEST, OTHER_WAY]
    both = OTHER_WAY in lines["kind"].to_pylist()
    told = {"title": "hypernym", "legend": alt.Legend(symbolSize=500) if both else None}
    colour = alt.Scale(domain=domain, range=["#666666", "#b5b5b5"])
    return {
        "strokeDash": alt.StrokeDash("kind:N", scale=alt.Scale(domain=domain, range=[[1, 0], [2, 3]]), **told),
        "stroke": alt.Stroke("kind:N", scale=colour, **told),
    }


def _points(alt: Any, base: Any, order: Sequence[str], points: pa.Table) -> Any:
    """Return points whose colour and shape tell their kind and whose size their assertions."""
    own = [kind for kind in order if kind != REST]
    domain = [*own, *(kind for kind in order if kind == REST)]
    grey = len(domain) - len(own)
    ranges = {"color": [*COLOURS[: len(own)], *["#a0a0a0"] * grey], "shape": [*_SHAPES[: len(own)], *["circle"] * grey]}
    told = {
        channel: getattr(alt, channel.title())("kind:N", title=None, scale=alt.Scale(domain=domain, range=list(found)))
        for channel, found in ranges.items()
    }
    most = pc.max(points["assertions"]).as_py()
    # a scale of a few assertions would have halves of them in its legend
    legend = alt.Legend(values=list(range(most + 1))) if most < _FEW else alt.Legend()
    area = alt.Size("assertions:Q", scale=alt.Scale(type="sqrt", range=[25, 260]), title="assertions", legend=legend)
    tips = ["concept:N", "assertions:Q", "kind:N"]
    return base.mark_point(filled=True, opacity=1).encode(size=area, tooltip=tips, **told)

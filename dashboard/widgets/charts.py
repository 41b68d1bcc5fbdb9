"""Draws rows as Plotly figures: pure functions from rows to a figure's dictionary, with words already chosen.

What can be opened carries the name of its cases as `customdata`; a press on it comes back with the selection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import floor
from typing import Any

from dashboard.markup import markup

Figure = dict[str, Any]

ACT, DATA, DIM, LINE = "#1b4f8f", "#3d6c96", "#b9cad9", "#d9dfe4"
INK, INK_2, INK_3, RED = "#14191e", "#44515c", "#5c6a76", "#c4291f"
FONT = "Source Han Sans SC, Noto Sans CJK SC, PingFang SC, Microsoft YaHei, sans-serif"
LEAST_SPAN = 10  # points that the axis of a waterfall spans
# Worse is darker on paper; no red, yellow or green, which belong to the clocks.
RAMP = ((0.0, "#eaeef1"), (0.25, "#c9d6e1"), (0.5, "#9bb4ca"), (0.75, "#6389ac"), (1.0, "#2f5a82"))


@dataclass(frozen=True, slots=True)
class Day:
    """Hold one day of a trend: rates from 0 to 1, None for no data; `usual` is the range that is common.

    `label` is written beside the day's point.
    """

    day: date
    value: float | None
    year_ago: float | None
    usual: tuple[float, float] | None
    hover: str
    cases: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """Hold what one part of a score lost, in points."""

    key: str
    name: str
    points: float
    hover: str
    chosen: bool = False


def trend(days: Sequence[Day], words: Mapping[str, str], height: int = 212) -> Figure:
    """Return rates by day over the range that is common on each weekday, and last year's dashed beside them.

    Lines are named at their ends, a day of `Day.label` at its point. The axis of rates does not begin at 0: points
    and lines, never bars.
    """
    at = [each.day.isoformat() for each in days]
    data: list[Figure] = []
    for run in _runs([each.usual is not None for each in days]):
        part = [days[n] for n in run]
        x = [each.day.isoformat() for each in part]
        low, high = ([each.usual[n] for each in part if each.usual is not None] for n in (0, 1))
        data.append(
            {
                "type": "scatter", "x": [*x, *reversed(x)], "y": [*high, *reversed(low)], "fill": "toself",
                "fillcolor": "rgba(185,202,217,.45)", "line": {"width": 0}, "hoverinfo": "skip",
                "mode": "lines",
            }
        )  # fmt: skip
    if any(each.year_ago is not None for each in days):
        data.append(
            {
                "type": "scatter", "x": at, "y": [each.year_ago for each in days], "mode": "lines",
                "line": {"color": INK_3, "width": 1.3, "dash": "dash"}, "hoverinfo": "skip",
            }
        )  # fmt: skip
    below = [
        each.value is not None and each.usual is not None and each.value < each.usual[0] for each in days
    ]
    # A day that is named has a ring of its own, so that its name has something to stand at.
    large = [low or bool(each.label) for low, each in zip(below, days, strict=True)]
    data.append(
        {
            "type": "scatter", "x": at, "y": [each.value for each in days], "mode": "lines+markers",
            "line": {"color": ACT, "width": 2.2},
            "marker": {
                "size": [9 if ring else 5 for ring in large],
                "color": ["#fff" if ring else ACT for ring in large],
                "line": {
                    "width": [2.4 if ring else 0 for ring in large], "color": [RED if low else ACT for low in below],
                },
            },
            "customdata": [each.cases for each in days], "text": [each.hover for each in days],
            "hovertemplate": "%{text}<extra></extra>", "selected": {"marker": {"opacity": 1}},
            "unselected": {"marker": {"opacity": 1}},
        }
    )  # fmt: skip
    known = [v for each in days for v in (each.value, each.year_ago, *(each.usual or ())) if v is not None]
    bottom, top = (min(known), max(known)) if known else (0.0, 1.0)
    margin = max(0.01, (top - bottom) * 0.14)
    layout = _layout(height, left=46, bottom=24)
    low_end, high_end = max(0.0, bottom - margin), min(1 + margin / 3, top + margin)
    layout["yaxis"] |= {
        "range": [low_end, high_end], "tickformat": ".0%" if top - bottom > 0.04 else ".1%", "nticks": 6,
    }  # fmt: skip
    layout["xaxis"] |= {"type": "date", "tickformat": "%m-%d", "nticks": 7, "showgrid": False}
    layout["margin"]["r"] = 12 + max((_wide(words[name]) for name in words), default=0)
    notes = _named_lines(days, words, (high_end - low_end) * 17 / max(1, height - 32))
    rates = [each.value for each in days if each.value is not None]
    middle = sum(rates) / max(1, len(rates))
    notes += [
        {
            "x": each.day.isoformat(), "y": each.value, "text": each.label, "showarrow": False,
            "font": {"size": 13, "color": INK}, "yshift": -14 if each.value < middle else 14,
            # At either end of the axis there is room on one side only.
            "xanchor": "left" if n < len(days) / 6 else "right" if n > len(days) * 5 / 6 else "center",
        }
        for n, each in enumerate(days)
        if each.label and each.value is not None
    ]  # fmt: skip
    return {"data": data, "layout": layout | {"annotations": notes}}


def _named_lines(days: Sequence[Day], words: Mapping[str, str], apart: float) -> list[Figure]:
    """Return the names of the lines, each at the height of its last value, none nearer to the next than `apart`."""
    ends: list[tuple[float, str, str]] = []
    for name, colour, values in (
        ("usual", INK_2, [None if each.usual is None else sum(each.usual) / 2 for each in days]),
        ("now", ACT, [each.value for each in days]),
        ("year_ago", INK_3, [each.year_ago for each in days]),
    ):
        if (last := next((v for v in reversed(values) if v is not None), None)) is not None:
            ends.append(
                (last, markup("<b>{now}</b>", now=words[name]) if name == "now" else words[name], colour)
            )
    ends.sort(key=lambda each: each[0])
    heights = [each[0] for each in ends]
    for n in range(1, len(heights)):
        heights[n] = max(heights[n], heights[n - 1] + apart)
    # What was pushed up comes back down by half, so that no name drifts far from its line.
    back = (heights[-1] - ends[-1][0]) / 2 if ends else 0.0
    return [
        {
            "xref": "paper", "x": 1.0, "xanchor": "left", "xshift": 6, "y": height - back, "yanchor": "middle",
            "text": text, "showarrow": False, "font": {"size": 13, "color": colour},
        }
        for height, (_, text, colour) in zip(heights, ends, strict=True)
    ]  # fmt: skip


def _wide(text: str) -> int:
    """Return about how many pixels a text of 13 px is wide."""
    return sum(13 if ord(c) > 0x2E7F else 7 for c in text)


def months(rows: Sequence[tuple[str, float | None, str, str]], height: int = 250) -> Figure:
    """Return rates by month, from (month, rate or None, what to say, cases); the axis does not begin at 0."""
    known = [value for _, value, _, _ in rows if value is not None]
    bottom, top = (min(known), max(known)) if known else (0.0, 1.0)
    margin = max(0.01, (top - bottom) * 0.15)
    layout = _layout(height, left=50, bottom=28)
    layout["yaxis"] |= {
        "range": [max(0.0, bottom - margin), min(1 + margin / 3, top + margin)],
        "tickformat": ".0%" if top - bottom > 0.04 else ".1%", "nticks": 6,
    }  # fmt: skip
    # Where the card is narrow the names of the months stand upright, and must not be cut.
    layout["xaxis"] |= {"type": "category", "showgrid": False, "automargin": True}
    line: Figure = {
        "type": "scatter", "mode": "lines+markers", "x": [month for month, *_ in rows],
        "y": [value for _, value, _, _ in rows], "text": [hover for *_, hover, _ in rows],
        "customdata": [cases for *_, cases in rows], "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": DATA, "width": 2}, "marker": {"size": 7, "color": DATA},
        "unselected": {"marker": {"opacity": 1}},
    }  # fmt: skip
    return {"data": [line], "layout": layout}


def heat(
    counts: Sequence[Sequence[int]],
    cases: Sequence[Sequence[str]],
    days: Sequence[str],
    hover: str,
    height: int = 300,
) -> Figure:
    """Return reports by weekday (a row each) and hour; `hover` is the hover's sentence with %{y}, %{x} and %{z}."""
    layout = _layout(height, left=58, bottom=28)
    layout["yaxis"] |= {
        "type": "category",
        "autorange": "reversed",
        "showgrid": False,
        "tickfont": {"size": 13, "color": INK},
    }
    layout["xaxis"] |= {
        "type": "linear",
        "tickvals": list(range(0, 24, 3)),
        "showgrid": False,
        "range": [-0.5, 23.5],
    }
    # Empty markers over the cells: a heat map's own cells cannot be pressed.
    points: Figure = {
        "type": "scatter", "mode": "markers", "x": [h for _ in days for h in range(24)],
        "y": [day for day in days for _ in range(24)],
        "marker": {"size": 18, "symbol": "square", "color": "rgba(0,0,0,0)"},
        "customdata": [case for row in cases for case in row],
        "text": [str(n) for row in counts for n in row],
        "hovertemplate": markup("{hover}<extra></extra>", hover=hover.replace("%{z}", "%{text}")), "showlegend": False,
        "unselected": {"marker": {"opacity": 0}}, "selected": {"marker": {"opacity": 0}},
    }  # fmt: skip
    colours: Figure = {
        "type": "heatmap", "z": [list(row) for row in counts], "x": list(range(24)), "y": list(days),
        "xgap": 1, "ygap": 1,
        "colorscale": [list(each) for each in RAMP], "zmin": 0, "hoverinfo": "skip",
        "colorbar": {"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 12, "color": INK_3}},
    }  # fmt: skip
    return {"data": [colours, points], "layout": layout}


def waterfall(losses: Sequence[Loss], value: float, height: int = 236) -> Figure:
    """Return how a score came down from 100: one bar for each part, in the order given, hanging where the last ended.

    The axis is cut at a round number below the score, and spans `LEAST_SPAN` points at least: a tenth of a point
    must not look like a fall. The bars are steps between two levels, not lengths from zero.
    """
    names = [each.name for each in losses]
    left, starts = 100.0, []
    for each in losses:
        left -= each.points
        starts.append(left)
    lowest = max(0.0, min([value, 100 - LEAST_SPAN, *starts]))
    step = next((each for each in (2, 5, 10, 20) if (100 - lowest) / each <= 5), 20)
    bottom = max(0.0, floor(lowest / step) * step)
    data: list[Figure] = [
        {
            "type": "bar", "orientation": "h", "y": names, "x": [each.points for each in losses],
            "base": starts,
            "marker": {"color": [ACT if each.chosen else "#87a5bf" for each in losses]}, "width": 0.62,
            "customdata": [each.key for each in losses], "text": [each.hover for each in losses],
            "hovertemplate": "%{y} %{text}<extra></extra>", "textposition": "none",
            "selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}},
        },
        {
            "type": "scatter", "mode": "text", "x": starts, "y": names,
            "text": [markup("<b>{hover}</b>  ", hover=each.hover) for each in losses], "textposition": "middle left",
            "textfont": {"size": 14, "color": INK}, "hoverinfo": "none", "showlegend": False,
            "cliponaxis": False,
            # A bar of next to nothing cannot be pressed: its number can.
            "customdata": [each.key for each in losses],
            "selected": {"textfont": {"color": INK}}, "unselected": {"textfont": {"color": INK}},
        },
    ]  # fmt: skip
    layout = _layout(height, left=120, bottom=26)
    ticks = [bottom + step * n for n in range(int((100 - bottom) / step) + 1)]
    reach = max(100 - bottom, step)
    # Room on the left for the words of the lowest bar.
    layout["xaxis"] |= {"range": [bottom - reach * 0.16, 100 + reach * 0.03], "tickvals": ticks}
    layout["yaxis"] |= {
        "type": "category", "autorange": "reversed", "showgrid": False,
        "tickfont": {"size": 14, "color": INK},
        "categoryorder": "array", "categoryarray": names,
    }  # fmt: skip
    layout["bargap"] = 0.3
    layout["shapes"] = [
        {
            "type": "line", "x0": start, "x1": start, "y0": n + 0.31, "y1": n + 0.69, "layer": "below",
            "line": {"color": INK_3, "width": 1, "dash": "dot"},
        }
        for n, start in enumerate(starts[:-1])
    ]  # fmt: skip
    return {"data": data, "layout": layout}


def _runs(flags: Sequence[bool]) -> list[list[int]]:
    """Return the stretches of places where a flag is up, so that a band is not drawn over days without one."""
    found: list[list[int]] = []
    for n, up in enumerate(flags):
        if up and n and flags[n - 1] and found:
            found[-1].append(n)
        elif up:
            found.append([n])
    return found


def _layout(height: int, left: int, bottom: int) -> dict[str, Any]:
    axis = {
        "gridcolor": LINE, "zeroline": False, "showline": False, "fixedrange": True,
        "tickfont": {"size": 13, "color": INK_3},
        "ticks": "",
    }  # fmt: skip
    return {
        "height": height, "margin": {"l": left, "r": 12, "t": 8, "b": bottom},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)", "font": {"family": FONT, "size": 13, "color": INK},
        "showlegend": False,
        "xaxis": dict(axis), "yaxis": dict(axis),
        "hoverlabel": {"bgcolor": INK, "font": {"color": "#fff", "family": FONT, "size": 13}},
        "dragmode": False, "clickmode": "event+select",
    }  # fmt: skip

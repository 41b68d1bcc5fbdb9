"""Draw how long each stage of the chain took, against its limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, log10

from dashboard.markup import Markup, joined, markup
from dashboard.wording import amounts
from dashboard.wording.catalogue import Translate
from dispatch.figures.briefing import words as spoken
from dispatch.figures.overview import (
    StageTime,
)

# Instants that an axis of time is named at, in seconds.
TICKS_S = (5, 60, 300, 900, 3600, 14_400, 28_800, 86_400, 259_200, 604_800, 2_592_000)
_TICKS = 4  # more names of instants would run into each other


def stages(found: Sequence[StageTime], lang: str, _: Translate) -> Markup:
    """Return each stage's P50 (filled) and P90 (hollow) on a logarithmic axis, its limit a stroke, both in numbers.

    A P90 is red where it is past its limit: where more than one in ten came after the limit of its own case.
    """
    head = markup(
        "<h2>{title} <span class='m' title='{more}'>{note}</span></h2>", title=_("How long each stage takes"),
        note=_("filled P50, hollow P90, strokes the limits"),
        more=_(
            "Around the clock, suspended time left out; a logarithmic axis. Limits differ by type and severity: those"
            " of eight in ten cases lie between the strokes. Red: more than one in ten passed its own."
        ),
    )  # fmt: skip
    if not found:
        return markup(
            "{head}<p class='m'>{t}</p>", head=head,
            t=_("Nothing was timed, or too much to time one by one: a month’s is timed with its assessment, at night."),
        )  # fmt: skip
    ends = [max(1.0, v) for each in found for v in (each.p50, each.p90, *(each.limits or ()))]
    low, high = log10(min(ends) * 0.6), log10(max(ends) * 1.6)

    def at(seconds: float) -> str:
        return f"{100 * (log10(max(1.0, seconds)) - low) / (high - low):.1f}%"

    inside = [t for t in TICKS_S if low <= log10(t) <= high]
    ticks = inside[:: ceil(len(inside) / _TICKS)] if inside else []
    lines = joined([markup('<u style="left:{x}"></u>', x=at(t)) for t in ticks])
    rows = []
    for each in found:
        tone = "low" if each.over else ""
        told_all = _("{name}: P50 {a}, P90 {b}; in working time {c} and {d}; {n} cases").format(
            name=each.name_in(lang), a=amounts.span(each.p50, _), b=amounts.span(each.p90, _),
            c=amounts.span(each.working_p50, _), d=amounts.span(each.working_p90, _), n=amounts.count(each.n),
        )  # fmt: skip
        if each.limits is not None:
            told_all += _("; limits {low} to {high}; {late} of {judged} were late").format(
                low=amounts.span(each.limits[0], _), high=amounts.span(each.limits[1], _),
                late=amounts.count(each.late), judged=amounts.count(each.judged),
            )  # fmt: skip
        rows.append(
            markup(
                '<tr title="{label}"><td>{name}</td><td class="plot"><div class="gw-mark bare">{lines}'
                '<s class="span" style="left:{a};right:calc(100% - {b})"></s>{limit}'
                '<i style="left:{a}"></i><i class="raw {tone}" style="left:{b}"></i></div></td>'
                '<td class="r"><b>{p50}</b></td><td class="r {red}">{mark}{p90}</td></tr>',
                label=told_all, name=each.name_in(lang), lines=lines, a=at(each.p50), b=at(each.p90), tone=tone,
                limit=_strokes(each.limits, at),
                p50=_time(each.p50, lang), p90=markup("<b>{t}</b>", t=_time(each.p90, lang)) if each.over
                else _time(each.p90, lang),
                red="red" if each.over else "", mark=markup('<span class="gw-light red"></span>') if each.over else "",
            )
        )  # fmt: skip
    axis = joined([markup('<span style="left:{x}">{t}</span>', x=at(t), t=amounts.span(t, _)) for t in ticks])
    return markup(
        '{head}<table class="gw-rank gw-times"><tr><th></th><th class="plot"></th><th class="r">P50</th>'
        '<th class="r">P90</th></tr>{rows}'
        '<tr><td></td><td><div class="gw-axis">{axis}</div></td><td colspan="2"></td></tr></table>',
        head=head, rows=joined(rows), axis=axis,
    )  # fmt: skip


def _strokes(limits: tuple[float, float] | None, at: Callable[[float], str]) -> Markup:
    """Return the limits as strokes: one where all are alike, else two with a line between them."""
    if limits is None:
        return Markup("")
    low, high = limits
    strokes = [markup('<em class="limit" style="left:{x}"></em>', x=at(each)) for each in sorted({low, high})]
    if low < high:
        strokes.append(
            markup('<em class="between" style="left:{a};right:calc(100% - {b})"></em>', a=at(low), b=at(high))
        )
    return joined(strokes)


def _time(seconds: float, lang: str) -> str:
    """Return a stage's time as the briefing has it."""
    return spoken.show("minutes", seconds / 60, lang)

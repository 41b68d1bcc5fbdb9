"""Sets out the leaders' picture as tables: the six figures, the ranking, the areas of work, the chain.

Pure functions from the picture to markup; every number in it opens its cases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor
from typing import Any

from dashboard.markup import Markup, joined, markup
from dashboard.widgets.panel import opens
from dashboard.wording import amounts, names
from dashboard.wording.catalogue import Translate, pick, shorter
from dispatch.figures.briefing import words as spoken
from dispatch.figures.case_sets import Counted
from dispatch.figures.overview import (
    FIGURES,
    STAGES,
    Figure,
    Overview,
    Place,
    Published,
    Reading,
)
from dispatch.rules.measures.assessment import shown
from dispatch.rules.measures.fairness import wilson
from dispatch.rules.words import say

ENDS = 5  # of the ranking shown at either end
_PUBLISHED_ALONE = ("criminal_reports_change", "security_reports_change", "villages")
_MIDDLE_GRIDS = 984  # as the same article has it beside 965 villages; shown, never reconciled


def six(picture: Overview, over: bool, lang: str, _: Translate) -> Markup:
    """Return the six figures; `over` says that the period has ended, so that counts can be held against whole ones."""
    # Days to come have no course yet.
    passed = (picture.as_of.astimezone(names.zone()).date() - picture.period.first).days + 1
    return markup(
        '<div class="gw-six">{all}</div>',
        all=joined([_tile(each, passed, over, lang, _) for each in picture.figures]),
    )


def _tile(figure: Figure, passed: int, over: bool, lang: str, _: Translate) -> Markup:
    """Return one figure: value, count behind it, and its changes in ink, since no change is good in itself."""
    now = figure.now
    if figure.is_rate:
        value = (
            opens(now.credited.cases.key, amounts.rate(now.value, _))
            if now.value is not None
            else markup('<span class="none">{t}</span>', t=_("no data"))
        )
        counts = _fraction(now)
    else:
        value, counts = opens(now.credited.cases.key, amounts.count(now.credited.count)), Markup("")

    def change(label: str, by: Any) -> Markup:
        # A part of a period beside a whole one would read as a fall.
        words = amounts.change(by, figure.is_rate, _) if over or figure.is_rate else _("not over")
        return markup("<span>{label} <b>{words}</b></span>", label=label, words=words)

    name = say(FIGURES[figure.name], lang)

    return markup(
        '<div><div class="l"><span>{name}</span>{line}</div><div class="v">{value}<small>{counts}</small></div>'
        '<div class="c">{before}{year}</div></div>',
        name=name,
        line=_sparkline([None if v is None else float(v) for v in figure.course[:passed]]), value=value, counts=counts,
        before=change(_("prev."), figure.change), year=change(_("last yr"), figure.change_year),
    )  # fmt: skip


def _fraction(reading: Reading) -> Markup:
    """Return the cases over their base; either opens the cases it counts."""
    if reading.base is None or not reading.base.count:
        return Markup("")
    n, d = amounts.count(reading.credited.count), amounts.count(reading.base.count)
    return markup("{n} / {d}", n=opens(reading.credited.cases.key, n), d=opens(reading.base.cases.key, d))


def _sparkline(values: Sequence[float | None]) -> Markup:
    drawn = [v for v in values if v is not None]
    if len(drawn) < 2:
        return Markup("")
    low, high = min(drawn), max(drawn)
    wide, tall = 88.0, 18.0
    at = [
        (2 + wide * n / (len(values) - 1), 4 + (tall * (high - v) / (high - low) if high > low else tall / 2))
        for n, v in enumerate(values)
        if v is not None
    ]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    return markup(
        '<svg width="94" height="26" viewBox="0 0 94 26" aria-hidden="true">'
        '<path d="{path}" fill="none" stroke="#3d6c96"'
        ' stroke-width="1.6"/><circle cx="{x}" cy="{y}" r="2.8" fill="#3d6c96"/></svg>',
        path=path, x=f"{at[-1][0]:.1f}", y=f"{at[-1][1]:.1f}",
    )  # fmt: skip


def ranking(picture: Overview, whole_list: bool, own: str, lang: str, _: Translate) -> Markup:
    """Return the ranking: both ends, the viewer's own, and on demand all; those with too few cases after them."""
    whole = known(picture.figure("on_time").now.value)
    head = markup(
        "<h2>{title} <span class='m'>{note}</span></h2>", title=_("Ranking of places"),
        note=_("hollow raw, filled shrunk, line 95 % interval"),
    )  # fmt: skip
    ranked = [place for place in picture.places if place.rank is not None]
    listed = [place for place in picture.places if place.rank is None]
    if not picture.places:
        return markup("{head}<p class='m'>{t}</p>", head=head, t=_("No places lie below this area."))
    if not ranked:
        return markup("{head}<p class='m'>{t}</p>", head=head, t=_("No place has enough cases to be ranked."))
    ends = [v for p in ranked for v in (p.low, known(p.on_time.value), p.shrunk) if v is not None]
    steps = _steps(min(ends))
    bottom = steps[0]

    def at(value: float) -> str:
        return f"{100 * (value - bottom) / (1 - bottom):.1f}%"

    lines = joined([markup('<u style="left:{x}"></u>', x=at(v)) for v in steps])
    if whole is not None:
        lines += markup('<em style="left:{x}"></em>', x=at(whole))
    shown_rows, left_out = (ranked, 0) if whole_list else spoken.shortest(ranked, ENDS)
    rows: list[Markup] = []
    few = _("{n} with fewer than {least} cases: listed, not ranked").format(
        n=len(listed), least=picture.min_count
    )
    for n, place in enumerate(shown_rows):
        if left_out and n == ENDS:
            middle = _("ranks {a} to {b}").format(a=ENDS + 1, b=len(ranked) - ENDS)
            rows.append(
                markup(
                    '<tr><td></td><td colspan="3" class="m">{middle}{few}</td><td class="r">{more}</td></tr>',
                    middle=middle, few=f"; {few}" if listed else "", more=opens("@all", _("show all"), "go"),
                )
            )  # fmt: skip
        rows.append(_place(place, lines, at, place.code == own, lang, _))
    if whole_list:
        rows += [_place(place, lines, at, place.code == own, lang, _) for place in listed]
        rows.append(
            markup(
                '<tr><td></td><td colspan="3" class="m">{few}</td><td class="r">{less}</td></tr>',
                few=few if listed else "",
                   less=opens("@ends", _("both ends only"), "go"))
        )  # fmt: skip
    elif listed and not left_out:
        rows.append(
            markup('<tr><td></td><td colspan="3" class="m">{few}</td><td class="r">{more}</td></tr>', few=few,
                   more=opens("@all", _("show all"), "go"))
        )  # fmt: skip
    # Every other line is named where there are many; the last always is.
    axis = joined(
        [
            markup('<span style="left:{x}">{t}</span>', x=at(v), t=f"{v * 100:.3g}%")
            for v in steps[(len(steps) - 1) % 2 if len(steps) > 3 else 0 :: 2 if len(steps) > 3 else 1]
        ]
    )
    # Its name stands over the line of all, yet never past the edge of its column.
    own_name = markup(
        '<div class="gw-axis"><span style="left:clamp(2.6em, {x}, calc(100% - 2.6em))">{t}</span></div>',
        x=at(whole if whole is not None else 1.0), t=_("all: {rate}").format(rate=amounts.rate(whole, _)),
    )  # fmt: skip
    return markup(
        '{head}<table class="gw-rank"><tr><th class="r">{rank}</th><th>{name}</th><th class="r">{counts}</th>'
        '<th class="plot">{own}</th><th class="r">{shrunk}</th></tr>{rows}'
        '<tr><td colspan="3"></td><td><div class="gw-axis">{axis}</div></td><td></td></tr></table>',
        head=head, rank=_("rank"), name=_("place"), counts=_("on time / due"), shrunk=_("shrunk"),
        rows=joined(rows), axis=axis, own=own_name,
    )  # fmt: skip


def _steps(least: float) -> list[float]:
    """Return round rates from at or below the least up to 1, three to six of them, for an axis."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2):
        low = floor(max(0.0, least) / step + 1e-9) * step
        if 1 - low <= 5 * step + 1e-9:
            low = min(low, 1 - 2 * step)
            return [low + step * n for n in range(round((1 - low) / step) + 1)]
    raise AssertionError(least)


def _place(
    place: Place, lines: Markup, at: Callable[[float], str], own: bool, lang: str, _: Translate
) -> Markup:
    tone = "low" if place.below else ""
    reading = place.on_time
    mark = Markup("")
    if place.shrunk is not None and place.low is not None and place.high is not None:
        raw = known(reading.value)
        mark = markup(
            '<div class="gw-mark bare" title="{label}">{lines}'
            '<s class="{tone}" style="left:{low};right:calc(100% - {high})"></s>'
            '{raw}<i class="est {tone}" style="left:{est}"></i></div>',
            label=_("as counted {raw}, shrunk {est}, interval {low} to {high}").format(
                raw=amounts.rate(reading.value, _), est=amounts.rate(place.shrunk, _),
                low=amounts.rate(place.low, _),
                high=amounts.rate(place.high, _),
            ),
            lines=lines, tone=tone,
            low=at(max(place.low, 0.0)), high=at(place.high), est=at(place.shrunk),
            raw="" if raw is None else markup('<i class="raw {tone}" style="left:{x}"></i>', tone=tone, x=at(raw)),
        )  # fmt: skip
    if (missed := reading.missed) is not None and missed.count:
        # In one press to those that count against it.
        late = _("see the {n} not in time").format(n=amounts.count(missed.count))
        mark = opens(
            missed.cases.key, markup('{mark}<span class="see">{t} ›</span>', mark=mark, t=late), "plot"
        )
    return markup(
        '<tr class="{own}"><td class="r m">{rank}</td><td class="name">{name}</td>'
        '<td class="r m2">{counts}</td>'
        '<td class="plot">{mark}</td><td class="r"><b class="{red}">{shrunk}</b></td></tr>',
        own="on" if own else "", rank="–" if place.rank is None else place.rank,
        name=opens(f"@area~{place.code}", pick(lang, place.name, place.name_en), ""),
        counts=_fraction(reading) or "–", mark=mark,
        red="red" if place.below else "",
        shrunk=amounts.rate(place.shrunk, _) if place.rank is not None else amounts.rate(reading.value, _),
    )  # fmt: skip


def headline(published: Sequence[Published], lang: str, _: Translate) -> Markup:
    """Return the figures published elsewhere, hatched, and apart from them what arithmetic makes of them."""
    if not published:
        return markup(
            '<div class="gw-quoted"><h2><span class="gw-stamp">{stamp}</span>{title}</h2>'
            '<p class="m">{t}</p></div>',
            stamp=_("quoted"), title=_("Published figures"), t=_("None were entered for this area."),
        )  # fmt: skip
    by_metric = {each.metric: each for each in published}
    quoted = [
        markup(
            '<div class="gw-line"><span>{name}</span><b>{value}</b></div>', name=each.name_in(lang),
            value=f"{amounts.signed(each.value, 2)}%" if each.unit == "%" else amounts.count(each.value),
        )
        for m in _PUBLISHED_ALONE if (each := by_metric.get(m)) is not None
    ]  # fmt: skip
    source = published[0].source_in(lang)
    parts = [
        markup(
            '<div class="gw-quoted"><h2>'
            '<span class="gw-stamp">{stamp}</span>{title} <span class="m">{note}</span></h2>{rows}'
            '<p class="m">{period}　{source}</p></div>',
            stamp=_("quoted"), title=_("Published figures"), note=_("not computed"), rows=joined(quoted),
            period=published[0].period, source=source,
        )
    ]  # fmt: skip
    counted = []
    for metric in ("settled", "per_village", "months_between"):
        if (each := by_metric.get(metric)) is not None:
            value = (
                shown(each.value).replace(" ", "")
                if metric == "settled"
                else shown(each.value, percent=False)
            )
            counted.append(
                markup(
                    '<div class="gw-line"><span>{name}</span><b>{value}</b><span class="m2">{formula}</span>'
                    '</div>',
                    name=each.name_in(lang), value=value, formula=_formula(metric, by_metric, _),
                )
            )  # fmt: skip
    if counted:
        parts.append(
            markup(
                '<div class="gw-computed" style="margin-top:8px"><h2>'
                '<span class="gw-stamp c">{stamp}</span>{title}</h2>{rows}'
                '<p class="m">{note}</p></div>',
                stamp=_("computed"), title=_("from the published figures"), rows=joined(counted),
                note=_("{a} villages, {b} middle grids: as published.").format(
                    a=amounts.count(by_metric["villages"].value) if "villages" in by_metric else "–",
                    b=_MIDDLE_GRIDS
                ),
            )
        )  # fmt: skip
    return joined(parts)


def _formula(metric: str, by_metric: dict[str, Published], _: Translate) -> str:
    disputes, settled, villages = (
        amounts.count(by_metric[m].value) if m in by_metric else "–"
        for m in ("disputes", "disputes_settled", "villages")
    )
    return {
        "settled": f"{settled} / {disputes}",
        "per_village": f"{disputes} / {villages} {_('cases each')}",
        "months_between": f"12 × {villages} / {disputes} {_('months')}",
    }[metric]


def themes(picture: Overview, lang: str, _: Translate) -> Markup:
    whole = known(picture.figure("on_time").now.value)
    rates = [v for line in picture.themes if (v := known(line.on_time.now.value)) is not None]
    bottom = max(0.0, int(min([*rates, whole or 1.0], default=0.0) * 20 - 0.5) / 20)
    rows = []
    for line in picture.themes:
        now, value = line.on_time.now, known(line.on_time.now.value)
        low = value is not None and whole is not None and now.base is not None and _below(now, whole, picture)
        mark, missed = Markup(""), now.missed
        if value is not None:
            x, middle = (f"{100 * (v - bottom) / (1 - bottom):.1f}%" for v in (value, whole or 0.0))
            mark = markup(
                '<div class="gw-mark"><em style="left:{middle};border-left-style:solid"></em>'
                '<i class="{low}" style="left:{x}"></i></div>',
                middle=middle, low="low" if low else "", x=x,
            )  # fmt: skip
            if missed is not None and missed.count:
                late_here = _("see the {n} not in time").format(n=amounts.count(missed.count))
                mark = opens(missed.cases.key, mark, "plot", late_here)
        late = line.overdue.count
        rows.append(
            markup(
                '<tr><td>{name}</td><td class="r">{reported}</td><td class="r m2">{before}</td>'
                '<td class="r m2">{year}</td>'
                '<td class="plot">{mark}</td><td class="r"><b class="{low}">{rate}</b>'
                '</td>'
                '<td class="r m2">{counts}</td><td class="r">{late}</td></tr>',
                name=line.name if lang == "zh" else shorter(lang, line.name_en),
                reported=opens(line.reported.now.credited.cases.key, amounts.count(line.reported.now.credited.count)),
                before=amounts.change(line.reported.change, False, _),
                year=amounts.change(line.reported.change_year, False, _),
                mark=mark, low="red" if low else "", rate=amounts.rate(now.value, _), counts=_fraction(now),
                late=opens(line.overdue.cases.key, late, "u red" if late else "u"),
            )
        )  # fmt: skip
    return markup(
        "<h2>{title} <span class='m'>{note}</span></h2><div class='gw-scroll'><table class='gw-themes'><tr><th>{a}</th>"
        "<th class='r'>{b}</th>"
        "<th class='r'>{c}</th><th class='r'>{d}</th><th>{e}</th><th class='r'>{g}</th><th class='r'>{h}</th>"
        "<th class='r'>{i}</th></tr>{rows}</table></div>",
        title=_("Ten areas of work"),
        note=_("dot: the rate; stroke: all, {rate}; axis from {low}").format(
            rate=amounts.rate(picture.figure("on_time").now.value, _), low=f"{bottom * 100:.0f}%"
        ),
        a=_("area of work"), b=_("reported"), c=_("prev."), d=_("last yr"), e=_("on time"),
        g=_("rate"),
        h=_("on time / due"), i=_("overdue"), rows=joined(rows),
    )  # fmt: skip


def _below(reading: Reading, whole: float, picture: Overview) -> bool:
    """Tell whether a rate's whole interval lies below the area's own; with too few cases nothing is red."""
    if reading.base is None or reading.base.count < picture.min_count:
        return False
    return wilson(reading.credited.count, reading.base.count)[1] < whole


def funnel(picture: Overview, lang: str, _: Translate) -> Markup:
    """Return how far the period's reports have come, and between two steps what stands there and why."""
    whole = picture.funnel[0].reached.count
    parts: list[Markup] = []
    for n, step in enumerate(picture.funnel):
        share = step.reached.count / whole if whole else 0.0
        parts.append(
            markup(
                '<span class="r">{name}</span><span class="bar"><i style="width:{wide}%;opacity:{fade}"></i>'
                '</span>'
                '<b class="r">{count}</b><span class="r m2">{share}</span>',
                name=say(STAGES[step.stage], lang), wide=f"{share * 100:.1f}",
                fade=f"{1 - n * 0.06:.2f}",
                count=opens(step.reached.cases.key, amounts.count(step.reached.count)),
                share=amounts.rate(share, _) if n and whole else "",
            )
        )  # fmt: skip
        if n + 1 < len(picture.funnel):
            parts.append(_gone(picture, n, _))
    return markup(
        "<h2>{title} <span class='m'>{note}</span></h2><div class='gw-funnel'>{parts}</div>",
        title=_("How far along the chain"),
        note=_("what stays at each step opens"), parts=joined(parts),
    )  # fmt: skip


def _gone(picture: Overview, n: int, _: Translate) -> Markup:
    step = picture.funnel[n]
    waits = {
        "reported": _("waiting for acceptance"), "accepted": _("waiting for dispatch"),
        "dispatched": _("waiting for pick-up"),
        "picked_up": _("on the way"), "arrived": _("at work"), "disposed": _("waiting for the check"),
        "verified": _("waiting for closing"),
    }  # fmt: skip
    told_here: list[tuple[str, Counted]] = []
    if n == 0:
        told_here += [(_("not accepted"), picture.rejected), (_("merged"), picture.merged)]
    told_here.append((waits[step.stage], step.standing))
    shown_here = [
        markup("{w} {n}", w=words, n=opens(counted.cases.key, f"{amounts.MINUS}{amounts.count(counted.count)}"))
        for words, counted in told_here if counted.count > 0
    ]  # fmt: skip
    return markup('<span class="gone">{t}</span>', t=joined(shown_here, "　"))


def lowest(picture: Overview, lang: str, _: Translate) -> Markup:
    """Return what the lowest day of the trend was, and what the rings mean."""
    found = picture.lowest
    if found is None:
        return markup('<p class="gw-low m2">{t}</p>', t=_("No day with a case out of time."))
    point, missed = found.point, found.point.on_time.missed
    assert missed is not None
    parts = [
        markup(
            "<b>{day} {rate}</b>",
            day=spoken.day_of(point.day, lang),
            rate=amounts.rate(point.on_time.value, _),
        ),
        markup("{late} {n}", late=_("out of time"), n=opens(missed.cases.key, amounts.count(missed.count))),
    ]
    if found.late.count and found.theme[0] and missed.count > 1:
        name, name_en = found.theme
        most = _("most: {theme}").format(theme=name if lang == "zh" else shorter(lang, name_en))
        parts.append(
            markup("{most} {n}", most=most, n=opens(found.late.cases.key, amounts.count(found.late.count)))
        )
    rings = markup(
        '<span class="nw"><i class="ring"></i>{t}</span>',
        t=_("days below usual: {n}").format(n=found.below),
    )
    return markup(
        '<p class="gw-low m2">{rings}<span>{lowest} {parts}</span></p>', rings=rings if found.below else "",
        lowest=_("lowest"), parts=joined(parts, Markup("</span><span>")),
    )  # fmt: skip


def known(value: Any) -> float | None:
    """Return a value as a float, None for no data."""
    return None if value is None else float(value)

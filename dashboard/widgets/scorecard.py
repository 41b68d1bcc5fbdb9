"""Sets out one subject's score card: the number and how sure it is, where the points went, and what stands beside it.

Pure functions from the card to markup and figures; loss comes first, because it is what people ask about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from dashboard.data.assessment import Card, Corrected, Line, Peers
from dashboard.data.judged import Bare
from dashboard.markup import Markup, joined, markup
from dashboard.widgets import charts
from dashboard.widgets.panel import opens
from dashboard.wording import amounts, names
from dashboard.wording.catalogue import Translate, pick
from dispatch.intake.messages import show_number
from dispatch.rules.measures.assessment import BANDS, LOWEST_BAND, WHOLE
from dispatch.rules.measures.fairness import wilson

PART, APPEAL, JUDGE = "part~", "appeal~", "judge~"
_WIDE = 300  # px of the scale


def set_name(label: str, line: Line, _: Translate) -> str:
    """Return what the cases of a set have in common."""
    if label == "credited" and not line.more_is_better:
        return {
            "rework": _("disposed of again"), "extension": _("extended"),
            "missed_by_others": _("found by others"),
        }.get(line.name, _("counted against"))  # fmt: skip
    return {
        "late": _("disposed of too late"), "waiting": _("overdue, not disposed of"),
        "inside": _("at work, not due"),
        "kept": _("in time"), "disposed": _("disposed of"), "credited": _("credited"),
        "missed": _("not credited") if line.more_is_better else _("not counted against"),
    }[label]  # fmt: skip


def head(card: Card, peers: Peers | None, _: Translate) -> Markup:
    """Return the score large, its band, the scale with the interval, and its place among its like."""
    if card.score is None:
        return markup(
            '<span class="gw-score">–</span><p class="m2">{t}</p>',
            t=_("No data: nothing to judge in this month."),
        )
    few = card.cases < card.rules.min_count
    grade = (
        markup('<span class="gw-band">{t}</span>', t=_("Band {letter}").format(letter=card.band))
        if not few and card.month.frozen
        else markup(
            '<span class="gw-tag yellow">{t}</span>',
            t=(
                _("{n} case: listed, not judged") if card.cases == 1 else _("{n} cases: listed, not judged")
            ).format(n=card.cases)
            if few
            else _("provisional, no rank"),
        )
    )
    lines = [_("exactly {score}; rounded only to be shown").format(score=amounts.score(card.score, _))]
    if card.interval is not None:
        low, high = card.interval
        words = _("95 % interval {low} to {high}").format(low=f"{low:.0f}", high=f"{high:.0f}")
        if card.crosses is not None:
            words += _("; it crosses the line of a band at {line}").format(line=card.crosses)
        lines.append(words)
    beside = []
    if card.before is not None:
        by = card.score - card.before
        beside.append(
            _("last month {score}, {by}").format(
                score=amounts.score(card.before, _), by=amounts.signed(by, 2)
            )
        )
    # One that has no like has no place among them.
    if peers is not None and peers.ranked > 1 and card.month.frozen and not few:
        beside.append(
            _("among {n} of its kind between {a} and {b}").format(n=peers.ranked, a=peers.best, b=peers.worst)
        )
    return markup(
        '<div style="display:flex;gap:12px;align-items:flex-end">'
        '<span class="gw-score">{score}<small>{unit}</small></span>'
        '<div style="padding-bottom:4px">{grade}<div class="m2" style="margin-top:5px">{exact}</div></div>'
        '</div>{scale}'
        '<p class="m2">{rest}{alone}</p><p class="m2" style="margin-top:4px">{beside}</p>',
        score=amounts.score(card.score, _, 0), unit=_("of 100"), grade=grade, exact=lines[0],
        scale=_scale(card), rest=" ".join(lines[1:]),
        alone=markup(
            '<br><b style="color:var(--gw-ink)">{t}</b>', t=_("This month alone does not settle the band.")
        ) if card.crosses is not None else "",
        beside="　".join(beside),
    )  # fmt: skip


def _scale(card: Card) -> Markup:
    """Return the bands from 0 to 100 as one bar, with the score and its interval below."""
    edges = [0, *(card.rules.bands[letter] for letter in reversed(BANDS)), WHOLE]
    letters = (LOWEST_BAND, *reversed(BANDS))

    def x(score: float) -> float:
        # Most scores lie high: the half below 40 is drawn to a third of its width.
        squeezed = card.rules.bands["D"]
        low = 0.16 * min(score, squeezed) / squeezed if squeezed else 0.0
        return _WIDE * (low + 0.84 * max(0.0, score - squeezed) / (WHOLE - squeezed))

    parts = []
    for letter, begin, end in zip(letters, edges, edges[1:], strict=False):
        own = letter == card.band
        parts.append(
            markup(
                '<rect x="{a}" y="20" width="{w}" height="10" fill="{fill}"/>'
                '<text x="{m}" y="14" font-size="13"'
                ' text-anchor="middle" fill="{ink}" font-weight="{bold}">{letter}</text>',
                a=f"{x(begin) + 1:.1f}", w=f"{x(end) - x(begin) - 2:.1f}",
                fill="#b9cad9" if own else "#e9edf0",
                m=f"{(x(begin) + x(end)) / 2:.1f}", ink="#14191e" if own else "#5c6a76",
                bold=700 if own else 400, letter=letter,
            )
        )  # fmt: skip
        if begin:
            parts.append(
                markup(
                    '<text x="{x}" y="62" font-size="13" text-anchor="middle" fill="#5c6a76">{t}</text>',
                    x=f"{x(begin):.1f}", t=begin,
                )
            )  # fmt: skip
    assert card.score is not None
    if card.interval is not None:
        low, high = (f"{x(v):.1f}" for v in card.interval)
        parts.append(
            markup(
                '<path d="M{low} 33V43M{low} 38H{high}M{high} 33V43" stroke="#1b4f8f" stroke-width="2.2" fill="none"/>',
                low=low, high=high,
            )
        )  # fmt: skip
    parts.append(markup('<circle cx="{x}" cy="38" r="5.5" fill="#1b4f8f"/>', x=f"{x(float(card.score)):.1f}"))
    return markup(
        '<svg width="300" height="66" viewBox="0 0 300 66" style="margin-top:8px;max-width:100%">{all}</svg>',
        all=joined(parts),
    )


def losses(card: Card, chosen: str, lang: str) -> list[charts.Loss]:
    """Return what each part lost, the most first; parts without data have nothing to lose."""
    lines = sorted((line for line in card.lines if line.d), key=lambda line: (-line.lost, line.name))
    return [
        charts.Loss(
            line.name, pick(lang, line.zh.removesuffix("率"), line.en), float(line.lost),
            amounts.signed(-line.lost, 2), line.name == chosen,
        )
        for line in lines
    ]  # fmt: skip


def table(
    card: Card, chosen: str, sets: Mapping[str, Mapping[str, Sequence[int]]], lang: str, _: Translate,
    bare: Bare | None = None,
) -> Markup:  # fmt: skip
    """Return the parts as a table, the most lost first: how it is counted, rate, weight, earned, lost, and where.

    Where exemptions changed what a part counts, the bare facts stand below it.
    """
    rows = []
    order = sorted(card.lines, key=lambda line: (not line.d, -line.lost, line.name))
    for line in order:
        on = line.name == chosen
        formula = _("{w} × rate") if line.more_is_better else _("{w} × (1 − rate)")
        interval = "–"
        if line.d and line.top == 1:
            low, high = wilson(float(line.n), line.d, card.rules.confidence)
            interval = f"{low * 100:.0f} – {high * 100:.0f}%"
        where = [
            f"{set_name(label, line, _)} {len(ids):,}"
            for label, ids in sets.get(line.name, {}).items()
            if ids and label in _lost(line)
        ]
        rate = amounts.rate(line.rate, _) if line.top == 1 else amounts.score(line.rate, _)
        count: Markup | str = (
            amounts.count(line.n) if line.n.denominator == 1 else amounts.score(line.n, _, 1)
        )
        # Where the count is that of a set, it opens it.
        if (own := _counted(line, sets.get(line.name, {}))) is not None:
            count = opens(f"{PART}{line.name}~{own}", count)
        rows.append(
            markup(
                '<tr class="{on}"><td><b>{name}</b></td><td class="m2">{how}</td><td class="r">{n} / {d}{bare}</td>'
                '<td class="r"><b>{rate}</b></td><td class="r m2">{interval}</td>'
                '<td class="r m2">{formula}</td>'
                '<td class="r"><b>{points}</b></td><td class="r">{lost}</td>'
                '<td class="m2 missing" style="white-space:normal">{where}</td>'
                '<td>{open}</td></tr>',
                on="on" if on else "", name=pick(lang, line.zh, line.en), how=_how(line, _),
                n=count,
                d=f"{line.d:,}", rate=rate, bare=_bare_count(line, bare, _),
                interval=interval,
                formula=formula.format(w=line.weight), points=amounts.score(line.points, _),
                lost=amounts.signed(-line.lost, 2) if line.d else "–",
                where=_(", ").join(where) if line.d else _("no data takes no weight"),
                open=markup('<span class="act">{t}</span>', t=_("shown below")) if on
                else opens(f"{PART}{line.name}", _("see them"), "go") if line.d else "",
            )
        )  # fmt: skip
    lost = sum((line.lost for line in card.lines), Fraction(0))
    return markup(
        '<div class="gw-scroll"><table><thead><tr><th>{a}</th><th>{b}</th><th class="r">{c}</th>'
        '<th class="r">{d}</th>'
        '<th class="r">{e}</th><th class="r">{f}</th><th class="r">{g}</th><th class="r">{h}</th>'
        '<th>{i}</th><th></th></tr></thead>'
        '<tbody>{rows}</tbody><tfoot><tr><td colspan="2"><b>{total}</b></td>'
        '<td colspan="3" class="r m2">{none}</td>'
        '<td class="r m2">{weighed}</td><td class="r"><b>{score}</b></td><td class="r">{lost}</td>'
        '<td colspan="2" class="m2 wraps">{bare}{check}</td>'
        "</tr></tfoot></table></div>",
        a=_("part"), b=_("how it is counted"), c=_("in / of"), d=_("rate"), e=_("95 % interval"), f=_("weight"),
        g=_("points"),
        h=_("lost"), i=_("what is missing"), rows=joined(rows), total=_("Sum"),
        none=_("an empty base is no data, never 100"), weighed=card.weighed,
        score=amounts.score(card.score, _),
        lost=amounts.signed(-lost, 2),
        bare=bare_score(card, bare, _),
        check=_("points over the weight that has data, times 100") if card.weighed != WHOLE else "",
    )  # fmt: skip


def _bare_count(line: Line, bare: Bare | None, _: Translate) -> Markup:
    """Return what a part counts by the bare facts, where exemptions changed it."""
    rate = bare.rate(line) if bare is not None else None
    if rate is None:
        return Markup("")
    n = amounts.count(rate.n) if rate.n.denominator == 1 else amounts.score(rate.n, _, 1)
    words = _("unexempted {n} / {d}").format(n=n, d=f"{rate.d:,}")
    return markup('<br><span class="m">{t}</span>', t=words)


def bare_score(card: Card, bare: Bare | None, _: Translate) -> Markup:
    """Return what the score would be without exemptions, and what they are worth; exact, rounded once each."""
    if bare is None:
        return Markup("")
    if bare.score is None:
        words = _("{n} exempt: too many to say here what the score would be without").format(n=bare.total)
    elif card.score is None or bare.score.value is None:
        words = _("without exemptions {score}").format(score=amounts.score(bare.score.value, _))
    else:
        words = _("without exemptions {score}; exemptions {by}").format(
            score=amounts.score(bare.score.value, _), by=amounts.signed(card.score - bare.score.value, 2)
        )
    return markup('<b class="gw-bare">{t}</b> ', t=words)


def _counted(line: Line, sets: Mapping[str, Sequence[int]]) -> str | None:
    """Return the set whose cases a part's count counts; None where there is none, as for a sum of ratings."""
    name = {"on_time_disposal": "kept", "disposal": "disposed", "overdue_backlog": "waiting"}.get(
        line.name, "credited"
    )
    return name if name in sets and len(sets[name]) == line.n else None


def _lost(line: Line) -> tuple[str, ...]:
    """Return the sets of a part in which points are lost."""
    if line.name == "overdue_backlog":
        return ("waiting",)
    return ("late", "waiting", "inside", "missed" if line.more_is_better else "credited")


def _how(line: Line, _: Translate) -> str:
    return {
        "disposal": _("disposed of / dispatched"), "on_time_disposal": _("in time / dispatched with a limit"),
        "rework": _("disposed of again / due to close"),
        "overdue_backlog": _("overdue, not disposed of / dispatched"),
        "extension": _("extended / dispatched"), "whistle_answered": _("answered / whistles"),
        "whistle_on_site": _("on site in 30 minutes / whistles"), "whistle_ended": _("ended / whistles"),
        "whistle_rating": _("sum of ratings / rated whistles, of 5"),
        "three_rates": _("contacted, solved, satisfied / called back"),
        "volume": _("dispatched, up to what earns all"), "on_time_dispatch": _("in time / due"),
        "accurate_dispatch": _("not given back / dispatched"), "on_time_registering": _("in time / due"),
        "on_time_closing": _("closed in time / due to close"),
        "valid_reports": _("accepted / reported by them"),
        "on_time_check": _("in time / due"), "on_time_verification": _("in time / due"),
        "missed_by_others": _("found by others / accepted reports"),
    }.get(line.name, "")  # fmt: skip


def standing(card: Card, sums: bool, _: Translate, exempt: int = 0) -> Markup:
    """Return whether the number counts: frozen or not, by which rules, on how many cases, proven by what."""
    rows = [
        (
            _("State"),
            markup(
                "<b>{a}</b> {b}", a=_("frozen") if card.month.frozen else _("provisional"),
                b=names.moment(card.month.as_of),
            ),
        ),
        (_("Rules"), _("version {n}").format(n=card.month.version)),
        (_("Cases"), _("{n}, of them {m} exempt").format(n=f"{card.cases:,}", m=exempt)),
        (
            _("Seal"),
            markup(
                '{a} {mark}', a=f"{card.hash[:4]} {card.hash[4:8]} … {card.hash[-4:]}",
                mark=markup('<b class="grn">✓</b>') if card.sound else markup('<b class="red">✕</b>'),
            ),
        ),
        (
            _("Checked by night"),
            markup('<b class="red">{t}</b>', t=_("differs")) if card.wrong
            # What was assessed since the last night is looked at in the next.
            else f"{names.moment(card.checked_at)} {_('agrees')}"
            if card.checked_at is not None and card.checked_at >= card.month.as_of
            else _("tonight"),
        ),
        (_("Sums"), _("parts and cases add up") if sums else markup('<b class="red">{t}</b>', t=_("do not add up"))),
    ]  # fmt: skip
    shown = joined([markup("<dt>{k}</dt><dd>{v}</dd>", k=k, v=v) for k, v in rows])
    return markup(
        "<h2>{t}</h2><dl class='gw-kv'>{rows}</dl>{more}", t=_("Does this number count?"), rows=shown,
        more=_corrections(card.corrections, _),
    )  # fmt: skip


def _corrections(found: Sequence[Corrected], _: Translate) -> Markup:
    if not found:
        return Markup("")
    rows = []
    for each in found:
        by = each.after - each.before if each.after is not None and each.before is not None else None
        rows.append(
            markup(
                '<p class="m2">{at} {words} <b style="color:var(--gw-ink)">{by}</b>{after}</p>',
                at=names.moment(each.entered_at),
                words=_("appeal granted on {n}: {why}").format(n=show_number(each.number)[-4:], why=each.reason),
                by="" if by is None else amounts.signed(by, 2),
                after=_(", corrected {score}").format(score=amounts.score(each.after, _)),
            )
        )  # fmt: skip
    title = _("{n} corrections; the frozen score stays").format(n=len(found))
    return markup(
        '<div style="border-top:1px solid var(--gw-line);margin-top:9px;padding-top:7px"><p class="m2">'
        '<b style="color:var(--gw-ink)">'
        "{t}</b></p>{rows}</div>",
        t=title, rows=joined(rows),
    )  # fmt: skip

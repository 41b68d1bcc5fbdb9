"""Sets out one subject's score card: the number and how sure it is, where the points went, and what stands beside it.

Pure functions from the card to markup and figures; loss comes first, because it is what people ask about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction

from dashboard.data import Directory
from dashboard.data.assessment import Card, Corrected, Line, Peers
from dashboard.data.judged import Appeal, Bare, CaseLine, ExemptCase, Hands
from dashboard.widgets import charts
from dashboard.widgets.drawer import link
from dashboard.widgets.panel import Markup, joined, markup, opens
from dashboard.wording import amounts
from dashboard.wording import names as told
from dashboard.wording.catalogue import Translate, limit_words, pick
from dispatch.intake.messages import show_number
from dispatch.rules.measures.assessment import BANDS, LOWEST_BAND, WHOLE
from dispatch.rules.measures.fairness import wilson

PART, APPEAL, JUDGE = "part~", "appeal~", "judge~"
SHOWN_FIRST = 3  # exempt cases of a reason; the others open below
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
        bare=_bare_score(card, bare, _),
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


def _bare_score(card: Card, bare: Bare | None, _: Translate) -> Markup:
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
                b=told.moment(card.month.as_of),
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
            else f"{told.moment(card.checked_at)} {_('agrees')}"
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
                at=told.moment(each.entered_at),
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


def cases(
    found: Sequence[CaseLine],
    directory: Directory,
    kind: str,
    appealable: frozenset[int],
    lang: str,
    _: Translate,
) -> Markup:
    """Return the cases of a set: limit, time used, how long past it, in whose hands the time was, and its appeal."""
    if not found:
        return markup('<p class="m2" style="padding:8px 0">{t}</p>', t=_("No case in this set."))
    rows = []
    for each in found:
        kind_of = directory.types.get(each.category)
        late = each.over_s is not None and each.over_s > 0
        rows.append(
            markup(
                '<tr><td><a class="act" href="{href}" target="_blank">{number}</a></td><td class="wraps">'
                '<b>{name}</b> <span class="m2">{place}</span></td>'
                '<td class="r">{limit}</td><td class="r">{used}</td><td class="r red"><b>{over}</b></td>'
                '<td>{hands}</td><td>{appeal}</td></tr>',
                href=link(each.id, each.number, lang), number=show_number(each.number),
                name=each.category if kind_of is None else pick(lang, kind_of.name, kind_of.name_en),
                place=told.place(directory, each.area_code, lang),
                limit=limit_words(each.limit, lang) if each.limit else "–",
                used=amounts.span(each.used_s, _) if each.used_s is not None else "–",
                over=f"+{amounts.span(each.over_s, _)}" if late and each.over_s is not None else "",
                hands=_hands(each.hands, _), appeal=_appeal_of(each, appealable, _),
            )
        )  # fmt: skip
    theirs = kind == "team"
    legend = [
        ("centre", _("desk (not theirs)") if theirs else _("the desk")),
        ("own", _("this team") if theirs else _("the team")),
    ]
    if theirs:
        legend.append(("other", _("another team (not theirs)")))
    legend.append(("paused", _("suspended (clock stands)")))
    marks = joined(
        [markup('<span><i class="gw-{k}"></i>{t}</span>', k=key, t=words) for key, words in legend]
    )
    return markup(
        '<div class="gw-scroll"><table><tr><th>{a}</th><th>{b}</th><th class="r">{c}</th>'
        '<th class="r">{d}</th><th class="r">{e}</th>'
        '<th>{f}</th><th>{g}</th></tr>{rows}</table></div><div class="gw-legend">{marks}</div>',
        a=_("Number"), b=_("matter"), c=_("limit"), d=_("time used"), e=_("past it"),
        f=_("in whose hands the time was"),
        g=_("appeal"), rows=joined(rows), marks=marks,
    )  # fmt: skip


def _hands(hands: Sequence[tuple[Hands, float]], _: Translate) -> Markup:
    names = {
        "own": _("the team"),
        "centre": _("the desk"),
        "other": _("another team"),
        "paused": _("suspended"),
    }
    merged: list[tuple[Hands, float]] = []
    for who, seconds in hands:
        if merged and merged[-1][0] == who:
            merged[-1] = (who, merged[-1][1] + seconds)
        elif seconds > 0:
            merged.append((who, seconds))
    told_all = "; ".join(f"{names[who]} {amounts.span(seconds, _)}" for who, seconds in merged)
    bars = [
        markup('<i class="gw-{who}" style="flex:{share}"></i>', who=who, share=f"{seconds:.0f}")
        for who, seconds in merged
    ]
    return markup(
        '<span class="gw-hands" role="img" aria-label="{t}" title="{t}">{bars}</span>',
        t=told_all,
        bars=joined(bars),
    )


def _appeal_of(case: CaseLine, appealable: frozenset[int], _: Translate) -> Markup:
    appeal = case.appeal
    if appeal is not None:
        if appeal.granted is None:
            return markup('<span class="gw-tag yellow">{t}</span>', t=_("under appeal"))
        words = _("appeal granted") if appeal.granted else _("appeal refused")
        return markup('<span class="m2">{t}</span>', t=words)
    until = case.appeal_until
    if until is not None and until < datetime.now(UTC):
        return markup('<span class="m">{t}</span>', t=_("too late to appeal"))
    if case.id in appealable:
        by = "" if until is None else _("until {day}").format(day=f"{until.astimezone(told.zone()):%m-%d}")
        return markup(
            '{go} <span class="m">{by}</span>', go=opens(f"{APPEAL}{case.id}", _("appeal it"), "go"), by=by
        )
    return markup('<span class="m">{t}</span>', t=_("not appealed"))


def exempt(card: Card, bare: Bare | None, directory: Directory, lang: str, _: Translate) -> Markup:
    """Return the cases that are exempt, by reason, each with how it fared by the bare facts and what that changes."""
    head_words = markup(
        "<h2>{t} <span class='m'>{note}</span></h2>", t=_("{n} exempt").format(n=bare.total if bare else 0),
        note=_("the fact stays; it only does not count"),
    )  # fmt: skip
    if bare is None:
        return markup(
            "{h}<p class='m2' style='padding-top:6px'>{t}</p>",
            h=head_words,
            t=_("No case of this month is exempt."),
        )
    why: dict[tuple[str, bool], list[ExemptCase]] = {}
    for each in bare.cases:
        why.setdefault((each.why, each.never_theirs), []).append(each)
    rows = []
    for (reason, never), found in sorted(why.items(), key=lambda each: -len(each[1])):
        told_ones = [_exempt_case(card, each, directory, lang, _) for each in found if each.row is not None]
        more = told_ones[SHOWN_FIRST:]
        folded = markup(
            "<details><summary>{t}</summary>{rows}</details>",
            t=_("{n} more").format(n=len(more)), rows=joined(more),
        ) if more else Markup("")  # fmt: skip
        rows.append(
            markup(
                '<div class="gw-ex"><span class="gw-tag">{tag}</span><b>{reason}</b><span>{n}</span>'
                '<div>{first}{folded}</div></div>',
                tag=_("never theirs") if never else _("time given back"), reason=reason,
                n=amounts.cases(len(found), _), first=joined(told_ones[:SHOWN_FIRST]), folded=folded,
            )
        )  # fmt: skip
    return markup(
        '{h}<p class="gw-narrow">{bare}</p>{rows}',
        h=head_words,
        bare=_bare_score(card, bare, _),
        rows=joined(rows),
    )


def _exempt_case(card: Card, each: ExemptCase, directory: Directory, lang: str, _: Translate) -> Markup:
    """Return one exempt case: its number, what and where, the raw verdict, and which parts it would change."""
    row = each.row
    assert row is not None
    kind = directory.types.get(row.category)
    over = amounts.span(row.over_s, _) if row.over_s is not None and row.over_s > 0 else ""
    match each.fared:
        case "late":
            verdict = _("late by {span}").format(span=over) if over else _("disposed of too late")
        case "waiting":
            verdict = _("overdue, not disposed of")
        case "kept":
            verdict = _("in time")
        case _:
            verdict = ""
    names = [pick(lang, line.zh, line.en) for name in each.parts if (line := card.line(name)) is not None]
    changes = _("bears on: {parts}").format(parts=_(", ").join(names)) if names else ""
    return markup(
        '<p><a class="act" href="{href}" target="_blank">{n}</a> {name}　{place}　<b>{verdict}</b>'
        ' <span class="m">{changes}</span></p>',
        href=link(row.id, row.number, lang), n=show_number(row.number)[-4:],
        name=row.category if kind is None else pick(lang, kind.name, kind.name_en),
        place=told.place(directory, row.area_code, lang), verdict=verdict, changes=changes,
    )  # fmt: skip


def _answer_due(appeal: Appeal, _: Translate) -> Markup:
    """Return until when the reviewers of an appeal answer, red once they are late."""
    if appeal.answer_by is None:
        return Markup("")
    late = appeal.answer_by < datetime.now(UTC)
    words = _("answer was due by {at}") if late else _("answer due by {at}")
    return markup(
        '<span class="{tone} nw">{t}</span>', tone="red" if late else "m2",
        t=words.format(at=told.moment(appeal.answer_by)),
    )  # fmt: skip


def appeals(
    card: Card, found: Sequence[Appeal], effects: Mapping[int, Fraction | None], judges: bool,
    directory: Directory,
    lang: str, _: Translate,
) -> Markup:  # fmt: skip
    """Return the open appeals: why, how far the two reviewers are, and what granting would change."""
    open_ones = [each for each in found if each.granted is None]
    title = markup(
        '<h2 class="gw-apart">{t} <span class="m">{note}</span></h2>',
        t=_("{n} under appeal").format(n=len(open_ones)),
        note=_("each case once; two reviewers, never one who is judged"),
    )  # fmt: skip
    rows = []
    for each in open_ones:
        reviews = joined(
            [
                markup('<span class="{c}">{m} {who}</span>', c="grn" if ok else "red", m="✓" if ok else "✕",
                       who=told.actor(directory, by, lang))
                for by, ok, _why in each.reviews
            ] + [markup("<span>○ {t}</span>", t=_("second reviewer") if each.reviews else _("two reviewers"))],
            "　",
        )  # fmt: skip
        after = effects.get(each.incident_id)
        change = ""
        if after is not None and card.score is not None:
            change = _("if granted: {by}").format(by=amounts.signed(after - card.score, 2))
        rows.append(
            markup(
                '<div style="display:flex;gap:8px;margin-top:6px"><b>{n}</b><span class="m2">{why}</span>'
                '<span class="sp"></span>{due}{judge}</div>'
                '<div class="m2">{reviews}　<b style="color:var(--gw-ink)">{change}</b></div>',
                n=show_number(each.number)[-4:], why=each.reason, reviews=reviews, change=change,
                due=_answer_due(each, _),
                judge=opens(f"{JUDGE}{each.incident_id}", _("judge it"), "go") if judges else "",
            )
        )  # fmt: skip
    return markup("{t}{rows}", t=title, rows=joined(rows))

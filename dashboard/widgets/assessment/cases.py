"""Set out the cases behind a score card: those of a set, those exempted, those under appeal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction

from dashboard.data import Directory
from dashboard.data.assessment import Card
from dashboard.data.judged import Appeal, Bare, CaseLine, ExemptCase, Hands
from dashboard.markup import Markup, joined, markup
from dashboard.widgets.drawer import link
from dashboard.widgets.panel import opens
from dashboard.widgets.scorecard import APPEAL, JUDGE, bare_score
from dashboard.wording import amounts
from dashboard.wording import names as naming
from dashboard.wording.catalogue import Translate, limit_words, pick
from dispatch.intake.messages import show_number

SHOWN_FIRST = 3  # exempt cases of a reason; the others open below


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
                place=naming.place(directory, each.area_code, lang),
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
        by = "" if until is None else _("until {day}").format(day=f"{until.astimezone(naming.zone()):%m-%d}")
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
        bare=bare_score(card, bare, _),
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
        place=naming.place(directory, row.area_code, lang), verdict=verdict, changes=changes,
    )  # fmt: skip


def _answer_due(appeal: Appeal, _: Translate) -> Markup:
    """Return until when the reviewers of an appeal answer, red once they are late."""
    if appeal.answer_by is None:
        return Markup("")
    late = appeal.answer_by < datetime.now(UTC)
    words = _("answer was due by {at}") if late else _("answer due by {at}")
    return markup(
        '<span class="{tone} nw">{t}</span>', tone="red" if late else "m2",
        t=words.format(at=naming.moment(appeal.answer_by)),
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
                       who=naming.actor(directory, by, lang))
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

"""Say what is so now, live whatever the period, and in a sentence how the period went."""

from __future__ import annotations

from datetime import UTC, date, datetime

import psycopg
import streamlit as st

from dashboard.data import leaders as data
from dashboard.frame import Frame, away
from dashboard.markup import Markup, joined, markup
from dashboard.widgets.drawer import open_cases
from dashboard.widgets.panel import opens, panel
from dashboard.wording import amounts
from dashboard.wording import names as naming
from dashboard.wording.catalogue import pick
from dispatch.figures.briefing import words as spoken
from dispatch.figures.overview import Overview
from dispatch.rules.wartime import LEVELS

NOW_EVERY_S = 10.0


def _against(f: Frame, picture: Overview) -> Markup:
    """Return what the period is compared with, in words; pointed at, it says the days."""
    before, year_ago = picture.compared
    return markup(
        '<span class="gw-muted" title="{days}">{t}</span>',
        t=f._("against {before} and a year ago").format(before=spoken.before_of(picture, f.lang)),
        days=f"{spoken.name_of(before, f.lang)}, {spoken.name_of(year_ago, f.lang)}",
    )


def _standing(f: Frame, picture: Overview, today: date) -> Markup:
    """Return the tags that say how far the period has come: frozen, not over, not counted."""
    _ = f._
    tags = []
    if picture.judged is not None and picture.judged.frozen:
        words = _("Scores frozen {at} · rules {n}").format(
            at=naming.moment(picture.judged.as_of), n=picture.judged.rules_version
        )
        tags.append(markup('<span class="gw-tag green">{t}</span>', t=words))
    if picture.period.until > today:
        tags.append(markup('<span class="gw-tag yellow">{t}</span>', t=_("The period is not over")))
    if picture.counted_at is None:
        tags.append(markup('<span class="gw-tag yellow">{t}</span>', t=_("Not counted yet")))
    return joined(tags, " ")


def _moving(f: Frame, picture: Overview) -> Markup:
    """Return the tag that says how many cases can still move the picture; scores freeze, it follows its cases."""
    if not picture.open.count:
        return Markup("")
    _ = f._
    frozen = picture.judged is not None and picture.judged.frozen
    words = (
        _("{n} still open: they move these figures, not the scores")
        if frozen
        else _("Provisional: {n} cases can still change it")
    ).format(n=amounts.count(picture.open.count))
    number = opens(picture.open.cases.key, words)
    return markup('<span class="gw-tag {tone}">{t}</span>', tone="" if frozen else "yellow", t=number)


@st.fragment(run_every=NOW_EVERY_S)
def present(f: Frame, area: str) -> None:
    """Show the present, which is live whatever the period; it reads by itself."""
    _ = f._
    try:
        found = data.present(f.city, f.who.actor, area, datetime.now(UTC))
    except psycopg.Error:
        away(f.lang)  # read anew by itself, outside the page's own frame
        return
    if found is None:
        return
    parts = [
        markup(
            '<div><span class="m2">{now} {at}</span></div>',
            now=_("Now"), at=f"{found.at.astimezone(naming.zone()):%H:%M:%S}",
        )
    ]  # fmt: skip
    holders = _(", ").join(f"{naming.holder(f.directory, key, f.lang)} {n}" for key, n in found.holders)
    red = markup(
        '<b class="{tone}">{n}</b>', tone="red" if found.overdue.count else "", n=found.overdue.count
    )
    parts.append(
        markup(
            '<div class="long"><span class="gw-light {light}"></span>{words} {n}{whose}</div>',
            light="red" if found.overdue.count else "green", words=_("Past a limit"),
            n=opens(found.overdue.cases.key, red),
            whose=markup('<span class="whose" title="{w}">{w}</span>', w=_("with whom: {names}").format(names=holders))
            if holders else "",
        )
    )  # fmt: skip
    for counted, words, light in (
        (found.whistles_late, _("Whistled, not there in 30 minutes"), "red"),
        (found.raised, _("Raised, in hand"), "yellow"),
    ):
        number = markup(
            '<b class="{tone}">{n}</b>',
            tone=light if counted.count and light == "red" else "",
            n=counted.count,
        )
        parts.append(
            markup(
                '<div><span class="gw-light {light}"></span>{words} {n}</div>',
                light=light if counted.count else "green", words=words, n=opens(counted.cases.key, number),
            )
        )  # fmt: skip
    war = _("none")
    if found.wartime:
        first = found.wartime[0]
        war = _("{level}, {place}").format(
            level=pick(f.lang, *LEVELS[first.level]), place=naming.area(f.directory, first.area_code, f.lang)
        )
    parts.append(
        markup("<div>{words} <b style='font-size:14px'>{war}</b></div>", words=_("Wartime now"), war=war)
    )
    if panel(markup('<div class="gw-now">{parts}</div>', parts=joined(parts)), "leaders-now", open_cases):
        st.rerun()


def say(f: Frame, picture: Overview, today: date) -> None:
    """Say in a sentence how the period went, and beside it against what, and how far it has come."""
    clauses = spoken.clauses(picture, f.lang)
    pieces: list[Markup] = []
    for n, clause in enumerate(clauses):
        text = opens(clause.cases.key, clause.text, "") if clause.cases is not None else clause.text
        if n == 0:
            # The figure and how it moved come first, and are read first.
            text = markup("<b>{first}</b>", first=text)
        pieces.append(markup("{joint}{text}", joint=clause.joint(f.lang) if n else "", text=text))
    panel(
        markup(
            '<p class="gw-say">{all}{end} {beside}</p>',
            all=joined(pieces), end="。" if f.lang == "zh" else ".",
            beside=joined([_against(f, picture), _standing(f, picture, today), _moving(f, picture)], " "),
        ),
        "leaders-say",
        open_cases,
    )  # fmt: skip

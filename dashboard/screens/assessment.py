"""Assessment: one subject's score of one month, where the points went, the cases behind it, and how to object.

Written for the person judged: what was lost comes first, and every number opens the cases that it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import uuid4

import streamlit as st

from dashboard import address
from dashboard.casework.appeal import ASKED, dialog
from dashboard.data import assessment as data
from dashboard.data import judged
from dashboard.data.assessment import Card, Line
from dashboard.frame import Frame, framed
from dashboard.widgets import charts, scorecard
from dashboard.widgets.assessment import cases
from dashboard.widgets.assessment.choice import head, month_of, subject_of
from dashboard.widgets.panel import panel, title
from dashboard.wording import amounts, names
from dashboard.wording.catalogue import pick
from dispatch.rules.measures.assessment import VOLUME
from dispatch.scores.scoring import CARDS

SEAL = "assessment.hash"  # what the night found: a card that is not what was sealed


def page() -> None:
    """Show `?subject=kind/id` in `?month=`, with its part `?part=` and the set of cases `?set=` chosen."""
    with framed("assessment") as f:
        known = data.months(f.city)
        if not known:
            st.info(
                f._("No month has been assessed yet: the first appears in the night after the first reports.")
            )
            return
        month = month_of(known)
        subject = subject_of(f, month)
        name = st.query_params.get("card", "")
        if subject is not None and name not in CARDS[subject[0]]:
            name = CARDS[subject[0]][0]
        card = None
        if subject is not None:
            card = data.card(f.city, f.who.actor, *subject, month, name)
        head(f, known, month, subject, card)
        if card is None:
            st.info(
                f._("No data: nothing of this subject was judged in this month, or it is not yours to see.")
            )
            return
        _body(f, card)


def _body(f: Frame, card: Card) -> None:
    lines = data.bundles(f.city, card)
    sets = judged.every_set(f.city, card)
    # How much was dispatched of what earns all is no split of a base.
    split = [line for line in card.lines if line.d and line.name != VOLUME]
    listed = all(judged.adds_up(sets[line.name], line.d) for line in split)
    if card.kind in data.LOOSE and not listed:
        sets, listed = {}, True
    adds = card.adds_up and listed
    for wrong in card.wrong:
        if wrong.what == SEAL:
            st.error(
                f._("The seal does not fit what is stored, since {at}.").format(
                    at=names.moment(wrong.found_at)
                )
            )
            continue
        st.error(
            f._(
                "The night's recomputation differs since {at}: stored {a}, recomputed {b}. It stands on the"
                " administrators' list; until it is mended, rely on neither."
            ).format(at=names.moment(wrong.found_at), a=wrong.stored[:40], b=wrong.recomputed[:40])
        )
    if not adds:
        st.error(
            f._("The parts do not add up to the score, or the cases to their base. Do not rely on this card.")
        )
    chosen = _part(card)
    bare = judged.bare(f.city, f.who.actor, card)
    top = st.columns([336, 676, 316], gap="small")
    with top[0].container(border=True, height="stretch", key="gw-card-score"):
        panel(scorecard.head(card, data.peers(f.city, card), f._), "score-head")
    with top[1].container(border=True, height="stretch", key="gw-card-lost"):
        _lost(f, card, chosen)
    with top[2].container(border=True, height="stretch", key="gw-card-counts"):
        panel(scorecard.standing(card, adds, f._, bare.total if bare else 0), "score-standing")
    with st.container(border=True, key="gw-card-parts"):
        panel(scorecard.table(card, chosen, sets, f.lang, f._, bare), "score-parts", _pressed)
    below = st.columns([100, 48], gap="small")
    with below[0].container(border=True, height="stretch", key="gw-card-cases"):
        _cases(f, card, card.line(chosen), sets.get(chosen, {}))
    with below[1].container(border=True, height="stretch", key="gw-card-exempt"):
        _beside(f, card, lines, sets, bare)
    dialog(f, card, lines)


# ---- parts -----------------------------------------------------------------------------------------------------


def _part(card: Card) -> str:
    """Return the part of the address, or the one that lost the most."""
    wish = st.query_params.get("part", "")
    if any(line.name == wish for line in card.lines):
        return wish
    return max(card.lines, key=lambda line: (line.lost, line.d)).name


def _pressed(what: str) -> None:
    """Follow a press: another part, an appeal, or a judgement on one."""
    if what.startswith(scorecard.PART):
        part, _mark, label = what.removeprefix(scorecard.PART).partition("~")
        address.choose(part=part, set=label, page="")
    elif what.startswith((scorecard.APPEAL, scorecard.JUDGE)):
        kind, _mark, case = what.partition("~")
        st.session_state[ASKED] = (kind, int(case), uuid4().hex)


def _lost(f: Frame, card: Card, chosen: str) -> None:
    _ = f._
    if card.score is None:
        st.caption(_("No data"))
        return
    title(
        _("From 100 to {score}: where the points went").format(score=amounts.score(card.score, _, 0)),
        _("most lost first; press one to see its cases"),
    )
    losses = scorecard.losses(card, chosen, f.lang)
    key = f"lost-{card.kind}-{card.subject}-{card.month.month}-{card.name}-{chosen}"

    def selected() -> None:
        points = st.session_state[key]["selection"]["points"]
        part = points[0].get("customdata") if points else None
        part = part[0] if isinstance(part, list) and part else part
        if part:
            _pressed(f"{scorecard.PART}{part}")

    st.plotly_chart(
        charts.waterfall(losses, float(card.score), 210), key=key, theme=None, on_select=selected,
        selection_mode="points",
        config={"displayModeBar": False},
    )  # fmt: skip


# ---- cases -----------------------------------------------------------------------------------------------------


def _cases(f: Frame, card: Card, line: Line | None, sets: Mapping[str, Sequence[int]]) -> None:
    _ = f._
    if line is None or not line.d:
        st.caption(_("No data: this part has no cases, and takes no weight."))
        return
    if not sets:
        st.caption(_("The cases stand on the cards of those who worked on them."))
        return
    wish = st.query_params.get("set", "")
    label = wish if wish in sets else next((each for each, ids in sets.items() if ids), next(iter(sets)))
    ids = sets[label]

    def moved(key: str) -> None:
        if st.session_state.get(key):
            address.choose(set=st.session_state[key], page="")

    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{_('Cases of: {part}').format(part=pick(f.lang, line.zh, line.en))}**", width="content"
        )
        key = f"set-{line.name}-{label}"
        st.segmented_control(
            _("Set"), list(sets), default=label, key=key, on_change=moved, args=(key,), required=True,
            label_visibility="collapsed",
            format_func=lambda each: f"{scorecard.set_name(each, line, _)} {len(sets[each]):,}",
        )  # fmt: skip
        st.caption(_("longest past the limit first"), width="content")
    pages = max(1, -(-len(ids) // judged.PAGE_ROWS))
    wished = st.query_params.get("page", "1")
    page = min(pages, int(wished)) if wished.isdecimal() and int(wished[:6]) > 0 else 1
    rows = judged.rows(f.city, f.who.actor, (card.kind, card.subject), ids, card.month.as_of, page)
    # There is nothing to object to in what does not count against the subject.
    objects = label in judged.against(line)
    appealable = frozenset(row.id for row in rows if objects and judged.may(f.who.actor, "appeal", row.state))
    panel(cases.cases(rows, f.directory, card.kind, appealable, f.lang, _), "score-cases", _pressed)
    if len(rows) < min(judged.PAGE_ROWS, len(ids) - (page - 1) * judged.PAGE_ROWS):
        st.caption(_("Cases outside your area are counted, but not listed."))
    if pages > 1:
        _pages(f, page, pages)


def _pages(f: Frame, page: int, pages: int) -> None:
    def to(number: int) -> None:
        address.choose(page=str(number))

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("‹", key="score-back", disabled=page <= 1, on_click=to, args=(page - 1,))
        st.caption(f._("page {n} of {m}").format(n=page, m=pages), width="content")
        st.button("›", key="score-on", disabled=page >= pages, on_click=to, args=(page + 1,))


def _beside(
    f: Frame, card: Card, lines: Sequence[Mapping[str, Line]], sets: Mapping[str, Mapping[str, Sequence[int]]],
    bare: judged.Bare | None,
) -> None:  # fmt: skip
    """Show what was exempted and what is under appeal."""
    exempt = {case for line in card.lines for case, _why in (*line.exempt, *line.left_out)}
    panel(cases.exempt(card, bare, f.directory, f.lang, f._), "score-exempt")
    lost = {
        case
        for line in card.lines
        for label, ids in sets.get(line.name, {}).items()
        if label in judged.against(line)
        for case in ids
    }
    found = judged.appeals(f.city, f.who.actor, lost | exempt)
    effects = {each.incident_id: judged.if_granted(card, lines, each.incident_id) for each in found}
    judges = judged.may(f.who.actor, "judge_appeal", "closed")
    panel(cases.appeals(card, found, effects, judges, f.directory, f.lang, f._), "score-appeals", _pressed)

"""Assessment: one subject's score of one month, where the points went, the cases behind it, and how to object.

Written for the person judged: what was lost comes first, and every number opens the cases that it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import streamlit as st

from dashboard import address
from dashboard.data import assessment as data
from dashboard.data import judged
from dashboard.data.assessment import Card, Line, Listed, Month, Subject
from dashboard.frame import Frame, framed
from dashboard.widgets import charts, scorecard
from dashboard.widgets.export import ROWS_LIMIT, download
from dashboard.widgets.panel import panel
from dashboard.wording import amounts
from dashboard.wording import names as told
from dashboard.wording.catalogue import pick
from dispatch.intake.messages import show_number
from dispatch.rules.incident.appeals import SPANS_LIMIT
from dispatch.rules.measures.assessment import VOLUME
from dispatch.scores.scoring import CARDS, KINDS

REASON_MOST = 500
ROWS_EXPORTED = ROWS_LIMIT + 1  # so that a file that is cut says so
SEAL = "assessment.hash"  # what the night found: a card that is not what was sealed
ASKED = "asked"  # of the session: an appeal or judgement that a dialog asks about


def page() -> None:
    """Show `?subject=kind/id` in `?month=`, with its part `?part=` and the set of cases `?set=` chosen."""
    with framed("assessment") as f:
        known = data.months(f.door)
        if not known:
            st.info(
                f._("No month has been assessed yet: the first appears in the night after the first reports.")
            )
            return
        month = _month(known)
        subject = _subject(f, month)
        name = st.query_params.get("card", "")
        if subject is not None and name not in CARDS[subject[0]]:
            name = CARDS[subject[0]][0]
        card = None
        if subject is not None:
            card = data.card(f.door, f.who.actor, *subject, month, name)
        _head(f, known, month, subject, card)
        if card is None:
            st.info(
                f._("No data: nothing of this subject was judged in this month, or it is not yours to see.")
            )
            return
        _body(f, card)


def _body(f: Frame, card: Card) -> None:
    lines = data.bundles(f.door, card)
    sets = judged.every_set(f.door, card)
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
                    at=told.moment(wrong.found_at)
                )
            )
            continue
        st.error(
            f._(
                "The night's recomputation differs since {at}: stored {a}, recomputed {b}. It stands on the"
                " administrators' list; until it is mended, rely on neither."
            ).format(at=told.moment(wrong.found_at), a=wrong.stored[:40], b=wrong.recomputed[:40])
        )
    if not adds:
        st.error(
            f._("The parts do not add up to the score, or the cases to their base. Do not rely on this card.")
        )
    chosen = _part(card)
    bare = judged.bare(f.door, f.who.actor, card)
    top = st.columns([336, 676, 316], gap="small")
    with top[0].container(border=True, height="stretch", key="gw-card-score"):
        panel(scorecard.head(card, data.peers(f.door, card), f._), "score-head")
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
    _asked(f, card, lines)


# ---- whose card ------------------------------------------------------------------------------------------------


def _month(known: Sequence[Month]) -> Month:
    """Return the month of the address, or the newest frozen one: a provisional number is no place to begin."""
    wish = st.query_params.get("month", "")
    found = next((each for each in known if f"{each.month:%Y-%m}" == wish), None)
    return found or next((each for each in known if each.frozen), known[0])


def _subject(f: Frame, month: Month) -> Subject | None:
    kind, found, subject = st.query_params.get("subject", "").partition("/")
    if found and kind in CARDS and subject:
        return kind, subject
    own = data.own_subjects(f.who.actor)
    for each in own:
        if data.card(f.door, f.who.actor, *each, month, CARDS[each[0]][0]) is not None:
            return each
    return own[0] if own else ("city", next((c for c, a in f.directory.areas.items() if a.level == 1), ""))


def _head(f: Frame, known: Sequence[Month], month: Month, subject: Subject | None, card: Card | None) -> None:
    _ = f._

    def moved(key: str, name: str) -> None:
        value = st.session_state.get(key)
        if value:
            address.choose(**{name: str(value), "part": "", "set": "", "page": ""})

    def kind_chosen(key: str) -> None:
        first = data.listed(f.door, f.who.actor, st.session_state[key], month)
        if first:
            address.choose(subject=f"{first[0].kind}/{first[0].subject}", part="", set="", page="", card="")

    with st.container(horizontal=True, vertical_alignment="center", key="gw-head"):
        st.markdown("### " + _("Assessment"), width="content")
        kinds = data.kinds_for(f.who.actor)
        if subject is not None and kinds:
            shown = list(dict.fromkeys([*kinds, subject[0]]))
            key = f"kind-{subject[0]}"
            if len(shown) > 1:
                st.selectbox(
                    _("Kind"), shown, shown.index(subject[0]),
                    format_func=lambda k: KINDS[k][0 if f.lang == "zh" else 1],
                    key=key, on_change=kind_chosen, args=(key,), label_visibility="collapsed", width=130,
                )  # fmt: skip
            _choose(f, subject, month, moved)
        key = f"month-{month.month:%Y-%m}"
        options = [f"{each.month:%Y-%m}" for each in reversed(known[:4])]
        if f"{month.month:%Y-%m}" not in options:
            options.insert(0, f"{month.month:%Y-%m}")
        frozen = {f"{each.month:%Y-%m}": each.frozen for each in known}
        st.segmented_control(
            _("Month"), options, default=f"{month.month:%Y-%m}", key=key, on_change=moved,
            args=(key, "month"), required=True,
            format_func=lambda m: f"{m} {_('frozen') if frozen.get(m) else _('provisional')}",
            label_visibility="collapsed",
        )  # fmt: skip
        if card is not None and len(card.cards) > 1:
            names = {
                "unit": _("Work of a unit"), "whistle": _("Whistles and satisfaction"),
                "dispatcher": _("Dispatcher"),
                "duty_leader": _("Duty leader"), "grid_worker": _("Grid worker"),
            }  # fmt: skip
            key = f"card-{card.name}"
            st.segmented_control(
                _("Card"), card.cards, default=card.name, key=key, on_change=moved, args=(key, "card"),
                required=True,
                format_func=lambda c: names[c], label_visibility="collapsed",
            )  # fmt: skip
        st.space("stretch")
        if card is not None:
            _save(f, card)


def _choose(f: Frame, subject: Subject, month: Month, moved: Any) -> None:
    found = data.listed(f.door, f.who.actor, subject[0], month)
    by_key = {f"{each.kind}/{each.subject}": each for each in found}
    own = f"{subject[0]}/{subject[1]}"
    options = list(by_key) if own in by_key else [own, *by_key]
    names = _names(f, subject[0], month)

    def name(key: str) -> str:
        each: Listed | None = by_key.get(key)
        # What is not theirs to see is not named either.
        mine = each is not None or subject in data.own_subjects(f.who.actor)
        words = names(key.partition("/")[2]) if mine else key
        return words if each is None or each.score is None else f"{words}　{each.score:.0f}"

    key = f"subject-{own}"
    st.selectbox(
        f._("Subject"), options, options.index(own), format_func=name, key=key, on_change=moved,
        args=(key, "subject"),
        label_visibility="collapsed", width=280,
    )  # fmt: skip


def _names(f: Frame, kind: str, month: Month) -> Any:
    """Return the function that names a subject of a kind: of a frozen month by the name that it had then."""
    now, then = _names_now(f, kind), data.names_then(f.door, month)

    def name(subject: str) -> str:
        kept = then.get((kind, subject))
        return now(subject) if kept is None or _same(f, kind, subject, kept) else pick(f.lang, *kept)

    return name


def _same(f: Frame, kind: str, subject: str, kept: tuple[str, str]) -> bool:
    """Tell whether a subject is still called what it was."""
    if kind == "department":
        return _departments().get(subject) == kept
    found = f.directory.teams.get(int(subject)) if kind == "team" else f.directory.areas.get(subject)
    return found is not None and (found.name, found.name_en or "") == kept


def _names_now(f: Frame, kind: str) -> Any:
    if kind in data.AREAS:
        return lambda subject: (
            told.place(f.directory, subject, f.lang) if subject in f.directory.areas else subject
        )
    if kind == "team":
        return lambda subject: (
            told.team(f.directory, int(subject), f.lang) if subject.isdecimal() else subject
        )
    if kind == "department":
        departments = _departments()
        return lambda subject: pick(f.lang, *departments[subject]) if subject in departments else subject
    return lambda subject: told.actor(f.directory, subject, f.lang)


@st.cache_data(ttl=600, show_spinner=False)
def _departments() -> dict[str, tuple[str, str]]:
    from dashboard.data import reads

    return data.department_names(reads())


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
    st.html(
        '<div class="gw-title"><b>{t}</b> <span class="gw-muted">{n}</span></div>'.format(
            t=_("From 100 to {score}: where the points went").format(score=amounts.score(card.score, _, 0)),
            n=_("most lost first; press one to see its cases"),
        )
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
    rows = judged.rows(f.door, f.who.actor, (card.kind, card.subject), ids, card.month.as_of, page)
    # There is nothing to object to in what does not count against the subject.
    objects = label in judged.against(line)
    appealable = frozenset(row.id for row in rows if objects and judged.may(f.who.actor, "appeal", row.state))
    panel(scorecard.cases(rows, f.directory, card.kind, appealable, f.lang, _), "score-cases", _pressed)
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
    panel(scorecard.exempt(card, bare, f.directory, f.lang, f._), "score-exempt")
    lost = {
        case
        for line in card.lines
        for label, ids in sets.get(line.name, {}).items()
        if label in judged.against(line)
        for case in ids
    }
    found = judged.appeals(f.door, f.who.actor, lost | exempt)
    effects = {each.incident_id: judged.if_granted(card, lines, each.incident_id) for each in found}
    judges = judged.may(f.who.actor, "judge_appeal", "closed")
    panel(
        scorecard.appeals(card, found, effects, judges, f.directory, f.lang, f._), "score-appeals", _pressed
    )


def _save(f: Frame, card: Card) -> None:
    """Offer the card's proof as a file: every case of every part, in which set, as of when and by which rules."""
    _ = f._
    columns = [
        _("part"),
        _("set"),
        _("Number"),
        _("Type"),
        _("Place"),
        _("limit"),
        _("time used"),
        _("past it"),
    ]

    def rows() -> list[list[Any]]:
        lines, found = data.bundles(f.door, card), []
        for line in card.lines:
            for label, ids in judged.sets_of(lines, line.name).items():
                listed = judged.rows(
                    f.door, f.who.actor, (card.kind, card.subject), ids, card.month.as_of, 1, ROWS_EXPORTED
                )
                for each in listed:
                    kind = f.directory.types.get(each.category)
                    late = each.over_s is not None and each.over_s > 0
                    found.append(
                        [
                            pick(f.lang, line.zh, line.en), scorecard.set_name(label, line, _),
                            show_number(each.number),
                            each.category if kind is None else pick(f.lang, kind.name, kind.name_en),
                            told.place(f.directory, each.area_code, f.lang), each.limit,
                            None if each.used_s is None else amounts.span(each.used_s, _),
                            amounts.span(each.over_s, _) if late and each.over_s is not None else None,
                        ]
                    )  # fmt: skip
        return found

    notes = (
        f"{_('Score')} {amounts.score(card.score, _)}　{_('as of')} {told.moment(card.month.as_of)}",
        f"{_('Rules')} {card.month.version}　{_('Seal')} {card.hash}",
    )
    name = f"{_names(f, card.kind, card.month)(card.subject)} {card.month.month:%Y-%m}"
    download(_("Proof, Excel"), rows, columns, name, key="score-file", notes=notes)


# ---- appeals ---------------------------------------------------------------------------------------------------


def _asked(f: Frame, card: Card, lines: Sequence[Mapping[str, Line]]) -> None:
    """Ask for what an appeal or a judgement needs, and hand it to the Desk; a refusal stays in the dialog."""
    asked = st.session_state.get(ASKED)
    if not asked:
        return
    kind, case, press = asked
    _ = f._
    appealing = kind == scorecard.APPEAL.rstrip("~")

    @st.dialog(
        _("Appeal") if appealing else _("Judge the appeal"),
        on_dismiss=lambda: st.session_state.pop(ASKED, None),
    )
    def ask() -> None:
        about = judged.asked(f.door, f.who.actor, case)
        if about is None:
            st.warning(_("There is no such incident."))
            return
        type_of = f.directory.types.get(about.category)
        name = about.category if type_of is None else pick(f.lang, type_of.name, type_of.name_en)
        st.markdown(
            f"**{show_number(about.number)}**　{name}　{told.place(f.directory, about.area_code, f.lang)}"
        )
        after = judged.if_granted(card, lines, case)
        if after is not None and card.score is not None:
            words = _("If granted, this card goes from {a} to {b} ({by}).").format(
                a=amounts.score(card.score, _),
                b=amounts.score(after, _),
                by=amounts.signed(after - card.score, 2),
            )
            st.info(words)
            if card.month.frozen:
                st.caption(_("The month is frozen: its score stays, and the change is entered beside it."))
        args: dict[str, Any] = {}
        if appealing:
            st.caption(_("An incident can be appealed once. Two reviewers judge it, neither of them you."))
        else:
            verdict = st.radio(
                _("Grant it?"), [True, False], format_func=lambda yes: _("Yes") if yes else _("No"),
                horizontal=True,
                key=f"granted-{press}",
            )  # fmt: skip
            args["granted"] = bool(verdict)
            if verdict and st.checkbox(_("It was never theirs"), key=f"never-{press}"):
                args["never_theirs"] = True
            if verdict and (spans := _exempt_time(f, about, press)):
                args["spans"] = spans
        args["reason"] = st.text_area(_("Reason"), max_chars=REASON_MOST, key=f"reason-{press}")
        if st.button(_("Send"), type="primary", key=f"send-{press}"):
            verb = "appeal" if appealing else "judge_appeal"
            outcome = judged.act(f.door, f.who.actor, verb, case, press, args)
            if outcome.refusal is not None:
                st.error(outcome.refusal.words(f.lang))
            else:
                st.session_state.pop(ASKED, None)
                st.rerun()

    ask()


def _exempt_time(f: Frame, about: judged.Asked, press: str) -> list[list[str]]:
    """Ask for the stretches of time that are exempt, on the city's clock; none stands for the whole."""
    _ = f._
    begin: datetime = about.reported_at
    # Kept while the dialog is open: a field whose bounds move forgets what was chosen.
    end: datetime = st.session_state.setdefault(f"till-{press}", datetime.now(UTC))
    whole = st.radio(
        _("What is exempt"), [True, False], index=1 if about.spans else 0, horizontal=True, key=f"whole-{press}",
        format_func=lambda yes: _("The whole time") if yes else _("Stretches of it"),
    )  # fmt: skip
    if about.spans:
        given = _("; ").join(f"{told.moment(since)} – {told.moment(until)}" for since, until in about.spans)
        st.caption(_("The first reviewer gave: {spans}. What both give is exempt.").format(spans=given))
    if whole:
        return []
    st.caption(
        _(
            "On the city's clock, from the report at {at} till now. The month is judged anew in the night."
        ).format(at=told.moment(begin))
    )
    first = about.spans or ((begin, end),)
    rows = st.number_input(_("How many stretches"), 1, SPANS_LIMIT, len(first), key=f"rows-{press}")
    found = []
    for n in range(int(rows)):
        since, until = first[min(n, len(first) - 1)]
        left, right = st.columns(2)
        limits: dict[str, Any] = {
            "min_value": _local(begin), "max_value": _local(end), "step": timedelta(minutes=5)
        }  # fmt: skip
        since = left.datetime_input(_("From"), _local(since), key=f"from-{press}-{n}", **limits)
        until = right.datetime_input(_("Until"), _local(until), key=f"until-{press}-{n}", **limits)
        # The fields know minutes; the report and this moment have seconds.
        since, until = (each.replace(tzinfo=told.zone()) for each in (since, until))
        found.append([max(since, begin).isoformat(), min(until, end).isoformat()])
    return found


def _local(at: datetime) -> datetime:
    """Return an instant as a date and time of the city's clock, to the minute, without a zone."""
    return at.astimezone(told.zone()).replace(second=0, microsecond=0, tzinfo=None)

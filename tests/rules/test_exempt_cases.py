"""Prove what an exempt case does to a card: it never lowers a score, and taken out again leaves what was before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.rules.measures.assessment import Counted, Exempted, score, shown, verdict, without_exemptions
from dispatch.rules.measures.indicators import Case, evaluate, moved
from dispatch.rules.time import clocks
from dispatch.rules.time.calendar import Limit
from tests.shipped_assessment import CALENDAR, MONDAY, RULES


def test_exempt_time_is_taken_out_of_the_clock_and_only_as_much_as_it_is() -> None:
    clock = clocks.start(Limit.parse("4wh"), MONDAY, CALENDAR)
    end = MONDAY + timedelta(hours=7)  # 16:00: five working hours, the noon break left out
    late = clocks.meet(clock, end)
    assert verdict(late, end, CALENDAR) == "late"
    noon = (
        MONDAY + timedelta(hours=3),
        MONDAY + timedelta(hours=5),
    )  # 12:00 to 14:00 was no working time anyway
    assert verdict(late, end, CALENDAR, [noon]) == "late"
    hour = (MONDAY + timedelta(hours=1), MONDAY + timedelta(hours=2))
    assert verdict(late, end, CALENDAR, [hour]) == "on_time"
    short = (MONDAY + timedelta(hours=1), MONDAY + timedelta(hours=2) - timedelta(seconds=1))
    assert verdict(late, end, CALENDAR, [short]) == "late"


def test_removing_a_late_case_would_lower_a_score_that_recomputing_it_raises() -> None:
    """About -0.1 by removing it, +0.21 by recomputing it: 96 cases, 76 disposed, 4 of them in time, 20 overdue."""
    cases = [
        Case(
            i, sent=True, dispatched=True, disposed=i <= 76, on_time=i <= 4, overdue=i > 76, overdue_raw=i > 76
        )
        for i in range(1, 97)
    ]  # fmt: skip
    late = cases[75]
    granted = replace(late, on_time=True, exempt="台风")
    before = score(RULES, "unit", cases).value
    removed = score(RULES, "unit", [c for c in cases if c is not late]).value
    recomputed = score(RULES, "unit", [granted if c is late else c for c in cases]).value
    assert before is not None
    assert removed is not None
    assert recomputed is not None
    assert shown(removed - before, percent=False) == "-0.10"
    assert shown(recomputed - before, percent=False) == "0.21"
    rate = evaluate(RULES.catalogue["on_time_disposal"], [replace(late, on_time=True, exempt="台风")])
    assert rate.exempt == ((late.id, "台风"),)
    assert rate.denominator == (late.id,)


def test_a_case_that_was_never_theirs_leaves_the_base_where_it_counts_against_them() -> None:
    theirs = Case(1, sent=True, dispatched=True, disposed=True, on_time=True)
    never = Case(
        2, sent=True, dispatched=True, overdue_raw=True, overdue=True, exempt="非本辖区", never_theirs=True
    )
    rate = evaluate(RULES.catalogue["disposal"], [theirs, never])
    assert (rate.denominator, rate.left_out) == ((1,), ((2, "非本辖区"),))
    assert evaluate(RULES.catalogue["disposal"], [never]).value is None


FLAGS = (
    "accepted", "own_report", "reported", "sent", "dispatched", "target", "disposed", "closed", "reworked", "returned",
    "not_ours", "extended", "whistle_sent", "whistle_answered", "whistle_on_site", "whistle_ended", "called_back",
    "contacted", "solved",
)  # fmt: skip
VERDICTS = ("registered_on_time", "dispatched_on_time", "checked_on_time", "verified_on_time")


@st.composite
def _drawn(draw: st.DrawFn) -> list[Case]:
    made = []
    for number in range(draw(st.integers(1, 12))):
        facts: dict[str, Any] = {name: draw(st.booleans()) for name in FLAGS}
        facts["on_time"] = facts["on_time_raw"] = facts["disposed"] and draw(st.booleans())
        facts["overdue"] = facts["overdue_raw"] = not facts["disposed"] and draw(st.booleans())
        facts["closed_on_time"] = facts["closed"] and draw(st.booleans())
        facts["satisfied"] = draw(st.booleans())
        facts["mostly"] = not facts["satisfied"] and draw(st.booleans())
        facts["whistle_rating"] = draw(st.one_of(st.none(), st.integers(1, 5)))
        for name in VERDICTS:
            facts[name] = draw(st.one_of(st.none(), st.booleans()))
        made.append(Case(number, **facts))
    return made


@given(cases=_drawn(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_an_exemption_never_lowers_a_score(cases: list[Case], data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(cases) - 1))
    case = cases[which]
    # Done late it is in time, not done it is not asked for.
    excused: Any = {
        name: data.draw(st.sampled_from((True, None))) for name in VERDICTS if getattr(case, name) is False
    }
    granted = replace(
        case,
        exempt="appeal",
        on_time=case.disposed,
        overdue=False,
        closed_on_time=case.closed,
        never_theirs=data.draw(st.booleans()),
        **excused,
    )
    after = [*cases[:which], granted, *cases[which + 1 :]]
    for card in RULES.cards:
        old, new = score(RULES, card, cases).value, score(RULES, card, after).value
        assert old is None or new is None or new >= old, card


# --- what a card would be without exemptions


def _counted(card: str, cases: list[Case]) -> dict[str, Counted]:
    """Return what a card of these cases is stored with."""
    return {
        name: Counted(part.rate.n, part.rate.d, tuple(i for i, _ in part.rate.left_out))
        for name, part in zip(RULES.cards[card], score(RULES, card, cases).parts, strict=True)
    }


def test_without_the_exemption_the_late_case_is_late_again() -> None:
    """Four disposed, one of them late and excused: 20 x 3/4 instead of 20 x 4/4; all else is the same."""
    theirs = [Case(i, sent=True, dispatched=True, disposed=True, on_time=True) for i in (1, 2, 3)]
    late = Case(4, sent=True, dispatched=True, disposed=True)
    excused = replace(late, on_time=True, exempt="暴雨")
    counted = _counted("unit", [*theirs, excused])
    raw = without_exemptions(RULES, "unit", counted, Exempted((excused,), (late,)))
    assert {p.rate.indicator.name: f"{p.rate.n}/{p.rate.d}" for p in raw.parts} == {
        "disposal": "4/4", "on_time_disposal": "3/4", "rework": "0/4", "overdue_backlog": "0/4",
        "extension": "0/4",
    }  # fmt: skip
    assert score(RULES, "unit", [*theirs, excused]).value == 100
    assert raw.value == 95


def test_without_exemptions_a_case_that_was_never_theirs_is_in_the_base_again() -> None:
    """One of one; with the stranger back one of two: disposal 15, in time 10, backlog 10, rework 20, extension 10."""
    theirs = Case(1, sent=True, dispatched=True, disposed=True, on_time=True)
    raw_one = Case(2, sent=True, dispatched=True, overdue_raw=True, overdue=True)
    never = replace(raw_one, overdue=False, exempt="非本辖区", never_theirs=True)
    counted = _counted("unit", [theirs, never])
    assert counted["disposal"] == Counted(Fraction(1), 1, (2,))
    raw = without_exemptions(RULES, "unit", counted, Exempted((never,), (raw_one,)))
    found = {p.rate.indicator.name: f"{p.rate.n}/{p.rate.d}" for p in raw.parts}
    assert found["disposal"] == found["on_time_disposal"] == found["overdue_backlog"] == "1/2"
    assert raw.value == 65
    # Where all there was is another's, the card with exemptions has no data, and the one without has.
    alone = _counted("unit", [never])
    assert alone["disposal"].d == 0
    assert without_exemptions(RULES, "unit", alone, Exempted((never,), (raw_one,))).parts[0].rate.d == 1


def test_a_limit_that_is_not_asked_for_once_exempt_is_asked_for_again() -> None:
    kept, raw_one = Case(1, verified_on_time=True), Case(2, verified_on_time=False)
    excused = replace(raw_one, verified_on_time=None)
    counted = _counted("grid_worker", [kept, excused])
    assert counted["on_time_verification"] == Counted(Fraction(1), 1)
    raw = without_exemptions(RULES, "grid_worker", counted, Exempted((excused,), (raw_one,)))
    rate = next(p.rate for p in raw.parts if p.rate.indicator.name == "on_time_verification")
    assert f"{rate.n}/{rate.d}" == "1/2"
    assert moved(RULES.catalogue["on_time_verification"], excused, raw_one)
    assert not moved(RULES.catalogue["on_time_check"], excused, raw_one)


@given(cases=_drawn(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_taken_back_out_of_a_card_is_what_all_its_raw_cases_give(
    cases: list[Case], data: st.DataObject
) -> None:
    """Exact, for any number of exemptions, also where a case stands once for each of two subjects below."""
    cases = [*cases, *data.draw(st.lists(st.sampled_from(cases), max_size=3))]
    exempt = data.draw(st.lists(st.booleans(), min_size=len(cases), max_size=len(cases)))
    after, judged, raw = [], [], []
    for case, yes in zip(cases, exempt, strict=True):
        granted = case
        if yes:
            excused: Any = {name: True for name in VERDICTS if getattr(case, name) is False}
            granted = replace(
                case, exempt="appeal", on_time=case.disposed, overdue=False, closed_on_time=case.closed,
                never_theirs=data.draw(st.booleans()), **excused,
            )  # fmt: skip
            judged.append(granted)
            raw.append(case)
        after.append(granted)
    for card in RULES.cards:
        bare = without_exemptions(RULES, card, _counted(card, after), Exempted(tuple(judged), tuple(raw)))
        plain = score(RULES, card, cases)
        assert [(p.rate.n, p.rate.d) for p in bare.parts] == [(p.rate.n, p.rate.d) for p in plain.parts], card
        assert bare.value == plain.value
        new = score(RULES, card, after).value
        assert bare.value is None or new is None or new >= bare.value, card

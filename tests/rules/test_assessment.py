"""Prove every definition on a table worked out by hand, and each mistake seen in real systems."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from dispatch.rules.measures import assessment
from dispatch.rules.measures.assessment import parse, score, shown, verdict
from dispatch.rules.measures.indicators import Case, Rate, evaluate, indicators
from dispatch.rules.policy.policy import PolicyError
from dispatch.rules.time import clocks
from dispatch.rules.time.calendar import Limit
from tests.shipped_assessment import CALENDAR, MONDAY, RULES, TEXT

# Ten cases of one team in one month, worked out by hand.
CASES = (
    # 1 in time and closed; 2 the same, after one extension; 3 late and closed late; 4 in time, then done again.
    Case(1, accepted=True, reported=True, own_report=True, sent=True, dispatched=True, disposed=True, on_time=True,
         on_time_raw=True, closed=True, closed_on_time=True, dispatched_on_time=True, registered_on_time=True,
         verified_on_time=True, called_back=True, contacted=True, solved=True, satisfied=True, in_grid=True),
    Case(2, accepted=True, reported=True, sent=True, dispatched=True, disposed=True, on_time=True,
         on_time_raw=True, closed=True, closed_on_time=True, extended=True, dispatched_on_time=True,
         registered_on_time=True, verified_on_time=False, called_back=True, contacted=True, solved=True, mostly=True),
    Case(3, accepted=True, reported=True, sent=True, dispatched=True, disposed=True, closed=True,
         dispatched_on_time=False, registered_on_time=True, verified_on_time=True, called_back=True, contacted=True,
         repeat=True),
    Case(4, accepted=True, reported=True, own_report=True, sent=True, dispatched=True, disposed=True, on_time=True,
         on_time_raw=True, closed=True, reworked=True, registered_on_time=False, dispatched_on_time=True,
         verified_on_time=True, checked_on_time=True),
    # 5 disposed and waiting; 6 and 7 still inside their limits; 8 overdue; 9 returned as not ours; 10 refused.
    Case(5, accepted=True, reported=True, sent=True, dispatched=True, disposed=True, on_time=True, on_time_raw=True,
         dispute=True, settled=True, dispatched_on_time=True, registered_on_time=True),
    Case(6, accepted=True, reported=True, sent=True, dispatched=True, dispute=True, dispatched_on_time=True,
         registered_on_time=True),
    Case(7, accepted=True, reported=True, sent=True, dispatched=True, whistle_sent=True, whistle_answered=True,
         whistle_on_site=True, whistle_ended=True, whistle_rating=5, registered_on_time=True),
    Case(8, accepted=True, reported=True, sent=True, dispatched=True, overdue=True, overdue_raw=True,
         whistle_sent=True, whistle_answered=True, whistle_rating=4, registered_on_time=True, checked_on_time=False),
    Case(9, accepted=True, reported=True, sent=True, returned=True, not_ours=True, whistle_sent=True,
         dispatched_on_time=True, registered_on_time=True),
    Case(10, reported=True, own_report=True, registered_on_time=True),
)  # fmt: skip

# Indicator -> the cases of its numerator and of its denominator, in words of the published definition.
BY_HAND: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "disposal": ((1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 6, 7, 8)),
    "on_time_disposal": ((1, 2, 4, 5), (1, 2, 3, 4, 5, 6, 7, 8)),
    "closing": ((1, 2, 3, 4), (1, 2, 3, 4, 5, 8)),
    "on_time_closing": ((1, 2), (1, 2, 3, 4, 5, 8)),
    "rework": ((4,), (1, 2, 3, 4, 5, 8)),
    "overdue_backlog": ((8,), (1, 2, 3, 4, 5, 6, 7, 8)),
    "extension": ((2,), (1, 2, 3, 4, 5, 6, 7, 8)),
    "accurate_dispatch": ((1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4, 5, 6, 7, 8, 9)),
    "on_time_registering": ((1, 2, 3, 5, 6, 7, 8, 9, 10), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)),
    "on_time_dispatch": ((1, 2, 4, 5, 6, 9), (1, 2, 3, 4, 5, 6, 9)),
    "on_time_check": ((4,), (4, 8)),
    "on_time_verification": ((1, 3, 4), (1, 2, 3, 4)),
    "valid_reports": ((1, 4), (1, 4, 10)),
    "missed_by_others": ((2, 3, 5, 6, 7, 8, 9), (1, 2, 3, 4, 5, 6, 7, 8, 9)),
    "once_and_done": ((1, 2, 3), (1, 2, 3, 4)),
    "whistle_answered": ((7, 8), (7, 8, 9)),
    "whistle_on_site": ((7,), (7, 8, 9)),
    "whistle_ended": ((7,), (7, 8, 9)),
    "whistle_rating": ((7, 8), (7, 8)),
    "settlement": ((5,), (5, 6)),
    "solved_in_grid": ((1,), (1, 2, 3, 4)),
    "repeat": ((3,), (1, 2, 3, 4)),
    "response": ((1, 2, 3), (1, 2, 3)),
    "solution": ((1, 2), (1, 2, 3)),
    "satisfaction": ((1, 2), (1, 2, 3)),
    "three_rates": ((1, 2, 3), (1, 2, 3)),
}


def test_every_indicator_is_in_the_hand_worked_table() -> None:
    assert BY_HAND.keys() == indicators().keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_an_indicator_counts_the_cases_that_were_counted_by_hand(name: str) -> None:
    rate = evaluate(indicators()[name], reversed(CASES))
    assert (rate.numerator, rate.denominator) == BY_HAND[name]
    assert rate.d == len(BY_HAND[name][1])


def test_partial_credits_are_exact() -> None:
    every = indicators()
    assert evaluate(every["satisfaction"], CASES).value == Fraction(19, 30)  # (1 + 0.9) of 3
    # Each a tenth for contact, half for solving, two fifths of the satisfaction: 1 + 0.96 + 0.1 of 3.
    assert evaluate(every["three_rates"], CASES).value == Fraction(206, 300)
    assert evaluate(every["whistle_rating"], CASES).value == Fraction(9, 2)
    assert evaluate(every["whistle_rating"], CASES).share == Fraction(9, 10)


def test_the_unit_score_is_the_published_sum() -> None:
    own = score(RULES, "unit", CASES)
    by_hand = (
        30 * Fraction(5, 8)
        + 20 * Fraction(4, 8)
        + 20 * (1 - Fraction(1, 6))
        + 20 * (1 - Fraction(1, 8))
        + 10 * (1 - Fraction(1, 8))
    )
    assert own.value == by_hand
    assert own.weighed == 100
    assert shown(own.value, percent=False) == "71.67"
    assert assessment.band(RULES, own.value) == "C"


@pytest.mark.parametrize(
    ("value", "letter"),
    [("100", "A"), ("90", "A"), ("89.999999", "B"), ("75", "B"), ("60", "C"), ("40", "D"), ("39.9", "E"), ("0", "E")],
)  # fmt: skip
def test_a_band_begins_exactly_at_its_figure(value: str, letter: str) -> None:
    assert assessment.band(RULES, Fraction(value)) == letter


def test_an_empty_base_is_no_data_and_neither_0_nor_100() -> None:
    rate = evaluate(indicators()["disposal"], ())
    assert rate.value is None
    assert rate.share is None
    assert (shown(rate.value), shown(rate.value, "en")) == ("无数据", "no data")
    assert score(RULES, "unit", ()).value is None
    assert assessment.band(RULES, None) == ""
    # A part without data takes no weight: the others are not thinned by it.
    only = score(RULES, "unit", [Case(1, sent=True, dispatched=True)])
    assert only.weighed == 80
    assert only.value == Fraction(20 + 10) * 100 / 80


@pytest.mark.parametrize(("base", "expected"), [("due_to_close", 6), ("disposed", 5), ("dispatched", 8)])
def test_the_base_of_the_rework_rate_is_a_setting(base: str, expected: int) -> None:
    rate = evaluate(indicators(base)["rework"], CASES)
    assert (rate.numerator, rate.d) == ((4,), expected)
    changed = parse(2, TEXT.replace('rework_base = "due_to_close"', f'rework_base = "{base}"'))
    assert evaluate(changed.catalogue["rework"], CASES).d == expected


# --- the eight mistakes


def test_mistake_1_accuracy_is_not_always_whole() -> None:
    """Both branches of a real system set "accurate"."""
    good = Case(1, sent=True, dispatched=True)
    bad = Case(2, sent=True, returned=True, not_ours=True)
    accurate = indicators()["accurate_dispatch"]
    assert evaluate(accurate, [good]).value == 1
    assert evaluate(accurate, [bad]).value == 0
    assert evaluate(accurate, [good, bad]).value == Fraction(1, 2)
    # Given back for want of hands: it went to the right unit. The first definition counted it against the dispatcher.
    busy = Case(3, sent=True, returned=True)
    assert evaluate(accurate, [busy]).value == 1
    assert evaluate(indicators(definitions=1)["accurate_dispatch"], [busy]).value == 0


def test_mistake_2_a_miss_lowers_the_score_of_a_grid_worker() -> None:
    found = Case(1, accepted=True, reported=True, own_report=True)
    missed = Case(2, accepted=True, reported=True)
    alone, both = score(RULES, "grid_worker", [found]), score(RULES, "grid_worker", [found, missed])
    assert alone.value is not None
    assert both.value is not None
    assert both.value < alone.value


@pytest.mark.parametrize("card", ["unit", "whistle", "dispatcher", "duty_leader", "grid_worker"])
def test_mistake_3_weights_sum_to_a_hundred_and_a_better_rate_never_lowers_a_score(card: str) -> None:
    assert sum(RULES.cards[card].values()) == 100
    for name, weight in RULES.cards[card].items():
        if name == "volume":
            continue
        kind = RULES.catalogue[name]
        better, worse = Fraction(8, 10), Fraction(2, 10)
        if not kind.more_is_better:
            better, worse = worse, better
        high = assessment.Part(weight, Rate(kind, better * 10 * kind.top, 10, (), ()))
        low = assessment.Part(weight, Rate(kind, worse * 10 * kind.top, 10, (), ()))
        assert high.points == weight * Fraction(8, 10)
        assert low.points == weight * Fraction(2, 10)


def test_mistake_3_weights_that_do_not_sum_are_refused_with_file_key_and_reason() -> None:
    with pytest.raises(PolicyError, match=r"assessment\.toml: cards\.unit: weights sum to 70, expected 100"):
        parse(1, TEXT.replace("disposal = 30", "disposal = 10", 1).replace("extension = 10", "").replace(
            "overdue_backlog = 20", "overdue_backlog = 20"
        ))  # fmt: skip


def test_mistake_4_no_two_indicators_count_the_same_cases() -> None:
    """One rate's numerator stood in another's place: here every pair of sets differs on the table by hand."""
    alike = {
        # One says that they were reached, the other weighs all three answers: the same cases, other credits.
        frozenset({"response", "three_rates"}),
        frozenset({"solution", "satisfaction"}),
        frozenset({"whistle_on_site", "whistle_ended"}),
    }
    names = list(BY_HAND)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            if frozenset({one, other}) not in alike:
                assert BY_HAND[one] != BY_HAND[other], f"{one} and {other} cannot be told apart"
    # Those that the table cannot tell apart are told apart by one case each.
    reached = Case(1, called_back=True, contacted=True)
    solved = replace(reached, solved=True)
    on_site = Case(1, whistle_sent=True, whistle_on_site=True)

    def values(case: Case, *names: str) -> list[str]:
        return [shown(evaluate(indicators()[name], [case]).value, digits=0) for name in names]

    assert values(reached, "response", "three_rates") == ["100 %", "10 %"]
    assert values(solved, "solution", "satisfaction") == ["100 %", "0 %"]
    assert values(on_site, "whistle_on_site", "whistle_ended") == ["100 %", "0 %"]


def test_mistake_5_percentages_are_not_rounded_before_they_are_weighed() -> None:
    cases = [Case(i, sent=True, dispatched=True, disposed=i < 995, on_time=i < 995) for i in range(1_000)]
    own = score(RULES, "unit", cases)
    # 99.5 % rounded to 100 first would give a whole 100.
    assert own.value == 30 * Fraction(995, 1000) + 20 * Fraction(995, 1000) + 50
    assert shown(own.value, percent=False) == "99.75"
    assert shown(Fraction(1, 200), digits=0) == "1 %"
    assert shown(Fraction(5, 1000) - Fraction(1, 10**30), digits=0) == "0 %"


def test_mistake_6_working_days_are_counted_where_they_were_promised() -> None:
    friday = datetime(2026, 3, 13, 9, tzinfo=UTC)  # 17:00 in the city
    clock = clocks.start(Limit.parse("2wd"), friday, CALENDAR)
    tuesday = friday + timedelta(days=4)
    assert verdict(clocks.meet(clock, tuesday), tuesday, CALENDAR) == "on_time"
    around_the_clock = clocks.start(Limit.parse("2ud"), friday, CALENDAR)
    assert verdict(clocks.meet(around_the_clock, tuesday), tuesday, CALENDAR) == "late"


def test_mistake_6_an_open_case_inside_its_limit_is_not_on_time() -> None:
    clock = clocks.start(Limit.parse("2wd"), MONDAY, CALENDAR)
    assert verdict(clock, MONDAY + timedelta(hours=1), CALENDAR) == "inside"
    assert verdict(clock, MONDAY + timedelta(days=9), CALENDAR) == "overdue"
    rate = evaluate(indicators()["on_time_disposal"], [Case(1, sent=True, dispatched=True)])
    assert rate.n == 0
    assert rate.d == 1


def test_mistake_7_cases_without_a_target_are_not_on_time() -> None:
    """Counted as on time they showed 80.2 % where 75.5 % was true."""
    timed = [
        Case(i, dispatched=True, disposed=True, on_time=i < 755, on_time_raw=i < 755) for i in range(1_000)
    ]
    untimed = [Case(i, dispatched=True, disposed=True, target=False) for i in range(1_000, 1_237)]
    rate = evaluate(indicators()["on_time_disposal"], timed + untimed)
    assert shown(rate.value, digits=1) == "75.5 %"
    naive = Fraction(755 + len(untimed), len(timed) + len(untimed))
    assert shown(naive, digits=1) == "80.2 %"


def test_mistake_8_a_pause_stops_the_clock() -> None:
    clock = clocks.start(Limit.parse("4wh"), MONDAY, CALENDAR)
    paused = clocks.pause(clock, MONDAY + timedelta(hours=1), CALENDAR)
    far = MONDAY + timedelta(days=7)
    assert verdict(paused, far, CALENDAR) == "inside"
    resumed = clocks.resume(paused, far, CALENDAR)
    ended = far + timedelta(hours=2)
    assert verdict(clocks.meet(resumed, ended), ended, CALENDAR) == "on_time"
    spans = [
        (MONDAY, MONDAY + timedelta(hours=1), False),
        (MONDAY + timedelta(hours=1), far, True),
        (far, ended, False),
    ]
    assert assessment.used(spans, CALENDAR, working=True) == 3 * 3600
    # Unpaused it would have been late by days.
    assert verdict(clocks.meet(clock, ended), ended, CALENDAR) == "late"


def test_mistake_8_a_changed_limit_remembers_the_pause_so_far() -> None:
    clock = clocks.start(Limit.parse("4wh"), MONDAY, CALENDAR)
    again = clocks.resume(
        clocks.pause(clock, MONDAY + timedelta(hours=1), CALENDAR), MONDAY + timedelta(days=1), CALENDAR
    )
    assert again.due is not None
    longer = replace(again, due=CALENDAR.after(again.due, 3600, True))
    # An hour before the pause, three left, one granted: four working hours from Tuesday 09:00 end at 15:00.
    last = datetime(2026, 3, 10, 7, tzinfo=UTC)
    assert verdict(clocks.meet(longer, last), last, CALENDAR) == "on_time"
    after = last + timedelta(seconds=1)
    assert verdict(clocks.meet(longer, after), after, CALENDAR) == "late"


# --- times, figures, and the file


def test_stage_times_are_nearest_rank_in_both_kinds_of_time() -> None:
    cases = [Case(i, stages=(("dispose", i * 60.0, i * 6.0),)) for i in range(1, 11)]
    found = assessment.stage_times(cases)["dispose"]
    assert (found.n, found.p50, found.p90, found.mean) == (10, 300.0, 540.0, 330.0)
    assert (found.working_p50, found.working_p90, found.working_mean) == (30.0, 54.0, 33.0)
    assert assessment.stage_times([]) == {}


def test_the_seeds_own_figures_come_out_of_the_code() -> None:
    figures = assessment.headline(settled=6180, accepted=6255, villages=965)
    assert shown(figures["per_village"], percent=False) == "6.48"
    assert shown(figures["months_between"], percent=False) == "1.85"
    assert shown(figures["settled"]) == "98.80 %"
    cases = [Case(i, accepted=True, dispute=True, settled=i < 6180) for i in range(6255)]
    assert shown(evaluate(RULES.catalogue["settlement"], cases).value) == "98.80 %"
    assert set(assessment.headline(0, 0, 0).values()) == {None}


def test_figures_are_rounded_half_up_and_keep_their_zeros() -> None:
    assert shown(Fraction(1, 8), percent=False) == "0.13"
    assert shown(Fraction(-1, 8), percent=False) == "-0.13"
    assert shown(Fraction(1), digits=2) == "100.00 %"
    assert shown(Fraction(-1, 10**9), percent=False) == "0.00"
    assert shown(Fraction(2, 3), digits=0, percent=False) == "1"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("min_count = 10", "min_count = 0", "min_count: expected a whole number from 1"),
        ('rework_base = "due_to_close"', 'rework_base = "all"', "rework_base: expected one of"),
        ("confidence = 0.95", "confidence = 95", "confidence: expected a number"),
        ("A = 90", "A = 70", "bands: expected each band to begin below"),
        ("disposal = 30", "dispossal = 30", "cards.unit.dispossal: is not an indicator"),
        ("volume = 20", "volume = 21", "cards.dispatcher: weights sum to 101"),
        ("disposal = 30", "disposal = 30.5", "cards.unit.disposal: expected a whole number"),
        ("[cards.grid_worker]", "[cards.worker]", "cards: missing grid_worker"),
        ("satisfied = [4, 5]", "satisfied = [4, 6]", "ratings.satisfied: expected a list"),
        ("[ratings]", "[rating]", "ratings: is missing"),
        ("[bands]", "[bands", "text: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_key_and_reason(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(PolicyError) as refused:
        parse(1, TEXT.replace(old, new, 1))
    assert str(refused.value).startswith(f"assessment.toml: {message}")

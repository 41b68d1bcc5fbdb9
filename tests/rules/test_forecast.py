"""Prove that the forecast learns what is there, says it honestly, and is believed only where it beats the rule."""

from __future__ import annotations

from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.rules.measures.forecast import Done, Said, brier, fit, judge, reliability

SLOW, QUICK = 1, 2


def world(count: int, seed: int, slope: float = 0.0) -> list[Done]:
    """Draw cases of a slow and a quick team whose times are log-normal shares of their limits."""
    rnd = Random(seed)
    cases = []
    for _ in range(count):
        team, queue = rnd.choice((SLOW, QUICK)), rnd.randrange(6)
        middle = (-0.5 if team == SLOW else -1.6) + slope * queue
        cases.append(Done(rnd.choice("ab"), team, queue, exp(rnd.gauss(middle, 0.5))))
    return cases


def test_a_slow_team_and_a_long_queue_raise_the_chance() -> None:
    model = fit(world(8_000, 1, slope=0.15))
    assert model.slope == pytest.approx(0.15, abs=0.02)
    assert model.chance("a", SLOW, 0, 0.0) > 3 * model.chance("a", QUICK, 0, 0.0)
    assert model.chance("a", SLOW, 5, 0.0) > 1.5 * model.chance("a", SLOW, 0, 0.0)


@given(st.lists(st.floats(0, 0.999), min_size=2, max_size=8))
def test_the_longer_a_case_stays_open_the_likelier_it_is_late(moments: list[float]) -> None:
    chances = [MODEL.chance("a", SLOW, 2, used) for used in sorted(moments)]
    assert chances == sorted(chances)
    assert all(0 < chance <= 1 for chance in chances)


MODEL = fit(world(3_000, 2))


def test_past_its_limit_a_case_is_late_for_certain() -> None:
    assert MODEL.chance("a", QUICK, 0, 1.0) == 1.0


def test_an_unknown_team_and_type_count_as_ordinary_ones() -> None:
    chance = MODEL.chance("never seen", 99, 2, 0.0)
    assert MODEL.chance("a", QUICK, 2, 0.0) < chance < MODEL.chance("a", SLOW, 2, 0.0)


def test_what_was_said_comes_true_as_often_as_was_said() -> None:
    past = world(20_000, 2)
    verdict = judge(fit(past), past, world(20_000, 3))
    for each in verdict.bins:
        if each.n >= 2_000:
            assert each.came == pytest.approx(each.predicted, abs=0.05), each
    assert sum(each.n for each in verdict.bins) == verdict.sayings
    assert verdict.trusted


def test_a_model_that_is_no_better_than_the_rule_is_not_trusted() -> None:
    """Taught a world in which the teams have changed places, it is worse than knowing nothing of them."""
    turned = [Done(c.kind, QUICK if c.team == SLOW else SLOW, c.queue, c.share) for c in world(3_000, 4)]
    verdict = judge(fit(turned), world(3_000, 5), world(3_000, 6))
    assert verdict.model > verdict.tuned_rule
    assert not verdict.trusted


def test_too_short_a_past_says_nothing() -> None:
    with pytest.raises(ValueError, match="expected at least 500 cases"):
        fit(world(499, 1))


def test_the_brier_score_by_hand() -> None:
    said = [Said(1.0, True), Said(0.0, True), Said(0.5, False), Said(0.5, True)]
    assert brier(said) == (0 + 1 + 0.25 + 0.25) / 4
    (only,) = reliability(said[2:], (0.0, 0.4, 0.6, 1.0))
    assert (only.low, only.high, only.n, only.predicted, only.came) == (0.4, 0.6, 2, 0.5, 0.5)

"""Prove that few cases neither lead a table nor pass as certain."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.rules.measures.fairness import STRONGEST_PRIOR, prior, shrink, standings, wilson


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for n, d, low, high in (
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
    ):  # fmt: skip
        assert wilson(n, d) == pytest.approx((low, high), abs=5e-5)


@given(d=st.integers(1, 10_000), share=st.floats(0, 1))
def test_an_interval_holds_its_rate_and_stays_within_0_and_1(d: int, share: float) -> None:
    low, high = wilson(share * d, d)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    assert low < high


def test_an_empty_base_could_be_anything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_prior_of_unequal_subjects_is_found_again() -> None:
    rnd = Random(4)
    counts = []
    for _ in range(2_000):
        p = rnd.betavariate(18, 2)
        d = rnd.randint(5, 60)
        counts.append((float(sum(rnd.random() < p for _ in range(d))), d))
    found = prior(counts)
    assert found.mean == pytest.approx(0.9, abs=0.01)
    assert found.strength == pytest.approx(20, rel=0.15)


def test_subjects_that_differ_by_chance_alone_are_drawn_together() -> None:
    rnd = Random(5)
    counts = [(float(sum(rnd.random() < 0.9 for _ in range(30))), 30) for _ in range(400)]
    assert prior(counts).strength > 200
    assert prior([(9.0, 10), (9.0, 10)]).strength == STRONGEST_PRIOR


def test_without_any_case_there_is_no_prior() -> None:
    with pytest.raises(ValueError, match="no subject has any case"):
        prior([(0.0, 0)])


def test_an_estimate_lies_between_its_own_rate_and_what_all_have_in_common() -> None:
    before = prior([(50.0, 100), (90.0, 100), (70.0, 100)])
    assert before.mean < shrink(1, 1, before) < 1
    assert shrink(1, 1, before) < shrink(100, 100, before)


def test_one_of_one_does_not_lead_the_table() -> None:
    parts = {
        "few": [(1.0, 1, 100)],
        "steady": [(196.0, 200, 100)],
        "weak": [(120.0, 200, 100)],
        "middling": [(160.0, 200, 100)],
    }
    table = standings(parts, min_count=1)
    assert table[0].subject == "steady"
    few = next(s for s in table if s.subject == "few")
    assert few.raw == 100
    assert few.shrunk < 98
    assert few.high - few.low > 5 * (table[0].high - table[0].low)
    assert all(s.low <= s.shrunk <= s.high for s in table)


def test_below_the_minimum_a_subject_is_listed_and_not_ranked() -> None:
    parts = {"a": [(9.0, 9, 100)], "b": [(5.0, 10, 100)], "c": [(8.0, 10, 100)], "d": [(8.0, 10, 100)]}
    table = standings(parts, min_count=10)
    assert [(s.subject, s.rank) for s in table] == [("c", 1), ("d", 1), ("b", 3), ("a", None)]
    assert table[-1].count == 9


def test_a_part_without_data_takes_no_weight_from_the_raw_score() -> None:
    table = standings({"a": [(8.0, 10, 60), (0.0, 0, 40)], "b": [(6.0, 10, 60), (0.0, 0, 40)]}, 1)
    assert table[0].raw == pytest.approx(80)
    assert standings({}, 1) == []


def test_where_one_did_everything_and_another_nothing_a_third_without_data_is_still_placed() -> None:
    """Nothing could differ more; and yet the common rate is worth a case, and 1 of 1 is not certain."""
    parts = {
        "all": [(30.0, 30, 60), (5.0, 10, 40)],
        "none": [(0.0, 30, 60), (5.0, 10, 40)],
        "unknown": [(0.0, 0, 60), (5.0, 10, 40)],
    }
    assert [(s.subject, s.rank) for s in standings(parts, 5)] == [("all", 1), ("unknown", 2), ("none", 3)]
    assert shrink(1, 1, prior([(1, 1), (0, 1)])) == 0.75

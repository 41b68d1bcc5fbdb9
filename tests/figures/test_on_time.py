"""Prove that both on-time rates are said, and why they differ."""

from __future__ import annotations

from fractions import Fraction

from dispatch.figures.published import OnTime


def test_a_case_without_a_target_counts_in_neither_half_of_the_honest_rate() -> None:
    found = OnTime(on_time=80, with_target=100, without_target=100)
    assert found.rate == Fraction(80, 100)
    assert found.naive == Fraction(180, 200)
    assert found.explained("zh") == (
        "按期率 80.00 %（80/100，只算有时限的件）。另有 100 件没有时限；把它们也当作按期会得到 90.00 %，虚高 10.00 个点"
    )
    assert found.explained("en") == (
        "80.00 % on time (80/100, cases with a target only). 100 more have no target; counting them as on time would"
        " give 90.00 %, 10.00 points too many"
    )


def test_where_every_case_has_a_target_both_rates_are_the_same() -> None:
    found = OnTime(1_200, 1_500, 0)
    assert found.rate == found.naive == Fraction(4, 5)
    assert found.explained("zh") == "按期率 80.00 %（1,200/1,500），每件都有时限"


def test_where_no_case_has_a_target_nothing_is_claimed() -> None:
    found = OnTime(0, 0, 1_700)
    assert found.rate is None
    assert found.naive == 1
    assert "%" not in found.explained("zh")
    assert found.explained("en").startswith("None of the 1,700 cases has a target")


def test_without_a_case_nothing_is_claimed() -> None:
    assert OnTime(0, 0, 0).naive is None
    assert "无从判断" in OnTime(0, 0, 0).explained()

"""Prove the interval of a score: the same each time, narrower with more cases, and none where nothing was counted."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from dispatch.scores import resampling
from dispatch.scores.resampling import Drawn


def test_an_interval_is_repeatable_and_narrows_with_more_cases() -> None:
    def part(n: int, d: int) -> Drawn:
        return Drawn(100, Fraction(n), d, tuple(range(n)), tuple(range(d)))

    few, many = resampling.interval([part(7, 10)], "x"), resampling.interval([part(700, 1000)], "x")
    assert few == resampling.interval([part(7, 10)], "x")
    assert few is not None
    assert many is not None
    assert few[0] < 70 < few[1]
    assert many[1] - many[0] < (few[1] - few[0]) / 3
    assert resampling.interval([part(0, 0)], "x") is None
    assert resampling.interval([part(10, 10)], "x") == (100.0, 100.0)
    # Where only counts are known, as of a county, about the same comes out.
    counts = resampling.interval([Drawn(100, Fraction(700), 1000, (), ())], "x")
    assert counts is not None
    assert counts == pytest.approx(many, abs=1)
    worse = resampling.interval([replace(part(7, 10), more_is_better=False)], "x")
    assert worse is not None
    assert worse[0] < 30 < worse[1]

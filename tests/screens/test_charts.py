"""Proves what is drawn and written of any figures: axes, bands and bars, and files in which no cell is a formula."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import openpyxl
import pytest

from dashboard.widgets import boards, charts, export
from dashboard.widgets.export import escaped, workbook
from tests.conftest import CITY_ZONE


def test_an_axis_of_rates_has_round_steps_up_to_one() -> None:
    for least in (0.0, 0.41, 0.749, 0.75, 0.9, 0.951, 0.974, 0.996, 1.0):
        steps = boards._steps(least)
        assert steps[0] <= least + 1e-9 or least > 0.98
        assert steps[-1] == pytest.approx(1)
        assert 3 <= len(steps) <= 6
        for step in steps:
            assert round(step * 100) == pytest.approx(step * 100)


def test_no_cell_of_a_file_is_a_formula() -> None:
    evil = ["=1+1", "+1", "-1", "@x", "\t=1", "=cmd|' /C calc'!A0"]
    when = datetime(2026, 5, 1, 16, 30, tzinfo=UTC)
    made = workbook(
        [[text, 3, Fraction(1, 4), when, None] for text in evil],
        ["=head", "n", "r", "t", "e"],
        "a/b:[c]",
        CITY_ZONE,
        ["=note"],
    )
    sheet = openpyxl.load_workbook(io.BytesIO(made)).active
    assert sheet is not None
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert sheet["A2"].value == "'=1+1"
    assert sheet["C2"].value == 0.25
    assert sheet["D2"].value == datetime.fromisoformat("2026-05-02 00:30")  # the city's own clock
    assert escaped("ok\x00\x0b") == "ok"


def test_a_file_that_holds_not_all_rows_says_so_below_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ROWS_LIMIT", 3)
    for rows, below in ((3, ["as of now"]), (4, ["the rest is elsewhere", "as of now"])):
        made = workbook(
            [[n] for n in range(rows)], ["n"], "t", CITY_ZONE, ["as of now"], "the rest is elsewhere"
        )
        sheet = openpyxl.load_workbook(io.BytesIO(made)).active
        assert sheet is not None
        column = [cell.value for cell in sheet["A"]]
        assert column[:4] == ["n", 0, 1, 2]
        assert [value for value in column[4:] if value] == below


def test_a_band_is_not_drawn_over_days_without_one() -> None:
    days = [
        charts.Day(date(2026, 5, 1) + timedelta(days=n), 0.9, None, None if n == 2 else (0.8, 0.95), "", "c")
        for n in range(5)
    ]
    drawn = charts.trend(days, {"usual": "u", "year_ago": "y", "now": "n"})
    # Each line that is drawn has its name at its end, and no two names share a place.
    notes = [each for each in drawn["layout"]["annotations"] if each.get("xref") == "paper"]
    assert sorted(each["text"] for each in notes) == ["<b>n</b>", "u"]
    bottom, top = drawn["layout"]["yaxis"]["range"]
    apart = abs(notes[0]["y"] - notes[1]["y"]) / (top - bottom) * (drawn["layout"]["height"] - 32)
    assert apart >= 16
    bands = [each for each in drawn["data"] if each.get("fill") == "toself"]
    assert [len(each["x"]) for each in bands] == [4, 4]
    assert drawn["layout"]["yaxis"]["range"][0] > 0
    # A day below what is usual is marked by shape and colour both.
    low = charts.trend(
        [charts.Day(date(2026, 5, 1), 0.5, None, (0.8, 0.9), "", "c")],
        {"usual": "", "year_ago": "", "now": ""},
    )
    assert low["data"][-1]["marker"]["line"]["color"] == [charts.RED]


def test_the_bars_of_a_waterfall_hang_where_the_last_one_ended() -> None:
    losses = [
        charts.Loss(str(n), str(n), points, "") for n, points in enumerate((11.04, 10.0, 4.58, 2.09, 1.36))
    ]
    bar = charts.waterfall(losses, 70.93)["data"][0]
    assert bar["base"][0] + bar["x"][0] == pytest.approx(100)
    for n in range(1, len(losses)):
        assert bar["base"][n] + bar["x"][n] == pytest.approx(bar["base"][n - 1])
    assert bar["base"][-1] == pytest.approx(70.93)


@pytest.mark.parametrize(("lost", "bottom"), [(0.0, 90), (0.6, 90), (9.9, 90), (29.07, 70), (58.0, 40)])
def test_a_small_loss_does_not_look_like_a_fall(lost: float, bottom: float) -> None:
    layout = charts.waterfall([charts.Loss("a", "a", lost, "")], 100 - lost)["layout"]
    assert layout["xaxis"]["tickvals"][0] == bottom
    assert layout["xaxis"]["tickvals"][-1] == 100
    assert 3 <= len(layout["xaxis"]["tickvals"]) <= 7

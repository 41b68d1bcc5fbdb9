"""Proves the assessment page: sets add up, nobody sees another's card, and what is unsure or wrong is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import CityReads, card_scope, judged
from dashboard.data import assessment as reading
from dashboard.data.assessment import Peers
from dashboard.widgets import scorecard
from dashboard.widgets.assessment import cases
from dashboard.wording.catalogue import LANGUAGES, translator
from dispatch.rules.incident.chain import Actor
from dispatch.rules.measures.assessment import VOLUME
from dispatch.rules.measures.fairness import Standing
from dispatch.scores import scoring
from models.servers.database import psycopg_dsn
from tests.judged_city import BOSS, CITY, COUNTY, TOWN, VILLAGE, card, late, month
from tests.templates import LIVED_MONTH as MAY
from tests.templates import LIVING_MONTH as JUNE

ZH = translator("zh")


def test_the_sets_of_every_part_add_up_to_its_base_and_the_parts_to_the_score(reads: CityReads) -> None:
    seen = set()
    for kind in scoring.CARDS:
        listed = reading.listed(reads, BOSS, kind, month(reads))
        for each in {listed[0], listed[len(listed) // 2], listed[-1]} if listed else ():
            found = card(reads, kind, each.subject)
            assert found.sound
            assert found.adds_up
            lines = reading.bundles(reads, found)
            for line in found.lines:
                if line.d and line.name != VOLUME and kind not in reading.LOOSE:
                    sets = judged.sets_of(lines, line.name)
                    assert judged.adds_up(sets, line.d), (kind, each.subject, line.name)
            if found.score is not None:
                assert 100 - sum((line.lost for line in found.lines), Fraction(0)) == found.score
            seen.add(kind)
    assert {"village", "town", "county", "city", "team", "department", "grid_worker", "grid_head"} <= seen


def test_a_set_that_is_short_of_a_case_is_found() -> None:
    assert judged.adds_up({"late": [1], "kept": [2, 3]}, 3)
    assert not judged.adds_up({"late": [1], "kept": [2]}, 3)


def test_the_assessed_see_their_own_card_and_centres_what_is_below_them(reads: CityReads) -> None:
    may = month(reads)

    def seen(actor: Actor, kind: str, subject: str) -> bool:
        with reads.look() as connection:
            return card_scope.sees(connection, actor, kind, subject)

    team = Actor("team:team", "team", TOWN, 10003)
    assert seen(team, "team", "10003")
    assert not seen(team, "team", "10004")
    assert not seen(team, "town", TOWN)
    worker = Actor("grid_worker:worker", "grid_worker", VILLAGE)
    assert seen(worker, "grid_worker", "grid_worker:worker")
    assert not seen(worker, "grid_worker", f"worker/{VILLAGE}00035")
    assert not seen(worker, "village", VILLAGE)
    village = Actor("village", "village", VILLAGE)
    assert seen(village, "village", VILLAGE)
    assert seen(village, "grid_worker", f"worker/{VILLAGE}00035")
    assert not seen(village, "village", "445302001010")
    assert not seen(village, "town", TOWN)
    dispatcher = Actor("dispatcher:d", "dispatcher", TOWN)
    assert seen(dispatcher, "town", TOWN)
    assert seen(dispatcher, "dispatcher", f"dispatcher/{TOWN}")
    # Colleagues' cards are not theirs to see.
    assert not seen(dispatcher, "duty_leader", f"duty/{TOWN}")
    county = Actor("county", "county", COUNTY)
    assert seen(county, "duty_leader", f"duty/{TOWN}")
    assert not seen(county, "county", "445381")
    assert not seen(county, "city", CITY)
    assert not seen(Actor("admin", "admin", CITY), "city", CITY)
    for actor in (team, worker, village, dispatcher, county):
        for kind in scoring.CARDS:
            for each in reading.listed(reads, actor, kind, may)[:20]:
                assert seen(actor, kind, each.subject), (actor.role, each)
    assert reading.card(reads, team, "town", TOWN, may, "unit") is None
    assert reading.card(reads, BOSS, "town", "nowhere", may, "unit") is None
    assert reading.card(reads, BOSS, "planet", "1", may, "unit") is None


def test_cases_of_a_card_stay_in_the_viewers_scope(reads: CityReads) -> None:
    found = card(reads, "city", CITY)
    ids = judged.sets_of(reading.bundles(reads, found), "disposal")["disposed"]
    county = Actor("county", "county", COUNTY)
    rows = judged.rows(reads, county, ("city", CITY), ids, found.month.as_of, 1, 10_000)
    assert 0 < len(rows) < len(ids)
    assert all(row.area_code.startswith(COUNTY) for row in rows)
    assert not judged.appeals(reads, Actor("admin", "admin", CITY), ids)


def test_the_longest_past_the_limit_comes_first_with_all_its_time_in_somebodys_hands(
    reads: CityReads,
) -> None:
    found, case = late(reads, MAY)
    ids = judged.sets_of(reading.bundles(reads, found), "on_time_disposal")["late"]
    rows = judged.rows(reads, BOSS, ("team", found.subject), ids, found.month.as_of)
    over = [row.over_s for row in rows if row.over_s is not None]
    assert over == sorted(over, reverse=True)
    assert case in {row.id for row in rows}
    for row in rows:
        assert row.hands
        assert {who for who, _ in row.hands} <= {"own", "centre", "other", "paused"}
        assert all(seconds >= 0 for _, seconds in row.hands)


def test_a_card_on_which_nothing_is_exempt_says_nothing_of_exemptions(reads: CityReads) -> None:
    found = card(reads, "city", CITY)
    assert judged.bare(reads, BOSS, found) is None
    assert "不豁免" not in scorecard.table(found, "", judged.every_set(reads, found), "zh", ZH)
    assert "没有" in cases.exempt(found, None, reads.directory(), "zh", ZH)


def test_more_exemptions_than_a_page_looks_at_are_said_and_not_guessed(reads: CityReads) -> None:
    found = card(reads, "city", CITY)
    html = scorecard.table(found, "", {}, "zh", ZH, judged.Bare(None, 2001, ()))
    assert "豁免 2001 件，太多" in html
    assert "不豁免是" not in html


def test_what_is_chosen_while_another_choice_is_under_way_takes_nothing_back(
    open_page: Callable[..., AppTest],
) -> None:
    test = open_page("leader", lang="en", subject=f"town/{TOWN}", month="2026-05", part="close")
    older = dict(test.query_params)
    next(each for each in test.segmented_control if each.label == "Month").set_value("2026-06").run()
    # Sent before the browser had heard of the month.
    test.query_params = dict(older)
    kind = next(each for each in test.selectbox if each.label == "Kind")
    kind.set_value("county").run()
    assert not test.exception
    now = dict(test.query_params)
    assert now["month"] == "2026-06"
    assert str(now["subject"]).startswith("county/")
    assert "part" not in now


def test_a_provisional_month_and_one_with_few_cases_get_no_band(reads: CityReads) -> None:
    frozen = card(reads, "city", CITY)
    assert "档" in scorecard.head(frozen, None, ZH)
    provisional = replace(frozen, month=replace(frozen.month, frozen=False))
    assert "暂定" in scorecard.head(provisional, None, ZH)
    assert "gw-band" not in scorecard.head(provisional, None, ZH)
    few = replace(frozen, cases=3, score=Fraction(100))
    assert "只列不评" in scorecard.head(few, None, ZH)
    none = replace(frozen, score=None)
    assert "无数据" in scorecard.head(none, None, ZH)


def test_a_band_that_the_interval_crosses_is_said_to_be_unsure(reads: CityReads) -> None:
    found = card(reads, "city", CITY)
    unsure = replace(found, interval=(72.0, 78.0))
    assert unsure.crosses == 75
    assert "不单凭这一月定档" in scorecard.head(unsure, None, ZH)
    assert replace(found, interval=(76.0, 78.0)).crosses is None


def test_a_count_in_the_table_opens_the_cases_it_counts(reads: CityReads) -> None:
    found = card(reads, "city", CITY)
    sets = judged.every_set(reads, found)
    html = scorecard.table(found, "", sets, "zh", ZH)
    opened = re.findall(r'data-open="part~(\w+)~(\w+)">([\d,]+)<', html)
    assert {name for name, _, _ in opened} >= {"disposal", "on_time_disposal", "overdue_backlog", "rework"}
    for name, label, number in opened:
        assert len(sets[name][label]) == int(number.replace(",", ""))


def test_one_without_its_like_has_no_place_among_them(reads: CityReads) -> None:
    found = card(reads, "city", CITY)
    own = Standing(CITY, 40, 98.0, 98.0, 97.0, 99.0, 1)
    assert "同类" in scorecard.head(found, Peers(own, 2, 5, 12), ZH)
    assert "同类" not in scorecard.head(found, Peers(own, 1, 1, 1), ZH)


def test_the_card_says_when_the_night_looks_at_it(reads: CityReads) -> None:
    found = replace(card(reads, "city", CITY), checked_at=None)
    assert "今夜复算" in scorecard.standing(found, True, ZH)
    checked = replace(found, checked_at=found.month.as_of + timedelta(hours=2))
    assert "一致" in scorecard.standing(checked, True, ZH)
    # What was assessed after the last night was not yet looked at, whatever that night found.
    newer = replace(checked, month=replace(found.month, as_of=found.month.as_of + timedelta(days=1)))
    assert "今夜复算" in scorecard.standing(newer, True, ZH)
    assert "一致" not in scorecard.standing(newer, True, ZH)


def test_what_the_night_found_stands_on_the_card_with_both_numbers(
    city: str, reads: CityReads, open_page: Callable[..., AppTest]
) -> None:
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        for what, stored, again in (
            ("assessment.hash", "0" * 64, "not the hash of what is stored"),
            ("assessment.parts", "99.40 (55b8e86c)", "71.02 (8f3a52d1)"),
        ):
            connection.execute(
                "insert into mismatch (what, subject, stored, recomputed, found_at) values (%s, %s, %s, %s, now())",
                (what, f"2026-05 city {CITY} unit", stored, again),
            )
        try:
            names = [
                each.value for each in open_page("leader", subject=f"city/{CITY}", month="2026-05").error
            ]
        finally:
            connection.execute("delete from mismatch where subject like '2026-05 city%%'")
    assert len(names) == 2
    assert any("99.40" in each and "71.02" in each and "系统管理员" in each for each in names)
    assert not any("hash" in each for each in names)


def test_a_card_that_was_tampered_with_says_so(
    city: str, reads: CityReads, open_page: Callable[..., AppTest]
) -> None:
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        kept = connection.execute(
            "select parts::text from assessment where month = %s and kind = 'city' and card = 'unit'", (JUNE,)
        ).fetchone()
        assert kept is not None
        change = "update assessment set parts = %s::json where month = %s and kind = 'city' and card = 'unit'"
        wrong = kept[0].replace('"points":"', '"points":"1', 1)
        connection.execute(change, (wrong, JUNE))
        try:
            assert not card(reads, "city", CITY, JUNE).sound
            test = open_page("leader", subject=f"city/{CITY}", month="2026-06")
            assert any("加不成" in each.value for each in test.error)
        finally:
            connection.execute(change, (kept[0], JUNE))
    assert not open_page("leader", subject=f"city/{CITY}", month="2026-06").error


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("login", ["leader", "team", "worker", "duty"])
def test_the_page_runs_for_those_who_judge_and_those_who_are_judged(
    open_page: Callable[..., AppTest], login: str, lang: str
) -> None:
    test = open_page(login, lang=lang, month="2026-05")
    assert not test.error
    assert any(("考核评价" if lang == "zh" else "Assessment") in each.value for each in test.markdown)


@pytest.mark.parametrize(
    "query",
    [
        {"subject": "team/x", "month": "2026-05"},
        {"subject": "x", "month": "never", "card": "none"},
        {"subject": f"city/{CITY}", "month": "2026-05", "part": "x", "set": "x", "page": "99999999"},
        {
            "subject": f"town/{TOWN}",
            "month": "2026-05",
            "card": "whistle",
            "part": "three_rates",
            "page": "-1",
        },
    ],
)
def test_an_address_that_makes_no_sense_is_no_fault(
    open_page: Callable[..., AppTest], query: dict[str, str]
) -> None:
    open_page("leader", **query)


def test_anothers_card_reads_as_no_data(open_page: Callable[..., AppTest]) -> None:
    test = open_page("team", subject=f"town/{TOWN}", month="2026-05")
    assert any("无数据" in each.value for each in test.info)


def test_without_a_replayed_city_the_page_says_how_to_replay_one(open_page: Callable[..., AppTest]) -> None:
    test = open_page("leader", "replayed")
    assert any("dispatch replay" in each.value for each in test.code)

"""Proves the assessment page: sets add up, nobody sees another's card, and what an appeal promises it brings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import psycopg
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import data
from dashboard.access import COOKIE
from dashboard.data import CityReads, card_scope, judged
from dashboard.data import assessment as reading
from dashboard.data.assessment import Card, Month, Peers
from dashboard.widgets import scorecard
from dashboard.widgets.assessment import cases
from dashboard.wording import amounts, names
from dashboard.wording.catalogue import LANGUAGES, translator
from dispatch.accounts import sessions
from dispatch.rules.incident.chain import Actor
from dispatch.rules.measures.assessment import VOLUME
from dispatch.rules.measures.fairness import Standing
from dispatch.rules.policy.policy import Policy
from dispatch.scores import resampling, scoring
from dispatch.scores.resampling import Drawn
from models.servers.database import Servers, psycopg_dsn
from tests import pages
from tests.conftest import CITY_ZONE
from tests.templates import LIVED_UNTIL as UNTIL
from tests.templates import CityOf

CITY, COUNTY, TOWN, VILLAGE = "445300", "445302", "445302001", "445302001009"
MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
BOSS = Actor("leader", "leader", CITY)
TIMEOUT_S = 90
ZH = translator("zh")


@pytest.fixture(autouse=True)
def _no_limit_to_appeals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let cases that were closed in spring be appealed by the real clock."""
    monkeypatch.setattr(Policy, "appeal_until", lambda policy, closed: None)


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Copy the city that lived six weeks: May frozen, June provisional, with the demo's accounts in it."""
    with city_of("lived") as url:
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
            sessions.ensure_demo(connection)
            assert scoring.freeze(connection, MAY, UNTIL)
            assert scoring.assess_month(connection, JUNE, UNTIL)
        yield url


@pytest.fixture
def reads(city: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    """Point the pages at the city."""
    with pages.pointed(monkeypatch, city, servers.redis_url) as lent:
        yield lent


@pytest.fixture
def open_page(reads: CityReads, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Return what opens a page as one of the demo's accounts."""
    cookies: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))

    def opened(login: str, name: str = "assessment", **query: str) -> AppTest:
        answer = data.sign_in(reads, login, sessions.DEMO_PASSWORD)
        assert isinstance(answer, tuple)
        cookies[COOKIE] = answer[0]
        test = AppTest.from_string(
            f"from dashboard.screens import {name}\n{name}.page()", default_timeout=TIMEOUT_S
        )
        for key, value in query.items():
            test.query_params[key] = value
        test.run()
        assert not test.exception, [each.message for each in test.exception]
        return test

    return opened


def month(reads: CityReads, first: date = MAY) -> Month:
    """Return an assessed month."""
    return next(each for each in reading.months(reads) if each.month == first)


def card(reads: CityReads, kind: str, subject: str, first: date = MAY, name: str = "") -> Card:
    """Return a card as the city's leader sees it."""
    found = reading.card(reads, BOSS, kind, subject, month(reads, first), name or scoring.CARDS[kind][0])
    assert found is not None
    return found


def late(
    reads: CityReads, first: date, kind: str = "team", name: str = "on_time_disposal", label: str = "late"
) -> tuple[Card, int]:
    """Return the card of a subject that was too late with a case, and that case, which is closed."""
    for each in reading.listed(reads, BOSS, kind, month(reads, first)):
        found = card(reads, kind, each.subject, first)
        ids = judged.sets_of(reading.bundles(reads, found), name)[label]
        rows = judged.rows(reads, BOSS, (kind, each.subject), ids, found.month.as_of) if ids else []
        closed = [row.id for row in rows if row.state == "closed" and row.appeal is None]
        if closed:
            return found, closed[0]
    raise AssertionError(f"no {kind} was late with a closed case")


def area_of(reads: CityReads, case: int) -> str:
    """Return where a case lies."""
    found = judged.asked(reads, BOSS, case)
    assert found is not None
    return found.area_code


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


def test_what_an_appeal_promises_is_what_granting_it_brings(
    city: str, reads: CityReads, open_page: Callable[..., AppTest]
) -> None:
    # Appeals are of today, so the month is judged as of today before and after.
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        scoring.assess_month(connection, JUNE, datetime.now(UTC))
    before, case = late(reads, JUNE)
    promised = judged.if_granted(before, reading.bundles(reads, before), case)
    assert promised is not None
    assert before.score is not None
    assert promised > before.score  # an exemption never costs
    area = area_of(reads, case)
    team = Actor(f"team:{before.subject}", "team", area[:9], int(before.subject))
    county, top = Actor("county:c", "county", area[:6]), Actor("city:top", "city", CITY)
    assert judged.submit(reads, team, "appeal", case, "a", {"reason": ""}).refusal is not None
    assert judged.submit(reads, team, "appeal", case, "b", {"reason": "道路中断"}).refusal is None
    again = judged.submit(reads, team, "appeal", case, "c", {"reason": "再申诉"}).refusal
    assert again is not None
    assert again.code == "appealed"
    (appeal,) = judged.appeals(reads, BOSS, [case])
    assert appeal.granted is None
    verdict = {"granted": True, "reason": "属实"}
    assert judged.submit(reads, county, "judge_appeal", case, "d", verdict).refusal is None
    assert judged.submit(reads, county, "judge_appeal", case, "e", verdict).refusal is not None  # two persons
    assert judged.submit(reads, top, "judge_appeal", case, "f", verdict).refusal is None
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        scoring.assess_month(connection, JUNE, datetime.now(UTC))
    after = card(reads, "team", before.subject, JUNE)
    line = after.line("on_time_disposal")
    assert line is not None
    assert case in line.numerator
    assert (case, "道路中断") in line.exempt
    assert after.score == promised
    # And beside it stands what it was without, with the bare facts of the case.
    bare = judged.bare(reads, BOSS, after)
    assert bare is not None
    assert bare.score is not None
    assert bare.score.value == before.score
    raw = bare.rate(line)
    assert raw is not None
    assert (raw.n, raw.d) == (line.n - 1, line.d)
    html = cases.exempt(after, bare, reads.directory(), "zh", ZH)
    assert "道路中断" in html
    assert "<b>超 " in html
    assert "涉及：按期处置率" in html
    page = open_page("leader", subject=f"team/{after.subject}", month="2026-06")
    assert not page.error
    foot = scorecard.table(after, "", judged.every_set(reads, after), "zh", ZH, bare)
    gain = amounts.signed(promised - before.score, 2)
    assert gain.startswith("+")
    assert f"不豁免是 {amounts.score(before.score, ZH)}，豁免 {gain}" in foot
    assert f"不豁免 {raw.n} / {raw.d:,}" in foot
    # Who may not see the case reads that there is one, and nothing of it.
    far = judged.bare(reads, Actor("far", "county", "445381" if area[:6] != "445381" else COUNTY), after)
    assert far is not None
    assert "超 " not in cases.exempt(after, far, reads.directory(), "zh", ZH)


def test_an_appeal_of_a_dispatcher_brings_what_it_promises_too(city: str, reads: CityReads) -> None:
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        scoring.assess_month(connection, JUNE, datetime.now(UTC))
    before, case = late(reads, JUNE, "dispatcher", "on_time_dispatch", "missed")
    promised = judged.if_granted(before, reading.bundles(reads, before), case)
    assert promised is not None
    assert before.score is not None
    assert promised > before.score
    area = area_of(reads, case)
    dispatcher = Actor("dispatcher:d", "dispatcher", area[:9])
    assert judged.submit(reads, dispatcher, "appeal", case, "a", {"reason": "系统停电"}).refusal is None
    for judge in (Actor("county:c", "county", area[:6]), Actor("city:top", "city", CITY)):
        verdict = {"granted": True, "reason": "属实"}
        assert judged.submit(reads, judge, "judge_appeal", case, judge.role, verdict).refusal is None
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        scoring.assess_month(connection, JUNE, datetime.now(UTC))
    after = card(reads, "dispatcher", before.subject, JUNE)
    assert after.score == promised
    bare = judged.bare(reads, BOSS, after)
    assert bare is not None
    assert bare.score is not None
    assert bare.score.value == before.score
    (moved,) = [each for each in bare.cases if each.id == case]
    assert (moved.why, moved.parts, moved.fared) == ("系统停电", ("on_time_dispatch",), "")


def test_a_reviewer_gives_stretches_of_time_and_the_next_sees_them(
    reads: CityReads, open_page: Callable[..., AppTest]
) -> None:
    with reads.look() as connection:
        row = connection.execute(
            "select a.incident_id, a.team_id, i.area_code, i.reported_at from assignment a join incident i on i.id ="
            " a.incident_id where i.state = 'closed' and a.role = 'lead' and i.facts -> 'appeal' is null"
            " and i.area_code like %s order by a.id limit 1",
            (f"{COUNTY}%",),
        ).fetchone()
    assert row is not None
    case, team, area, reported_at = row
    team = Actor(f"team:{team}", "team", area[:9], team)
    assert judged.submit(reads, team, "appeal", case, "s", {"reason": "道路中断"}).refusal is None
    page = open_page("county", lang="en", month="2026-05")
    page.session_state["asked"] = (scorecard.JUDGE.rstrip("~"), case, "p")
    page.run()
    next(box for box in page.radio if box.key == "whole-p").set_value(False).run()
    ends = next(box for box in page.datetime_input if box.key == "until-p-0")
    local = (reported_at + timedelta(hours=3)).astimezone(names.zone()).replace(second=0, tzinfo=None)
    ends.set_value(local.replace(microsecond=0))
    next(box for box in page.text_area if box.key == "reason-p").set_value("属实")
    next(box for box in page.button if box.key == "send-p").click()
    page.run()
    assert not page.exception, [each.message for each in page.exception]
    about = judged.asked(reads, BOSS, case)
    assert about is not None
    ((since, until),) = about.spans
    assert since == reported_at  # never before the report, whatever its seconds
    assert timedelta(hours=2, minutes=59) < until - since <= timedelta(hours=3)
    assert judged.asked(reads, Actor("far", "county", "445381"), case) is None
    # The next reviewer begins from what the first gave.
    page = open_page("city", lang="en", month="2026-05")
    page.session_state["asked"] = (scorecard.JUDGE.rstrip("~"), case, "q")
    page.run()
    assert any("The first reviewer gave" in each.value for each in page.caption)
    assert next(box for box in page.radio if box.key == "whole-q").value is False


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


def test_until_when_one_may_appeal_stands_at_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "zone", lambda: CITY_ZONE)
    now = datetime.now(UTC)
    zh = translator("zh")

    def shown(until: datetime | None, appealable: bool = True) -> str:
        case = judged.CaseLine(7, 1, "0101", TOWN, "closed", "", None, None, (), None, until)
        return cases._appeal_of(case, frozenset({7} if appealable else ()), zh)

    later = now + timedelta(days=2)
    assert f"到 {later.astimezone(names.zone()):%m-%d}" in shown(later)
    assert f"{scorecard.APPEAL}7" in shown(later)
    assert "已过期" in shown(now - timedelta(seconds=1))
    assert scorecard.APPEAL not in shown(now - timedelta(seconds=1))
    assert "到" not in shown(None)
    assert scorecard.APPEAL not in shown(later, appealable=False)


def test_reviewers_who_are_late_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "zone", lambda: CITY_ZONE)
    now = datetime.now(UTC)
    for by, words, tone in (
        (now + timedelta(hours=1), "须在", "m2"), (now - timedelta(hours=1), "已超时", "red"),
    ):  # fmt: skip
        appeal = judged.Appeal(7, 1, "team:1", "道路中断", (), None, by)
        html = cases._answer_due(appeal, translator("zh"))
        assert words in html
        assert f'class="{tone} nw"' in html
    assert cases._answer_due(judged.Appeal(7, 1, "team:1", "x", (), None), translator("zh")) == ""

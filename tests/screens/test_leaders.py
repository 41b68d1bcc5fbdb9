"""Proves the leaders' page: every number opens as many cases, scope holds, and rates differ in points."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from html import unescape
from typing import Any

import psycopg
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import data
from dashboard.access import COOKIE
from dashboard.data import CityReads
from dashboard.data import leaders as reading
from dashboard.frame import Frame
from dashboard.widgets import boards
from dashboard.widgets.leaders import late_map, present
from dashboard.widgets.leaders.stages import stages
from dashboard.widgets.leaders.trend import trend_of
from dashboard.wording import amounts
from dashboard.wording.catalogue import LANGUAGES, translator
from dispatch.accounts import sessions
from dispatch.figures.briefing import words as spoken
from dispatch.figures.briefing.tables import tables
from dispatch.figures.case_sets import PAGE_ROWS, CaseSet
from dispatch.figures.overview import Overview
from dispatch.rules.incident.chain import Actor
from dispatch.rules.time.period import Period
from models.servers.database import Servers, psycopg_dsn
from tests import hostile, pages
from tests.templates import LIVED_UNTIL as UNTIL
from tests.templates import CityOf

CITY, COUNTY, OTHER_COUNTY, TOWN = "445300", "445302", "445381", "445302001"
MAY = Period("month", date(2026, 5, 1))
LEADER = Actor("leader", "leader", CITY)
TIMEOUT_S = 90
ANYBODY: Any = None  # what draws a picture asks nobody who looks
_BUTTON = re.compile(r'<button [^>]*data-open="([^"]+)"[^>]*>(?:<b[^>]*>)?([^<]*)<')
ZH, EN = translator("zh"), translator("en")


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Copy the city that lived six weeks, with the demo's accounts in it."""
    with city_of("lived") as url:
        with psycopg.connect(psycopg_dsn(url)) as connection:
            sessions.ensure_demo(connection)
        yield url


@pytest.fixture
def reads(city: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    """Point the pages at the city."""
    reading.forget()
    with pages.pointed(monkeypatch, city, servers.redis_url) as lent:
        yield lent


@pytest.fixture
def open_page(reads: CityReads, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Return what opens the page as one of the demo's accounts."""
    cookies: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))

    def opened(login: str, **query: str) -> AppTest:
        answer = data.sign_in(reads, login, sessions.DEMO_PASSWORD)
        assert isinstance(answer, tuple)
        cookies[COOKIE] = answer[0]
        test = AppTest.from_string(
            "from dashboard.screens import leaders\nleaders.page()", default_timeout=TIMEOUT_S
        )
        for key, value in query.items():
            test.query_params[key] = value
        test.run()
        assert not test.exception, [each.message for each in test.exception]
        return test

    return opened


def picture(reads: CityReads, area: str = CITY, actor: Actor = LEADER) -> Overview:
    """Return the picture of May."""
    found = reading.picture(reads, actor, area, MAY, UNTIL)
    assert found is not None
    return found


def test_every_number_on_the_boards_opens_as_many_cases(reads: CityReads) -> None:
    found = picture(reads)
    html = "".join(
        [
            boards.six(found, True, "zh", ZH), boards.funnel(found, "zh", ZH), boards.themes(found, "zh", ZH),
            boards.ranking(found, False, CITY, "zh", ZH), boards.lowest(found, "zh", ZH),
        ]
    )  # fmt: skip
    counted: dict[str, set[int]] = {}
    for key, text in _BUTTON.findall(html):
        number = text.strip().replace(",", "").lstrip(amounts.MINUS)
        if number.isdigit():
            counted.setdefault(unescape(key), set()).add(int(number))
    names = {CaseSet.parse(key).name for key in counted}
    assert {"reported", "due", "close_due", "disputes", "overdue", "closed", "at_disposed"} <= names
    assert {"on_time", "close_on_time", "settled", "late"} <= names
    for key, numbers in counted.items():
        page = reading.cases(reads, LEADER, CaseSet.parse(key))
        assert page is not None
        assert numbers == {page.total}, key


def test_the_whole_of_a_set_can_be_taken_away(reads: CityReads) -> None:
    wanted = picture(reads).figure("on_time").now.credited
    rows = list(reading.every_case(reads, LEADER, wanted.cases))
    assert len(rows) == wanted.count > PAGE_ROWS
    assert len({row.id for row in rows}) == wanted.count


def test_what_is_so_now_counts_its_cases(reads: CityReads) -> None:
    found = reading.present(reads, LEADER, CITY, datetime.now(UTC))
    assert found is not None
    for counted in (found.overdue, found.whistles_late, found.raised):
        page = reading.cases(reads, LEADER, counted.cases)
        assert page is not None
        assert page.total == counted.count


def test_what_is_out_of_scope_is_as_if_it_were_not(reads: CityReads) -> None:
    county = Actor("county", "county", COUNTY)
    team = Actor("team", "team", TOWN, 10003)
    foreign = CaseSet("reported", OTHER_COUNTY, MAY.first, MAY.until)
    for actor in (county, team, Actor("admin", "admin", CITY), Actor("resident@1", "resident", TOWN)):
        assert reading.picture(reads, actor, OTHER_COUNTY, MAY, UNTIL) is None
        assert reading.present(reads, actor, OTHER_COUNTY, UNTIL) is None
        assert reading.cases(reads, actor, foreign) is None
        assert not list(reading.every_case(reads, actor, foreign))
        assert not reading.repeats(reads, actor, OTHER_COUNTY, MAY)
        assert reading.at_place(reads, actor, OTHER_COUNTY, MAY, 1) is None
        assert reading.outline(reads, actor, OTHER_COUNTY, 3) is None
    assert reading.picture(reads, county, TOWN, MAY, UNTIL) is not None
    # Kept for one who may see it, it stays shut for one who may not.
    assert reading.picture(reads, LEADER, OTHER_COUNTY, MAY, UNTIL) is not None
    assert reading.picture(reads, county, OTHER_COUNTY, MAY, UNTIL) is None


def test_differences_of_rates_are_points_and_never_per_cent(reads: CityReads) -> None:
    found = picture(reads)
    tile = boards._tile(found.figure("on_time"), 31, True, "zh", ZH)
    changes = tile.partition('<div class="c">')[2]
    assert "%" not in changes
    assert "无数据" in changes  # there is no year before
    assert "red" not in changes
    assert amounts.points(Fraction(11, 1000), ZH) == "+1.1 点"
    assert amounts.points(Fraction(-5, 1000), EN) == f"{amounts.MINUS}0.5 pts"
    assert amounts.points(None, ZH) == "无数据"
    assert amounts.change(Fraction(23, 1000), False, ZH) == "+2.3%"
    assert amounts.signed(Fraction(-1, 10_000)) == "0.0"


def test_a_part_of_a_period_is_not_held_against_a_whole_one(reads: CityReads) -> None:
    found = picture(reads)
    assert "本期未完" in boards._tile(found.figure("reported"), 31, False, "zh", ZH)
    assert "本期未完" not in boards._tile(found.figure("reported"), 31, True, "zh", ZH)


def test_quoted_and_computed_never_share_a_frame(reads: CityReads) -> None:
    html = boards.headline(picture(reads).published, "zh", ZH)
    quoted, mark, computed = html.partition('<div class="gw-computed"')
    assert mark
    for text in ("33.66%", "25.82%", ">965<"):
        assert text in quoted
    assert not {"6.48", "1.85", "98.80%"} & set(re.findall(r"[\d.]+%?", quoted))
    assert {"6.48", "1.85", "98.80%"} <= set(re.findall(r"[\d.]+%?", computed))
    assert "33.66" not in computed
    assert "965" in computed
    assert "984" in computed
    assert "data-open" not in quoted


def test_the_ranking_shows_both_ends_and_on_demand_all(reads: CityReads) -> None:
    found = picture(reads)
    ranked = [place for place in found.places if place.rank is not None]
    both, whole = (boards.ranking(found, each, TOWN, "zh", ZH) for each in (False, True))
    rows = [html.count("@area~") for html in (both, whole)]
    assert rows[1] == len(found.places)
    assert rows[0] == min(len(ranked), 2 * boards.ENDS)
    assert not [place for place in found.places if place.below and place.high is not None and place.high >= 1]


def test_a_places_mark_opens_those_that_were_not_in_time(reads: CityReads) -> None:
    found = picture(reads)
    html = boards.ranking(found, True, CITY, "en", EN)
    marks = re.findall(r'class="plot" data-open="([^"]+)".*?class="see">see the ([\d,]+) not in time', html)
    late = [p for p in found.places if p.on_time.missed is not None and p.on_time.missed.count]
    assert len(marks) == len(late) > 0
    for key, number in marks[:10]:
        page = reading.cases(reads, LEADER, CaseSet.parse(unescape(key)))
        assert page is not None
        assert page.total == int(number.replace(",", ""))


def test_a_stage_is_red_only_where_more_than_one_in_ten_was_late(reads: CityReads) -> None:
    found = reading.timed(reads, LEADER, picture(reads), UNTIL)
    times = {each.stage: each for each in found.stages}
    assert {"accept", "dispatch", "pick_up", "arrive", "dispose", "verify"} <= times.keys()
    html = stages(found.stages, "zh", ZH)
    assert html.count("gw-light red") == sum(each.over for each in found.stages)
    assert html.count('em class="limit"') == sum(len(set(each.limits or ())) for each in found.stages)
    one = replace(times["dispatch"], judged=100, late=10)
    assert "red" not in stages([one], "zh", ZH)
    assert "gw-light red" in stages([replace(one, late=11)], "zh", ZH)
    # The numbers are the briefing's own, to the letter.
    for row in next(t for t in tables(found, "zh") if t.name == "stages").texts("zh"):
        assert f">{row[2]}<" in html
        assert f">{row[3]}<" in html
    assert "没有可计时的" in stages([], "zh", ZH)


def test_one_bad_place_does_not_pale_the_map(reads: CityReads) -> None:
    assert late_map._quarters([]) == []
    assert late_map._quarters([0.01, 0.02, 0.03, 0.43]) == [0.01, 0.02, 0.03, 0.43]
    assert late_map._quarters([0.02, 0.02]) == [0.02]
    found = picture(reads)
    shapes = reading.outline(reads, LEADER, CITY, 3)
    html = late_map.late_map(found, shapes, "zh", ZH)
    fills = re.findall(r'<path d="[^"]*" fill="(#\w+)"', html)
    assert len(fills) == len(found.places)
    late = [p for p in found.places if p.on_time.missed is not None and p.on_time.missed.count]
    assert sum(fill in late_map._RAMP[1:] for fill in fills) == len(late)


def test_the_lowest_day_is_named_with_its_cases(reads: CityReads) -> None:
    found = picture(reads)
    low = found.lowest
    assert low is not None
    rates = [p.on_time.value for p in found.trend if p.on_time.value is not None]
    assert low.point.on_time.value == min(rates)
    assert low.below == sum(point.below for point in found.trend)
    words = boards.lowest(found, "zh", ZH)
    assert amounts.rate(low.point.on_time.value, ZH) in words
    assert "没有一天" in boards.lowest(replace(found, lowest=None), "zh", ZH)
    drawn = trend_of(Frame("zh", ZH, ANYBODY, reads), found)
    assert any(
        amounts.rate(low.point.on_time.value, ZH) in note["text"] for note in drawn["layout"]["annotations"]
    )


def test_the_source_of_a_published_figure_speaks_the_readers_language(reads: CityReads) -> None:
    published = picture(reads).published
    chinese, english = (boards.headline(published, each, translator(each)) for each in LANGUAGES)
    assert "article" not in chinese
    assert "article" in english
    assert not re.search("[\u4e00-\u9fff]", english)


def test_the_page_says_the_sentence_of_the_briefing(
    open_page: Callable[..., AppTest], reads: CityReads
) -> None:
    shown: list[str] = []
    found = picture(reads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(present, "panel", lambda html, key, opened=None: shown.append(html))
        settled = replace(found, open=replace(found.open, count=0))
        present.say(Frame("zh", ZH, ANYBODY, reads), settled, date(2030, 1, 1))
    said, sentence = re.sub("<[^>]+>", "", shown[0]).strip(), spoken.sentence(found, "zh")
    assert said.startswith(sentence)
    beside = said.removeprefix(sentence)
    assert ZH("against {before} and a year ago").format(before=spoken.before_of(found, "zh")) in beside


def test_no_name_and_no_word_becomes_html(reads: CityReads) -> None:
    found = picture(reads)
    evil = replace(found, places=tuple(replace(place, name=hostile.TEXT) for place in found.places))
    assert not hostile.faults(boards.ranking(evil, True, CITY, "zh", ZH))
    assert not hostile.faults(boards.themes(found, "zh", lambda told: ZH(told) + hostile.TEXT))


def test_a_part_that_cannot_be_read_says_so_and_the_others_stand(
    open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise psycopg.OperationalError("the server closed the connection unexpectedly")

    for name in ("repeats", "outline", "timed"):
        monkeypatch.setattr(reading, name, gone)
    test = open_page("leader", day="2026-05-01")
    assert [each.value for each in test.warning] == ["这一块暂时读不出，其它照常。请稍后再试。"] * 3
    assert not test.error
    assert any("领导驾驶舱" in each.value for each in test.markdown)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_runs_in_both_languages(open_page: Callable[..., AppTest], lang: str) -> None:
    test = open_page("leader", lang=lang, day="2026-05-01")
    assert not test.error
    words = [each.value for each in test.markdown]
    assert any(("领导驾驶舱" if lang == "zh" else "Leaders' figures") in each for each in words)


def test_a_number_has_a_link_of_its_own(open_page: Callable[..., AppTest], reads: CityReads) -> None:
    wanted = picture(reads).figure("settled").now.credited
    test = open_page("leader", day="2026-05-01", cases=wanted.cases.key)
    assert any(f"{wanted.count:,} 件" in each.value for each in test.markdown)
    assert len(test.dataframe) == 1
    # The same link tells a county's people nothing of the city.
    test = open_page("county", day="2026-05-01", cases=wanted.cases.key)
    assert any("没有这份案件清单" in each.value for each in test.warning)
    assert not test.dataframe


@pytest.mark.parametrize(
    "query",
    [
        {"area": "x", "day": "2026-99-99", "kind": "year"},
        {"area": OTHER_COUNTY + "001", "day": "1999-01-01", "kind": "day"},
        {"day": "9999-12-31", "kind": "month", "cases": "red~~~"},
        {"day": "2026-05-01", "cases": "place~12", "all": "1"},
        {"day": "2026-05-01", "cases": "at_x~445300~2026-05-01~2026-06-01~~~"},
        {"day": "2025-01-01"},
    ],
)
def test_an_address_that_makes_no_sense_is_no_fault(
    open_page: Callable[..., AppTest], query: dict[str, str]
) -> None:
    open_page("leader", **query)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"from": "2026-06-01", "to": "2026-05-01"}, "结束日早于开始日"),
        ({"from": "2026-05-01", "to": "9999-01-01"}, "结束日还没有到"),
        ({"from": "x"}, "没有写明起止两天"),
        ({"from": "2024-01-01", "to": "2026-05-01"}, "超过 366 天"),
        ({"from": "1990-01-01", "to": "1990-01-02"}, "没有存数"),
    ],
)
def test_days_that_make_no_period_are_told_in_words_and_no_figure_is_shown(
    open_page: Callable[..., AppTest], query: dict[str, str], says: str
) -> None:
    test = open_page("leader", kind="free", **query)
    assert [says in each.value for each in test.error] == [True]
    assert len(test.date_input) == 2  # to choose others
    assert not test.get("plotly_chart")


def test_a_free_period_is_chosen_on_the_page_and_kept_in_its_address(
    open_page: Callable[..., AppTest],
) -> None:
    test = open_page("leader", kind="free", **{"from": "2026-05-04", "to": "2026-05-20"})
    assert [each.value for each in test.date_input] == [date(2026, 5, 4), date(2026, 5, 20)]
    test.date_input[1].set_value(date(2026, 5, 10)).run()
    assert not test.exception
    assert not test.error
    kept = {key: test.query_params[key] for key in ("kind", "from", "to")}
    assert kept == {"kind": "free", "from": "2026-05-04", "to": "2026-05-10"}


def test_what_is_chosen_while_another_choice_is_under_way_takes_nothing_back(
    open_page: Callable[..., AppTest],
) -> None:
    test = open_page("leader", lang="en", kind="month", day="2026-05-01")
    older = dict(test.query_params)
    test.selectbox[0].set_value(COUNTY).run()
    # Sent before the browser had heard of the county.
    test.query_params = dict(older)
    next(each for each in test.button if each.label == "‹").click().run()
    assert not test.exception
    assert dict(test.query_params) == older | {"area": COUNTY, "day": "2026-04-01"}
    assert test.selectbox[0].value == COUNTY


def test_what_is_red_is_supervised_through_the_law(reads: CityReads) -> None:
    found, total = reading.reds(reads, LEADER, CITY)
    now = reading.present(reads, LEADER, CITY, UNTIL)
    assert now is not None
    assert len(found) == min(total, reading.REDS_MOST) > 0
    assert total == now.overdue.count
    assert [each.overdue_since for each in found] == sorted(each.overdue_since for each in found)
    assert not any(each.supervised for each in found)
    one = found[0]
    # Whom the law does not let is refused in words; what is out of sight is as if it were not.
    duty = Actor("duty_leader:1", "duty_leader", one.area_code[:9])
    elsewhere = Actor("leader@1", "leader", COUNTY if not one.area_code.startswith(COUNTY) else OTHER_COUNTY)
    for actor, code in ((duty, "not_role"), (elsewhere, "unknown_incident")):
        (outcome,) = reading.supervise(reads, actor, [one], "还没有动静", "a press")
        assert outcome.refusal is not None
        assert outcome.refusal.code == code
        assert outcome.refusal.words("zh")
    assert one.id not in {each.id for each in reading.reds(reads, elsewhere, elsewhere.area_code)[0]}
    assert reading.reds(reads, elsewhere, CITY) == ([], 0)
    for reason, status in (("", "refused"), ("还没有动静", "done"), ("还没有动静", "duplicate")):
        (outcome,) = reading.supervise(reads, LEADER, [one], reason, "a press")
        assert outcome.status == status, reason
    after, still = reading.reds(reads, LEADER, CITY)
    assert still == total
    assert [each.id for each in after if each.supervised] == [one.id][: int(total <= reading.REDS_MOST)]


def test_a_leader_supervises_from_the_row_of_the_present(
    open_page: Callable[..., AppTest], reads: CityReads
) -> None:
    test = open_page("leader", day="2026-05-01")
    test.button(key="gw-supervise").click().run()
    assert not test.exception
    found, total = reading.reds(reads, LEADER, CITY)
    assert len(test.checkbox) == len(found)
    assert [each.value for each in test.checkbox].count(True) == 1
    test.text_input(key="supervise-reason").set_value("").run()
    test.button(key="supervise-go").click().run()
    assert [each.value for each in test.error if "理由" in each.value], [each.value for each in test.error]
    test.text_input(key="supervise-reason").set_value("还没有动静").run()
    test.button(key="supervise-go").click().run()
    assert not test.exception
    assert not test.error
    assert not test.checkbox  # the dialog is gone
    assert total == reading.reds(reads, LEADER, CITY)[1]


def test_who_may_not_supervise_has_no_button_for_it(open_page: Callable[..., AppTest]) -> None:
    for login, offered in (("duty", False), ("auditor", False), ("county", True)):
        test = open_page(login, day="2026-05-01")
        assert ("gw-supervise" in [each.key for each in test.button]) is offered


def test_another_countys_area_is_not_there(open_page: Callable[..., AppTest]) -> None:
    test = open_page("county", area=OTHER_COUNTY, day="2026-05-01")
    assert any("没有" in each.value for each in test.warning)


def test_a_team_is_told_that_the_page_is_not_for_it(open_page: Callable[..., AppTest]) -> None:
    test = open_page("team")
    assert test.warning
    assert not any("领导驾驶舱" in each.value for each in test.markdown)

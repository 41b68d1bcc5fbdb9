"""Proves that nothing which people wrote, and no word of a catalogue, ever becomes HTML of a page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from gettext import GNUTranslations
from typing import Any

import psycopg
import pytest
import streamlit as st
from starlette.requests import Request
from streamlit.testing.v1 import AppTest

from dashboard import data, frame, markup, session
from dashboard.access import COOKIE
from dashboard.data.assessment import Corrected
from dashboard.data.judged import CaseLine
from dashboard.markup import Markup, checked, css_text, html_response, joined, raw, show
from dashboard.routes import api_description, login, offline
from dashboard.widgets import charts, panel, scorecard
from dashboard.widgets.assessment import cases
from dashboard.wording import catalogue
from dispatch.accounts import sessions
from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Command, Report
from models.servers.database import Servers, psycopg_dsn
from tests import hostile, pages
from tests.small_city import EAST, IN_EAST, TOWN
from tests.templates import CityOf

DISPATCHER = Actor("dispatcher:other", "dispatcher", TOWN)


def test_what_is_put_into_markup_is_escaped_unless_it_is_markup() -> None:
    """A value, a part and what stands between parts are texts; markup that is put into markup stays as it is."""
    assert markup.markup("<i>{x}</i>", x="<script>") == "<i>&lt;script&gt;</i>"
    assert markup.markup("{x}{n}", x=Markup("<b>1</b>"), n=None) == "<b>1</b>None"
    assert joined(["<i>", Markup("<b>")], "<br>") == "&lt;i&gt;&lt;br&gt;<b>"
    assert not hostile.faults(markup.markup('<p title="{x}">{x}</p>', x=hostile.TEXT))
    assert not hostile.faults(panel.opens(hostile.TEXT, hostile.TEXT, hostile.TEXT, hostile.TEXT))


def test_what_nobody_has_escaped_reaches_no_page_and_no_answer() -> None:
    """A plain text is refused by whatever hands out HTML, also where no type checker looked."""
    text: Any = "<b>1</b>"
    for hands_out in (checked, show, html_response, lambda given: panel.panel(given, "key")):
        with pytest.raises(TypeError, match="expected Markup"):
            hands_out(text)


@pytest.mark.parametrize("text", ["a{}</style><script>", "</STYLE >", "<!-- a"])
def test_a_style_sheet_holds_nothing_that_ends_it(text: str) -> None:
    """In a style sheet HTML escapes nothing, so what would end it is refused."""
    with pytest.raises(ValueError, match="must not hold what ends it"):
        raw("style", text)
    assert "</style" not in css_text(text).lower()
    assert css_text('a"b\\') == '"a\\22 b\\5c "'


def test_what_makes_a_text_harmless_would_tell_if_it_were_not() -> None:
    """Of each way to be wrong, an element, an attribute, an entity too many and a lost text, one is told."""
    text = hostile.TEXT
    assert hostile.faults(f"<p>{text}</p>")
    assert hostile.faults(f'<p title="{text.replace("<", "&lt;")}"></p>')
    assert hostile.faults(markup.markup("<p>{x}</p>", x=str(markup.markup("{x}", x=text))))
    assert hostile.faults("<p></p>") == ["the text is not there"]


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every sentence of the catalogues end in the hostile text."""
    own = GNUTranslations.gettext
    catalogue.translator.cache_clear()
    monkeypatch.setattr(GNUTranslations, "gettext", lambda self, message: own(self, message) + hostile.TEXT)
    yield
    monkeypatch.undo()
    catalogue.translator.cache_clear()


def test_no_word_becomes_html_at_the_door(words: None) -> None:
    """The sign-in page with what was typed and where to go on, a phone's page, and the sign with the house's name."""
    form = login._form("zh", hostile.TEXT, hostile.TEXT, hostile.TEXT)
    assert not hostile.faults(form)
    offline.page.cache_clear()
    assert not hostile.faults(offline.page()[0], scripts=1)
    offline.page.cache_clear()
    assert not hostile.faults(frame.brand(hostile.TEXT))


def test_no_word_of_the_description_becomes_html(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths, summaries and answers of the HTTP door's page are texts."""
    step = {"summary": hostile.TEXT, "responses": {"200": {"description": hostile.TEXT}}}
    monkeypatch.setattr(api_description, "_description", lambda: {"paths": {hostile.TEXT: {"get": step}}})
    request = Request({"type": "http", "method": "GET", "path": "/api", "headers": []})
    answer = asyncio.run(api_description.page(request))
    assert not hostile.faults(bytes(answer.body).decode())


def test_no_word_becomes_html_of_a_chart() -> None:
    """What a chart writes in bold and says beside a point is escaped; Plotly reads the entities back."""
    drawn = charts.waterfall([charts.Loss("a", "a", 1.0, hostile.TEXT)], 99.0)
    assert not hostile.faults(drawn["data"][1]["text"][0])
    days = [charts.Day(datetime.now(UTC).date(), 0.5, 0.4, None, "", "")]
    lines = charts.trend(days, {"usual": "", "year_ago": "", "now": hostile.TEXT})["layout"]["annotations"]
    assert any(not hostile.faults(each["text"]) for each in lines)


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Lend the small city, in which every area, team, type and person has the hostile text for a name."""
    with city_of("small") as url:
        with psycopg.connect(psycopg_dsn(url)) as connection:
            sessions.ensure_demo(connection)
            for table in ("area", "team", "category", "person"):
                connection.execute(f"update {table} set name = %s".encode(), (hostile.TEXT,))
            for table in ("area", "team", "category"):
                connection.execute(f"update {table} set name_en = %s".encode(), (hostile.TEXT,))
        now = datetime.now(UTC)
        with Desk(url) as desk:
            made = [
                Report(n, "test", str(n), "0104", hostile.TEXT, hostile.TEXT, EAST, *IN_EAST, "point", now)
                for n in (1, 2, 3)
            ]
            for outcome in desk.report(made, now):
                assert outcome.incident_id is not None
            with psycopg.connect(psycopg_dsn(url)) as connection:
                teams = [
                    row[0] for row in connection.execute("select id from team where area_code = %s", (TOWN,))
                ]
                ids = [row[0] for row in connection.execute("select id from incident order by id")]
            steps: list[tuple[str, dict[str, Any]]] = [
                ("accept", {}), ("dispatch", {"team_id": teams[0], "reason": hostile.TEXT}),
                ("note", {"note": hostile.TEXT}), ("reassign", {"team_id": teams[1], "reason": hostile.TEXT}),
            ]  # fmt: skip
            for verb, args in steps:
                outcome = desk.act([Command(verb, ids[0], DISPATCHER, verb, args)], datetime.now(UTC))[0]
                assert outcome.refusal is None, outcome.refusal.words("en")
        yield url


@pytest.fixture
def shown(city: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Return what opens a page as somebody and gives all HTML that it hands out."""
    cookies: dict[str, str] = {}
    handed: list[str] = []

    def note(given: Markup) -> str:
        handed.append(checked(given))
        return handed[-1]

    monkeypatch.setattr(markup, "checked", note)
    monkeypatch.setattr(panel, "checked", note)
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))
    with pages.pointed(monkeypatch, city, servers.redis_url) as door:

        def opened(name: str, who: str, **query: str) -> list[str]:
            cookies.clear()
            if who:
                answer = data.sign_in(door, who, sessions.DEMO_PASSWORD)
                assert isinstance(answer, tuple)
                cookies[COOKIE] = answer[0]
            handed.clear()
            test = AppTest.from_string(
                f"from dashboard.screens import {name}\n{name}.page()", default_timeout=90
            )
            for key, value in query.items():
                test.query_params[key] = value
            test.run()
            assert not test.exception, [each.message for each in test.exception]
            return [each for each in handed if not each.startswith("<style>")]

        yield opened


@pytest.mark.parametrize(
    ("name", "who", "query"),
    [
        ("home", "dispatcher", {}), ("incidents", "dispatcher", {"id": "first"}), ("incidents", "city", {"id": "last"}),
        ("workbench", "dispatcher", {}), ("workbench", "dispatcher", {"id": "first"}),
        ("workbench", "dispatcher", {"id": "last"}), ("public", "", {}), ("whistles", "", {}),
    ],
)  # fmt: skip
def test_no_name_text_or_word_becomes_html_of_a_page(
    name: str,
    who: str,
    query: dict[str, str],
    city: str,
    shown: Callable[..., list[str]],
    words: None,
) -> None:
    """Whatever stands on a page, of its cases, teams, places, people and catalogues, stands there as it was written."""
    with psycopg.connect(psycopg_dsn(city)) as connection:
        ids = [row[0] for row in connection.execute("select id from incident order by id")]
    query = {key: str(ids[0] if value == "first" else ids[-1]) for key, value in query.items()}
    pieces = shown(name, who, **query)
    assert pieces
    read = [hostile.faults(each) for each in pieces]
    assert not [each for each in read if each not in ([], ["the text is not there"])], read
    assert [] in read


def test_no_link_becomes_html_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The label and the address of a way on are texts."""
    handed: list[str] = []
    monkeypatch.setattr(session, "show", handed.append)
    session.way(hostile.TEXT, f"/login?next={hostile.TEXT}")
    assert not hostile.faults(handed[0])


def test_no_reason_becomes_html_of_a_card(
    city: str, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case among those that a score counts, and a correction with its reason, are texts."""
    now = datetime.now(UTC)
    _ = catalogue.translator("zh")
    with pages.pointed(monkeypatch, city, servers.redis_url) as door:
        line = CaseLine(1, 1, "0104", EAST, "closed", "", 1.0, 1.0, (("own", 1.0),), None, None)
        assert not hostile.faults(cases.cases([line], door.known(), "team", frozenset(), "zh", _))
        corrected = Corrected(1, 1, hostile.TEXT, None, None, now)
        assert not hostile.faults(scorecard._corrections([corrected], _))

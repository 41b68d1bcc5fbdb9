"""Proves the administrator's, the auditor's and the wartime page: every tab runs, and what is pressed is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import data
from dashboard.access import COOKIE
from dashboard.data import CityReads, NotIn, Viewer, admin, wartime
from dashboard.data.admin import AccountError, LetterError, PublishError
from dashboard.screens.admin import TABS
from dashboard.wording.catalogue import LANGUAGES, translator
from dispatch.accounts import people
from dispatch.accounts import sessions as accounts
from dispatch.desk.desk import Desk
from dispatch.intake import dead_letters
from dispatch.intake.messages import Problem
from dispatch.rules.incident.chain import Actor, Command, Report
from dispatch.rules.refusals import Refusal
from dispatch.rules.wartime import Wartime
from models.servers.database import Servers, psycopg_dsn
from tests import pages
from tests.small_city import CITY, COUNTY, EAST, TOWN
from tests.templates import CityOf

PASSWORD = "correct horse"
NUMBER = 9_000_000_000_000_001
PEOPLE = {
    "root": ("admin", CITY), "auditor": ("auditor", CITY), "county": ("county", COUNTY), "city": ("city", CITY),
    "desk": ("dispatcher", TOWN),
}  # fmt: skip
SignIn = Callable[[str], Viewer]


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load a small city with one incident and the people of these tests."""
    with city_of("small") as url:
        now = datetime.now(UTC)
        one = Report(NUMBER, "test", "A-1", "1001", "占道经营", "", EAST, 113.0, 23.0, "point", now)
        with Desk(url) as desk:
            incident_id = desk.report([one], now)[0].incident_id
            assert incident_id is not None
            actor = Actor("dispatcher:desk", "dispatcher", TOWN)
            assert desk.act([Command("accept", incident_id, actor, "a-1")], now)[0].status == "done"
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
            for login, (role, area) in PEOPLE.items():
                people.add(connection, login, PASSWORD, role, area, now, name=f"人{login}")
        yield url


@pytest.fixture
def reads(city: str, stream_url: str, stream: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    """Lend the pages' door to the city."""
    with pages.pointed(monkeypatch, city, stream_url, demo=False) as lent:
        yield lent


@pytest.fixture
def signed_in(reads: CityReads, monkeypatch: pytest.MonkeyPatch) -> SignIn:
    """Return what signs the pages' browser in."""
    cookies: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))

    def sign_in(login: str) -> Viewer:
        answer = data.sign_in(reads, login, PASSWORD)
        assert isinstance(answer, tuple)
        cookies[COOKIE] = answer[0]
        return answer[1]

    return sign_in


def opened(screen: str, **query: str) -> AppTest:
    page = AppTest.from_string(
        f"from dashboard.screens import {screen}\n{screen}.page()", default_timeout=180
    )
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, [each.message for each in page.exception]
    return page


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert not page.exception, [each.message for each in page.exception]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(("login", "role"), [("root", "admin"), ("auditor", "auditor")])
def test_every_tab_runs_for_whoever_has_it(signed_in: SignIn, login: str, role: str, lang: str) -> None:
    signed_in(login)
    for name, tab in TABS.items():
        page = opened("admin", tab=name, lang=lang)
        mine = role in tab.roles
        shown = page.query_params["tab"]
        assert ((shown if isinstance(shown, str) else shown[0]) == name) == mine


def test_the_tab_that_is_chosen_is_in_the_address_and_the_one_of_the_address_is_shown(
    signed_in: SignIn,
) -> None:
    signed_in("root")
    page = opened("admin", tab="keys", lang="en")
    page.segmented_control(key="admin-tab").set_value("log").run()
    assert not page.exception
    assert page.query_params == {"tab": "log", "lang": "en"}
    # As after a step back in the browser.
    page.query_params["tab"] = "keys"
    page.run()
    assert page.segmented_control(key="admin-tab").value == "keys"
    assert page.query_params == {"tab": "keys", "lang": "en"}


def test_every_title_has_its_chinese() -> None:
    assert not [tab.title for tab in TABS.values() if translator("zh")(tab.title) == tab.title]


def test_the_auditors_tabs_have_nothing_that_changes_anything(signed_in: SignIn) -> None:
    signed_in("auditor")
    for name in ("accounts", "keys", "jobs", "policy", "areas"):
        page = opened("admin", tab=name, lang="en")
        pressable = {button.label for button in page.button}
        assert pressable <= {"Newer", "Older", "Try it on the past", "Throw the draft away"}, name


def test_an_account_is_added_from_the_page_and_can_come_in(reads: CityReads, signed_in: SignIn) -> None:
    signed_in("root")
    page = opened("admin", tab="accounts", lang="en")
    for label, value in (("Login", "newcomer"), ("Name", "新来的"), ("First password", "another password")):
        next(box for box in page.text_input if box.label == label).set_value(value)
    press(page, "Add")
    assert any("newcomer" in each.value for each in page.success)
    assert isinstance(data.sign_in(reads, "newcomer", "another password"), tuple)
    for label, value in (("Login", "newcomer2"), ("First password", "short")):
        next(box for box in page.text_input if box.label == label).set_value(value)
    press(page, "Add")
    assert any("Password" in each.value for each in page.error)


def test_nobody_shuts_their_own_account(reads: CityReads, signed_in: SignIn) -> None:
    root = signed_in("root")
    with pytest.raises(AccountError, match="your own"):
        admin.change(reads, root, "root", "disable")


def test_a_key_is_shown_once_and_opens_its_area(reads: CityReads, signed_in: SignIn) -> None:
    signed_in("root")
    page = opened("admin", tab="keys", lang="en")
    press(page, "Make a key")
    (shown,) = [each.value for each in page.code]
    key = shown.split("key=")[1]
    assert accounts.digest(key) in reads.wall_keys()
    press(page, "I have copied it")
    assert not page.code
    assert not opened("admin", tab="keys", lang="en").code
    # A key that was revoked before it was copied is not offered any more.
    page = opened("admin", tab="keys", lang="en")
    press(page, "Make a key")
    newest = max(next(each for each in page.selectbox if each.key == "revoke-wall").options)
    next(each for each in page.selectbox if each.key == "revoke-wall").select(newest)
    page.button(key="revoke-wall-now").click()
    page.run()
    assert not page.exception
    assert not page.code


def test_a_dead_letter_is_read_without_its_contact_mended_and_sent_once(
    reads: CityReads, signed_in: SignIn
) -> None:
    root, now = signed_in("root"), datetime.now(UTC)
    raw = json.dumps(
        {"v": 1, "source": "test", "source_id": "L-1", "text": "打 13800138000", "reporter": "13900139000"}
    ).encode()
    problem = Problem("unknown_category", "category", "没有这个类别", "no such type")
    with admin._stream() as stream:
        stream.xadd(dead_letters.DEAD_STREAM, dead_letters.written(raw, problem, b"1-1", now))
    count, (letter,) = admin.refused(root, True)
    assert count == 1
    assert "13900139000" not in admin.body(root, letter)
    opened("admin", tab="letters")
    admin.replay(reads, root, letter.id, ["category=0101"])
    with admin._stream() as stream:
        sent = stream.xrange(dead_letters.STREAM)
    assert json.loads(sent[-1][1][dead_letters.FIELD.encode()])["category"] == "0101"
    with pytest.raises(LetterError):
        admin.replay(reads, root, letter.id, [])
    assert admin.refused(root, True)[1] == []
    (line,) = admin.log(reads, root, what="replayed")
    assert line.by == "root"
    assert "0101" not in line.about


def test_the_record_is_found_by_number_actor_step_and_time(reads: CityReads, signed_in: SignIn) -> None:
    auditor, now = signed_in("auditor"), datetime.now(UTC)
    day = timedelta(days=1)

    def verbs(**wanted: object) -> list[str]:
        since, until = now - day, now + day
        return [line.verb for line in admin.search(reads, auditor, since, until, **wanted)]  # type: ignore[arg-type]

    assert verbs() == ["accept", "report"]
    assert verbs(number=NUMBER) == ["accept", "report"]
    assert verbs(number=NUMBER + 1) == []
    assert verbs(actor="dispatcher:") == ["accept"]
    assert verbs(actor="%") == []
    assert verbs(verb="report") == ["report"]
    assert verbs(page=1) == []
    assert admin.search(reads, auditor, now - 3 * day, now - 2 * day) == []
    # However long the span, no more than its last month is read.
    assert admin.search(reads, auditor, now - 900 * day, now + 100 * day) == []


def test_verification_names_the_event_that_was_changed(
    city: str, reads: CityReads, signed_in: SignIn, servers: Servers
) -> None:
    root = signed_in("root")
    shares: list[float] = []
    verdict = admin.verify(reads, root, None, shares.append)
    assert verdict is not None
    assert (verdict.incidents, verdict.faults) == (1, [])
    assert admin.verify(reads, root, 12345) is None
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        connection.execute("alter table event disable trigger user")
        connection.execute("update event set actor = 'dispatcher:other' where verb = 'accept'")
        try:
            broken = admin.verify(reads, root, NUMBER)
            assert broken is not None
            assert [(fault.table, fault.key) for fault in broken.faults or ()] == [("event", 2)]
        finally:
            connection.execute("update event set actor = 'dispatcher:desk' where verb = 'accept'")
            connection.execute("alter table event enable trigger user")


def test_a_policy_is_tried_before_it_is_published(reads: CityReads, signed_in: SignIn) -> None:
    root = signed_in("root")
    (current,) = admin.versions(reads, root)
    files = current.files | {"limits.toml": current.files["limits.toml"] + "\n# a note\n"}
    assert admin.wrong(root, files) == []
    assert any("a note" in line for line in admin.differences(root, current.files, files))
    verdict = admin.preview(reads, root, files, datetime.now(UTC) - timedelta(days=7))
    assert (verdict.total.cases, verdict.total.more, verdict.total.fewer) == (1, 0, 0)
    assert admin.wrong(root, files | {"limits.toml": "["})
    today = datetime.now(UTC).date() + timedelta(days=1)
    with pytest.raises(PublishError):
        admin.publish(reads, root, files | {"limits.toml": "["}, "why", today)
    assert admin.publish(reads, root, files, "why", today) == current.version + 1
    with pytest.raises(PublishError, match="already"):
        admin.publish(reads, root, files, "again", today)
    assert [line.about for line in admin.log(reads, root, what="policy")] == [
        f"version {current.version + 1}"
    ]


def test_a_job_is_run_by_hand_and_shown(reads: CityReads, signed_in: SignIn) -> None:
    root = signed_in("root")
    assert admin.run_job(reads, root, "recount") is not None
    (job,) = [each for each in admin.jobs(root, datetime.now(UTC)) if each.name == "recount"]
    assert job.last_success is not None
    assert not job.late


def test_a_citys_files_are_checked_and_nothing_is_loaded(reads: CityReads, signed_in: SignIn) -> None:
    root = signed_in("root")
    before = admin.counted(root)
    counts, problems = admin.tried(root, {"areas.csv": b"code,name\n445300,x\n", "../../evil.csv": b""})
    assert not counts
    assert problems
    assert admin.counted(root) == before


# --- wartime ------------------------------------------------------------------------------------------------------


def declared(
    reads: CityReads, who: Viewer, login: str, password: str = PASSWORD, area: str = TOWN
) -> Wartime | Refusal | NotIn:
    until = datetime.now(UTC) + timedelta(hours=6)
    return wartime.declare(reads, who, area, 3, "flood", "暴雨", "指挥长", until, login, password)


def test_wartime_needs_a_second_person_who_proves_it(reads: CityReads, signed_in: SignIn) -> None:
    county = signed_in("county")
    assert declared(reads, county, "city", "wrong password") == NotIn("wrong")
    one = declared(reads, county, "county")
    assert isinstance(one, Refusal)
    assert one.code == "one_person"
    assert isinstance(declared(reads, county, "desk"), Refusal)
    assert isinstance(declared(reads, signed_in("desk"), "city"), Refusal)
    assert wartime.stretches(reads, county) == []
    with reads.look() as connection:
        sessions = connection.execute(
            "select count(*) from session s join account a on a.id = s.account_id where a.login = 'city'"
        ).fetchone()
    assert sessions == (0,)


def test_wartime_is_declared_shown_and_ended(reads: CityReads, signed_in: SignIn) -> None:
    county = signed_in("county")
    stretch = declared(reads, county, "city")
    assert isinstance(stretch, Wartime)
    assert stretch.id is not None
    for lang in LANGUAGES:
        page = opened("wartime", lang=lang)
        assert len(page.dataframe) == 1
    signed_in("auditor")
    assert not [b for b in opened("wartime", lang="en").button if "artime" in b.label]
    assert isinstance(wartime.end(reads, county, stretch.id, ""), Refusal)
    assert isinstance(wartime.end(reads, county, stretch.id, "雨停了"), Wartime)
    assert [one.ended_by for one in wartime.stretches(reads, county)] == ["county:county"]
    signed_in("auditor")
    log = opened("admin", tab="log", lang="zh").dataframe[0].value
    assert {"宣布战时", "解除战时"} <= set(log["内容"])
    assert not [word for word in log["内容"] if word.isascii()]

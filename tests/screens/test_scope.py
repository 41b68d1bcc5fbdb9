"""Proves who sees what: every role and level over pages, streams, exports and steps, in a city of two counties."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import streamlit as st
from psycopg.types.json import Jsonb
from streamlit.testing.v1 import AppTest

from dashboard.access import COOKIE
from dashboard.data import CityReads, Filter, admin, card_scope, field, judged, leaders, whistles, workbench
from dashboard.pages import PLACES
from dispatch.accounts import people, sessions
from dispatch.accounts.sessions import Viewer
from dispatch.desk.desk import Desk
from dispatch.figures.case_sets import CaseSet
from dispatch.rules.areas import prefix_of
from dispatch.rules.incident.chain import STEPS, Actor, Command, Report
from dispatch.rules.incident.values import reporter_of
from models.cities import loading
from models.cities.loading import AreaRow
from models.servers.database import Servers, psycopg_dsn
from tests import pages, small_city
from tests.small_city import CITY, COUNTY, EAST, TOWN, WEST
from tests.templates import CityOf

PASSWORD = "correct horse"
NEXT_TOWN, NEXT_VILLAGE = "990901002", "990901002001"
FAR_COUNTY, FAR_TOWN, FAR_VILLAGE = "990902", "990902001", "990902001001"
PLACES_OF = {"east": EAST, "west": WEST, "next": NEXT_VILLAGE, "far": FAR_VILLAGE}
ALL = frozenset(PLACES_OF)
TOWNS = frozenset({"east", "west"})

# Login -> role, area, and whose incidents they see: the matrix itself.
MATRIX: dict[str, tuple[str, str, frozenset[str]]] = {
    "worker": ("grid_worker", EAST, frozenset({"east"})),
    "head": ("grid_head", EAST, frozenset({"east"})),
    "village": ("village", EAST, frozenset({"east"})),
    "dispatcher": ("dispatcher", TOWN, TOWNS),
    "duty": ("duty_leader", TOWN, TOWNS),
    "next": ("dispatcher", NEXT_TOWN, frozenset({"next"})),
    "team": ("team", TOWN, frozenset({"west"})),
    "county": ("county", COUNTY, frozenset({"east", "west", "next"})),
    "far": ("county", FAR_COUNTY, frozenset({"far"})),
    "city": ("city", CITY, ALL),
    "leader": ("leader", CITY, ALL),
    "town_leader": ("leader", TOWN, TOWNS),
    "auditor": ("auditor", CITY, ALL),
    "admin": ("admin", CITY, frozenset()),
    "resident": ("resident", EAST, frozenset()),
}
# An area's numbers and its streams: who may have which.
AREAS = (CITY, COUNTY, TOWN, EAST, NEXT_TOWN, FAR_COUNTY, FAR_TOWN)
COVERED: dict[str, frozenset[str]] = {
    "worker": frozenset({EAST}), "head": frozenset({EAST}), "village": frozenset({EAST}),
    "dispatcher": frozenset({TOWN, EAST}), "duty": frozenset({TOWN, EAST}), "next": frozenset({NEXT_TOWN}),
    "team": frozenset(), "county": frozenset({COUNTY, TOWN, EAST, NEXT_TOWN}),
    "far": frozenset({FAR_COUNTY, FAR_TOWN}), "city": frozenset(AREAS), "leader": frozenset(AREAS),
    "town_leader": frozenset({TOWN, EAST}), "auditor": frozenset(AREAS), "admin": frozenset(),
    "resident": frozenset(),
}  # fmt: skip
EVERYONE = pytest.mark.parametrize("login", MATRIX)


@dataclass(frozen=True, slots=True)
class City:
    """The city's database, and the id and number of the incident in each of its places."""

    url: str
    ids: dict[str, int]
    numbers: dict[str, int]
    team_id: int


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[City]:
    """Load a city of two counties, one incident in each of four places, and an account for each line of the matrix."""
    with city_of("migrated") as url:
        built = small_city.build()
        for code, name, level, kind, parent in (
            (NEXT_TOWN, "河西镇", 3, "town", COUNTY),
            (NEXT_VILLAGE, "河西村民委员会", 4, "rural", NEXT_TOWN),
            (FAR_COUNTY, "远处县", 2, "", CITY),
            (FAR_TOWN, "远处镇", 3, "town", FAR_COUNTY),
            (FAR_VILLAGE, "远处村民委员会", 4, "rural", FAR_TOWN),
        ):
            built.areas.append(AreaRow(code, level, name, None, kind, parent, "", 113.0, 23.0, "test"))
        built.organisations, built.teams = loading.establish(
            built.areas, loading.parsed_policy(built.policy).trades
        )
        loading.store(url, built)
        now = datetime.now(UTC)
        with Desk(url) as desk:
            reports = [
                Report(n, "test", f"S-{n}", "1001", f"说的是{name}", "", area, 113.0, 23.0, "point", now)
                for n, (name, area) in enumerate(PLACES_OF.items(), 9_000_000_000_000_001)
            ]
            ids = dict(
                zip(PLACES_OF, (each.incident_id or 0 for each in desk.report(reports, now)), strict=True)
            )
            chief = Actor("dispatcher@town", "dispatcher", TOWN)
            with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
                row = connection.execute(
                    "select id from team where trade = 'enforcement' and area_code = %s", (TOWN,)
                ).fetchone()
                assert row is not None
                team_id = int(row[0])
                steps = [("accept", {}), ("dispatch", {"team_id": team_id})]
                for verb, args in steps:
                    outcome = desk.act([Command(verb, ids["west"], chief, f"scope-{verb}", args)], now)[0]
                    assert outcome.status == "done", outcome.refusal
                connection.execute(
                    "set session_replication_role = replica"
                )  # what only a closed case can have
                connection.execute(
                    "update incident set facts = facts || %s where id = %s",
                    (
                        Jsonb({"appeal": {"by": "team:team", "reason": "x", "reviews": [], "granted": None}}),
                        ids["west"],
                    ),
                )
                connection.execute("reset session_replication_role")
                for login, (role, area, _) in MATRIX.items():
                    people.add(
                        connection,
                        login,
                        PASSWORD,
                        role,
                        area,
                        now,
                        team_id=team_id if role == "team" else None,
                    )
        numbers = {name: report.number for name, report in zip(PLACES_OF, reports, strict=True)}
        yield City(url, ids, numbers, team_id)


@pytest.fixture
def reads(city: City, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    """Lend the pages' door to the city, with the demo's doors shut."""
    with pages.pointed(monkeypatch, city.url, servers.redis_url, demo=False) as lent:
        yield lent


def viewer(reads: CityReads, login: str) -> Viewer:
    role, area, _ = MATRIX[login]
    with reads.look() as connection:
        row = connection.execute("select id, team_id from account where login = %s", (login,)).fetchone()
    assert row is not None
    return Viewer(row[0], login, login, Actor(sessions.actor_id(role, login), role, area, row[1]))


def token(city: City, login: str) -> str:
    with psycopg.connect(psycopg_dsn(city.url)) as connection:
        answer = sessions.sign_in(connection, login, PASSWORD, datetime.now(UTC))
    assert isinstance(answer, tuple)
    return answer[0]


# --- reading ------------------------------------------------------------------------------------------------------


@EVERYONE
def test_each_sees_the_incidents_of_their_scope_and_no_other(
    city: City, reads: CityReads, login: str
) -> None:
    who, seen, now = viewer(reads, login), MATRIX[login][2], datetime.now(UTC)
    actor = who.actor

    def names(found: Callable[[str, int], object]) -> set[str]:
        return {name for name, key in city.ids.items() if found(name, key)}

    readers: dict[str, set[str]] = {
        "by id": names(lambda _, key: reads.detail(actor, key)),
        "by number": names(lambda name, _: reads.id_of(actor, city.numbers[name])),
        "on the workbench": names(lambda _, key: workbench.case(reads, actor, key, now)),
        "by the phone": names(lambda _, key: field.visible(reads, actor, key)),
    }
    everything = {key: name for name, key in city.ids.items()}
    readers["in the list"] = {everything[row.id] for row in reads.incidents(actor, Filter(), now)}
    readers["by words"] = {everything[row.id] for row in reads.incidents(actor, Filter(text="说的是"), now)}
    readers["by area"] = {
        everything[row.id] for area in AREAS for row in reads.incidents(actor, Filter(area=area), now)
    }
    readers["several"] = {everything[each.id] for each in workbench.several(reads, actor, list(everything))}
    assert readers == {name: set(seen) for name in readers}
    for others in (field.tasks(reads, actor, now),):
        assert {everything[each.incident.id] for each in others} <= seen


@EVERYONE
def test_each_has_the_numbers_and_lists_of_their_areas_and_no_other(
    city: City, reads: CityReads, login: str
) -> None:
    actor, now = viewer(reads, login).actor, datetime.now(UTC)
    covered = set(COVERED[login])
    assert {a for a in AREAS if leaders.present(reads, actor, a, now) is not None} == covered
    assert {a for a in AREAS if leaders.cases(reads, actor, CaseSet("open", a)) is not None} == covered
    exported = {a for a in AREAS if list(leaders.every_case(reads, actor, CaseSet("open", a)))}
    assert exported == covered
    everything = {key: name for name, key in city.ids.items()}
    rows = {row.id for a in AREAS for row in leaders.every_case(reads, actor, CaseSet("open", a))}
    assert {everything[key] for key in rows} <= MATRIX[login][2]


@EVERYONE
def test_each_sees_the_cards_of_their_areas_and_their_own_and_no_other(
    city: City, reads: CityReads, login: str
) -> None:
    actor = viewer(reads, login).actor
    kinds = {4: "city", 6: "county", 9: "town", 12: "village"}
    subjects = {(kinds[len(a) if a != CITY else 4], a) for a in (*AREAS, NEXT_VILLAGE, FAR_VILLAGE)}
    subjects |= {("dispatch_centre", a) for a in (TOWN, NEXT_TOWN)} | {("team", str(city.team_id))}
    area_of = {("team", str(city.team_id)): TOWN}
    below = {
        each
        for each in subjects
        if any(area_of.get(each, each[1]).startswith(prefix_of(a)) for a in COVERED[login])
    }
    expected = {
        "worker": set(), "head": {("village", EAST)}, "team": {("team", str(city.team_id))},
    }.get(login, below)  # fmt: skip
    with reads.look() as connection:
        assert {each for each in subjects if card_scope.sees(connection, actor, *each)} == expected
        assert card_scope.sees(connection, actor, "team", "999999999") is (login == "auditor"), "none to see"
        for person in ("dispatcher:next", "grid_worker:nobody"):
            if card_scope.sees(connection, actor, person.partition(":")[0], person):
                assert login in ("next", "county", "city", "leader", "auditor"), person


@EVERYONE
def test_a_list_of_ids_brings_no_case_or_appeal_of_other_areas(
    city: City, reads: CityReads, login: str
) -> None:
    actor, everything = viewer(reads, login).actor, list(city.ids.values())
    seen = {city.ids[name] for name in MATRIX[login][2]}
    now = datetime.now(UTC)
    subject = ("town", TOWN)
    assert {each.id for each in judged.rows(reads, actor, subject, everything, now)} == seen
    assert {key for key in everything if judged.asked(reads, actor, key) is not None} == seen
    # One appeal stands on a case of the first town: who does not see the case does not see what was said of it.
    found = {each.incident_id for each in judged.appeals(reads, actor, everything)}
    assert found == {city.ids["west"]} & seen


@EVERYONE
def test_whistles_of_other_areas_are_not_on_the_board(city: City, reads: CityReads, login: str) -> None:
    actor, now = viewer(reads, login).actor, datetime.now(UTC)
    for area in AREAS:
        board = whistles.board(reads, actor, area, now - timedelta(days=1), now)
        assert {row.incident.id for row in board.rows} <= {city.ids[name] for name in MATRIX[login][2]}


def test_a_resident_sees_what_carries_their_token_and_nothing_else(city: City, reads: CityReads) -> None:
    whole = Actor("city:test", "city", CITY)
    detail = reads.detail(whole, city.ids["east"])
    assert detail is not None
    own = Actor(reporter_of(detail.incident), "resident", EAST)
    assert {name for name, key in city.ids.items() if reads.detail(own, key)} == {"east"}
    for made_up in ("resident@", "resident@0", "resident@%", "resident@null", "resident:resident"):
        stranger = Actor(made_up, "resident", EAST)
        assert not [key for key in city.ids.values() if reads.detail(stranger, key)]


@EVERYONE
def test_only_the_administrator_keeps_and_only_the_auditor_checks(
    city: City, reads: CityReads, login: str
) -> None:
    who = viewer(reads, login)
    role, now = who.role, datetime.now(UTC)
    asked: list[tuple[tuple[str, ...], Callable[[], object]]] = [
        (("auditor",), lambda: admin.search(reads, who, now - timedelta(days=1), now)),
        (("admin", "auditor"), lambda: admin.listed(reads, who)),
        (("admin", "auditor"), lambda: admin.log(reads, who)),
        (("admin", "auditor"), lambda: admin.verify(reads, who, city.numbers["east"])),
        (("admin", "auditor"), lambda: admin.held_keys(reads, who, "wall")),
        (("admin",), lambda: admin.refused(who, True)),
        (("admin",), lambda: admin.new_key(reads, who, "wall", TOWN, login)),
    ]
    for roles, ask in asked:
        if role in roles:
            ask()
        else:
            with pytest.raises(PermissionError):
                ask()
    if role != "admin":
        for change in (
            lambda: admin.add(reads, who, "intruder", PASSWORD, "admin", CITY, "", None),
            lambda: admin.change(reads, who, "city", "disable"),
            lambda: admin.change(reads, who, "city", "reset", "another password"),
            lambda: admin.revoke_key(reads, who, "wall", 1),
            lambda: admin.replay(reads, who, "0-1", []),
            lambda: admin.run_job(reads, who, "clocks"),
            lambda: admin.publish(reads, who, {}, "x", now.date()),
        ):
            with pytest.raises(PermissionError):
                change()


# --- acting -------------------------------------------------------------------------------------------------------


@EVERYONE
def test_no_step_reaches_out_of_scope_or_tells_that_there_is_something(
    city: City, reads: CityReads, login: str
) -> None:
    actor, now = viewer(reads, login).actor, datetime.now(UTC)
    hidden = [city.ids[name] for name in ALL - MATRIX[login][2]]
    nowhere = 999_999_999
    with reads.look() as connection:
        before = connection.execute("select id, seq, head from incident order by id").fetchall()
    args = {
        "reason": "x", "note": "x", "result": "x", "team_id": city.team_id, "rating": 5, "standard": True,
        "into": city.ids["east"], "until": now.isoformat(), "whistle_kind": "hard", "real": True, "limit": "1wd",
        "category": "0104", "granted": True, "commander": "x",
    }  # fmt: skip
    commands = [
        Command(verb, key, actor, f"reach-{login}-{verb}-{key}", dict(args))
        for verb in STEPS
        for key in (*hidden, nowhere)
    ]
    for command, outcome in zip(commands, reads.submit(commands, now), strict=True):
        assert outcome.refusal is not None, command.verb
        assert (outcome.status, outcome.refusal.code) == ("refused", "unknown_incident"), command.verb
    with reads.look() as connection:
        after = connection.execute("select id, seq, head from incident order by id").fetchall()
    assert after == before


@pytest.mark.parametrize("login", ["next", "team", "admin", "resident"])
def test_a_step_out_of_scope_waits_for_nobody_and_locks_nothing(
    city: City, reads: CityReads, login: str
) -> None:
    """Neither the incident nor the one to merge into: what is in somebody's hand would tell that it is there."""
    actor, now, hidden = viewer(reads, login).actor, datetime.now(UTC), city.ids["east"]
    own = [city.ids[name] for name in MATRIX[login][2]]
    commands = [
        Command("note", hidden, actor, f"wait-{login}", {"note": "x"}),
        *(Command("merge", key, actor, f"wait-{login}-{key}", {"into": hidden}) for key in own),
    ]
    with psycopg.connect(psycopg_dsn(city.url)) as holder:
        holder.execute("select from incident where id = %s for update", (hidden,))
        # Whoever waited would be told after ten seconds that the lock was not to be had.
        outcomes = reads.submit(commands, now)
    first, *merges = [o.refusal.code if o.refusal else o.status for o in outcomes]
    assert first == "unknown_incident"
    assert set(merges) <= {"no_other", "not_now", "not_role"}


# --- pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["", "team", "admin", "resident"])
def test_a_page_opens_for_its_roles_alone(
    city: City, reads: CityReads, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    cookies = {COOKIE: token(city, login)} if login else {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))
    role = MATRIX[login][0] if login else None
    shut = [place for place in PLACES.values() if not place.opens(role)]
    assert shut
    for place in shut:
        page = AppTest.from_string(
            f"from dashboard.screens import {place.screen}\n{place.screen}.page()", default_timeout=180
        )
        page.query_params["lang"] = "en"
        page.run()
        assert not page.exception, place.path
        told = [each.value for each in (*page.info, *page.warning)]
        assert any("Sign in" in words or "This page is for" in words for words in told), place.path
        assert not [*page.dataframe, *page.text_input, *page.button], place.path


@pytest.mark.parametrize("login", ["dispatcher", "team", "far"])
def test_a_link_to_another_towns_incident_shows_nothing_of_it(
    city: City, reads: CityReads, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    cookies = {COOKIE: token(city, login)}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))

    def said(incident_id: int) -> str:
        page = AppTest.from_string(
            "from dashboard.screens import incidents\nincidents.page()", default_timeout=180
        )
        page.query_params["id"] = str(incident_id)
        page.query_params["lang"] = "en"
        page.run()
        assert not page.exception
        return " ".join(each.value for each in (*page.text, *page.subheader, *page.warning, *page.info))

    nothing = said(999_999_999)
    for name in PLACES_OF:
        shown = said(city.ids[name])
        if name in MATRIX[login][2]:
            assert f"说的是{name}" in shown
        else:
            assert shown == nothing


@pytest.mark.parametrize(
    ("login", "path"), [("dispatcher", "workbench"), ("far", "workbench"), ("team", "incidents")]
)
def test_nothing_that_a_link_brings_to_a_page_names_another_towns_incident(
    city: City, reads: CityReads, monkeypatch: pytest.MonkeyPatch, login: str, path: str
) -> None:
    cookies = {COOKIE: token(city, login)}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))

    def whole(incident_id: int) -> bytes:
        """Return everything that the page sends to the browser, not only what a person reads."""
        page = AppTest.from_string(
            f"from dashboard.screens import {path}\n{path}.page()", default_timeout=180
        )
        page.query_params["id"] = str(incident_id)
        page.run()
        assert not page.exception
        protos = [getattr(node, "proto", None) for node in page]
        return b"".join(proto.SerializeToString() for proto in protos if proto is not None)

    for name, key in city.ids.items():
        assert (f"说的是{name}".encode() in whole(key)) is (name in MATRIX[login][2]), name

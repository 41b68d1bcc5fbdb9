"""Who is on duty, what a team says of itself, and what passes from shift to shift: with a real database."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine

from dispatch.assignment import experience, roster
from dispatch.assignment.proposals import Proposals, recorded
from dispatch.assignment.roster import Turn
from dispatch.desk.desk import Desk
from dispatch.desk.store import events_of
from dispatch.intake.messages import number_of
from dispatch.record import publishing
from dispatch.rules.incident.chain import Actor, Command, Report
from dispatch.rules.policy.weights import FORMER
from jobs import shifts
from models import tables
from models.cities import loading, rota
from models.migrations import migrate
from tests import small_city
from tests.small_city import EAST, IN_EAST, TOWN

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)  # ten in the morning of a working Friday
CENTRE = Actor("dispatcher/1", "dispatcher", TOWN)


@pytest.fixture
def desk(database: str) -> Iterator[Desk]:
    city = small_city.build()
    teams = [t for t in city.teams if t.area_code == TOWN and t.trade == "police"]
    city.people = [loading.PersonRow(n, f"王{n}", "", teams[0].organisation_id, True) for n in range(1, 9)]
    since = date(2026, 1, 1)
    city.duties = [
        *(loading.DutyRow(n, n, "team_member", "", TOWN, teams[0].id, "{}", since) for n in range(1, 5)),
        *(loading.DutyRow(n, n, "dispatcher", "", TOWN, None, "{}", since) for n in range(5, 9)),
    ]
    loading.store(database, city)
    with Desk(database) as opened:
        yield opened


def police(desk: Desk) -> int:
    return int(value(desk, f"select id from team where trade = 'police' and area_code = '{TOWN}'"))


def value(desk: Desk, query: str) -> Any:
    def ask(cursor: psycopg.Cursor[Any]) -> Any:
        row = cursor.execute(query.encode()).fetchone()
        return row and row[0]

    return desk.ask(ask)


def opened(desk: Desk, serial: int, category: str = "0101", at: datetime = NOW) -> int:
    report = Report(
        number_of("hotline", str(serial)),
        "hotline",
        str(serial),
        category,
        "有人反映",
        "",
        EAST,
        *IN_EAST,
        "point",
        at,
    )
    (outcome,) = desk.report([report], at)
    assert outcome.incident_id is not None
    return outcome.incident_id


def act(desk: Desk, incident: int, verb: str, actor: Actor, at: datetime, **args: Any) -> None:
    (outcome,) = desk.act([Command(verb, incident, actor, f"{verb}/{at}", args)], at)
    assert outcome.status == "done", outcome.refusal and outcome.refusal.words("en")


def crew(desk: Desk) -> Actor:
    return Actor("crew", "team", TOWN, police(desk))


def test_who_is_on_duty_is_read_by_instant_and_area(desk: Desk) -> None:
    team = police(desk)
    day, night = NOW - timedelta(hours=2), NOW + timedelta(hours=6)
    turns = [
        Turn(1, "team_member", day, night, team_id=team),
        Turn(2, "team_member", night, night + timedelta(hours=8), team_id=team),
        Turn(5, "dispatcher", day, night, area_code=TOWN),
    ]
    assert desk.ask(lambda cursor: roster.enter(cursor, turns)) == 3
    assert desk.ask(lambda cursor: roster.enter(cursor, turns)) == 0

    def people(at: datetime, area: str = "") -> list[int]:
        return [t.person_id for t in desk.ask(lambda cursor: roster.on_duty(cursor, at, area))]

    assert people(NOW) == [5, 1]
    assert people(NOW, TOWN) == [5, 1]
    assert people(NOW, EAST) == []
    # A turn runs from its begin up to its end: at the change there are never two and never none.
    assert people(night) == [2]
    assert people(day - timedelta(seconds=1)) == []
    assert desk.ask(lambda cursor: roster.on_duty(cursor, NOW))[0].name == "王5"


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"area_code": TOWN}, "ck_shift_team_or_centre"),
        ({"ends_at": NOW - timedelta(hours=3)}, "ck_shift_order"),
        ({"ends_at": NOW + timedelta(hours=30)}, "ck_shift_order"),
        ({"role": "king"}, "ck_shift_role"),
    ],
)
def test_a_turn_that_cannot_be_is_refused_by_the_database(
    desk: Desk, changes: dict[str, Any], constraint: str
) -> None:
    turn: dict[str, Any] = {
        "person_id": 1, "role": "team_member", "begins_at": NOW, "ends_at": NOW + timedelta(hours=8),
        "team_id": police(desk),
    }  # fmt: skip
    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        desk.ask(lambda cursor: roster.enter(cursor, [Turn(**(turn | changes))]))


def test_the_demo_rosters_leave_no_turn_empty_and_join_up(desk: Desk) -> None:
    assert shifts.draw(desk, NOW) > 0
    assert shifts.draw(desk, NOW) == 0
    later = NOW + timedelta(days=rota.DAYS - rota.DAYS_LEFT)
    assert shifts.draw(desk, later) > 0
    for hour in range(0, 24 * 18):
        on = desk.ask(lambda cursor, h=hour: roster.on_duty(cursor, NOW + timedelta(hours=h)))  # type: ignore[misc]
        assert [t.team_id for t in on].count(None) == 1, hour
        assert [t.team_id for t in on].count(police(desk)) == 2, hour
    # Nobody is on for longer than a turn at a stretch.
    assert (
        value(
            desk,
            "select count(*) from shift a join shift b on b.person_id = a.person_id and b.begins_at = a.ends_at",
        )
        == 0
    )


def test_a_city_of_real_people_is_left_to_draw_up_its_own(desk: Desk) -> None:
    desk.ask(lambda cursor: cursor.execute("update person set invented = false where id = 1"))
    turn = Turn(1, "team_member", NOW, NOW + timedelta(hours=8), team_id=police(desk))
    desk.ask(lambda cursor: roster.enter(cursor, [turn]))
    assert shifts.draw(desk, NOW) == 0


def test_a_teams_state_follows_from_its_work_and_its_own_word_never_touches_it(desk: Desk) -> None:
    team, me = police(desk), crew(desk)

    def state() -> str:
        return desk.ask(roster.states)[team]

    assert state() == "available"
    first, second = opened(desk, 1), opened(desk, 2)
    for incident in (first, second):
        act(desk, incident, "accept", CENTRE, NOW)
        act(desk, incident, "dispatch", CENTRE, NOW, team_id=team)
    assert state() == "assigned"
    act(desk, first, "pick_up", me, NOW)
    assert state() == "on_the_way"
    act(desk, first, "arrive", me, NOW, position=list(IN_EAST))
    assert state() == "on_scene"
    before = value(desk, "select string_agg(a::text, ';' order by id) from assignment a")
    events = value(desk, "select count(*) from event")
    refusal = desk.ask(lambda cursor: roster.say_state(cursor, team, "resting", me, NOW, "午休"))
    assert refusal is None
    assert state() == "resting"
    assert value(desk, "select string_agg(a::text, ';' order by id) from assignment a") == before
    assert value(desk, "select count(*) from event") == events
    assert value(desk, "select state || '/' || reason from team_status") == "resting/午休"
    desk.ask(lambda cursor: roster.say_state(cursor, team, "available", me, NOW))
    assert state() == "on_scene"


def test_only_the_team_or_its_own_centre_says_its_state(desk: Desk) -> None:
    team = police(desk)

    def said(actor: Actor, number: int = team) -> str | None:
        refusal = desk.ask(lambda cursor: roster.say_state(cursor, number, "resting", actor, NOW))
        return refusal.code if refusal else None

    assert said(Actor("x", "team", TOWN, team + 1)) == "not_team"
    assert said(Actor("x", "dispatcher", "990901002")) == "not_area"
    assert said(Actor("x", "grid_worker", EAST)) == "not_team"
    assert said(CENTRE, 999_999) == "unknown_team"
    assert value(desk, "select count(*) from team_status") == 0
    assert said(CENTRE) is None
    with pytest.raises(ValueError, match="expected one of"):
        desk.ask(lambda cursor: roster.say_state(cursor, team, "on_scene", CENTRE, NOW))


def test_what_is_open_is_listed_once_when_a_shift_changes(desk: Desk) -> None:
    team = police(desk)
    turn = Turn(1, "team_member", NOW - timedelta(hours=8), NOW, team_id=team)
    idle = Turn(5, "dispatcher", NOW - timedelta(hours=8), NOW, area_code=TOWN)
    desk.ask(lambda cursor: roster.enter(cursor, [turn, idle]))
    early = NOW - timedelta(hours=1)
    mine = opened(desk, 1, at=early)
    act(desk, mine, "accept", CENTRE, early)
    act(desk, mine, "dispatch", CENTRE, early, team_id=team)
    assert shifts.change(desk, NOW - timedelta(minutes=1)) == 0
    # The centre has nothing open: no list for it.
    assert shifts.change(desk, NOW + timedelta(minutes=1)) == 1
    assert shifts.change(desk, NOW + timedelta(minutes=2)) == 0
    taker = Actor("person/2", "team", TOWN, team)
    taken = desk.ask(lambda cursor: roster.take_over(cursor, f"team/{team}", NOW, taker, NOW))
    assert taken is not None
    assert [(one["id"], one["awaits"], one["lead"]) for one in taken] == [(mine, "pick_up", True)]
    assert desk.ask(lambda cursor: roster.take_over(cursor, f"team/{team}", NOW, taker, NOW)) is None


def test_a_place_is_used_while_fresh_and_forgotten_when_the_team_goes_off(desk: Desk) -> None:
    team = police(desk)

    def place(minutes: int, lon: float) -> bool:
        at = NOW - timedelta(minutes=minutes)
        return desk.ask(lambda cursor: roster.say_place(cursor, team, lon, 23.005, at))

    assert place(5, 113.006)
    assert not place(9, 113.5)
    standing = desk.ask(lambda cursor: roster.standings(cursor, NOW))[team]
    assert (standing.lon, standing.age_min) == (113.006, 5)
    assert desk.ask(lambda cursor: roster.forget_places(cursor, NOW)) == 0
    desk.ask(lambda cursor: roster.say_state(cursor, team, "off_duty", crew(desk), NOW))
    assert desk.ask(lambda cursor: roster.forget_places(cursor, NOW)) == 1


def test_what_waits_is_proposed_with_what_the_roster_knows(desk: Desk) -> None:
    team, proposals = police(desk), Proposals(desk)
    shifts.draw(desk, NOW)
    first = opened(desk, 1, "0103")
    second = opened(desk, 2)
    assert proposals.burst(NOW) == []
    act(desk, second, "accept", CENTRE, NOW)
    (decision,) = proposals.burst(NOW, TOWN)
    assert decision.waiting.id == second
    assert decision.chosen is not None
    assert decision.chosen.team.id == team
    said = {because.code: because.words("zh") for because in decision.chosen.reasons}
    assert said["on_shift"] == "当班 2 人"
    assert said["trade"] == "此类事项由派出所负责"
    assert proposals.burst(NOW, "990902") == []
    one = proposals.one(first, NOW)
    assert one is not None
    assert [o.team.id for o in one.offers] == [team]
    assert proposals.one(123_456_789, NOW) is None
    desk.ask(lambda cursor: roster.say_state(cursor, team, "off_duty", CENTRE, NOW))
    (decision,) = proposals.burst(NOW, TOWN)
    assert decision.chosen is None
    assert [b.words("en") for b in decision.shortfalls] == ["None of 1 police station team(s) is ready"]


def test_a_case_whose_type_was_dropped_since_is_still_offered_to_its_own_trade(desk: Desk) -> None:
    """What the policy has dropped it was opened under: the service desk, where unknown texts go, has nothing in it."""
    incident = opened(desk, 1)
    act(desk, incident, "accept", CENTRE, NOW)
    files = loading.policy_files()
    kept = [line for line in files["event_types.csv"].splitlines() if not line.startswith("0101,")]
    files["event_types.csv"] = "\n".join(kept) + "\n"
    with psycopg.connect(desk.dsn) as connection:
        publishing.publish(
            connection,
            files,
            "dropped",
            desk.in_force(datetime.now(UTC)).calendar.local(datetime.now(UTC)).date(),
        )
    with Desk(desk.dsn) as other:
        assert "0101" not in other.in_force(datetime.now(UTC)).types
        (decision,) = Proposals(other).burst(NOW)
    assert decision.chosen is not None
    assert decision.chosen.team.id == police(desk)


def test_the_offer_and_the_choice_are_both_kept(desk: Desk) -> None:
    incident = opened(desk, 1)
    act(desk, incident, "accept", CENTRE, NOW)
    (decision,) = Proposals(desk).burst(NOW)
    assert decision.chosen is not None
    other = int(value(desk, f"select id from team where trade = 'enforcement' and area_code = '{TOWN}'"))
    offer = recorded(decision.chosen)
    act(desk, incident, "dispatch", CENTRE, NOW, team_id=other, reason="派出所正在增援", offer=offer)
    event = desk.ask(lambda cursor: events_of(cursor, incident))[-1]
    assert event.change.assignments[0].team_id == other
    assert event.change.said["reason"] == "派出所正在增援"
    assert event.change.said["offer"] == offer
    assert offer["team_id"] == police(desk)


def followed(desk: Desk) -> int:
    taken = 0
    while events := desk.ask(lambda cursor: experience.follow(cursor.connection)):
        taken += events
    return taken


def known(desk: Desk, now: datetime) -> list[tuple[str, str, int, int, int]]:
    calendar = desk.in_force(NOW).calendar
    found = desk.ask(lambda cursor: experience.known(cursor, ["0101", "0103"], FORMER, calendar, now))
    return [(e.category, e.trade, e.sent, e.returned, e.settled) for e in found]


def test_only_returns_that_say_not_ours_are_remembered(desk: Desk) -> None:
    team, me = police(desk), crew(desk)
    said = [
        ("no_means", "人手不足，本单位去不了"),
        ("not_ours", "该由水利办"),
        ("other", "不属于本单位，也没有人手"),
    ]
    for serial, (kind, reason) in enumerate(said):
        incident = opened(desk, serial)
        act(desk, incident, "accept", CENTRE, NOW)
        act(desk, incident, "dispatch", CENTRE, NOW, team_id=team)
        act(desk, incident, "decline", me, NOW, return_kind=kind, reason=reason)
    assert known(desk, NOW) == []
    followed(desk)
    # The tick counts, whatever the words are.
    assert known(desk, NOW) == [("0101", "police", 3, 1, 0)]
    assert known(desk, NOW + timedelta(days=FORMER.memory_days)) == [("0101", "police", 3, 1, 0)]
    assert known(desk, NOW + timedelta(days=FORMER.memory_days + 1)) == []


def test_experience_follows_what_happens_and_is_then_what_counting_anew_gives(desk: Desk) -> None:
    team, me = police(desk), crew(desk)
    one, two = opened(desk, 1), opened(desk, 2)
    for incident in (one, two):
        act(desk, incident, "accept", CENTRE, NOW)
        act(desk, incident, "dispatch", CENTRE, NOW, team_id=team)
    followed(desk)
    assert known(desk, NOW) == [("0101", "police", 2, 0, 0)]
    assert followed(desk) == 0
    # Days later one comes back as not theirs and is another type after all: it is told of the day of sending.
    later = NOW + timedelta(days=3)
    act(desk, one, "decline", me, later, return_kind="not_ours", reason="不属于本单位")
    assert followed(desk) > 0
    assert known(desk, later) == [("0101", "police", 2, 1, 0)]
    act(desk, one, "recode", CENTRE, later, category="0103", reason="看错了")
    followed(desk)
    step = known(desk, later)
    assert step == [("0101", "police", 1, 0, 0), ("0103", "police", 1, 1, 0)]
    desk.ask(lambda cursor: experience.rebuild(cursor.connection))
    assert known(desk, later) == step


def test_experience_goes_with_the_policy_s_words_for_not_ours(desk: Desk) -> None:
    incident = opened(desk, 1)
    act(desk, incident, "accept", CENTRE, NOW)
    act(desk, incident, "dispatch", CENTRE, NOW, team_id=police(desk))
    act(desk, incident, "decline", crew(desk), NOW, return_kind="other", reason="归水利部门管")
    # As it stood in the record before the kind was asked for.
    desk.ask(
        lambda cursor: [
            cursor.execute(
                "set local session_replication_role = replica"
            ),  # the record lets nobody change it
            cursor.execute("update event set data = (data::jsonb #- '{said,return_kind}')::json"),
        ]
    )
    followed(desk)
    assert known(desk, NOW) == [("0101", "police", 1, 0, 0)]
    desk.ask(
        lambda cursor: cursor.execute(
            "insert into policy_version (version, valid_from, digest, files) select version + 1, valid_from, 'other',"
            " jsonb_set(files, '{assignment.toml}', to_jsonb(replace(files ->> 'assignment.toml', '\"非本单位\"',"
            " '\"归水利\"'))) from policy_version"
        )
    )
    followed(desk)
    assert known(desk, NOW) == [("0101", "police", 1, 1, 0)]


def test_an_offer_says_what_was_counted(desk: Desk) -> None:
    team, me = police(desk), crew(desk)
    for serial in range(3):
        incident = opened(desk, serial)
        act(desk, incident, "accept", CENTRE, NOW)
        act(desk, incident, "dispatch", CENTRE, NOW, team_id=team)
        act(desk, incident, "decline", me, NOW, return_kind="not_ours", reason="不属于本单位")
    fresh = opened(desk, 9)
    followed(desk)
    decision = Proposals(desk).one(fresh, NOW)
    assert decision is not None
    said = {b.code: b.values for o in decision.offers for b in o.shortfalls}
    assert (said["misdispatch"]["sent"], said["misdispatch"]["returned"]) == (3, 3)


def test_the_migrations_build_exactly_the_tables_and_have_one_head(database: str) -> None:
    assert len(ScriptDirectory.from_config(migrate.config(database)).get_heads()) == 1
    engine = create_engine(database, poolclass=NullPool)
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type 'xid8'")
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, tables.load_all()) == []
    engine.dispose()

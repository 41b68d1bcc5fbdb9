"""What must always hold, each by its name, on incidents that many hands have walked at random."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, cast

import psycopg
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.checks import audit
from dispatch.desk import store
from dispatch.desk.desk import Desk, Outcome
from dispatch.figures import cohorts, rollup
from dispatch.intake import consumer, message_stream
from dispatch.intake.consumer import Dispatcher
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.intake.messages import number_of
from dispatch.intake.prepare import Batch
from dispatch.rules.areas import Level, centre_of, parent_of
from dispatch.rules.incident.chain import Actor, Command, Report, lawful
from dispatch.rules.incident.links import GENESIS, holds, link
from models.servers.database import Servers, psycopg_dsn
from models.tables.scores import COUNTS
from tests import district, small_city
from tests.small_law import CITY, JOINT, MAJOR, MONDAY, SMALL, WHISTLE, report
from tests.walks import BUTTONS, EVERYBODY, check_leads, check_owner, check_segments, read_back, walk

pytestmark = pytest.mark.city("district")

walks = given(
    st.randoms(use_true_random=False), st.sampled_from([JOINT, MAJOR, SMALL, WHISTLE]), st.booleans()
)
often = settings(max_examples=60, deadline=None)
# Reading back takes longest; and test_chain holds all of these together on walks of its own.
less_often = settings(max_examples=30, deadline=None)


@less_often
@walks
def test_folding_the_events_of_an_incident_gives_its_row(rnd: Random, category: str, imported: bool) -> None:
    for case in walk(rnd, category, imported):
        assert read_back(case) == case.incident


@often
@walks
def test_every_event_names_its_actor_time_cause_and_policy(
    rnd: Random, category: str, imported: bool
) -> None:
    *_, case = walk(rnd, category, imported)
    for event in case.events:
        assert event.actor
        assert event.cause
        assert event.at.tzinfo is not None
        assert event.policy_version == case.policy.version == case.incident.policy_version
    assert [event.seq for event in case.events] == list(range(1, len(case.events) + 1))
    assert [event.at for event in case.events] == sorted(event.at for event in case.events)


@often
@walks
def test_no_column_of_any_event_is_edited_unseen(rnd: Random, category: str, imported: bool) -> None:
    *_, case = walk(rnd, category, imported)
    rows = [
        (e.incident_id, e.seq, e.at, e.verb, e.actor, e.cause, e.policy_version, store.written(e.change))
        for e in case.events
    ]
    heads = [GENESIS]
    for row in rows:
        heads.append(link(heads[-1], *row))
        assert holds(heads[-1], heads[-2], *row)
    place = rnd.randrange(len(rows))
    row = rows[place]
    for column, value in enumerate(row):
        edited: Any = (
            value + timedelta(microseconds=1)
            if isinstance(value, datetime)
            else value + 1
            if isinstance(value, int)
            else f"{value} "
        )
        changed: Any = (*row[:column], edited, *row[column + 1 :])
        assert not holds(heads[place + 1], heads[place], *changed)
    # Nor is one left out, or put in another's place.
    if place:
        assert not holds(heads[place + 1], heads[place - 1], *row)


@often
@walks
def test_the_segments_of_responsibility_sum_from_report_to_end(
    rnd: Random, category: str, imported: bool
) -> None:
    for case in walk(rnd, category, imported):
        check_segments(case)


@often
@walks
def test_no_open_incident_is_without_an_owner(rnd: Random, category: str, imported: bool) -> None:
    for case in walk(rnd, category, imported):
        check_owner(case)


@often
@walks
def test_no_incident_has_two_live_leads(rnd: Random, category: str, imported: bool) -> None:
    for case in walk(rnd, category, imported):
        check_leads(case)


@pytest.fixture
def city(database: str) -> str:
    """Give the test a city in which forty incidents were walked at random through the Desk."""
    rnd = Random(11)
    with Desk(database) as desk:
        made = []
        for n in range(40):
            one = report(
                rnd.choice((JOINT, MAJOR, SMALL, WHISTLE)),
                rnd.choice(district.CELLS),
                number=number_of("hotline", str(n)),
                at=MONDAY + timedelta(hours=n),
            )
            one.source_id = str(n)
            made.append(one)
        ids = [o.incident_id for o in desk.report(made, MONDAY + timedelta(hours=40)) if o.incident_id]
        for turn in range(12):
            now = MONDAY + timedelta(hours=48 + 3 * turn)
            desk.act([_wish(desk, i, turn, rnd) for i in ids], now)
    return database


def _wish(desk: Desk, incident_id: int, turn: int, rnd: Random) -> Command:
    """Return what somebody who may does next."""
    incident = desk.ask(lambda cursor: store.load(cursor, [incident_id]))[incident_id].incident
    area = incident.area_code
    near = {"dispatcher": centre_of(area), "duty_leader": centre_of(area), "county": area[:6], "city": CITY}
    people = [Actor(f"p/{a.role}", a.role, near.get(a.role, area[:12]), None) for a in EVERYBODY]
    people += [Actor(f"team/{p.team_id}", "team", CITY, p.team_id) for p in incident.parts.values()]
    wishes = [
        (step.verb, who) for who in people for step in lawful(incident, who) if step.verb in _PLAIN
    ] or [("note", people[0])]
    verb, who = rnd.choice(wishes)
    args = dict(BUTTONS[verb][1])
    if verb in ("dispose", "solve"):
        args["photos"] = ["https://x/1.jpg", "https://x/2.jpg"]
    return Command(verb, incident_id, who, f"{turn}", args)


_PLAIN = (
    "accept",
    "dispatch",
    "pick_up",
    "arrive",
    "dispose",
    "solve",
    "verify",
    "rework",
    "close",
    "decline",
    "void",
)


def test_the_rows_of_the_database_are_the_folds_of_its_events_and_the_audit_finds_every_edit(
    city: str,
) -> None:
    district.check_everything(city)
    with psycopg.connect(psycopg_dsn(city)) as connection:
        verdict = audit.verify(connection)
        assert (verdict.faults, verdict.incidents) == ([], 40)
        connection.execute("set session_replication_role = replica")
        rnd = Random(3)
        keys = connection.execute("select incident_id, seq from event order by incident_id, seq").fetchall()
        for edit in _EDITS:
            connection.commit()
            connection.execute("set session_replication_role = replica")
            incident, seq = rnd.choice(keys)
            done = connection.execute(
                f"update event set {edit} where (incident_id, seq) = (%s, %s)".encode(), (incident, seq)
            )
            assert done.rowcount == 1
            faults = audit.verify(connection).faults
            assert faults
            assert (faults[0].incident_id, faults[0].key) == (incident, seq), edit
            connection.rollback()


_EDITS = (
    "at = at + interval '1 microsecond'",
    "verb = verb || 's'",
    "actor = 'somebody else'",
    "cause = cause || '!'",
    "policy_version = policy_version + 1",
    "data = (data::text || ' ')::json",
    "hash = sha256(hash)",
)


def test_numbers_at_a_level_are_the_sum_of_the_level_below(city: str) -> None:
    """The hours, the days, and what is open now: town, county and city, count by count."""
    begin, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection, connection.cursor() as cursor:
        while rollup.follow(connection):
            pass
        while cohorts.follow(connection):
            pass
        levels = [
            rollup.sums(cursor, begin, end, level, CITY) for level in (Level.CITY, Level.COUNTY, Level.TOWN)
        ]
        for above, below in pairwise(levels):
            for area, counts in above.items():
                inside = [held for code, held in below.items() if parent_of(code) == area]
                assert {name: sum(held[name] for held in inside) for name in COUNTS} == counts, area
        assert levels[0][CITY]["reported"] == 40
        names = [
            column
            for (column,) in cursor.execute(
                "select column_name from information_schema.columns where table_name = 'daily'"
                " and data_type in ('integer', 'bigint', 'smallint')"
            ).fetchall()
        ]
        totals = ", ".join(f"sum({name})::int" for name in names)
        by_area: dict[str, tuple[int, ...]] = {
            code: tuple(rest)
            for code, *rest in cursor.execute(
                f"select area_code, {totals} from daily group by 1".encode()
            ).fetchall()
        }
    assert len(names) > 10
    assert by_area[CITY][names.index("reported")] == 40
    for area, figures in by_area.items():
        parts = [held for code, held in by_area.items() if parent_of(code) == area]
        if len(area) <= 9:
            assert tuple(map(sum, zip(*parts, strict=True))) == figures, area


@pytest.mark.city("small")
def test_nothing_is_acknowledged_that_is_not_in_the_database(
    database: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks, before the commit or after it, a message leaves the stream when its incident can be read."""
    last = [stream.xadd(STREAM, {FIELD: small_city.raw(serial)}) for serial in range(50)][-1]
    fates = iter(["before", "after", "", "before", "after"])
    looked: list[int] = []

    class Fragile(Desk):
        def report(self, reports: Sequence[Report], now: datetime) -> list[Outcome]:
            fate = next(fates, "")
            outcomes = super().report(reports, now) if fate != "before" else []
            if fate:
                raise psycopg.OperationalError("the connection broke")
            return outcomes

    class Watched(Dispatcher):
        def _acknowledge(self, batch: Batch) -> bool:
            numbers = [one.number for one in batch.reports]
            with psycopg.connect(psycopg_dsn(database)) as connection:
                query = "select number from incident where number = any(%s)"
                assert {n for (n,) in connection.execute(query, (numbers,))} == set(numbers)
            looked.append(len(numbers))
            return super()._acknowledge(batch)

    monkeypatch.setattr(consumer, "Desk", Fragile)
    dispatcher = Watched(Servers(database, stream_url), batch=10)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(dispatcher.run)
        deadline = time.monotonic() + 60
        while not message_stream.settled(stream, cast(bytes, last)) and not running.done():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)
        dispatcher.stop()
        running.result(60)
    assert sum(looked) == 50
    assert next(fates, None) is None
    assert district.value(database, "select count(*) from incident") == 50

"""When silence goes up next is decided once: what a wall announces is what the job then does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
import pytest

from dashboard.data import CityReads
from dashboard.live import Minute, Picture, tiles
from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Command
from dispatch.rules.policy import escalation
from jobs.clocks import escalate, sweep
from models.servers.database import psycopg_dsn
from tests import district
from tests.small_law import (
    CITY,
    COUNTY_DESK,
    CREW,
    DISPATCHER,
    HEAD,
    JOINT,
    LADDER,
    MONDAY,
    POLICE,
    WHISTLE,
    policy_files,
    report,
)  # fmt: skip

MINUTE, INSTANT = timedelta(minutes=1), timedelta(milliseconds=1)
# A city of its own mind: three quarters of an hour where the former ladder waits two.
QUICK = LADDER.replace('"120m"', '"45m"')


@pytest.fixture
def doors(database: str) -> Iterator[tuple[Desk, CityReads]]:
    """Give the test a Desk and the pages' reads of the small city."""
    district.build(database)
    reads = CityReads(database)
    with Desk(database) as desk:
        yield desk, reads
    reads.close()


def enact(database: str, ladder: str) -> None:
    """Let another ladder be the city's."""
    with psycopg.connect(psycopg_dsn(database)) as connection, connection.cursor() as cursor:
        district.publish(cursor, 8, policy_files() | {escalation.FILE: ladder})


def announced(reads: CityReads, now: datetime) -> tuple[datetime, int] | None:
    """Return when and to which level the city's wall says that its only row goes up."""
    directory = reads.directory()
    picture = Picture(directory, reads.snapshot(MONDAY - timedelta(days=1)), now)
    [row] = msgspec.json.decode(tiles(picture, Minute.of(directory, {}, now), CITY, "zh", False)["reds"])[
        "rows"
    ]
    return (
        None if row["next"] is None else (datetime.fromtimestamp(row["next"][0] / 1000, UTC), row["next"][1])
    )


def opened(desk: Desk, category: str) -> int:
    [outcome] = desk.report([report(category)], MONDAY)
    assert outcome.incident_id is not None
    return outcome.incident_id


def act(desk: Desk, verb: str, incident: int, actor: Actor, at: datetime, **args: object) -> None:
    [outcome] = desk.act([Command(verb, incident, actor, f"{verb}/{at}", dict(args))], at)
    assert outcome.status == "done", outcome


def as_announced(desk: Desk, reads: CityReads, database: str, now: datetime) -> timedelta:
    """Hold the job to what the wall announces now; return how long before it the announcement was made."""
    said = announced(reads, now)
    assert said is not None
    assert escalate(desk, said[0] - INSTANT) == 0
    assert escalate(desk, said[0]) == 1
    assert district.value(database, "select level from incident") == said[1]
    return said[0] - now


@pytest.mark.parametrize(("ladder", "minutes"), [(LADDER, 120), (QUICK, 45)], ids=["former", "own"])
def test_the_wall_reads_the_citys_own_ladder_as_the_job_does(
    doors: tuple[Desk, CityReads], database: str, ladder: str, minutes: int
) -> None:
    enact(database, ladder + "# its own\n")
    opened(doors[0], JOINT)
    due = MONDAY + 10 * MINUTE
    sweep(doors[0], due + INSTANT)
    assert as_announced(*doors, database, due) == minutes * MINUTE


def test_a_hand_down_begins_the_silence_anew_on_the_wall_too(
    doors: tuple[Desk, CityReads], database: str
) -> None:
    desk, reads = doors
    incident = opened(desk, JOINT)
    due = MONDAY + 10 * MINUTE
    sweep(desk, due + INSTANT)
    assert escalate(desk, due + 120 * MINUTE) == 1
    assert announced(reads, due + 120 * MINUTE) is None
    handed_down = due + 300 * MINUTE
    act(desk, "hand_down", incident, COUNTY_DESK, handed_down, reason="镇街自办")
    assert as_announced(desk, reads, database, handed_down) == 120 * MINUTE


def test_a_whistle_not_reported_in_is_announced_by_its_own_rung(
    doors: tuple[Desk, CityReads], database: str
) -> None:
    """Which comes before that of its severity."""
    desk, reads = doors
    incident = opened(desk, WHISTLE)
    act(desk, "accept", incident, DISPATCHER, MONDAY)
    act(desk, "whistle", incident, HEAD, MONDAY, whistle_kind="hard", reason="一家办不了", team_id=POLICE)
    act(desk, "send_whistle", incident, DISPATCHER, MONDAY)
    # Picked up, and then nobody comes.
    act(desk, "pick_up", incident, CREW, MONDAY + 5 * MINUTE)
    due = MONDAY + 30 * MINUTE
    sweep(desk, due + INSTANT)
    assert as_announced(desk, reads, database, due) == 15 * MINUTE

"""Time acts once: each limit passed is noted once, and each silence goes up one level a rung, whoever looks when."""

from __future__ import annotations

from datetime import datetime, timedelta

import alembic.command
import pytest

from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Command
from dispatch.rules.incident.effects import sampled
from dispatch.rules.policy import escalation
from dispatch.rules.time import clocks
from jobs import clocks as clock_jobs
from jobs.clocks import escalate, sweep
from models.migrations import migrate
from tests import district
from tests.district import opened
from tests.small_law import (
    CITY,
    COUNTY,
    GRID_CREW,
    JOINT,
    MAJOR,
    MONDAY,
    POLICE,
    SMALL,
    TOWN,
    VILLAGE,
    WHISTLE,
    report,
    small_policy,
)

pytestmark = pytest.mark.city("district")

MINUTE, INSTANT = timedelta(minutes=1), timedelta(microseconds=1)


def noted(database: str, verb: str) -> int:
    """Count the events of a verb."""
    return int(district.value(database, "select count(*) from event where verb = %s", verb))


def test_a_limit_is_noted_once_and_not_before_it_is_passed(desk: Desk, database: str) -> None:
    """Due exactly now is still on time; the next instant is not; a second sweep finds nothing."""
    opened(desk, JOINT)
    due = MONDAY + 10 * MINUTE
    assert district.value(database, "select due_at from incident") == due
    assert sweep(desk, due) == 0
    assert sweep(desk, due + INSTANT) == 1
    assert sweep(desk, due + INSTANT) == sweep(desk, due + MINUTE) == 0
    assert noted(database, "breach") == 1
    assert district.rows(database, "select overdue_since, clocks -> 'accept' ->> 'state' from incident") == [
        (due, "breached")
    ]
    district.check_everything(database)


def test_limits_that_fall_due_at_one_instant_are_each_noted(desk: Desk, database: str) -> None:
    """Pick-up and arrival of the lead, at the same second: neither hides the other."""
    opened(desk, MAJOR)
    due = MONDAY + 5 * MINUTE
    parts = district.value(database, "select count(*) from assignment")
    assert sweep(desk, due + INSTANT) == 2 * parts
    assert sweep(desk, due + MINUTE) == 0
    told = district.rows(
        database, "select data -> 'said' ->> 'clock', count(*) from event where verb = 'breach' group by 1"
    )
    assert dict(told) == {"pick_up": parts, "arrive": parts}
    district.check_everything(database)


def test_the_next_limit_names_its_clocks_through_every_change(desk: Desk, database: str) -> None:
    """In hand, extended, suspended, resumed, passed and ended: the column says what the clocks say."""
    opened(desk, MAJOR)
    opened(desk, JOINT, first=50)
    opened(desk, SMALL, first=60)
    keys = [key for (key,) in district.rows(database, "select id from incident order by id")]
    centre, county = Actor("dispatcher/1", "dispatcher", CITY), Actor("county/1", "county", COUNTY)
    steps: list[tuple[str, int, dict[str, object]]] = [
        ("accept", keys[1], {}),
        ("suspend", keys[0], {"reason": "台风", "until": MONDAY + timedelta(days=2)}),
        ("resume", keys[0], {}),
        ("void", keys[1], {"reason": "误报"}),
    ]
    named = {clocks for (clocks,) in district.rows(database, "select due_clocks from incident")}
    for number, (verb, key, args) in enumerate(steps):
        at = MONDAY + number * MINUTE
        actor = county if verb in ("suspend", "resume") else centre
        (outcome,) = desk.act([Command(verb, key, actor, str(number), args)], at)
        assert outcome.status == "done", outcome
        district.check_everything(database)
        named |= {clocks for (clocks,) in district.rows(database, "select due_clocks from incident")}
    sweep(desk, MONDAY + timedelta(hours=3))
    district.check_everything(database)
    kinds = {name.partition("/")[0] for clocks in named if clocks for name in clocks.split()}
    assert {"accept", "pick_up", "arrive"} <= kinds
    assert None in named


def test_the_migration_names_the_clocks_of_what_is_open(desk: Desk, database: str) -> None:
    """What was open before the column was there is found as it would have been."""
    opened(desk, MAJOR, 3)
    opened(desk, JOINT, 3, first=50)
    before = district.rows(database, "select id, due_at, due_clocks from incident order by id")
    desk.close()
    alembic.command.downgrade(migrate.config(database), "0003")
    migrate.upgrade(database)
    assert district.rows(database, "select id, due_at, due_clocks from incident order by id") == before
    assert all(due and named for _, due, named in before)


def test_what_one_transaction_cannot_hold_is_noted_by_the_next(
    desk: Desk, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage there is more than a batch, and several limits an incident."""
    monkeypatch.setattr(clock_jobs, "SWEEP_LIMIT", 5)
    opened(desk, MAJOR, 12)
    live = district.value(database, "select count(*) from assignment")
    passed = MONDAY + 6 * MINUTE
    runs = [sweep(desk, passed)]
    while runs[-1]:
        assert runs[-1] <= 5 * clock_jobs.ROUNDS_LIMIT
        runs.append(sweep(desk, passed))
    assert sum(runs) == noted(database, "breach") == 2 * live
    assert len(desk.clocks_due(MONDAY + timedelta(days=60), 3)) == 3
    district.check_everything(database)


def test_silence_goes_up_one_level_a_rung_and_once_each(desk: Desk, database: str) -> None:
    """Not before its time, not twice at it, and after an outage by one step and not by a backlog of them."""
    opened(desk, JOINT)
    due = MONDAY + 10 * MINUTE
    sweep(desk, due + INSTANT)
    step = escalation.next_step(3, 3, due, small_policy().ladder)
    assert step is not None
    assert step[1] == 2
    assert escalate(desk, step[0] - INSTANT) == 0
    assert escalate(desk, step[0]) == 1
    assert escalate(desk, step[0]) == escalate(desk, step[0] + MINUTE) == 0
    assert district.value(database, "select level from incident") == 2
    assert noted(database, "escalate") == 1
    after = escalation.next_step(3, 2, due, small_policy().ladder)
    assert escalate(desk, step[0] + timedelta(days=9)) == (0 if after is None else 1)
    district.check_everything(database)


def test_after_a_hand_down_silence_counts_anew_and_goes_up_again(desk: Desk, database: str) -> None:
    """The same limit is still passed, but another has it now: the whole wait again, and then up, each time."""
    opened(desk, JOINT)
    one = district.value(database, "select id from incident")
    due = MONDAY + 10 * MINUTE
    sweep(desk, due + INSTANT)
    wait = timedelta(hours=2)
    assert escalate(desk, due + wait) == 1
    county = Actor("county/1", "county", COUNTY)
    at = due + 3 * wait
    for turn in range(2):
        [outcome] = desk.act([Command("hand_down", one, county, f"down/{turn}", {"reason": "镇街自办"})], at)
        assert outcome.status == "done"
        assert escalate(desk, at) == escalate(desk, at + wait - INSTANT) == 0
        assert escalate(desk, at + wait) == 1
        assert escalate(desk, at + 2 * wait) == 0
        at += 3 * wait
    assert noted(database, "escalate") == 3
    assert district.value(database, "select level from incident") == 2
    district.check_everything(database)


def test_a_whistle_that_nobody_reports_in_for_goes_to_the_county_by_itself(desk: Desk, database: str) -> None:
    """Thirty minutes to report in and fifteen of grace, whatever the ladder of its severity says; once a whistle."""
    desk.report([report(WHISTLE, number=n) for n in (1, 2)], MONDAY)
    ids = [row[0] for row in district.rows(database, "select id from incident order by id")]
    blower, town, crew = (
        Actor("head/1", "grid_head", VILLAGE), Actor("dispatcher/1", "dispatcher", TOWN),
        Actor("crew/3", "team", TOWN, POLICE),
    )  # fmt: skip

    def press(verb: str, i: int, who: Actor, at: datetime, **args: object) -> None:
        [outcome] = desk.act([Command(verb, i, who, f"{verb}/{at}", dict(args))], at)
        assert outcome.status == "done", outcome.refusal

    for i in ids:
        press("accept", i, town, MONDAY)
        press("whistle", i, blower, MONDAY, whistle_kind="hard", reason="一家办不了", team_id=POLICE)
        press("send_whistle", i, town, MONDAY)
        # Picked up, and then nobody comes: to acknowledge is not to report in.
        press("pick_up", i, crew, MONDAY + 5 * MINUTE)
    press("arrive", ids[1], crew, MONDAY + 29 * MINUTE, reason="没有信号")
    late = MONDAY + 45 * MINUTE
    sweep(desk, MONDAY + 30 * MINUTE + INSTANT)
    assert escalate(desk, late - INSTANT) == 0
    assert escalate(desk, late) == 1
    assert escalate(desk, late) == escalate(desk, late + timedelta(hours=1)) == 0
    assert district.rows(database, "select level from incident order by id") == [(2,), (3,)]
    asked = "select data #> '{said, reason}' from event where verb = 'escalate'"
    assert district.value(database, asked) == {"code": "not_reported_in"}
    down = late + timedelta(hours=1)
    press("hand_down", ids[0], Actor("county/1", "county", COUNTY), down, reason="镇街自办")
    assert escalate(desk, down + 15 * MINUTE - INSTANT) == 0
    assert escalate(desk, down + 15 * MINUTE) == 1
    district.check_everything(database)


def test_a_whistle_reported_in_between_looking_and_acting_is_not_raised(
    desk: Desk, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was gathered a moment ago is looked at again by the law."""
    found = [(1, 1, 2, 3, MONDAY)]
    monkeypatch.setattr(desk, "unreported", lambda now, limit: found)
    desk.report([report(WHISTLE, number=1)], MONDAY)
    one = district.value(database, "select id from incident")
    found[0] = (one, 1, 2, 3, MONDAY)
    assert escalate(desk, MONDAY + timedelta(hours=1)) == 0
    assert district.value(database, "select level from incident") == 3


def test_the_days_sample_waits_for_verification_and_no_job_draws_it(desk: Desk, database: str) -> None:
    """Drawn by number as each is solved; a drawn one that nobody verifies passes a limit, the others never wait."""
    numbers = range(1, 61)
    opened(desk, SMALL, len(numbers))
    keys = dict(district.rows(database, "select number, id from incident"))
    photos = ["https://photos.example/1.jpg", "https://photos.example/2.jpg"]
    later = MONDAY + 10 * MINUTE
    steps = [
        Command(verb, keys[number], GRID_CREW, verb, args)
        for number in numbers
        for verb, args in (("pick_up", {}), ("dispose", {"result": "已清理", "photos": photos}))
    ]
    assert {outcome.status for outcome in desk.act(steps, later)} == {"done"}
    drawn = {number for number in numbers if sampled(number)}
    assert 0 < len(drawn) < 10
    waiting = district.rows(
        database, "select number, awaits, due_clocks from incident where state = 'disposed'"
    )
    assert {(number, "verify", "verify") for number in drawn} == set(waiting)
    rest = district.rows(database, "select number from incident where state = 'verified'")
    assert {number for (number,) in rest} == set(numbers) - drawn
    assert sweep(desk, MONDAY + timedelta(days=3)) == len(drawn)
    late = district.rows(database, "select number from incident where overdue_since is not null")
    assert {number for (number,) in late} == drawn
    district.check_everything(database)


def test_a_grave_matter_is_not_hidden_behind_many_small_ones(
    desk: Desk, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand small ones, overdue longer but not due to go up, leave the first place to it."""
    monkeypatch.setattr(clock_jobs, "SWEEP_LIMIT", 20)
    opened(desk, SMALL, 30)
    opened(desk, MAJOR, first=100)
    # All pick-ups of the small ones are noted; then the grave one falls silent as well.
    now = MONDAY + 61 * MINUTE
    while sweep(desk, now):
        pass
    small, grave = (escalation.next_step(s, 3, MONDAY, small_policy().ladder) for s in (4, 1))
    assert small is not None
    assert grave is not None
    assert small[0] > now
    rows = desk.overdue(now + timedelta(hours=1), 20)
    assert [severity for _, severity, _, _ in rows] == [1]


def test_every_limit_of_one_incident_is_noted_in_its_own_time(desk: Desk, database: str) -> None:
    """The first one noted does not hide the later one."""
    opened(desk, JOINT)
    kinds = set()
    for days in range(1, 90):
        sweep(desk, MONDAY + timedelta(days=days))
        kinds |= {
            kind
            for (kind,) in district.rows(
                database, "select data -> 'said' ->> 'clock' from event where verb = 'breach'"
            )
        }
    assert kinds == {"accept", "close"} <= set(clocks.KINDS)

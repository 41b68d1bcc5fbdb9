"""Give the demo city a past: a year of incidents, each walked through the same law on a virtual clock.

Every incident is led from its report to its end, or to the present, by the behaviour in `dispatch.demo.world`, decided
and folded by the rules that the Desk applies, and written by the Desk's own hand. What a receipt already shows is
skipped, and a run that was cut short goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from random import Random
from typing import Any

import psycopg
import redis
import shapely

from dispatch.accounts import sessions
from dispatch.assignment import experience
from dispatch.demo import scenes
from dispatch.demo.world import Happening, Spot, World, next_act
from dispatch.desk import store
from dispatch.desk.desk import Desk
from dispatch.desk.statements import Statements
from dispatch.desk.store import Held, Ids
from dispatch.figures import published
from dispatch.intake.messages import number_of
from dispatch.record.policies import Policies
from dispatch.rules.incident.chain import decide, evolve, open_report, route
from dispatch.rules.incident.reasons import coded
from dispatch.rules.incident.sending import load_changes
from dispatch.rules.incident.values import (
    SYSTEM,
    Actor,
    Change,
    Command,
    Context,
    Event,
    Incident,
    Report,
)
from dispatch.rules.law import LIVE
from dispatch.rules.policy import escalation
from dispatch.rules.policy.policy import Policy
from dispatch.rules.refusals import Refusal
from dispatch.rules.teams.routing import Roster
from dispatch.rules.time import clocks
from dispatch.scores import scoring
from dispatch.scores.month_cases import span_of
from models.servers.database import psycopg_dsn

SEED = 22807  # one in which the demo's own team is overloaded: its score has something to explain
PER_DAY = 329  # reports: about 120,000 a year
DAYS = 365
MONTHS_LOOKED_AT = 60
PHOTOGRAPHED_DAYS = 3  # whose reports have their photos; before, only words are left
CHUNK = 1_000  # incidents in one transaction
SOURCES = (("field_app", 0.55), ("resident_app", 0.25), ("hotline", 0.15), ("sensor", 0.05))
# What the demo's own team appeals, and what was given: stretches of time, that it was never theirs, or the whole.
GROUNDS = (
    ("山体滑坡，道路中断，车辆过不去", "time"),
    ("山体滑坡，道路中断，车辆过不去", "time"),
    ("山体滑坡，道路中断，车辆过不去", "time"),
    ("地点报错，不在本队辖区", "never"),
    ("停电，等供电部门恢复后才能处置", ""),
)
APPEALED_WITHIN = timedelta(days=3)  # of closing: appealed and judged twice
SWEEP_LAG = timedelta(seconds=3)  # how long after a limit the sweep of clocks notes it
# Steps after which an incident that still turns in circles is left as it is.
STEPS_LIMIT = 60
# Where a run that is cut short leaves how far it came: until when, and how many days are done.
MARK = "gridwhistle:history"


def begun(stream: redis.Redis) -> tuple[datetime, int]:
    """Return until when the history goes, which is now where none was begun, and how many of its days are done."""
    mark = {str(k): str(v) for k, v in stream.hgetall(MARK).items()}
    until = datetime.fromisoformat(mark["until"]) if "until" in mark else datetime.now(UTC)
    return until, int(mark.get("days_done", 0))


def resume(
    stream: redis.Redis, database_url: str, until: datetime, days: int, per_day: int, seed: int, first: int
) -> Iterator[tuple[int, int]]:
    """Write as `write` does, and leave in the stream server how far it came; yield the same."""
    stream.hset(MARK, "until", until.isoformat())
    for done, incidents in write(database_url, until, days, per_day, seed, first):
        stream.hset(MARK, "days_done", str(done))
        yield done, incidents


def judge(database_url: str) -> Iterator[tuple[date, int, bool]]:
    """Assess the last whole month and the present one, and count experience: a newcomer should not wait a night.

    Yield (month, score cards, whether they are frozen) after each; nothing where months were assessed before.
    """
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        cursor = connection.cursor()
        if cursor.execute("select 1 from assessment_month limit 1").fetchone() is not None:
            return
        now = datetime.now(UTC)
        calendar = Policies(cursor).in_force(now).calendar
        if (town := sessions.demo_town(cursor)) is not None:
            object_to_lateness(database_url, now, town)
        published.enter(cursor)
        published.count_days(cursor, calendar, now)
        experience.rebuild(connection)
        for month in scoring.unfrozen(cursor, now, MONTHS_LOOKED_AT)[-1:]:
            cards = scoring.freeze(connection, month, now)
            connection.commit()
            yield month, cards, True
        month = calendar.local(now).date().replace(day=1)
        yield month, scoring.assess_month(connection, month, now), False


def object_to_lateness(database_url: str, now: datetime, town: tuple[str, int]) -> int:
    """Let a town's team appeal what it was late with, last month and this one; return how many steps were taken.

    Each is judged by two reviewers on its day, before the month is frozen; the newest is still under appeal.
    """
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        cursor = connection.cursor()
        known = Policies(cursor)
        calendar = known.in_force(now).calendar
        present = calendar.local(now).date().replace(day=1)
        before = (present - timedelta(days=1)).replace(day=1)
        commands: list[tuple[datetime, Command]] = []
        late = (
            "select id, reported_at, disposed_at, last_at from incident where state = 'closed'"
            " and disposed_on_time is false and (facts ->> 'disposer_team')::int = %s"
        )
        closing = scoring.freezes_at(before, *scoring.rules_of(known, before, now))
        for month, until in ((before, min(now, closing)), (present, now)):
            found = cursor.execute(
                f"{late} and reported_at >= %s and reported_at < %s and last_at < %s order by reported_at limit %s",
                (town[1], *span_of(month, calendar), until - APPEALED_WITHIN, len(GROUNDS)),
            ).fetchall()
            for (key, reported_at, disposed_at, closed), (reason, how) in zip(found, GROUNDS, strict=False):
                span = [reported_at.isoformat(), disposed_at.isoformat()]
                given: dict[str, dict[str, Any]] = {
                    "time": {"spans": [span]},
                    "never": {"never_theirs": True},
                }
                commands += _appeal(town, key, closed, reason, given.get(how, {}))
        newest = cursor.execute(
            f"{late} and last_at >= %s and last_at < %s order by last_at desc, id limit 1",
            (town[1], now - APPEALED_WITHIN, now),
        ).fetchone()
        if newest is not None:
            commands.append((now, _appeal(town, newest[0], newest[3], GROUNDS[0][0], {})[0][1]))
    with Desk(database_url) as desk:
        # One at a time, each on its day; what a visitor has appealed meanwhile is refused and stays theirs.
        outcomes = [desk.act([command], at)[0] for at, command in sorted(commands, key=itemgetter(0))]
    return sum(each.status == "done" for each in outcomes)


def _appeal(
    town: tuple[str, int], key: int, closed: datetime, reason: str, given: Mapping[str, Any]
) -> list[tuple[datetime, Command]]:
    """Return an appeal of a town's team and both judgements on it, each with its time."""
    code, team = town
    county, city = code[:6], code[:4] + "00"
    granted = {"granted": True, "reason": "情况属实", **given}
    steps = (
        ("appeal", Actor(f"team/{team}", "team", code, team), {"reason": reason}),
        ("judge_appeal", Actor(f"county/{county}", "county", county), granted),
        ("judge_appeal", Actor(f"city/{city}", "city", city), granted),
    )
    return [
        (closed + APPEALED_WITHIN * n / 4, Command(verb, key, actor, f"history/appeal/{key}/{n}", args))
        for n, (verb, actor, args) in enumerate(steps, 1)
    ]


def write(
    database_url: str,
    until: datetime,
    days: int,
    per_day: int,
    seed: int,
    first: int = 0,
    photographed: int = PHOTOGRAPHED_DAYS,
) -> Iterator[tuple[int, int]]:
    """Write the `days` before `until` and its own day so far, the newest first: it is what screens show.

    Yield (days done, incidents written) after each day is committed; `first` days are passed over as done. Reports of
    the newest `photographed` days have their photos, which are put into the store.
    """
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        cursor = connection.cursor()
        policy = Policies(cursor).in_force(until)
        today = policy.calendar.midnight(until)
        world = city(cursor, policy, seed)
        ids, part_ids = Ids("incident_block"), Ids("assignment_block")
        context = Context(Roster(store.teams(cursor), policy.weights), lambda: part_ids.take(cursor))
        connection.commit()
        for back in range(first, days + 1):
            begin = today - timedelta(days=back)
            rnd = Random(f"{seed}/{policy.calendar.local(begin):%Y-%m-%d}")
            found = [
                h for h in world.happenings(begin, begin + timedelta(days=1), per_day, rnd) if h.at < until
            ]
            written = 0
            for chunk in range(0, len(found), CHUNK):
                reports = [_report(h, seed) for h in found[chunk : chunk + CHUNK]]
                if back < photographed:
                    reports = [_photographed(connection, report) for report in reports]
                written += _write_chunk(cursor, reports, ids, policy, context, until, seed)
                connection.commit()
            yield back + 1, written


def _write_chunk(
    cursor: store.Cursor,
    reports: Sequence[Report],
    ids: Ids,
    policy: Policy,
    context: Context,
    until: datetime,
    seed: int,
) -> int:
    named = {r.number: ids.take(cursor) for r in reports}
    claimed = store.claim(Statements(cursor.connection), list(named), list(named.values()))
    held: list[Held] = []
    events: list[Event] = []
    loads: dict[int, int] = {}
    for report in reports:
        if report.number not in claimed:
            continue
        incident = Incident(named[report.number])
        lived = live_through(incident, report, policy, context, until, seed)
        if lived:
            one = Held(incident, received_at=report.reported_at)
            one.known_seq, one.known_segment, one.known_parts = 0, 0, frozenset()
            held.append(one)
            events += lived
            for team, count in store.live_by_team(incident).items():
                loads[team] = loads.get(team, 0) + count
    if held:
        store.write(Statements(cursor.connection), held, events, loads)
    return len(held)


def live_through(
    incident: Incident, report: Report, policy: Policy, context: Context, until: datetime, seed: int
) -> list[Event]:
    """Walk a fresh incident from its report through every act that falls before `until`; return its events."""
    events: list[Event] = []

    def happen(at: datetime, verb: str, actor: str, cause: str, change: Change) -> None:
        event = Event(incident.id, incident.seq + 1, at, verb, actor, cause, policy.version, change)
        context.roster.count(load_changes(incident, change))
        evolve(incident, event)
        events.append(event)

    cause = f"{report.source}:{report.source_id}"
    opened = open_report(report, policy, context, report.reported_at)
    if isinstance(opened, Refusal):
        return []
    happen(report.reported_at, "report", report.source, cause, opened)
    routed = route(incident, policy, context, report.reported_at)
    if routed is not None:
        happen(report.reported_at, "route", SYSTEM.id, cause, routed)
    for step in range(STEPS_LIMIT):
        act = next_act(incident, policy, context.roster, seed)
        by = min(act.at if act is not None else until, until)
        _time_passes(incident, policy, context, by, happen)
        if act is None or act.at >= until:
            break
        # An escalation on the way does not undo what people were about to do.
        at = max(act.at, incident.last_at)
        command = Command(act.verb, incident.id, act.actor, f"history/{incident.number}/{step}", act.args)
        change = decide(incident, command, policy, context, at)
        if isinstance(change, Refusal):
            raise AssertionError(
                f"the world asked for what the law refuses: {act.verb}: {change.words('en')}"
            )
        happen(at, act.verb, act.actor.id, command.id, change)
    # Walking a past incident must not weigh on the choice of teams for others.
    context.roster.count({team: -count for team, count in store.live_by_team(incident).items()})
    return events


def _time_passes(incident: Incident, policy: Policy, context: Context, by: datetime, happen: object) -> None:
    """Note every limit passed and every escalation due before `by`, in the order of time."""
    assert callable(happen)
    for _ in range(STEPS_LIMIT):
        running = incident.running()
        due = clocks.nearest(running)
        step = escalation.next_step(
            incident.severity, incident.level, clocks.overdue_since(running), policy.ladder
        )
        breach_at = due + SWEEP_LAG if due is not None else None
        if breach_at is not None and breach_at <= by and (step is None or breach_at <= step[0]):
            command = Command("breach", incident.id, SYSTEM, "sweep", _clock_due(incident, due))
        elif step is not None and step[0] <= by:
            breach_at = max(step[0], incident.last_at)
            command = Command("escalate", incident.id, SYSTEM, "ladder", {"reason": coded("silence")})
        else:
            return
        change = decide(incident, command, policy, context, breach_at)
        if isinstance(change, Refusal):
            raise AssertionError(f"time asked for what the law refuses: {command.verb}: {change.words('en')}")
        happen(max(breach_at, incident.last_at), command.verb, SYSTEM.id, command.id, change)


def _clock_due(incident: Incident, due: datetime | None) -> dict[str, Any]:
    """Return which clock falls due: what a sweep names in its command."""
    for kind, clock in incident.clocks.items():
        if clock.state == "running" and clock.due == due:
            return {"clock": kind}
    for part in incident.parts.values():
        if part.state in LIVE or part.state == "review":
            for kind, clock in part.clocks.items():
                if clock.state == "running" and clock.due == due:
                    return {"clock": kind, "assignment_id": part.id}
    raise AssertionError("the nearest limit belongs to no clock")


def _report(happening: Happening, seed: int) -> Report:
    rnd = Random(f"{seed}/{happening.at.timestamp()}")
    source = rnd.choices([s for s, _ in SOURCES], [w for _, w in SOURCES])[0]
    source_id = f"{happening.at:%Y%m%d%H%M%S%f}"
    return Report(
        number=number_of(source, source_id),
        source=source,
        source_id=source_id,
        category=happening.kind.code,
        text=happening.text,
        address=happening.spot.name,
        area_code=happening.spot.code,
        lon=happening.lon,
        lat=happening.lat,
        located="point",
        reported_at=happening.at,
    )


def _photographed(connection: psycopg.Connection[Any], report: Report) -> Report:
    """Return a report with a photo where somebody took one; hotline and sensors take none."""
    if not report.source.endswith("_app") or Random(f"photo/{report.number}").random() > scenes.SHARE:
        return report
    photo = scenes.taken(connection, report.category, report.number, "report", report.reported_at)
    return report if photo is None else replace(report, photos=(photo,))


def city(cursor: store.Cursor, policy: Policy, seed: int) -> World:
    """Return the demo city's world: where its people are, and the town where its visitors will work."""
    town = sessions.demo_town(cursor)
    return World(spots(cursor), policy, seed, town[0] if town is not None else "")


def spots(cursor: store.Cursor) -> list[Spot]:
    """Read the micro grids that have a place on the map, each with a point inside its cell."""
    cursor.execute(
        "select a.code, a.name, s.wkb from area a join area_shape s using (code) where a.level = 6 order by a.code"
    )
    rows = cursor.fetchall()
    inside = shapely.get_coordinates(shapely.point_on_surface(shapely.from_wkb([bytes(r[2]) for r in rows])))
    return [
        Spot(code, name, float(x), float(y)) for (code, name, _), (x, y) in zip(rows, inside, strict=True)
    ]

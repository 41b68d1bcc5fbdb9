"""Hold what a database says of its incidents against what must be so of every life, however it was lived."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
import psycopg

from dispatch.checks import audit
from dispatch.desk import store
from dispatch.rules.incident.chain import LIVE, SYSTEM, Change, Event, Incident, evolve
from dispatch.rules.incident.values import Segment
from dispatch.rules.policy import escalation
from models.servers.database import psycopg_dsn

_change = msgspec.json.Decoder(Change)


@dataclass(frozen=True, slots=True)
class Found:
    """What a database holds: the source id of each report, and how many whistles went up for want of a report-in."""

    reports: list[str]
    raised: int


def held(database: str) -> Found:
    """Return what is there; raise AssertionError where an invariant does not hold."""
    with psycopg.connect(psycopg_dsn(database)) as connection, connection.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read")
        verdict = audit.verify(connection)
        assert verdict.faults == [], verdict.faults
        rows = cursor.execute(
            "select id, source_id, due_at, overdue_since, received_at from incident order by id"
        ).fetchall()
        reports = [source_id for _, source_id, *_ in rows]
        alarms = {key: (due, overdue) for key, _, due, overdue, _ in rows}
        stored_rows = store.load(cursor, list(alarms))
        events: dict[int, list[Event]] = defaultdict(list)
        for *row, data in cursor.execute(
            "select incident_id, seq, at, verb, actor, cause, policy_version, data::text from event"
            " order by incident_id, seq"
        ).fetchall():
            events[row[0]].append(Event(*row, _change.decode(data)))  # type: ignore[call-arg]
        segments: dict[int, list[Segment]] = defaultdict(list)
        for owner, *segment in cursor.execute(
            "select incident_id, seq, holder, awaits, paused_why, began_at, ended_at from segment"
            " order by incident_id, seq"
        ).fetchall():
            segments[owner].append(Segment(*segment))
        raised = cursor.execute("select count(*) from event where cause like 'whistle/%'").fetchone()
        wrong = cursor.execute(
            "select id, load, n from team, lateral (select count(*) n from assignment a where a.team_id = team.id"
            " and a.state in ('sent', 'picked_up', 'on_site')) held where load <> n"
        ).fetchall()
        assert wrong == [], f"teams whose load is not what they hold: {wrong}"
    assert events.keys() == alarms.keys()
    for key, (due, overdue) in alarms.items():
        try:
            folded = whole(events[key], segments[key])
            past, folded.past = folded.past, []
            assert len(past) + (folded.ended_at is None) == len(segments[key])
            folded.parts = dict(sorted(folded.parts.items()))
            stored = stored_rows[key].incident
            wrong_fields = [n for n in Incident.__slots__ if getattr(folded, n) != getattr(stored, n)]
            assert wrong_fields == [], f"the row is not the fold of its events: {wrong_fields}"
            if folded.paused_why is not None:
                assert due is None, "a suspended incident has an alarm"
                assert overdue is None, "a suspended incident has an alarm"
        except AssertionError as fault:
            told = [(e.seq, f"{e.at:%m-%d %H:%M}", e.verb, e.actor) for e in events[key]]
            raise AssertionError(f"incident {key}: {fault}: {told}") from fault
    return Found(reports, raised[0] if raised is not None else 0)


def whole(events: Sequence[Event], segments: Sequence[Segment]) -> Incident:
    """Fold the events of an incident, looking at every step; raise AssertionError where an invariant is broken."""
    incident = Incident(events[0].incident_id)
    lives: list[tuple[datetime, datetime | None, int]] = []  # begin, end, last segment
    life_began = events[0].at
    causes: set[tuple[str, str]] = set()
    raised: set[tuple[datetime, int]] = set()
    for n, event in enumerate(events, 1):
        assert event.seq == n, "events are not counted through"
        assert n == 1 or event.at >= incident.last_at, "time ran backwards"
        assert (event.verb, event.cause) not in causes or event.verb == "absorb", (
            f"{event.cause} happened twice"
        )
        causes.add((event.verb, event.cause))
        if event.verb in ("report", "reopen"):
            lives.append((event.at, None, 0))
            life_began = event.at
        if event.verb in ("breach", "escalate") and event.actor == SYSTEM.id:
            assert incident.paused_why is None, "an alarm while suspended"
            assert incident.ended_at is None, "an alarm after the end"
            _no_former_timer(event, life_began)
        if event.verb == "escalate" and event.cause.startswith("ladder/"):
            since = silent_since(incident)
            assert since is not None, "escalated though nothing was awaited"
            assert since >= life_began, "escalated for the silence of a former life"
            assert (since, incident.level) not in raised, "escalated twice from one level for one silence"
            raised.add((since, incident.level))
        if event.verb == "escalate" and event.cause.startswith("whistle/"):
            part = incident.parts[int(event.cause.split("/")[1])]
            assert part.kind == "whistle", "escalated for a report-in that no whistle asked for"
            assert part.state in ("sent", "picked_up"), "escalated for a whistle that was reported in"
            assert part.clocks["arrive"].state == "breached", "escalated before the report-in was due"
        evolve(incident, event)
        if incident.ended_at is not None and lives[-1][1] is None:
            lives[-1] = (lives[-1][0], event.at, incident.segment)
        leads = [p for p in incident.parts.values() if p.role == "lead" and p.state in LIVE]
        assert len(leads) <= 1, "two live leads"
        if incident.ended_at is None:
            assert incident.holder, "an open incident without a holder"
            assert (incident.state in ("dispatched", "in_hand")) == bool(leads), "no lead where one must be"
        else:
            assert not any(p.state in (*LIVE, "review") for p in incident.parts.values()), (
                "a part outlived it"
            )
    _exact(segments, lives)
    return incident


def silent_since(i: Incident) -> datetime | None:
    """Return since when nobody answers an incident, or None."""
    late = [c.due for c in i.running() if c.state == "breached" and c.ended is None and c.due]
    handed_down = i.facts.get("handed_down_at")
    at = datetime.fromisoformat(handed_down) if handed_down else None
    return escalation.silent_since(min(late), at) if late else None


def _no_former_timer(event: Event, life_began: datetime) -> None:
    for clock in event.change.clocks.values():
        assert clock.due is not None
        assert clock.due >= life_began, "a timer of a former life fired"
    for part in event.change.assignments:
        assert part.sent_at >= life_began, "a timer of a former life fired"


def _exact(segments: Sequence[Segment], lives: Sequence[tuple[datetime, datetime | None, int]]) -> None:
    """Check that segments cover each life from its begin to its end, without gap or overlap."""
    assert [s.seq for s in segments] == list(range(1, len(segments) + 1)), "segments are not counted through"
    assert all(s.holder for s in segments), "a segment without a holder"
    first = 0
    for began, ended, last in lives:
        mine = segments[first : last if ended is not None else len(segments)]
        first = last
        assert mine, "a life without segments"
        assert mine[0].began_at == began, "a gap before the first segment of a life"
        assert mine[-1].ended_at == ended, "a gap after the last segment of a life"
        assert all(a.ended_at == b.began_at for a, b in pairwise(mine)), (
            "a gap or an overlap between segments"
        )
        if ended is not None:
            total = sum((s.ended_at - s.began_at for s in mine), timedelta())
            assert total == ended - began, "segments do not sum to the life"
    assert lives[-1][1] is None or lives[-1][2] == len(segments), "segments outside of any life"

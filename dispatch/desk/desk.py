"""The Desk: the one door for every change. It gathers, lets the law decide, and applies a whole batch at once.

A batch is one transaction and one nudge to the screens. A refused command never takes its neighbours with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from types import TracebackType
from typing import Literal, TypeVar

import psycopg
import redis

from dispatch.desk import store
from dispatch.desk.nudges import Nudges
from dispatch.desk.statements import Statements
from dispatch.desk.store import Held, Ids
from dispatch.record.policies import Policies, PolicyCache
from dispatch.rules.incident.chain import decide, evolve, open_report, overtaken, route
from dispatch.rules.incident.sending import load_changes
from dispatch.rules.incident.values import (
    SYSTEM,
    Actor,
    Change,
    Command,
    Context,
    Done,
    Event,
    Incident,
    Report,
)
from dispatch.rules.law import BESIDE
from dispatch.rules.places import place_of, places_around
from dispatch.rules.policy.policy import Policy
from dispatch.rules.policy.weights import Weights
from dispatch.rules.refusals import Refusal
from dispatch.rules.teams.routing import Roster
from models.servers.database import Connection, Line
from models.servers.round_trip import Statement

BATCH_LIMIT = 2_000  # commands or reports in one transaction
FEW = 64  # of them whose statements go together: above that the rows weigh more than the ways, and COPY is quicker
ROSTER_AGE_S = 1.0  # how old the loads that routing looks at may be
POLICY_AGE_S = 5.0  # how old the list of policy versions may be; which of them is in force is asked each time
WARTIME_AGE_S = 1.0
DUPLICATE_DAYS = 30
# An act that waited for another one's lock, or comes from a machine whose clock is behind, may lie this much before
# the last step: it counts as done right after it. What lies further back is refused.
BEHIND = timedelta(minutes=10)
KEY_SPACE = 10**16  # receipts are sixteen decimal digits

T = TypeVar("T")
Monotonic = Callable[[], float]  # seconds that only go forward
# Lends a connection for one transaction, committed at its end.
Lend = Callable[[], AbstractContextManager[Connection]]
# Returns the statement that names those of the ids which stand for incidents of an actor's scope.
Visible = Callable[[Actor, Sequence[int]], Statement]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one report or command: done, a duplicate of what was done before, or refused with its reason.

    A refusal of who had not seen another person's step carries that step: who was quicker need not be asked again.
    """

    status: Literal["done", "duplicate", "refused"]
    incident_id: int | None = None
    refusal: Refusal | None = None
    quicker: Done | None = None


class Teams:
    """The teams as they were a moment ago: Desks of one process may share them, and each second one of them looks."""

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        self._monotonic = monotonic
        self._roster: Roster | None = None
        self._at = -ROSTER_AGE_S
        self._reading = threading.Lock()

    def now(self, weights: Weights, read: Callable[[Weights], Roster]) -> Roster:
        """Return the teams, read anew where they are older than `ROSTER_AGE_S` or weighed by other weights."""
        with self._reading:
            roster, old = self._roster, self._monotonic() - self._at >= ROSTER_AGE_S
            if roster is None or old or weights != roster.weights:
                roster = self._roster = read(weights)
                self._at = self._monotonic()
            return roster

    def forget(self) -> None:
        """Have them read anew at the next call."""
        self._at = -ROSTER_AGE_S


class Desk:
    """Apply commands and reports to the city; used by one thread at a time.

    Given an address it keeps a connection of its own, opened anew after it broke; else it is lent one for each
    transaction. How old the teams and wartime that it knows are is told by `monotonic`, or by that of the `teams`
    given. Errors of the database are raised as `psycopg.Error` after the whole batch was rolled back.
    """

    def __init__(
        self,
        database: str | Lend,
        stream: redis.Redis | None = None,
        teams: Teams | None = None,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._line = Line(database) if isinstance(database, str) else None
        self._lend: Lend = self._line.lend if self._line is not None else database  # type: ignore[assignment]
        self._nudges = Nudges(stream) if stream is not None else None
        self._incident_ids = Ids("incident_block")
        self._assignment_ids = Ids("assignment_block")
        self._monotonic = monotonic
        self._known_teams = teams or Teams(monotonic)
        self._policies = PolicyCache(POLICY_AGE_S)
        self._areas_in_wartime: tuple[str, ...] = ()
        self._wartime_at = -WARTIME_AGE_S

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close a connection of the Desk's own and let go of the stream's; the next call opens new ones."""
        if self._line is not None:
            self._line.close()
        if self._nudges is not None:
            self._nudges.close()

    def report(self, reports: Sequence[Report], now: datetime) -> list[Outcome]:
        """Open an incident for each report, and route it where the policy says so; one transaction for all.

        A report whose source and source id were seen before answers `duplicate` with the incident it became.
        """
        _bounded(len(reports))
        if not reports:
            return []
        return self._change(len(reports), lambda statements: self._report(statements, reports, now))

    def act(
        self, commands: Sequence[Command], now: datetime, visible: Visible | None = None
    ) -> list[Outcome]:
        """Decide and apply commands in their order; each sees what those before it have changed.

        One on an incident that is not `visible` to its actor is answered as if there were no such incident.
        """
        _bounded(len(commands))
        if not commands:
            return []
        return self._change(len(commands), lambda statements: self._act(statements, commands, now, visible))

    def in_force(self, at: datetime) -> Policy:
        """Return the policy in force at an instant."""
        return self._ask(lambda cursor: self._policy(cursor).in_force(at))

    def policy(self, version: int) -> Policy:
        """Return a version of the policy."""
        return self._ask(lambda cursor: self._policy(cursor).version(version))

    def roster(self) -> Roster:
        """Return the teams as they are now, for offers."""
        return self._ask(lambda cursor: self._teams(cursor, datetime.now(UTC)))

    def clocks_due(self, now: datetime, limit: int) -> list[tuple[int, int | None, str, datetime]]:
        """Return (incident id, assignment id or None, clock, due) of at most `limit` passed limits, oldest first."""
        return self._ask(lambda cursor: store.clocks_due(cursor, now, limit))

    def overdue(self, now: datetime, limit: int) -> list[tuple[int, int, int, datetime]]:
        """Return (incident id, severity, level, silent since) of at most `limit` incidents that go up by `now`."""
        return self._ask(
            lambda cursor: store.overdue(cursor, now, limit, self._policy(cursor).in_force(now).ladder)
        )

    def unreported(self, now: datetime, limit: int) -> list[tuple[int, int, int, int, datetime]]:
        """Return (incident, assignment, severity, level, silent since) of at most `limit` whistles not reported in."""
        return self._ask(
            lambda cursor: store.unreported(cursor, now, limit, self._policy(cursor).in_force(now).ladder)
        )

    def recount_loads(self) -> int:
        """Set every team's load to its live assignments; return how many were wrong."""
        return self._ask(store.recount_loads)

    def ask(self, question: Callable[[store.Cursor], T]) -> T:
        """Ask a question, or write what is no part of an incident, in one transaction of its own."""
        return self._ask(question)

    def _ask(self, question: Callable[[store.Cursor], T]) -> T:
        try:
            with self._lend() as connection, connection.cursor() as cursor:
                return question(cursor)
        except psycopg.Error:
            self._forget()
            raise

    def _change(self, size: int, work: Callable[[Statements], list[Outcome]]) -> list[Outcome]:
        """Do a batch's work in one transaction, then tell the screens."""
        try:
            with self._lend() as connection:
                statements = Statements(connection, together=size <= FEW)
                outcomes = work(statements)
                statements.commit()
        except Exception:
            self._forget()
            raise
        self._nudge(outcomes)
        return outcomes

    def _report(self, statements: Statements, reports: Sequence[Report], now: datetime) -> list[Outcome]:
        cursor = statements.connection.cursor()
        policy = self._policy(cursor).in_force(now)
        roster = self._teams(cursor, now)
        # The first of equal numbers opens the incident, its repeats in the same batch are duplicates of it.
        ids: dict[int, int] = {}
        firsts: list[Report] = []
        for report in reports:
            if report.number not in ids:
                ids[report.number] = self._incident_ids.take(cursor)
                firsts.append(report)
        claimed = store.claim(statements, list(ids), list(ids.values()))
        known = (
            store.receipts(cursor, [n for n in ids if n not in claimed]) if len(claimed) < len(ids) else {}
        )
        context = Context(
            roster, lambda: self._assignment_ids.take(cursor), wartime=self._wartime(cursor, now)
        )
        seen = self._suspects(cursor, [r for r in firsts if r.number in claimed], now)
        held: list[Held] = []
        events: list[Event] = []
        loads: dict[int, int] = {}
        outcomes: list[Outcome] = []
        opened: dict[int, Report] = {}
        for report in reports:
            number = report.number
            if number not in claimed or number in opened:
                outcomes.append(_repeat(report, opened.get(number), ids[number], known.get(number)))
                continue
            at = report.reported_at if report.imported else now
            near = seen.get(number, 0)
            change = open_report(report, policy, replace(context, suspects=near) if near else context, at)
            if isinstance(change, Refusal):
                outcomes.append(Outcome("refused", None, change))
                continue
            if report.imported:
                # Its own time is the source's: when we heard of it is kept too, or nothing would bear that out.
                change = change.plus(said={"received_at": now.isoformat()})
            opened[number] = report
            incident = Incident(ids[number])
            one = Held(incident, received_at=now)
            cause = f"{report.source}:{report.source_id}"
            events.append(
                _happen(roster, incident, at, "report", report.source, cause, policy.version, change)
            )
            routed = route(incident, policy, context, at)
            if routed is not None:
                events.append(
                    _happen(roster, incident, at, "route", SYSTEM.id, cause, policy.version, routed)
                )
                for part in routed.assignments:
                    loads[part.team_id] = loads.get(part.team_id, 0) + 1
            held.append(one)
            outcomes.append(Outcome("done", incident.id))
        if len(opened) < len(claimed):
            # What was refused may come again, mended.
            statements.add("delete from receipt where key = any(%s::bigint[])", list(claimed - opened.keys()))
        if held:
            store.write(statements, held, events, loads)
        return outcomes

    def _act(
        self, statements: Statements, commands: Sequence[Command], now: datetime, visible: Visible | None
    ) -> list[Outcome]:
        keys = [_command_key(c) for c in commands]
        asked = _asked(commands) if visible is not None else {}
        # The incident that another is merged into is locked with it: both change, or neither.
        held, known, answers = store.gather(
            statements,
            [c.incident_id for c in commands] + [i for c in commands if (i := _into(c))],
            keys,
            *(visible(actor, ids) for actor, ids in asked.items() if visible is not None),
        )
        seen = {actor: {row[0] for row in rows} for actor, rows in zip(asked, answers, strict=True)}
        cursor = statements.connection.cursor()
        roster = self._teams(cursor, now)
        plain = Context(roster, lambda: self._assignment_ids.take(cursor))
        before = {key: store.live_by_team(h.incident) for key, h in held.items()}
        news = store.done_since(cursor, _unseen(commands, held))
        outcomes: list[Outcome] = []
        events: list[Event] = []
        changed: dict[int, Held] = {}
        fresh: dict[int, int] = {}
        for command, key in zip(commands, keys, strict=True):
            mine = held.get(command.incident_id)
            if mine is None or (visible and command.incident_id not in seen[command.actor]):
                outcomes.append(Outcome("refused", None, Refusal("unknown_incident")))
                continue
            incident = mine.incident
            if key in known or key in fresh:
                outcomes.append(Outcome("duplicate", incident.id))
                continue
            policy = self._policy(cursor).version(incident.policy_version)
            at = _moment(command, incident, now)
            other = held.get(_into(command))
            context = replace(plain, other=other.incident) if other is not None else plain
            if command.verb == "merge" and other is not None:
                # Both change, so it counts as done after what either of them has seen.
                at = max(at, _moment(command, other.incident, now))
            refused = overtaken(command, news.get(incident.id, ()), policy)
            change = refused or decide(incident, command, policy, context, at)
            if isinstance(change, Refusal):
                outcomes.append(
                    Outcome("refused", incident.id, change, _quicker(command, news.get(incident.id, ())))
                )
                continue
            events.append(
                _happen(
                    roster, incident, at, command.verb, command.actor.id, command.id, policy.version, change
                )
            )
            news.setdefault(incident.id, []).append(
                Done(incident.seq, command.verb, command.actor.id, incident.last_at)
            )
            changed[incident.id] = mine
            fresh[key] = incident.id
            if command.verb == "merge" and other is not None:
                events.append(self._absorb(cursor, other.incident, command, incident, plain, now))
                changed[other.incident.id] = other
            outcomes.append(Outcome("done", incident.id))
        if changed:
            loads: dict[int, int] = {}
            for incident_id, h in changed.items():
                after = store.live_by_team(h.incident)
                for team in after.keys() | before[incident_id].keys():
                    loads[team] = loads.get(team, 0) + after.get(team, 0) - before[incident_id].get(team, 0)
            store.write(statements, list(changed.values()), events, loads, fresh)
        return outcomes

    def _absorb(
        self,
        cursor: store.Cursor,
        main: Incident,
        merge: Command,
        merged: Incident,
        context: Context,
        now: datetime,
    ) -> Event:
        """Let the incident that stays know which one was merged into it."""
        args = {"merged": merged.number, "with": list(merged.facts.get("absorbed", ()))}
        command = Command("absorb", main.id, SYSTEM, merge.id, args)
        policy = self._policy(cursor).version(main.policy_version)
        at = _moment(command, main, now)
        change = decide(main, command, policy, context, at)
        if isinstance(change, Refusal):
            raise AssertionError(f"an open incident takes in what is merged into it: {change.words('en')}")
        return _happen(context.roster, main, at, command.verb, SYSTEM.id, command.id, policy.version, change)

    def _wartime(self, cursor: store.Cursor, now: datetime) -> tuple[str, ...]:
        if self._monotonic() - self._wartime_at >= WARTIME_AGE_S:
            self._areas_in_wartime = store.wartime(cursor, now)
            self._wartime_at = self._monotonic()
        return self._areas_in_wartime

    def _suspects(self, cursor: store.Cursor, reports: Sequence[Report], now: datetime) -> dict[int, int]:
        """Return number -> how many like it were reported within about 100 m in the last thirty days."""
        near: dict[int, tuple[int, ...]] = {}
        for report in reports:
            if report.located == "point" and report.lon is not None and report.lat is not None:
                near[report.number] = places_around(report.category, report.lon, report.lat)
        if not near:
            return {}
        cells = list({cell for four in near.values() for cell in four})
        counts = store.suspects(cursor, cells, now - timedelta(days=DUPLICATE_DAYS))
        found: dict[int, int] = {}
        for report in reports:
            if report.number not in near:
                continue
            total = sum(counts.get(cell, 0) for cell in near[report.number])
            if total:
                found[report.number] = total
            own = place_of(report.category, report.lon, report.lat)
            assert own is not None
            counts[own] = counts.get(own, 0) + 1
        return found

    def _policy(self, cursor: store.Cursor) -> Policies:
        return Policies(cursor, self._policies)

    def _teams(self, cursor: store.Cursor, now: datetime) -> Roster:
        return self._known_teams.now(
            self._policy(cursor).in_force(now).weights, lambda weights: Roster(store.teams(cursor), weights)
        )

    def _forget(self) -> None:
        """Drop what a failed batch may have left wrong: the loads counted up."""
        self._known_teams.forget()

    def _nudge(self, outcomes: Sequence[Outcome]) -> None:
        if self._nudges is not None and any(o.status == "done" for o in outcomes):
            self._nudges.send(len(outcomes))


def _unseen(commands: Sequence[Command], held: dict[int, Held]) -> dict[int, int]:
    """Return the incidents that went on since somebody saw them, each with the event that was seen last."""
    seen: dict[int, int] = {}
    for each in commands:
        mine = held.get(each.incident_id)
        if each.seen is not None and mine is not None and mine.incident.seq > each.seen:
            seen[each.incident_id] = min(each.seen, seen.get(each.incident_id, each.seen))
    return seen


def _asked(commands: Sequence[Command]) -> dict[Actor, list[int]]:
    """Return the incidents that each actor's commands are on, and those that they merge others into."""
    asked: dict[Actor, list[int]] = {}
    for command in commands:
        into = _into(command)
        asked.setdefault(command.actor, []).extend(
            [command.incident_id, into] if into else [command.incident_id]
        )
    return asked


def _quicker(command: Command, news: Iterable[Done]) -> Done | None:
    """Return the last step that another person took since the command's actor looked, but for what happens beside."""
    found = [
        each
        for each in news
        if each.seq > (command.seen or 0)
        and each.verb not in BESIDE
        and each.actor not in (command.actor.id, SYSTEM.id)
    ]
    return found[-1] if found and command.seen is not None else None


def _into(command: Command) -> int:
    """Return the id of the incident that a command merges another into, or 0."""
    into = command.args.get("into")
    return into if type(into) is int else 0


def _moment(command: Command, incident: Incident, now: datetime) -> datetime:
    """Return when a command counts as done: time on an incident never runs backwards."""
    last = incident.last_at
    if command.verb == "conclude":
        closed_at = command.args.get("closed_at")
        if isinstance(closed_at, datetime) and closed_at.tzinfo is not None:
            return max(closed_at, last)
    return last if now < last <= now + BEHIND else now


def _happen(
    roster: Roster, incident: Incident, at: datetime, verb: str, actor: str, cause: str, policy: int, change: Change
) -> Event:  # fmt: skip
    """Apply a change: fold it into its incident, and let what comes after it in the batch see who is held by it."""
    event = Event(incident.id, incident.seq + 1, at, verb, actor, cause, policy, change)
    if change.assignments:
        roster.count(load_changes(incident, change))
    evolve(incident, event)
    return event


def _repeat(
    report: Report, opened: Report | None, own_id: int, known: tuple[int, str | None, str | None] | None
) -> Outcome:
    """Answer a report whose number is taken: by itself, or in one case of many millions by another."""
    if opened is not None:
        same = (opened.source, opened.source_id) == (report.source, report.source_id)
        return Outcome("duplicate", own_id) if same else Outcome("refused", None, Refusal("number_taken"))
    if known is not None and known[1:] == (report.source, report.source_id):
        return Outcome("duplicate", known[0])
    return Outcome("refused", None, Refusal("number_taken"))


def _command_key(command: Command) -> int:
    digest = blake2b(f"{command.incident_id}\0{command.verb}\0{command.id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % KEY_SPACE


def _bounded(size: int) -> None:
    if size > BATCH_LIMIT:
        raise ValueError(f"a batch holds at most {BATCH_LIMIT}, not {size}")

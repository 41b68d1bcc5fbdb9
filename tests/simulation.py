"""Live through months of a small city on real servers, every known fault drawn from a seed, and check the invariants.

Time is virtual and jumps from one thing to the next. Messages come twice, late and in the wrong order; connections
break before and after a commit; clocks go wrong; the database is closed for an hour; teams fall silent; two desks
act by turns and people press twice, on pages that are no longer true.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, cast

import msgspec
import psycopg
import redis
from sqlalchemy import make_url

from dispatch.checks import audit
from dispatch.desk import store
from dispatch.desk.desk import Outcome
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.intake.message_stream import GROUP
from dispatch.intake.prepare import Preparer
from dispatch.rules.incident.chain import (
    ENDED,
    LIVE,
    STEPS,
    SYSTEM,
    Actor,
    Assignment,
    Change,
    Command,
    Event,
    Incident,
    evolve,
    lawful,
    reporter_of,
)
from dispatch.rules.incident.values import Segment
from dispatch.rules.policy import escalation
from jobs.clocks import escalate, sweep
from jobs.resume import patrol, resume
from models.migrations import migrate
from models.servers.database import psycopg_dsn
from models.servers.servers import temporary
from tests import district
from tests.at_work import worked
from tests.fragile_desk import Fate, FragileDesk
from tests.small_law import CITY, GRID_TEAM, JOINT, MAJOR, SMALL, VILLAGE, WHISTLE, local

BEGIN = local("2025-01-06 08:00")
DAYS = 200
PER_DAY = 1.6  # reports
BURST = 20  # of them come together, on the average: storms and rush hours
SLOT = timedelta(minutes=180)  # what falls due within one happens in one batch
CHECK_EVERY = timedelta(days=50)
SETTLE = timedelta(days=10)  # after the last report, with people but no faults of the machine
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

AWAY = timedelta(hours=1)  # the database, each time
TWICE, LATE, UNKNOWN, IMPORTED = 0.12, 0.2, 0.03, 0.05  # shares of the messages
CRASH_BEFORE, CRASH_AFTER, UNACKNOWLEDGED = 0.01, 0.01, 0.03  # of the batches
PRESSED_AGAIN, PRESSED_BY_TWO, STALE, SILENT = 0.06, 0.05, 0.1, 0.05  # of the acts
FAST_CLOCK = 0.003  # of the batches: a clock that is hours ahead
BEHIND_MIN = 4  # a clock that goes back goes back by at most this
ENOUGH_LIVES = 2
# In which order what falls due together happens.
ORDER = ("reopen", "close", "send", "take", "press", "jobs", "patrol", "look", "check", "leap")

_change = msgspec.json.Decoder(Change)


class SimulationError(AssertionError):
    """Something does not hold: says the seed, the virtual time and what."""


class Simulation:
    """Hold the city's servers, what is about to happen, and what has been promised to whom."""

    def __init__(
        self, database: str, stream: redis.Redis, seed: int, per_day: float = PER_DAY, often: float = 1.0
    ) -> None:
        """Take the servers, the seed, the reports a day, and how many times as often everything fails as here."""
        self.seed = seed
        self._often = often
        self.now = BEGIN
        self.tally: Counter[str] = Counter()
        self.incidents = 0
        self._database = database
        self._stream = stream
        self._per_day = per_day
        self._rnd = Random(seed)
        self._desks = (FragileDesk(database), FragileDesk(database))
        self._preparer = Preparer(database, b"a key for tests")
        self._agenda: list[tuple[datetime, int, str, Any]] = []
        self._number = 0
        self._job_slots: set[datetime] = set()
        self._sent: dict[bytes, str] = {}  # stream id -> source id
        self._good: set[str] = set()
        self._acknowledged: set[str] = set()
        self._generation: Counter[int] = Counter()
        self._open: list[int] = []
        self._calm = False

    def run(self, days: int) -> None:
        """Live through so many days; raise SimulationError with seed and virtual time where something does not hold."""
        try:
            self._run(days)
        except Exception as fault:
            told = f"seed {self.seed}, virtual time {self.now.isoformat()}: {type(fault).__name__}: {fault}"
            raise SimulationError(told) from fault
        finally:
            self._open_database()
            self._preparer.close()
            for desk in self._desks:
                desk.close()

    def _run(self, days: int) -> None:
        with self._administering() as connection:
            # What the machine under the server survives is not the matter here.
            connection.execute(f"alter database {self._name} set synchronous_commit = off".encode())
        self._stream.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        end = BEGIN + timedelta(days=days)
        self._draw(end)
        self._live(end)
        self._calm = True
        self._later(SLOT, "take", 0)
        self._live(end + SETTLE)
        assert self._pending() == 0, "messages are left unacknowledged"
        self.check()
        assert self._acknowledged == set(self._sent.values()), "messages were never acknowledged"

    def _draw(self, end: datetime) -> None:
        """Draw the reports and the faults of the machines."""
        rnd, at, serial = self._rnd, BEGIN, 0
        while (at := at + BURST * DAY / self._per_day * rnd.expovariate(1.0)) < end - DAY:
            for _ in range(rnd.randint(1, 2 * BURST - 1)):
                serial += 1
                good = rnd.random() >= UNKNOWN * self._often
                self._push(at, "send", (self._message(serial, at), f"S-{serial}", good))
        for every, what in ((9 / self._often, "close"), (13 / self._often, "leap"), (1, "patrol")):
            at = BEGIN
            while (at := at + timedelta(days=every * rnd.uniform(0.6, 1.4))) < end - DAY:
                self._push(at, what, None)
        for n in range(1, int((end - BEGIN) / CHECK_EVERY) + 1):
            self._push(BEGIN + n * CHECK_EVERY, "check", None)

    def _message(self, serial: int, at: datetime) -> dict[str, Any]:
        rnd = self._rnd
        x, _ = rnd.choice(district.CELL_AT)
        made = {
            "v": 1,
            "source": "demo",
            "source_id": f"S-{serial}",
            "category": rnd.choice((JOINT, JOINT, MAJOR, SMALL, SMALL, WHISTLE)),
            "text": "有人反映",
            "lon": x + rnd.uniform(0.001, 0.004),
            "lat": 22.9 + rnd.uniform(0.001, 0.004),
            "reported_at": (at - MINUTE).isoformat(),
        }
        if rnd.random() < IMPORTED:
            made |= {"imported": True, "target_at": (at + 3 * DAY).isoformat()}
        return made

    # --- the agenda ---

    def _push(self, at: datetime, what: str, given: Any) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (at, self._number, what, given))

    def _later(self, wait: timedelta, what: str, given: Any) -> None:
        self._push(self.now + wait, what, given)

    def _live(self, until: datetime) -> None:
        while self._agenda and self._agenda[0][0] <= until:
            self.now = max(self.now, _slot(self._agenda[0][0]))
            due: dict[str, list[Any]] = defaultdict(list)
            while self._agenda and self._agenda[0][0] <= self.now:
                _, _, what, given = heapq.heappop(self._agenda)
                due[what].append(given)
            for what in ORDER:
                if what in due:
                    getattr(self, f"_do_{what}")(due[what])
        self.now = max(self.now, until)

    def _do_leap(self, given: list[None]) -> None:
        """Jump: nothing runs for hours, and then everything is late."""
        self.tally["leap"] += 1
        self.now += timedelta(hours=self._rnd.randint(2, 7))

    def _clock(self, desk: int) -> datetime:
        """Return what time a desk believes it is."""
        if self._calm:
            return self.now
        if self._rnd.random() < FAST_CLOCK * self._often:
            self.tally["fast clock"] += 1
            return self.now + timedelta(hours=self._rnd.randint(1, 4))
        if desk and self._rnd.random() < 0.5:
            self.tally["clock back"] += 1
            return self.now - timedelta(seconds=self._rnd.uniform(0, 60 * BEHIND_MIN))
        return self.now

    # --- the database goes and comes ---

    def _do_close(self, given: list[None]) -> None:
        self.tally["database away"] += 1
        with self._administering() as connection:
            connection.execute(f"alter database {self._name} allow_connections false".encode())
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (self._name,)
            )
        self._later(AWAY, "reopen", None)

    def _do_reopen(self, given: list[None]) -> None:
        self._open_database()
        self._later(SLOT, "take", 0)

    def _open_database(self) -> None:
        with self._administering() as connection:
            connection.execute(f"alter database {self._name} allow_connections true".encode())

    @property
    def _name(self) -> str:
        return str(make_url(self._database).database)

    @contextmanager
    def _administering(self) -> Iterator[psycopg.Connection]:
        other = make_url(self._database).set(database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(psycopg_dsn(other), autocommit=True) as connection:
            yield connection

    # --- messages ---

    def _do_send(self, given: list[tuple[dict[str, Any], str, bool]]) -> None:
        rnd = self._rnd
        rnd.shuffle(given)
        for message, key, good in given:
            if rnd.random() < LATE * self._often and not self._calm:
                # Another overtakes it; its own time stays what it was.
                self.tally["overtaken"] += 1
                self._later(timedelta(minutes=rnd.uniform(20, 900)), "send", (message, key, good))
                continue
            sent = message if good else message | {"category": "9999"}
            entry = cast(bytes, self._stream.xadd(STREAM, {FIELD: json.dumps(sent).encode()}))
            self._sent[entry] = key
            if good:
                self._good.add(key)
            if rnd.random() < TWICE * self._often:
                self.tally["sent twice"] += 1
                self._later(timedelta(minutes=rnd.choice((0, 15, 600, 4_000))), "send", (message, key, good))
        self._later(timedelta(0), "take", rnd.randint(0, 1))

    def _do_take(self, given: list[int]) -> None:
        """Read what waits, bring it to a desk, acknowledge; what fails stays pending and is taken by the other."""
        which = given[0]
        name = f"desk-{which}"
        left = cast(
            Any, self._stream.xautoclaim(STREAM, GROUP, name, min_idle_time=0, start_id="0-0", count=100)
        )
        entries = list(left[1])
        fresh = cast(Any, self._stream.xreadgroup(GROUP, name, {STREAM: ">"}, count=100))
        entries += fresh[0][1] if fresh else []
        if not entries:
            return
        self.tally["taken again"] += len(left[1])
        self._rnd.shuffle(entries)
        ids = [key for key, _ in entries]
        batch = self._preparer.prepare(ids, [fields[FIELD.encode()] for _, fields in entries])
        desk = self._desks[which]
        desk.fate = self._fate()
        try:
            outcomes = desk.report(batch.reports, self._clock(which))
        except psycopg.OperationalError:
            self.tally["report failed"] += 1
            self._later(2 * SLOT, "take", 1 - which)
            return
        fresh_ids = [o.incident_id for o in outcomes if o.status == "done" and o.incident_id is not None]
        self.tally["duplicate report"] += sum(o.status == "duplicate" for o in outcomes)
        self.tally["refused report"] += sum(o.status == "refused" for o in outcomes) + len(batch.problems)
        self._open.extend(fresh_ids)
        self._look_at(fresh_ids)
        if self._rnd.random() < UNACKNOWLEDGED * self._often and not self._calm:
            self.tally["crash before acknowledging"] += 1
            self._later(2 * SLOT, "take", 1 - which)
            return
        self._stream.xack(STREAM, GROUP, *ids)
        self._acknowledged.update(self._sent[key] for key in ids)

    def _fate(self) -> Fate:
        draw = 1.0 if self._calm else self._rnd.random()
        if draw >= (CRASH_BEFORE + CRASH_AFTER) * self._often:
            return ""
        fate: Fate = "before" if draw < CRASH_BEFORE * self._often else "after"
        self.tally[f"crash {fate} commit"] += 1
        return fate

    def _pending(self) -> int:
        return int(cast(Any, self._stream.xpending(STREAM, GROUP))["pending"])

    # --- people ---

    def _look_at(self, ids: Sequence[int]) -> None:
        for incident_id in ids:
            self._later(timedelta(0), "look", incident_id)

    def _do_look(self, given: list[int]) -> None:
        ids = sorted(set(given))
        for incident in self._read(ids, "look"):
            self._generation[incident.id] += 1
            self._schedule(incident)
            wish = self._wish(incident)
            if wish is None:
                continue
            verb, actor, args = wish
            wait = timedelta(minutes=2 * 360 ** self._rnd.random())
            if self._rnd.random() < SILENT * self._often:
                self.tally["silent"] += 1
                wait = timedelta(hours=self._rnd.uniform(20, 220))
            self._ask(wait, incident.id, verb, actor, args)
            if self._rnd.random() < PRESSED_BY_TWO * self._often and actor.role in (
                "dispatcher",
                "grid_head",
            ):
                self.tally["pressed by two"] += 1
                self._ask(wait, incident.id, verb, _people(incident)["duty_leader"], args)

    def _ask(self, wait: timedelta, incident_id: int, verb: str, actor: Actor, args: dict[str, Any]) -> None:
        self._number += 1
        command = Command(verb, incident_id, actor, f"press/{self._number}", args)
        self._later(wait, "press", (self._generation[incident_id], command))

    def _read(self, ids: Sequence[int], what: str) -> list[Incident]:
        """Read incidents, or come back when the database does."""
        if not ids:
            return []
        try:
            held = self._desks[0].ask(lambda cursor: store.load(cursor, ids))
        except psycopg.OperationalError:
            for incident_id in ids:
                self._later(2 * SLOT, what, incident_id)
            return []
        return [held[key].incident for key in sorted(held)]

    def _do_press(self, given: list[tuple[int, Command]]) -> None:
        """Let the two desks act by turns; whoever gets no answer presses the same button again."""
        commands = []
        for generation, command in given:
            if generation == self._generation[command.incident_id]:
                commands.append(command)
            elif self._rnd.random() < STALE * self._often:
                self.tally["stale page"] += 1
                commands.append(command)
        self._rnd.shuffle(commands)
        half = len(commands) // 2 if len(commands) > 1 else self._rnd.randint(0, len(commands))
        for which, mine in enumerate((commands[:half], commands[half:])):
            if mine:
                self._act(which, mine)

    def _act(self, which: int, commands: list[Command]) -> None:
        desk = self._desks[which]
        desk.fate = self._fate()
        try:
            outcomes = desk.act(commands, self._clock(which))
        except psycopg.OperationalError:
            self.tally["act failed"] += 1
            for command in commands:
                self._later(2 * SLOT, "press", (self._generation[command.incident_id], command))
            return
        again = []
        for command, outcome in zip(commands, outcomes, strict=True):
            said = outcome.refusal.code if outcome.refusal else command.verb
            self.tally[f"{outcome.status}: {said}"] += 1
            if outcome.status != "refused":
                if self._rnd.random() < PRESSED_AGAIN * self._often:
                    again.append(command)
                self._look_at([command.incident_id])
            else:
                self._later(timedelta(minutes=self._rnd.uniform(30, 900)), "look", command.incident_id)
        if again:
            self.tally["pressed again"] += len(again)
            try:
                repeated: list[Outcome] = self._desks[1 - which].act(again, self._clock(1 - which))
            except psycopg.OperationalError:
                return
            assert {o.status for o in repeated} == {"duplicate"}, f"a repeated press did something: {again}"

    def _wish(self, i: Incident) -> tuple[str, Actor, dict[str, Any]] | None:
        """Draw who wants what of an incident next."""
        rnd, who = self._rnd, _people(i)
        draw = rnd.random()
        if i.ended_at is not None:
            return self._afterwards(i, who)
        if i.paused_why is not None:
            return (
                ("resume", who["duty_leader"], {}) if draw < 0.3 else ("note", who["resident"], {"note": "?"})
            )
        if draw < 0.03:
            actor = rnd.choice(list(who.values()))
            verb = rnd.choice([v for v in STEPS if v not in ("breach", "escalate")])
            return verb, actor, self._given(verb, i, rnd.choice((0, 1)))
        if draw < 0.2:
            actor = rnd.choice(list(who.values()))
            dull = ("note", "rate_whistle", "end_whistle")
            able = [s.verb for s in lawful(i, actor) if s.target not in ENDED and s.verb not in dull]
            if able:
                verb = rnd.choice(able)
                return verb, actor, self._given(verb, i)
        if i.facts.get("imported") and draw < 0.5:
            return "conclude", SYSTEM, self._given("conclude", i)
        for part in i.parts.values():
            if part.state == "review":
                verb = "send_whistle" if rnd.random() < 0.8 else "refuse_whistle"
                return verb, who["dispatcher"], self._given(verb, i)
            if part.role == "assist" and part.state in LIVE and draw < 0.6:
                verb = "pick_up" if part.state == "sent" else "dispose"
                return verb, _crew(part), self._given(verb, i)
            if part.kind == "whistle" and part.state == "done" and i.state in ("disposed", "verified"):
                return "end_whistle", _blower(part, who), {"assignment_id": part.id}
        return self._onwards(i, who)

    def _onwards(self, i: Incident, who: dict[str, Actor]) -> tuple[str, Actor, dict[str, Any]] | None:
        """Draw the next step of the way, or one of its side roads."""
        rnd = self._rnd
        lead = i.lead
        roads: dict[str, tuple[tuple[str, Actor, int], ...]] = {
            "reported": (
                ("accept", who["dispatcher"], 50), ("send_check", who["dispatcher"], 8),
                ("reject", who["duty_leader"], 4), ("merge", who["dispatcher"], 8), ("recode", who["dispatcher"], 8),
                ("solve", who["grid_worker"], 8), ("whistle", who["grid_head"], 10),
            ),
            "checking": (("check", who["grid_head"], 1),),
            "accepted": (
                ("dispatch", who["dispatcher"], 70), ("whistle", who["grid_head"], 10),
                ("solve", who["grid_worker"], 5), ("void", who["duty_leader"], 3), ("recode", who["dispatcher"], 3),
            ),
            "disposed": (("verify", who["grid_head"], 85), ("rework", who["duty_leader"], 15)),
            "verified": (("close", who["duty_leader"], 1),),
        }  # fmt: skip
        if lead is not None:
            crew = _crew(lead)
            roads["dispatched"] = (
                ("pick_up", crew, 80), ("decline", crew, 8), ("reassign", who["dispatcher"], 8),
                ("add_assist", who["dispatcher"], 5),
            )  # fmt: skip
            roads["in_hand"] = (
                ("dispose" if lead.state == "on_site" or "arrive" not in lead.clocks else "arrive", crew, 60),
                ("decline", crew, 6), ("ask_extension", crew, 8), ("suspend", who["duty_leader"], 10),
                ("add_assist", who["dispatcher"], 8), ("reassign", who["dispatcher"], 4),
                ("whistle", who["grid_head"], 4),
            )  # fmt: skip
            if i.facts.get("extension_asked"):
                roads["in_hand"] = (
                    ("grant_extension", who["duty_leader"], 3), ("refuse_extension", who["duty_leader"], 1),
                )  # fmt: skip
        choices = roads[i.state]
        verb, actor, _ = rnd.choices(choices, [weight for *_, weight in choices])[0]
        return verb, actor, self._given(verb, i)

    def _afterwards(self, i: Incident, who: dict[str, Actor]) -> tuple[str, Actor, dict[str, Any]] | None:
        rnd = self._rnd
        if i.state != "closed":
            return None
        appeal = i.facts.get("appeal")
        if appeal is not None and appeal["granted"] is None and rnd.random() < 0.8:
            judge = who["city" if appeal["reviews"] else "county"]
            return "judge_appeal", judge, self._given("judge_appeal", i)
        for part in i.parts.values():
            if part.kind == "whistle" and part.state in ("done", "ended") and "rating" not in part.facts:
                verb = "end_whistle" if part.state == "done" else "rate_whistle"
                args = self._given(verb, i) | {"assignment_id": part.id}
                return verb, _blower(part, who), args
        if i.rating is not None and i.rating <= 2 and rnd.random() < 0.5:
            return "reopen", who["resident"], self._given("reopen", i)
        draw = rnd.random()
        lives = len(i.facts.get("former", ())) + 1
        if draw < 0.3 and i.rating is None:
            return "rate", who["resident"], self._given("rate", i)
        if draw < 0.45 and lives < ENOUGH_LIVES:
            return "reopen", who["duty_leader"], self._given("reopen", i)
        if draw < 0.6 and appeal is None:
            return "appeal", who["dispatcher"], self._given("appeal", i)
        return ("archive", SYSTEM, {}) if draw > 0.95 else None

    def _given(self, verb: str, i: Incident, short: int = 0) -> dict[str, Any]:
        """Return what a verb needs, drawn; `short` leaves everything out."""
        rnd = self._rnd
        if short:
            return {}
        everything: dict[str, Any] = {
            "reason": "有原因", "result": "已处置", "real": True, "note": "补充", "standard": True,
            "commander": "person/11", "limit": rnd.choice(("4wh", "1ud")), "merged": 5, "clock": "close",
            "whistle_kind": rnd.choice(("hard", "joint", "emergency")), "granted": rnd.random() < 0.7,
            "return_kind": "other",
            "rating": rnd.randint(1, 5), "team_id": rnd.randint(1, 8), "closed_at": self.now,
            "category": rnd.choice((JOINT, MAJOR, SMALL, WHISTLE)), "into": rnd.choice(self._open[-20:]),
            "until": (self.now + timedelta(hours=rnd.choice((1, 30, 200)))).isoformat(),
        }  # fmt: skip
        args = {need: everything[need] for need in STEPS[verb].needs}
        if verb in ("dispose", "solve"):
            args["photos"] = ["https://x/1.jpg", "https://x/2.jpg"]
        if verb == "arrive":
            args |= {"position": [i.lon, i.lat]} if rnd.random() < 0.7 else {"reason": "没有信号"}
        return args

    # --- time ---

    def _schedule(self, i: Incident) -> None:
        """Let the jobs run when something of this incident falls due."""
        moments = []
        running = i.running()
        if (due := min((c.due for c in running if c.state == "running" and c.due), default=None)) is not None:
            moments.append(due + MINUTE)
        ladder = self._desks[0].in_force(self.now).ladder
        since = _silent_since(i)
        step = escalation.next_step(i.severity, i.level, since, ladder)
        if step is not None:
            moments.append(step[0] + MINUTE)
        if since is not None and (step := escalation.whistle_step(i.level, since, ladder)) is not None:
            moments.append(step[0] + MINUTE)
        if i.paused_why is not None:
            until = datetime.fromisoformat(i.facts["suspended_until"] or "") + MINUTE
            moments.append(until)
            self._push(max(until, self.now + SLOT), "look", i.id)
        for moment in moments:
            slot = _slot(max(moment, self.now + SLOT))
            if slot not in self._job_slots:
                self._job_slots.add(slot)
                self._push(slot, "jobs", None)

    def _do_jobs(self, given: list[None]) -> None:
        which = self._rnd.randint(0, 1)
        desk, now = self._desks[which], self._clock(which)
        self._job_slots.discard(self.now)
        desk.fate = self._fate()
        desk.moved = frozenset()
        try:
            noted, raised, resumed = sweep(desk, now), escalate(desk, now), worked(resume, desk, now)
        except psycopg.OperationalError:
            self.tally["jobs failed"] += 1
            self._later(2 * SLOT, "jobs", None)
            return
        self.tally += Counter({"breach": noted, "escalate": raised, "resume by itself": resumed})
        for incident in self._read(sorted(desk.moved), "look"):
            self._schedule(incident)

    def _do_patrol(self, given: list[None]) -> None:
        try:
            self.tally["remind"] += worked(patrol, self._desks[0], self.now)
        except psycopg.OperationalError:
            self._later(AWAY, "patrol", None)

    # --- what must hold ---

    def _do_check(self, given: list[None]) -> None:
        try:
            self.check()
        except psycopg.OperationalError:
            self._later(AWAY, "check", None)

    def check(self) -> None:
        """Raise AssertionError where an invariant does not hold now."""
        with psycopg.connect(psycopg_dsn(self._database)) as connection, connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read")
            verdict = audit.verify(connection)
            assert verdict.faults == [], verdict.faults
            rows = cursor.execute(
                "select id, source_id, due_at, overdue_since, received_at from incident order by id"
            ).fetchall()
            self.incidents = len(rows)
            known = [source_id for _, source_id, *_ in rows]
            assert len(set(known)) == len(known), "a report became two incidents"
            # What was acknowledged is in the database; what is there was sent.
            assert self._acknowledged & self._good <= set(known) <= self._good, "a report was lost"
            alarms = {key: (due, overdue) for key, _, due, overdue, _ in rows}
            held = store.load(cursor, list(alarms))
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
            self.tally["whistle not reported in"] = raised[0] if raised is not None else 0
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
                stored = held[key].incident
                wrong_fields = [n for n in Incident.__slots__ if getattr(folded, n) != getattr(stored, n)]
                assert wrong_fields == [], f"the row is not the fold of its events: {wrong_fields}"
                if folded.paused_why is not None:
                    assert due is None, "a suspended incident has an alarm"
                    assert overdue is None, "a suspended incident has an alarm"
            except AssertionError as fault:
                told = [(e.seq, f"{e.at:%m-%d %H:%M}", e.verb, e.actor) for e in events[key]]
                raise AssertionError(f"incident {key}: {fault}: {told}") from fault


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
            since = _silent_since(incident)
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


def _silent_since(i: Incident) -> datetime | None:
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


def _people(i: Incident) -> dict[str, Actor]:
    """Return who may have to do with an incident, by role; the teams that have a part in it too."""
    area = i.area_code
    within = {
        "dispatcher": area[:9], "duty_leader": area[:9], "grid_head": area[:12], "grid_worker": area[:12],
        "village": area[:12], "county": area[:6], "city": CITY, "leader": CITY,
    }  # fmt: skip
    found = {
        role: Actor(
            f"{role}/{code}", role, code, GRID_TEAM if role == "grid_worker" and code == VILLAGE else None
        )
        for role, code in within.items()
    }
    found["resident"] = Actor(reporter_of(i), "resident", area)
    return found | {f"team/{p.team_id}": _crew(p) for p in i.parts.values()}


def _blower(part: Assignment, who: dict[str, Actor]) -> Actor:
    """Return who asked for a whistle; what nobody asked for is the centre's."""
    asked_by = part.facts.get("asked_by")
    return next((a for a in who.values() if a.id == asked_by), who["dispatcher"])


def _crew(part: Assignment) -> Actor:
    return Actor(f"team/{part.team_id}", "team", CITY, part.team_id)


def _slot(at: datetime) -> datetime:
    """Return the end of the slot in which an instant lies."""
    over = (at - BEGIN) % SLOT
    return at + (SLOT - over) if over else at


def main(given: Sequence[str] | None = None) -> int:
    """Simulate on servers of its own; return 0 when everything held, 1 when something did not."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--seed", type=int, default=1, help="decides everything that is drawn (default: 1)")
    parser.add_argument("--days", type=int, default=DAYS, help=f"of virtual time (default: {DAYS})")
    parser.add_argument("--per-day", type=float, default=PER_DAY, help=f"reports a day (default: {PER_DAY})")
    args = parser.parse_args(given)
    if args.days < 2 or args.per_day <= 0:
        parser.error("expected at least 2 days, and reports above 0")
    began = time.monotonic()
    with temporary() as servers, redis.Redis.from_url(servers.redis_url) as stream:
        migrate.upgrade(servers.database_url)
        district.build(servers.database_url)
        simulation = Simulation(servers.database_url, stream, args.seed, args.per_day)
        try:
            simulation.run(args.days)
        except SimulationError as fault:
            print(fault, file=sys.stderr)
            return 1
    for what, count in sorted(simulation.tally.items()):
        print(f"{count:7,}  {what}")
    took = time.monotonic() - began
    print(
        f"seed {args.seed}: {args.days} days, {simulation.incidents:,} incidents, everything holds ({took:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

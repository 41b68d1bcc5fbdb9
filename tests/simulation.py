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
from random import Random
from typing import Any, cast

import msgspec
import psycopg
import redis
from sqlalchemy import make_url

from dispatch.desk import store
from dispatch.desk.desk import Outcome
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.intake.message_stream import GROUP
from dispatch.intake.prepare import Preparer
from dispatch.rules.incident.chain import (
    Actor,
    Change,
    Command,
    Incident,
)
from dispatch.rules.policy import escalation
from jobs.clocks import escalate, sweep
from jobs.resume import patrol, resume
from models.migrations import migrate
from models.servers.database import psycopg_dsn
from models.servers.servers import temporary
from tests import district
from tests.at_work import worked
from tests.fragile_desk import Fate, FragileDesk
from tests.invariants import held, silent_since
from tests.simulated_people import People, people_of
from tests.small_law import JOINT, MAJOR, SMALL, WHISTLE, local

BEGIN = local("2025-01-06 08:00")
DAYS = 200
PER_DAY = 1.6  # reports
BURST = 20  # of them come together, on the average: storms and rush hours
SLOT = timedelta(minutes=180)  # what falls due within one happens in one batch
CHECK_EVERY = timedelta(days=25)
SETTLE = timedelta(days=10)  # after the last report, with people but no faults of the machine
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

AWAY = timedelta(hours=1)  # the database, each time
GONE_MS = 10_000  # the longest wait until a connection that is ended is gone
TWICE, LATE, UNKNOWN, IMPORTED = 0.12, 0.2, 0.03, 0.05  # shares of the messages
CRASH_BEFORE, CRASH_AFTER, UNACKNOWLEDGED = 0.01, 0.01, 0.03  # of the batches
PRESSED_AGAIN, PRESSED_BY_TWO, STALE, SILENT = 0.06, 0.05, 0.1, 0.05  # of the acts
FAST_CLOCK = 0.003  # of the batches: a clock that is hours ahead
BEHIND_MIN = 4  # a clock that goes back goes back by at most this
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
        self._people = People(self._rnd)
        # What a desk knows grows old by the virtual time: by the machine's, a seed would repeat nothing.
        self._desks = (
            FragileDesk(database, monotonic=self._ticks),
            FragileDesk(database, monotonic=self._ticks),
        )
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

    def _ticks(self) -> float:
        return self.now.timestamp()

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
                "select pg_terminate_backend(pid, %s) from pg_stat_activity where datname = %s",
                (GONE_MS, self._name),
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
            wish = self._people.wish(incident, self.now, self._open)
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
                self._ask(wait, incident.id, verb, people_of(incident)["duty_leader"], args)

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

    # --- time ---

    def _schedule(self, i: Incident) -> None:
        """Let the jobs run when something of this incident falls due."""
        moments = []
        running = i.running()
        if (due := min((c.due for c in running if c.state == "running" and c.due), default=None)) is not None:
            moments.append(due + MINUTE)
        ladder = self._desks[0].in_force(self.now).ladder
        since = silent_since(i)
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
        found = held(self._database)
        self.incidents = len(found.reports)
        self.tally["whistle not reported in"] = found.raised
        assert len(set(found.reports)) == len(found.reports), "a report became two incidents"
        # What was acknowledged is in the database; what is there was sent.
        assert self._acknowledged & self._good <= set(found.reports) <= self._good, "a report was lost"


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

"""Let the demo city live: invented people report through the real doors and act through the real Desk.

What they do is drawn in `dispatch.demo.world`; here it only happens at the right moment. All state is in the database:
stopped and started again, everybody goes on with what they were about to do.
"""

from __future__ import annotations

import heapq
import logging
import time
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Event
from typing import Any

import httpx
import msgspec
import psycopg
import redis

from dispatch.demo import scenes
from dispatch.demo.history import city
from dispatch.demo.world import Act, Happening, World, next_act
from dispatch.desk import store
from dispatch.desk.desk import Desk
from dispatch.intake.messages import VERSION, number_of
from dispatch.rules.incident.chain import SYSTEM, Command
from models.servers.database import addresses, psycopg_dsn

log = logging.getLogger("life")

PER_DAY = 480  # reports; a little more than the demo's past, so that a newcomer sees the city move
LEAST_PER_HOUR = 30.0  # even at four in the morning
STREAM = "incidents"
STREAM_SHARE = 0.3  # hotline and sensors write to the stream themselves; the others use the HTTP door
TICK_S = 1.0
LOOK_EVERY_S = 3.0
ACTS_LIMIT = 200  # in one batch
OPEN_LIMIT = 20_000  # incidents the invented people keep in mind
# What should have happened while nothing ran happens spread over this time, not all at once.
CATCH_UP_S = 600.0
DOOR_TIMEOUT_S = 5.0


class Life:
    """Hold what invented people are about to do next."""

    def __init__(self, per_day: float, speed: float, seed: int, door: str, key: str) -> None:
        where = addresses()
        self._dsn = psycopg_dsn(where.database_url)
        self._stream = redis.Redis.from_url(where.redis_url, socket_timeout=DOOR_TIMEOUT_S)
        self._desk = Desk(where.database_url, self._stream)
        self._door = httpx.Client(
            base_url=door, timeout=DOOR_TIMEOUT_S, headers={"Authorization": f"Bearer {key}"}
        )
        self._per_day, self._speed, self._seed = per_day * speed, speed, seed
        self._rnd = Random()
        self._world: World | None = None
        self._reader: psycopg.Connection | None = None
        self._seen: dict[int, int] = {}
        self._shown: dict[int, tuple[str, int]] = {}  # open incident -> its type and number
        self._due: list[tuple[datetime, int, int, Act]] = []
        self._looked = -LOOK_EVERY_S
        self._next_report = datetime.now(UTC)

    def close(self) -> None:
        """Close every connection."""
        self._desk.close()
        self._door.close()
        self._stream.close()
        if self._reader is not None:
            self._reader.close()

    def live(self, stopping: Event) -> None:
        """Let time pass until `stopping` is set, then close every connection."""
        pause = TICK_S
        while not stopping.is_set():
            try:
                self.tick(datetime.now(UTC))
                pause = TICK_S
            except (psycopg.Error, redis.RedisError, httpx.HTTPError, LookupError) as fault:
                # The demo waits for the house to be whole again; it must never be what breaks it.
                log.info("waiting: %s", type(fault).__name__)
                pause = min(pause * 2, 30.0)
            stopping.wait(pause)
        self.close()

    def tick(self, now: datetime) -> None:
        """Do everything whose moment has come."""
        if self._world is None:
            with psycopg.connect(self._dsn) as connection:
                self._world = city(connection.cursor(), self._desk.in_force(now), self._seed)
        self._file_reports(now)
        if time.monotonic() - self._looked >= LOOK_EVERY_S:
            self._look(now)
            self._looked = time.monotonic()
        self._act(now)

    def _file_reports(self, now: datetime) -> None:
        assert self._world is not None
        while self._next_report <= now:
            self._file(self._world.happening(now, self._rnd))
            per_hour = max(self._world.rate(now, self._per_day), LEAST_PER_HOUR * self._speed)
            self._next_report += timedelta(hours=self._rnd.expovariate(per_hour))
            if self._next_report < now - timedelta(seconds=CATCH_UP_S):
                self._next_report = now

    def _file(self, happening: Happening) -> None:
        by_stream = self._rnd.random() < STREAM_SHARE
        source = ("hotline" if self._rnd.random() < 0.7 else "sensor") if by_stream else "demo"
        source_id = f"life-{self._rnd.getrandbits(64):016x}"
        message: dict[str, Any] = {
            "v": VERSION,
            "source": source,
            "source_id": source_id,
            "category": happening.kind.code,
            "text": happening.text,
            "lon": happening.lon,
            "lat": happening.lat,
            "reported_at": happening.at.isoformat(),
        }
        if not by_stream and self._rnd.random() < scenes.SHARE:
            photo = self._photo(happening.kind.code, number_of(source, source_id), "report", happening.at)
            message["photos"] = [photo] if photo is not None else []
        if by_stream:
            self._stream.xadd(STREAM, {"m": msgspec.json.encode(message)})
        else:
            self._door.post("/api/v1/incidents", json=message).raise_for_status()

    def _photo(self, category: str, number: int, moment: scenes.Moment, now: datetime) -> str | None:
        with psycopg.connect(self._dsn) as connection:
            return scenes.taken(connection, category, number, moment, now)

    def _results(self, act: Act, category: str, number: int, now: datetime) -> dict[str, Any]:
        """Return what is handed in with an act, with photos of before and after where the matter shows."""
        if act.verb != "dispose":
            return act.args
        before = self._photo(category, number, "before", now)
        after = self._photo(category, number, "after", now)
        return act.args | {"photos": [before, after]} if before is not None else act.args

    def _look(self, now: datetime) -> None:
        """Think about every incident that has changed since the last look."""
        if self._reader is None or self._reader.closed:
            self._reader = psycopg.connect(self._dsn, autocommit=True)
        cursor = self._reader.cursor()
        cursor.execute(
            "select id, seq from incident where ended_at is null order by id desc limit %s", (OPEN_LIMIT,)
        )
        present: dict[int, int] = dict(cursor.fetchall())
        changed = [i for i, seq in present.items() if self._seen.get(i) != seq]
        if not changed:
            return
        policy, roster = self._desk.in_force(now), self._desk.roster()
        for first in range(0, len(changed), 1_000):
            for incident_id, held in store.load(cursor, changed[first : first + 1_000]).items():
                incident = held.incident
                if incident.clocks.get("dispose") is not None:
                    continue  # taken over from another system, whose people are not ours
                act = next_act(incident, policy, roster, self._seed)
                if act is None:
                    continue
                at = incident.held_since + (act.at - incident.held_since) / self._speed
                if at < now:
                    at = now + timedelta(seconds=self._rnd.uniform(1, CATCH_UP_S))
                self._shown[incident_id] = (incident.category, incident.number)
                heapq.heappush(self._due, (at, incident_id, incident.seq, act))
        self._seen = present
        self._shown = {i: shown for i, shown in self._shown.items() if i in present}

    def _act(self, now: datetime) -> None:
        batch: list[Command] = []
        while self._due and self._due[0][0] <= now and len(batch) < ACTS_LIMIT:
            _, incident_id, seq, act = heapq.heappop(self._due)
            if self._seen.get(incident_id) != seq:
                continue  # it has moved on meanwhile; the next look thinks again
            args = self._results(act, *self._shown[incident_id], now)
            batch.append(Command(act.verb, incident_id, act.actor, f"life/{seq}", args))
            if act.verb == "close" and self._rnd.random() < 0.5:
                rating = self._rnd.choices((5, 4, 3, 2, 1), (70, 26, 2, 1, 1))[0]
                batch.append(Command("rate", incident_id, SYSTEM, f"life/{seq}/rate", {"rating": rating}))
        if batch:
            for command, outcome in zip(batch, self._desk.act(batch, now), strict=True):
                if outcome.refusal is not None:
                    log.info("refused: %s: %s", command.verb, outcome.refusal.words("en"))

"""Take messages from the stream to the Desk: in batches, each exactly once, and the bad ones to the dead letters."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar, cast

import msgspec
import redis

from dispatch.desk.desk import Desk
from dispatch.intake import contacts, dead_letters
from dispatch.intake.commit import Committer, Tally
from dispatch.intake.dead_letters import DEAD_STREAM, STREAM
from dispatch.intake.faults import Away
from dispatch.intake.message_stream import (
    GROUP,
    HEARTBEAT,
    RECEIVED,
    REDIS_TIMEOUT_S,
    Entry,
    connect,
    lag,
    order,
    raw_of,
)
from dispatch.intake.messages import Problem
from dispatch.intake.prepare import Batch, Preparer
from models.servers.database import Servers

BATCH: Final = 500
BLOCK_MS: Final = 500
HEARTBEAT_EVERY_S: Final = 2.0
HEARTBEAT_TTL_S: Final = 10
TOUCH_EVERY_S: Final = 10.0
CLAIM_EVERY_S: Final = 2.0
CLAIM_IDLE_MS: Final = 30_000  # of a dispatcher that lives: it may only be slow
DEAD_IDLE_MS: Final = 3_000  # of one without a heartbeat
DELIVERIES_LIMIT: Final = 5
# From this delivery on a message travels alone, so that it cannot take neighbours with it when it kills.
ALONE_FROM: Final = 3
TRIM_EVERY_S: Final = 5.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
REFUSED_KEPT_S: Final = 7 * 24 * 3600
PENDING_SHOWN: Final = BATCH
COLLECT_AFTER: Final = (50_000, 50, 100)  # objects, then rounds of the younger generation

# A consumer is removed only while it has nothing pending: what it held would be lost with it.
_REMOVE = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
"""

# A letter is written while its message is pending and never again, however often an answer was lost on the way.
_BURY = f"""
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', {dead_letters.LETTERS_LIMIT}, '*', unpack(ARGV, 3))
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
"""

log = logging.getLogger("gridwhistle.dispatch")

T = TypeVar("T")


class Dispatcher:
    """Read, prepare, commit, acknowledge, until told to stop; any number of them share the work of one stream."""

    def __init__(
        self, servers: Servers, name: str | None = None, batch: int = BATCH, overlap: bool = True
    ) -> None:
        self.name = name or f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(2)}"
        self._servers = servers
        self._batch = batch
        self._overlap = overlap
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._stream = connect(servers.redis_url)
        self._desk = Desk(servers.database_url, self._stream)
        self._committer = Committer(self._desk, servers.database_url)
        self._state = "starting"
        self._last_batch_at = ""
        self._in_hand: set[bytes] = set()
        self._lock = threading.Lock()

    @property
    def tally(self) -> Tally:
        """Return what this dispatcher has done since it began."""
        return self._committer.tally

    def stop(self) -> None:
        """Ask `run` to finish the batch in hand and return."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop` is called; waits, and says so, while a server is away."""
        heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        heart.start()
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="commit") as committer:
                self._work(committer)
        finally:
            self._ended.set()
            heart.join(REDIS_TIMEOUT_S)
            self._leave()

    def _work(self, committer: ThreadPoolExecutor) -> None:
        contact_key = self._retry_until_stopped(self._contact_key)
        if contact_key is None or self._retry_until_stopped(self._make_group) is None:
            return
        preparer = Preparer(self._servers.database_url, contact_key)
        running: Future[None] | None = None
        claim_at = trim_at = 0.0
        log.info("dispatcher %s takes messages from the stream %s", self.name, STREAM)
        try:
            while not self._stop.is_set():
                now = time.monotonic()
                claimed: list[Entry] | None = None
                if now >= claim_at:
                    claimed = self._retry_until_stopped(self._claim)
                    claim_at = 0.0 if claimed else now + CLAIM_EVERY_S
                if now >= trim_at:
                    self._retry_until_stopped(self._trim)
                    trim_at = now + TRIM_EVERY_S
                # With a batch under way there is no time to sleep for the next.
                busy = running is not None and not running.done()
                entries = claimed or self._retry_until_stopped(
                    partial(self._read, None if busy else BLOCK_MS)
                )
                if not entries:
                    if running is not None:
                        running.result()
                        running = None
                    continue
                self._hold(entries)
                batch = self._prepared(preparer, entries)
                if running is not None:
                    running.result()
                    running = None
                if batch is None:
                    break
                if self._overlap:
                    running = committer.submit(self._settle, batch)
                else:
                    self._settle(batch)
        finally:
            if running is not None:
                running.result()
            preparer.close()
            self._desk.close()
            self._committer.close()

    # --- reading ---

    def _read(self, block_ms: int | None) -> list[Entry]:
        answer = cast(
            Any, self._stream.xreadgroup(GROUP, self.name, {STREAM: ">"}, count=self._batch, block=block_ms)
        )
        return cast(list[Entry], answer[0][1]) if answer else []

    def _prepared(self, preparer: Preparer, entries: list[Entry]) -> Batch | None:
        ids = [key for key, _ in entries]
        raws = [raw_of(fields) for _, fields in entries]
        return self._retry_until_stopped(lambda: preparer.prepare(ids, raws))

    def _claim(self) -> list[Entry]:
        """Take over what others left: of the dead soon, of the living (this one too) after `CLAIM_IDLE_MS`."""
        for consumer in self._stream.xinfo_consumers(STREAM, GROUP):
            name = consumer["name"].decode()
            if name == self.name or self._stream.exists(HEARTBEAT + name):
                continue
            if consumer["pending"] == 0:
                self._stream.eval(_REMOVE, 1, STREAM, GROUP, name)
            elif entries := self._claim_of(DEAD_IDLE_MS, name):
                return entries
        return self._claim_of(CLAIM_IDLE_MS, None)

    def _claim_of(self, idle_ms: int, consumer: str | None) -> list[Entry]:
        pending = cast(
            list[dict[str, Any]],
            self._stream.xpending_range(STREAM, GROUP, "-", "+", PENDING_SHOWN, consumer, idle_ms),
        )
        with self._lock:
            pending = [each for each in pending if each["message_id"] not in self._in_hand]
        if not pending:
            return []
        spent = [each["message_id"] for each in pending if each["times_delivered"] > DELIVERIES_LIMIT]
        if spent:
            self._give_up(self._take(spent, idle_ms))
            return []
        together = [each["message_id"] for each in pending if each["times_delivered"] < ALONE_FROM]
        return self._take(together[: self._batch] or [pending[0]["message_id"]], idle_ms)

    def _take(self, ids: list[bytes], idle_ms: int) -> list[Entry]:
        claimed = cast(list[Entry], self._stream.xclaim(STREAM, GROUP, self.name, idle_ms, cast(Any, ids)))
        return [entry for entry in claimed if entry[0] is not None]

    def _give_up(self, entries: list[Entry]) -> None:
        for key, fields in entries:
            cause = self._committer.cause(key)
            shown = f"({cause})" if cause else ""
            fault = Problem(
                "",
                "fault",
                f"处理 {DELIVERIES_LIMIT} 次均失败{shown}",
                f"Failed {DELIVERIES_LIMIT} times{' ' if shown else ''}{shown}",
            )
            self._dead_letter_and_ack([key], [raw_of(fields)], {0: fault}, {})

    # --- committing, in its own thread ---

    def _settle(self, batch: Batch) -> None:
        if self._retry_until_stopped(lambda: self._committer.commit(batch)) is None:
            self._let_go(batch.ids)
            return
        self._retry_until_stopped(lambda: self._acknowledge(batch))
        self._let_go(batch.ids)
        self._last_batch_at = datetime.now(UTC).isoformat(timespec="seconds")

    # --- acknowledging ---

    def _acknowledge(self, batch: Batch) -> bool:
        kept = [key for at, key in enumerate(batch.ids) if at not in batch.held_back]
        self._dead_letter_and_ack(kept, batch.raws, batch.problems, batch.refused_numbers, batch.ids)
        return True

    def _dead_letter_and_ack(
        self,
        acknowledged: list[bytes],
        raws: list[bytes],
        problems: dict[int, Problem],
        refused_numbers: dict[int, tuple[int, str]],
        ids: list[bytes] | None = None,
    ) -> None:
        """Acknowledge, each refused message in one step with its dead letter: neither happens without the other."""
        now = datetime.now(UTC)
        if not acknowledged:
            return
        buried: set[bytes] = set()
        with self._stream.pipeline(transaction=False) as steps:
            for at, problem in problems.items():
                key = (ids or acknowledged)[at]
                buried.add(key)
                pairs = [
                    part
                    for pair in dead_letters.written(raws[at], problem, key, now).items()
                    for part in pair
                ]
                steps.eval(_BURY, 2, STREAM, DEAD_STREAM, GROUP, key, *pairs)
                if at in refused_numbers:
                    number, source = refused_numbers[at]
                    refusal = {"state": "refused", "source": source, "field": problem.field}
                    refusal |= {"reason": problem.reason, "zh": problem.zh, "en": problem.en}
                    steps.set(f"{RECEIVED}{number}", msgspec.json.encode(refusal), ex=REFUSED_KEPT_S)
            if plain := [key for key in acknowledged if key not in buried]:
                steps.xack(STREAM, GROUP, *plain)
            steps.execute()

    def _trim(self) -> bool:
        """Drop entries that every group has acknowledged: below the lowest pending, else the last delivered id."""
        floor: bytes | None = None
        for group in self._stream.xinfo_groups(STREAM):
            lowest: bytes = group["last-delivered-id"]
            if group["pending"]:
                pending = self._stream.xpending(STREAM, group["name"])
                lowest = pending["min"] or lowest
            if floor is None or order(lowest) < order(floor):
                floor = lowest
        if floor is not None and floor != b"0-0":
            self._stream.xtrim(STREAM, minid=floor.decode(), approximate=True)
        return True

    # --- waiting ---

    def _retry_until_stopped(self, step: Callable[[], T]) -> T | None:
        """Do a step, again and again while something it needs is away; return None only when told to stop meanwhile."""
        pause = FIRST_PAUSE_S
        logged = ""
        while True:
            try:
                result = step()
            except Away as fault:
                why = str(fault)
            except redis.ResponseError as fault:
                why = f"the stream refuses: {str(fault)[:120]}"
                if str(fault).startswith("NOGROUP"):
                    # The stream was emptied or restored: what it holds is read from its beginning.
                    with suppress(redis.RedisError):
                        self._make_group()
            except (redis.RedisError, OSError) as fault:
                why = f"the stream is away: {type(fault).__name__}"
            else:
                if logged:
                    log.warning("went on after: %s", logged)
                self._state = "working"
                return result
            if why != logged:
                log.warning("waiting, messages stay on the stream: %s", why)
                logged = why
            self._state = f"waiting: {why}"
            if self._stop.wait(pause):
                return None
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _make_group(self) -> bool:
        try:
            self._stream.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.ResponseError as fault:
            if not str(fault).startswith("BUSYGROUP"):
                raise
        return True

    def _contact_key(self) -> bytes:
        return contacts.key_of(self._stream)

    # --- being alive ---

    def _hold(self, entries: Sequence[Entry]) -> None:
        with self._lock:
            self._in_hand.update(key for key, _ in entries)

    def _let_go(self, ids: Sequence[bytes]) -> None:
        with self._lock:
            self._in_hand.difference_update(ids)

    def _beat(self) -> None:
        """Say every `HEARTBEAT_EVERY_S` that this dispatcher lives, also while it waits for the database."""
        stream = connect(self._servers.redis_url)
        touch_at = time.monotonic() + TOUCH_EVERY_S
        while True:
            with suppress(redis.RedisError, OSError):
                self._say(stream)
                if time.monotonic() >= touch_at:
                    touch_at = time.monotonic() + TOUCH_EVERY_S
                    with self._lock:
                        ids = list(self._in_hand)
                    if ids:
                        # Waiting is no failure: idle time starts anew, deliveries are not counted up.
                        stream.xclaim(STREAM, GROUP, self.name, 0, cast(Any, ids), justid=True)
            if self._ended.wait(HEARTBEAT_EVERY_S):
                stream.close()
                return

    def _say(self, stream: redis.Redis) -> None:
        now = datetime.now(UTC)
        with stream.pipeline(transaction=True) as steps:
            steps.hset(
                HEARTBEAT + self.name,
                mapping={
                    "at": now.isoformat(timespec="milliseconds"),
                    "state": self._state,
                    "last_batch_at": self._last_batch_at,
                    "lag": lag(stream),
                    "done": self.tally.done,
                    "duplicates": self.tally.duplicates,
                    "refused": self.tally.refused,
                    "concluded": self.tally.concluded,
                },
            )
            steps.expire(HEARTBEAT + self.name, HEARTBEAT_TTL_S)
            steps.execute()

    def _leave(self) -> None:
        with suppress(redis.RedisError, OSError):
            self._stream.delete(HEARTBEAT + self.name)
            self._stream.eval(_REMOVE, 1, STREAM, GROUP, self.name)
        self._stream.close()
        log.info("dispatcher %s has ended: %s", self.name, self.tally)

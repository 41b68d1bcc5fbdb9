"""Take messages from the stream to the Desk: in batches, each exactly once, and the bad ones to the dead letters."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar, cast

import msgspec
import psycopg
import redis

from dispatch.desk import store
from dispatch.desk.desk import Desk, Outcome
from dispatch.intake import contacts, dead_letters, locate
from dispatch.intake.dead_letters import DEAD_STREAM, FIELD, STREAM
from dispatch.intake.locate import Locator
from dispatch.intake.messages import OutcomeMessage, Problem, ReportMessage, number_of, parse
from dispatch.intake.suggest import Suggester
from dispatch.rules.incident.chain import SYSTEM, Command, Report
from dispatch.rules.policy.policy import Policy, PolicyError
from dispatch.rules.refusals import Refusal
from models.servers.database import Servers, addresses, psycopg_dsn

GROUP: Final = "dispatch"
HEARTBEAT: Final = "gridwhistle:dispatcher:"  # + name: hash of what this dispatcher does
RECEIVED: Final = "gridwhistle:received:"  # + number: what became of a report that is no incident (yet)

BATCH: Final = 500
BLOCK_MS: Final = 500
REDIS_TIMEOUT_S: Final = 10.0
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
RELOAD_EVERY_S: Final = 5.0
RELOAD_AT_REFUSAL_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
REFUSED_KEPT_S: Final = 7 * 24 * 3600
PENDING_SHOWN: Final = BATCH
COLLECT_AFTER: Final = (50_000, 50, 100)  # objects, then rounds of the younger generation

# Classes of SQLSTATE that lie in the data of one message: bad value, broken constraint, a limit of the program.
_OF_THE_DATA: Final = ("22", "23", "54")

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
Entry = tuple[bytes, "dict[bytes, bytes] | None"]


@dataclass(slots=True)
class Batch:
    """Hold one batch on its way: stream ids with raw messages, and what was made of each by its place in them."""

    ids: list[bytes]
    raws: list[bytes]
    reports: list[Report] = field(default_factory=list)
    report_at: list[int] = field(default_factory=list)
    endings: list[OutcomeMessage] = field(default_factory=list)
    ending_at: list[int] = field(default_factory=list)
    problems: dict[int, Problem] = field(default_factory=dict)
    # Number and source of what was refused after it could be read.
    refused_numbers: dict[int, tuple[int, str]] = field(default_factory=dict)
    # Left pending: their fault may pass, and their deliveries are counted.
    held_back: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Tally:
    """Count what this dispatcher has done since it began."""

    done: int = 0
    duplicates: int = 0
    refused: int = 0
    concluded: int = 0


class Away(Exception):
    """Something that messages need is not there now, as its text says: the database, the city or its policy."""


class Preparer:
    """Turn raw messages into located reports; keeps a picture of the city that follows the database."""

    def __init__(self, database_url: str, contact_key: bytes) -> None:
        self._dsn = psycopg_dsn(database_url)
        self._contact_key = contact_key
        self._default_points = locate.default_points()
        self._connection: psycopg.Connection[Any] | None = None
        self._desk = Desk(database_url)
        self._print: tuple[int, ...] = ()
        self._locator = Locator(())
        self._policy: Policy | None = None
        self._suggester = Suggester({}, "")
        self._checked_at = -RELOAD_EVERY_S

    def close(self) -> None:
        """Close the connections."""
        self._desk.close()
        if self._connection is not None:
            self._connection.close()

    def prepare(self, ids: list[bytes], raws: list[bytes]) -> Batch:
        """Parse and locate one batch; raise Away while there is no city to locate in."""
        now = datetime.now(UTC)
        self._follow(RELOAD_EVERY_S)
        batch = Batch(ids, raws)
        reports: list[ReportMessage] = []
        for at, raw in enumerate(raws):
            message = parse(raw, now)
            if isinstance(message, ReportMessage):
                reports.append(message)
                batch.report_at.append(at)
            elif isinstance(message, OutcomeMessage):
                batch.endings.append(message)
                batch.ending_at.append(at)
            else:
                batch.problems[at] = message
        places = self._locator.locate(reports)
        # Before a place is refused, a city that has just changed gets its say.
        if any(isinstance(each, Problem) for each in places) and self._follow(RELOAD_AT_REFUSAL_S):
            places = self._locator.locate(reports)
        located_at: list[int] = []
        for at, message, place in zip(batch.report_at, reports, places, strict=True):
            number = number_of(message.source, message.source_id)
            if isinstance(place, Problem):
                batch.problems[at] = place
                batch.refused_numbers[at] = (number, message.source)
                continue
            category, suggested = message.category, None
            if category is None:
                suggestion = self._suggester.suggest(message.text)
                category, suggested = suggestion.category, suggestion.words
            located_at.append(at)
            batch.reports.append(
                Report(
                    number,
                    message.source,
                    message.source_id,
                    category,
                    message.text,
                    message.address,
                    place.area_code,
                    place.lon,
                    place.lat,
                    place.located,
                    message.reported_at,
                    message.severity,
                    contacts.token(self._contact_key, message.reporter) if message.reporter else "",
                    message.photos,
                    message.target_at,
                    message.imported,
                    suggested,
                )
            )
        batch.report_at = located_at
        return batch

    def _follow(self, age_s: float) -> bool:
        """Look whether the city or its policy changed, if the last look is older than this; tell whether it did."""
        if len(self._locator) and time.monotonic() - self._checked_at < age_s:
            return False
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._dsn, connect_timeout=5, autocommit=True)
            print_now = locate.fingerprint(self._connection)
            changed = print_now != self._print
            if changed:
                self._locator = locate.load(self._connection, self._default_points)
                self._print = print_now
            policy = self._desk.policy()
            if policy is not self._policy:
                self._policy = policy
                self._suggester = Suggester(policy.types, policy.fallback)
            self._checked_at = time.monotonic()
        except psycopg.Error as fault:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if len(self._locator):
                # The picture at hand serves until the database is back; the commit waits for it anyway.
                self._checked_at = time.monotonic()
                return False
            raise Away(_told(fault)) from fault
        except (LookupError, PolicyError) as fault:
            if not _is_systemic(fault):
                raise
            raise Away(str(fault)) from fault
        if not len(self._locator):
            raise Away("the database holds no areas: load a city first")
        return changed


class Dispatcher:
    """Read, prepare, commit, acknowledge, until told to stop; any number of them share the work of one stream."""

    def __init__(
        self, servers: Servers, name: str | None = None, batch: int = BATCH, overlap: bool = True
    ) -> None:
        self.name = name or f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(2)}"
        self.tally = Tally()
        self._servers = servers
        self._batch = batch
        self._overlap = overlap
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._stream = connect(servers.redis_url)
        self._desk = Desk(servers.database_url, self._stream)
        self._receipts: psycopg.Connection[Any] | None = None
        self._state = "starting"
        self._last_batch_at = ""
        self._in_hand: set[bytes] = set()
        self._lock = threading.Lock()
        self._causes: dict[bytes, str] = {}

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
        contact_key = self._patiently(self._contact_key)
        if contact_key is None or self._patiently(self._make_group) is None:
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
                    claimed = self._patiently(self._claim)
                    claim_at = 0.0 if claimed else now + CLAIM_EVERY_S
                if now >= trim_at:
                    self._patiently(self._trim)
                    trim_at = now + TRIM_EVERY_S
                # With a batch under way there is no time to sleep for the next.
                busy = running is not None and not running.done()
                entries = claimed or self._patiently(partial(self._read, None if busy else BLOCK_MS))
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
            if self._receipts is not None:
                self._receipts.close()

    # --- reading ---

    def _read(self, block_ms: int | None) -> list[Entry]:
        answer = cast(
            Any, self._stream.xreadgroup(GROUP, self.name, {STREAM: ">"}, count=self._batch, block=block_ms)
        )
        return cast(list[Entry], answer[0][1]) if answer else []

    def _prepared(self, preparer: Preparer, entries: list[Entry]) -> Batch | None:
        ids = [key for key, _ in entries]
        raws = [_raw(fields) for _, fields in entries]
        return self._patiently(lambda: preparer.prepare(ids, raws))

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
            cause = self._causes.pop(key, "")
            shown = f"({cause})" if cause else ""
            fault = Problem(
                "",
                "fault",
                f"处理 {DELIVERIES_LIMIT} 次均失败{shown}",
                f"Failed {DELIVERIES_LIMIT} times{' ' if shown else ''}{shown}",
            )
            self._bury([key], [_raw(fields)], {0: fault}, {})

    # --- committing, in its own thread ---

    def _settle(self, batch: Batch) -> None:
        if self._patiently(lambda: self._commit(batch)) is None:
            self._let_go(batch.ids)
            return
        self._patiently(lambda: self._acknowledge(batch))
        self._let_go(batch.ids)
        self._last_batch_at = datetime.now(UTC).isoformat(timespec="seconds")

    def _commit(self, batch: Batch) -> bool:
        """Bring the batch to the database; what was committed by an earlier attempt comes back as a duplicate."""
        now = datetime.now(UTC)
        batch.held_back.clear()
        tally = Tally()
        results = self._report(batch.reports, now)
        for at, report, result in zip(batch.report_at, batch.reports, results, strict=True):
            if isinstance(result, Outcome) and result.status == "done":
                tally.done += 1
            elif isinstance(result, Outcome) and result.status == "duplicate":
                tally.duplicates += 1
            else:
                self._refuse(batch, at, result, _FIELD_OF_REFUSAL)
                batch.refused_numbers[at] = (report.number, report.source)
        if batch.endings:
            self._conclude(batch, now, tally)
        tally.refused += len(batch.problems)
        self.tally = Tally(
            self.tally.done + tally.done,
            self.tally.duplicates + tally.duplicates,
            self.tally.refused + tally.refused,
            self.tally.concluded + tally.concluded,
        )
        return True

    def _report(self, reports: list[Report], now: datetime) -> list[Outcome | Exception]:
        results = _bisected(lambda some: self._desk.report(some, now), reports)
        refused: dict[int, tuple[Report, Outcome]] = {}
        again: list[int] = []
        for at, (report, result) in enumerate(zip(reports, results, strict=True)):
            if not isinstance(result, Outcome):
                continue
            if result.status == "refused":
                refused.setdefault(report.number, (report, result))
            elif result.status == "duplicate" and report.number in refused:
                # Its likeness in this batch became no incident: a copy is refused like it, a mended one gets its turn.
                first, answer = refused[report.number]
                if report == first:
                    results[at] = answer
                else:
                    again.append(at)
        if again:
            for at, result in zip(again, self._report([reports[at] for at in again], now), strict=True):
                results[at] = result
        return results

    def _conclude(self, batch: Batch, now: datetime, tally: Tally) -> None:
        numbers = [number_of(each.source, each.source_id) for each in batch.endings]
        try:
            known = self._incidents(numbers)
        except psycopg.Error as fault:
            raise Away(_told(fault)) from fault
        commands: list[Command] = []
        places: list[int] = []
        for at, number, ending in zip(batch.ending_at, numbers, batch.endings, strict=True):
            found = known.get(number)
            if found is None or found[1:] != (ending.source, ending.source_id):
                # Its report may still be with another dispatcher.
                batch.held_back.add(at)
                self._remember(batch.ids[at], "unknown_incident")
                continue
            args: dict[str, Any] = {"closed_at": ending.closed_at}
            if ending.note:
                args["note"] = ending.note
            # With its time: opened again and ended again, it has ended twice.
            key = f"{ending.source}:{ending.source_id}:{ending.closed_at.astimezone(UTC).isoformat()}"
            commands.append(Command("conclude", found[0], SYSTEM, key, args))
            places.append(at)
        results = _bisected(lambda some: self._desk.act(some, now), commands)
        for at, result in zip(places, results, strict=True):
            if isinstance(result, Outcome) and result.status == "done":
                tally.concluded += 1
            elif isinstance(result, Outcome) and result.status == "duplicate":
                tally.duplicates += 1
            else:
                self._refuse(batch, at, result, {})

    def _incidents(self, numbers: list[int]) -> dict[int, tuple[int, str | None, str | None]]:
        if self._receipts is None or self._receipts.closed:
            dsn = psycopg_dsn(self._servers.database_url)
            self._receipts = psycopg.connect(dsn, connect_timeout=5, autocommit=True)
        try:
            with self._receipts.cursor() as cursor:
                return store.receipts(cursor, numbers)
        except psycopg.Error:
            self._receipts.close()
            raise

    def _refuse(self, batch: Batch, at: int, result: Outcome | Exception, fields: dict[str, str]) -> None:
        if isinstance(result, Outcome):
            refusal = result.refusal or Refusal("unknown_incident")
            code = refusal.code
            batch.problems[at] = Problem(fields.get(code, ""), code, refusal.words("zh"), refusal.words("en"))
        elif isinstance(result, psycopg.Error):
            what = result.diag.constraint_name or result.sqlstate or type(result).__name__
            batch.problems[at] = Problem(
                "", "not_storable", f"数据库不接受({what})", f"The database does not take it ({what})"
            )
        else:
            batch.held_back.add(at)
            self._remember(batch.ids[at], type(result).__name__)
            log.error("message %s failed: %s", batch.ids[at].decode(), type(result).__name__, exc_info=result)

    def _remember(self, key: bytes, cause: str) -> None:
        if len(self._causes) >= 20 * BATCH:
            self._causes.pop(next(iter(self._causes)))
        self._causes[key] = cause

    # --- acknowledging ---

    def _acknowledge(self, batch: Batch) -> bool:
        kept = [key for at, key in enumerate(batch.ids) if at not in batch.held_back]
        self._bury(kept, batch.raws, batch.problems, batch.refused_numbers, batch.ids)
        return True

    def _bury(
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
                    said = {"state": "refused", "source": source, "field": problem.field}
                    said |= {"reason": problem.reason, "zh": problem.zh, "en": problem.en}
                    steps.set(f"{RECEIVED}{number}", msgspec.json.encode(said), ex=REFUSED_KEPT_S)
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
            if floor is None or _order(lowest) < _order(floor):
                floor = lowest
        if floor is not None and floor != b"0-0":
            self._stream.xtrim(STREAM, minid=floor.decode(), approximate=True)
        return True

    # --- waiting ---

    def _patiently(self, step: Callable[[], T]) -> T | None:
        """Do a step, again and again while something it needs is away; return None only when told to stop meanwhile."""
        pause = FIRST_PAUSE_S
        said = ""
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
                if said:
                    log.warning("went on after: %s", said)
                self._state = "working"
                return result
            if why != said:
                log.warning("waiting, messages stay on the stream: %s", why)
                said = why
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


_FIELD_OF_REFUSAL: Final = {"unknown_category": "category", "number_taken": "source_id"}


def _bisected(step: Callable[[list[Any]], list[Outcome]], batch: list[Any]) -> list[Outcome | Exception]:
    """Answer each of a batch, halving it where it fails as a whole, until each fault stands with its one cause.

    Raises Away for faults that are nobody's: the database is gone, or not ready for anybody.
    """
    try:
        return list(step(batch))
    except Exception as fault:
        if _is_systemic(fault):
            raise Away(_told(fault)) from fault
        if len(batch) == 1:
            return [fault]
    middle = len(batch) // 2
    return _bisected(step, batch[:middle]) + _bisected(step, batch[middle:])


def _is_systemic(fault: Exception) -> bool:
    if isinstance(fault, psycopg.Error):
        return not (fault.sqlstate or "").startswith(_OF_THE_DATA) and not isinstance(
            fault, psycopg.DataError
        )
    # KeyError and IndexError are mistakes of ours, a bare LookupError is the Desk missing the policy.
    return type(fault) is LookupError or isinstance(fault, PolicyError)


def _told(fault: Exception) -> str:
    """Return what is wrong without any value: messages of the database quote the rows they refuse."""
    if isinstance(fault, psycopg.Error):
        return f"the database is away ({type(fault).__name__} {fault.sqlstate or ''})".replace(" )", ")")
    return str(fault)


def _raw(fields: dict[bytes, bytes] | None) -> bytes:
    if fields is None:
        return b""
    raw = fields.get(FIELD.encode())
    # A sender that spreads its message over stream fields is refused by name, not silently emptied.
    return raw if raw is not None else msgspec.json.encode({k.decode(errors="replace"): "" for k in fields})


def _order(key: bytes) -> tuple[int, int]:
    first, _, second = key.partition(b"-")
    return int(first), int(second)


def connect(redis_url: str) -> redis.Redis:
    """Return a client of the stream with bounded waits, answering in bytes."""
    return redis.Redis.from_url(
        redis_url,
        protocol=2,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        decode_responses=False,
    )


def lag(stream: redis.Redis) -> int:
    """Return how many messages wait: not yet read by the group, or read and not acknowledged."""
    try:
        groups = stream.xinfo_groups(STREAM)
    except redis.ResponseError:
        return 0
    for group in groups:
        if group["name"] == GROUP.encode():
            # Null where entries were deleted in between; then what was read says nothing about what was not.
            return int(group["pending"]) + int(group.get("lag") or 0)
    return int(stream.xlen(STREAM))


def settled(stream: redis.Redis, last: bytes) -> bool:
    """Tell whether every message up to the stream id `last` has been read and acknowledged."""
    try:
        groups = stream.xinfo_groups(STREAM)
    except redis.ResponseError:
        return False
    for group in groups:
        if group["name"] == GROUP.encode() and _order(group["last-delivered-id"]) >= _order(last):
            if not group["pending"]:
                return True
            lowest = stream.xpending(STREAM, GROUP)["min"]
            return lowest is None or _order(lowest) > _order(last)
    return False


def living(stream: redis.Redis) -> dict[str, dict[str, str]]:
    """Return name -> heartbeat of every dispatcher that has given one within `HEARTBEAT_TTL_S`."""
    found: dict[str, dict[str, str]] = {}
    for key in stream.scan_iter(match=HEARTBEAT + "*", count=1_000):
        fields = cast(dict[bytes, bytes], stream.hgetall(key))
        if fields:
            name = key.decode().removeprefix(HEARTBEAT)
            found[name] = {k.decode(): v.decode() for k, v in fields.items()}
    return found


# --- the command --------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch run` takes."""
    parser.add_argument("--name", help="name in the consumer group (default: host, process and four digits)")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"messages in one transaction ({BATCH})")


def run(args: argparse.Namespace) -> int:
    """Dispatch until SIGTERM or Ctrl-C, then finish the batch in hand; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # A batch makes thousands of objects that all die with it, beside a picture of the city that all stays: searching
    # both for cycles as often as Python does by default takes a fifth of the time.
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    dispatcher = Dispatcher(addresses(), args.name, min(max(args.batch, 1), BATCH))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: dispatcher.stop())
    dispatcher.run()
    return 0

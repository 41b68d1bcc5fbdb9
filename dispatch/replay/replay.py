"""Send a city's own past requests through the stream, and compare our verdicts with the city's."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar, cast

import msgspec
import psycopg

from dispatch.figures import published
from dispatch.intake import message_stream
from dispatch.intake.consumer import Dispatcher
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.intake.messages import TEXT_LIMIT_CHARS, OutcomeMessage, ReportMessage
from dispatch.replay.source_file import (
    FAULTS_SHOWN,
    OTHER_TYPE,
    Fault,
    Mapping,
    ReplayError,
    Row,
    Survey,
    city_of,
    rows,
    survey,
)
from models.cities import loading
from models.migrations import migrate
from models.servers import servers
from models.servers.database import Servers, addresses, psycopg_dsn

SPEED_ROWS_LIMIT: Final = 500_000  # rows held in memory to be sent in the order of their times
BATCH: Final = 500
STALLED_S: Final = 60.0  # without any progress of the dispatchers
POLL_S: Final = 0.05
PROGRESS_EVERY_S: Final = 1.0
AS_OF_STEP: Final = timedelta(seconds=1)

T = TypeVar("T")


@dataclass(slots=True)
class Report:
    """Count what a replay did. `read` = accepted + duplicates + refused; judged are the first two, once each."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    no_location: int = 0
    with_target: int = 0
    without_target: int = 0
    on_time: int = 0
    overdue: int = 0
    verdict_agrees: int = 0
    verdict_differs: int = 0
    source_blank: int = 0

    def object(self) -> dict[str, int]:
        """Return the counts by name, in this order."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Played:
    """Hold what a replay did, and the instant as of which requests that are still open were judged."""

    report: Report
    faults: list[Fault]
    reasons: Counter[str]
    found: Survey
    as_of: datetime


# --- sending ------------------------------------------------------------------------------------------------------


class Replay:
    """Send a file through the stream and see what the database made of it."""

    def __init__(self, path: Path, how: Mapping, where: Servers, tell: Callable[[str], None]) -> None:
        self._path = path
        self._how = how
        self._tell = tell
        self._stream = message_stream.connect(where.redis_url)
        self._database = psycopg.connect(psycopg_dsn(where.database_url), autocommit=True, connect_timeout=5)
        self._city = how.city[0]
        self._areas: dict[tuple[str, ...], str] = {}
        self._types: dict[str, str] = {}
        self._said_at = 0.0
        self.report = Report()
        self.faults: list[Fault] = []
        self.reasons: Counter[str] = Counter()

    def run(self, found: Survey, as_of: datetime, speed: float | None) -> Report:
        """Send reports, then outcomes, wait for each, and judge; `speed` is source seconds per second, None: at once.

        Raises ReplayError when the dispatchers make no progress for `STALLED_S`.
        """
        self._read_city()
        self.faults = list(found.faults)
        self.reasons = Counter(found.fault_count)
        self.report.read = found.rows
        self.report.refused = found.fault_count.total()
        before, repeats = self._send_in_time(speed) if speed is not None else self._send_all(found.rows)
        self._judge(before, repeats, as_of)
        return self.report

    def _read_city(self) -> None:
        listed = self._database.execute(
            "SELECT code, name, parent FROM area WHERE level <= 4 ORDER BY level, code"
        )
        paths: dict[str, tuple[str, ...]] = {}
        for code, name, parent in listed.fetchall():
            if parent is None:
                paths[code] = ()
                self._city = code
            elif parent in paths:
                paths[code] = (*paths[parent], name)
        self._areas = {path: code for code, path in paths.items()}
        self._types = {}
        for code, name, english in self._database.execute(
            "SELECT code, name, name_en FROM category"
        ).fetchall():
            self._types.setdefault(name, code)
            self._types.setdefault(english, code)

    def _send_all(self, total: int) -> tuple[set[int], int]:
        before: set[int] = set()
        seen: set[int] = set()
        repeats = sent = 0
        last = b""
        for batch in _batches(self._requests(), BATCH):
            numbers = [each.number for each in batch]
            before |= set(self._known(numbers)) - seen
            for number in numbers:
                repeats += number in seen
                seen.add(number)
            last = self._put([self._message(each) for each in batch])
            sent += len(batch)
            self._say(f"sent {sent} of {total}")
        self._wait(last)
        sent, last = 0, b""
        for batch in _batches(self._requests(), BATCH):
            open_now = {
                number for number, state in self._known([r.number for r in batch]).items() if state is None
            }
            endings = [_ending(each, self._how) for each in batch if each.closed and each.number in open_now]
            if endings:
                last = self._put(endings)
            sent += len(batch)
            self._say(f"outcomes: {sent} of {total}")
        self._wait(last)
        return before, repeats

    def _send_in_time(self, speed: float) -> tuple[set[int], int]:
        """Send reports and outcomes in the order of their times, `speed` times as fast as they happened."""
        held = list(islice(self._requests(), SPEED_ROWS_LIMIT + 1))
        if len(held) > SPEED_ROWS_LIMIT:
            raise ReplayError(f"at most {SPEED_ROWS_LIMIT} rows with --speed; use --fast")
        before: set[int] = set()
        for batch in _batches(iter(held), BATCH):
            before |= set(self._known([each.number for each in batch]))
        repeats = len(held) - len({each.number for each in held})
        script: list[tuple[datetime, int, Row]] = [(each.opened, 0, each) for each in held]
        script += [(each.closed, 1, each) for each in held if each.closed is not None]
        script.sort(key=lambda act: act[:2])
        began, last = time.monotonic(), b""
        for sent, (due_at, kind, each) in enumerate(script, 1):
            due = began + (due_at - script[0][0]).total_seconds() / speed
            while (rest := due - time.monotonic()) > 0:
                self._say(f"sent {sent} of {len(script)}, now at {due_at:%Y-%m-%d %H:%M}")
                time.sleep(min(rest, PROGRESS_EVERY_S))
            if kind and each.number in before:
                continue
            last = self._put([_ending(each, self._how) if kind else self._message(each)])
        self._wait(last)
        return before, repeats

    def _requests(self) -> Iterator[Row]:
        return (each for each in rows(self._path, self._how) if isinstance(each, Row))

    def _message(self, row: Row) -> ReportMessage:
        path = row.areas
        while path and path not in self._areas:
            path = path[:-1]
        area = self._areas.get(path, self._city)
        return ReportMessage(
            v=1,
            source=self._how.source,
            source_id=row.id,
            category=self._types.get(
                row.type, OTHER_TYPE if OTHER_TYPE in self._types.values() else row.type[:40]
            ),
            text=row.text or row.type[:TEXT_LIMIT_CHARS],
            lon=row.lon,
            lat=row.lat,
            approximate=row.approximate,
            area=area,
            address=row.address,
            reported_at=row.opened,
            photos=(row.photo,) if row.photo else (),
            target_at=row.target,
            imported=True,
        )

    def _put(self, messages: Sequence[ReportMessage | OutcomeMessage]) -> bytes:
        encode = msgspec.json.encode
        with self._stream.pipeline(transaction=False) as steps:
            for each in messages:
                steps.xadd(STREAM, {FIELD: encode(each)})
            return cast(bytes, steps.execute()[-1])

    def _known(self, numbers: list[int]) -> dict[int, datetime | None]:
        """Return number -> end time of those that are incidents already."""
        found = self._database.execute(
            "SELECT r.key, i.ended_at FROM receipt r JOIN incident i ON i.id = r.incident_id AND i.number = r.key"
            " WHERE r.key = ANY(%s)",
            (numbers,),
        )
        return dict(found.fetchall())

    def _wait(self, last: bytes) -> None:
        """Wait until every message up to `last` is acknowledged."""
        if not last:
            return
        waiting, moved_at = -1, time.monotonic()
        while not message_stream.settled(self._stream, last):
            if (now_waiting := message_stream.lag(self._stream)) != waiting:
                waiting, moved_at = now_waiting, time.monotonic()
            if time.monotonic() - moved_at > STALLED_S:
                raise ReplayError(
                    f"no dispatcher made progress for {STALLED_S:.0f} s; {waiting} messages wait"
                )
            self._say(f"{waiting} messages wait")
            time.sleep(POLL_S)

    def _judge(self, before: set[int], repeats: int, as_of: datetime) -> None:
        report = self.report
        report.duplicates += repeats
        judged: set[int] = set()
        for batch in _batches(self._requests(), BATCH):
            made = self._made([each.number for each in batch])
            for each in batch:
                if each.number in judged:
                    continue
                judged.add(each.number)
                if each.number not in made:
                    report.refused += 1
                    # Its repeats in the file were refused with it.
                    self._refused(each)
                    continue
                if each.number in before:
                    report.duplicates += 1
                else:
                    report.accepted += 1
                self._compare(each, *made[each.number], as_of)

    def _made(
        self, numbers: list[int]
    ) -> dict[int, tuple[datetime | None, datetime | None, bool | None, bool]]:
        """Return number -> (target, end, our verdict on it, has a point) of what the database holds."""
        found = self._database.execute(
            "SELECT r.key, (i.clocks->'dispose'->>'due')::timestamptz, i.ended_at, i.disposed_on_time,"
            " i.lon IS NOT NULL FROM receipt r JOIN incident i ON i.id = r.incident_id AND i.number = r.key"
            " WHERE r.key = ANY(%s)",
            (numbers,),
        )
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in found.fetchall()}

    def _compare(
        self,
        row: Row,
        target: datetime | None,
        ended: datetime | None,
        on_time: bool | None,
        pointed: bool,
        as_of: datetime,
    ) -> None:
        report = self.report
        report.no_location += not pointed
        if target is None:
            report.without_target += 1
            return
        report.with_target += 1
        ours = on_time if ended is not None and on_time is not None else as_of <= target
        if ours:
            report.on_time += 1
        else:
            report.overdue += 1
        if row.verdict is None:
            report.source_blank += 1
        elif row.verdict == ours:
            report.verdict_agrees += 1
        else:
            report.verdict_differs += 1
            self._note(
                Fault(row.line, "verdict_differs", f"ours {_word(ours)}, the source's {_word(row.verdict)}")
            )

    def _refused(self, row: Row) -> None:
        answer = cast("bytes | None", self._stream.get(f"{message_stream.RECEIVED}{row.number}"))
        why = (
            json.loads(answer)
            if answer
            else {"reason": "unknown", "zh": "原因未知", "en": "The reason is not known"}
        )
        self.reasons[why["reason"]] += 1
        self._note(Fault(row.line, why["reason"], f"{why['zh']} / {why['en']}"))

    def _note(self, fault: Fault) -> None:
        if len(self.faults) < FAULTS_SHOWN:
            self.faults.append(fault)

    def _say(self, words: str) -> None:
        now = time.monotonic()
        if now - self._said_at >= PROGRESS_EVERY_S:
            self._said_at = now
            self._tell(words)


def _ending(row: Row, how: Mapping) -> OutcomeMessage:
    assert row.closed is not None
    return OutcomeMessage(
        v=1, kind="outcome", source=how.source, source_id=row.id, closed_at=row.closed, note=row.outcome
    )


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch


def _word(on_time: bool) -> str:
    return "on time" if on_time else "overdue"


@contextmanager
def _dispatching(where: Servers, tell: Callable[[str], None]) -> Iterator[None]:
    """Make sure that a dispatcher works: one that is alive, else one of our own for as long as this lasts."""
    stream = message_stream.connect(where.redis_url)
    if living := message_stream.living(stream):
        tell(f"dispatchers at work: {', '.join(sorted(living))}")
        yield
        return
    tell("no dispatcher is running: one works inside this command while it lasts")
    dispatcher = Dispatcher(where, name=None)
    thread = threading.Thread(target=dispatcher.run, name="dispatcher", daemon=True)
    thread.start()
    try:
        yield
    finally:
        dispatcher.stop()
        thread.join(STALLED_S)


def play(
    path: Path, how: Mapping, as_of: datetime | None, speed: float | None, new_city: bool, tell: Callable[[str], None]
) -> Played:  # fmt: skip
    """Send a file through the stream, starting servers and a dispatcher where none run, and judge what came of it.

    Open requests are judged as of `as_of`, a time without a zone in the source's own, or as of the newest time in the
    file. `speed` is source seconds per second, None: at once. With `new_city` an empty database gets the file's city.
    `tell` hears how far it is. Raises ReplayError, and CityError and ServersError of what it leans on.
    """
    found = survey(path, how)
    as_of = as_of or (found.newest + AS_OF_STEP if found.newest_is_target else found.newest)
    if as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=how.zone)
    where = addresses()
    if not servers.alive(where):
        tell("the servers are not running: starting them for this command")
        where = servers.start()
    if new_city:
        migrate.upgrade(where.database_url)
        if loading.is_empty(where.database_url):
            counts = loading.store(where.database_url, city_of(found, how))
            tell(f"new city {how.city[2]}: {counts['area']} areas, {counts['category']} types")
        else:
            _require_same_city(where, how)
            tell(f"{how.city[2]} is in this database already and is used as it is")
    with _dispatching(where, tell):
        replay = Replay(path, how, where, tell)
        report = replay.run(found, as_of, speed)
    with psycopg.connect(psycopg_dsn(where.database_url)) as connection:
        # Its page need not wait for the job that does this.
        while published.follow_replayed(connection):
            connection.commit()
        published.judge_replayed(connection, how.source, as_of)
    return Played(report, replay.faults, replay.reasons, found, as_of)


def _require_same_city(where: Servers, how: Mapping) -> None:
    with psycopg.connect(psycopg_dsn(where.database_url), connect_timeout=5) as connection:
        row = connection.execute("SELECT code, name FROM area WHERE parent IS NULL ORDER BY code").fetchone()
    if row is None or row[0] != how.city[0]:
        held = "nothing" if row is None else f"{row[1]} ({row[0]})"
        raise ReplayError(f"--new-city needs an empty database; this one holds {held}")

"""Send a city's own past requests from a CSV file through the stream, and compare our verdicts with the city's."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import psycopg
import redis

from dispatch import figures, intake
from dispatch.letters import FIELD, STREAM
from dispatch.messages import (
    ADDRESS_LIMIT_CHARS,
    EARLIEST,
    PHOTO_LIMIT_CHARS,
    SOURCE_ID_LIMIT_CHARS,
    TEXT_LIMIT_CHARS,
    OutcomeMessage,
    ReportMessage,
    number_of,
)
from dispatch.rules import policy as policies
from models import loading, migrate, servers
from models.servers import Servers, psycopg_dsn

MAPPINGS: Final = Path(__file__).resolve().parents[1] / "config" / "replay"
LINE_LIMIT_BYTES: Final = 1_000_000
ROWS_LIMIT: Final = 5_000_000
SPEED_ROWS_LIMIT: Final = 500_000  # rows held in memory to be sent in the order of their times
BATCH: Final = 500
FAULTS_SHOWN: Final = 200
STALLED_S: Final = 60.0  # without any progress of the dispatchers
POLL_S: Final = 0.05
PROGRESS_EVERY_S: Final = 1.0
TYPES_LIMIT: Final = 9_000
AREA_LIMITS: Final = (99, 999, 999)  # counties of a city, towns of a county, villages of a town
AREA_KINDS: Final = ("", "street", "community")
OTHER_TYPE: Final = "9999"
SERVICE: Final = (
    "服务队",
    "service team",
    "city",
)  # the one team of a city built from a file: name and level
AS_OF_STEP: Final = timedelta(seconds=1)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_URL = re.compile(r"https?://[^\s/]\S*")
T = TypeVar("T")


class ReplayError(Exception):
    """A replay cannot begin; the message says why, for whoever asked for it."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """Say how to read one city's file: which columns mean what, in which zone and forms."""

    source: str
    zone: ZoneInfo
    formats: tuple[str, ...]
    empty: frozenset[str]
    default_points: frozenset[tuple[float, float]]
    city: tuple[str, str, str]
    columns: dict[str, str]
    areas: tuple[str, ...]
    on_time: frozenset[str]
    overdue: frozenset[str]
    clean: dict[str, re.Pattern[str]]


@dataclass(slots=True)
class Row:
    """Hold one request of the file; times in UTC, `verdict` True for on time, None where the source says nothing."""

    line: int
    id: str
    opened: datetime
    target: datetime | None
    closed: datetime | None
    verdict: bool | None
    type: str
    theme: str
    text: str
    outcome: str
    address: str
    lon: float | None
    lat: float | None
    approximate: bool
    photo: str
    areas: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Say what is wrong with a line of the file (the first is 1)."""

    line: int
    reason: str
    sentence: str


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


@dataclass(slots=True)
class Survey:
    """Hold what one pass over the file shows: its newest moment, its areas and types, its faults."""

    rows: int = 0
    faults: list[Fault] = field(default_factory=list)
    fault_count: Counter[str] = field(default_factory=Counter)
    newest: datetime = EARLIEST
    newest_line: int = 0
    newest_is_target: bool = False
    types: dict[str, str] = field(default_factory=dict)
    # Path of names -> sum of lon, sum of lat, points.
    areas: dict[tuple[str, ...], list[float]] = field(default_factory=dict)


# --- mappings -----------------------------------------------------------------------------------------------------

_REQUIRED: Final = ("id", "opened", "type")
_KNOWN: Final = frozenset(
    {
        *_REQUIRED,
        "target",
        "closed",
        "verdict",
        "theme",
        "text",
        "outcome",
        "address",
        "lat",
        "lon",
        "photo",
        "areas",
    }
)


def mapping(name: str, folder: Path = MAPPINGS) -> Mapping:
    """Read a mapping by its name in `config/replay`, or by its path; raise ReplayError saying what is wrong in it."""
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if not path.is_file():
        names = ", ".join(sorted(each.stem for each in folder.glob("*.toml")))
        raise ReplayError(f"there is no mapping {name}; there are: {names}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        columns = dict(table["columns"])
        areas = tuple(columns.pop("areas", ()))
        if wrong := sorted(set(columns) - _KNOWN) or [each for each in _REQUIRED if each not in columns]:
            raise ReplayError(f"{path.name}: columns: {', '.join(wrong)} unknown or missing")
        if len(areas) > len(AREA_LIMITS):
            raise ReplayError(f"{path.name}: columns.areas: at most {len(AREA_LIMITS)}, county to village")
        city = table["city"]
        if not re.fullmatch(r"\d{4}00", city["code"]):
            raise ReplayError(f"{path.name}: city.code: expected six digits that end in 00")
        verdicts = table.get("verdicts", {})
        return Mapping(
            source=table["source"],
            zone=ZoneInfo(table["zone"]),
            formats=tuple(table["formats"]),
            empty=frozenset(table.get("empty", ())) | {""},
            default_points=frozenset((float(x), float(y)) for x, y in table.get("default_points", ())),
            city=(city["code"], city["name"], city.get("name_en", city["name"])),
            columns=columns,
            areas=areas,
            on_time=frozenset(verdicts.get("on_time", ())),
            overdue=frozenset(verdicts.get("overdue", ())),
            clean={column: re.compile(pattern) for column, pattern in table.get("clean", {}).items()},
        )
    except (KeyError, TypeError, ValueError, ZoneInfoNotFoundError, re.error) as error:
        raise ReplayError(f"{path.name}: {type(error).__name__}: {error}") from error


# --- reading ------------------------------------------------------------------------------------------------------


class _Lines:
    """Hand lines of bounded length to the CSV reader, and count those of the file, skipped ones included."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.at = 0
        self.too_long: list[int] = []

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(LINE_LIMIT_BYTES):
            self.at += 1
            if len(line) == LINE_LIMIT_BYTES and not line.endswith(b"\n"):
                while (rest := self._file.readline(LINE_LIMIT_BYTES)) and not rest.endswith(b"\n"):
                    pass
                self.too_long.append(self.at)
                continue
            # What is no UTF-8 stays recognisable, so that only its own row is refused.
            yield line.decode("utf-8-sig" if self.at == 1 else "utf-8", errors="surrogateescape")


def rows(path: Path, how: Mapping) -> Iterator[Row | Fault]:
    """Yield each request of the file, or the Fault of its line; raise ReplayError when the header does not fit."""
    with path.open("rb") as file:
        lines = _Lines(file)
        reader = csv.reader(lines)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise ReplayError(f"line 1: {error}") from error
        places = _places(header, how)
        seen = 0
        while True:
            first = lines.at + 1
            try:
                values = next(reader, None)
            except csv.Error:
                yield Fault(
                    first, "broken_quotes", f"a field from here on is longer than {csv.field_size_limit()}"
                )
                continue
            finally:
                skipped, lines.too_long = lines.too_long, []
            for line in skipped:
                yield Fault(line, "line_too_long", f"the line is longer than {LINE_LIMIT_BYTES} bytes")
            if values is None:
                return
            if not values:
                continue
            seen += 1
            if seen > ROWS_LIMIT:
                raise ReplayError(f"line {lines.at}: more than {ROWS_LIMIT} rows")
            yield _row(lines.at, values, len(header), places, how)


def _places(header: list[str], how: Mapping) -> dict[str, int]:
    names = [name.strip() for name in header]
    wanted = {**how.columns, **{f"areas.{column}": column for column in how.areas}}
    missing = sorted(set(wanted.values()) - set(names))
    if missing:
        hint = (
            "; the file is not UTF-8 text"
            if any("\udc80" <= c <= "\udcff" or c == "\0" for c in "".join(names))
            else ""
        )
        raise ReplayError(f"line 1: missing column {', '.join(missing)}{hint}")
    return {key: names.index(column) for key, column in wanted.items()}


def _row(line: int, values: list[str], width: int, places: dict[str, int], how: Mapping) -> Row | Fault:
    if len(values) != width:
        return Fault(line, "ragged_row", f"has {len(values)} fields where the header has {width}")
    if any("\udc80" <= c <= "\udcff" for value in values if not value.isascii() for c in value):
        return Fault(line, "not_utf8", "is not UTF-8")

    def value(key: str) -> str:
        if key not in places:
            return ""
        text = values[places[key]].strip()
        return "" if text in how.empty else text

    times: dict[str, datetime | None] = {}
    for key in ("opened", "target", "closed"):
        text = value(key)
        times[key] = moment = _instant(text, how) if text else None
        if text and moment is None:
            return Fault(line, "bad_date", f"{how.columns[key]} is not a date in a known form")
    number_id, opened = value("id"), times["opened"]
    if not number_id or len(number_id) > SOURCE_ID_LIMIT_CHARS:
        return Fault(line, "no_id", f"{how.columns['id']} is empty or too long")
    if opened is None:
        return Fault(line, "no_opening", f"{how.columns['opened']} is empty")
    if times["closed"] is not None and times["closed"] < opened:
        return Fault(
            line, "closed_before_opened", f"{how.columns['closed']} lies before {how.columns['opened']}"
        )
    if not value("type"):
        return Fault(line, "no_type", f"{how.columns['type']} is empty")
    try:
        lon, lat = (float(value(key)) if value(key) else None for key in ("lon", "lat"))
    except ValueError:
        return Fault(line, "bad_point", "longitude or latitude is not a number")
    if lon is None or lat is None:
        lon = lat = None
    elif not (-180 <= lon <= 180 and -90 <= lat <= 90):
        return Fault(line, "bad_point", "longitude or latitude is out of range")
    areas = []
    for column in how.areas:
        name = value(f"areas.{column}")
        if column in how.clean:
            name = how.clean[column].sub("", name)
        if not name:
            break
        areas.append(_CONTROL.sub(" ", name))
    said = value("verdict")
    photo = value("photo")
    return Row(
        line=line,
        id=number_id,
        opened=opened,
        target=times["target"],
        closed=times["closed"],
        verdict=True if said in how.on_time else False if said in how.overdue else None,
        type=_CONTROL.sub(" ", value("type")),
        theme=_CONTROL.sub(" ", value("theme")) or "Requests",
        text=_CONTROL.sub(" ", value("text"))[:TEXT_LIMIT_CHARS],
        outcome=_CONTROL.sub(" ", value("outcome"))[:TEXT_LIMIT_CHARS],
        address=_CONTROL.sub(" ", value("address"))[:ADDRESS_LIMIT_CHARS],
        lon=lon,
        lat=lat,
        approximate=lon is not None and lat is not None and (lon, lat) in how.default_points,
        photo=photo if len(photo) <= PHOTO_LIMIT_CHARS and _URL.fullmatch(photo) else "",
        areas=tuple(areas),
        number=number_of(how.source, number_id),
    )


def _instant(text: str, how: Mapping) -> datetime | None:
    for form in how.formats:
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=how.zone).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        return moment if moment >= EARLIEST else None
    return None


def survey(path: Path, how: Mapping) -> Survey:
    """Pass over the file once: count, collect areas and types, and find the newest moment that it shows as passed.

    Passed are openings and closings, and the targets of open requests that the source itself calls overdue: it
    could say so only afterwards.
    """
    found = Survey()
    for each in rows(path, how):
        found.rows += 1
        if isinstance(each, Fault):
            found.fault_count[each.reason] += 1
            if len(found.faults) < FAULTS_SHOWN:
                found.faults.append(each)
            continue
        passed = [each.opened, each.closed]
        missed = each.target if each.closed is None and each.verdict is False else None
        for moment in (*passed, missed):
            if moment is not None and moment > found.newest:
                found.newest, found.newest_line, found.newest_is_target = moment, each.line, moment is missed
        if len(found.types) < TYPES_LIMIT:
            found.types.setdefault(each.type, each.theme)
        for depth in range(len(each.areas) + 1):
            sums = found.areas.setdefault(each.areas[:depth], [0.0, 0.0, 0.0])
            if each.lon is not None and each.lat is not None and not each.approximate:
                sums[0] += each.lon
                sums[1] += each.lat
                sums[2] += 1
    return found


# --- a city of its own --------------------------------------------------------------------------------------------


def city_of(found: Survey, how: Mapping) -> loading.City:
    """Return a city made of the areas and types that a file names; raise ReplayError where there are too many."""
    code, name, name_en = how.city
    codes: dict[tuple[str, ...], str] = {(): code}
    children: Counter[str] = Counter()
    areas: list[loading.AreaRow] = []
    for path in sorted(found.areas or {(): [0.0, 0.0, 0.0]}, key=lambda path: (len(path), path)):
        lon_sum, lat_sum, points = found.areas.get(path, [0.0, 0.0, 0.0])
        centre = (round(lon_sum / points, 5), round(lat_sum / points, 5)) if points else (None, None)
        if path:
            parent = codes[path[:-1]]
            children[parent] += 1
            serial, depth = children[parent], len(path)
            if serial > AREA_LIMITS[depth - 1]:
                raise ReplayError(
                    f"more than {AREA_LIMITS[depth - 1]} areas in {parent}: map fewer area columns"
                )
            codes[path] = f"{parent[:4]}{serial:02d}" if depth == 1 else f"{parent}{serial:03d}"
        own = path[-1] if path else name
        areas.append(
            loading.AreaRow(
                code=codes[path],
                level=len(path) + 1,
                name=own,
                name_en=own if path else name_en,
                kind=AREA_KINDS[len(path) - 1] if path else "",
                parent=codes[path[:-1]] if path else None,
                focus="",
                lon=centre[0],
                lat=centre[1],
                origin=how.source,
            )
        )
    policy = _policy(found, how)
    organisations, teams = loading.establish(areas, {"service": SERVICE})
    return loading.City(code=code, policy=policy, areas=areas, organisations=organisations, teams=teams)


def _policy(found: Survey, how: Mapping) -> dict[str, str]:
    """Return the policy files of such a city: its own types, the shipped limits, no holidays of ours."""
    themes = {name: f"{serial:02d}" for serial, name in enumerate(sorted(set(found.types.values()))[:98], 1)}
    themes.setdefault("Other", "99")
    types = [
        (f"{serial:04d}", name, name, themes.get(theme, "99"))
        for serial, (name, theme) in enumerate(sorted(found.types.items()), 1)
    ]
    types.append((OTHER_TYPE, "其他", "Other", "99"))
    # Only what every policy must have: the other files speak of the shipped types.
    shipped = {name: text for name, text in loading.policy_files().items() if name in policies.FILES}
    limits = re.sub(r'^zone = ".*"', f'zone = "{how.zone.key}"', shipped["limits.toml"], flags=re.MULTILINE)
    limits = re.sub(r'^fallback = ".*"', f'fallback = "{OTHER_TYPE}"', limits, flags=re.MULTILINE)
    head = (
        *("code", "name", "name_en", "theme", "lead", "assist", "severity", "mode"),
        *("accept", "arrive", "dispose", "verify", "basis", "keywords"),
    )
    service = _table(["trade", "name", "name_en", "level"], [("service", *SERVICE)])
    return shipped | {
        "event_types.csv": _table(
            head,
            (
                (code, name, english, theme, "service", "", "4", "joint", "1wd", "", "10wd", "3wd", "P", "")
                for code, name, english, theme in types
            ),
        ),
        "themes.csv": _table(
            ["code", "name", "name_en"], ((code, name, name) for name, code in themes.items())
        ),
        # The shipped limits name shipped trades, so those stay known; only this one has teams.
        "trades.csv": shipped["trades.csv"].rstrip("\n") + "\n" + service.split("\n", 1)[1],
        "calendar.csv": _table(["date", "kind", "name"], ()),
        "limits.toml": limits,
    }


def _table(head: Sequence[str], lines: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return text.getvalue()


# --- sending ------------------------------------------------------------------------------------------------------


class Replay:
    """Send a file through the stream and see what the database made of it."""

    def __init__(self, path: Path, how: Mapping, where: Servers, out: TextIO) -> None:
        self._path = path
        self._how = how
        self._out = out
        self._stream = intake.connect(where.redis_url)
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
        for sent, (moment, kind, each) in enumerate(script, 1):
            due = began + (moment - script[0][0]).total_seconds() / speed
            while (rest := due - time.monotonic()) > 0:
                self._say(f"sent {sent} of {len(script)}, now at {moment:%Y-%m-%d %H:%M}")
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
        while not intake.settled(self._stream, last):
            if (now_waiting := intake.lag(self._stream)) != waiting:
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
        said = cast("bytes | None", self._stream.get(f"{intake.RECEIVED}{row.number}"))
        why = (
            json.loads(said)
            if said
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
            print(words, file=self._out, flush=True)


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
def _dispatching(where: Servers, out: TextIO) -> Iterator[None]:
    """Make sure that a dispatcher works: one that is alive, else one of our own for as long as this lasts."""
    stream = intake.connect(where.redis_url)
    if living := intake.living(stream):
        print(f"dispatchers at work: {', '.join(sorted(living))}", file=out)
        yield
        return
    print("no dispatcher is running: one works inside this command while it lasts", file=out)
    dispatcher = intake.Dispatcher(where, name=None)
    thread = threading.Thread(target=dispatcher.run, name="dispatcher", daemon=True)
    thread.start()
    try:
        yield
    finally:
        dispatcher.stop()
        thread.join(STALLED_S)


# --- the command --------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch replay` takes."""
    parser.add_argument("file", type=Path, help="CSV file of a city's service requests, UTF-8")
    parser.add_argument(
        "--map", required=True, help="mapping in config/replay, such as boston311, or a .toml file"
    )
    parser.add_argument(
        "--new-city", action="store_true", help="build the city from the file, in an empty database"
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--speed", type=float, help="send in the file's own time, this many times as fast")
    pace.add_argument("--fast", action="store_true", help="send at once, in the order of the file (default)")
    parser.add_argument(
        "--as-of", type=datetime.fromisoformat, metavar="TIME", help="judge open requests as of this"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the report as one JSON object, all else to stderr"
    )


def run(args: argparse.Namespace) -> int:
    """Replay a file and print the report; return 1 when it could not be done, else 0."""
    try:
        if args.speed is not None and not 0 < args.speed < float("inf"):
            raise ReplayError("--speed: expected a number above 0")
        return _run(args, sys.stderr)
    except (ReplayError, loading.CityError, servers.ServersError, OSError) as error:
        print(f"{args.file}: {error}", file=sys.stderr)
    except psycopg.Error as error:
        print(f"the database does not answer: {type(error).__name__}", file=sys.stderr)
    except redis.RedisError as error:
        print(f"the stream does not answer: {type(error).__name__}", file=sys.stderr)
    if args.json:
        print(json.dumps(Report().object()))
    return 1


def _run(args: argparse.Namespace, out: TextIO) -> int:
    how = mapping(args.map)
    found = survey(args.file, how)
    as_of = args.as_of or (found.newest + AS_OF_STEP if found.newest_is_target else found.newest)
    if as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=how.zone)
    where = servers.addresses()
    if not servers.alive(where):
        print("the servers are not running: starting them for this command", file=out)
        where = servers.start()
    if args.new_city:
        migrate.upgrade(where.database_url)
        if loading.is_empty(where.database_url):
            counts = loading.store(where.database_url, city_of(found, how))
            print(f"new city {how.city[2]}: {counts['area']} areas, {counts['category']} types", file=out)
        else:
            _require_same_city(where, how)
            print(f"{how.city[2]} is in this database already and is used as it is", file=out)
    with _dispatching(where, out):
        replay = Replay(args.file, how, where, out)
        report = replay.run(found, as_of, args.speed)
    with psycopg.connect(psycopg_dsn(where.database_url)) as connection:
        # Its page need not wait for the job that does this.
        while figures.follow_replayed(connection):
            connection.commit()
        figures.judge_replayed(connection, how.source, as_of)
    _print(replay, found, as_of, how, out if args.json else sys.stdout, given=args.as_of is not None)
    if args.json:
        print(json.dumps(report.object()))
    return 0


def _require_same_city(where: Servers, how: Mapping) -> None:
    with psycopg.connect(psycopg_dsn(where.database_url), connect_timeout=5) as connection:
        row = connection.execute("SELECT code, name FROM area WHERE parent IS NULL ORDER BY code").fetchone()
    if row is None or row[0] != how.city[0]:
        held = "nothing" if row is None else f"{row[1]} ({row[0]})"
        raise ReplayError(f"--new-city needs an empty database; this one holds {held}")


def _print(replay: Replay, found: Survey, as_of: datetime, how: Mapping, out: TextIO, *, given: bool) -> None:
    local = as_of.astimezone(how.zone)
    if given:
        why = "as given"
    elif found.newest_is_target:
        why = f"line {found.newest_line}: the newest target that the source itself calls missed, and a second"
    else:
        why = f"line {found.newest_line}: the newest time in the file that has passed"
    print(f"open requests judged as of {local:%Y-%m-%d %H:%M:%S %Z} ({why})", file=out)
    for name, count in replay.report.object().items():
        print(f"  {name.replace('_', ' '):<16}{count:>9}", file=out)
    for reason, count in replay.reasons.most_common():
        print(f"  refused: {reason} {count}", file=out)
    for fault in sorted(replay.faults, key=lambda fault: fault.line):
        print(f"  line {fault.line}: {fault.reason}: {fault.sentence}", file=out)

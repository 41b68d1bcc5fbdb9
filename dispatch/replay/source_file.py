"""Read a city's own past requests from a CSV file, and make a city of the areas and types that it names."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dispatch.intake.messages import (
    ADDRESS_LIMIT_CHARS,
    EARLIEST,
    PHOTO_LIMIT_CHARS,
    SOURCE_ID_LIMIT_CHARS,
    TEXT_LIMIT_CHARS,
    number_of,
)
from dispatch.rules.measures import assessment
from dispatch.rules.policy import policy as policies
from models.cities import loading

MAPPINGS: Final = Path(__file__).resolve().parents[2] / "config" / "replay"
LINE_LIMIT_BYTES: Final = 1_000_000
ROWS_LIMIT: Final = 5_000_000
FAULTS_SHOWN: Final = 200
TYPES_LIMIT: Final = 9_000
AREA_LIMITS: Final = (99, 999, 999)  # counties of a city, towns of a county, villages of a town
AREA_KINDS: Final = ("", "street", "community")
OTHER_TYPE: Final = "9999"
SERVICE: Final = (
    "服务队",
    "service team",
    "city",
)  # the one team of a city built from a file: name and level

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_URL = re.compile(r"https?://[^\s/]\S*")


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
    word = value("verdict")
    photo = value("photo")
    return Row(
        line=line,
        id=number_id,
        opened=opened,
        target=times["target"],
        closed=times["closed"],
        verdict=True if word in how.on_time else False if word in how.overdue else None,
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
    # What every policy must have, and by what the city's figures are judged; the other files speak of shipped types.
    wanted = {*policies.FILES, assessment.FILE}
    shipped = {name: text for name, text in loading.policy_files().items() if name in wanted}
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

"""Puts a whole city into an empty database in one transaction, and counts what is there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from dispatch.rules.areas import Level, contains
from dispatch.rules.policy import policy as rules
from dispatch.rules.time.calendar import FIRST_DAY
from models.servers.database import psycopg_dsn

CONFIG = Path(__file__).resolve().parents[2] / "config"
POLICY_DIR = CONFIG / "policy"
PROBLEMS_SHOWN = 50
LOCK_TIMEOUT = "30s"

# How many incidents a team holds at once where nobody says otherwise, by the level its trade is kept at.
CAPACITY = {"village": 6, "town": 5, "county": 10, "city": 20}
CAPACITY_LIMIT = 1_000
# Numbers of organisations and teams read as <area's number><trade's two digits>; 00 is the centre or station.
TRADES_LIMIT = 99
_FIRST_NUMBER = {Level.CITY: 1, Level.COUNTY: 10, Level.TOWN: 100, Level.VILLAGE: 1_000}
_LAST_NUMBER = {Level.CITY: 1, Level.COUNTY: 99, Level.TOWN: 999, Level.VILLAGE: 99_999}
_TRADE_LEVELS = {Level.CITY: "city", Level.COUNTY: "county", Level.TOWN: "town", Level.VILLAGE: "village"}


class Problem(NamedTuple):
    """One thing wrong with a file: where, and why, in words for whoever edits it."""

    file: str
    where: str  # "line 17", "feature 3", or "" for the whole file
    field: str
    reason: str

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.file, self.where, self.field) if part)
        return f"{place}: {self.reason}"


class CityError(ValueError):
    """A city cannot be loaded; nothing of it was. Lists every problem found, up to `PROBLEMS_SHOWN` in its text."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        if isinstance(problems, str):
            self.problems: tuple[Problem, ...] = ()
            super().__init__(problems)
            return
        self.problems = tuple(problems)
        lines = [str(each) for each in self.problems[:PROBLEMS_SHOWN]]
        if len(self.problems) > PROBLEMS_SHOWN:
            lines.append(f"… and {len(self.problems) - PROBLEMS_SHOWN} more")
        super().__init__("\n".join(lines))


class AreaRow(NamedTuple):
    """A row of `area`; parents come before their children."""

    code: str
    level: int
    name: str
    name_en: str | None
    kind: str
    parent: str | None
    focus: str
    lon: float | None
    lat: float | None
    origin: str


class ShapeRow(NamedTuple):
    """A row of `area_shape`: WKB in WGS84."""

    code: str
    wkb: bytes
    schematic: bool


class OrganisationRow(NamedTuple):
    """A row of `organisation`."""

    id: int
    name: str
    name_en: str
    kind: str
    area_code: str


class TeamRow(NamedTuple):
    """A row of `team`, available and without load."""

    id: int
    organisation_id: int
    name: str
    name_en: str
    trade: str
    area_code: str
    capacity: int
    lon: float | None
    lat: float | None


class PersonRow(NamedTuple):
    """A row of `person`."""

    id: int
    name: str
    phone_masked: str
    organisation_id: int | None
    invented: bool


class DutyRow(NamedTuple):
    """A row of `duty`; `themes` is an array as PostgreSQL writes it."""

    id: int
    person_id: int
    role: str
    kind: str
    area_code: str
    team_id: int | None
    themes: str
    since: date


@dataclass
class City:
    """Hold everything a city is loaded with."""

    code: str
    policy: Mapping[str, str]
    areas: list[AreaRow] = field(default_factory=list)
    shapes: list[ShapeRow] = field(default_factory=list)
    organisations: list[OrganisationRow] = field(default_factory=list)
    teams: list[TeamRow] = field(default_factory=list)
    people: list[PersonRow] = field(default_factory=list)
    duties: list[DutyRow] = field(default_factory=list)
    # A key that everybody knows, for the demo city only.
    open_key: str | None = None


def policy_files(folder: Path = POLICY_DIR) -> dict[str, str]:
    """Return the policy files of a folder as file name -> text; raise CityError where one cannot be read."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in (".csv", ".toml"):
            try:
                files[path.name] = path.read_text(encoding="utf-8-sig")
            except UnicodeDecodeError as fault:
                raise CityError([Problem(path.name, "", "", f"is not UTF-8 ({fault.reason})")]) from fault
    return files


def in_zone(files: Mapping[str, str], zone: str | None) -> dict[str, str]:
    """Return policy files whose calendar is of a city's own time zone; None leaves that of the files."""
    if zone is None:
        return dict(files)
    limits = re.sub(r"^zone = .*", f'zone = "{zone}"', files["limits.toml"], count=1, flags=re.MULTILINE)
    return {**files, "limits.toml": limits}


def parsed_policy(files: Mapping[str, str]) -> rules.Policy:
    """Return the first policy version that the files make; raise CityError with the file, key and reason."""
    try:
        return rules.parse(1, files)
    except rules.PolicyError as fault:
        raise CityError([Problem(fault.file, fault.key, "", fault.reason)]) from fault


def digest(files: Mapping[str, str]) -> str:
    """Return the SHA-256 in hex by which two policy versions with the same files are known to be the same."""
    text = json.dumps(dict(files), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def establish(
    areas: Iterable[AreaRow], trades: Mapping[str, tuple[str, str, str]], teams: bool = True
) -> tuple[list[OrganisationRow], list[TeamRow]]:
    """Return the centre or station of each area down to the village, and with `teams` a team of each trade there.

    `trades` is slug -> (name, English name, level). Numbers depend only on the order of the areas' codes and of
    the trades. Raises CityError where a city has more areas or trades than there are numbers.
    """
    if len(trades) > TRADES_LIMIT:
        raise CityError([Problem("trades.csv", "", "trade", f"at most {TRADES_LIMIT} trades have a number")])
    number = dict(_FIRST_NUMBER)
    organisations: list[OrganisationRow] = []
    found: list[TeamRow] = []
    for area in sorted((each for each in areas if each.level <= Level.VILLAGE), key=lambda each: each.code):
        level = Level(area.level)
        if number[level] > _LAST_NUMBER[level]:
            room = _LAST_NUMBER[level] - _FIRST_NUMBER[level] + 1
            reason = f"at most {room} areas of level {level.value} have a number"
            raise CityError([Problem("areas.csv", "", "code", reason)])
        base = number[level] * 100
        number[level] += 1
        english = area.name_en or area.name
        name = {Level.VILLAGE: "网格服务站", Level.TOWN: "基层治理综合指挥中心"}.get(level, "综合指挥中心")
        name_en = "grid service station" if level is Level.VILLAGE else "command centre"
        kind = "station" if level is Level.VILLAGE else "centre"
        organisations.append(OrganisationRow(base, area.name + name, f"{english} {name_en}", kind, area.code))
        if not teams:
            continue
        for serial, (trade, (its_name, its_english, at)) in enumerate(trades.items(), 1):
            if at != _TRADE_LEVELS[level]:
                continue
            # In a village the station itself is the team's home.
            home = base
            if level is not Level.VILLAGE:
                home = base + serial
                organisations.append(
                    OrganisationRow(
                        home, area.name + its_name, f"{english} {its_english}", "department", area.code
                    )
                )
            found.append(
                TeamRow(
                    base + serial, home, area.name + its_name, f"{english} {its_english}",
                    trade, area.code, CAPACITY[at], area.lon, area.lat,
                )
            )  # fmt: skip
    return organisations, found


def has_schema(database_url: str) -> bool:
    """Tell whether a database has the tables of a city."""
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        row = connection.execute("SELECT to_regclass('area') IS NOT NULL").fetchone()
    return row is not None and bool(row[0])


def is_empty(database_url: str) -> bool:
    """Tell whether a migrated database holds no city yet."""
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        return _holds(connection) is None


def store(database_url: str, city: City) -> dict[str, int]:
    """Load a city into an empty database, all of it or nothing; return the number of rows of each table.

    Raises CityError where the database already holds a city, and for a policy that cannot be read.
    """
    policy = parsed_policy(city.policy)
    categories = [
        (each.code, each.name, each.name_en, each.theme, each.severity, each.mode)
        for each in policy.types.values()
    ]
    counts: dict[str, int] = {}
    with psycopg.connect(psycopg_dsn(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
        # Two that load at once: the second waits here, then finds the first one's city.
        cursor.execute("LOCK TABLE area IN SHARE ROW EXCLUSIVE MODE")
        _refuse_second(connection)
        cursor.execute(
            "INSERT INTO policy_version (version, valid_from, files, digest, note) VALUES (1, %s, %s, %s, %s)",
            (
                FIRST_DAY,
                json.dumps(dict(city.policy), ensure_ascii=False),
                digest(city.policy),
                "as installed",
            ),
        )
        counts["policy_version"] = 1
        counts["category"] = _copy(
            cursor, "category", ("code", "name", "name_en", "theme", "severity", "mode"), categories
        )
        tables = (
            ("area", AreaRow._fields, city.areas),
            ("organisation", OrganisationRow._fields, city.organisations),
            ("team", TeamRow._fields, city.teams),
            ("person", PersonRow._fields, city.people),
            ("duty", DutyRow._fields, city.duties),
            ("area_shape", ShapeRow._fields, city.shapes),
        )
        rebuild = _set_aside(cursor, [table for table, _, _ in tables])
        for table, columns, rows in tables:
            counts[table] = _copy(cursor, table, columns, rows)
        for statement in rebuild:
            cursor.execute(statement.encode())
        if city.open_key is not None:
            secret = hashlib.sha256(city.open_key.encode()).hexdigest()
            cursor.execute("INSERT INTO api_key (source, sha256) VALUES ('demo', %s)", (secret,))
            cursor.execute(
                "INSERT INTO wall_key (area_code, sha256, note) VALUES (%s, %s, '演示 demo')",
                (city.code, secret),
            )
        # Without figures the planner would read whole tables until the first automatic analysis; rough ones,
        # from a tenth of the usual sample, do until then.
        cursor.execute("SET LOCAL default_statistics_target = 10")
        cursor.execute("ANALYZE area, organisation, team, person, duty, area_shape, category")
    return counts


def census(database_url: str) -> dict[str, int | str | None]:
    """Count the city in a database, walking from every micro grid up to the city.

    `city` is its code, or None in an empty database. `broken_parent_chains` counts micro grids that do not reach
    the city through a small grid or village, a town and a county, each code beginning with its parent's.
    """
    with psycopg.connect(psycopg_dsn(database_url)) as connection, connection.cursor() as cursor:
        counts: dict[str, int | str | None] = {}
        cursor.execute("SELECT (SELECT code FROM area WHERE level = 1 ORDER BY code LIMIT 1)")
        counts["city"] = _only(cursor)
        cursor.execute(
            "SELECT count(*) FILTER (WHERE level = 2), count(*) FILTER (WHERE level = 3),"
            " count(*) FILTER (WHERE level = 4), count(*) FILTER (WHERE level = 5),"
            " count(*) FILTER (WHERE level = 6), count(*) FILTER (WHERE level = 6 AND kind = 'outbound') FROM area"
        )
        levels = ("counties", "towns", "middle", "small", "micro", "outbound")
        counts.update(zip(levels, cursor.fetchone() or (), strict=True))
        for kind in ("full_time", "part_time", "professional"):
            cursor.execute(
                "SELECT count(DISTINCT person_id) FROM duty WHERE kind = %s AND until IS NULL", (kind,)
            )
            counts[kind] = _only(cursor)
        cursor.execute(
            "SELECT count(DISTINCT d.area_code) FROM duty d JOIN area a ON a.code = d.area_code"
            " WHERE a.level = 6 AND d.role = 'liaison' AND d.until IS NULL"
        )
        counts["liaisons"] = _only(cursor)
        for name, table in (
            ("teams", "team"),
            ("organisations", "organisation"),
            ("people", "person"),
            ("shapes", "area_shape"),
        ):
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
            counts[name] = _only(cursor)
        cursor.execute("SELECT code, level, parent FROM area")
        counts["broken_parent_chains"] = _broken_chains(cursor.fetchall())
    return counts


def _broken_chains(rows: Iterable[tuple[str, int, str | None]]) -> int:
    above = {code: (level, parent) for code, level, parent in rows}
    sound: dict[str, bool] = {}

    def reaches_city(code: str) -> bool:
        if code not in sound:
            level, parent = above[code]
            if parent is None:
                sound[code] = level == Level.CITY
            elif parent not in above or not contains(parent, code):
                sound[code] = False
            else:
                step = level - above[parent][0]
                # A micro grid may hang on a village directly; every other level has its parent one level up.
                allowed = (1, 2) if level == Level.MICRO else (1,)
                sound[code] = step in allowed and reaches_city(parent)
        return sound[code]

    return sum(not reaches_city(code) for code, (level, _) in above.items() if level == Level.MICRO)


def refuse_second(database_url: str) -> None:
    """Raise CityError where the database already holds a city, before any work is spent on another."""
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        _refuse_second(connection)


def _refuse_second(connection: psycopg.Connection[Any]) -> None:
    held = _holds(connection)
    if held is not None:
        raise CityError(
            f"This database already holds a city ({held}). A city is loaded once, into an empty database;"
            " give an empty one or remove this one first."
        )


def _holds(connection: psycopg.Connection[Any]) -> str | None:
    row = connection.execute("SELECT code, name FROM area ORDER BY level, code LIMIT 1").fetchone()
    return None if row is None else f"{row[1]} {row[0]}"


def _only(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    return None if row is None else row[0]


def _set_aside(cursor: psycopg.Cursor[Any], tables: Sequence[str]) -> list[str]:
    """Drop the foreign keys and plain indexes of empty tables; return what brings them back, the same as before.

    Checking all rows of a key at once, and building an index at once, takes a tenth of doing it row by row.
    Readers see nothing of it: it is one transaction with the rows.
    """
    cursor.execute(
        "SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),"
        " format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))"
        " FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY(%s::regclass[]) ORDER BY conname",
        (list(tables),),
    )
    keys = cursor.fetchall()
    cursor.execute(
        "SELECT format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)"
        " FROM pg_index WHERE indrelid = ANY(%s::regclass[]) AND NOT indisunique ORDER BY indexrelid",
        (list(tables),),
    )
    indexes = cursor.fetchall()
    for drop, _ in keys + indexes:
        cursor.execute(drop.encode())
    return [create for _, create in indexes + keys]


def _copy(
    cursor: psycopg.Cursor[Any], table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> int:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
    return len(rows)

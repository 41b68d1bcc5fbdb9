"""Read who and what is where: areas and their outlines, teams, event types, the policy in force."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

import psycopg
from psycopg.rows import class_row

from dashboard.data.submits import Submits
from dispatch.record.policies import Policies, PolicyCache
from dispatch.rules.areas import prefix_of
from dispatch.rules.policy.bursts import Bursts
from dispatch.rules.policy.escalation import Ladder
from dispatch.rules.policy.policy import Policy
from dispatch.rules.time.calendar import Calendar

# The live picture reads the directory anew every minute, beside the pages: none of them waits for it.
DIRECTORY_KEPT_S = 90.0


@dataclass(frozen=True, slots=True)
class Area:
    """One area of the city; a place without a position has no `lon` and `lat` (degrees, WGS84)."""

    code: str
    level: int
    name: str
    name_en: str | None
    parent: str | None
    kind: str
    lon: float | None
    lat: float | None


@dataclass(frozen=True, slots=True)
class Team:
    """A team that can be sent, with how many incidents it holds now."""

    id: int
    name: str
    name_en: str
    trade: str
    area_code: str
    capacity: int
    load: int
    state: str


@dataclass(frozen=True, slots=True)
class Type:
    """An event type's names and its area of work (01..10); one that the policy in force lacks may not be reported."""

    code: str
    name: str
    name_en: str
    theme: str
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """Who and what is where: changes rarely, so screens read it once a minute."""

    areas: dict[str, Area]
    teams: dict[int, Team]
    types: dict[str, Type]
    themes: dict[str, tuple[str, str]]
    # Grid workers on the roster today: (area code, kind) -> people.
    workers: dict[tuple[str, str], int]
    schematic: bool
    calendar: Calendar
    # Minutes of a whistle: to its answer, to its report-in, and until it goes up by itself after that.
    whistle_minutes: tuple[int, int, int]
    ladder: Ladder
    # Names of the people who act, by login.
    people: dict[str, str] = field(default_factory=dict)
    trades: dict[str, tuple[str, str]] = field(default_factory=dict)
    bursts: Bursts | None = None

    @property
    def zone(self) -> str:
        """Return the name of the city's own time zone."""
        return self.calendar.zone


class DirectoryReads(Submits):
    """Read who and what is where. Every method raises `psycopg.Error` when the database does."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self._policies = PolicyCache()
        self._areas: tuple[tuple[int, int], dict[str, Area]] | None = None
        self._directory: tuple[float, Directory] | None = None
        self._reading = Lock()

    def known(self) -> Directory:
        """Return the directory as it was read at most `DIRECTORY_KEPT_S` ago, by whomever."""
        with self._reading:
            kept = self._directory
            if kept is not None and time.monotonic() - kept[0] < DIRECTORY_KEPT_S:
                return kept[1]
            return self.directory()

    def directory(self) -> Directory:
        """Read areas, teams, types, areas of work and the roster's head counts anew."""
        begun = time.monotonic()
        with self.look() as connection:
            by_code = self._by_code(connection)
            teams = connection.cursor(row_factory=class_row(Team)).execute(
                "select id, name, name_en, trade, area_code, capacity, load, state from team"
            )
            by_id = {team.id: team for team in teams}
            types = connection.cursor(row_factory=class_row(Type)).execute(
                "select code, name, name_en, theme, retired from category"
            )
            by_type = {each.code: each for each in types}
            workers = connection.execute(
                "select area_code, kind, count(distinct person_id) from duty"
                " where kind <> '' and since <= current_date and (until is null or until >= current_date)"
                " group by 1, 2"
            ).fetchall()
            schematic = connection.execute(
                "select exists (select from area_shape where schematic)"
            ).fetchone()
            people = connection.execute(
                "select login, name from account where name <> '' and role <> 'resident'"
            ).fetchall()
            policy = self._law(connection)
        heads = {(area, kind): n for area, kind, n in workers}
        outlined = bool(schematic and schematic[0])
        trades = {trade: (name, name_en) for trade, (name, name_en, _) in policy.trades.items()}
        found = Directory(
            by_code, by_id, by_type, dict(policy.themes), heads, outlined, policy.calendar,
            _whistle_minutes(policy), policy.ladder, dict(people), trades, policy.bursts,
        )  # fmt: skip
        self._directory = begun, found
        return found

    def _by_code(self, connection: psycopg.Connection) -> dict[str, Area]:
        """Return code -> area. They are many and hardly ever change: they are read again only where they have."""
        # Whatever is written has its own transaction, and what is deleted is missing in the sum.
        row = connection.execute("select count(*), coalesce(sum(xmin::text::bigint), 0) from area").fetchone()
        assert row is not None
        state = int(row[0]), int(row[1])
        kept = self._areas
        if kept is None or kept[0] != state:
            rows = connection.cursor(row_factory=class_row(Area)).execute(
                "select code, level, name, name_en, parent, kind, lon, lat from area order by code"
            )
            kept = self._areas = state, {area.code: area for area in rows}
        return kept[1]

    def shapes(self, area_code: str, level: int) -> list[tuple[Area, bytes]]:
        """Return the areas of one level inside an area with their outlines as WKB, ordered by code."""
        with self.look() as connection:
            rows = connection.execute(
                "select a.code, a.level, a.name, a.name_en, a.parent, a.kind, a.lon, a.lat, s.wkb"
                " from area a join area_shape s on s.code = a.code"
                " where a.level = %s and a.code like %s order by a.code",
                (level, prefix_of(area_code) + "%"),
            ).fetchall()
        return [(Area(*row[:8]), bytes(row[8])) for row in rows]

    def wall_keys(self) -> dict[str, str]:
        """Return the SHA-256 (hex) of every wall key in force -> the area it opens."""
        with self.look() as connection:
            rows = connection.execute(
                "select sha256, area_code from wall_key where revoked_at is null"
            ).fetchall()
        return dict(rows)

    def policy(self) -> Policy:
        """Return the policy in force."""
        with self.look() as connection:
            return self._law(connection)

    def _law(self, connection: psycopg.Connection) -> Policy:
        return Policies(connection.cursor(), self._policies).in_force(datetime.now(UTC))


def _whistle_minutes(policy: Policy) -> tuple[int, int, int]:
    """Return the limits of a whistle in minutes: its answer, its report-in, and when it goes up after that."""
    answer, report_in = (policy.calendar.seconds(limit) // 60 for limit in (policy.answer, policy.report_in))
    rung = policy.ladder.whistle
    return answer, report_in, report_in + (report_in // 2 if rung is None else rung.after_min)

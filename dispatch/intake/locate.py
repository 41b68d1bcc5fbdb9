"""Find the area that a report belongs to: by its point, by an area's code, or by the words of its address."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psycopg
import shapely

from dispatch.intake.messages import ReportMessage
from dispatch.intake.problems import Problem, problem
from dispatch.rules.areas import ancestors, contains, level_of, parent_of

Floats = npt.NDArray[np.float64]

# Five decimals of a degree are about a metre: what agrees in them is the same point.
SAME_POINT_DECIMALS: Final = 5
# Centres of villages and smaller cells are real places; those of larger areas only stand for "somewhere in there".
CENTRE_LEVEL: Final = 3
DEFAULT_POINTS: Final = Path(__file__).resolve().parents[2] / "config" / "default_points.csv"
DEFAULT_POINTS_LIMIT: Final = 10_000
NAME_MINIMUM_CHARS: Final = 2
GCJ02_ROUNDS: Final = 3  # each shrinks the error about a thousandfold; two already reach a centimetre


# Not frozen: setting four frozen fields takes longer than finding the place.
@dataclass(slots=True)
class Place:
    """Say where a report lies: area code, WGS84 degrees or None, and how it was located.

    `located` is point, code, address or default; a default or centre point gives no degrees of its own.
    """

    area_code: str
    lon: float | None
    lat: float | None
    located: str


@dataclass(frozen=True, slots=True)
class AreaRow:
    """Hold what the locator needs of one area; `wkb` is its outline in WGS84, or None."""

    code: str
    name: str
    name_en: str | None
    lon: float | None
    lat: float | None
    wkb: bytes | None


class Locator:
    """Locate batches of reports in one snapshot of the area tree; never changes, so threads may share it."""

    def __init__(self, areas: Iterable[AreaRow], default_points: Iterable[tuple[float, float]] = ()) -> None:
        rows = list(areas)
        self._codes = frozenset(row.code for row in rows)
        with_outlines = any(row.wkb is not None for row in rows)
        known = set(default_points)
        for row in rows:
            # Without outlines the centres are only means of what was reported: no source sends them as a default.
            if (
                with_outlines
                and row.lon is not None
                and row.lat is not None
                and level_of(row.code) <= CENTRE_LEVEL
            ):
                known.add((row.lon, row.lat))
        pairs = np.array(sorted(known), dtype=np.float64).reshape(-1, 2)
        self._defaults = _packed(pairs[:, 0], pairs[:, 1])
        shaped = [row for row in rows if row.wkb is not None]
        above = {up for row in shaped for up in ancestors(row.code)[1:]}
        self._leaves = _Outlines([row for row in shaped if row.code not in above])
        # Cells seldom cover their parent without a gap: what falls between them belongs to the parent.
        self._parents = _Outlines([row for row in shaped if row.code in above])
        self._names = _Names(rows)

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def has_outlines(self) -> bool:
        """Tell whether any area has an outline: without one, a point alone locates nothing."""
        return bool(self._leaves.codes or self._parents.codes)

    def locate(self, messages: Sequence[ReportMessage]) -> list[Place | Problem]:
        """Return for each message its place, or the Problem outside_city, unknown_area or …_address."""
        pointed = [each for each in messages if each.lon is not None]
        lon = np.array([each.lon for each in pointed], dtype=np.float64)
        lat = np.array([each.lat for each in pointed], dtype=np.float64)
        if shifted := [i for i, each in enumerate(pointed) if each.datum == "gcj02"]:
            lon[shifted], lat[shifted] = wgs84_of_gcj02(lon[shifted], lat[shifted])
        vague = np.isin(_packed(lon, lat), self._defaults).tolist()
        points = zip(lon.tolist(), lat.tolist(), self.areas_of(lon, lat), vague, strict=True)
        found: list[Place | Problem] = []
        for message in messages:
            if message.lon is None:
                found.append(self._of_words(message))
                continue
            x, y, hit, is_default = next(points)
            if hit is not None and message.area is None and not is_default and not message.approximate:
                found.append(Place(hit, x, y, "point"))
            else:
                found.append(self._of_point(message, x, y, hit, is_default or message.approximate))
        return found

    def areas_of(self, lon: Floats, lat: Floats) -> list[str | None]:
        """Return for each WGS84 point (two arrays of the same length) the code of the deepest area around it.

        A point on a border belongs to the lower code; None stands for a point in no outline.
        """
        if len(lon) == 0:
            return []
        hits = self._leaves.hits(lon, lat)
        missed = np.flatnonzero(hits < 0)
        codes: list[str | None] = [self._leaves.codes[hit] if hit >= 0 else None for hit in hits.tolist()]
        if len(missed):
            for i, hit in zip(
                missed.tolist(), self._parents.hits(lon[missed], lat[missed]).tolist(), strict=True
            ):
                if hit >= 0:
                    codes[i] = self._parents.codes[hit]
        return codes

    def _of_point(
        self, message: ReportMessage, lon: float, lat: float, hit: str | None, vague: bool
    ) -> Place | Problem:
        if vague:
            if message.area is not None or message.address:
                by_words = self._of_words(message)
                if isinstance(by_words, Place) or hit is None:
                    return by_words
            return Place(hit, None, None, "default") if hit is not None else problem("lon", "outside_city")
        if message.area is not None:
            if message.area not in self._codes:
                return problem("area", "unknown_area")
            # The sender may know the cell where the outlines know only the town, never the other way round.
            if contains(hit, message.area) if hit is not None else not self.has_outlines:
                hit = message.area
        if hit is None and not self.has_outlines and message.address:
            by_words = self._of_words(message)
            if isinstance(by_words, Problem):
                return by_words
            hit = by_words.area_code
        return Place(hit, lon, lat, "point") if hit is not None else problem("lon", "outside_city")

    def _of_words(self, message: ReportMessage) -> Place | Problem:
        code = message.area
        if code is None:
            found = self._names.find(message.address)
            return found if isinstance(found, Problem) else Place(found, None, None, "address")
        if code not in self._codes:
            return problem("area", "unknown_area")
        # The city's own code says no more than "somewhere here".
        return Place(code, None, None, "default" if parent_of(code) is None else "code")


class _Outlines:
    """Answer which of many outlines holds each of many points."""

    def __init__(self, rows: Sequence[AreaRow]) -> None:
        # In this order the highest index is the deepest area, and among equals the lowest code.
        ordered = sorted(rows, key=lambda row: row.code, reverse=True)
        ordered.sort(key=lambda row: level_of(row.code))
        self.codes = [row.code for row in ordered]
        self._shapes = shapely.from_wkb(np.array([row.wkb for row in ordered], dtype=object))
        shapely.prepare(self._shapes)
        self._tree = shapely.STRtree(self._shapes)

    def hits(self, lon: Floats, lat: Floats) -> npt.NDArray[np.int64]:
        """Return for each point the index of its outline in `codes`, or -1."""
        best = np.full(len(lon), -1, dtype=np.int64)
        if self.codes:
            # Boxes from the tree, then prepared outlines on bare numbers: half the time of the tree's predicate.
            point, shape = self._tree.query(shapely.points(lon, lat))
            inside = shapely.intersects_xy(self._shapes[shape], lon[point], lat[point])
            np.maximum.at(best, point[inside], shape[inside])
        return best


class _Names:
    """Find the village or town whose name stands in an address line."""

    def __init__(self, rows: Sequence[AreaRow]) -> None:
        # By its first two characters, so that an address is walked once however many names there are.
        self._index: dict[str, list[tuple[str, str]]] = {}
        seen: set[tuple[str, str]] = set()
        for row in rows:
            if len(row.code) > 12:
                continue
            for name in _spellings(row):
                if len(name) >= NAME_MINIMUM_CHARS and (name, row.code) not in seen:
                    seen.add((name, row.code))
                    self._index.setdefault(name[:2], []).append((name, row.code))

    def find(self, address: str) -> str | Problem:
        """Return the code of the village, else of the town, that the address names best."""
        line = address.casefold()
        named: dict[str, int] = {}
        for at in range(len(line) - 1):
            for name, code in self._index.get(line[at : at + 2], ()):
                if line.startswith(name, at) and len(name) > named.get(code, 0):
                    named[code] = len(name)
        scores: dict[str, int] = {}
        for code in named:
            if len(code) >= 9:
                scores[code] = sum(named.get(each, 0) for each in ancestors(code))
        if not scores:
            return problem("address", "unknown_address")
        best = max(scores.values())
        winners = sorted(code for code, score in scores.items() if score == best)
        if len(winners) > 1:
            # A town and a village of the same name, one inside the other: the town is certain, the village is not.
            if all(contains(winners[0], each) for each in winners):
                return winners[0]
            return problem("address", "ambiguous_address")
        return winners[0]


_SUFFIX = re.compile(
    r"(?:社区居民委员会|居民委员会|村民委员会|社区居委会|社区|居委会|村委会|街道办事处|街道)$"
)


def _spellings(row: AreaRow) -> Iterator[str]:
    yield row.name.casefold()
    if (short := _SUFFIX.sub("", row.name)) != row.name:
        yield short.casefold()
    if row.name_en:
        yield row.name_en.casefold()


def _packed(lon: Floats, lat: Floats) -> npt.NDArray[np.int64]:
    """Return one number for each point, equal for points that agree to `SAME_POINT_DECIMALS`."""
    scale = 10**SAME_POINT_DECIMALS
    x, y = np.rint((lon + 180) * scale).astype(np.int64), np.rint((lat + 90) * scale).astype(np.int64)
    return np.asarray(x * (181 * scale) + y)


# --- reading the tree ---------------------------------------------------------------------------------------------


def load(connection: psycopg.Connection[Any], default_points: Iterable[tuple[float, float]] = ()) -> Locator:
    """Read areas and outlines (about 0.3 s for 20,000) and return their Locator."""
    rows = connection.execute(
        "SELECT a.code, a.name, a.name_en, a.lon, a.lat, s.wkb FROM area a LEFT JOIN area_shape s USING (code)"
    ).fetchall()
    return Locator((AreaRow(*row) for row in rows), default_points)


def fingerprint(connection: psycopg.Connection[Any]) -> tuple[int, ...]:
    """Return numbers that change whenever an area or an outline does; takes a few milliseconds.

    Every insert and update gives its row the id of its transaction, and every deletion lowers a count.
    """
    rows = connection.execute(
        "SELECT count(*), coalesce(sum(xmin::text::bigint), 0), 0 FROM area"
        " UNION ALL SELECT count(*), coalesce(sum(xmin::text::bigint), 0), 1 FROM area_shape ORDER BY 3"
    ).fetchall()
    return tuple(int(each) for row in rows for each in row)


def default_points(path: Path = DEFAULT_POINTS) -> list[tuple[float, float]]:
    """Read the points (columns lon, lat; WGS84) that sources send where they know none; a missing file has none.

    Raises ValueError naming file and line.
    """
    if not path.exists():
        return []
    points = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                points.append((float(row["lon"]), float(row["lat"])))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}: line {line}: expected lon and lat in degrees") from error
            if len(points) > DEFAULT_POINTS_LIMIT:
                raise ValueError(f"{path}: more than {DEFAULT_POINTS_LIMIT} points")
    return points


# --- GCJ-02 -------------------------------------------------------------------------------------------------------

# Axis (m) and squared eccentricity of the Krasovsky 1940 ellipsoid, on which the published formula is built.
_AXIS_M = 6_378_245.0
_ECCENTRICITY_2 = 0.00669342162296594323


def wgs84_of_gcj02(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return WGS84 degrees of GCJ-02 degrees, two arrays of the same length, to about a centimetre.

    Turns the known forward formula around by iteration. That formula was never published officially; this is
    the form known as EvilTransform (googollee/eviltransform).
    """
    x, y = lon, lat
    for _ in range(GCJ02_ROUNDS):
        dx, dy = _gcj02_shift(x, y)
        x, y = lon - dx, lat - dy
    return x, y


def _gcj02_shift(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    x, y = lon - 105.0, lat - 35.0
    pi = math.pi
    root = np.sqrt(np.abs(x))
    common = (20.0 * np.sin(6.0 * x * pi) + 20.0 * np.sin(2.0 * x * pi)) * 2.0 / 3.0
    dy = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + common
    dy += (20.0 * np.sin(y * pi) + 40.0 * np.sin(y / 3.0 * pi)) * 2.0 / 3.0
    dy += (160.0 * np.sin(y / 12.0 * pi) + 320.0 * np.sin(y * pi / 30.0)) * 2.0 / 3.0
    dx = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + common
    dx += (20.0 * np.sin(x * pi) + 40.0 * np.sin(x / 3.0 * pi)) * 2.0 / 3.0
    dx += (150.0 * np.sin(x / 12.0 * pi) + 300.0 * np.sin(x / 30.0 * pi)) * 2.0 / 3.0
    radians = np.radians(lat)
    magic = 1.0 - _ECCENTRICITY_2 * np.sin(radians) ** 2
    dy = dy * 180.0 / (_AXIS_M * (1.0 - _ECCENTRICITY_2) / (magic * np.sqrt(magic)) * pi)
    dx = dx * 180.0 / (_AXIS_M / np.sqrt(magic) * np.cos(radians) * pi)
    return dx, dy

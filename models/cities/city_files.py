"""Reads any city from a folder of files, finding everything that is wrong with them before anything is loaded.

`areas.csv` (UTF-8) has a row for each area: `code,name,kind,lon,lat` and, if wanted, `name_en,level,parent,focus,
origin`. Beside it may lie `*.geojson` (outlines in WGS84 with a property `code`), `city.toml` (`code`, `name`,
`name_en`, `timezone`) and `teams.csv` (`name,trade,area` and, if wanted, `name_en,capacity,lon,lat`). Without
`teams.csv` every trade of the policy gets one team in each area of its level.
"""

from __future__ import annotations

import csv
import io
import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dispatch.rules.areas import Level, ancestors, level_of, parent_of
from models.cities.loading import (
    CAPACITY,
    CAPACITY_LIMIT,
    AreaRow,
    City,
    CityError,
    Problem,
    ShapeRow,
    TeamRow,
    establish,
    in_zone,
    parsed_policy,
    policy_files,
)
from models.tables.city import MICRO_KINDS

TABLE_LIMIT_BYTES = 64_000_000
OUTLINES_LIMIT_BYTES = 512_000_000
SETTINGS_LIMIT_BYTES = 1_000_000
AREAS_LIMIT = 500_000
NAME_LIMIT = 200
# After this many the reader stops looking: the file as a whole is something else than expected.
PROBLEMS_LIMIT = 1_000

_KINDS: Mapping[Level, tuple[str, ...]] = {
    Level.CITY: ("",),
    Level.COUNTY: ("",),
    Level.TOWN: ("street", "town", ""),
    Level.VILLAGE: ("community", "rural", "park"),
    Level.SMALL: ("",),
    Level.MICRO: MICRO_KINDS,
}
_FOCUSES = ("urban", "rural", "fringe", "rental")
_USUAL_FOCUS = {"community": "urban", "rural": "rural", "park": "fringe"}
_LEVEL_WORDS = {
    Level.CITY: "city", Level.COUNTY: "county", Level.TOWN: "town", Level.VILLAGE: "village",
    Level.SMALL: "small grid", Level.MICRO: "micro grid",
}  # fmt: skip


class _Stop(Exception):
    """Too much is wrong to go on, or what follows needs what is missing."""


def read_city(folder: Path) -> City:
    """Return the city that a folder's files describe; raise CityError with every problem found in them.

    Every problem names its file, line (or feature), field and reason.
    """
    return _Reader(folder).read()


class _Reader:
    """Reads one folder and keeps the problems found on the way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.lines: dict[str, int] = {}
        self.areas: dict[str, AreaRow] = {}

    def read(self) -> City:
        """Return the city, or raise CityError."""
        city: City | None = None
        with suppress(_Stop):
            city = self._city()
        if self.problems or city is None:
            raise CityError(self.problems)
        return city

    def _city(self) -> City:
        if not self.folder.is_dir():
            self._stop(str(self.folder), "", "", "is not a folder")
        policy = policy_files()
        trades = parsed_policy(policy).trades
        settings = self._settings()
        self._read_areas(settings)
        roots = [each for each in self.areas.values() if each.level == Level.CITY]
        for extra in roots[1:]:
            self._note(
                "areas.csv", self._line(extra.code), "code", f"a second city; {roots[0].code} is one already"
            )
        if not roots:
            self._note(
                "areas.csv", "", "code", "no city: expected one row whose code has six digits and ends in 00"
            )
        self._check_tree()
        shapes = self._outlines()
        table = self.folder / "teams.csv"
        teams = self._teams(table, trades) if table.exists() else None
        if self.problems:
            raise _Stop
        self._place(shapes)
        city = City(roots[0].code, in_zone(policy, settings.get("timezone")), shapes=shapes)
        city.areas = sorted(self.areas.values(), key=lambda each: (each.level, each.code))
        city.organisations, city.teams = establish(city.areas, trades, teams=teams is None)
        if teams is not None:
            homes = {each.area_code: each.id for each in city.organisations}
            for team in teams:
                area = self.areas[team.area_code]
                lon, lat = (area.lon, area.lat) if team.lon is None else (team.lon, team.lat)
                city.teams.append(team._replace(organisation_id=homes[team.area_code], lon=lon, lat=lat))
        return city

    # --- city.toml ---------------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        path = self.folder / "city.toml"
        if not path.exists():
            return {}
        try:
            settings = tomllib.loads(self._text(path, SETTINGS_LIMIT_BYTES))
        except tomllib.TOMLDecodeError as fault:
            self._stop(path.name, "", "", str(fault))
        for name in ("code", "name", "name_en", "timezone"):
            if not isinstance(settings.get(name, ""), str):
                self._stop(path.name, "", name, f"expected text, not {settings[name]!r}")
        zone = settings.get("timezone")
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError):
                self._note(
                    path.name, "", "timezone", f"no time zone {zone!r}; expected a name of the IANA list"
                )
        return settings

    # --- areas.csv ---------------------------------------------------------------------------------------------

    def _read_areas(self, settings: Mapping[str, Any]) -> None:
        path = self.folder / "areas.csv"
        for line, row in self._rows(path, ("code", "name", "kind", "lon", "lat")):
            area = self._area(path.name, line, row)
            if area is None:
                continue
            if area.code in self.areas:
                reason = f"{area.code} stands twice, first on line {self.lines[area.code]}"
                self._note(path.name, f"line {line}", "code", reason)
                continue
            if len(self.areas) >= AREAS_LIMIT:
                self._stop(path.name, f"line {line}", "", f"more than {AREAS_LIMIT} areas")
            self.areas[area.code] = area
            self.lines[area.code] = line
        code = settings.get("code")
        if code is None:
            return
        if code in self.areas:
            if self.areas[code].level != Level.CITY:
                self._note("city.toml", "", "code", f"{code!r} is not a city's code")
        elif any(each.level == Level.CITY for each in self.areas.values()):
            self._note("city.toml", "", "code", f"{code!r} is not the city of areas.csv")
        else:
            # The folder says the city's own row in city.toml.
            blank = dict.fromkeys(("kind", "lon", "lat"), "")
            row = {
                **blank,
                "code": code,
                "name": settings.get("name", ""),
                "name_en": settings.get("name_en", ""),
            }
            area = self._area("city.toml", 0, row)
            if area is not None and area.level == Level.CITY:
                self.areas[code] = area
            elif area is not None:
                self._note("city.toml", "", "code", f"{code!r} is not a city's code")

    def _area(self, file: str, line: int, row: Mapping[str, str]) -> AreaRow | None:
        where = f"line {line}" if line else ""
        before = len(self.problems)
        code = row["code"]
        try:
            level = level_of(code)
        except ValueError:
            reason = f"expected 6, 9, 12, 14 or 17 digits, not {code!r}"
            self._note(file, where, "code", reason)
            return None
        parent = parent_of(code)
        stated = row.get("level", "")
        if stated and stated not in (str(level.value), _LEVEL_WORDS[level]):
            reason = (
                f"{stated!r} does not fit the code, whose form says {level.value} ({_LEVEL_WORDS[level]})"
            )
            self._note(file, where, "level", reason)
        if row.get("parent") and row["parent"] != parent:
            reason = f"{row['parent']!r} does not fit the code, which lies in {parent or 'nothing'}"
            self._note(file, where, "parent", reason)
        self._check_name(file, where, "name", row["name"], needed=True)
        self._check_name(file, where, "name_en", row.get("name_en", ""), needed=False)
        if row["kind"] not in _KINDS[level]:
            expected = " or ".join(filter(None, (", ".join(k for k in _KINDS[level] if k), ""))) or "nothing"
            self._note(
                file, where, "kind", f"expected {expected} for a {_LEVEL_WORDS[level]}, not {row['kind']!r}"
            )
        focus = row.get("focus", "")
        if focus and (focus not in _FOCUSES or level < Level.VILLAGE):
            expected = (
                f"one of {', '.join(_FOCUSES)}" if level >= Level.VILLAGE else "nothing above the village"
            )
            self._note(file, where, "focus", f"expected {expected}, not {focus!r}")
        lon, lat = self._point(file, where, row)
        if len(self.problems) > before:
            # Keep the code known, so that its children are not reported as orphans as well.
            lon = lat = None
        origin = row.get("origin") or file
        return AreaRow(
            code,
            level.value,
            row["name"],
            row.get("name_en") or None,
            row["kind"],
            parent,
            focus,
            lon,
            lat,
            origin,
        )

    def _check_tree(self) -> None:
        for area in list(self.areas.values()):
            where = self._line(area.code)
            if area.parent is not None and area.parent not in self.areas:
                missing = [each for each in ancestors(area.code)[1:] if each not in self.areas]
                reason = f"{area.code} lies in {area.parent}, which has no row"
                if len(missing) > 1:
                    reason += f" (missing up to the city: {', '.join(missing)})"
                self._note("areas.csv", where, "code", reason)
                continue
            village = self.areas.get(area.code[:12])
            if village is None or area.level < Level.VILLAGE:
                continue
            if area.level == Level.SMALL and village.kind in ("rural", "park"):
                reason = (
                    f"a small grid may hang only on a community, and {village.code} {village.name} is {village.kind}:"
                    " there micro grids hang on the village directly (digits 13-14 are 00)"
                )
                self._note("areas.csv", where, "code", reason)
            elif area.level == Level.SMALL and area.code.endswith("00"):
                self._note("areas.csv", where, "code", "a small grid's last two digits are 01 to 99")
            if not area.focus:
                self.areas[area.code] = area._replace(focus=_USUAL_FOCUS.get(village.kind, "rural"))

    # --- outlines ----------------------------------------------------------------------------------------------

    def _outlines(self) -> list[ShapeRow]:
        shapes: dict[str, tuple[str, ShapeRow]] = {}
        for path in sorted(self.folder.glob("*.geojson")):
            for number, feature in self._features(path):
                where = f"feature {number}"
                properties = feature.get("properties")
                properties = properties if isinstance(properties, dict) else {}
                code = properties.get("code")
                if not isinstance(code, str) or code not in self.areas:
                    self._note(path.name, where, "properties.code", f"{code!r} is no area of areas.csv")
                    continue
                if code in shapes:
                    self._note(
                        path.name,
                        where,
                        "properties.code",
                        f"{code} has an outline in {shapes[code][0]} already",
                    )
                    continue
                wkb = self._outline(path.name, where, feature.get("geometry"))
                if wkb is not None:
                    row = ShapeRow(code, wkb, properties.get("schematic") in (True, "1", "true"))
                    shapes[code] = (f"{path.name}, {where}", row)
        return [row for _, row in shapes.values()]

    def _features(self, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            content = json.loads(self._text(path, OUTLINES_LIMIT_BYTES))
        except (json.JSONDecodeError, RecursionError) as fault:
            where = f"line {fault.lineno}" if isinstance(fault, json.JSONDecodeError) else ""
            reason = fault.msg if isinstance(fault, json.JSONDecodeError) else "is nested too deeply"
            self._note(path.name, where, "", f"is not JSON: {reason}")
            return
        if not isinstance(content, dict) or not isinstance(content.get("features"), list):
            self._note(path.name, "", "features", "expected a GeoJSON FeatureCollection")
            return
        system = str(content.get("crs", ""))
        if system and not any(known in system for known in ("CRS84", "4326", "4490")):
            self._note(path.name, "", "crs", f"expected WGS84 degrees, not {system[:100]}")
            return
        for number, feature in enumerate(content["features"], 1):
            if isinstance(feature, dict):
                yield number, feature
            else:
                self._note(path.name, f"feature {number}", "", "expected a GeoJSON Feature")

    def _outline(self, file: str, where: str, geometry: object) -> bytes | None:
        # Imported here: a city without outlines needs no geometry library.
        import shapely
        from shapely.geometry import shape

        if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
            kind = geometry.get("type") if isinstance(geometry, dict) else geometry
            self._note(file, where, "geometry", f"expected Polygon or MultiPolygon, not {kind!r}")
            return None
        try:
            polygon = shapely.force_2d(shape(geometry))
            bounds = [float(each) for each in polygon.bounds]
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            shapely.errors.ShapelyError,
        ) as fault:
            self._note(file, where, "geometry", f"cannot be read: {fault}")
            return None
        if polygon.is_empty:
            self._note(file, where, "geometry", "is empty")
            return None
        west, south, east, north = bounds
        if not (
            all(map(math.isfinite, bounds)) and -180 <= west <= east <= 180 and -90 <= south <= north <= 90
        ):
            reason = f"lies outside WGS84 degrees: {west:g}..{east:g} east, {south:g}..{north:g} north"
            self._note(file, where, "geometry", reason)
            return None
        if not polygon.is_valid:
            self._note(file, where, "geometry", f"is not a valid polygon: {shapely.is_valid_reason(polygon)}")
            return None
        return bytes(shapely.to_wkb(polygon, byte_order=1))

    def _place(self, shapes: list[ShapeRow]) -> None:
        """Give areas without a point one inside their outline."""
        import shapely

        for row in shapes:
            area = self.areas[row.code]
            if area.lon is None:
                point = shapely.from_wkb(row.wkb).representative_point()
                self.areas[row.code] = area._replace(lon=round(point.x, 6), lat=round(point.y, 6))

    # --- teams.csv ---------------------------------------------------------------------------------------------

    def _teams(self, path: Path, trades: Mapping[str, tuple[str, str, str]]) -> list[TeamRow]:
        """Return the teams of the table, their home (organisation) still open."""
        teams: list[TeamRow] = []
        for line, row in self._rows(path, ("name", "trade", "area")):
            where = f"line {line}"
            before = len(self.problems)
            self._check_name(path.name, where, "name", row["name"], needed=True)
            if row["trade"] not in trades:
                self._note(path.name, where, "trade", f"no trade {row['trade']!r} in trades.csv")
            area = self.areas.get(row["area"])
            if area is None or area.level > Level.VILLAGE:
                reason = f"{row['area']!r} is no city, county, town or village of areas.csv"
                self._note(path.name, where, "area", reason)
            capacity = row.get("capacity", "")
            if capacity and not (
                capacity.isascii() and capacity.isdigit() and 1 <= int(capacity) <= CAPACITY_LIMIT
            ):
                self._note(path.name, where, "capacity", f"expected 1 to {CAPACITY_LIMIT}, not {capacity!r}")
            lon, lat = self._point(path.name, where, {"lon": row.get("lon", ""), "lat": row.get("lat", "")})
            if len(self.problems) > before or area is None:
                continue
            held = int(capacity) if capacity else CAPACITY[trades[row["trade"]][2]]
            teams.append(
                TeamRow(
                    len(teams) + 1, 0, row["name"], row.get("name_en", ""), row["trade"], area.code,
                    held, lon, lat,
                )
            )  # fmt: skip
        return teams

    # --- what all files share ----------------------------------------------------------------------------------

    def _rows(self, path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield (line, column -> text without spaces around it) of a table that has the columns."""
        reader = csv.reader(io.StringIO(self._text(path, TABLE_LIMIT_BYTES), newline=""), strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in columns if name not in header]
            if missing:
                found = ", ".join(header)[:NAME_LIMIT] or "nothing"
                self._stop(path.name, "line 1", ", ".join(missing), f"missing column; found {found}")
            for name in header:
                if header.count(name) > 1:
                    self._stop(path.name, "line 1", name, "this column stands twice")
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(header):
                    reason = f"expected {len(header)} fields, found {len(fields)}"
                    self._note(path.name, f"line {reader.line_num}", "", reason)
                    continue
                yield reader.line_num, dict(zip(header, (text.strip() for text in fields), strict=True))
        except csv.Error as fault:
            self._stop(path.name, f"line {reader.line_num}", "", f"is not CSV: {fault}")

    def _text(self, path: Path, limit_bytes: int) -> str:
        try:
            size = path.stat().st_size
            if size > limit_bytes:
                reason = f"has {size / 1e6:.0f} MB; at most {limit_bytes / 1e6:.0f} MB are read"
                self._stop(path.name, "", "", reason)
            raw = path.read_bytes()
        except FileNotFoundError:
            self._stop(path.name, "", "", "is missing")
        except OSError as fault:
            self._stop(path.name, "", "", f"cannot be read: {fault.strerror}")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as fault:
            line = raw.count(b"\n", 0, fault.start) + 1
            reason = f"is not UTF-8 (byte 0x{raw[fault.start]:02X}); save the file as UTF-8"
            self._stop(path.name, f"line {line}", "", reason)
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            self._stop(path.name, f"line {line}", "", "holds a null character; this is not a text file")
        return text

    def _check_name(self, file: str, where: str, column: str, name: str, needed: bool) -> None:
        if needed and not name:
            self._note(file, where, column, "is empty")
        elif len(name) > NAME_LIMIT:
            self._note(file, where, column, f"has {len(name)} characters; at most {NAME_LIMIT} are allowed")
        elif not name.isprintable():
            self._note(file, where, column, "holds a control character")

    def _point(self, file: str, where: str, row: Mapping[str, str]) -> tuple[float | None, float | None]:
        if not row["lon"] and not row["lat"]:
            return None, None
        found: list[float | None] = []
        for column, most in (("lon", 180), ("lat", 90)):
            try:
                value = float(row[column])
            except ValueError:
                self._note(file, where, column, f"expected degrees, not {row[column]!r}")
                found.append(None)
                continue
            if not -most <= value <= most:
                hint = " (are lon and lat swapped?)" if column == "lat" and abs(value) <= 180 else ""
                self._note(file, where, column, f"{row[column]} lies outside -{most}..{most} degrees{hint}")
            found.append(value)
        return found[0], found[1]

    def _line(self, code: str) -> str:
        return f"line {self.lines[code]}" if code in self.lines else ""

    def _note(self, file: str, where: str, column: str, reason: str) -> None:
        self.problems.append(Problem(file, where, column, reason))
        if len(self.problems) >= PROBLEMS_LIMIT:
            raise _Stop

    def _stop(self, file: str, where: str, column: str, reason: str) -> NoReturn:
        self.problems.append(Problem(file, where, column, reason))
        raise _Stop

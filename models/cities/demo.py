"""Builds the demo city at full size from its tables: real places, generated cells, invented people."""

from __future__ import annotations

import csv
import gc
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from random import Random
from typing import NamedTuple

from dispatch.rules.areas import Level
from models.cities import geometry
from models.cities.geometry import Point, Ring
from models.cities.loading import (
    CONFIG,
    AreaRow,
    City,
    DutyRow,
    OrganisationRow,
    PersonRow,
    ShapeRow,
    TeamRow,
    establish,
    parsed_policy,
    policy_files,
    refuse_second,
    store,
)

FOLDER = CONFIG / "cities" / "yunfu"
OPEN_KEY = "demo"
SINCE = date(2021, 3, 1)

_KINDS = {"社区": "community", "村": "rural", "农林场": "rural", "园区": "park"}
# Land a grid takes beside a rural one of the same rank: communities are dense, a school is smaller than a hamlet.
_LAND = {"community": 0.4, "rural": 1.0, "park": 0.5}
_SECTOR_LAND = 0.3
_UNEVEN = (0.7, 1.3)
_SECTOR_KINDS = (
    "enterprise",
    "school",
    "commerce",
    "enterprise",
    "other",
    "school",
    "commerce",
    "enterprise",
)
# Kinds of a community's cells and the part that each makes, as running sums.
_COMMUNITY_KINDS, _COMMUNITY_PARTS = ("block", "building", "rental"), (55, 80, 100)
_KIND_NAMES = {
    "building": "（单体楼）", "rental": "（出租屋）", "enterprise": "（企业）", "school": "（学校）",
    "commerce": "（商圈）", "other": "（其他）",
}  # fmt: skip
_RENTED = ("building", "rental")

# People of a centre: (dispatchers, duty leaders).
_CENTRE_STAFF = {Level.CITY: (12, 4), Level.COUNTY: (6, 3), Level.TOWN: (4, 2)}
_TEAM_MEMBERS = 3
# Trade -> how many squads it has beside the first, in a street or a county.
_SQUADS = {
    "enforcement": 2, "police": 1, "market": 1, "public_service": 1, "sanitation": 1, "roads": 1, "municipal": 1,
}  # fmt: skip
_SQUAD_NUMBERS = 41  # apart; more than there are trades, so that no two teams share a number, nor a station
_ORDINALS = ("一", "二", "三")
_LIAISON_GRIDS = 3  # micro grids that one cadre keeps in touch with
# The town department that a professional of each area of work comes from.
_THEME_TRADES = {
    "01": "police", "02": "justice", "03": "clinic", "04": "construction", "05": "emergency", "06": "enforcement",
    "07": "forestry", "08": "flood", "09": "public_service", "10": "enforcement",
}  # fmt: skip
_SURNAMES = (
    "陈李黄梁林张刘吴罗叶谢邓何彭欧莫苏潘区谭温龙麦蓝练伍余朱钟曾卢冯邱江杨徐郭董周赵王蔡许沈韦甘廖范孔傅"
)
_COMMON = 18  # the first so many surnames are four times as frequent
_GIVEN = (
    "伟 芳 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 霞 平 刚 桂英 志强 建华 国栋 秀兰 海燕 永康 少梅 文辉 金凤 锦荣 "
    "家豪 雪梅 伟民 玉珍 子健 晓彤 汉文 美玲 俊贤 惠芬 启明 丽华 卓然 燕玲 耀辉 素芬 德胜 春燕 柏林 细妹 思远 月娥"
)


class Plan(NamedTuple):
    """One middle grid of the plan: its area, and how many grids of each kind hang on it."""

    area: AreaRow
    small: int
    micro_area: int
    micro_sector: int
    micro_outbound: int


def load_demo(database_url: str) -> dict[str, int]:
    """Build the demo city and load it into an empty, migrated database; return the number of rows of each table.

    Raises CityError where the database already holds a city.
    """
    refuse_second(database_url)
    collecting = gc.isenabled()
    # A hundred thousand rows that all stay: collecting garbage among them finds none and takes a fifth of the time.
    gc.disable()
    try:
        return store(database_url, build())
    finally:
        if collecting:
            gc.enable()


def build() -> City:
    """Return the demo city; every call returns the same."""
    settings = tomllib.loads((FOLDER / "city.toml").read_text(encoding="utf-8"))
    policy = policy_files()
    city = City(code=settings["code"], policy=policy, open_key=OPEN_KEY)
    english = {row["code"]: row["name_en"] for row in _table("names_en.csv")}

    def above(code: str, level: Level, row: dict[str, str], kind: str, parent: str) -> AreaRow:
        return AreaRow(
            code,
            level,
            row["name"],
            english[code],
            kind,
            parent,
            "",
            float(row["lon"]),
            float(row["lat"]),
            "NBS2023",
        )

    top = AreaRow(
        city.code, Level.CITY, settings["name"], settings["name_en"], "", None, "", settings["lon"], settings["lat"],
        "NBS2023",
    )  # fmt: skip
    counties = [above(row["code"], Level.COUNTY, row, "", city.code) for row in _table("counties.csv")]
    towns = [
        above(row["code"], Level.TOWN, row, "street" if row["type"] == "街道" else "town", row["county_code"])
        for row in _table("towns.csv")
        if row["in_seed_63"] == "1"
    ]
    plans = defaultdict(list)
    for plan in _plans({town.code: town for town in towns}):
        plans[str(plan.area.parent)].append(plan)

    city.areas += [top, *counties, *towns]
    outlines = dict(_outlines("yunfu_city.geojson", "yunfu_counties.geojson"))
    city.shapes += [ShapeRow(code, geometry.wkb(ring), False) for code, ring in outlines.items()]
    schematic = dict(_outlines("yunfu_towns_schematic.geojson"))
    city.shapes += [ShapeRow(code, geometry.wkb(ring), True) for code, ring in schematic.items()]
    for town in towns:
        # Seeded by the town alone: a change in one town's plan leaves every other town as it was.
        _grow(city, town, schematic[town.code], plans[town.code], Random(town.code))

    trades = parsed_policy(policy).trades
    city.organisations, city.teams = establish(city.areas, trades)
    busy = {area.code for area in (*counties, *towns) if area.level == Level.COUNTY or area.kind == "street"}
    city.teams += _squads(city.teams, busy)
    city.teams = _spread(city.teams, {each.code: each for each in city.areas if each.level <= Level.VILLAGE})
    _Staff(city, Random(city.code)).hire(settings["headcounts"])
    return city


def _squads(teams: Sequence[TeamRow], busy: set[str]) -> list[TeamRow]:
    """Return the further squads of the busiest trades in some areas: a dispatcher there has somebody to choose."""
    return [
        team._replace(
            id=team.id + _SQUAD_NUMBERS * squad,
            name=f"{team.name}{_ORDINALS[squad]}中队",
            name_en=f"{team.name_en}, squad {squad + 1}",
        )
        for team in teams
        if team.area_code in busy and team.trade in _SQUADS
        for squad in range(1, _SQUADS[team.trade] + 1)
    ]


def _table(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _outlines(*names: str) -> Iterator[tuple[str, Ring]]:
    for name in names:
        for feature in json.loads((FOLDER / name).read_text(encoding="utf-8"))["features"]:
            yield (
                feature["properties"]["code"],
                geometry.counter_clockwise(feature["geometry"]["coordinates"][0]),
            )


def _plans(towns: dict[str, AreaRow]) -> Iterator[Plan]:
    shorts = {row["code"]: row["short"] for row in _table("villages.csv")}
    for row in _table("grid_plan_984.csv"):
        code, origin, town = row["code"], row["origin"], towns[row["town_code"]]
        if not code.startswith(town.code):
            # A state forest or farm, whose own town-level code is not one of the 63: see the folder's README.
            code, origin = town.code + code[9:], f"{origin} {code}"
        kind = _KINDS[row["kind"]]
        if kind == "community":
            focus = "urban"
        elif kind == "park" or town.kind == "street":
            focus = "fringe"
        else:
            focus = "rural"
        name = shorts.get(row["code"], row["name"])
        yield Plan(
            AreaRow(code, Level.VILLAGE, name, None, kind, town.code, focus, None, None, origin),
            int(row["small"]), int(row["micro_area"]), int(row["micro_sector"]), int(row["micro_outbound"]),
        )  # fmt: skip


def _grow(city: City, town: AreaRow, ring: Ring, plans: Sequence[Plan], rng: Random) -> None:
    """Add a town's villages and grids, communities nearest the town's centre, with a cell for each that has land."""
    heart = (float(town.lon or 0), float(town.lat or 0))
    weights = [
        (each.micro_area + _SECTOR_LAND * each.micro_sector) * _LAND[each.area.kind] * rng.uniform(*_UNEVEN)
        for each in plans
    ]
    for plan, cell in zip(plans, geometry.partition(ring, weights, rng, heart, wavy=True), strict=True):
        village = _placed(plan.area, cell)
        city.areas.append(village)
        city.shapes.append(ShapeRow(village.code, geometry.wkb(cell), True))
        _grow_village(city, village, cell, plan, rng)


def _grow_village(city: City, village: AreaRow, cell: Ring, plan: Plan, rng: Random) -> None:
    # Places that are grids by themselves (schools, firms) lie scattered among a village's other cells.
    main = plan.small or plan.micro_area
    sectors = [False] * main + [True] * plan.micro_sector
    rng.shuffle(sectors)
    shares = _shares(plan.micro_area, plan.small, rng) if plan.small else [1] * plan.micro_area
    of_main = iter(shares)
    weights = [(_SECTOR_LAND if sector else next(of_main)) * rng.uniform(*_UNEVEN) for sector in sectors]
    pieces = geometry.partition(cell, weights, rng)
    mains = [piece for piece, sector in zip(pieces, sectors, strict=True) if not sector]
    serial = 0
    if plan.small:
        for number, (piece, share) in enumerate(zip(mains, shares, strict=True), 1):
            small = AreaRow(
                f"{village.code}{number:02d}", Level.SMALL, f"{village.name}第{number:02d}小网格",
                f"Small grid {number:02d}", "", village.code, village.focus, None, None, "generated",
            )  # fmt: skip
            small = _placed(small, piece)
            city.areas.append(small)
            city.shapes.append(ShapeRow(small.code, geometry.wkb(piece), True))
            for part in geometry.partition(piece, [rng.uniform(*_UNEVEN) for _ in range(share)], rng):
                serial += 1
                drawn = rng.randrange(100)
                kind = next(k for k, p in zip(_COMMUNITY_KINDS, _COMMUNITY_PARTS, strict=True) if drawn < p)
                _add_micro(city, village, small.code, serial, kind, part)
    else:
        for piece in mains:
            serial += 1
            _add_micro(city, village, f"{village.code}00", serial, "hamlet", piece)
    apart = [piece for piece, sector in zip(pieces, sectors, strict=True) if sector]
    first = rng.randrange(len(_SECTOR_KINDS))
    for i, piece in enumerate(apart):
        serial += 1
        # A park is made of firms.
        kind = "enterprise" if village.kind == "park" else _SECTOR_KINDS[(first + i) % len(_SECTOR_KINDS)]
        _add_micro(city, village, f"{village.code}00", serial, kind, piece)
    for _ in range(plan.micro_outbound):
        serial += 1
        _add_micro(city, village, f"{village.code}00", serial, "outbound", None)


def _add_micro(city: City, village: AreaRow, stem: str, serial: int, kind: str, cell: Ring | None) -> None:
    code = f"{stem}{serial:03d}"
    parent = village.code if stem.endswith("00") else stem
    if cell is None:
        # People who work elsewhere: a grid without land, so without a point.
        name = f"{village.name}外出人员微网格"
        city.areas.append(
            AreaRow(
                code,
                Level.MICRO,
                name,
                "Outbound workers",
                kind,
                parent,
                village.focus,
                None,
                None,
                "generated",
            )
        )
        return
    lon, lat = geometry.inner_point(cell)
    city.areas.append(
        AreaRow(
            code, Level.MICRO, f"{village.name}第{serial:03d}微网格{_KIND_NAMES.get(kind, '')}",
            f"Micro grid {serial:03d}", kind, parent, "rental" if kind in _RENTED else village.focus,
            round(lon, 6), round(lat, 6), "generated",
        )
    )  # fmt: skip
    city.shapes.append(ShapeRow(code, geometry.wkb(cell), True))


def _placed(area: AreaRow, cell: Ring) -> AreaRow:
    lon, lat = geometry.inner_point(cell)
    return area._replace(lon=round(lon, 6), lat=round(lat, 6))


def _shares(total: int, parts: int, rng: Random) -> list[int]:
    """Return whole numbers of at least total // parts that sum to `total`; chance says who has one more."""
    each, more = divmod(total, parts)
    shares = [each + 1] * more + [each] * (parts - more)
    rng.shuffle(shares)
    return shares


def _spread(teams: Sequence[TeamRow], areas: dict[str, AreaRow]) -> list[TeamRow]:
    """Give each team a station of its own in the village that it serves or one near the centre of its area."""
    inside = defaultdict(list)
    for code, area in areas.items():
        if area.level == Level.VILLAGE:
            for length in (4, 6, 9):
                inside[code[:length]].append(area)
    placed = []
    for team in teams:
        own = areas[team.area_code]
        at: Point = (float(own.lon or 0), float(own.lat or 0))
        if own.level < Level.VILLAGE:
            stem = own.code[:4] if own.level == Level.CITY else own.code
            near = _nearest(inside[stem], at)
            spot = near[team.id % len(near)]
            at = (float(spot.lon or 0), float(spot.lat or 0))
        placed.append(team._replace(lon=at[0], lat=at[1]))
    return placed


def _nearest(villages: Sequence[AreaRow], at: Point, how_many: int = 5) -> list[AreaRow]:
    def distance(village: AreaRow) -> float:
        return (float(village.lon or 0) - at[0]) ** 2 + (float(village.lat or 0) - at[1]) ** 2

    return sorted(villages, key=distance)[:how_many]


class _Staff:
    """Hires invented people into a city and writes their duties, numbering both as they come."""

    def __init__(self, city: City, rng: Random) -> None:
        self.city = city
        self.rng = rng
        self.homes: dict[str, OrganisationRow] = {
            each.area_code: each for each in city.organisations if each.kind != "department"
        }
        self.names = self._names()
        self.teams: dict[str, list[TeamRow]] = defaultdict(list)
        for team in city.teams:
            self.teams[team.area_code].append(team)
        self.below: dict[str, list[AreaRow]] = defaultdict(list)
        for area in city.areas:
            if area.level >= Level.SMALL:
                self.below[area.code[:12]].append(area)

    def hire(self, headcounts: dict[str, int]) -> None:
        """Fill every post; the head counts of the three kinds of grid workers are met exactly."""
        areas = self.city.areas
        for area in areas:
            if area.level <= Level.TOWN:
                self._centre(area)
        villages = [each for each in areas if each.level == Level.VILLAGE]
        communities = [each for each in villages if each.kind == "community"]
        full = dict(
            zip((v.code for v in communities), _even(headcounts["full_time"], len(communities)), strict=True)
        )
        micros = [sum(each.level == Level.MICRO for each in self.below[v.code]) for v in villages]
        for village, workers in zip(villages, _proportional(headcounts["part_time"], micros), strict=True):
            self._village(village, full.get(village.code, 0), workers)
        towns = [each for each in areas if each.level == Level.TOWN]
        turn = 0
        for town, count in zip(towns, _even(headcounts["professional"], len(towns)), strict=True):
            departments = {team.trade: team.organisation_id for team in self.teams[town.code]}
            themes = sorted(_THEME_TRADES)
            for _ in range(count):
                theme = themes[turn % len(themes)]
                turn += 1
                home = departments.get(_THEME_TRADES[theme], self.homes[town.code].id)
                self._duty(self._person(home), "grid_worker", town.code, "professional", None, f"{{{theme}}}")

    def _centre(self, area: AreaRow) -> None:
        home = self.homes[area.code].id
        leader = self._person(home)
        self._duty(leader, "leader", area.code)
        if area.level == Level.TOWN:
            self._duty(leader, "grid_head", area.code)
        dispatchers, leaders = _CENTRE_STAFF[Level(area.level)]
        for _ in range(dispatchers):
            self._duty(self._person(home), "dispatcher", area.code)
        for _ in range(leaders):
            self._duty(self._person(home), "duty_leader", area.code)
        for team in self.teams[area.code]:
            self._duty(self._person(team.organisation_id), "team_leader", area.code, team_id=team.id)
            for _ in range(_TEAM_MEMBERS):
                self._duty(self._person(team.organisation_id), "team_member", area.code, team_id=team.id)

    def _village(self, village: AreaRow, full_time: int, part_time: int) -> None:
        home = self.homes[village.code].id
        team = self.teams[village.code][0].id if self.teams[village.code] else None
        head = self._person(home)
        self._duty(head, "grid_head", village.code)
        if team is not None:
            self._duty(head, "team_leader", village.code, team_id=team)
        smalls = [each for each in self.below[village.code] if each.level == Level.SMALL]
        for i, small in enumerate(smalls):
            # Full-time workers head the first small grids, members of the two committees the others.
            self._duty(self._person(home), "grid_head", small.code, "full_time" if i < full_time else "")
        micros = [each for each in self.below[village.code] if each.level == Level.MICRO]
        workers = [self._person(home) for _ in range(part_time)]
        for i, micro in enumerate(micros):
            self._duty(workers[i * part_time // len(micros)], "grid_head", micro.code)
        for i, worker in enumerate(workers):
            first = micros[-(-i * len(micros) // part_time)]
            self._duty(worker, "grid_worker", str(first.parent), "part_time", team)
        units = [each.organisation_id for each in self.teams[village.code[:9]]] or [home]
        cadre = 0
        for i, micro in enumerate(micros):
            if micro.kind == "outbound":
                # Somebody who works where the people went.
                self._duty(self._person(home), "liaison", micro.code)
                continue
            if i % _LIAISON_GRIDS == 0:
                cadre = self._person(units[(i // _LIAISON_GRIDS + home) % len(units)])
            self._duty(cadre, "liaison", micro.code)

    def _person(self, organisation_id: int) -> int:
        number = len(self.city.people) + 1
        # A made-up number: no Chinese number begins with 000.
        phone = f"000****{number * 7919 % 10_000:04d}"
        self.city.people.append(PersonRow(number, next(self.names), phone, organisation_id, True))
        return number

    def _duty(
        self,
        person: int,
        role: str,
        area: str,
        kind: str = "",
        team_id: int | None = None,
        themes: str = "{}",
    ) -> None:
        duties = self.city.duties
        duties.append(DutyRow(len(duties) + 1, person, role, kind, area, team_id, themes, SINCE))

    def _names(self) -> Iterator[str]:
        given = _GIVEN.split()
        surnames = _SURNAMES + 3 * _SURNAMES[:_COMMON]
        while True:
            # Drawn in blocks, because one draw at a time costs more than everything else about a person.
            firsts = self.rng.choices(surnames, k=1_000)
            lasts = self.rng.choices(given, k=1_000)
            yield from map(str.__add__, firsts, lasts)


def _even(total: int, parts: int) -> list[int]:
    each, more = divmod(total, parts)
    return [each + (i < more) for i in range(parts)]


def _proportional(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole numbers in proportion to the weights that sum to `total`, at least one each (largest remainder)."""
    spare = total - len(weights)
    whole = sum(weights)
    exact = [spare * weight / whole for weight in weights]
    counts = [int(each) for each in exact]
    order = sorted(range(len(weights)), key=lambda i: (counts[i] - exact[i], i))
    for i in order[: spare - sum(counts)]:
        counts[i] += 1
    return [1 + count for count in counts]

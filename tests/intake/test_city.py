"""The demo city is complete, whole, the same every time, and loaded all or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pytest
import shapely

from dispatch.rules.areas import Level, ancestors, level_of, parent_of
from dispatch.rules.policy.policy import TRADE_LEVELS
from models.__main__ import main
from models.cities import loading
from models.cities.demo import FOLDER, build, load_demo
from models.cities.holidays import calendar_csv
from models.cities.loading import City, CityError, census, is_empty, parsed_policy, policy_files, store
from models.servers.database import psycopg_dsn

CENSUS = {
    "city": "445300", "counties": 5, "towns": 63, "middle": 984, "small": 1904, "micro": 17454, "outbound": 336,
    "full_time": 157, "part_time": 9189, "professional": 882, "liaisons": 17454, "broken_parent_chains": 0,
    # A grid team for each village and a team of each trade at its level; everything but outbound grids has land.
    # Of the busiest trades a street has six squads more, and a county two.
    "teams": 984 + 63 * 16 + 5 * 14 + 2 + 8 * 6 + 5 * 2, "organisations": 1 + 5 + 63 + 984 + 63 * 16 + 5 * 14 + 2,
    "shapes": 1 + 5 + 63 + 984 + 1904 + 17454 - 336,
}  # fmt: skip


@pytest.fixture(scope="module")
def city() -> City:
    """Build the demo city once for all tests that only look at it."""
    return build()


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    with psycopg.connect(psycopg_dsn(database)) as connection:
        return connection.execute(query.encode()).fetchall()


def test_the_loaded_city_has_exactly_the_published_counts(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Areas, people and liaisons as the article counts them, and every micro grid's chain reaches the city."""
    assert is_empty(database)
    counts = load_demo(database)
    assert not is_empty(database)
    found = census(database)
    assert {name: found[name] for name in CENSUS} == CENSUS
    assert found["people"] == counts["person"]
    assert rows(
        database, "SELECT count(*) FROM person WHERE NOT invented OR phone_masked NOT LIKE '000%'"
    ) == [(0,)]
    secret = hashlib.sha256(b"demo").hexdigest()
    assert rows(database, "SELECT source, sha256 FROM api_key") == [("demo", secret)]
    assert rows(database, "SELECT area_code, sha256 FROM wall_key") == [("445300", secret)]
    [(version, valid_from, files, digest)] = rows(
        database, "SELECT version, valid_from, files, digest FROM policy_version"
    )
    assert (version, files, digest) == (1, policy_files(), loading.digest(policy_files()))
    assert valid_from <= date(2022, 1, 1)
    assert rows(database, "SELECT count(*), count(DISTINCT theme) FROM category") == [(75, 10)]

    with pytest.raises(CityError, match="already holds a city \\(云浮市 445300\\)"):
        load_demo(database)
    assert census(database) == found


def test_a_city_is_loaded_whole_or_not_at_all(database: str, city: City) -> None:
    """One wrong row at the very end, and nothing stays."""
    *others, last = city.duties
    broken = replace(city, duties=[*others, last._replace(area_code="999999999999")])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        store(database, broken)
    assert is_empty(database)
    for table in ("person", "policy_version", "category", "api_key"):
        assert rows(database, f"SELECT count(*) FROM {table}") == [(0,)]
    store(database, city)


def test_loading_leaves_every_key_and_index_as_it_was(database: str, city: City) -> None:
    """They are set aside for speed and come back the same."""
    schema = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint"
        " WHERE conrelid <> 0 UNION ALL SELECT tablename, indexname, indexdef, true FROM pg_indexes"
        " WHERE schemaname = 'public' ORDER BY 1, 2, 3"
    )
    before = rows(database, schema)
    store(database, city)
    assert rows(database, schema) == before


def test_two_builds_are_the_same_to_the_byte(city: City) -> None:
    """Rows, names and outlines."""
    assert build() == city


def test_every_area_hangs_on_the_parent_its_code_names(city: City) -> None:
    """Level, length and parent agree, parents come first, and codes are unique."""
    seen: set[str] = set()
    for area in city.areas:
        assert level_of(area.code) == area.level
        assert parent_of(area.code) == area.parent
        assert set(ancestors(area.code)[1:]) <= seen
        assert area.code not in seen
        seen.add(area.code)


def test_small_grids_exist_under_communities_only(city: City) -> None:
    """And the forest farms, whose own codes lie outside the 63 towns, remember them."""
    kinds = {area.code: area.kind for area in city.areas}
    assert {kinds[str(area.parent)] for area in city.areas if area.level == Level.SMALL} == {"community"}
    farms = [area for area in city.areas if area.origin.startswith("NBS2023 ")]
    assert len(farms) == 8
    assert all(area.code[9:] == area.origin[-3:] for area in farms)


def test_every_grid_has_one_focus_and_micro_grids_have_a_kind(city: City) -> None:
    """Four focus areas make a partition from the village down."""
    below = [area for area in city.areas if area.level >= Level.VILLAGE]
    assert {area.focus for area in below} == {"urban", "rural", "fringe", "rental"}
    assert {area.focus for area in city.areas if area.level < Level.VILLAGE} == {""}
    kinds = Counter(area.kind for area in city.areas if area.level == Level.MICRO)
    assert kinds["outbound"] == 336
    assert kinds[""] == 0
    outbound = [area for area in city.areas if area.kind == "outbound"]
    assert {area.code[:6] for area in outbound} == {"445381"}
    assert {area.lon for area in outbound} == {None}


def test_names_read_as_people_write_them(city: City) -> None:
    """马岗社区 is a real community, its grids are numbered inside it, and no two areas of a village share a name."""
    names = {area.code: area.name for area in city.areas}
    assert names["445302001010"] == "马岗社区"
    assert names["44530200101003"] == "马岗社区第03小网格"
    assert "马岗社区第012微网格" in {name.split("（")[0] for name in names.values()}
    twice = Counter((area.code[:12], area.name) for area in city.areas if area.level >= Level.VILLAGE)
    assert max(twice.values()) == 1


def test_cells_nest_and_cover_their_parents(city: City) -> None:
    """Every parent's area is the sum of its cells within 1e-6, and each cell lies inside its parent."""
    shapes = {row.code: shapely.from_wkb(row.wkb) for row in city.shapes}
    assert all(shapely.is_valid(list(shapes.values())))
    assert {shape.geom_type for shape in shapes.values()} == {"Polygon"}
    children = defaultdict(list)
    for area in city.areas:
        if area.level >= Level.VILLAGE and area.code in shapes:
            children[str(area.parent)].append(shapes[area.code])
    assert len(children) == 63 + 984 + 1904
    for code, cells in children.items():
        whole = shapes[code]
        assert sum(cell.area for cell in cells) == pytest.approx(whole.area, rel=1e-6), code
        assert shapely.union_all(cells).symmetric_difference(whole).area < 1e-6 * whole.area, code
        outside = max(cell.difference(whole).area for cell in cells)
        assert outside < 1e-6 * whole.area, code


def test_hardly_a_cell_is_a_sliver(city: City) -> None:
    """Of twenty thousand cells fewer than one in five hundred is thinner than a rectangle of one to fifteen."""
    cells = [shapely.from_wkb(row.wkb) for row in city.shapes if len(row.code) >= len("445302001010")]
    thin = [cell for cell in cells if 4 * math.pi * cell.area / cell.length**2 < 4 * math.pi * 15 / 32**2]
    assert len(thin) < len(cells) / 500


def test_points_lie_inside_their_cells(city: City) -> None:
    """A map marker never stands in the neighbour's grid."""
    shapes = {row.code: shapely.from_wkb(row.wkb) for row in city.shapes}
    for area in city.areas:
        if area.level >= Level.TOWN and area.lon is not None:
            assert shapes[area.code].contains(shapely.Point(area.lon, area.lat)), area


def test_every_grid_has_a_head_and_every_micro_grid_a_liaison(city: City) -> None:
    """Also: full-time workers head small grids, professionals have one theme of ten each."""
    heads = Counter(duty.area_code for duty in city.duties if duty.role == "grid_head")
    grids = [area for area in city.areas if area.level >= Level.TOWN]
    assert all(heads[area.code] == 1 for area in grids)
    levels = {area.code: area.level for area in city.areas}
    full_time = [duty for duty in city.duties if duty.kind == "full_time"]
    assert {levels[duty.area_code] for duty in full_time} == {Level.SMALL}
    themes = Counter(duty.themes for duty in city.duties if duty.kind == "professional")
    assert len(themes) == 10
    assert all(len(theme) == len("{01}") for theme in themes)
    outbound = {area.code for area in city.areas if area.kind == "outbound"}
    assert outbound <= {duty.area_code for duty in city.duties if duty.role == "liaison"}


def test_every_centre_has_dispatchers_and_every_team_a_leader(city: City) -> None:
    """A town centre can work with nobody of the county at work."""
    staff = defaultdict(set)
    led = set()
    for duty in city.duties:
        staff[duty.area_code].add(duty.role)
        if duty.role == "team_leader":
            led.add(duty.team_id)
    for area in city.areas:
        if area.level <= Level.TOWN:
            assert {"leader", "dispatcher", "duty_leader"} <= staff[area.code]
    assert led == {team.id for team in city.teams}


def test_each_area_has_each_trade_of_its_level_and_streets_and_counties_squads_beside(city: City) -> None:
    """One team each, a few more where most happens, with a station inside the city and numbers of their own."""
    trades = parsed_policy(city.policy).trades
    found = Counter((team.area_code, team.trade) for team in city.teams)
    areas = {area.code: area for area in city.areas}
    for (code, trade), count in found.items():
        squads = {"enforcement": 3, "police": 2, "market": 2, "public_service": 2, "sanitation": 2}
        street = areas[code].kind == "street"
        assert count == (squads.get(trade, 1) if street else 2 if trade in ("roads", "municipal") else 1)
    assert len({team.id for team in city.teams}) == len(city.teams)
    named = [(team.area_code, team.name) for team in city.teams]
    assert len(set(named)) == len(named)
    for area in city.areas:
        if area.level <= Level.VILLAGE:
            level = ("city", "county", "town", "village")[area.level - 1]
            assert level in TRADE_LEVELS
            assert {trade for code, trade in found if code == area.code} == {
                slug for slug, (_, _, at) in trades.items() if at == level
            }
    outline = shapely.from_wkb(next(row.wkb for row in city.shapes if row.code == city.code))
    assert all(outline.buffer(1e-4).contains(shapely.Point(team.lon, team.lat)) for team in city.teams)
    homes = {each.id for each in city.organisations}
    assert all(team.organisation_id in homes for team in city.teams)
    assert all(team.id < 2**31 for team in city.teams)


def test_the_citys_outline_is_the_union_of_its_counties() -> None:
    """The derived file is not older than what it was made from."""

    def outlines(name: str) -> list[Any]:
        features = json.loads((FOLDER / name).read_text(encoding="utf-8"))["features"]
        return [shapely.geometry.shape(feature["geometry"]) for feature in features]

    union = shapely.union_all(outlines("yunfu_counties.geojson"))
    [whole] = outlines("yunfu_city.geojson")
    assert whole.symmetric_difference(union).area < 1e-6


def test_the_policy_covers_the_ten_areas_of_work() -> None:
    """75 types; what needs the whole net names at least two units; no word means two types."""
    policy = parsed_policy(policy_files())
    assert len(policy.themes) == 10
    assert len(policy.types) == 75
    words = Counter(word for each in policy.types.values() for word in each.keywords)
    assert max(words.values()) == 1
    for each in policy.types.values():
        assert each.keywords
        assert each.lead not in each.assist
        if each.mode == "all_net":
            assert each.assist, each.code
        if each.mode == "whistle":
            assert "enforcement" in (each.lead, *each.assist), each.code
    used = {trade for each in policy.types.values() for trade in (each.lead, *each.assist)}
    assert used == set(policy.trades)


def test_the_calendar_is_what_the_installed_package_says() -> None:
    """Refreshing it changes nothing; it lists weekdays off and weekend days on, of 2023 to 2026 at least."""
    text = policy_files()["calendar.csv"]
    assert text == calendar_csv()
    days = list(csv.DictReader(text.splitlines()))
    assert {"2023", "2024", "2025", "2026"} <= {row["date"][:4] for row in days}
    for row in days:
        assert (date.fromisoformat(row["date"]).weekday() < 5) == (row["kind"] == "holiday")
    assert {"date": "2024-02-12", "kind": "holiday", "name": "春节"} in days
    assert {"date": "2024-02-04", "kind": "workday", "name": "春节"} in days


def test_the_commands_load_count_and_leave_alone(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`demo`, `demo --if-empty` and `census --json` as a shell would run them."""
    monkeypatch.setenv("DATABASE_URL", database)
    assert main(["demo"]) == 0
    capsys.readouterr()
    assert main(["demo", "--if-empty"]) == 0
    assert "already holds a city" in capsys.readouterr().out
    assert main(["demo"]) == 1
    assert "already holds a city" in capsys.readouterr().err
    assert main(["census", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: found[name] for name in CENSUS} == CENSUS


@pytest.mark.city("demo")
def test_a_broken_chain_is_counted_and_fails_the_census(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A county cut off from its city breaks the chains of all its micro grids."""
    with psycopg.connect(psycopg_dsn(database)) as connection:
        connection.execute("UPDATE area SET parent = '445303' WHERE code = '445302001'")
    lost = rows(database, "SELECT count(*) FROM area WHERE level = 6 AND code LIKE '445302001%'")[0][0]
    assert census(database)["broken_parent_chains"] == lost
    monkeypatch.setenv("DATABASE_URL", database)
    assert main(["census"]) == 1
    assert "broken parent chains" in capsys.readouterr().out

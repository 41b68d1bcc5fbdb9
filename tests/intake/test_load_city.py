"""Any city comes in by files; wrong files are refused with file, line, field and reason, and nothing is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shapely

from models.__main__ import main
from models.cities import city_files
from models.cities.city_files import read_city
from models.cities.loading import PROBLEMS_SHOWN, CityError, census, is_empty, parsed_policy, store
from models.servers.database import psycopg_dsn

HEADER = "code,name,name_en,level,parent,kind,lon,lat"
ROWS = [
    "990100,示例市,Example City,,,,110.5,30.5",
    "990102,甲区,District A,2,990100,,110.5,30.5",
    "990102001,一街道,First Street,3,990102,street,110.5,30.5",
    "990102001001,东社区,East,4,990102001,community,110.5,30.5",
    "99010200100101,东社区第01小网格,,small grid,990102001001,,,",
    "99010200100101001,东社区第001微网格,,,99010200100101,block,,",
    "99010200100100002,东社区学校,,,990102001001,school,110.51,30.51",
    "990102001201,西村,West,,,rural,,",
    "99010200120100001,西村第001微网格,,,990102001201,hamlet,,",
]


def square(code: str, west: float = 110.0, size: float = 1.0) -> dict[str, Any]:
    """Return a GeoJSON feature: a square for `code`."""
    east, south, north = west + size, 30.0, 30.0 + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "properties": {"code": code},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a small, sound city, for tests to spoil."""
    write(tmp_path, ROWS)
    return tmp_path


def write(folder: Path, rows: list[str], header: str = HEADER) -> None:
    """Write areas.csv."""
    (folder / "areas.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def outlines(folder: Path, *features: object, **more: object) -> None:
    """Write outlines.geojson."""
    content = {"type": "FeatureCollection", "features": list(features), **more}
    (folder / "outlines.geojson").write_text(json.dumps(content), encoding="utf-8")


def refusal(folder: Path) -> list[str]:
    """Return the lines in which a folder is refused."""
    with pytest.raises(CityError) as caught:
        read_city(folder)
    return str(caught.value).splitlines()


def test_a_sound_city_is_loaded_with_centres_stations_and_teams(database: str, folder: Path) -> None:
    """Its own outlines and points, one team of each trade at its level, and a whole tree."""
    outlines(folder, square("990102001201", 110.2, 0.1), square("990100"))
    (folder / "city.toml").write_text('code = "990100"\ntimezone = "Asia/Shanghai"\n')
    city = read_city(folder)
    store(database, city)
    found = census(database)
    assert (found["city"], found["middle"], found["small"], found["micro"]) == ("990100", 2, 1, 3)
    assert (found["shapes"], found["broken_parent_chains"], found["people"]) == (2, 0, 0)
    assert {team.trade for team in city.teams if team.area_code == "990102001201"} == {"grid"}
    areas = {area.code: area for area in city.areas}
    assert areas["990102001"].name_en == "First Street"
    assert (areas["990102001001"].focus, areas["99010200120100001"].focus) == ("urban", "rural")
    west = areas["990102001201"]
    assert west.lon is not None
    assert shapely.from_wkb(city.shapes[0].wkb).contains(shapely.Point(west.lon, west.lat))
    with psycopg.connect(psycopg_dsn(database)) as connection:
        assert connection.execute("SELECT count(*) FROM api_key").fetchone() == (0,)


def test_a_city_says_its_zone_in_its_own_file(folder: Path) -> None:
    """And its calendar, by which every limit runs and every day begins, is of that zone."""
    (folder / "city.toml").write_text('code = "990100"\ntimezone = "America/New_York"\n')
    assert parsed_policy(read_city(folder).policy).calendar.zone == "America/New_York"


def test_a_city_brings_its_own_teams(folder: Path) -> None:
    """Then none are made up; a team without a point stands where its area does."""
    (folder / "teams.csv").write_text(
        "name,trade,area,capacity,lon,lat\n一街道派出所,police,990102001,7,,\n西村网格队,grid,990102001201,,110.2,30.2\n"
    )
    city = read_city(folder)
    assert [(team.name, team.capacity, team.lon) for team in city.teams] == [
        ("一街道派出所", 7, 110.5),
        ("西村网格队", 6, 110.2),
    ]
    homes = {each.id: each.area_code for each in city.organisations}
    assert [homes[team.organisation_id] for team in city.teams] == ["990102001", "990102001201"]


def test_the_citys_own_row_may_stand_in_its_settings(folder: Path) -> None:
    """One city, whether areas.csv or city.toml names it."""
    write(folder, ROWS[1:])
    (folder / "city.toml").write_text('code = "990100"\nname = "示例市"\n', encoding="utf-8")
    assert read_city(folder).code == "990100"


def test_a_byte_order_mark_and_blank_lines_are_no_fault(folder: Path) -> None:
    """Spreadsheets write both."""
    (folder / "areas.csv").write_text("\n\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8-sig")
    assert len(read_city(folder).areas) == len(ROWS)


def test_another_encoding_is_refused_with_its_line(folder: Path) -> None:
    """GBK, as older spreadsheets save Chinese."""
    (folder / "areas.csv").write_bytes("\n".join([HEADER, *ROWS]).encode("gbk"))
    assert refusal(folder) == ["areas.csv, line 2: is not UTF-8 (byte 0xC0); save the file as UTF-8"]


def test_a_missing_column_is_named(folder: Path) -> None:
    """With what was found instead."""
    write(folder, ["990100,示例市,110,30"], "code,name,lon,lat")
    assert refusal(folder) == ["areas.csv, line 1, kind: missing column; found code, name, lon, lat"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("99010,坏,,,,,,", "areas.csv, line 11, code: expected 6, 9, 12, 14 or 17 digits, not '99010'"),
        (
            "99010200１,坏,,,,street,,",
            "areas.csv, line 11, code: expected 6, 9, 12, 14 or 17 digits, not '99010200１'",
        ),
        (
            "990102002001,南社区,,,,community,,",
            "areas.csv, line 11, code: 990102002001 lies in 990102002, which has no row",
        ),
        (
            "990103002001,南社区,,,,community,,",
            "areas.csv, line 11, code: 990103002001 lies in 990103002, which has no row"
            " (missing up to the city: 990103002, 990103)",
        ),
        (
            "99010200120101,西村第01小网格,,,,,,",
            "areas.csv, line 11, code: a small grid may hang only on a community, and 990102001201 西村 is rural: there"
            " micro grids hang on the village directly (digits 13-14 are 00)",
        ),
        (
            "990102001001,东社区,,,,community,,",
            "areas.csv, line 11, code: 990102001001 stands twice, first on line 5",
        ),
        ("990200,另一市,,,,,,", "areas.csv, line 11, code: a second city; 990100 is one already"),
        (
            "990102002,二街道,,4,,street,,",
            "areas.csv, line 11, level: '4' does not fit the code, whose form says 3 (town)",
        ),
        (
            "990102002,二街道,,,990103,street,,",
            "areas.csv, line 11, parent: '990103' does not fit the code, which lies in 990102",
        ),
        (
            "990102001002,北社区,,,,城市,,",
            "areas.csv, line 11, kind: expected community, rural, park for a village, not '城市'",
        ),
        (
            "990102002,二街道,,,,street,30.5,110.5",
            "areas.csv, line 11, lat: 110.5 lies outside -90..90 degrees (are lon and lat swapped?)",
        ),
        (
            "990102002,二街道,,,,street,508000,30",
            "areas.csv, line 11, lon: 508000 lies outside -180..180 degrees",
        ),
        ("990102002,二街道,,,,street,nan,30", "areas.csv, line 11, lon: nan lies outside -180..180 degrees"),
        ("990102002,二街道,,,,street,110,", "areas.csv, line 11, lat: expected degrees, not ''"),
        ("990102002,,,,,street,,", "areas.csv, line 11, name: is empty"),
        ("990102002,二街道,,,street,,", "areas.csv, line 11: expected 8 fields, found 7"),
    ],
)
def test_a_wrong_row_is_refused_with_line_field_and_reason(folder: Path, row: str, expected: str) -> None:
    """One fault, one sentence."""
    write(folder, [*ROWS, row])
    assert refusal(folder) == [expected]


def test_all_faults_are_listed_not_only_the_first(folder: Path) -> None:
    """Up to a number that a person reads; the rest are counted."""
    write(folder, [*ROWS, "1,a,,,,,,", "990102002,,,,,street,,"])
    outlines(folder, square("990199"))
    assert [line.split(":")[0] for line in refusal(folder)] == [
        "areas.csv, line 11, code",
        "areas.csv, line 12, name",
        "outlines.geojson, feature 1, properties.code",
    ]
    write(folder, [*ROWS, *(f"{i},a,,,,,," for i in range(70))])
    lines = refusal(folder)
    assert len(lines) == PROBLEMS_SHOWN + 1
    assert lines[-1] == "… and 21 more"


def bowtie() -> dict[str, Any]:
    """Return a feature whose outline crosses itself."""
    feature = square("990102001")
    feature["geometry"]["coordinates"] = [[[110, 30], [111, 31], [111, 30], [110, 31], [110, 30]]]
    return feature


@pytest.mark.parametrize(
    ("features", "more", "expected"),
    [
        (
            [square("990100"), bowtie()],
            {},
            "outlines.geojson, feature 2, geometry: is not a valid polygon: Self-intersection[110.5 30.5]",
        ),
        (
            [square("990100", 508000)],
            {},
            "outlines.geojson, feature 1, geometry: lies outside WGS84 degrees: 508000..508001 east, 30..31 north",
        ),
        (
            [square("990100"), square("990100")],
            {},
            "outlines.geojson, feature 2, properties.code: 990100 has an outline in outlines.geojson, feature 1"
            " already",
        ),
        (
            [{"properties": {"code": "990100"}, "geometry": {"type": "Point", "coordinates": [1, 2]}}],
            {},
            "outlines.geojson, feature 1, geometry: expected Polygon or MultiPolygon, not 'Point'",
        ),
        (
            [{"type": "Feature", "geometry": None}],
            {},
            "outlines.geojson, feature 1, properties.code: None is no area of areas.csv",
        ),
        ([7], {}, "outlines.geojson, feature 1: expected a GeoJSON Feature"),
        (
            [square("990100")],
            {"crs": {"properties": {"name": "EPSG:2381"}}},
            "outlines.geojson, crs: expected WGS84 degrees, not {'properties': {'name': 'EPSG:2381'}}",
        ),
    ],
)  # fmt: skip
def test_a_wrong_outline_is_refused_with_its_feature(
    folder: Path, features: list[object], more: dict[str, object], expected: str
) -> None:
    """The first feature of a file is number 1."""
    outlines(folder, *features, **more)
    assert refusal(folder) == [expected]


def test_what_is_not_json_or_toml_is_refused_with_its_line(folder: Path) -> None:
    """The libraries' own reasons, with the file's name."""
    (folder / "outlines.geojson").write_text('{"features": [\n}', encoding="utf-8")
    assert refusal(folder) == ["outlines.geojson, line 2: is not JSON: Expecting value"]
    (folder / "outlines.geojson").write_text("[" * 100_000, encoding="utf-8")
    assert refusal(folder) == ["outlines.geojson: is not JSON: is nested too deeply"]
    (folder / "city.toml").write_text("code = 990100\n")
    assert refusal(folder) == ["city.toml, code: expected text, not 990100"]
    (folder / "city.toml").write_text("code = \n")
    assert refusal(folder)[0].startswith("city.toml: Invalid value (at line 1")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("队,fishing,990102001,5,,", "teams.csv, line 2, trade: no trade 'fishing' in trades.csv"),
        (
            "队,police,990109,5,,",
            "teams.csv, line 2, area: '990109' is no city, county, town or village of areas.csv",
        ),
        ("队,police,990102001,0,,", "teams.csv, line 2, capacity: expected 1 to 1000, not '0'"),
        ("队,police,990102001,5,110,x", "teams.csv, line 2, lat: expected degrees, not 'x'"),
    ],
)
def test_a_wrong_team_is_refused(folder: Path, row: str, expected: str) -> None:
    """With the same care as a wrong area."""
    (folder / "teams.csv").write_text(f"name,trade,area,capacity,lon,lat\n{row}\n", encoding="utf-8")
    assert refusal(folder) == [expected]


def test_a_huge_file_is_refused_unread(folder: Path) -> None:
    """By its size alone, in a moment and without the memory."""
    with (folder / "areas.csv").open("r+b") as file:
        file.truncate(city_files.TABLE_LIMIT_BYTES + 6_000_000)
    assert refusal(folder) == ["areas.csv: has 70 MB; at most 64 MB are read"]


def test_what_is_no_table_is_refused(folder: Path) -> None:
    """A null byte, an open quote, nothing, no file, no folder."""
    (folder / "areas.csv").write_bytes(b"PK\x03\x04\0\0")
    assert refusal(folder) == ["areas.csv, line 1: holds a null character; this is not a text file"]
    (folder / "areas.csv").write_text(f'{HEADER}\n990100,"示例市,,,,,,\n', encoding="utf-8")
    assert refusal(folder) == ["areas.csv, line 2: is not CSV: unexpected end of data"]
    (folder / "areas.csv").write_text("")
    assert refusal(folder) == ["areas.csv, line 1, code, name, kind, lon, lat: missing column; found nothing"]
    (folder / "areas.csv").unlink()
    assert refusal(folder) == ["areas.csv: is missing"]
    assert refusal(folder / "nowhere") == [f"{folder / 'nowhere'}: is not a folder"]


def test_a_refused_city_leaves_the_database_empty(
    database: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the command ends with 1 and the sentences on standard error."""
    monkeypatch.setenv("DATABASE_URL", database)
    outlines(folder, square("990100"), bowtie())
    assert main(["load-city", str(folder)]) == 1
    assert "outlines.geojson, feature 2, geometry: is not a valid polygon" in capsys.readouterr().err
    assert is_empty(database)


def test_the_command_checks_loads_and_refuses_a_second_city(
    database: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run needs no database and writes nothing."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@localhost:1/nowhere")
    assert main(["load-city", str(folder), "--dry-run"]) == 0
    assert "Nothing was loaded" in capsys.readouterr().out
    monkeypatch.setenv("DATABASE_URL", database)
    assert is_empty(database)
    assert main(["load-city", str(folder)]) == 0
    assert main(["load-city", str(folder)]) == 1
    assert "already holds a city (示例市 990100)" in capsys.readouterr().err

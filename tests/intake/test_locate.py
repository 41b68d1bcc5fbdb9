"""A report is located by point, code or address; what is only a default is flagged, what lies outside is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
import pytest

from dispatch.intake import locate
from dispatch.intake.locate import AreaRow, Locator, Place
from dispatch.intake.messages import ReportMessage
from dispatch.intake.problems import Problem
from dispatch.intake.suggest import Suggester
from dispatch.rules.policy.policy import EventType, parse
from models.cities import loading
from models.servers.database import psycopg_dsn
from tests import small_city as town

pytestmark = pytest.mark.city("small")


@pytest.fixture(scope="module")
def locator() -> Locator:
    """Return the locator of the small city."""
    city = town.build()
    shapes = {shape.code: shape.wkb for shape in city.shapes}
    rows = [AreaRow(a.code, a.name, a.name_en, a.lon, a.lat, shapes.get(a.code)) for a in city.areas]
    return Locator(rows, [(113.0033, 23.0044)])


def report(point: tuple[float, float] | None = None, **changes: Any) -> ReportMessage:
    """Return a report at a point or with other words for its place."""
    lon, lat = point or (None, None)
    made: dict[str, Any] = {
        "v": 1,
        "source": "s",
        "source_id": "1",
        "text": "x",
        "lon": lon,
        "lat": lat,
    } | changes
    return ReportMessage(reported_at=datetime(2026, 1, 1, tzinfo=UTC), **made)


def test_a_point_is_in_the_deepest_area_around_it(locator: Locator) -> None:
    found = locator.locate([report(town.IN_EAST), report(town.IN_WEST_CELL), report(town.IN_WEST)])
    assert found == [
        Place(town.EAST, *town.IN_EAST, "point"),
        Place(town.WEST_CELL, *town.IN_WEST_CELL, "point"),
        # Between the cells of a village: the village itself.
        Place(town.WEST, *town.IN_WEST, "point"),
    ]


def test_a_point_on_a_border_is_in_one_area_and_always_the_same(locator: Locator) -> None:
    codes = locator.areas_of(np.array([113.01] * 50), np.array([23.008] * 50))
    assert len(set(codes)) == 1
    assert codes[0] is not None


def test_a_point_outside_is_refused_and_takes_no_neighbour_along(locator: Locator) -> None:
    found = locator.locate([report(town.IN_THE_SEA), report(town.IN_EAST)])
    assert isinstance(found[0], Problem)
    assert (found[0].field, found[0].reason) == ("lon", "outside_city")
    assert isinstance(found[1], Place)


@pytest.mark.parametrize("code", [town.COUNTY, town.TOWN, town.EAST, town.WEST_CELL])
def test_a_code_of_any_level_locates(locator: Locator, code: str) -> None:
    assert locator.locate([report(area=code)]) == [Place(code, None, None, "code")]


def test_the_code_of_the_city_is_only_a_default(locator: Locator) -> None:
    assert locator.locate([report(area=town.CITY)]) == [Place(town.CITY, None, None, "default")]


def test_an_unknown_code_is_refused(locator: Locator) -> None:
    for message in (report(area="990902001"), report(town.IN_EAST, area="990902001")):
        [found] = locator.locate([message])
        assert isinstance(found, Problem)
        assert (found.field, found.reason) == ("area", "unknown_area")


def test_a_code_inside_the_area_of_the_point_is_more_exact(locator: Locator) -> None:
    [deeper] = locator.locate([report(town.IN_WEST, area=town.WEST_CELL)])
    [other] = locator.locate([report(town.IN_WEST, area=town.EAST)])
    assert isinstance(deeper, Place)
    assert isinstance(other, Place)
    assert (deeper.area_code, other.area_code) == (town.WEST_CELL, town.WEST)


@pytest.mark.parametrize("point", [town.CENTRE, (113.0033, 23.0044)])
def test_default_and_centre_points_are_flagged_and_give_no_degrees(
    locator: Locator, point: tuple[float, float]
) -> None:
    [found] = locator.locate([report(point)])
    assert isinstance(found, Place)
    assert (found.lon, found.lat, found.located) == (None, None, "default")
    [known] = locator.locate([report(point, area=town.WEST)])
    assert known == Place(town.WEST, None, None, "code")
    [flagged] = locator.locate([report(town.IN_EAST, approximate=True)])
    assert flagged == Place(town.EAST, None, None, "default")


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("试验县河口镇东岸村民委员会三巷5号", town.EAST),
        ("河口镇西岸社区2栋", town.WEST),
        ("东岸村民委员会旁边", town.EAST),
        ("河口镇政府门口", town.TOWN),
    ],
)
def test_an_address_line_locates_to_the_village_or_town(locator: Locator, address: str, code: str) -> None:
    assert locator.locate([report(address=address)]) == [Place(code, None, None, "address")]


def test_an_address_without_a_name_of_this_city_is_refused(locator: Locator) -> None:
    [found] = locator.locate([report(address="北京市长安街1号")])
    assert isinstance(found, Problem)
    assert found.reason == "unknown_address"


def test_a_village_name_of_two_towns_needs_the_town() -> None:
    rows = [
        AreaRow(code, name, None, None, None, None)
        for code, name in (
            ("990900", "市"), ("990901", "县"), ("990901001", "甲山镇"), ("990901002", "乙水镇"),
            ("990901001001", "新屋村民委员会"), ("990901002001", "新屋村民委员会"),
        )
    ]  # fmt: skip
    both = Locator(rows)
    [unclear] = both.locate([report(address="新屋村民委员会")])
    assert isinstance(unclear, Problem)
    assert unclear.reason == "ambiguous_address"
    [clear] = both.locate([report(address="乙水镇新屋村民委员会")])
    assert isinstance(clear, Place)
    assert clear.area_code == "990901002001"


def test_without_outlines_the_code_or_address_takes_a_point_in() -> None:
    bare = Locator(
        [AreaRow("990900", "市", None, None, None, None), AreaRow("990901", "县", None, None, None, None)]
    )
    [found] = bare.locate([report(town.IN_EAST, area="990901")])
    assert found == Place("990901", *town.IN_EAST, "point")
    assert isinstance(bare.locate([report(town.IN_EAST)])[0], Problem)


def test_gcj02_is_turned_back_to_wgs84_within_a_metre(locator: Locator) -> None:
    lon, lat = np.array([113.005, 116.39, 87.6]), np.array([23.005, 39.9, 43.8])
    dx, dy = locate._gcj02_shift(lon, lat)
    x, y = locate.wgs84_of_gcj02(lon + dx, lat + dy)
    assert np.abs(x - lon).max() < 1e-7
    assert np.abs(y - lat).max() < 1e-7
    # Known shift: some hundred metres to the south-east in Guangdong.
    assert 0.004 < dx[0] < 0.007
    assert -0.004 < dy[0] < -0.001
    [found] = locator.locate([report((lon[0] + dx[0], lat[0] + dy[0]), datum="gcj02")])
    assert isinstance(found, Place)
    assert found.area_code == town.EAST


def test_default_points_file_is_read_and_its_faults_are_named(tmp_path: Any) -> None:
    path = tmp_path / "points.csv"
    assert locate.default_points(path) == []
    path.write_text("lon,lat,note\n113.1,23.1,hall\n", encoding="utf-8")
    assert locate.default_points(path) == [(113.1, 23.1)]
    path.write_text("lon,lat\n113.1,north\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        locate.default_points(path)


@pytest.fixture
def city(database: str) -> Iterator[psycopg.Connection[Any]]:
    """Load the small city; yield a connection."""
    with psycopg.connect(psycopg_dsn(database), autocommit=True) as connection:
        yield connection


def test_the_fingerprint_changes_with_every_change_of_the_tree(city: psycopg.Connection[Any]) -> None:
    assert len(locate.load(city)) == 6
    seen = [locate.fingerprint(city)]
    assert locate.fingerprint(city) == seen[0]
    for change in (
        "UPDATE area SET name = '新名' WHERE code = '990901001001'",
        "DELETE FROM area_shape WHERE code = '990901001001'",
        "DELETE FROM area WHERE code = '99090100100200001'",
    ):
        city.execute(change.encode())
        seen.append(locate.fingerprint(city))
    assert len(set(seen)) == len(seen)


def test_a_batch_is_located_fast(locator: Locator) -> None:
    """Slack by a factor of ten, of this thread's own time alone: this only notices a loop over outlines."""
    batch = [report((113.0 + i % 20 / 1000, 23.005)) for i in range(500)]
    taken = []
    for _ in range(3):
        began = time.thread_time()
        locator.locate(batch)
        taken.append(time.thread_time() - began)
    assert min(taken) < 0.1


def test_words_suggest_a_type_and_are_kept() -> None:
    policy = parse(1, loading.policy_files())
    suggester = Suggester(policy.types, policy.fallback)
    found = suggester.suggest("我家电动车被偷，小偷还撬锁")
    assert found.category == "0101"
    assert "小偷" in found.words
    assert suggester.suggest("嗯") == suggester.suggest("")
    assert suggester.suggest("").category == policy.fallback
    assert suggester.suggest("").words == ()


def test_every_keyword_alone_finds_a_type_that_lists_it() -> None:
    policy = parse(1, loading.policy_files())
    suggester = Suggester(policy.types, policy.fallback)
    for kind in policy.types.values():
        for word in kind.keywords:
            if len(word) > 1:
                chosen: EventType = policy.types[suggester.suggest(word).category]
                assert any(each.casefold() in word.casefold() for each in chosen.keywords)

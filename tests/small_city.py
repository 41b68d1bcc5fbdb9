"""Build a city of two villages, two square kilometres each, for tests that need one quickly."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import shapely

from models.cities import loading
from models.cities.loading import AreaRow, ShapeRow

CITY, COUNTY, TOWN = "990900", "990901", "990901001"
EAST, WEST, WEST_CELL = "990901001001", "990901001002", "99090100100200001"
IN_EAST, IN_WEST, IN_WEST_CELL = (113.005, 23.005), (113.018, 23.008), (113.012, 23.002)
IN_THE_SEA = (115.0, 21.0)
CENTRE = (113.01, 23.006)  # of the town, county and city: a default point
KEY = "a key for tests"


def build() -> loading.City:
    """Return the city with the shipped policy, its organisations and teams."""
    boxes = {
        CITY: (113.0, 23.0, 113.02, 23.01),
        COUNTY: (113.0, 23.0, 113.02, 23.01),
        TOWN: (113.0, 23.0, 113.02, 23.01),
        EAST: (113.0, 23.0, 113.01, 23.01),
        WEST: (113.01, 23.0, 113.02, 23.01),
        WEST_CELL: (113.01, 23.0, 113.015, 23.005),
    }
    names = {
        CITY: ("试验市", 1, "", None),
        COUNTY: ("试验县", 2, "", CITY),
        TOWN: ("河口镇", 3, "town", COUNTY),
        EAST: ("东岸村民委员会", 4, "rural", TOWN),
        WEST: ("西岸社区居民委员会", 4, "community", TOWN),
        WEST_CELL: ("西岸一组", 6, "block", WEST),
    }
    areas = []
    for code, (name, level, kind, parent) in names.items():
        lon, lat = CENTRE if level <= 3 else shapely.box(*boxes[code]).centroid.coords[0]
        areas.append(AreaRow(code, level, name, None, kind, parent, "", lon, lat, "test"))
    policy = loading.policy_files()
    organisations, teams = loading.establish(areas, loading.parsed_policy(policy).trades)
    shapes = [ShapeRow(code, shapely.to_wkb(shapely.box(*box)), True) for code, box in boxes.items()]
    return loading.City(CITY, policy, areas, shapes, organisations, teams, open_key=KEY)


def with_second_teams() -> loading.City:
    """Return the small city with two teams of every kind, so that there is a choice."""
    small = build()
    long = "second comprehensive enforcement and patrol squad"
    more = [
        team._replace(id=team.id + 50_000, name=f"{team.name}二队", name_en=f"{team.name_en}, {long}")
        for team in small.teams
    ]
    return replace(small, teams=[*small.teams, *more])


def message(serial: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a good report as its source would send it, with changes; None takes a field out."""
    made: dict[str, Any] = {
        "v": 1,
        "source": "demo",
        "source_id": f"T-{serial}",
        "category": "0101",
        "text": "路灯不亮",
        "lon": IN_EAST[0],
        "lat": IN_EAST[1],
        "reported_at": datetime.now(UTC).isoformat(),
    }
    made |= changes
    return {name: value for name, value in made.items() if value is not None}


def raw(serial: int = 1, **changes: Any) -> bytes:
    """Return a good report as JSON bytes, with changes."""
    return json.dumps(message(serial, **changes), ensure_ascii=False).encode()

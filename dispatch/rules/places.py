"""Pack where and what into one number, so that likely duplicates are found by looking up four keys."""

from __future__ import annotations

from math import cos, hypot, radians

KM_PER_DEGREE = 111.195  # of latitude, on a sphere of 6,371 km
METRES_PER_DEGREE = 1_000 * KM_PER_DEGREE
CELLS_PER_DEGREE = 500  # cells of 0.002 degree, about 200 m


def place_of(category: str, lon: float | None, lat: float | None) -> int | None:
    """Pack category and the cell of a point into one number; None without a point."""
    if lon is None or lat is None:
        return None
    return _packed(category, int((lon + 180) * CELLS_PER_DEGREE), int((lat + 90) * CELLS_PER_DEGREE))


def places_around(category: str, lon: float, lat: float) -> tuple[int, int, int, int]:
    """Return the four cells that cover every point within half a cell (about 100 m) of a point."""
    x, y = (lon + 180) * CELLS_PER_DEGREE, (lat + 90) * CELLS_PER_DEGREE
    left, low = int(x - 0.5), int(y - 0.5)
    return (
        _packed(category, left, low),
        _packed(category, left + 1, low),
        _packed(category, left, low + 1),
        _packed(category, left + 1, low + 1),
    )


def metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the distance of two points (lon, lat) in metres; exact enough within a city."""
    return hypot((a[0] - b[0]) * cos(radians(a[1])), a[1] - b[1]) * METRES_PER_DEGREE


def _packed(category: str, x: int, y: int) -> int:
    return (int(category) << 36) | (x << 18) | y

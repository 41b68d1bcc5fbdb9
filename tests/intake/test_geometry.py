"""Cells cover their parent without gap or overlap, whatever its shape, and are the same every time."""

from __future__ import annotations

import math
from random import Random

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cities.geometry import Ring, area, counter_clockwise, inner_point, partition, wkb

SQUARE: Ring = [(112.0, 22.0), (112.1, 22.0), (112.1, 22.1), (112.0, 22.1)]
# Straight lines across it leave and come back: a comb, and a spiral like the bends of a river.
COMB: Ring = [
    (112.0, 22.0), (112.9, 22.0), (112.9, 22.5), (112.8, 22.5), (112.8, 22.1), (112.6, 22.1), (112.6, 22.5),
    (112.5, 22.5), (112.5, 22.1), (112.3, 22.1), (112.3, 22.5), (112.0, 22.5),
]  # fmt: skip


def star(points: int, deep: float) -> Ring:
    """Return a star of `points` spikes around (112, 23); `deep` is the inner radius as a share of the outer."""
    ring = []
    for i in range(2 * points):
        radius = 0.1 * (1.0 if i % 2 else deep)
        turn = math.pi * i / points
        ring.append((112 + radius * math.cos(turn), 23 + radius * math.sin(turn)))
    return ring


def assert_partition(ring: Ring, cells: list[Ring]) -> None:
    """Check with another library that the cells are valid, single, and cover the ring exactly once."""
    whole = shapely.Polygon(ring)
    polygons = [shapely.Polygon(cell) for cell in cells]
    assert all(each.is_valid for each in polygons)
    assert all(area(cell) > 0 for cell in cells)
    assert sum(each.area for each in polygons) == pytest.approx(whole.area, rel=1e-9)
    assert shapely.union_all(polygons).symmetric_difference(whole).area < 1e-9 * whole.area
    tree = shapely.STRtree(polygons)
    for i, j in tree.query(polygons, predicate="overlaps").T:
        assert polygons[i].intersection(polygons[j]).area < 1e-9 * whole.area


@pytest.mark.parametrize("wavy", [False, True])
@pytest.mark.parametrize(
    "ring", [SQUARE, COMB, star(5, 0.4), star(9, 0.15)], ids=["square", "comb", "star", "spiky"]
)
def test_cells_cover_their_parent_once(ring: Ring, wavy: bool) -> None:
    """Convex or not, bent or straight."""
    assert_partition(ring, partition(ring, [1.0] * 40, Random(7), wavy=wavy))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(3, 12),
    st.floats(0.2, 0.95),
    st.lists(st.floats(0.2, 3.0), min_size=1, max_size=30),
)
def test_any_star_is_divided_among_any_weights(
    seed: int, points: int, deep: float, weights: list[float]
) -> None:
    """No seed, outline or list of weights breaks the division."""
    ring = star(points, deep)
    cells = partition(ring, weights, Random(seed), wavy=bool(seed % 2))
    assert len(cells) == len(weights)
    assert_partition(ring, cells)


def test_areas_follow_the_weights() -> None:
    """A cell of three times the weight has about three times the land."""
    cells = partition(SQUARE, [1, 1, 3, 3, 1, 1], Random(1))
    shares = [area(cell) / area(SQUARE) for cell in cells]
    assert shares == pytest.approx([0.1, 0.1, 0.3, 0.3, 0.1, 0.1], abs=0.01)


def test_the_first_cells_lie_towards_the_heart() -> None:
    """A town's communities, first in its list, gather around its centre."""
    heart = (112.09, 22.01)
    cells = partition(SQUARE, [1.0] * 16, Random(3), heart)

    def distance(cell: Ring) -> float:
        return math.dist(inner_point(cell), heart)

    assert distance(cells[0]) == min(map(distance, cells))


def test_cells_are_compact_not_stripes() -> None:
    """Most cells of a square are rounder than a rectangle of one to four, and none is a sliver."""
    cells = [shapely.Polygon(cell) for cell in partition(SQUARE, [1.0] * 500, Random(5))]
    roundness = sorted(4 * math.pi * each.area / each.length**2 for each in cells)
    assert roundness[len(cells) // 20] > 4 * math.pi * 4 / 10**2
    assert roundness[0] > 0.2


def test_the_same_seed_gives_the_same_bytes() -> None:
    """And another seed gives others."""

    def cells(seed: int) -> list[bytes]:
        return [wkb(cell) for cell in partition(COMB, [1.0] * 30, Random(seed), wavy=True)]

    assert cells(1) == cells(1)
    assert cells(1) != cells(2)


@pytest.mark.parametrize(
    ("ring", "weights"), [(SQUARE[::-1], [1.0]), (SQUARE[:2], [1.0]), (SQUARE, []), (SQUARE, [1.0, 0.0])]
)
def test_what_cannot_be_divided_is_refused(ring: Ring, weights: list[float]) -> None:
    """Clockwise or no ring at all; no weights, or a weight of nothing."""
    with pytest.raises(ValueError, match="expected"):
        partition(ring, weights, Random(0))


@pytest.mark.parametrize("ring", [SQUARE, COMB, star(7, 0.2)])
def test_the_inner_point_lies_inside(ring: Ring) -> None:
    """Also where the centre of mass would not."""
    assert shapely.Polygon(ring).contains(shapely.Point(inner_point(ring)))


def test_a_crescent_has_its_point_inside_although_its_centre_is_not() -> None:
    """The point moves to the middle of a chord."""
    crescent = [
        (0.0, 0.0),
        (10.0, 0.0),
        (10.0, 10.0),
        (9.0, 10.0),
        (9.0, 1.0),
        (1.0, 1.0),
        (1.0, 10.0),
        (0.0, 10.0),
    ]
    polygon = shapely.Polygon(crescent)
    assert not polygon.contains(polygon.centroid)
    assert polygon.contains(shapely.Point(inner_point(crescent)))


def test_a_geojson_ring_is_turned_and_opened() -> None:
    """Closing and repeated points go; the direction becomes counter-clockwise."""
    ring = [[0, 0], [0, 1], [0, 1], [1, 1], [1, 0], [0, 0]]
    assert counter_clockwise(ring) == [(1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)]


def test_the_binary_form_is_read_by_other_libraries() -> None:
    """WKB of a polygon with its first point repeated at the end."""
    assert shapely.from_wkb(wkb(SQUARE)).equals(shapely.Polygon(SQUARE))

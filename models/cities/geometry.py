"""Divides a polygon into cells that look like a city's, always the same for the same seed.

The demo city has no surveyed cells below its towns, so it grows them: each polygon is cut in two across its
longer axis, again and again, until every part has its cell. A cut is one chord from edge to edge, and a chord
splits any simple polygon, concave or not, into exactly two simple polygons. So cells are always single polygons
without holes, and the cells of one parent cover it without gap or overlap.

Plain floats instead of shapely: some twenty thousand cuts of small polygons cost more in calls than in arithmetic.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import atan2, cos, hypot, radians, sin
from random import Random

Point = tuple[float, float]
# Longitude and latitude in degrees (WGS84), counter-clockwise, first point not repeated.
Ring = list[Point]

# How far a cut may turn from the straight across, and where near the middle of the weights it may fall.
_TURN_RAD = 0.16
_MIDDLE, _MIDDLE_JITTER = 0.5, 0.09
# Turns tried, in this order, when the line of a cut would leave a concave polygon and come back.
_OTHER_TURNS_RAD = (0.0, 0.3, -0.3, 0.6, -0.6, 0.95, -0.95, 1.3, -1.3, 1.57)
_NEWTON_STEPS = 4
# How near a part's share of the area comes to the share wanted.
_CLOSE = 2e-3
# A cut this close to a corner (share of the edge) goes through the corner: no tiny edges.
_SNAP = 1e-6
# A wavy cut leaves the chord by up to this share of its length.
_WAVE = 0.09
_MIN_POINTS = 3


def partition(
    ring: Ring, weights: Sequence[float], rng: Random, heart: Point | None = None, wavy: bool = False
) -> list[Ring]:
    """Divide `ring` into one cell for each weight, in order, with areas about proportional to the weights.

    Neighbours in order are neighbours on the map. The first cells lie towards `heart` where it is given, else
    towards the north-west. With `wavy` the cuts bend a little, as boundaries of villages do. `ring` must be simple
    and counter-clockwise, weights above 0; raises ValueError otherwise.
    """
    if len(ring) < _MIN_POINTS or area(ring) <= 0:
        raise ValueError("expected a counter-clockwise ring of at least three points")
    if not weights or min(weights) <= 0:
        raise ValueError("expected at least one weight, each above 0")
    sums = [0.0, *accumulate(weights)]
    cells: list[Ring] = []
    # A stack instead of recursion: the next piece to divide is always the first in order.
    pieces = [(ring, 0, len(weights))]
    while pieces:
        piece, first, last = pieces.pop()
        if last - first == 1:
            cells.append(piece)
            continue
        total = sums[last] - sums[first]
        middle = sums[first] + total * (_MIDDLE + _MIDDLE_JITTER * (2 * rng.random() - 1))
        at = bisect_left(sums, middle, first + 1, last)
        if at > first + 1 and middle - sums[at - 1] < sums[at] - middle:
            at -= 1
        at = min(max(at, first + 1), last - 1)
        one, two = _cut(piece, (sums[at] - sums[first]) / total, rng, heart, wavy)
        pieces.append((two, at, last))
        pieces.append((one, first, at))
    return cells


def area(ring: Ring) -> float:
    """Return the area of a ring in square degrees, negative when it runs clockwise."""
    # Relative to the first point: a cell is ten thousand times smaller than its distance from the origin.
    x0, y0 = ring[0]
    doubled = 0.0
    ax = ay = 0.0
    for x, y in ring:
        bx, by = x - x0, y - y0
        doubled += ax * by - bx * ay
        ax, ay = bx, by
    return doubled / 2


def counter_clockwise(ring: Sequence[Sequence[float]]) -> Ring:
    """Return a GeoJSON ring as a `Ring`: closing and repeated points dropped, turned counter-clockwise."""
    points: Ring = []
    for each in ring:
        point = (float(each[0]), float(each[1]))
        if not points or point != points[-1]:
            points.append(point)
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    return points if area(points) > 0 else points[::-1]


def inner_point(ring: Ring) -> Point:
    """Return a point inside the ring: its centre of mass, or where that lies outside, the middle of a chord."""
    x0, y0 = ring[0]
    doubled = sx = sy = 0.0
    ax = ay = 0.0
    for x, y in ring:
        bx, by = x - x0, y - y0
        cross = ax * by - bx * ay
        doubled += cross
        sx += (ax + bx) * cross
        sy += (ay + by) * cross
        ax, ay = bx, by
    centre = (x0 + sx / (3 * doubled), y0 + sy / (3 * doubled))
    crossings = _eastward(ring, centre[1])
    if sum(x < centre[0] for x in crossings) % 2:
        return centre
    # Of the chords on the centre's parallel take the widest; pairs of crossings bound the inside.
    pairs = zip(crossings[::2], crossings[1::2], strict=True)
    west, east = max(pairs, key=lambda pair: pair[1] - pair[0])
    return ((west + east) / 2, centre[1])


def wkb(ring: Ring) -> bytes:
    """Return the ring as little-endian WKB of a polygon without holes."""
    flat: list[float] = []
    for point in ring:
        flat += point
    flat += ring[0]
    count = len(ring) + 1
    return struct.pack(f"<BIII{2 * count}d", 1, 3, 1, count, *flat)


def _eastward(ring: Ring, latitude: float) -> list[float]:
    """Return the longitudes at which the ring crosses a parallel, from west to east."""
    found = []
    ax, ay = ring[-1]
    for bx, by in ring:
        if (ay < latitude) != (by < latitude):
            found.append(ax + (latitude - ay) / (by - ay) * (bx - ax))
        ax, ay = bx, by
    return sorted(found)


def _cut(ring: Ring, share: float, rng: Random, heart: Point | None, wavy: bool) -> tuple[Ring, Ring]:
    """Split a ring by one chord; the first part has about `share` of the area and lies on the side asked for."""
    angle, centre, squeeze = _long_axis(ring)
    angle += _TURN_RAD * (2 * rng.random() - 1)
    best: tuple[float, Ring, Ring] | None = None
    for turn in _OTHER_TURNS_RAD:
        # Degrees of longitude are shorter than degrees of latitude; angles are measured on the ground.
        dx, dy = cos(angle + turn) * squeeze, sin(angle + turn)
        # Towards the heart; else from north-west to south-east, as grids are numbered.
        east, north = (heart[0] - centre[0], heart[1] - centre[1]) if heart else (-1, 1)
        if east * dx + north * dy > 0:
            dx, dy = -dx, -dy
        along = [x * dx + y * dy for x, y in ring]
        at = _offset(ring, along, dx, dy, share)
        crossings = _crossings(ring, along, at)
        if len(crossings) == 2:
            (_, low, start), (_, high, end) = sorted(crossings, key=_edge)
            return _split(ring, along, at, (low, start), (high, end), rng if wavy else None)
        for (_, edge, point), (_, other, far) in zip(crossings[::2], crossings[1::2], strict=True):
            ends = sorted(((edge, point), (other, far)))
            one, two = _split(ring, along, at, ends[0], ends[1], None)
            wrong = abs(area(one) / (area(one) + area(two)) - share)
            if best is None or wrong < best[0]:
                best = (wrong, one, two)
    if best is None:
        raise ValueError("the ring has no inside to cut")
    return best[1], best[2]


def _edge(crossing: tuple[float, int, Point]) -> int:
    return crossing[1]


def _long_axis(ring: Ring) -> tuple[float, Point, float]:
    """Return the longer axis (radians, on the ground), the centre, and how short a degree of longitude is."""
    x0, y0 = ring[0]
    squeeze = cos(radians(y0))
    doubled = sx = sy = sxx = syy = sxy = 0.0
    ax = ay = 0.0
    for x, y in ring:
        bx, by = (x - x0) * squeeze, y - y0
        cross = ax * by - bx * ay
        doubled += cross
        sx += (ax + bx) * cross
        sy += (ay + by) * cross
        sxx += (ax * ax + ax * bx + bx * bx) * cross
        syy += (ay * ay + ay * by + by * by) * cross
        sxy += (2 * ax * ay + ax * by + bx * ay + 2 * bx * by) * cross
        ax, ay = bx, by
    mx, my = sx / (3 * doubled), sy / (3 * doubled)
    xx = sxx / (6 * doubled) - mx * mx
    yy = syy / (6 * doubled) - my * my
    xy = sxy / (12 * doubled) - mx * my
    return atan2(2 * xy, xx - yy) / 2, (x0 + mx / squeeze, y0 + my), squeeze


def _offset(ring: Ring, along: list[float], dx: float, dy: float, share: float) -> float:
    """Return where across the direction a line leaves about `share` of the area below it."""
    low, high = min(along), max(along)
    # Across the direction; the scale of (along, across) against degrees is the same for whole and part.
    across = [y * dx - x * dy for x, y in ring]
    base, side = along[0], across[0]
    edges = []
    a, v = along[-1] - base, across[-1] - side
    whole = 0.0
    for i in range(len(ring)):
        b, w = along[i] - base, across[i] - side
        edges.append((a, b, w - v))
        whole += (a + b) * (w - v)
        a, v = b, w
    wanted = share * whole / 2
    enough = _CLOSE * whole / 2
    low, high = low - base, high - base
    at = low + share * (high - low)
    for _ in range(_NEWTON_STEPS):
        # Green's theorem: the area below is the integral of (along - at) over the boundary below.
        below = width = 0.0
        for a, b, rise in edges:
            if a < at:
                if b < at:
                    below += ((a + b) / 2 - at) * rise
                    width -= rise
                else:
                    part = rise * (at - a) / (b - a)
                    below += (a - at) / 2 * part
                    width -= part
            elif b < at:
                part = rise * (at - b) / (a - b)
                below += (b - at) / 2 * part
                width -= part
        if abs(below - wanted) < enough:
            break
        if below > wanted:
            high = at
        else:
            low = at
        step = at - (below - wanted) / width if width else at
        at = step if low <= step <= high else (low + high) / 2
    return at + base


def _crossings(ring: Ring, along: list[float], at: float) -> list[tuple[float, int, Point]]:
    """Return where a line crosses the ring as (position on the line, edge, point), in order along the line."""
    found: list[tuple[float, int, Point]] = []
    last = len(ring) - 1
    a = along[last]
    for i, b in enumerate(along):
        if (a < at) != (b < at):
            edge = i - 1 if i else last
            (ax, ay), (bx, by) = ring[edge], ring[i]
            part = (at - a) / (b - a)
            if part < _SNAP:
                point = (ax, ay)
            elif part > 1 - _SNAP:
                point = (bx, by)
            else:
                point = (ax + part * (bx - ax), ay + part * (by - ay))
            found.append((0.0, edge, point))
        a = b
    if len(found) > 2:
        # Only a line that leaves and comes back needs its crossings in order along it.
        (_, _, first), (_, _, second) = found[0], found[1]
        ux, uy = second[0] - first[0], second[1] - first[1]
        found = sorted((point[0] * ux + point[1] * uy, edge, point) for _, edge, point in found)
    return found


def _split(
    ring: Ring,
    along: list[float],
    at: float,
    start: tuple[int, Point],
    end: tuple[int, Point],
    rng: Random | None,
) -> tuple[Ring, Ring]:
    """Return the parts below and above a chord between two edges, the lower edge number first."""
    (low, p), (high, q) = start, end
    between = _bend(ring, start, end, rng) if rng else []
    one = [p, *ring[low + 1 : high + 1], q, *reversed(between)]
    two = [q, *ring[high + 1 :], *ring[: low + 1], p, *between]
    if p in (ring[low], ring[low + 1]) or q in (ring[high], ring[high + 1 - len(ring)]):
        # The chord ends in a corner, which is then in a part twice.
        one, two = _without_repeats(one), _without_repeats(two)
    return (one, two) if along[low + 1] < at else (two, one)


def _without_repeats(ring: Ring) -> Ring:
    return [point for i, point in enumerate(ring) if point != ring[i - 1]]


def _bend(ring: Ring, start: tuple[int, Point], end: tuple[int, Point], rng: Random) -> Ring:
    """Return points that make a chord wavy, from start to end, or none where they would not stay inside."""
    (low, p), (high, q) = start, end
    squeeze = cos(radians(p[1]))
    dx, dy = q[0] - p[0], q[1] - p[1]
    swing = _WAVE * (2 * rng.random() - 1)
    spots = (0.22 + 0.1 * rng.random(), 0.45 + 0.1 * rng.random(), 0.68 + 0.1 * rng.random())
    swings = (swing, swing * (rng.random() - 0.5), -swing)
    points = [
        (p[0] + s * dx - w * dy / squeeze, p[1] + s * dy + w * dx * squeeze)
        for s, w in zip(spots, swings, strict=True)
    ]
    path = [p, *points, q]
    count = len(ring)
    for i in range(count):
        c, d = ring[i], ring[(i + 1) % count]
        for j in range(len(path) - 1):
            a, b = path[j], path[j + 1]
            # At its own two edges the path touches by design; there the next point must lie clearly inside.
            if i == low and j == 0:
                if _turn(c, d, b) <= 0.15 * hypot(d[0] - c[0], d[1] - c[1]) * hypot(b[0] - a[0], b[1] - a[1]):
                    return []
            elif i == high and j == len(path) - 2:
                if _turn(c, d, a) <= 0.15 * hypot(d[0] - c[0], d[1] - c[1]) * hypot(b[0] - a[0], b[1] - a[1]):
                    return []
            elif (_turn(a, b, c) > 0) != (_turn(a, b, d) > 0) and (_turn(c, d, a) > 0) != (
                _turn(c, d, b) > 0
            ):
                return []
    return points


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

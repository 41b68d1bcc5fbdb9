"""Read the place of an area in the city's tree from its code alone.

Codes are strings of digits, each level's code beginning with its parent's: city and county 6 digits (a city's
end in ``00``), town (large grid) 9, village (middle grid) 12, small grid 14, micro grid 17 (digits 13-14 are
``00`` where a micro grid hangs on a village directly). The first twelve digits follow GB/T 2260 and GB/T 10114.
"""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """Name the six levels, city first."""

    CITY = 1
    COUNTY = 2
    TOWN = 3
    VILLAGE = 4
    SMALL = 5
    MICRO = 6


_LENGTHS = {9: Level.TOWN, 12: Level.VILLAGE, 14: Level.SMALL, 17: Level.MICRO}


def level_of(code: str) -> Level:
    """Return the level that a code's form states; raise ValueError when it has none."""
    if code.isascii() and code.isdigit():
        if len(code) == 6:
            return Level.CITY if code.endswith("00") else Level.COUNTY
        if len(code) in _LENGTHS:
            return _LENGTHS[len(code)]
    raise ValueError(f"not an area code: {code!r}")


def prefix_of(code: str) -> str:
    """Return what every code in the subtree of `code` begins with."""
    if len(code) == 6 and code.endswith("00"):
        return code[:4]
    return code


def contains(outer: str, inner: str) -> bool:
    """Tell whether `inner` lies in the subtree of `outer`; an area contains itself, no area contains nothing."""
    return outer != "" and inner.startswith(prefix_of(outer))


def parent_of(code: str) -> str | None:
    """Return the code one level up, or None for a city."""
    match len(code):
        case 17:
            return code[:12] if code[12:14] == "00" else code[:14]
        case 14:
            return code[:12]
        case 12:
            return code[:9]
        case 9:
            return code[:6]
    return None if code.endswith("00") else code[:4] + "00"


def ancestors(code: str) -> tuple[str, ...]:
    """Return `code` and all codes above it, nearest first, up to the city."""
    chain = [code]
    while (up := parent_of(chain[-1])) is not None:
        chain.append(up)
    return tuple(chain)


def at_level(code: str, level: Level) -> str | None:
    """Return the ancestor of `code` (or itself) at `level`, or None when `code` lies above it."""
    for each in ancestors(code):
        if level_of(each) is level:
            return each
    return None


def centre_of(code: str) -> str:
    """Return the code whose command centre receives incidents of `code`: its town, else the nearest level above."""
    if len(code) > 9:
        return code[:9]
    return code

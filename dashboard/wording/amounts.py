"""Writes amounts as people read them: counts, rates, differences in points, lengths of time; rounded here, once."""

from __future__ import annotations

from fractions import Fraction

from dashboard.wording.catalogue import Translate
from dispatch.rules.measures.assessment import MINUS, shown, signed

__all__ = ("MINUS", "cases", "change", "count", "points", "rate", "score", "signed", "span")

MINUTE, HOUR, DAY = 60, 3600, 86_400


def count(n: int | Fraction) -> str:
    """Return a whole number with its thousands apart."""
    return f"{int(n):,}".replace("-", MINUS)


def cases(n: int, _: Translate) -> str:
    """Return how many cases, also where it is one."""
    return (_("{n} case") if n == 1 else _("{n} cases")).format(n=count(n))


def rate(value: Fraction | float | None, _: Translate, digits: int = 1) -> str:
    """Return a rate from 0 to 1 in per cent, rounded half up, or the words for no data."""
    if value is None:
        return _("no data")
    return shown(Fraction(value), digits=digits).replace(" ", "").replace("-", MINUS)


def points(difference: Fraction | None, _: Translate, digits: int = 1) -> str:
    """Return a difference of two rates in percentage points, never in per cent, or the words for no data."""
    if difference is None:
        return _("no data")
    return _("{n} pts").format(n=signed(difference * 100, digits))


def change(value: Fraction | None, is_rate: bool, _: Translate) -> str:
    """Return a change against another period: in points for a rate, in per cent for a count."""
    if value is None:
        return _("no data")
    return points(value, _) if is_rate else f"{signed(value * 100)}%"


def score(value: Fraction | None, _: Translate, digits: int = 2) -> str:
    """Return a score or its part with its decimals, or the words for no data."""
    return _("no data") if value is None else shown(value, digits=digits, percent=False).replace("-", MINUS)


def span(seconds: float, _: Translate) -> str:
    """Return a length of time in its two largest units."""
    whole = round(abs(seconds))
    sign = MINUS if seconds < 0 and whole else ""
    if whole < MINUTE:
        return sign + _("{n} s").format(n=whole)
    minutes = round(whole / MINUTE)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        parts = [_("{n} d").format(n=days), _("{n} h").format(n=hours) if hours else ""]
    elif hours:
        parts = [_("{n} h").format(n=hours), _("{n} min").format(n=rest) if rest else ""]
    else:
        parts = [_("{n} min").format(n=rest)]
    return sign + " ".join(part for part in parts if part)

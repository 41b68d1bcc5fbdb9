"""Say when silence goes one level up, by the severity of what is waited for."""

from __future__ import annotations

from datetime import datetime, timedelta

# After a limit was passed: minutes of silence until the county is called, and until the city is (None: it is not).
LADDER: dict[int, tuple[int, int | None]] = {1: (10, 60), 2: (30, 240), 3: (120, None), 4: (480, None)}


def cutoffs(now: datetime) -> tuple[list[datetime], list[datetime | None]]:
    """Return for severities 1 to 4 since when silence must have lasted to go up: to the county, and to the city."""
    county, city = [], []
    for severity in sorted(LADDER):
        first, second = LADDER[severity]
        county.append(now - timedelta(minutes=first))
        city.append(None if second is None else now - timedelta(minutes=second))
    return county, city


def next_step(severity: int, level: int, overdue_since: datetime | None) -> tuple[datetime, int] | None:
    """Return when and to which level (2 county, 1 city) an overdue incident goes up next, or None."""
    if overdue_since is None or level <= 1:
        return None
    county, city = LADDER[severity]
    if level > 2:
        return overdue_since + timedelta(minutes=county), 2
    return None if city is None else (overdue_since + timedelta(minutes=city), 1)

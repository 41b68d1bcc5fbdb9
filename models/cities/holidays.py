"""Writes the official holidays and make-up working days of China, as the installed `chinesecalendar` knows them."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

FIRST_YEAR = 2023
_SATURDAY = 5


def calendar_csv(first_year: int = FIRST_YEAR) -> str:
    """Return the text of `calendar.csv` (date,kind,name) from `first_year` to the last year announced.

    Only days that differ from the plain week are listed: weekdays off (`holiday`) and weekend days on (`workday`).
    """
    # Imported here: loading a city must not pay for a package that only this command needs.
    from chinese_calendar.constants import Holiday, holidays, workdays

    days: list[tuple[date, str, str]] = []
    for day, name in holidays.items():
        if day.year >= first_year and day.weekday() < _SATURDAY:
            days.append((day, "holiday", str(Holiday(name).chinese)))
    for day, name in workdays.items():
        if day.year >= first_year and day.weekday() >= _SATURDAY:
            days.append((day, "workday", str(Holiday(name).chinese)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("date", "kind", "name"))
    writer.writerows((day.isoformat(), kind, name) for day, kind, name in sorted(days))
    return text.getvalue()


def refresh(path: Path) -> int:
    """Rewrite the calendar file at `path`; return how many days it lists. Raises OSError where it cannot write."""
    text = calendar_csv()
    path.write_text(text, encoding="utf-8", newline="\n")
    return text.count("\n") - 1

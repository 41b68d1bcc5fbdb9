"""Write the briefings that leaders find in the morning: of yesterday, the week that ended, the month that is frozen."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import psycopg

from dispatch.desk.desk import Desk
from dispatch.figures import briefing, cohorts, overview
from dispatch.figures.briefing import words
from dispatch.figures.case_sets import Connection
from dispatch.rules.areas import Level
from dispatch.rules.time.period import KINDS, Kind, Period
from models.servers import servers

FORMS = ("xlsx", "pdf")  # the last one says that the briefing is complete
LANGUAGE = "zh"
FROM = clock(0, 40)  # of the city's own time: after the figures of the day before
DAYS_BACK = 3  # written late where nothing ran in the morning
RUN_S = 20.0  # after which a run leaves what is missing to the next; a page takes a second or two
KEPT: dict[Kind, int] = {"day": 31, "week": 53, "month": 36}  # folders of each kind
PART_AGE_S = 3_600.0  # after which an unfinished file was left by a process that is gone
_FOLDER = re.compile(r"\d{4}-\d{2}-\d{2}")


def folder() -> Path:
    """Return where briefings lie: `<kind>/<first day>/<area code>.<form>` under it."""
    return servers.place() / "briefings"


def write(desk: Desk, now: datetime) -> int:
    """Write the briefings of the city, its counties and towns that are missing; return how many.

    A run stops after `RUN_S`, having written one at least. What is there is not written again; each file appears
    whole or not at all, and the notice to the leader of its area is entered once.
    """
    calendar = desk.in_force(now).calendar
    today = calendar.local(now)
    if today.time() < FROM:
        return 0
    started, written = time.monotonic(), 0
    with _connected(desk) as connection:
        areas = connection.execute(
            "select code, name, coalesce(name_en, '') from area where level <= %s order by level, code",
            (int(Level.TOWN),),
        ).fetchall()
        for period in _due(connection, today.date()):
            with connection.cursor() as cursor:
                level_at = cohorts.counted_at(cursor)
            if level_at is None or level_at < calendar.begins(period.until):
                continue
            for code, name, name_en in areas:
                if written and time.monotonic() - started > RUN_S:
                    return written
                target = folder() / period.kind / f"{period.first}"
                if not all((target / f"{code}.{form}").exists() for form in FORMS):
                    _write(connection, period, (code, name, name_en), target, now, calendar.zone)
                    written += 1
    return written


def forget(desk: Desk, now: datetime) -> int:
    """Delete the oldest folders of each kind beyond those kept, and unfinished files; return the files deleted."""
    gone = 0
    for kind, most in KEPT.items():
        place = folder() / kind
        kept = sorted(path for path in place.glob("*") if path.is_dir() and _FOLDER.fullmatch(path.name))
        for path in kept[:-most]:
            for file in path.iterdir():
                file.unlink(missing_ok=True)
                gone += 1
            path.rmdir()
        for part in place.glob("*/.*.part"):
            if time.time() - part.stat().st_mtime > PART_AGE_S:
                part.unlink(missing_ok=True)
                gone += 1
    return gone


def _due(connection: Connection, today: date) -> Iterator[Period]:
    """Yield the periods that are over and have reports, the newest day first."""
    row = connection.execute("select min(day) from daily").fetchone()
    known = row[0] if row is not None else None
    if known is None:
        return
    periods = [Period("day", today - timedelta(days=n)) for n in range(1, DAYS_BACK + 1)]
    periods.append(Period.holding("week", today).before)
    frozen = connection.execute("select max(month) from assessment_month where state = 'frozen'").fetchone()
    if frozen is not None and frozen[0] is not None:
        periods.append(Period("month", frozen[0]))
    yield from (period for period in periods if period.until > known)


def _write(
    connection: Connection, period: Period, area: tuple[str, str, str], target: Path, now: datetime, zone: str
) -> None:
    code, name, name_en = area
    picture = overview.read(connection, code, period, now)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for form in FORMS:
        content = briefing.make(picture, form, LANGUAGE, zone)
        if form == FORMS[-1]:
            _tell(connection, period, code, name, name_en, now)
        briefing.put(target / f"{code}.{form}", content)


def _tell(connection: Connection, period: Period, code: str, name: str, name_en: str, now: datetime) -> None:
    """Enter the notice for the leader of the area, once; it names the area and the period and nobody."""
    kind_zh, kind_en = KINDS[period.kind]
    zh = f"{name}{words.name_of(period, 'zh')}{kind_zh}报已生成"
    en = f"The {kind_en}'s briefing of {name_en or name} is ready: {words.name_of(period, 'en')}"
    connection.execute(
        "insert into notice (key, severity, receiver, at, zh, en) values (%s, 4, %s, %s, %s, %s)"
        " on conflict (key) do nothing",
        (f"briefing/{period.kind}/{period.first}/{code}", f"leader/{code}", now, zh, en),
    )


@contextmanager
def _connected(desk: Desk) -> Iterator[Connection]:
    """Lend a connection of its own: a picture is one consistent look, which a running transaction cannot begin."""
    with psycopg.connect(desk.dsn, connect_timeout=5, autocommit=True) as connection:
        yield connection

"""Keep duty rosters going: draw up the demo's, list what is open when a shift changes, forget where teams were."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatch.assignment import roster
from dispatch.desk.desk import Desk
from dispatch.desk.store import Cursor
from models.cities import rota

# A list written later than this after the change would show what is open now as what was open then.
CHANGE_SEEN = timedelta(minutes=10)


def change(desk: Desk, now: datetime) -> int:
    """Write down what is open for those whose shift has just ended, and forget old places; return the lists."""

    def work(cursor: Cursor) -> int:
        roster.forget_places(cursor, now)
        return roster.hand_over(cursor, now - CHANGE_SEEN, now)

    return desk.ask(work)


def draw(desk: Desk, now: datetime) -> int:
    """Draw up the next days of the demo city's rosters, where they run out; return the turns entered.

    A city of real people enters its own, and is left alone.
    """
    calendar = desk.in_force(now).calendar

    def work(cursor: Cursor) -> int:
        row = cursor.execute(
            "select (select max(ends_at) from shift), exists (select from shift s join person p on p.id = s.person_id"
            " where not p.invented), exists (select from person where invented)"
        ).fetchone()
        assert row is not None
        last, real, invented = row
        if real or not invented or (last is not None and last > now + timedelta(days=rota.DAYS_LEFT)):
            return 0
        # From yesterday on, for the turn that began before midnight; what is there already stays.
        first = calendar.local(now).date() - timedelta(days=1)
        return rota.draw_up(cursor, first, rota.DAYS, calendar.zone)

    return desk.ask(work)

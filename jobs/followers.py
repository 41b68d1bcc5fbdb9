"""Count and assess: follow the events, write down days, judge months, freeze them, and check all of it again."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from dispatch.assignment import experience
from dispatch.checks import recheck
from dispatch.desk.desk import Desk
from dispatch.figures import cohorts, published, rollup
from dispatch.scores import scoring

FOLLOW_ROUNDS = 5  # transactions in one run; what is left over comes with the next
MONTHS_LIMIT = 3  # frozen in one run: after a long downtime the oldest come first
RECHECK_LIMIT = 150_000  # incidents looked at in one night; the next goes on behind them
RECHECK_MONTHS = 14  # a year of frozen ones and those that run; older ones come in turn


def follow(desk: Desk, now: datetime) -> int:
    """Take new events into the hourly roll-up; return how many."""
    taken = 0
    for _ in range(FOLLOW_ROUNDS):
        events = desk.ask(lambda cursor: rollup.follow(cursor.connection))
        taken += events
        if not events:
            break
    return taken


def follow_days(desk: Desk, now: datetime) -> int:
    """Count the days again whose incidents changed; return the events that told of it."""
    taken = 0
    for _ in range(FOLLOW_ROUNDS):
        events = desk.ask(lambda cursor: cohorts.follow(cursor.connection))
        taken += events
        if not events:
            break
    return taken


def remember(desk: Desk, now: datetime) -> int:
    """Count again how cases fared with each trade on the days whose sendings changed; return the events followed."""
    taken = 0
    for _ in range(FOLLOW_ROUNDS):
        events = desk.ask(lambda cursor: experience.follow(cursor.connection))
        taken += events
        if not events:
            break
    return taken


def count_replayed(desk: Desk, now: datetime) -> int:
    """Count the replayed sources again whose requests changed; return the events followed."""
    taken = 0
    for _ in range(FOLLOW_ROUNDS):
        events = desk.ask(lambda cursor: published.follow_replayed(cursor.connection))
        taken += events
        if not events:
            break
    return taken


def write_days(desk: Desk, now: datetime) -> int:
    """Write the figures of the last days, and enter those published elsewhere; return the figures."""
    calendar = desk.in_force(now).calendar
    entered = desk.ask(published.enter)
    return entered + desk.ask(lambda cursor: published.count_days(cursor, calendar, now))


def assess(desk: Desk, now: datetime) -> int:
    """Assess the present month provisionally, and the last one until it is frozen; return the cards."""
    today = desk.in_force(now).calendar.local(now).date()
    this = today.replace(day=1)
    last = (this - timedelta(days=1)).replace(day=1)
    return sum(_assess(desk, month, now) for month in (last, this))


def _assess(desk: Desk, month: date, now: datetime) -> int:
    return desk.ask(lambda cursor: scoring.assess_month(cursor.connection, month, now))


def freeze(desk: Desk, now: datetime) -> int:
    """Freeze the months whose day has come, the oldest first; return the cards frozen."""
    return sum(
        _freeze(desk, month, now) for month in desk.ask(lambda c: scoring.unfrozen(c, now, MONTHS_LIMIT))
    )


def _freeze(desk: Desk, month: date, now: datetime) -> int:
    return desk.ask(lambda cursor: scoring.freeze(cursor.connection, month, now))


def correct(desk: Desk, now: datetime) -> int:
    """Enter corrections for appeals granted after their month was frozen; return the entries."""
    return desk.ask(lambda cursor: scoring.follow_appeals(cursor.connection))


def check(desk: Desk, now: datetime) -> int:
    """Compute stored rows, hours, days and months again; return how many differences stand."""
    desk.ask(lambda cursor: recheck.incidents(cursor.connection, now, RECHECK_LIMIT))
    desk.ask(lambda cursor: recheck.hours(cursor.connection, now))
    desk.ask(lambda cursor: recheck.days(cursor.connection, now))
    for month in desk.ask(lambda cursor: recheck.due_months(cursor, RECHECK_MONTHS)):
        _check(desk, month, now)
    return desk.ask(lambda cursor: len(recheck.open_mismatches(cursor, 1_000)))


def _check(desk: Desk, month: date, now: datetime) -> int:
    return desk.ask(lambda cursor: recheck.months(cursor.connection, now, [month]))

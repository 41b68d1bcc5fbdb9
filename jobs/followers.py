"""Count and assess: follow the events, write down days, judge months, freeze them, and check all of it again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from dispatch.assignment import experience
from dispatch.checks import recheck
from dispatch.figures import cohorts, published, rollup
from dispatch.scores import scoring
from jobs.work import Work
from models.servers.database import Connection

FOLLOW_ROUNDS = 5  # transactions in one run; what is left over comes with the next
MONTHS_LIMIT = 3  # frozen in one run: after a long downtime the oldest come first
RECHECK_LIMIT = 150_000  # incidents looked at in one night; the next goes on behind them
RECHECK_MONTHS = 14  # a year of frozen ones and those that run; older ones come in turn


def _following(follow: Callable[[Connection], int], rounds: int = FOLLOW_ROUNDS) -> Callable[[Work], int]:
    """Return the job of one follower of the log: it takes its next events in, and returns how many."""

    def run(work: Work) -> int:
        taken = 0
        for _ in range(rounds):
            with work.database.lend() as connection:
                events = follow(connection)
            taken += events
            if not events:
                break
        return taken

    return run


# Each by itself: one that fails, or is behind, holds up no other.
follow = _following(rollup.follow)
follow_days = _following(cohorts.follow)
remember = _following(experience.follow)
count_replayed = _following(published.follow_replayed)
correct = _following(scoring.follow_appeals, rounds=1)


def write_days(work: Work) -> int:
    """Write the figures of the last days, and enter those published elsewhere; return the figures."""
    calendar = work.desk.in_force(work.now).calendar
    entered = work.ask(published.enter)
    return entered + work.ask(lambda cursor: published.count_days(cursor, calendar, work.now))


def assess(work: Work) -> int:
    """Assess the present month provisionally, and the last one until it is frozen; return the cards."""
    today = work.desk.in_force(work.now).calendar.local(work.now).date()
    this = today.replace(day=1)
    last = (this - timedelta(days=1)).replace(day=1)
    return sum(_assess(work, month) for month in (last, this))


def _assess(work: Work, month: date) -> int:
    return work.ask(lambda cursor: scoring.assess_month(cursor.connection, month, work.now))


def freeze(work: Work) -> int:
    """Freeze the months whose day has come, the oldest first; return the cards frozen."""
    return sum(
        _freeze(work, month) for month in work.ask(lambda c: scoring.unfrozen(c, work.now, MONTHS_LIMIT))
    )


def _freeze(work: Work, month: date) -> int:
    return work.ask(lambda cursor: scoring.freeze(cursor.connection, month, work.now))


def check(work: Work) -> int:
    """Compute stored rows, hours, days and months again; return how many differences stand."""
    work.ask(lambda cursor: recheck.incidents(cursor.connection, work.now, RECHECK_LIMIT))
    work.ask(lambda cursor: recheck.hours(cursor.connection, work.now))
    work.ask(lambda cursor: recheck.days(cursor.connection, work.now))
    for month in work.ask(lambda cursor: recheck.due_months(cursor, RECHECK_MONTHS)):
        _check(work, month)
    return work.ask(lambda cursor: len(recheck.open_mismatches(cursor, 1_000)))


def _check(work: Work, month: date) -> int:
    return work.ask(lambda cursor: recheck.months(cursor.connection, work.now, [month]))

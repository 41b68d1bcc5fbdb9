"""Tell people what happened and what is due: fill the outbox from the events, then let every channel send."""

from __future__ import annotations

from dispatch.desk.store import Cursor
from dispatch.notices import outbox
from dispatch.notices.sender import Sender
from jobs.work import Work

ROUNDS_LIMIT = 10  # of following in one run
PATIENCE_S = 2.0  # how long a run waits for its channels; a slow one goes on beside the next runs

_senders: dict[str, Sender] = {}


def tell(work: Work) -> int:
    """Follow the events, write down what is due, and send; return the events followed."""
    policy = work.desk.in_force(work.now)
    followed = 0
    for _ in range(ROUNDS_LIMIT):
        taken = work.ask(lambda cursor: outbox.follow(cursor, policy, work.now))
        followed += taken
        if not taken:
            break
    work.ask(lambda cursor: outbox.remind(cursor, policy, work.now))
    # One for the life of the process: it knows which channels are still busy.
    _senders.setdefault(work.database.dsn, Sender(work.database.dsn)).send(policy, work.now, PATIENCE_S)
    return followed


def forget(work: Work) -> int:
    """Forget old messages and notices; return how many."""

    def rows(cursor: Cursor) -> int:
        return outbox.forget(cursor, work.now)

    return work.ask(rows)

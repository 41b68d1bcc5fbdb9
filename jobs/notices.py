"""Tell people what happened and what is due: fill the outbox from the events, then let every channel send."""

from __future__ import annotations

from datetime import datetime

from dispatch.desk.desk import Desk
from dispatch.desk.store import Cursor
from dispatch.notices import outbox
from dispatch.notices.sender import Sender

ROUNDS_LIMIT = 10  # of following in one run
PATIENCE_S = 2.0  # how long a run waits for its channels; a slow one goes on beside the next runs

_senders: dict[str, Sender] = {}


def tell(desk: Desk, now: datetime) -> int:
    """Follow the events, write down what is due, and send; return the events followed."""
    law = desk.in_force(now)
    followed = 0
    for _ in range(ROUNDS_LIMIT):
        taken = desk.ask(lambda cursor: outbox.follow(cursor, law, now))
        followed += taken
        if taken < outbox.EVENTS_LIMIT // 2:
            break
    desk.ask(lambda cursor: outbox.remind(cursor, law, now))
    # One for the life of the process: it knows which channels are still busy.
    _senders.setdefault(desk.dsn, Sender(desk.dsn)).send(law, now, PATIENCE_S)
    return followed


def forget(desk: Desk, now: datetime) -> int:
    """Forget old messages and notices; return how many."""

    def work(cursor: Cursor) -> int:
        return outbox.forget(cursor, now)

    return desk.ask(work)

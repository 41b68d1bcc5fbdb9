"""Tell the fault of one message from that of a server that is away, for which every message waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import psycopg

from dispatch.desk.desk import Outcome
from dispatch.rules.policy.policy import PolicyError

# Classes of SQLSTATE that lie in the data of one message: bad value, broken constraint, a limit of the program.
_OF_THE_DATA: Final = ("22", "23", "54")


class Away(Exception):
    """Something that messages need is not there now, as its text says: the database, the city or its policy."""


def bisected(step: Callable[[list[Any]], list[Outcome]], batch: list[Any]) -> list[Outcome | Exception]:
    """Answer each of a batch, halving it where it fails as a whole, until each fault stands with its one cause.

    Raises Away for faults that are nobody's: the database is gone, or not ready for anybody.
    """
    try:
        return list(step(batch))
    except Exception as fault:
        if is_systemic(fault):
            raise Away(message_of(fault)) from fault
        if len(batch) == 1:
            return [fault]
    middle = len(batch) // 2
    return bisected(step, batch[:middle]) + bisected(step, batch[middle:])


def is_systemic(fault: Exception) -> bool:
    """Tell whether a fault is nobody's: something that every message needs is not there."""
    if isinstance(fault, psycopg.Error):
        return not (fault.sqlstate or "").startswith(_OF_THE_DATA) and not isinstance(
            fault, psycopg.DataError
        )
    # KeyError and IndexError are mistakes of ours, a bare LookupError is the Desk missing the policy.
    return type(fault) is LookupError or isinstance(fault, PolicyError)


def message_of(fault: Exception) -> str:
    """Return what is wrong without any value: messages of the database quote the rows they refuse."""
    if isinstance(fault, psycopg.Error):
        return f"the database is away ({type(fault).__name__} {fault.sqlstate or ''})".replace(" )", ")")
    return str(fault)

"""Take the ids of a page of a list from the index that holds them, where all other rows would be passed over first.

Conditions are SQL over a row `i` of incidents and its type `c`; a page is the newest `%(rows)s` by their report.
"""

from __future__ import annotations

from collections.abc import Sequence

from dispatch.rules.law import ENDED, STATES
from dispatch.rules.measures.cases import NOTED_PAST_SQL, PAST_LIMIT_SQL, UNNOTED_PAST_SQL

OPEN_STATES = frozenset(STATES) - ENDED
_OF = "select i.reported_at, i.id from incident i"
_TYPED = " join category c on c.code = i.category"
_PAGE = "order by reported_at desc, id desc limit %(rows)s"


def red(where: Sequence[str]) -> str:
    """Return the condition that a row is on the page of red rows, in place of all of `where`."""
    rest = _all([each for each in where if each != PAST_LIMIT_SQL])
    of = f"{_OF}{_TYPED} where"
    return (
        f"i.id = any(array(select id from (({of} {NOTED_PAST_SQL} and {rest} {_PAGE}) union all"
        # Few, unless the sweep stands still: never looked for in the order of the list.
        f" select * from ({of} {UNNOTED_PAST_SQL} and {rest} offset 0) u) r {_PAGE}))"
    )


def of_stage(where: Sequence[str], typed: bool) -> str:
    """Return the condition that a row is on the page of open rows in one state, in place of all of `where`.

    Unless a condition speaks of the type (`typed`), the index of what is open tells without a look at the rows.
    """
    of = f"{_OF}{_TYPED if typed else ''} where {_all(where)}"
    return f"i.id = any(array(select id from ({of} {_PAGE}) r))"


def _all(where: Sequence[str]) -> str:
    return " and ".join(f"({each})" for each in where) or "true"

"""Say what is true of an incident: each measure once, as a predicate over its fold, with its SQL twin beside it.

What is counted in one place and listed or judged in another asks the same measure, by its name in `MEASURES`. A twin
is text over `ROWS`: `i` is the incident, `c` its type, `p` what its assignments say together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from dispatch.rules.incident.values import Assignment, Incident
from dispatch.rules.law import LIVE
from dispatch.rules.time import clocks
from dispatch.rules.time.calendar import Calendar
from dispatch.rules.time.clocks import Clock, Light, passed, passed_sql

DISPUTES = "02"  # the theme of disputes
REFUSED = frozenset({"rejected", "void"})
CLOSED = frozenset({"closed", "archived"})
UNSENT = frozenset({"review", "refused"})  # whistles that no team has heard of
UNACCEPTED = frozenset({"reported", "checking", "merged"}) | REFUSED
# How far along the chain an incident has come, this or any later stage; -1 for what left it without an end.
STAGES = ("reported", "accepted", "dispatched", "picked_up", "arrived", "disposed", "verified", "closed")
_ACCEPTED, _DISPATCHED, _PICKED_UP, _ARRIVED, _DISPOSED, _VERIFIED, _CLOSED = range(1, 8)


@dataclass(frozen=True, slots=True)
class Setting:
    """Say beside an incident what a measure asks: its theme, the ratings that please, the instant that is now.

    The twins ask for the last two as %(pleased)s, a list, and %(now)s; the theme is the type's.
    """

    theme: str
    pleased: Collection[int]
    now: datetime


@dataclass(frozen=True, slots=True)
class Measure:
    """Hold one measure: whether it `holds` of an incident, and the same as a condition in SQL."""

    holds: Callable[[Incident, Setting], bool]
    sql: str


# ---- of an incident ----


def sent_parts(incident: Incident) -> list[Assignment]:
    """Return the assignments that reached a team."""
    return [part for part in incident.parts.values() if part.state not in UNSENT]


def leads(incident: Incident) -> list[Assignment]:
    """Return the lead assignments that reached a team, whatever became of them."""
    return [part for part in sent_parts(incident) if part.role == "lead"]


def whistles(incident: Incident) -> list[Assignment]:
    """Return the whistles that reached a team."""
    return [part for part in sent_parts(incident) if part.kind == "whistle"]


def reached(incident: Incident) -> int:
    """Return the place in STAGES that an incident has come to, or -1 where it was refused or merged."""
    if incident.state in REFUSED or incident.state == "merged":
        return -1
    if incident.state in CLOSED:
        return _CLOSED
    if incident.state == "verified":
        return _VERIFIED
    if incident.disposed_at is not None:
        return _DISPOSED
    return _sent_to(incident)


def _sent_to(incident: Incident) -> int:
    sent = leads(incident)
    if any(part.state == "on_site" or _ended(part, "arrive") for part in sent):
        return _ARRIVED
    if any(_ended(part, "pick_up") for part in sent):
        return _PICKED_UP
    if sent:
        return _DISPATCHED
    return _ACCEPTED if incident.state not in ("reported", "checking") else 0


def _ended(part: Assignment, kind: str) -> bool:
    clock = part.clocks.get(kind)
    return clock is not None and clock.ended is not None


def disposal_clocks(incident: Incident) -> list[Clock]:
    """Return the clocks that say until when an open case is to be disposed of; empty where nothing limits it.

    Those of the teams that have it in hand; without one the incident's own, which an imported case brings along.
    """
    if incident.disposed_at is not None or incident.ended_at is not None:
        return []
    held = [p.clocks["dispose"] for p in leads(incident) if p.state in LIVE and "dispose" in p.clocks]
    own = incident.clocks.get("dispose")
    return held if held or own is None else [own]


def overdue(incident: Incident) -> bool:
    """Tell whether an incident is not disposed of though its limit was noted as passed."""
    return any(map(passed, disposal_clocks(incident)))


def is_late_to_close(incident: Incident) -> bool:
    """Tell whether an incident is open though its closing was noted as overdue."""
    return incident.ended_at is None and passed(incident.clocks.get("close"))


def light_of(incident: Incident, now: datetime, calendar: Calendar) -> Light:
    """Return the light of an incident: red past any limit, yellow near that of what is awaited now, else green."""
    running, lead = incident.running(), incident.lead
    awaited = incident.clocks.get(incident.awaits or "")
    if awaited is None and lead is not None:
        awaited = lead.clocks.get(incident.awaits or "")
    return clocks.light_of(clocks.overdue_since(running), clocks.nearest(running), awaited, now, calendar)[0]


def is_dispute(incident: Incident, theme: str) -> bool:
    """Tell whether an incident counts among the accepted disputes."""
    return theme == DISPUTES and reached(incident) >= _ACCEPTED


def is_settled(incident: Incident) -> bool:
    """Tell whether somebody has said that a dispute is settled: where nobody said so it is not."""
    return incident.facts.get("settled") is True


def is_solved_in_grid(incident: Incident) -> bool:
    """Tell whether an incident was closed inside its own grid."""
    return incident.state in CLOSED and incident.facts.get("solved_in_grid") is True


def is_rated(incident: Incident, ratings: Collection[int] = range(1, 6)) -> bool:
    """Tell whether a closed incident was given one of some ratings, or any."""
    return incident.state in CLOSED and incident.rating in ratings


def is_on_site_in_time(part: Assignment) -> bool:
    """Tell whether a whistle's team reported in on site before its limit."""
    return clocks.on_time(part.clocks.get("arrive")) is True


def _is_due_on_site(part: Assignment) -> bool:
    arrive = part.clocks.get("arrive")
    return part.state not in LIVE or (
        arrive is not None and (arrive.ended is not None or arrive.state == "breached")
    )


def _due(i: Incident, _: Setting) -> bool:
    return reached(i) >= 0 and (i.disposed_on_time is not None or overdue(i))


def _on_time(i: Incident, _: Setting) -> bool:
    return reached(i) >= 0 and i.disposed_on_time is True


def _close_due(i: Incident, _: Setting) -> bool:
    return (i.state in CLOSED and i.closed_on_time is not None) or is_late_to_close(i)


def _close_on_time(i: Incident, _: Setting) -> bool:
    return i.state in CLOSED and i.closed_on_time is True


def _whistle_due(i: Incident, _: Setting) -> bool:
    blown = whistles(i)
    return bool(blown) and all(map(_is_due_on_site, blown))


def _on_site(i: Incident, _: Setting) -> bool:
    blown = whistles(i)
    return bool(blown) and all(map(is_on_site_in_time, blown))


def _whistle_late(i: Incident, _: Setting) -> bool:
    return i.ended_at is None and any(
        part.state in ("sent", "picked_up") and passed(part.clocks.get("arrive")) for part in whistles(i)
    )


def _past_limit(i: Incident, setting: Setting) -> bool:
    running = i.running()
    due = clocks.nearest(running)
    return clocks.overdue_since(running) is not None or (due is not None and due < setting.now)


# ---- the twins ----

# Every incident with its theme and what its assignments say together.
ROWS = (
    "incident i join category c on c.code = i.category left join lateral ("
    "select bool_or(a.role = 'lead') sent,"
    " bool_or(a.role = 'lead' and a.clocks -> 'pick_up' ->> 'ended' is not null) picked_up,"
    " bool_or(a.role = 'lead' and (a.state = 'on_site' or a.clocks -> 'arrive' ->> 'ended' is not null)) arrived,"
    f" bool_or({passed_sql('a', 'dispose')})"
    "  filter (where a.role = 'lead' and a.state in ('sent', 'picked_up', 'on_site')"
    "  and a.clocks ? 'dispose') breached,"
    " bool_or(true) filter (where a.role = 'lead' and a.state in ('sent', 'picked_up', 'on_site')"
    "  and a.clocks ? 'dispose') limited,"
    " bool_or(a.kind = 'whistle') whistled,"
    " bool_and(a.clocks -> 'arrive' ->> 'ended' is not null"
    "  or coalesce(a.clocks -> 'arrive' ->> 'state' = 'breached', false)"
    "  or a.state not in ('sent', 'picked_up', 'on_site')) filter (where a.kind = 'whistle') whistle_due,"
    " bool_and(coalesce(a.clocks -> 'arrive' ->> 'ended' is not null and a.clocks -> 'arrive' ->> 'state' = 'met',"
    "  false)) filter (where a.kind = 'whistle') on_site"
    " from assignment a where a.incident_id = i.id and a.state not in ('review', 'refused')) p on true"
)
_REFUSED_SQL = "i.state in ('rejected', 'void')"
_CLOSED_SQL = "i.state in ('closed', 'archived')"
_REACHED_SQL = (
    f"case when {_REFUSED_SQL} or i.state = 'merged' then -1 when {_CLOSED_SQL} then 7"
    " when i.state = 'verified' then 6 when i.disposed_at is not null then 5 when p.arrived then 4"
    " when p.picked_up then 3 when p.sent then 2 when i.state not in ('reported', 'checking') then 1 else 0 end"
)
_OVERDUE_SQL = (
    "i.disposed_at is null and i.ended_at is null and coalesce(p.breached,"
    f" {passed_sql('i', 'dispose')}, false)"
)
_LIMITED_SQL = (
    "i.disposed_at is null and i.ended_at is null and coalesce(p.limited, i.clocks ? 'dispose', false)"
)
_CLOSE_LATE_SQL = f"i.ended_at is null and coalesce({passed_sql('i', 'close')}, false)"
_DISPUTE_SQL = f"c.theme = '{DISPUTES}' and {_REACHED_SQL} >= 1"


def unreported_sql(row: str) -> str:
    """Return the condition under which a row of assignments is a whistle awaited past its time to be on the spot."""
    return f"{row}.kind = 'whistle' and {row}.state in ('sent', 'picked_up') and {passed_sql(row, 'arrive')}"


# Of a row of incidents alone, for what asks it of rows that are not `ROWS`.
SETTLED_SQL = "coalesce(i.facts -> 'settled' = 'true', false)"
PAST_LIMIT_SQL = "(i.overdue_since is not null or i.due_at < %(now)s)"
# The same in two parts, of which each has an index: what was noted as passed, and what was not yet.
NOTED_PAST_SQL = "i.overdue_since is not null"
UNNOTED_PAST_SQL = "(i.due_at < %(now)s and i.overdue_since is null)"
INSIDE_LIMIT_SQL = "(i.due_at >= %(now)s and i.overdue_since is null)"

_PLAIN: dict[str, Measure] = {
    "reported": Measure(lambda i, s: True, "true"),
    "rejected": Measure(lambda i, s: i.state in REFUSED, _REFUSED_SQL),
    "merged": Measure(lambda i, s: i.state == "merged", "i.state = 'merged'"),
    "due": Measure(_due, f"({_REACHED_SQL} >= 0 and (i.disposed_on_time is not null or {_OVERDUE_SQL}))"),
    "on_time": Measure(_on_time, f"({_REACHED_SQL} >= 0 and i.disposed_on_time is true)"),
    "overdue": Measure(lambda i, s: overdue(i), f"({_OVERDUE_SQL})"),
    "pending": Measure(
        lambda i, s: bool(disposal_clocks(i)) and not overdue(i), f"({_LIMITED_SQL} and not ({_OVERDUE_SQL}))"
    ),
    "open": Measure(lambda i, s: i.ended_at is None, "i.ended_at is null"),
    "close_due": Measure(
        _close_due, f"(({_CLOSED_SQL} and i.closed_on_time is not null) or {_CLOSE_LATE_SQL})"
    ),
    "close_on_time": Measure(_close_on_time, f"({_CLOSED_SQL} and i.closed_on_time is true)"),
    "whistled": Measure(lambda i, s: bool(whistles(i)), "coalesce(p.whistled, false)"),
    "whistle_due": Measure(_whistle_due, "coalesce(p.whistled and p.whistle_due, false)"),
    "on_site": Measure(_on_site, "coalesce(p.whistled and p.on_site, false)"),
    "disputes": Measure(lambda i, s: is_dispute(i, s.theme), f"({_DISPUTE_SQL})"),
    "settled": Measure(
        lambda i, s: is_dispute(i, s.theme) and is_settled(i), f"({_DISPUTE_SQL} and {SETTLED_SQL})"
    ),
    "reworked": Measure(
        lambda i, s: i.disposed_at is not None and "reworks" in i.facts,
        "(i.disposed_at is not null and i.facts ? 'reworks')",
    ),
    "in_grid": Measure(
        lambda i, s: is_solved_in_grid(i), f"({_CLOSED_SQL} and i.facts -> 'solved_in_grid' = 'true')"
    ),
    "rated": Measure(lambda i, s: is_rated(i), f"({_CLOSED_SQL} and i.rating is not null)"),
    "pleased": Measure(
        lambda i, s: is_rated(i, s.pleased), f"({_CLOSED_SQL} and i.rating = any(%(pleased)s))"
    ),
    "red": Measure(lambda i, s: clocks.overdue_since(i.running()) is not None, NOTED_PAST_SQL),
    "past_limit": Measure(_past_limit, PAST_LIMIT_SQL),
    # A whistle that is still awaited past its time to be on the spot, and what is above the centre it came to.
    "whistle_late": Measure(
        _whistle_late,
        "i.ended_at is null and exists (select from assignment w where w.incident_id = i.id"
        f" and {unreported_sql('w')})",
    ),
    "raised": Measure(
        lambda i, s: i.ended_at is None and i.level < (3 if len(i.area_code) >= 9 else 2),
        "i.ended_at is null and i.level < case when length(i.area_code) >= 9 then 3 else 2 end",
    ),
}


def _from(stage: int) -> Measure:
    return Measure(lambda i, s: reached(i) >= stage, f"{_REACHED_SQL} >= {stage}")


def _at(stage: int) -> Measure:
    return Measure(lambda i, s: reached(i) == stage, f"{_REACHED_SQL} = {stage}")


def _given(rating: int) -> Measure:
    return Measure(lambda i, s: is_rated(i, (rating,)), f"({_CLOSED_SQL} and i.rating = {rating})")


def _without(base: Measure, good: Measure) -> Measure:
    """Return what is in a base and earns nothing there."""
    return Measure(lambda i, s: base.holds(i, s) and not good.holds(i, s), f"({base.sql} and not {good.sql})")


MEASURES: dict[str, Measure] = _PLAIN | {
    **{stage: _from(n) for n, stage in enumerate(STAGES) if n},
    **{f"at_{stage}": _at(n) for n, stage in enumerate(STAGES)},
    **{f"rated_{n}": _given(n) for n in range(1, 6)},
    "late": _without(_PLAIN["due"], _PLAIN["on_time"]),
    "close_late": _without(_PLAIN["close_due"], _PLAIN["close_on_time"]),
    "not_on_site": _without(_PLAIN["whistle_due"], _PLAIN["on_site"]),
    "not_settled": _without(_PLAIN["disputes"], _PLAIN["settled"]),
    "displeased": _without(_PLAIN["rated"], _PLAIN["pleased"]),
}

"""Declare wartime over an area and end it: two persons, a record that stays, and who holds it for how long."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime

from dispatch.desk.desk import Desk
from dispatch.desk.store import Cursor
from dispatch.rules import wartime as rules
from dispatch.rules.incident.values import Actor
from dispatch.rules.refusals import Refusal
from dispatch.rules.wartime import Declaration, Wartime

LISTED = 200  # stretches shown, the latest first
_COLUMNS = (
    "id, area_code, level, theme, reason, commander, declared_by, approved_by, since, until, ended_at, ended_by,"
    " end_reason"
)


def declare(desk: Desk, wish: Declaration, now: datetime) -> Wartime | Refusal:
    """Put an area into wartime from now; return the stretch, or the refusal with its reason.

    Limits are halved for what is opened from then on, at every desk within a second.
    """

    def apply(cursor: Cursor) -> Wartime | Refusal:
        if not cursor.execute("select 1 from area where code = %s", (wish.area_code,)).fetchone():
            return Refusal("unknown_area", {"area": wish.area_code})
        held = _held(cursor)
        answer = rules.declare(wish, held, now)
        if isinstance(answer, Refusal):
            return answer
        for one in held:
            if one.area_code == wish.area_code:
                _write_end(cursor, rules.lapse(one))
        row = cursor.execute(
            "insert into wartime (area_code, level, theme, reason, commander, declared_by, approved_by, since, until)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s) returning id",
            astuple(answer)[1:10],
        ).fetchone()
        assert row is not None
        return stretch(cursor, row[0]) or answer

    return desk.ask(apply)


def end(desk: Desk, wartime_id: int, actor: Actor, reason: str, now: datetime) -> Wartime | Refusal:
    """End a stretch of wartime now; return it as it ended, or the refusal with its reason."""

    def apply(cursor: Cursor) -> Wartime | Refusal:
        cursor.execute(_LOCK)
        answer = rules.end(stretch(cursor, wartime_id), actor, reason, now)
        if not isinstance(answer, Refusal):
            _write_end(cursor, answer)
        return answer

    return desk.ask(apply)


def stretch(cursor: Cursor, wartime_id: int) -> Wartime | None:
    """Return one stretch, ended or not, or None."""
    row = cursor.execute(f"select {_COLUMNS} from wartime where id = %s", (wartime_id,)).fetchone()
    return Wartime(*row) if row is not None else None


def stretches(cursor: Cursor, at_most: int = LISTED) -> list[Wartime]:
    """Return the stretches of wartime ever declared, the latest first."""
    cursor.execute(f"select {_COLUMNS} from wartime order by since desc, id desc limit %s", (at_most,))
    return [Wartime(*row) for row in cursor.fetchall()]


# One declaration at a time: two that do not see each other could put an area and one inside it into wartime.
_LOCK = "lock table wartime in share row exclusive mode"


def _held(cursor: Cursor) -> list[Wartime]:
    cursor.execute(_LOCK)
    cursor.execute(f"select {_COLUMNS} from wartime where ended_at is null order by id")
    return [Wartime(*row) for row in cursor.fetchall()]


def _write_end(cursor: Cursor, ended: Wartime) -> None:
    cursor.execute(
        "update wartime set ended_at = %s, ended_by = %s, end_reason = %s where id = %s",
        (ended.ended_at, ended.ended_by, ended.end_reason, ended.id),
    )

"""What the wartime page reads and does: stretches of an area, declared by two people, each proven by a password."""

from __future__ import annotations

from datetime import UTC, datetime

from dashboard.data.city import CityReads
from dashboard.data.people import demo
from dispatch.accounts import sessions
from dispatch.accounts.sessions import NotIn, Viewer
from dispatch.desk import wartime
from dispatch.rules.areas import contains
from dispatch.rules.refusals import Refusal
from dispatch.rules.wartime import Declaration, Wartime


def stretches(city: CityReads, who: Viewer) -> list[Wartime]:
    """Return the stretches of wartime that touch what a viewer may see, the latest first."""
    with city.look() as connection, connection.cursor() as cursor:
        found = wartime.stretches(cursor)
    if who.role == "auditor":
        return found
    return [one for one in found if contains(who.area, one.area_code) or contains(one.area_code, who.area)]


def declare(
    city: CityReads,
    who: Viewer,
    area: str,
    level: int,
    kind: str,
    reason: str,
    commander: str,
    until: datetime,
    login: str,
    password: str,
    address: str = "",
) -> Wartime | Refusal | NotIn:
    """Put an area into wartime as the viewer, approved by whoever's login and password are given with it.

    Returns the stretch, the law's refusal, or that the second person could not be proven.
    """
    now = datetime.now(UTC)
    with city.change() as connection:
        second = sessions.sign_in(connection, login, password, now, demo(), address)
        if isinstance(second, NotIn):
            return second
        token, approver = second
        # They prove who they are; they are not signed in here.
        sessions.sign_out(connection, token)
    wish = Declaration(area, level, kind, reason, commander, who.actor, approver.actor, until)
    with city.desk() as desk:
        answer = wartime.declare(desk, wish, now)
    if isinstance(answer, Wartime):
        _note(city, "wartime", who, f"{area}, approved by {approver.login}")
    return answer


def end(city: CityReads, who: Viewer, wartime_id: int, reason: str) -> Wartime | Refusal:
    """End a stretch of wartime now, as the viewer; return it as it ended, or the law's refusal."""
    with city.desk() as desk:
        answer = wartime.end(desk, wartime_id, who.actor, reason, datetime.now(UTC))
    if isinstance(answer, Wartime):
        _note(city, "wartime_ended", who, answer.area_code)
    return answer


def _note(city: CityReads, what: str, who: Viewer, about: str) -> None:
    with city.change() as connection:
        sessions.note(connection, what, datetime.now(UTC), who.account_id, by=who.login, about=about)

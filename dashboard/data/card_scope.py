"""Say whose score cards an actor may see: their own, and from a centre those of all below it."""

from __future__ import annotations

from typing import Any

import psycopg

from dispatch.rules.areas import contains
from dispatch.rules.incident.values import Actor

AREAS = ("village", "town", "county", "city")
CENTRES = ("dispatch_centre", "duty_centre")  # all the desk's people together; named by the centre's area
PERSONS = frozenset({"dispatcher", "duty_leader", "grid_worker", "grid_head"})
# Who sees the cards of all the units below them, and who of the people too.
UNITS = frozenset({"leader", "city", "county", "duty_leader", "dispatcher", "village", "auditor"})
PEOPLE = frozenset({"leader", "city", "county", "duty_leader", "village", "auditor"})
Subject = tuple[str, str]


def own_subjects(actor: Actor) -> list[Subject]:
    """Return the subjects that are an actor's own, whatever else they may see, the likeliest first."""
    area = actor.area_code
    match actor.role:
        case "team":
            return [("team", str(actor.team_id))]
        case "grid_worker":
            return [("grid_worker", actor.id), ("grid_worker", f"worker/{area}")]
        case "grid_head":
            return [("grid_head", actor.id), ("grid_head", f"head/{area[:12]}"), ("village", area[:12])]
        case "dispatcher":
            return [("dispatcher", actor.id), ("dispatcher", f"dispatcher/{area}"), ("dispatch_centre", area)]
        case "duty_leader":
            return [("duty_leader", actor.id), ("duty_leader", f"duty/{area}"), ("duty_centre", area)]
        case "village" | "county" | "city":
            return [(actor.role, area)]
        case "leader":
            return [
                (
                    {4: "village", 9: "town", 12: "village"}.get(
                        len(area), "city" if area.endswith("00") else "county"
                    ),
                    area,
                )
            ]
    return []


def kinds_for(actor: Actor) -> tuple[str, ...]:
    """Return the kinds of subjects that an actor may choose among."""
    if actor.role not in UNITS:
        return tuple(dict.fromkeys(kind for kind, _ in own_subjects(actor)))
    units = ("city", "county", "town", "village", "department", "team", *CENTRES)
    return (
        (*units, *sorted(PERSONS))
        if actor.role in PEOPLE
        else (*units, *{k for k, _ in own_subjects(actor)} - {*units})
    )


def sees(connection: psycopg.Connection[Any], actor: Actor, kind: str, subject: str) -> bool:
    """Tell whether an actor may see a subject's card: one's own, and from a centre all below it."""
    if (kind, subject) in own_subjects(actor):
        return True
    if actor.role not in UNITS or (kind in PERSONS and actor.role not in PEOPLE):
        return False
    if actor.role == "auditor":
        return True
    area = _area_of(connection, kind, subject)
    return area is not None and contains(actor.area_code, area)


def _area_of(connection: psycopg.Connection[Any], kind: str, subject: str) -> str | None:
    """Return the area in which a subject works, or None where that is not known."""
    if kind in (*AREAS, *CENTRES):
        return subject
    if kind in ("team", "department"):
        if not subject.isdecimal() or len(subject) > 9:
            return None
        table = "team" if kind == "team" else "organisation"
        row = connection.execute(
            f"select area_code from {table} where id = %s".encode(), (int(subject),)
        ).fetchone()
        return row[0] if row is not None else None
    tail = subject.replace("@", "/").rpartition("/")[2]
    if tail.isdecimal() and len(tail) >= 6:
        return tail
    _role, found, login = subject.partition(":")
    row = connection.execute(
        "select area_code from account where login = %s", (login if found else subject,)
    ).fetchone()
    return row[0] if row is not None else None

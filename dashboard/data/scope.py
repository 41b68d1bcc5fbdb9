"""What a person may see, as a condition on rows: enforced where rows are read, not on the page."""

from __future__ import annotations

from typing import Any

from dispatch.rules.areas import Level, contains, level_of, prefix_of
from dispatch.rules.incident.values import Actor

# Roles that see every incident of the subtree of their area.
SUBTREE = frozenset(
    {"grid_worker", "grid_head", "village", "dispatcher", "duty_leader", "county", "city", "leader"}
)


def within(actor: Actor, incident: str = "i") -> tuple[str, dict[str, Any]]:
    """Return the SQL condition that a row of `incident`, so aliased, lies in an actor's scope, and its parameters.

    A command centre, station, worker or leader sees its subtree; a team what was ever assigned to it; a resident what
    they reported; an auditor everything; an administrator, who keeps the configuration, no incident at all.
    """
    if actor.role in SUBTREE:
        if level_of(actor.area_code) is Level.CITY:
            return "true", {}
        return f"{incident}.area_code like %(scope_area)s", {"scope_area": prefix_of(actor.area_code) + "%"}
    if actor.role == "team" and actor.team_id is not None:
        return (
            f"exists (select from assignment scoped where scoped.incident_id = {incident}.id"
            " and scoped.team_id = %(scope_team)s)"
        ), {"scope_team": actor.team_id}
    if actor.role == "resident" and actor.id.startswith("resident@"):
        # The token of whoever left a contact; where nobody did, the number is all there is to know.
        key = actor.id.removeprefix("resident@")
        if len(key) == 16 and key.isdigit():
            return (f"({incident}.number = %(scope_number)s and {incident}.facts ->> 'reporter' is null)"), {
                "scope_number": int(key)
            }
        return f"{incident}.facts ->> 'reporter' = %(scope_reporter)s", {"scope_reporter": key}
    if actor.role == "auditor":
        return "true", {}
    return "false", {}


def covers(actor: Actor, area_code: str) -> bool:
    """Tell whether numbers over a whole area may be shown to an actor."""
    if actor.role == "auditor":
        return True
    return actor.role in SUBTREE and contains(actor.area_code, area_code)

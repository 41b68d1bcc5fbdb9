"""Propose teams for what waits: gather incidents, teams, rosters and experience; the law decides them together."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime
from typing import Any

from dispatch.assignment import experience, roster
from dispatch.assignment.solver import solve
from dispatch.desk import store
from dispatch.desk.desk import Desk
from dispatch.rules.areas import ancestors, prefix_of
from dispatch.rules.policy.policy import Policy
from dispatch.rules.teams.proposals import (
    OFFERS_LIMIT,
    OFFERS_SHOWN,
    WAITING_LIMIT,
    Decision,
    Offer,
    Solve,
    Standing,
    Waiting,
    decide,
)
from dispatch.rules.teams.routing import Team


class Proposals:
    """Propose teams; one per thread, on the Desk's connection."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def burst(self, now: datetime, area_code: str = "") -> list[Decision]:
        """Return a decision for each incident that waits for its dispatch in an area, gravest first, solved together.

        Of more than `WAITING_LIMIT` the gravest and oldest are decided.
        """
        rows = self._desk.ask(lambda cursor: _waiting(cursor, area_code))
        return self._decide(rows, now, OFFERS_SHOWN)

    def one(self, incident_id: int, now: datetime) -> Decision | None:
        """Return the ranked offers for one incident whatever its state, or None where there is no such one."""
        rows = self._desk.ask(lambda cursor: _named(cursor, incident_id))
        found = self._decide(rows, now, OFFERS_LIMIT)
        return found[0] if found else None

    def many(self, incident_ids: Sequence[int], now: datetime, solve: Solve = solve) -> list[Decision]:
        """Return a decision for each of the named incidents that waits for its dispatch, solved together.

        `one_at_a_time` as `solve` shows what giving each its best team in turn would have come to.
        """
        rows = self._desk.ask(lambda cursor: _chosen(cursor, incident_ids))
        return self._decide(rows, now, OFFERS_SHOWN, solve)

    def _decide(
        self, rows: Sequence[tuple[Any, ...]], now: datetime, shown: int, solve: Solve = solve
    ) -> list[Decision]:
        if not rows:
            return []
        policy = self._desk.in_force(now)
        # A type that the present policy has dropped, or given to another trade, is sent as its case was promised.
        policies = {version: self._desk.policy(version) for *_, version in rows}
        waiting = [
            Waiting(one, category, severity, _trade(policies[version], category), area, lon, lat)
            for one, category, severity, area, lon, lat, version in rows
        ]
        # Only teams of the areas above a case can be proposed for it: one case need not weigh a whole city's.
        above = {code for each in waiting for code in ancestors(each.area_code[:12])}
        types = {each.category for each in waiting}
        teams, standings = self._desk.ask(lambda cursor: _ready(cursor, above, now))
        known = self._desk.ask(
            lambda cursor: experience.known(cursor, types, policy.weights, policy.calendar, now)
        )
        return decide(
            waiting,
            teams,
            policy.weights,
            standings=standings,
            experience=known,
            names={trade: (zh, en) for trade, (zh, en, _) in policy.trades.items()},
            solve=solve,
            shown=shown,
        )


def recorded(offer: Offer) -> dict[str, Any]:
    """Return an offer as a command's `offer`: kept with the choice, whether it was followed or overridden."""
    return {
        "team_id": offer.team.id,
        "cost_min": round(offer.cost_min, 1),
        "reasons": [because.code for because in offer.reasons],
        "shortfalls": [because.code for because in offer.shortfalls],
    }


def _waiting(cursor: store.Cursor, area_code: str) -> list[tuple[Any, ...]]:
    cursor.execute(
        "select id, category, severity, area_code, lon, lat, policy_version from incident where ended_at is null"
        " and state = 'accepted' and paused_why is null and area_code like %s"
        " order by severity, reported_at, id limit %s",
        ((prefix_of(area_code) if area_code else "") + "%", WAITING_LIMIT),
    )
    return cursor.fetchall()


def _chosen(cursor: store.Cursor, incident_ids: Sequence[int]) -> list[tuple[Any, ...]]:
    cursor.execute(
        "select id, category, severity, area_code, lon, lat, policy_version from incident where id = any(%s)"
        " and state = 'accepted' and paused_why is null order by severity, reported_at, id limit %s",
        (list(incident_ids), WAITING_LIMIT),
    )
    return cursor.fetchall()


def _ready(cursor: store.Cursor, areas: Set[str], now: datetime) -> tuple[list[Team], dict[int, Standing]]:
    teams = [team for team in store.teams(cursor) if team.area_code in areas]
    return teams, roster.standings(cursor, now, [team.id for team in teams])


def _named(cursor: store.Cursor, incident_id: int) -> list[tuple[Any, ...]]:
    cursor.execute(
        "select id, category, severity, area_code, lon, lat, policy_version from incident where id = %s",
        (incident_id,),
    )
    return cursor.fetchall()


def _trade(policy: Policy, category: str) -> str:
    return policy.trade_for(policy.types.get(category) or policy.types[policy.fallback])

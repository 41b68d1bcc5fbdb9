"""Draw what the people of a simulated city want next: the ordinary way, its side roads, and now and then nonsense."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from dispatch.rules.incident.chain import (
    ENDED,
    LIVE,
    STEPS,
    SYSTEM,
    Actor,
    Assignment,
    Incident,
    lawful,
    reporter_of,
)
from tests.small_law import CITY, GRID_TEAM, JOINT, MAJOR, SMALL, VILLAGE, WHISTLE

ENOUGH_LIVES = 2

Wish = tuple[str, Actor, dict[str, Any]]  # verb, who, and what it is given


class People:
    """Draw from one source of chance what is wanted of an incident."""

    def __init__(self, rnd: Random) -> None:
        self._rnd = rnd
        self._now = datetime.min.replace(tzinfo=UTC)
        self._others: Sequence[int] = ()

    def wish(self, i: Incident, now: datetime, others: Sequence[int]) -> Wish | None:
        """Draw who wants what of an incident next; `others` are incidents that it may be merged into."""
        self._now, self._others = now, others
        return self._wish(i)

    def _wish(self, i: Incident) -> Wish | None:
        """Draw who wants what of an incident next."""
        rnd, who = self._rnd, people_of(i)
        draw = rnd.random()
        if i.ended_at is not None:
            return self._afterwards(i, who)
        if i.paused_why is not None:
            return (
                ("resume", who["duty_leader"], {}) if draw < 0.3 else ("note", who["resident"], {"note": "?"})
            )
        if draw < 0.03:
            actor = rnd.choice(list(who.values()))
            verb = rnd.choice([v for v in STEPS if v not in ("breach", "escalate")])
            return verb, actor, self._given(verb, i, rnd.choice((0, 1)))
        if draw < 0.2:
            actor = rnd.choice(list(who.values()))
            dull = ("note", "rate_whistle", "end_whistle")
            able = [s.verb for s in lawful(i, actor) if s.target not in ENDED and s.verb not in dull]
            if able:
                verb = rnd.choice(able)
                return verb, actor, self._given(verb, i)
        if i.facts.get("imported") and draw < 0.5:
            return "conclude", SYSTEM, self._given("conclude", i)
        for part in i.parts.values():
            if part.state == "review":
                verb = "send_whistle" if rnd.random() < 0.8 else "refuse_whistle"
                return verb, who["dispatcher"], self._given(verb, i)
            if part.role == "assist" and part.state in LIVE and draw < 0.6:
                verb = "pick_up" if part.state == "sent" else "dispose"
                return verb, _crew(part), self._given(verb, i)
            if part.kind == "whistle" and part.state == "done" and i.state in ("disposed", "verified"):
                return "end_whistle", _blower(part, who), {"assignment_id": part.id}
        return self._onwards(i, who)

    def _onwards(self, i: Incident, who: dict[str, Actor]) -> Wish | None:
        """Draw the next step of the way, or one of its side roads."""
        rnd = self._rnd
        lead = i.lead
        roads: dict[str, tuple[tuple[str, Actor, int], ...]] = {
            "reported": (
                ("accept", who["dispatcher"], 50), ("send_check", who["dispatcher"], 8),
                ("reject", who["duty_leader"], 4), ("merge", who["dispatcher"], 8), ("recode", who["dispatcher"], 8),
                ("solve", who["grid_worker"], 8), ("whistle", who["grid_head"], 10),
            ),
            "checking": (("check", who["grid_head"], 1),),
            "accepted": (
                ("dispatch", who["dispatcher"], 70), ("whistle", who["grid_head"], 10),
                ("solve", who["grid_worker"], 5), ("void", who["duty_leader"], 3), ("recode", who["dispatcher"], 3),
            ),
            "disposed": (("verify", who["grid_head"], 85), ("rework", who["duty_leader"], 15)),
            "verified": (("close", who["duty_leader"], 1),),
        }  # fmt: skip
        if lead is not None:
            crew = _crew(lead)
            roads["dispatched"] = (
                ("pick_up", crew, 80), ("decline", crew, 8), ("reassign", who["dispatcher"], 8),
                ("add_assist", who["dispatcher"], 5),
            )  # fmt: skip
            roads["in_hand"] = (
                ("dispose" if lead.state == "on_site" or "arrive" not in lead.clocks else "arrive", crew, 60),
                ("decline", crew, 6), ("ask_extension", crew, 8), ("suspend", who["duty_leader"], 10),
                ("add_assist", who["dispatcher"], 8), ("reassign", who["dispatcher"], 4),
                ("whistle", who["grid_head"], 4),
            )  # fmt: skip
            if i.facts.get("extension_asked"):
                roads["in_hand"] = (
                    ("grant_extension", who["duty_leader"], 3), ("refuse_extension", who["duty_leader"], 1),
                )  # fmt: skip
        choices = roads[i.state]
        verb, actor, _ = rnd.choices(choices, [weight for *_, weight in choices])[0]
        return verb, actor, self._given(verb, i)

    def _afterwards(self, i: Incident, who: dict[str, Actor]) -> Wish | None:
        rnd = self._rnd
        if i.state != "closed":
            return None
        appeal = i.facts.get("appeal")
        if appeal is not None and appeal["granted"] is None and rnd.random() < 0.8:
            judge = who["city" if appeal["reviews"] else "county"]
            return "judge_appeal", judge, self._given("judge_appeal", i)
        for part in i.parts.values():
            if part.kind == "whistle" and part.state in ("done", "ended") and "rating" not in part.facts:
                verb = "end_whistle" if part.state == "done" else "rate_whistle"
                args = self._given(verb, i) | {"assignment_id": part.id}
                return verb, _blower(part, who), args
        if i.rating is not None and i.rating <= 2 and rnd.random() < 0.5:
            return "reopen", who["resident"], self._given("reopen", i)
        draw = rnd.random()
        lives = len(i.facts.get("former", ())) + 1
        if draw < 0.3 and i.rating is None:
            return "rate", who["resident"], self._given("rate", i)
        if draw < 0.45 and lives < ENOUGH_LIVES:
            return "reopen", who["duty_leader"], self._given("reopen", i)
        if draw < 0.6 and appeal is None:
            return "appeal", who["dispatcher"], self._given("appeal", i)
        return ("archive", SYSTEM, {}) if draw > 0.95 else None

    def _given(self, verb: str, i: Incident, short: int = 0) -> dict[str, Any]:
        """Return what a verb needs, drawn; `short` leaves everything out."""
        rnd = self._rnd
        if short:
            return {}
        everything: dict[str, Any] = {
            "reason": "有原因", "result": "已处置", "real": True, "note": "补充", "standard": True,
            "commander": "person/11", "limit": rnd.choice(("4wh", "1ud")), "merged": 5, "clock": "close",
            "whistle_kind": rnd.choice(("hard", "joint", "emergency")), "granted": rnd.random() < 0.7,
            "return_kind": "other",
            "rating": rnd.randint(1, 5), "team_id": rnd.randint(1, 8), "closed_at": self._now,
            "category": rnd.choice((JOINT, MAJOR, SMALL, WHISTLE)), "into": rnd.choice(self._others[-20:]),
            "until": (self._now + timedelta(hours=rnd.choice((1, 30, 200)))).isoformat(),
        }  # fmt: skip
        args = {need: everything[need] for need in STEPS[verb].needs}
        if verb in ("dispose", "solve"):
            args["photos"] = ["https://x/1.jpg", "https://x/2.jpg"]
        if verb == "arrive":
            args |= {"position": [i.lon, i.lat]} if rnd.random() < 0.7 else {"reason": "没有信号"}
        return args


def people_of(i: Incident) -> dict[str, Actor]:
    """Return who may have to do with an incident, by role; the teams that have a part in it too."""
    area = i.area_code
    within = {
        "dispatcher": area[:9], "duty_leader": area[:9], "grid_head": area[:12], "grid_worker": area[:12],
        "village": area[:12], "county": area[:6], "city": CITY, "leader": CITY,
    }  # fmt: skip
    found = {
        role: Actor(
            f"{role}/{code}", role, code, GRID_TEAM if role == "grid_worker" and code == VILLAGE else None
        )
        for role, code in within.items()
    }
    found["resident"] = Actor(reporter_of(i), "resident", area)
    return found | {f"team/{p.team_id}": _crew(p) for p in i.parts.values()}


def _blower(part: Assignment, who: dict[str, Actor]) -> Actor:
    """Return who asked for a whistle; what nobody asked for is the centre's."""
    asked_by = part.facts.get("asked_by")
    return next((a for a in who.values() if a.id == asked_by), who["dispatcher"])


def _crew(part: Assignment) -> Actor:
    return Actor(f"team/{part.team_id}", "team", CITY, part.team_id)

"""Decide who may declare wartime over an area, for how long, and who may end it.

While it lasts, what is opened there gets half of every limit, never less than three minutes; what was opened before
keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from dispatch.rules.areas import contains
from dispatch.rules.incident.values import Actor, same_person
from dispatch.rules.law import ABOVE, not_role
from dispatch.rules.refusals import FIELDS, Refusal
from dispatch.rules.words import both

LEVELS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        1: ("一级红色", "level I, red"),
        2: ("二级橙色", "level II, orange"),
        3: ("三级黄色", "level III, yellow"),
        4: ("四级蓝色", "level IV, blue"),
    }
)
KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "flood": ("防汛", "flood"),
        "forest_fire": ("森林防火", "forest fire"),
        "epidemic": ("疫情", "epidemic"),
        "event": ("大型活动", "large event"),
    }
)
LONGEST = timedelta(days=30)  # then somebody looks again, and declares it anew if it must go on
TEXT_LIMIT_CHARS = 500
RED = 1  # is the city's to approve


@dataclass(frozen=True, slots=True)
class Declaration:
    """The wish to put an area into wartime until a time: who declares, and who approves."""

    area_code: str
    level: int
    kind: str
    reason: str
    commander: str
    declared_by: Actor
    approved_by: Actor
    until: datetime


@dataclass(frozen=True, slots=True)
class Wartime:
    """A stretch of wartime as it is kept: actors by their ids, times in UTC, its end once it has one."""

    id: int | None
    area_code: str
    level: int
    kind: str
    reason: str
    commander: str
    declared_by: str
    approved_by: str
    since: datetime
    until: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None
    end_reason: str | None = None

    def in_force(self, now: datetime) -> bool:
        """Tell whether it holds at an instant."""
        return self.since <= now < self.until and self.ended_at is None


def declare(wish: Declaration, held: Iterable[Wartime], now: datetime) -> Wartime | Refusal:
    """Answer a declaration with the stretch that begins now, or with a refusal; `held` are those not yet ended."""
    for actor in (wish.declared_by, wish.approved_by):
        refusal = _not_allowed(actor, wish.area_code)
        if refusal is not None:
            return refusal
    if same_person(wish.declared_by.id, wish.approved_by.id):
        return Refusal("one_person")
    if type(wish.level) is not int or wish.level not in LEVELS:
        return Refusal("wartime_level")
    if wish.kind not in KINDS:
        return Refusal(
            "wartime_kind",
            {"kinds": both("、", ", ", [(f"{zh}（{slug}）", slug) for slug, (zh, _) in KINDS.items()])},
        )
    if wish.level == RED and wish.approved_by.role != "city":
        return Refusal("wartime_red")
    for need, value in (("reason", wish.reason), ("commander", wish.commander)):
        if not 0 < len(value.strip()) <= TEXT_LIMIT_CHARS:
            return _needs(need)
    if not now < wish.until <= now + LONGEST:
        return Refusal("wartime_until", {"days": LONGEST.days})
    for one in held:
        if one.in_force(now) and contains(one.area_code, wish.area_code):
            return Refusal("in_wartime", {"by": one.declared_by, "area": one.area_code})
    return Wartime(
        None, wish.area_code, wish.level, wish.kind, wish.reason.strip(), wish.commander.strip(),
        wish.declared_by.id, wish.approved_by.id, now, wish.until,
    )  # fmt: skip


def end(one: Wartime | None, actor: Actor, reason: str, now: datetime) -> Wartime | Refusal:
    """Answer the wish to end a stretch with the stretch as it ended, or with a refusal."""
    if one is None or not one.in_force(now):
        return Refusal("not_in_wartime")
    refusal = _not_allowed(actor, one.area_code)
    if refusal is not None:
        return refusal
    if not 0 < len(reason.strip()) <= TEXT_LIMIT_CHARS:
        return _needs("reason")
    return replace(one, ended_at=now, ended_by=actor.id, end_reason=reason.strip())


def lapse(one: Wartime) -> Wartime:
    """Return a stretch whose time has run out as it ended: by itself, at its time."""
    return replace(one, ended_at=one.until, ended_by="system", end_reason="")


def _not_allowed(actor: Actor, area_code: str) -> Refusal | None:
    if actor.role not in ABOVE:
        return not_role(actor.role, _VERB)
    if not contains(actor.area_code, area_code):
        return Refusal("wartime_area", {"actor": actor.id, "area": area_code})
    return None


def _needs(need: str) -> Refusal:
    return Refusal("needs", {"verb": _VERB, "field": FIELDS[need]})


_VERB = ("宣布或解除战时", "declare or end wartime")

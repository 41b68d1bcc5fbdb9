"""Weigh what speaks against sending a team in minutes, as the city's policy sets it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dispatch.rules.policy.tables import PolicyError, Table

FILE = "assignment.toml"
STATES = ("available", "assigned", "on_the_way", "on_scene", "resting", "off_duty")
MINUTES_LIMIT = 10_000  # no single weight is more than a week
SKILLS_LIMIT = 200
# An incident left waiting must cost more than the farthest, fullest team, or the solver would leave it.
UNPLACED_FLOOR = 10 * MINUTES_LIMIT
UNPLACED_LIMIT = 100 * UNPLACED_FLOOR


@dataclass(frozen=True, slots=True)
class Skill:
    """A training that some event types need: its two names, the types, and the trades whose teams all have it."""

    slug: str
    name: str
    name_en: str
    types: frozenset[str]
    trades: frozenset[str]


@dataclass(frozen=True, slots=True)
class Weights:
    """Hold the price of each circumstance in minutes; see config/policy/assignment.toml for what each means."""

    km: float = 2.0
    unknown_place: float = 60.0
    load: float = 120.0
    farther_area: float = 600.0
    tired: float = 30.0
    no_skill: float = 90.0
    misdispatch: float = 480.0
    other_trade: float = 240.0
    state: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(
            dict.fromkeys(STATES, 0.0) | {"on_the_way": 5.0, "on_scene": 10.0}
        )
    )
    unplaced: Mapping[int, float] = field(
        default_factory=lambda: MappingProxyType({1: 400_000.0, 2: 300_000.0, 3: 200_000.0, 4: 100_000.0})
    )
    fresh_min: float = 10.0
    rest_min: float = 30.0
    not_ours: tuple[str, ...] = ("非本单位", "不属于本单位", "not our unit")
    memory_days: int = 180
    least_cases: int = 3
    skills: tuple[Skill, ...] = ()


# What was in force before a policy could say otherwise.
FORMER = Weights()
_PRICES = ("km", "unknown_place", "load", "farther_area", "tired", "no_skill", "misdispatch", "other_trade")


# These count several times in one sum.
_MOST = {"km": 60, "farther_area": 5_000}


def read(text: str, types: Collection[str], trades: Collection[str], faults: list[PolicyError]) -> Weights:
    """Build Weights from the text of assignment.toml; what is wrong is added to `faults`."""
    top = Table.parse(FILE, text, faults)
    top.known(("minutes", "unplaced", "rest", "misdispatch", "skill"))
    minutes = top.table("minutes")
    minutes.known((*_PRICES, "state"))
    state = minutes.table("state")
    state.known(STATES)
    unplaced = top.table("unplaced")
    unplaced.known(("1", "2", "3", "4"))
    rest = top.table("rest")
    rest.known(("fresh", "after_call"))
    memory = top.table("misdispatch")
    memory.known(("words", "days", "least"))
    skills = []
    for table in top.tables("skill", SKILLS_LIMIT):
        table.known(("slug", "name", "name_en", "types", "trades"))
        skills.append(
            Skill(
                table.text("slug"),
                table.text("name"),
                table.text("name_en"),
                frozenset(table.texts("types", types)),
                frozenset(table.texts("trades", trades)),
            )
        )
    prices = {name: minutes.number(name, 0, _MOST.get(name, MINUTES_LIMIT)) for name in _PRICES}
    return Weights(
        **prices,
        state=MappingProxyType({name: state.number(name, 0, MINUTES_LIMIT) for name in STATES}),
        unplaced=MappingProxyType(
            {s: unplaced.number(str(s), UNPLACED_FLOOR, UNPLACED_LIMIT) for s in (1, 2, 3, 4)}
        ),
        fresh_min=rest.minutes("fresh"),
        rest_min=rest.minutes("after_call"),
        not_ours=memory.texts("words"),
        memory_days=memory.whole("days", 1, 3_660),
        least_cases=memory.whole("least", 1, 1_000),
        skills=tuple(skills),
    )

"""Say when silence goes one level up and who is called, by the severity of what is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from dispatch.rules.policy.tables import PolicyError, Table

FILE = "ladder.toml"
SEVERITIES = (1, 2, 3, 4)
LEVELS = {"city": 1, "county": 2, "town": 3}
# Who can be called at a level, as accounts name them.
ROLES = ("dispatcher", "duty_leader", "county", "city", "leader")
STEPS_LIMIT = 60
REPEATS_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: after `after_min` of silence past a limit, call `role` at `level` (1 city, 2 county, 3 town).

    The call is repeated `repeats` times, `every_min` apart, while the silence lasts.
    """

    after_min: int
    level: int
    role: str
    channels: tuple[str, ...]
    repeats: int = 0
    every_min: int = 60


@dataclass(frozen=True, slots=True)
class Ladder:
    """Hold the rungs of each severity, lowest first, and the shares of a limit (%) at which its holder is reminded.

    `whistle` is the rung of a whistle that nobody has reported in for, whatever its severity.
    """

    steps: Mapping[int, tuple[Step, ...]]
    reminders: tuple[int, ...] = ()
    whistle: Step | None = None


@dataclass(frozen=True, slots=True)
class Rise:
    """When and to which level (2 county, 1 city) silence goes up, since when it lasts, and whether of a whistle."""

    at: datetime
    level: int
    since: datetime
    whistle: bool


@dataclass(frozen=True, slots=True)
class Call:
    """Who is to be called now: rung `rung` (from 0), for the `turn`-th time (0: the first)."""

    step: Step
    rung: int
    turn: int


def _plain(*rungs: tuple[int, int]) -> tuple[Step, ...]:
    return tuple(Step(after, level, "county" if level == 2 else "city", ("app",)) for after, level in rungs)


# What was in force before a policy could say otherwise.
FORMER = Ladder(
    MappingProxyType(
        {
            1: _plain((10, 2), (60, 1)),
            2: _plain((30, 2), (240, 1)),
            3: _plain((120, 2)),
            4: _plain((480, 2)),
        }
    )
)


def cutoffs(now: datetime, ladder: Ladder) -> tuple[list[datetime | None], list[datetime | None]]:
    """Return for severities 1 to 4 since when silence must have lasted to leave the town, and to leave the county.

    None stands where the ladder leads no further.
    """
    leaving: tuple[list[datetime | None], list[datetime | None]] = ([], [])
    for severity in SEVERITIES:
        for place, level in enumerate((3, 2)):
            minutes = _minutes_to_leave(ladder, severity, level)
            leaving[place].append(None if minutes is None else now - timedelta(minutes=minutes))
    return leaving


def next_step(
    severity: int, level: int, overdue_since: datetime | None, ladder: Ladder
) -> tuple[datetime, int] | None:
    """Return when and to which level (2 county, 1 city) an overdue incident goes up next, or None."""
    if overdue_since is None or level <= 1:
        return None
    minutes = _minutes_to_leave(ladder, severity, min(level, 3))
    if minutes is None:
        return None
    # One level at a time, also where the ladder leaves one out.
    return overdue_since + timedelta(minutes=minutes), min(level, 3) - 1


def whistle_step(level: int, unreported_since: datetime, ladder: Ladder) -> tuple[datetime, int] | None:
    """Return when and to which level an incident goes up whose whistle nobody reported in for, or None.

    It leaves the general ladder alone: whichever comes first raises it, one level at a time.
    """
    step = ladder.whistle
    if step is None or level <= step.level:
        return None
    return unreported_since + timedelta(minutes=step.after_min), min(level, 3) - 1


def goes_up(
    severity: int, level: int, silent: datetime | None, unreported: datetime | None, ladder: Ladder
) -> Rise | None:
    """Return when and where an incident goes up next if nobody does anything, or None where it stays.

    `silent` is since when nobody has answered to any limit, `unreported` since when nobody reports in for a whistle,
    each as `silent_since` tells it and None where there is no such silence; whichever comes first raises it.
    """
    rises = []
    if unreported is not None and (step := whistle_step(level, unreported, ladder)) is not None:
        rises.append(Rise(*step, unreported, whistle=True))
    if silent is not None and (step := next_step(severity, level, silent, ladder)) is not None:
        rises.append(Rise(*step, silent, whistle=False))
    return min(rises, key=lambda rise: rise.at, default=None)


def silent_since(passed: datetime, handed_down_at: datetime | None) -> datetime:
    """Return since when nobody has answered: a limit passed, or the hand-down after it."""
    return passed if handed_down_at is None else max(passed, handed_down_at)


def call_due(severity: int, overdue_since: datetime, now: datetime, ladder: Ladder) -> Call | None:
    """Return whom to call by now: the highest rung that silence has reached, in its latest turn; None below all.

    What was missed on the way, by an outage or a clock set forward, is never made up for.
    """
    return _reached(ladder.steps[severity], overdue_since, now)


def whistle_call_due(unreported_since: datetime, now: datetime, ladder: Ladder) -> Call | None:
    """Return whom to call by now for a whistle that nobody has reported in for, or None."""
    return _reached((ladder.whistle,), unreported_since, now) if ladder.whistle is not None else None


def _reached(steps: Sequence[Step], since: datetime, now: datetime) -> Call | None:
    reached = None
    for rung, step in enumerate(steps):
        waited = now - since - timedelta(minutes=step.after_min)
        if waited >= timedelta(0):
            turn = min(step.repeats, waited // timedelta(minutes=step.every_min))
            reached = Call(step, rung, turn)
    return reached


def read(text: str, faults: list[PolicyError]) -> Ladder:
    """Build a Ladder from the text of ladder.toml; what is wrong is added to `faults`."""
    top = Table.parse(FILE, text, faults)
    top.known(("reminders", "whistle", "step"))
    steps: dict[int, list[Step]] = {severity: [] for severity in SEVERITIES}
    for table in top.tables("step", STEPS_LIMIT):
        table.known(("severity", "after", "level", "role", "channels", "repeats", "every"))
        severity = table.whole("severity", 1, 4)
        step = _step(table)
        held = steps[severity]
        if held and (step.after_min <= held[-1].after_min or step.level > held[-1].level):
            table.fault("after", "a later step of the same severity comes later, and no lower")
        held.append(step)
    reminders = top.wholes("reminders", 1, 99, [])
    if list(reminders) != sorted(set(reminders)):
        top.fault("reminders", "expected each share once, the smallest first")
    whistle = None
    if "whistle" in top.keys():  # noqa: SIM118 - a Table is no mapping
        table = top.table("whistle")
        table.known(("after", "level", "role", "channels", "repeats", "every"))
        whistle = _step(table)
    return Ladder(MappingProxyType({s: tuple(held) for s, held in steps.items()}), reminders, whistle)


def _step(table: Table) -> Step:
    return Step(
        table.minutes("after"),
        LEVELS.get(table.text("level", tuple(LEVELS)), 3),
        table.text("role", ROLES),
        table.texts("channels"),
        table.whole("repeats", 0, REPEATS_LIMIT, 0),
        table.minutes("every", "60m"),
    )


def _minutes_to_leave(ladder: Ladder, severity: int, level: int) -> int | None:
    """Return after how many minutes the first rung above `level` is reached."""
    return next((step.after_min for step in ladder.steps[severity] if step.level < level), None)

"""Say who is told what after which step, when it may go out, and whether it is still true when it does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from types import MappingProxyType
from typing import Any

from dispatch.rules.areas import Level, at_level, centre_of
from dispatch.rules.law import STEPS
from dispatch.rules.policy.tables import PolicyError, Table
from dispatch.rules.time.calendar import Calendar
from dispatch.rules.time.clocks import KINDS, NAMES

FILE = "notices.toml"
APP = "app"  # inside the system: every city has it, nothing can fail
RULES_LIMIT = 200
CHANNELS_LIMIT = 20
LINES_LIMIT = 100
# To whom a rule speaks: the team in charge, whoever holds the incident (team or centre), the teams whose part the step
# itself sent to assist or took back, or a role at a level.
OF_PARTS = ("assisting", "recalled")
ROLES = ("team", "holder", *OF_PARTS, "dispatcher", "duty_leader", "village", "county", "city", "leader")
LEVELS = {"city": Level.CITY, "county": Level.COUNTY, "town": Level.TOWN, "village": Level.VILLAGE}
# What must be true for a message to go: a clock is awaited of the same holder, the team told has not yet answered, ...
HOLDS = (*KINDS, "unanswered", "open", "overdue", "always")
# What a failed message waits before it is tried again, doubling up to the most; so does a channel that failed.
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=10)
ATTEMPTS_LIMIT = 15  # about an hour and a half in all, then it is dead, with its cause

LANGUAGES = ("zh", "en")
AWAITED = NAMES
_WORDS = ("kind_zh", "kind_en", "place", "number", "awaits_zh", "awaits_en", "share")


@dataclass(frozen=True, slots=True)
class Rule:
    """After any of `verbs`, at any of `severities`, tell `to` by `channels`, as long as `holds` is true."""

    slug: str
    verbs: frozenset[str]
    severities: frozenset[int]
    to: str
    level: str
    holds: str
    channels: tuple[str, ...]
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A way out: its names, the environment variable that holds its addresses, and the language spoken there."""

    slug: str
    name: str
    name_en: str
    env: str
    lang: str = "zh"


@dataclass(frozen=True, slots=True)
class Notices:
    """Hold what notices.toml says; without one nobody is told anything."""

    rules: tuple[Rule, ...] = ()
    channels: Mapping[str, Channel] = field(default_factory=lambda: MappingProxyType({}))
    quiet: frozenset[int] = frozenset()
    quiet_from: time = time(22)
    quiet_until: time = time(7)
    gap: timedelta = timedelta(minutes=2)
    per_hour: int = 20
    lines: int = 15
    reminder: Rule | None = None
    call: Rule | None = None


# What was in force before a policy could say otherwise.
SILENT = Notices()


@dataclass(frozen=True, slots=True)
class Facts:
    """How an incident stands now, as far as telling people about it goes."""

    id: int
    number: int
    category: str
    severity: int
    area_code: str
    level: int
    holder: str
    awaits: str | None
    segment: int
    overdue_since: datetime | None
    ended: bool
    paused: bool
    place: str
    unanswered: Sequence[str] = ()  # teams (`team/<id>`) that were sent and have not picked up


def told_of_parts(to: str, parts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the teams that a step sent to assist or took a part from, of the assignments as its event holds them."""
    state, roles = ("sent", ("assist",)) if to == "assisting" else ("recalled", ("lead", "assist"))
    return [f"team/{part['team_id']}" for part in parts if part["state"] == state and part["role"] in roles]


def receiver(to: str, level: str, facts: Facts) -> str | None:
    """Return who is told: `team/<id>` or `<role>/<area code>`; None where the incident has no such."""
    if to in ("team", "holder") and facts.holder.startswith("team/"):
        return facts.holder
    if to == "team":
        return None
    if to == "holder":
        return f"dispatcher/{facts.holder.removeprefix('centre/') or centre_of(facts.area_code)}"
    area = at_level(facts.area_code, LEVELS[level or "town"]) or facts.area_code
    return f"{to}/{area}"


def reached_at(receiver: str, area_code: str) -> str:
    """Return the area whose addresses reach a receiver: that of the role that is told, and of a team the incident's."""
    kind, _, where = receiver.partition("/")
    return area_code if kind == "team" else where


def untrue(holds: str, holder: str, facts: Facts | None) -> str | None:
    """Return why a message is no longer true, or None while it is.

    `holder` held the incident when it was written; of what is `unanswered` it is the team told.
    """
    if holds == "always":
        return None
    if facts is None or facts.ended:
        return "the incident has ended"
    if facts.paused:
        return "the incident is suspended"
    if holds == "overdue":
        return None if facts.overdue_since is not None else "what was awaited has come"
    if holds == "open":
        return None
    if holds == "unanswered":
        return None if holder in facts.unanswered else "the team has answered"
    if facts.awaits != holds:
        return "what was awaited has come"
    return None if facts.holder == holder else "somebody else holds it"


def may_go(severity: int, at: datetime, notices: Notices, calendar: Calendar) -> datetime:
    """Return when a message may go out: at once, or for small matters at the end of the quiet hours."""
    if severity not in notices.quiet:
        return at
    local = calendar.local(at)
    begin, end, clock = notices.quiet_from, notices.quiet_until, local.timetz().replace(tzinfo=None)
    inside = begin <= clock < end if begin < end else clock >= begin or clock < end
    if not inside:
        return at
    day = local.date() + timedelta(days=1) if clock >= end else local.date()
    return datetime.combine(day, end, local.tzinfo).astimezone(at.tzinfo)


def wait(failures: int) -> timedelta:
    """Return how long to wait after so many failures in a row."""
    doubled: int = 2 ** min(max(failures - 1, 0), 16)
    return min(LONGEST_WAIT, FIRST_WAIT * doubled)


def bundle(lines: Sequence[str], at_most: int, lang: str = "zh") -> tuple[str, str]:
    """Return the title and body of one message that names several incidents, each line once."""
    once = list(dict.fromkeys(lines))
    shown = once[:at_most]
    if len(once) > len(shown):
        rest = len(once) - len(shown)
        shown.append(f"另有 {rest} 件" if lang == "zh" else f"and {rest} more")
    title = f"网格哨：{len(once)} 条提醒" if lang == "zh" else f"Gridwhistle: {len(once)} notice(s)"
    return title, "\n".join(shown)


def read(text: str, faults: list[PolicyError]) -> Notices:
    """Build Notices from the text of notices.toml; what is wrong is added to `faults`."""
    top = Table.parse(FILE, text, faults)
    top.known(("quiet", "throttle", "channel", "reminder", "call", "rule"))
    channels = {}
    for table in top.tables("channel", CHANNELS_LIMIT):
        table.known(("slug", "name", "name_en", "env", "lang"))
        one = Channel(
            table.text("slug"), table.text("name"), table.text("name_en"), table.text("env"),
            table.text("lang", LANGUAGES, "zh"),
        )  # fmt: skip
        if one.slug in channels or one.slug == APP:
            table.fault("slug", f"{one.slug!r} stands twice")
        channels[one.slug] = one
    names = (APP, *channels)
    rules = [_rule(table, names) for table in top.tables("rule", RULES_LIMIT)]
    slugs = [rule.slug for rule in rules]
    for slug in {slug for slug in slugs if slugs.count(slug) > 1}:
        top.fault("rule", f"{slug!r} stands twice")
    quiet = top.table("quiet")
    quiet.known(("severities", "from", "until"))
    throttle = top.table("throttle")
    throttle.known(("gap", "per_hour", "lines"))
    reminder, call = top.table("reminder"), top.table("call")
    reminder.known(("channels", "zh", "en"))
    call.known(("zh", "en"))
    return Notices(
        tuple(rules),
        MappingProxyType(channels),
        frozenset(quiet.wholes("severities", 1, 4)),
        _time(quiet, "from"),
        _time(quiet, "until"),
        timedelta(minutes=throttle.minutes("gap")),
        throttle.whole("per_hour", 1, 1_000),
        throttle.whole("lines", 1, LINES_LIMIT),
        _plain("reminder", "holder", reminder, reminder.texts("channels", names)),
        _plain("call", "", call, ()),
    )


def _rule(table: Table, names: Collection[str]) -> Rule:
    table.known(("slug", "verbs", "severities", "to", "level", "holds", "channels", "zh", "en"))
    return Rule(
        table.text("slug"),
        frozenset(table.texts("verbs", tuple(STEPS))),
        frozenset(table.wholes("severities", 1, 4)),
        table.text("to", ROLES),
        table.text("level", (*LEVELS, ""), ""),
        table.text("holds", HOLDS),
        table.texts("channels", names),
        _sentence(table, "zh"),
        _sentence(table, "en"),
    )


def _plain(slug: str, to: str, table: Table, channels: tuple[str, ...]) -> Rule:
    severities = frozenset((1, 2, 3, 4))
    zh, en = _sentence(table, "zh"), _sentence(table, "en")
    return Rule(slug, frozenset(), severities, to, "", "overdue", channels, zh, en)


def _sentence(table: Table, key: str) -> str:
    text = table.text(key)
    try:
        text.format(**dict.fromkeys(_WORDS, ""))
    except (KeyError, IndexError, ValueError):
        table.fault(key, f"expected no placeholders but {', '.join('{' + word + '}' for word in _WORDS)}")
        return ""
    return text


def _time(table: Table, key: str) -> time:
    try:
        return time.fromisoformat(table.text(key))
    except ValueError:
        table.fault(key, "expected a time of day as in 22:00")
        return time(0)

"""Says in words who, where and what a record means: areas, teams, holders, and who acted."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg

from dashboard.data import CityReads, Directory, reads
from dashboard.wording.catalogue import ROLES, clock_name, pick, translator
from dispatch.rules.areas import Level, ancestors, level_of
from dispatch.rules.incident import reasons
from dispatch.rules.incident.chain import STEPS
from dispatch.rules.time.calendar import DEFAULT_ZONE

# What the record calls a role beside its name in the law.
_SHORT = {"duty": "duty_leader", "worker": "grid_worker", "head": "grid_head"}


def area(directory: Directory, code: str, lang: str) -> str:
    """Return an area's name, or its code where it is not known."""
    found = directory.areas.get(code)
    return code if found is None else pick(lang, found.name, found.name_en)


def plain(text: str) -> str:
    """Return what somebody wrote with nothing in it that Markdown would read, for labels that read it."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|<>$:~" else c for c in text)


def place(directory: Directory, code: str, lang: str) -> str:
    """Return where an area lies, by town and village; a county or the city by its own name."""
    codes = [c for c in reversed(ancestors(code)) if level_of(c) in (Level.TOWN, Level.VILLAGE)]
    return ("" if lang == "zh" else ", ").join(area(directory, c, lang) for c in codes or [code])


def team(directory: Directory, team_id: int, lang: str) -> str:
    """Return a team's name, or its number where it is not known."""
    found = directory.teams.get(team_id)
    return str(team_id) if found is None else pick(lang, found.name, found.name_en)


def holder(directory: Directory, key: str, lang: str) -> str:
    """Return who holds an incident: `team/17` or `centre/445302001`."""
    kind, _, rest = key.partition("/")
    if kind == "team":
        return team(directory, int(rest), lang) if rest.isdigit() else rest
    return translator(lang)("{place} command centre").format(place=area(directory, rest, lang))


def actor(directory: Directory, key: str, lang: str) -> str:
    """Return who acted: `dispatcher:chen`, `dispatcher/445302001`, `team@17`, or the source of a report.

    A resident is never named: whoever it is stays their own matter.
    """
    _ = translator(lang)
    mark = next((each for each in key if each in ":@/"), "")
    if not mark:
        sources = {
            "system": _("The system"), "field_app": _("Grid workers' app"), "resident_app": _("Residents' app"),
            "hotline": _("Hotline"), "sensor": _("Sensor"), "demo": _("Demo key"),
        }  # fmt: skip
        return sources.get(key, key)
    role, _mark, rest = key.partition(mark)
    role = _SHORT.get(role, role)
    if role not in ROLES:
        return key
    if role == "resident":
        return _(ROLES[role])
    if mark == ":":
        person = directory.people.get(rest)
        return f"{_(ROLES[role])}　{rest if person is None else person}"
    if role == "team" and rest.isdigit():
        return team(directory, int(rest), lang)
    return f"{_(ROLES[role])}　{place(directory, rest, lang)}" if rest in directory.areas else _(ROLES[role])


def verb(name: str, lang: str) -> str:
    """Return a step's name."""
    step = STEPS.get(name)
    return name if step is None else (step.zh if lang == "zh" else step.en)


def said(directory: Directory, what: str, value: object, lang: str) -> str:
    """Return what an event says of itself under one key, in words."""
    if what == "clock":
        return clock_name(str(value), lang)
    return actor(directory, str(value), lang) if what == "commander" else reasons.words(value, lang)


def zone() -> ZoneInfo:
    """Return the zone of the clock of the city whose pages this process shows."""
    return zone_of(reads())


def zone_of(city: CityReads) -> ZoneInfo:
    """Return the zone of a city's clock, as its policy says; the default one while no city can be read."""
    try:
        return ZoneInfo(city.known().zone)
    except (LookupError, psycopg.Error):
        return ZoneInfo(DEFAULT_ZONE)


def moment(at: datetime) -> str:
    """Return an instant as month, day, hour and minute of the city's clock."""
    return f"{at.astimezone(zone()):%m-%d %H:%M}"

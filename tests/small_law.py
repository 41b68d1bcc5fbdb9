"""A policy of five event types and a handful of teams, written out so that every expectation can be made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

from dispatch.rules.incident.chain import (
    Actor,
    Command,
    Context,
    Event,
    Incident,
    Report,
    decide,
    evolve,
    open_report,
)
from dispatch.rules.incident.chain import route as rule_route
from dispatch.rules.incident.sending import load_changes
from dispatch.rules.policy import escalation
from dispatch.rules.policy import policy as policies
from dispatch.rules.policy.policy import Policy
from dispatch.rules.refusals import Refusal
from dispatch.rules.teams.routing import Roster, Team

SHANGHAI = ZoneInfo("Asia/Shanghai")
CITY, COUNTY, OTHER_COUNTY = "445300", "445302", "445321"
TOWN, NEXT_TOWN, FAR_TOWN = "445302001", "445302002", "445321001"
VILLAGE, NEXT_VILLAGE = "445302001001", "445302001002"
MICRO = "44530200100100001"
GRID_TEAM, POLICE, OTHER_POLICE = 1, 3, 6

JOINT, MAJOR, SMALL, WHISTLE, NOBODY = "0101", "0102", "0301", "0401", "0901"

FILES = {
    "themes.csv": "code,name,name_en\n01,平安,safety\n03,环境,surroundings\n04,执法,enforcement\n09,服务,service\n",
    "trades.csv": (
        "trade,name,name_en,level\ngrid,网格服务队,grid team,village\npolice,派出所,police,town\n"
        "water,水务,water,county\ngas,燃气,gas,city\nhall,服务中心,service hall,town\n"
    ),
    "event_types.csv": (
        "code,name,name_en,theme,lead,assist,severity,mode,accept,arrive,dispose,verify,basis,keywords\n"
        "0101,盗窃,theft,01,police,,3,joint,10m,60m,3wd,1wd,P,盗窃|小偷\n"
        # Its arrival and its pick-up are due at the very same instant.
        "0102,诈骗,fraud,01,police,grid,1,all_net,5m,5m,2uh,1wd,P,诈骗\n"
        "0301,垃圾,litter,03,police,,4,one_grid,30m,,1wd,1wd,P,垃圾\n"
        "0401,占道,blocked road,04,police,grid water,2,whistle,15m,,4wh,1wd,P,占道\n"
        "0901,咨询,question,09,hall,,4,joint,60m,,5wd,1wd,P,\n"
    ),
    "calendar.csv": (Path(__file__).parents[1] / "config" / "policy" / "calendar.csv").read_text("utf-8"),
    "limits.toml": """
zone = "Asia/Shanghai"
sessions = [["08:00", "12:00"], ["14:00", "18:00"]]
fallback = "0901"
[intake]
straight = ["one_grid", "all_net"]
grid_trade = "grid"
[dispatch]
1 = "5m"
2 = "15m"
3 = "30m"
4 = "60m"
[pick_up]
1 = "5m"
2 = "15m"
3 = "30m"
4 = "60m"
[close]
1 = "5wd"
2 = "15wd"
3 = "40wd"
4 = "40wd"
[whistle]
review = "5m"
answer = "10m"
report_in = "30m"
""",
}


# The ladder in force before a policy could name one, in its words, and the rung of a whistle not reported in.
_RUNGS = ((1, "10m", "county"), (1, "60m", "city"), (2, "30m", "county"), (2, "240m", "city"), (3, "120m", "county"),
          (4, "480m", "county"))  # fmt: skip
LADDER = '[whistle]\nafter = "15m"\nlevel = "county"\nrole = "county"\nchannels = ["app"]\n' + "".join(
    f'[[step]]\nseverity = {s}\nafter = "{after}"\nlevel = "{to}"\nrole = "{to}"\nchannels = ["app"]\n'
    for s, after, to in _RUNGS
)


def policy_files() -> dict[str, str]:
    """Return the policy's files: those written here, and the shipped ones of everything else."""
    shipped = Path(__file__).parents[1] / "config" / "policy"
    return {
        **{name: FILES.get(name) or (shipped / name).read_text("utf-8") for name in policies.FILES},
        escalation.FILE: LADDER,
    }


@cache
def small_policy() -> Policy:
    """Return the policy, as version 7."""
    return policies.parse(7, policy_files())


def local(text: str) -> datetime:
    """Read a time on the city's own clock; return it in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


MONDAY = local("2026-03-02 09:00")


def teams() -> list[Team]:
    """Return every team, empty-handed."""
    places = [
        (1, "grid", VILLAGE),
        (2, "grid", NEXT_VILLAGE),
        (3, "police", TOWN),
        (4, "police", NEXT_TOWN),
        (5, "police", FAR_TOWN),
        (6, "police", TOWN),
        (7, "water", COUNTY),
        (8, "gas", CITY),
    ]
    return [Team(i, f"{trade}队{i}", trade, area, 3, 0, "available", None, None) for i, trade, area in places]


def context(own: Iterable[Team] | None = None) -> Context:
    """Return surroundings with fresh teams and assignment ids from 1."""
    return Context(Roster(teams() if own is None else own, small_policy().weights), count(1).__next__)


def report(
    category: str = JOINT, area_code: str = MICRO, *, at: datetime = MONDAY, number: int = 1, **rest: object
) -> Report:
    """Return a report, located by its code."""
    one = Report(number, "hotline", str(number), category, "有人反映", "", area_code, None, None, "code", at)
    for name, value in rest.items():
        setattr(one, name, value)
    return one


DISPATCHER = Actor("person/10", "dispatcher", TOWN)
DUTY = Actor("person/11", "duty_leader", TOWN)
COUNTY_DESK = Actor("person/12", "county", COUNTY)
CITY_DESK = Actor("person/13", "city", CITY)
VILLAGE_DESK = Actor("person/14", "village", VILLAGE)
WORKER = Actor("person/15", "grid_worker", VILLAGE, GRID_TEAM)
HEAD = Actor("person/16", "grid_head", VILLAGE)
CREW = Actor("person/17", "team", TOWN, POLICE)
OTHER_CREW = Actor("person/18", "team", TOWN, OTHER_POLICE)
GRID_CREW = Actor("person/19", "team", VILLAGE, GRID_TEAM)
LEADER = Actor("person/20", "leader", CITY)
# Nobody left a contact with the reports of these tests: their receipt is the number 1.
RESIDENT = Actor("resident@0000000000000001", "resident", VILLAGE)
AUDITOR = Actor("person/22", "auditor", CITY)
ADMIN = Actor("person/23", "admin", CITY)


class Case:
    """An incident with its events, moved by commands on a clock of its own."""

    def __init__(
        self, category: str = JOINT, *, own: Context | None = None, routed: bool = True, **rest: object
    ) -> None:
        self.policy = small_policy()
        self.context = own or context()
        one = report(category, **rest)  # type: ignore[arg-type]
        self.now = one.reported_at
        self.incident = Incident(101)
        self.events: list[Event] = []
        opened = open_report(one, self.policy, self.context, self.now)
        assert not isinstance(opened, Refusal), opened.words("en")
        self.happen("report", one.source, opened)
        sent = rule_route(self.incident, self.policy, self.context, self.now) if routed else None
        if sent is not None:
            self.happen("route", "system", sent)

    def happen(self, verb: str, actor: str, change: object) -> None:
        """Fold one change."""
        event = Event(101, self.incident.seq + 1, self.now, verb, actor, "test", 7, change)  # type: ignore[arg-type]
        self.events.append(event)
        self.context.roster.count(load_changes(self.incident, event.change))
        evolve(self.incident, event)

    def beside(self, other: Incident) -> None:
        """Let the incident that a merge may name be another one."""
        self.context = replace(self.context, other=other)

    def ask(self, verb: str, actor: Actor, **args: object) -> Refusal | None:
        """Try a command now; return the refusal, or None when it was done."""
        command = Command(verb, 101, actor, f"press/{self.incident.seq}", dict(args))
        change = decide(self.incident, command, self.policy, self.context, self.now)
        if isinstance(change, Refusal):
            return change
        self.happen(verb, actor.id, change)
        return None

    def do(self, verb: str, actor: Actor, at: datetime | None = None, **args: object) -> Case:
        """Do what must be allowed, at `at` or where the clock stands."""
        if at is not None:
            self.now = at
        refusal = self.ask(verb, actor, **args)
        assert refusal is None, f"{verb}: {refusal.words('en')}"
        return self

    def refused(self, verb: str, actor: Actor, **args: object) -> str:
        """Try what must be refused; return the refusal's code."""
        refusal = self.ask(verb, actor, **args)
        assert refusal is not None, f"{verb} was allowed to {actor.role}"
        return refusal.code

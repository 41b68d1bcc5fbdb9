"""Prove what each definition counts on cases that were lived step by step, every numerator and denominator by hand.

`tests/rules/test_assessment.py` proves the definitions over cases; here the cases come out of events: reported,
accepted, sent, returned, suspended, disposed of, checked, closed and rated through the Desk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import psycopg
import pytest

from dispatch.desk.desk import Desk
from dispatch.record.histories import horizon
from dispatch.record.policies import Policies
from dispatch.rules.incident.chain import SYSTEM, Actor, Command, Report
from dispatch.rules.incident.effects import sampled
from dispatch.rules.measures.assessment import Rules, parse
from dispatch.rules.measures.indicators import Case, evaluate
from dispatch.scores import attribution, month_cases, scoring
from models.cities.loading import POLICY_DIR
from models.servers.database import psycopg_dsn
from tests import district
from tests.small_law import (
    CITY_DESK,
    COUNTY_DESK,
    CREW,
    DISPATCHER,
    GRID_CREW,
    HEAD,
    JOINT,
    MICRO,
    OTHER_CREW,
    OTHER_POLICE,
    POLICE,
    SMALL,
    TOWN,
    VILLAGE,
    VILLAGE_DESK,
    WHISTLE,
    WORKER,
    local,
    policy_files,
)  # fmt: skip
from tests.templates import CityOf

MARCH = date(2026, 3, 1)
AS_OF = local("2026-03-31 18:00")
DISPUTE = "0201"
OTHER = Actor("dispatcher:wu", "dispatcher", TOWN)
PHOTOS = ["https://photos.example/1.jpg", "https://photos.example/2.jpg"]
CHECKER = Actor("grid_worker:li", "grid_worker", VILLAGE)
CELL = f"worker/{MICRO}"

Step = tuple[str, str, Actor, dict[str, Any]]


@dataclass(frozen=True)
class Lived:
    """One case: its type, when it was reported, and what happened to it, each as `day hour:minute`."""

    category: str
    at: str
    steps: tuple[Step, ...] = ()
    source: str = "hotline"
    at_a_point: bool = False


def step(at: str, verb: str, who: Actor, **args: Any) -> Step:
    """Write one step as a line of the table."""
    return at, verb, who, args


def sent(
    day: str, accepted: str, dispatched: str, who: Actor = DISPATCHER, team: int = POLICE
) -> tuple[Step, ...]:
    """Accept and dispatch on one morning."""
    return step(f"{day} {accepted}", "accept", who), step(
        f"{day} {dispatched}", "dispatch", who, team_id=team
    )


def done(at: str, crew: Actor = CREW, **args: Any) -> tuple[Step, ...]:
    """Pick up and dispose of at one moment."""
    return step(at, "pick_up", crew), step(at, "dispose", crew, result="好了", **args)


def ended(verified: str, closed: str, by: Actor = COUNTY_DESK, rating: int = 0) -> tuple[Step, ...]:
    """Verify and close, and rate where a rating is given."""
    last = (step(closed, "rate", SYSTEM, rating=rating),) if rating else ()
    return step(verified, "verify", by), step(closed, "close", COUNTY_DESK, standard=True), *last


# Limits: accept 10 min, dispatch 30 min, dispose 3 working days, verify 1, close 40 (JOINT and DISPUTE); WHISTLE
# accept 15 min, dispatch 15, answer 10, report in 30, dispose 4 working hours; SMALL dispose 1 working day.
# 2 March 2026 is a Monday.
LIVED: dict[str, Lived] = {
    # All in time, rated 5.
    "plain": Lived(JOINT, "02 09:00", (
        *sent("02", "09:05", "09:20"), *done("02 11:00"), *ended("02 15:00", "02 16:00", rating=5))),
    # Accepted five minutes late; disposed on the fourth working day; checked by a grid worker in time; rated 3.
    "late": Lived(JOINT, "02 09:00", (
        *sent("02", "09:15", "09:30"), *done("05 15:00"), *ended("06 09:00", "06 10:00", CHECKER, rating=3))),
    # Dispatched 45 minutes after it was accepted, by another; extended, and in time by that alone; rated 1.
    "longer": Lived(JOINT, "02 09:00", (
        *sent("02", "09:05", "09:50", OTHER), step("02 10:00", "pick_up", CREW),
        step("02 11:00", "ask_extension", CREW, limit="1wd", reason="等配件"),
        step("02 12:00", "grant_extension", COUNTY_DESK), step("05 15:00", "dispose", CREW, result="好了"),
        *ended("06 09:00", "06 10:00", rating=1))),
    # Returned as another unit's; the other one did it.
    "not ours": Lived(JOINT, "02 09:00", (
        *sent("02", "09:05", "09:20"), step("02 09:30", "decline", CREW, return_kind="not_ours", reason="非本单位职责"),
        step("02 09:40", "dispatch", OTHER, team_id=OTHER_POLICE), *done("02 11:00", OTHER_CREW),
        *ended("02 15:00", "02 16:00"))),
    # Returned for want of hands, and done by the same unit later.
    "no hands": Lived(JOINT, "02 09:00", (
        *sent("02", "09:05", "09:20"), step("02 09:30", "decline", CREW, return_kind="no_means", reason="今天人手不够"),
        step("02 09:40", "dispatch", DISPATCHER, team_id=POLICE), *done("02 11:00"), *ended("02 15:00", "02 16:00"))),
    # Done twice by the same unit: sent back after the check, which a grid worker made two days late.
    "again": Lived(JOINT, "02 09:00", (
        *sent("02", "09:05", "09:20"), *done("02 11:00"), step("05 09:00", "rework", CHECKER, reason="没修好"),
        *done("05 11:00"), *ended("05 15:00", "05 16:00"))),
    # Never disposed of.
    "silent": Lived(JOINT, "02 09:00", (*sent("02", "09:05", "09:20"), step("02 09:30", "pick_up", CREW))),
    # Still inside its limit when the month is judged.
    "inside": Lived(JOINT, "31 10:00", (*sent("31", "10:05", "10:20"), step("31 10:30", "pick_up", CREW))),
    # Void before anybody was late with it, however long ago that is when the month is judged.
    "void": Lived(JOINT, "02 09:00", (step("02 09:05", "void", DISPATCHER, reason="误报"),)),
    # Two weeks of a pause that stops the clock: in time.
    "paused": Lived(JOINT, "02 09:00", (
        *sent("02", "09:05", "09:20"), step("02 09:25", "pick_up", CREW),
        step("02 09:30", "arrive", CREW, reason="没有信号"),
        step("02 10:00", "suspend", COUNTY_DESK, reason="台风", until=local("2026-03-16 09:00").isoformat()),
        step("16 09:00", "resume", COUNTY_DESK), step("16 15:00", "dispose", CREW, result="好了"),
        *ended("16 16:00", "16 17:00"))),
    # Late as "late" was, and exempt as a whole by two reviewers; the dispatcher was late too.
    "exempt": Lived(JOINT, "02 09:00", (
        *sent("02", "09:05", "10:00"), *done("05 15:00"), *ended("05 16:00", "05 17:00"),
        step("06 09:00", "appeal", CREW, reason="道路中断"),
        step("06 10:00", "judge_appeal", COUNTY_DESK, granted=True, reason="属实"),
        step("06 11:00", "judge_appeal", CITY_DESK, granted=True, reason="属实"))),
    # A grid worker's own report that is none, and one that is.
    "refused": Lived(JOINT, "02 09:00", (step("02 09:05", "reject", DISPATCHER, reason="不属实"),), "field_app"),
    # Solved in the grid, never drawn for a check.
    "small": Lived(SMALL, "02 09:00", (
        step("02 09:10", "pick_up", GRID_CREW), step("02 10:00", "dispose", GRID_CREW, result="清了", photos=PHOTOS),
        step("02 11:00", "close", VILLAGE_DESK, standard=True)), "field_app"),
    # Field checks: in time, and five minutes late.
    "checked": Lived(JOINT, "02 09:00", (
        step("02 09:02", "send_check", DISPATCHER), step("02 09:09", "check", WORKER, real=True, result="属实"),
        step("02 09:10", "accept", DISPATCHER), step("02 09:12", "void", COUNTY_DESK, reason="已自行解决"))),
    "checked late": Lived(JOINT, "02 09:00", (
        step("02 09:02", "send_check", DISPATCHER), step("02 09:15", "check", WORKER, real=False, result="不属实"),
        step("02 09:16", "void", COUNTY_DESK, reason="不属实"))),
    # Whistles: on site in 20 minutes, ended, rated 4; on site in 40; never answered.
    "whistle": Lived(WHISTLE, "02 09:00", (
        step("02 09:05", "accept", DISPATCHER),
        step("02 09:06", "whistle", HEAD, whistle_kind="joint", reason="占道", team_id=POLICE),
        step("02 09:10", "send_whistle", DISPATCHER), step("02 09:12", "pick_up", CREW),
        step("02 09:30", "arrive", CREW, reason="没有信号"), step("02 11:00", "dispose", CREW, result="好了"),
        step("02 11:10", "end_whistle", HEAD), step("02 11:11", "rate_whistle", HEAD, rating=4),
        *ended("02 15:00", "02 16:00"))),
    "whistle late": Lived(WHISTLE, "02 09:00", (
        step("02 09:05", "accept", DISPATCHER),
        step("02 09:06", "whistle", HEAD, whistle_kind="joint", reason="占道", team_id=POLICE),
        step("02 09:10", "send_whistle", DISPATCHER), step("02 09:12", "pick_up", CREW),
        step("02 09:50", "arrive", CREW, reason="没有信号"), step("02 11:00", "dispose", CREW, result="好了"),
        *ended("02 15:00", "02 16:00"))),
    "whistle unheard": Lived(WHISTLE, "02 09:00", (
        step("02 09:05", "accept", DISPATCHER),
        step("02 09:06", "whistle", HEAD, whistle_kind="joint", reason="占道", team_id=POLICE),
        step("02 09:10", "send_whistle", DISPATCHER))),
    # Disputes: settled; disposed of and not settled.
    "settled": Lived(DISPUTE, "02 09:00", (*sent("02", "09:05", "09:20"), *done("02 11:00", settled=True))),
    "unsettled": Lived(DISPUTE, "02 09:00", (*sent("02", "09:05", "09:20"), *done("02 11:00", settled=False))),
    # Two alike at one place, a week apart.
    "first": Lived(JOINT, "02 09:00", (
        *sent("02", "09:05", "09:20"), *done("02 11:00"), *ended("02 15:00", "02 16:00")), at_a_point=True),
    "repeat": Lived(JOINT, "09 09:00", (
        *sent("09", "09:05", "09:20"), *done("09 11:00"), *ended("09 15:00", "09 16:00")), at_a_point=True),
}  # fmt: skip

SENT = {name for name in LIVED if name not in ("refused", "checked", "checked late", "void")}
DISPOSED = SENT - {"silent", "inside", "whistle unheard"}
CLOSED = DISPOSED - {"settled", "unsettled"}
DUE_TO_CLOSE = DISPOSED | {"silent", "whistle unheard"}

# The village's cases, indicator by indicator: of the numerator, and of the denominator.
VILLAGES: dict[str, tuple[set[str], set[str]]] = {
    "disposal": (DISPOSED, SENT),
    "on_time_disposal": (DISPOSED - {"late"}, SENT),
    "closing": (CLOSED, DUE_TO_CLOSE),
    "on_time_closing": (CLOSED, DUE_TO_CLOSE),
    "rework": ({"again"}, DUE_TO_CLOSE),
    "overdue_backlog": ({"silent", "whistle unheard"}, SENT),
    "extension": ({"longer"}, SENT),
    "accurate_dispatch": (SENT - {"not ours"}, SENT),
    # Five minutes late, and void after its limit; what was void before it was never due.
    "on_time_registering": (set(LIVED) - {"late", "checked late", "void"}, set(LIVED) - {"void"}),
    # What goes straight to a grid is dispatched by nobody, and what was refused or ended before never was.
    "on_time_dispatch": (
        SENT - {"small", "longer"}, SENT - {"small"},
    ),
    "on_time_check": (set(), set()),  # said of who checks
    # "again" by its last check; what waits for one past its limit counts, and nobody verifies what is not drawn.
    "on_time_verification": (CLOSED - {"small"}, DISPOSED - {"small"}),
    "valid_reports": ({"small"}, {"refused", "small"}),
    "missed_by_others": (SENT - {"small"}, SENT),
    "once_and_done": (CLOSED - {"again", "not ours", "no hands"}, CLOSED),
    "whistle_answered": ({"whistle", "whistle late"}, {"whistle", "whistle late", "whistle unheard"}),
    "whistle_on_site": ({"whistle"}, {"whistle", "whistle late", "whistle unheard"}),
    "whistle_ended": ({"whistle"}, {"whistle", "whistle late", "whistle unheard"}),
    "whistle_rating": ({"whistle"}, {"whistle"}),
    "settlement": ({"settled"}, {"settled", "unsettled"}),
    "solved_in_grid": ({"small"}, CLOSED),
    "repeat": ({"repeat"}, CLOSED),
    "response": ({"plain", "late", "longer"}, {"plain", "late", "longer"}),
    "solution": ({"plain", "late"}, {"plain", "late", "longer"}),
    "satisfaction": ({"plain", "late"}, {"plain", "late", "longer"}),
    "three_rates": ({"plain", "late", "longer"}, {"plain", "late", "longer"}),
}  # fmt: skip

POLICES = SENT - {"small"}  # all were sent to this team first
KEPT = POLICES - {"not ours"}  # given back in time it is another's
# The police team's: as the village's, but for what it gave back.
TEAMS: dict[str, tuple[set[str], set[str]]] = {
    "disposal": (DISPOSED - {"small", "not ours"}, KEPT),
    "on_time_disposal": (DISPOSED - {"small", "not ours", "late"}, KEPT),
    "closing": (CLOSED - {"small", "not ours"}, DUE_TO_CLOSE - {"small", "not ours"}),
    "rework": ({"again"}, DUE_TO_CLOSE - {"small", "not ours"}),
    "overdue_backlog": ({"silent", "whistle unheard"}, KEPT),
    "extension": ({"longer"}, KEPT),
    "accurate_dispatch": (POLICES - {"not ours"}, POLICES),
    "once_and_done": (CLOSED - {"small", "not ours", "again", "no hands"}, CLOSED - {"small", "not ours"}),
    "whistle_on_site": ({"whistle"}, {"whistle", "whistle late", "whistle unheard"}),
    "settlement": ({"settled"}, {"settled", "unsettled"}),
    "repeat": ({"repeat"}, CLOSED - {"small", "not ours"}),
    "response": ({"plain", "late", "longer"}, {"plain", "late", "longer"}),
}

DISPATCHED_BY_HIM = POLICES - {"longer"}
# What each person did themselves: subject -> indicator -> the two sets.
PEOPLE: dict[tuple[str, str], dict[str, tuple[set[str], set[str]]]] = {
    ("dispatcher", DISPATCHER.id): {
        "on_time_dispatch": (DISPATCHED_BY_HIM, DISPATCHED_BY_HIM),
        "accurate_dispatch": (DISPATCHED_BY_HIM - {"not ours"}, DISPATCHED_BY_HIM),
    },
    # Late with the one, in time with the other, which the first had sent to the wrong unit.
    ("dispatcher", OTHER.id): {
        "on_time_dispatch": ({"not ours"}, {"longer", "not ours"}),
        "accurate_dispatch": ({"longer", "not ours"}, {"longer", "not ours"}),
    },
    ("grid_worker", CHECKER.id): {"on_time_verification": ({"late"}, {"late", "again"})},
    ("grid_worker", WORKER.id): {"on_time_check": ({"checked"}, {"checked", "checked late"})},
    ("grid_worker", CELL): {
        "valid_reports": ({"small"}, {"refused", "small"}),
        "missed_by_others": (SENT - {"small"}, SENT),
        # Done on the 2nd, and waiting at the end of the month: nobody came.
        "on_time_verification": (set(), {"settled", "unsettled"}),
    },
    # The head of the village's grids answers for all of them, a field check made by an assigned worker too.
    ("grid_head", f"head/{VILLAGE}"): {
        "on_time_check": ({"checked"}, {"checked", "checked late"}),
        "valid_reports": ({"small"}, {"refused", "small"}),
    },
    ("duty_centre", TOWN): {
        "on_time_registering": VILLAGES["on_time_registering"],
        "accurate_dispatch": VILLAGES["accurate_dispatch"],
        "on_time_closing": VILLAGES["on_time_closing"],
    },
}


@dataclass(frozen=True)
class Table:
    """What came out: every subject's cases by the present definitions and by the first, and each incident's name."""

    found: month_cases.Cases
    former: month_cases.Cases
    names: dict[int, str]
    rules: Rules
    former_rules: Rules

    def sets(self, subject: tuple[str, str], name: str, former: bool = False) -> tuple[set[str], set[str]]:
        """Return the names of the cases of an indicator's numerator and denominator."""
        rules, cases = (self.former_rules, self.former) if former else (self.rules, self.found)
        rate = evaluate(rules.catalogue[name], cases[subject])
        assert rate.d == len(rate.denominator)
        return {self.names[i] for i in rate.numerator}, {self.names[i] for i in rate.denominator}

    def case(self, name: str) -> Case:
        """Return the village's case of a name."""
        [case] = [c for c in self.found["village", VILLAGE] if self.names[c.id] == name]
        return case


def instant(text: str) -> datetime:
    """Read `day hour:minute` of March on the city's clock."""
    return local(f"2026-03-{text}")


@pytest.fixture(scope="module")
def table(city_of: CityOf) -> Iterator[Table]:
    """Let all cases live in the order of time; yield every subject's cases, the names of incidents, and the scope."""
    with city_of("district") as database:
        _build(database)
        names: dict[int, str] = {}
        with Desk(database) as desk:
            agenda: list[tuple[datetime, int, str, Step | None]] = []
            for order, (name, lived) in enumerate(LIVED.items()):
                agenda.append((instant(lived.at), order, name, None))
                agenda += [(instant(each[0]), order, name, each) for each in lived.steps]
            agenda.sort(key=lambda each: (each[0], each[1]))
            ids: dict[str, int] = {}
            numbers = (n for n in range(1, 1_000) if not sampled(n))
            for at, _, name, one in agenda:
                if one is None:
                    [outcome] = desk.report([_report(LIVED[name], next(numbers), at)], at)
                    assert outcome.incident_id is not None, outcome
                    ids[name] = outcome.incident_id
                    continue
                _, verb, who, args = one
                [outcome] = desk.act([Command(verb, ids[name], who, f"{verb}/{at}", args)], at)
                assert outcome.status == "done", (name, verb, outcome.refusal and outcome.refusal.words("en"))
            names = {key: name for name, key in ids.items()}
        first = parse(8, _rules().replace("definitions = 4", ""))
        with psycopg.connect(psycopg_dsn(database)) as connection:
            cursor = connection.cursor()
            rules, _ = scoring.rules_of(Policies(cursor), MARCH, AS_OF)
            scope = attribution.Scope(MARCH, rules, AS_OF, horizon(cursor))
            found, read = month_cases.cases(connection, scope)
            assert read == len(LIVED)
            former, _ = month_cases.cases(connection, replace(scope, rules=first))
        yield Table(found, former, names, scope.rules, first)


def _rules() -> str:
    return (POLICY_DIR / "assessment.toml").read_text(encoding="utf-8")


def _build(database: str) -> None:
    files = policy_files() | {"assessment.toml": _rules()}
    files["themes.csv"] += "02,纠纷,disputes\n"
    files["event_types.csv"] += "0201,邻里,neighbours,02,police,,3,joint,10m,,3wd,1wd,P,邻里\n"
    with psycopg.connect(psycopg_dsn(database)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "insert into category (code, name, name_en, theme, severity, mode)"
            " values (%s, '邻里', 'neighbours', '02', 3, 'joint')",
            (DISPUTE,),
        )
        district.publish(cursor, 8, files)
        # The demo's people act under the number of their person; accounts under their role and login.
        cursor.execute("insert into person (id, name, invented) values (15, '王', true)")
        cursor.execute(
            "insert into duty (id, person_id, role, area_code, since) values (15, 15, 'grid_worker', %s, '2026-01-01')",
            (VILLAGE,),
        )


def _report(lived: Lived, number: int, at: datetime) -> Report:
    lon, lat, located = (112.001, 22.901, "point") if lived.at_a_point else (None, None, "code")
    return Report(
        number, lived.source, str(number), lived.category, "有人反映", "", MICRO, lon, lat, located, at
    )


def test_every_indicator_has_its_line(table: Table) -> None:
    assert VILLAGES.keys() == table.rules.catalogue.keys()


@pytest.mark.parametrize("name", VILLAGES)
def test_a_village_is_counted_as_by_hand(table: Table, name: str) -> None:
    assert table.sets(("village", VILLAGE), name) == VILLAGES[name]
    # What lies above a village holds the same cases.
    for subject in (("town", TOWN), ("county", TOWN[:6]), ("city", "445300")):
        assert table.sets(subject, name) == VILLAGES[name]


@pytest.mark.parametrize("name", TEAMS)
def test_a_team_is_counted_as_by_hand(table: Table, name: str) -> None:
    assert table.sets(("team", str(POLICE)), name) == TEAMS[name]


def test_the_unit_that_got_it_in_the_end_has_it(table: Table) -> None:
    for name in ("disposal", "on_time_disposal", "accurate_dispatch"):
        assert table.sets(("team", str(OTHER_POLICE)), name) == ({"not ours"}, {"not ours"})


@pytest.mark.parametrize(
    ("subject", "name"), [(subject, name) for subject, lines in PEOPLE.items() for name in lines]
)
def test_a_person_is_counted_as_by_hand(table: Table, subject: tuple[str, str], name: str) -> None:
    assert table.sets(subject, name) == PEOPLE[subject][name]


def test_a_whole_exemption_reaches_who_dispatched_too_and_stays_in_sight(table: Table) -> None:
    """Dispatched 55 minutes after it was accepted, disposed of on the fourth day: both count, and say why."""
    for name in ("on_time_dispatch", "on_time_disposal"):
        rate = evaluate(table.rules.catalogue[name], table.found["village", VILLAGE])
        assert {(table.names[i], why) for i, why in rate.exempt} == {("exempt", "道路中断")}
    assert (table.case("exempt").on_time, table.case("exempt").on_time_raw) == (True, False)


def test_times_of_a_stage_are_without_the_pause(table: Table) -> None:
    """Half an hour before the pause of two weeks, six hours after it, of which two are noon."""
    stages = {stage: (around, working) for stage, around, working in table.case("paused").stages}
    assert stages["dispose"] == (6.5 * 3600, 4.5 * 3600)
    assert stages["accept"] == stages["pick_up"] == stages["arrive"] == (300, 300)
    assert stages["verify"] == (3600, 3600)


def test_the_first_definitions_are_computed_as_they_were(table: Table) -> None:
    """A policy that names none is of the first: months frozen by it must come out to the byte."""
    village = ("village", VILLAGE)
    assert (table.former_rules.definitions, table.rules.definitions) == (1, 4)
    versions = {r.catalogue["accurate_dispatch"].version for r in (table.former_rules, table.rules)}
    assert versions == {1, 2}
    # Any return counts.
    assert table.sets(village, "accurate_dispatch", former=True) == (SENT - {"not ours", "no hands"}, SENT)
    # What was void in time was late once its limit had passed; an appeal did not reach who dispatched.
    timely, due = VILLAGES["on_time_registering"]
    assert table.sets(village, "on_time_registering", former=True) == (timely, due | {"void"})
    timely, due = VILLAGES["on_time_dispatch"]
    assert table.sets(village, "on_time_dispatch", former=True) == (timely - {"exempt"}, due | {"checked"})
    for name in VILLAGES.keys() - {"accurate_dispatch", "on_time_registering", "on_time_dispatch"}:
        assert table.sets(village, name, former=True) == VILLAGES[name]

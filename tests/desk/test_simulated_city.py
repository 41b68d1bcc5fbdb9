"""A simulated city lives lawfully: a month of it, seeded, folds to its rows, and its seasons show."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from random import Random

import msgspec
import pytest

from dispatch.demo import history
from dispatch.demo.history import live_through
from dispatch.demo.world import STORM_FACTOR, STORM_MONTHS, STORM_VOLUME, Happening, Spot, World
from dispatch.desk import store
from dispatch.intake.messages import number_of
from dispatch.rules.areas import ancestors, level_of
from dispatch.rules.incident.chain import Change, Context, Event, Incident, Report, replay
from dispatch.rules.teams.routing import Roster, Team
from models.cities.loading import parsed_policy, policy_files
from tests import district
from tests.small_law import local

LAW = parsed_policy(policy_files())
SPOTS = [Spot(code, f"{code}组", lon, 22.9) for lon, code in district.CELL_AT]
DAYS = 30
BEGIN = local("2026-02-01 00:00")
END = BEGIN + timedelta(days=DAYS)
PER_DAY = 8.0
SEEDS = (1, 20_261, 987_654)


def teams() -> list[Team]:
    """Return a team of every trade in every area where its level has one."""
    places = sorted({area for spot in SPOTS for area in ancestors(spot.code)})
    found: list[Team] = []
    for trade, (name, _, level) in LAW.trades.items():
        for area in places:
            if level_of(area).name.lower() == level:
                number = len(found) + 1
                found.append(Team(number, f"{area}{name}", trade, area, 4, 0, "available", None, None))
    return found


def reported(happening: Happening) -> Report:
    """Return the report of a happening."""
    serial = happening.at.isoformat()
    return Report(
        number_of("field_app", serial), "field_app", serial, happening.kind.code, happening.text,
        happening.spot.name, happening.spot.code, happening.lon, happening.lat, "point", happening.at,
    )  # fmt: skip


def lived(seed: int, until: datetime, end: datetime = END) -> list[tuple[Incident, list[Event]]]:
    """Let everything that is reported before `end` happen, up to `until`."""
    world = World(SPOTS, LAW, seed)
    context = Context(Roster(teams(), LAW.weights), count(1).__next__)
    found = []
    for n, happening in enumerate(world.happenings(BEGIN, end, PER_DAY, Random(seed)), 1):
        incident = Incident(n)
        found.append((incident, live_through(incident, reported(happening), LAW, context, until, seed)))
    assert all(team.load == 0 for n in range(1, 99) if (team := context.roster.team(n)) is not None)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_month_of_a_small_city_is_lawful_and_whole(seed: int) -> None:
    """Nothing the world asks for is refused; every incident's events fold to it, its segments leave no gap."""
    until = END + timedelta(days=20)
    decode = msgspec.json.Decoder(Change).decode
    verbs: Counter[str] = Counter()
    ended = 0
    everything = lived(seed, until)
    assert len(everything) > DAYS * PER_DAY * 0.6, f"seed {seed}"
    for incident, events in everything:
        which = f"seed {seed}, incident {incident.id}: {[e.verb for e in events]}"
        told = [
            Event(
                e.incident_id, e.seq, e.at, e.verb, e.actor, e.cause, e.policy_version,
                decode(store.written(e.change).encode()),
            )
            for e in events
        ]  # fmt: skip
        assert replay(told) == incident, which
        assert [e.seq for e in events] == list(range(1, len(events) + 1)), which
        assert all(a.at <= b.at for a, b in pairwise(events)), which
        assert all(e.at <= until for e in events), which
        assert incident.holder, which
        spans = [(s.began_at, s.ended_at) for s in incident.past]
        if incident.ended_at is None:
            spans.append((incident.held_since, until))
        if not incident.facts.get("former"):
            last = incident.ended_at or until
            assert sum((b - a for a, b in spans), timedelta()) == last - events[0].at, which
            assert all(a[1] == b[0] for a, b in pairwise(spans)), which
        verbs.update(e.verb for e in events)
        ended += incident.ended_at is not None
    assert ended > 0.9 * len(everything), f"seed {seed}: {ended} of {len(everything)}"
    usual = {
        "report",
        "route",
        "accept",
        "dispatch",
        "pick_up",
        "arrive",
        "dispose",
        "verify",
        "close",
        "rate",
    }
    assert verbs.keys() >= usual | {"breach"}, f"seed {seed}: {verbs}"


def test_the_same_seed_lives_the_same_month_and_another_seed_another() -> None:
    """To the last event."""
    one, again, other = (lived(seed, END, BEGIN + timedelta(days=5)) for seed in (7, 7, 8))
    assert one == again
    assert [i.number for i, _ in one] != [i.number for i, _ in other]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_life_cut_short_is_the_beginning_of_the_whole_one(seed: int) -> None:
    """What has happened does not depend on how far one looks ahead."""
    days = BEGIN + timedelta(days=3)
    short, whole = lived(seed, days, days), lived(seed, END, days)
    for (_, some), (_, all_of_them) in zip(short, whole, strict=True):
        assert [(e.at, e.verb, e.actor) for e in some] == [
            (e.at, e.verb, e.actor) for e in all_of_them[: len(some)]
        ], f"seed {seed}"


@pytest.mark.city("district")
def test_history_is_written_as_it_was_lived(database: str) -> None:
    """The rows are the fold of the events, hashes, segments and loads hold, and a second run adds nothing."""
    list(history.write(database, END, 20, 10, 5))
    written = district.value(database, "select count(*) from incident")
    assert written > 120
    district.check_everything(database)
    assert district.value(database, "select count(*) from incident where ended_at is null") > 0
    list(history.write(database, END, 20, 10, 5))
    assert district.value(database, "select count(*) from incident") == written
    district.check_everything(database)


def _days(world: World, year: int, stormy: bool) -> list[datetime]:
    first = datetime(year, 1, 1, 4, tzinfo=UTC)
    every = [first + timedelta(days=n) for n in range(365)]
    return [day for day in every if world.stormy(day) == stormy]


@pytest.mark.parametrize("seed", SEEDS)
def test_storms_come_in_the_rainy_months_only_and_not_too_often(seed: int) -> None:
    """Over ten years, on about every tenth day of those months."""
    world = World(SPOTS, LAW, seed)
    storms = [day for year in range(2020, 2030) for day in _days(world, year, True)]
    assert {LAW.calendar.local(day).month for day in storms} == set(STORM_MONTHS)
    assert 0.04 < len(storms) / (10 * 183) < 0.2, f"seed {seed}: {len(storms)}"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_storm_brings_more_reports_and_most_of_all_floods(seed: int) -> None:
    """By its volume in all, and by its factor in its own theme."""
    world = World(SPOTS, LAW, seed)
    storm = next(d for d in _days(world, 2026, True) if LAW.calendar.local(d).weekday() < 5)
    month = LAW.calendar.local(storm).month
    calm = next(
        d
        for d in _days(world, 2026, False)
        if LAW.calendar.local(d).month == month and LAW.calendar.local(d).weekday() < 5
    )
    assert world.rate(storm, 100) == pytest.approx(STORM_VOLUME * world.rate(calm, 100))
    rnd = Random(seed)
    shares = [
        sum(world.happening(day, rnd).kind.theme == "08" for _ in range(2_000)) / 2_000
        for day in (calm, storm)
    ]
    assert shares[1] > 4 * shares[0], f"seed {seed}: {shares}"
    assert shares[1] < STORM_FACTOR * shares[0], f"seed {seed}: {shares}"


@pytest.mark.parametrize("seed", SEEDS)
def test_fires_belong_to_the_dry_season(seed: int) -> None:
    """February has more than twice the share of a calm July."""
    world, rnd = World(SPOTS, LAW, seed), Random(seed)
    calm = next(d for d in _days(world, 2026, False) if LAW.calendar.local(d).month == 7)
    dry = local("2026-02-10 12:00")
    fires = [sum(world.happening(day, rnd).kind.theme == "07" for _ in range(12_000)) for day in (calm, dry)]
    assert fires[1] > 1.6 * fires[0] > 0, f"seed {seed}: {fires}"


def test_a_weekend_is_quieter_and_the_week_keeps_its_average() -> None:
    """Seven days at their own rates are seven times the average."""
    world = World(SPOTS, LAW, 1)
    monday = local("2026-01-05 00:00")
    hours = [world.rate(monday + timedelta(hours=n), 100) for n in range(7 * 24)]
    assert sum(hours) == pytest.approx(700)
    assert sum(hours[5 * 24 :]) / 2 == pytest.approx(80)


def test_a_world_without_places_is_refused() -> None:
    """Nothing can happen nowhere."""
    with pytest.raises(ValueError, match="at least one spot"):
        World([], LAW, 1)

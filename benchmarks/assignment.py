"""Measure how long a burst takes to decide, words and all, and what solving it together saves."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from random import Random
from statistics import median

from benchmarks.measure import show
from dispatch.assignment.solver import solve
from dispatch.rules.policy import weights
from dispatch.rules.teams.proposals import Standing, Waiting, decide, one_at_a_time, problem_of, total
from dispatch.rules.teams.routing import Team

WAITING = 500
TEAMS = 300
ROUNDS = 5
SEED = 11
COUNTY = "445302"
EXTENT = ((111.9, 112.3), (22.7, 23.1))  # degrees, a county of about 40 by 45 km
CAPACITY = (1, 6)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument("--waiting", type=int, default=WAITING, help="incidents (default: %(default)s)")
    parser.add_argument("--teams", type=int, default=TEAMS, help="teams (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Decide one burst, the median of several times, and print the figures; return the exit code."""
    waiting, teams, standings = burst(args.waiting, args.teams, Random(SEED))
    spent = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        decided = decide(waiting, teams, weights.FORMER, standings=standings, solve=solve)
        spent.append(time.perf_counter() - began)
    whole = problem_of(waiting, teams, weights.FORMER, standings=standings)
    show(
        f"A burst in one county, every team able to take every incident (median of {ROUNDS})",
        {
            "waiting": len(waiting),
            "teams": len(teams),
            "placed": sum(one.chosen is not None for one in decided),
            "seconds": median(spent),
            "total_cost": total(whole, solve(whole)),
            "greedy_cost": total(whole, one_at_a_time(whole)),
        },
        args.json,
    )
    return 0


def burst(waiting: int, teams: int, chance: Random) -> tuple[list[Waiting], list[Team], dict[int, Standing]]:
    """Return incidents and teams of one trade strewn over one county: the worst case, where all pairs are allowed."""

    def point() -> tuple[float, float]:
        return chance.uniform(*EXTENT[0]), chance.uniform(*EXTENT[1])

    incidents = [
        Waiting(i, "0601", chance.randint(1, 4), "traffic_police", f"{COUNTY}001001", *point())
        for i in range(waiting)
    ]
    crews = []
    for i in range(teams):
        capacity = chance.randint(*CAPACITY)
        load = chance.randint(0, capacity)
        crews.append(
            Team(
                i, f"交警{i}队", "traffic_police", COUNTY, capacity, load, "available", *point(), f"Crew {i}"
            )
        )
    standings = {crew.id: Standing(people=chance.randint(1, 3)) for crew in crews}
    for crew in chance.sample(crews, teams // 5):
        lon, lat = point()
        standings[crew.id] = replace(
            standings[crew.id],
            lon=lon,
            lat=lat,
            age_min=chance.uniform(0, 20),
            rest_min=chance.uniform(0, 60),
        )
    return incidents, crews, standings

"""Offers name what speaks for and against each team, and a burst solved together is never the worse for it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import permutations
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.assignment.solver import solve
from dispatch.rules.policy import weights as weighing
from dispatch.rules.policy.tables import PolicyError
from dispatch.rules.policy.weights import FORMER, Skill
from dispatch.rules.teams.proposals import (
    Decision,
    Experience,
    Problem,
    Standing,
    Waiting,
    decide,
    one_at_a_time,
    total,
)
from dispatch.rules.teams.reasons import SENTENCES
from dispatch.rules.teams.routing import READY, Roster, Team, choose
from models.cities.loading import POLICY_DIR

COUNTY, TOWN, VILLAGE = "445302", "445302001", "445302001001"
HERE = (112.0, 22.9)
NAMES = {"police": ("派出所", "police"), "fire": ("消防", "fire brigade")}


def team(
    number: int, load: int = 0, *, lon: float | None = HERE[0], trade: str = "police", area: str = TOWN,
    state: str = "available", capacity: int = 4,
) -> Team:  # fmt: skip
    return Team(
        number, f"第{number}队", trade, area, capacity, load, state, lon, None if lon is None else HERE[1]
    )


def waiting(number: int = 1, severity: int = 3, category: str = "0101") -> Waiting:
    return Waiting(number, category, severity, "police", VILLAGE, *HERE)


def one(teams: list[Team], **known: object) -> Decision:
    return decide([waiting()], teams, FORMER, names=NAMES, **known)[0]  # type: ignore[arg-type]


def codes(decision: Decision, number: int) -> tuple[set[str], set[str]]:
    offer = next(o for o in decision.offers if o.team.id == number)
    return {b.code for b in offer.reasons}, {b.code for b in offer.shortfalls}


def test_the_cost_is_the_sum_of_what_is_said() -> None:
    standings = {
        1: Standing(people=2, lon=HERE[0] + 0.05, lat=HERE[1], age_min=3, rest_min=12, state="on_scene")
    }
    experience = [Experience("0101", "police", 7, 5, 2)]
    decision = one([team(1, 1)], standings=standings, experience=experience)
    offer = decision.offers[0]
    km = 0.05 * math.cos(math.radians(HERE[1])) * 111.195
    by_hand = 2 * km + 120 * 1 / 4 + 10 + 30 * (1 - 12 / 30) + 480 * 5 / (7 + 3)
    assert offer.cost_min == pytest.approx(by_hand)
    assert sum(b.minutes for b in (*offer.reasons, *offer.shortfalls)) == pytest.approx(by_hand)


def test_every_circumstance_is_named_on_its_side() -> None:
    teams = [
        team(1), team(2, 4), team(3, state="resting"), team(4, lon=None), team(5, area=COUNTY), team(6), team(7),
    ]  # fmt: skip
    standings = {
        1: Standing(people=2, lon=HERE[0], lat=HERE[1], age_min=1, rest_min=45),
        6: Standing(people=0),
        7: Standing(people=1, lon=HERE[0], lat=HERE[1], age_min=11, rest_min=5),
    }
    decision = one(teams, standings=standings, shown=10)
    assert codes(decision, 1) == ({"trade", "area", "on_shift", "ready", "near", "has_room", "rested"}, set())
    assert codes(decision, 2)[1] == {"full"}
    assert codes(decision, 3)[1] == {"not_ready"}
    assert codes(decision, 4)[1] == {"unknown_place"}
    assert codes(decision, 5)[1] == {"farther_area"}
    assert codes(decision, 6)[1] == {"off_shift"}
    assert "no_roster" in codes(decision, 4)[0]
    # Eleven minutes is not fresh: the station's distance is given, and said to be the station's.
    assert codes(decision, 7) == (
        {"trade", "area", "on_shift", "ready", "near_station", "has_room"},
        {"tired"},
    )
    assert [o.team.id for o in decision.offers if not o.open] == [2, 3, 6]


def test_training_that_the_type_needs_is_asked_of_the_trade_or_of_the_team() -> None:
    skill = Skill("rescue", "救援", "rescue", frozenset({"0101"}), frozenset({"fire"}))
    weights = replace(FORMER, skills=(skill,))
    trained = {2: Standing(skills=frozenset({"rescue"}))}
    decision = decide([waiting()], [team(1), team(2)], weights, standings=trained)[0]
    assert [o.team.id for o in decision.offers] == [2, 1]
    assert "skilled" in codes(decision, 2)[0]
    assert codes(decision, 1)[1] == {"no_skill"}
    assert decision.offers[1].cost_min - decision.offers[0].cost_min == pytest.approx(weights.no_skill)


def test_words_are_there_in_both_languages_and_complete() -> None:
    standings = {1: Standing(people=2, rest_min=5)}
    experience = [Experience("0101", "police", 7, 5, 2)]
    decision = one([team(1), team(2, area=COUNTY)], standings=standings, experience=experience)
    said = [b for o in decision.offers for b in (*o.reasons, *o.shortfalls)]
    assert {"misdispatch", "farther_area", "tired", "on_shift"} <= {b.code for b in said}
    for because in said:
        zh, en = because.words("zh"), because.words("en")
        assert re.search(r"[\u4e00-\u9fff]", zh), because.code
        assert not re.search(r"[\u4e00-\u9fff]", en), because.code
        assert "{" not in zh + en
    evidence = next(b for b in said if b.code == "misdispatch")
    assert evidence.words("zh") == "近 180 天此类事项派派出所 7 件，退回非本单位 5 件"
    assert evidence.words("en") == "Of 7 such cases sent to police in 180 days, 5 came back as not theirs"
    for zh, en in SENTENCES.values():
        assert set(re.findall(r"{(\w+?)(?:_zh|_en)?[:}]", zh)) == set(
            re.findall(r"{(\w+?)(?:_zh|_en)?[:}]", en)
        )


def test_a_return_of_not_ours_is_remembered_and_offers_who_settled_it() -> None:
    teams = [team(1), team(2, trade="fire")]
    assert one(teams).chosen is not None
    few = [Experience("0101", "police", 9, 2, 7), Experience("0101", "fire", 5, 0, 5)]
    assert [o.team.id for o in one(teams, experience=few).offers] == [1]
    many = [Experience("0101", "police", 20, 18, 2), Experience("0101", "fire", 18, 0, 18)]
    decision = one(teams, experience=many)
    assert [o.team.id for o in decision.offers] == [2, 1]
    assert codes(decision, 2)[1] == {"other_trade"}
    assert codes(decision, 1)[1] == {"misdispatch"}
    # Half of them returned does not outweigh what the list of event types says.
    half = [Experience("0101", "police", 20, 9, 11), Experience("0101", "fire", 9, 0, 9)]
    assert [o.team.id for o in one(teams, experience=half).offers] == [1, 2]


@pytest.mark.parametrize(
    ("teams", "why"),
    [
        ([], "no_team"),
        ([team(1, trade="fire")], "no_team"),
        ([team(1, state="off_duty"), team(2, state="resting")], "none_ready"),
        ([team(1, 4), team(2, 5), team(3, state="resting")], "all_full"),
    ],
)
def test_what_cannot_be_placed_comes_back_with_the_reason(teams: list[Team], why: str) -> None:
    decision = one(teams)
    assert decision.chosen is None
    assert [b.code for b in decision.shortfalls] == [why]
    assert decision.shortfalls[0].words("en")


def test_the_last_room_goes_to_the_gravest_and_the_other_is_told_so() -> None:
    teams = [team(1, 3)]
    first, second = decide([waiting(1, 4), waiting(2, 1)], teams, FORMER, solve=solve)
    assert second.chosen is not None
    assert first.chosen is None
    assert [b.code for b in first.shortfalls] == ["outbid"]


def test_a_burst_is_shared_out_where_one_at_a_time_would_pile_up_the_cost() -> None:
    # The first in turn takes the only team near the second; together they cost far less.
    problem = Problem([[1.0, 2.0], [1.5, 100.0]], [[0.0], [0.0]], [1e5, 1e5])
    assert one_at_a_time(problem) == [0, 1]
    assert solve(problem) == [1, 0]
    assert (total(problem, [0, 1]), total(problem, [1, 0])) == (101.0, 3.5)


prices = st.integers(0, 400).map(lambda n: n / 4)


@st.composite
def problems(draw: st.DrawFn, most: int = 8) -> Problem:
    rows, columns = draw(st.integers(1, most)), draw(st.integers(1, most))
    cost = st.one_of(prices, st.just(inf))
    costs = draw(st.lists(st.lists(cost, min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    step = draw(st.lists(prices, min_size=columns, max_size=columns))
    room = draw(st.lists(st.integers(0, 3), min_size=columns, max_size=columns))
    slots = [[k * each for k in range(n)] for each, n in zip(step, room, strict=True)]
    return Problem(costs, slots, [1e5 * draw(st.integers(1, 4)) for _ in range(rows)])


@settings(max_examples=300, deadline=None)
@given(problems())
def test_solved_together_is_never_worse_than_one_at_a_time(problem: Problem) -> None:
    together = solve(problem)
    assert total(problem, together) <= total(problem, one_at_a_time(problem)) + 1e-6
    assert solve(problem) == together


@settings(max_examples=100, deadline=None)
@given(problems(most=4))
def test_solved_together_is_the_least_that_any_assignment_costs(problem: Problem) -> None:
    # Every column once for each room it has, and every row's way out, in every order.
    seats = [j for j, slots in enumerate(problem.slots) for _ in slots][:5]
    kept = [seats.count(j) for j in range(len(problem.slots))]
    small = Problem(
        problem.costs, [s[:n] for s, n in zip(problem.slots, kept, strict=True)], problem.unplaced
    )
    rows = len(small.costs)
    least = inf
    for order in set(permutations([*seats, *[None] * rows], rows)):
        if all(j is None or small.costs[i][j] < inf for i, j in enumerate(order)):
            least = min(least, total(small, order))
    assert total(small, solve(small)) == pytest.approx(least)


crews = st.lists(
    st.builds(
        lambda n, load, lon, area, state: team(n, load, lon=lon, area=area, state=state),
        st.integers(1, 30),
        st.integers(0, 5),
        st.one_of(st.none(), st.floats(111.9, 112.1)),
        st.sampled_from([VILLAGE, TOWN, COUNTY]),
        st.sampled_from(weighing.STATES),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda t: t.id,
)


@settings(max_examples=300, deadline=None)
@given(crews, st.booleans())
def test_the_fast_road_and_the_offers_agree_on_one_incident(teams: list[Team], located: bool) -> None:
    spot = HERE if located else (None, None)
    asked = Waiting(1, "0101", 3, "police", VILLAGE, *spot)
    decision = decide([asked], teams, FORMER, shown=10)[0]
    fast = choose(Roster(teams, FORMER), "police", VILLAGE, *spot)
    nearest = {t.id for t in Roster(teams, FORMER).nearest("police", VILLAGE)}
    ranked = [o.team for o in decision.offers if o.team.id in nearest and o.team.state in READY]
    assert fast is (ranked[0] if ranked else None)
    if fast is not None and fast.load < fast.capacity:
        # With room in the nearest area, no team of a farther one comes before it.
        assert decision.chosen is not None
        assert decision.chosen.team is fast
        assert decision.offers[0].team is fast


@settings(max_examples=50, deadline=None)
@given(crews, st.integers(1, 6), st.randoms())
def test_the_order_in_which_they_are_named_decides_nothing(
    teams: list[Team], many: int, chance: object
) -> None:
    burst = [waiting(n, 1 + n % 4) for n in range(many)]
    plain = {d.waiting.id: d.chosen and d.chosen.team.id for d in decide(burst, teams, FORMER, solve=solve)}
    chance.shuffle(burst)  # type: ignore[attr-defined]
    chance.shuffle(teams)  # type: ignore[attr-defined]
    mixed = {d.waiting.id: d.chosen and d.chosen.team.id for d in decide(burst, teams, FORMER, solve=solve)}
    assert mixed == plain


def test_more_than_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 1000"):
        decide([waiting(n) for n in range(1_001)], [], FORMER)


def test_the_shipped_weights_are_read_without_a_fault() -> None:
    faults: list[PolicyError] = []
    text = (POLICY_DIR / weighing.FILE).read_text("utf-8")
    types = {f"{n:04}" for n in range(10_000)}
    trades = [line.split(",")[0] for line in (POLICY_DIR / "trades.csv").read_text("utf-8").splitlines()]
    read = weighing.read(text, types, trades, faults)
    assert faults == []
    assert replace(read, skills=()) == FORMER


def test_every_fault_of_the_weights_is_named_at_once() -> None:
    faults: list[PolicyError] = []
    text = (POLICY_DIR / weighing.FILE).read_text("utf-8")
    for good, bad in (
        ("km = 2.0 ", "km = -1 "), ('fresh = "10m"', 'fresh = "1wd"'), ("least = 3", "least = 0\nleats = 3"),
        ('slug = "mediation"', 'slug = ""'), ('"grid", "justice"', '"no_such", "justice"'),
        ("1 = 400000", "1 = 5"),
    ):  # fmt: skip
        assert good in text
        text = text.replace(good, bad, 1)
    weighing.read(text, {f"{n:04}" for n in range(10_000)}, {"grid", "police"} | _trades(), faults)
    assert {f.file for f in faults} == {"assignment.toml"}
    assert {f.key for f in faults} == {
        "minutes.km", "rest.fresh", "misdispatch.least", "misdispatch.leats", "skill[1].slug", "skill[1].trades",
        "unplaced.1",
    }  # fmt: skip
    assert "expected a number from 0 to 60, not -1" in str(next(f for f in faults if f.key == "minutes.km"))


def _trades() -> set[str]:
    return {line.split(",")[0] for line in (POLICY_DIR / "trades.csv").read_text("utf-8").splitlines()}

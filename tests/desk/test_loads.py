"""The load of every team is what it holds: after many acts at random, recounted, and while somebody assigns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from typing import Any

import psycopg
import pytest

from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor
from models.servers.database import psycopg_dsn
from tests import district
from tests.at_the_desk import fresh, opened, press, waiting
from tests.small_law import DISPATCHER, DUTY, HEAD, JOINT, MAJOR, MONDAY, SMALL, WHISTLE

pytestmark = pytest.mark.city("district")


def test_loads_are_what_teams_hold_after_many_acts(city: str) -> None:
    """A hundred incidents of every kind, pushed about at random by all who may."""
    rnd = Random(5)
    verbs: Counter[str] = Counter()
    with Desk(city) as desk:
        kinds = (JOINT, MAJOR, SMALL, WHISTLE)
        batch = [fresh(n, kinds[n % 4]) for n in range(100)]
        ids = [o.incident_id for o in desk.report(batch, MONDAY) if o.incident_id is not None]
        for turn in range(12):
            commands = []
            for i in ids:
                verb, actor, args = rnd.choice(_WISHES)(rnd)
                commands.append(press(verb, i, actor, id=f"{turn}", **args))
            outcomes = desk.act(commands, MONDAY + turn * timedelta(hours=1))
            verbs.update(c.verb for c, o in zip(commands, outcomes, strict=True) if o.status == "done")
        assert desk.recount_loads() == 0
    assert verbs.keys() >= {"accept", "dispatch", "pick_up", "decline", "dispose", "reassign", "add_assist"}
    assert district.value(city, "select sum(load) from team") > 0
    district.check_everything(city)


def _crew(rnd: Random) -> Actor:
    number = rnd.choice((1, 3, 3, 6))
    return Actor(f"team/{number}", "team", "445300", number)


_WISHES: tuple[Callable[[Random], tuple[str, Actor, dict[str, Any]]], ...] = (
    lambda rnd: ("accept", DISPATCHER, {}),
    lambda rnd: ("dispatch", DISPATCHER, {"team_id": rnd.choice((1, 3, 6))}),
    lambda rnd: ("reassign", DISPATCHER, {"team_id": rnd.randint(1, 8), "reason": "改派"}),
    lambda rnd: ("add_assist", DISPATCHER, {"team_id": rnd.randint(1, 8)}),
    lambda rnd: ("pick_up", _crew(rnd), {}),
    lambda rnd: ("pick_up", _crew(rnd), {}),
    lambda rnd: ("decline", _crew(rnd), {"return_kind": "not_ours", "reason": "不归我们"}),
    lambda rnd: ("dispose", _crew(rnd), {"result": "已处置", "photos": ["https://x/1", "https://x/2"]}),
    lambda rnd: ("rework", HEAD, {"reason": "返工"}),
    lambda rnd: ("void", DUTY, {"reason": "误报"}),
)


def test_recounting_puts_a_wrong_load_right_and_says_how_many(desk: Desk, city: str) -> None:
    """And leaves the right ones alone."""
    opened(desk, 3, SMALL)
    with psycopg.connect(psycopg_dsn(city)) as connection:
        connection.execute("update team set load = 40 where id in (1, 5)")
    assert desk.recount_loads() == 2
    district.check_everything(city)


def test_a_recount_in_the_middle_of_an_assignment_makes_no_load_wrong(desk: Desk, city: str) -> None:
    """It waits for the team and counts then, not what was there before it waited."""
    opened(desk, 2, SMALL)
    with psycopg.connect(psycopg_dsn(city)) as connection:
        connection.execute("update team set load = 7 where id = 1")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(psycopg_dsn(city)) as connection:
        connection.execute("update assignment set state = 'picked_up'")
        connection.execute(
            "insert into assignment (id, incident_id, team_id, role, kind, state, sent_at, clocks)"
            " select 1, incident_id, team_id, 'assist', kind, state, sent_at, clocks from assignment limit 1"
        )
        connection.execute("update team set load = load + 1 where id = 1")
        counting = pool.submit(desk.recount_loads)
        waiting(city, 1)
        connection.commit()
        assert counting.result(20) == 1
    assert district.value(city, "select load from team where id = 1") == 3

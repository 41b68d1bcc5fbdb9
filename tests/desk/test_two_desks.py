"""Of two Desks at once one wins, the other reads who did what, and neither waits in a circle."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from random import Random
from typing import Any

import psycopg
import pytest

from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Command, Report
from models.servers.database import psycopg_dsn
from tests import district
from tests.at_the_desk import PATIENCE_S, codes, fresh, opened, press, waiting
from tests.forked import PROCESSES
from tests.small_law import CITY_DESK, DISPATCHER, DUTY, MAJOR, MONDAY, POLICE, SMALL

pytestmark = pytest.mark.city("district")

MINUTE = timedelta(minutes=1)
PRESSES = 200  # by each of two people


def push(city: str, actor: Actor, order: list[int], start: Barrier, told: Queue[Any]) -> None:
    """Accept incidents from a process of its own, one at a time, as soon as the other is ready too."""
    with Desk(city) as desk:
        desk.roster()
        answers = []
        for n, i in enumerate(order):
            if n % 2 == 0:
                start.wait(PATIENCE_S)  # for the other, so that neither is through before the other has begun
            [outcome] = desk.act([press("accept", i, actor)], MONDAY + MINUTE)
            said = [outcome.refusal.words(lang) for lang in ("zh", "en")] if outcome.refusal else None
            answers.append((i, codes([outcome])[0], said))
    told.put((actor.id, answers))


@pytest.mark.processes
def test_of_two_desks_one_wins_each_incident_and_the_other_reads_who_did_what(city: str) -> None:
    """Two hundred incidents, pressed by two processes at once: no deadlock, no overwrite, no double."""
    with Desk(city) as desk:
        ids = opened(desk, PRESSES)
    start, told = PROCESSES.Barrier(2), PROCESSES.Queue()
    people = (DISPATCHER, DUTY)
    # Neighbours change places, so that now one and now the other comes first, and both are always at the same spot.
    turned = [i for n in range(0, PRESSES, 2) for i in (ids[n + 1], ids[n])]
    orders = (ids, turned)
    both = [
        PROCESSES.Process(target=push, args=(city, a, o, start, told))
        for a, o in zip(people, orders, strict=True)
    ]
    for each in both:
        each.start()
    answers = dict(told.get(timeout=PATIENCE_S) for _ in both)
    for each in both:
        each.join(PATIENCE_S)
        assert each.exitcode == 0
    wins: Counter[str] = Counter()
    mine, theirs = ({i: rest for i, *rest in answers[who.id]} for who in people)
    for i in ids:
        (a, a_said), (b, b_said) = mine[i], theirs[i]
        assert {a, b} == {"done", "not_now"}
        winner, said = (DISPATCHER, b_said) if a == "done" else (DUTY, a_said)
        assert f"{winner.id} 已于 09:01 受理" in said[0]
        assert f"{winner.id} already did accept at 09:01" in said[1]
        wins[winner.id] += 1
    assert wins.total() == PRESSES
    assert len(wins) == 2, "one was over before the other began"
    assert district.value(city, "select count(*) from event where verb = 'accept'") == PRESSES
    assert district.value(city, "select count(*) from pg_locks where not granted") == 0
    district.check_everything(city)


def take_from_each_other(
    city: str, actor: Actor, seen: dict[int, int], start: Barrier, told: Queue[Any]
) -> None:
    """Reassign each incident as it was seen, from a process of its own, each to another team than the other process."""
    with Desk(city) as desk:
        desk.roster()
        answers = []
        for n, (i, seq) in enumerate(seen.items()):
            if n % 2 == 0:
                start.wait(PATIENCE_S)
            args = {"team_id": 6 if actor.id == DISPATCHER.id else 4, "reason": "就近"}
            wish = Command("reassign", i, actor, f"r/{actor.id}/{i}", args, seq)
            [outcome] = desk.act([wish], MONDAY + 5 * MINUTE)
            answers.append((i, outcome.refusal.code if outcome.refusal else outcome.status,
                            outcome.refusal.words("en") if outcome.refusal else ""))  # fmt: skip
    told.put((actor.id, answers))


@pytest.mark.processes
def test_of_two_who_reassign_at_once_the_second_overwrites_nothing_though_it_would_be_lawful(
    city: str,
) -> None:
    """Two hundred cases with a team, each sent elsewhere by two processes at once: one team more, not two."""
    with Desk(city) as desk:
        ids = opened(desk, PRESSES)
        assert set(codes(desk.act([press("accept", i) for i in ids], MONDAY + MINUTE))) == {"done"}
        sent = [press("dispatch", i, team_id=POLICE) for i in ids]
        assert set(codes(desk.act(sent, MONDAY + MINUTE))) == {"done"}
    seen = dict.fromkeys(ids, 3)
    start, told = PROCESSES.Barrier(2), PROCESSES.Queue()
    turned = {i: 3 for n in range(0, PRESSES, 2) for i in (ids[n + 1], ids[n])}
    both = [
        PROCESSES.Process(target=take_from_each_other, args=(city, who, mine, start, told))
        for who, mine in ((DISPATCHER, seen), (DUTY, turned))
    ]
    for each in both:
        each.start()
    answers = {
        who: {i: rest for i, *rest in given} for who, given in (told.get(timeout=PATIENCE_S) for _ in both)
    }
    for each in both:
        each.join(PATIENCE_S)
        assert each.exitcode == 0
    wins: Counter[str] = Counter()
    for i in ids:
        (a, a_said), (b, b_said) = answers[DISPATCHER.id][i], answers[DUTY.id][i]
        assert {a, b} == {"done", "overtaken"}
        winner, said = (DISPATCHER, b_said) if a == "done" else (DUTY, a_said)
        assert f"{winner.id} already did reassign at 09:05" in said
        wins[winner.id] += 1
    assert len(wins) == 2, "one was over before the other began"
    assert district.value(city, "select count(*) from event where verb = 'reassign'") == PRESSES
    district.check_everything(city)


def test_in_one_batch_the_second_of_two_people_is_stopped_too(desk: Desk) -> None:
    """What the first has just changed is news to the second, though neither is written yet."""
    [one] = opened(desk, 1)
    first, second = (
        Command("escalate", one, who, who.id, {"reason": "协调不动"}, 1) for who in (DISPATCHER, DUTY)
    )
    note = Command("note", one, DUTY, "n", {"note": "看到了"}, 1)
    assert codes(desk.act([first, second, note], MONDAY + MINUTE)) == ["done", "overtaken", "done"]
    # Having looked, one may.
    seen = Command("escalate", one, DUTY, "again", {"reason": "协调不动"}, 3)
    assert codes(desk.act([seen], MONDAY + 2 * MINUTE)) == ["done"]


def push_batches(
    city: str, actor: Actor, batches: list[list[Command]], start: Barrier, told: Queue[Any]
) -> None:
    """Act in whole batches from a process of its own, all its rows locked until the last is written."""
    with Desk(city) as desk:
        desk.roster()
        start.wait(PATIENCE_S)
        told.put((actor.id, [codes(desk.act(batch, MONDAY + 5 * MINUTE)) for batch in batches]))


@pytest.mark.processes
def test_batches_that_lock_the_same_incidents_in_any_order_never_wait_in_a_circle(city: str) -> None:
    """Three processes, whole batches forwards, backwards and shuffled, merges across them, and the same teams."""
    rounds, size = 12, 30
    with Desk(city) as desk:
        ids = opened(desk, rounds * size)
        desk.act([press("accept", i) for i in ids], MONDAY + MINUTE)
    people = (DISPATCHER, DUTY, Actor("person/32", "dispatcher", DISPATCHER.area_code))
    rnd = Random(7)
    work: list[list[list[Command]]] = []
    for which, who in enumerate(people):
        batches = []
        for n in range(rounds):
            mine = ids[n * size : (n + 1) * size]
            order = (mine, mine[::-1], rnd.sample(mine, size))[which]
            batch = [press("dispatch", i, who, team_id=(1, 3, 6)[i % 3]) for i in order[: size - 6]]
            # The last of each batch go into one of the next, which the other batches lock from their own side.
            into = ids[(n + 1) % rounds * size + which]
            batch += [press("merge", i, who, into=into) for i in order[size - 6 :]]
            batches.append(batch)
        work.append(batches)
    start, told = PROCESSES.Barrier(len(people)), PROCESSES.Queue()
    running = [
        PROCESSES.Process(target=push_batches, args=(city, who, batches, start, told))
        for who, batches in zip(people, work, strict=True)
    ]
    for each in running:
        each.start()
    answers = dict(told.get(timeout=PATIENCE_S) for _ in running)
    for each in running:
        each.join(PATIENCE_S)
        assert each.exitcode == 0
    done = Counter(code for given in answers.values() for batch in given for code in batch)
    # Everything was answered, and nobody with a fault.
    assert done.total() == len(people) * rounds * size
    assert done.keys() <= {"done", "not_now", "no_other"}
    verbs = dict(district.rows(city, "select verb, count(*) from event group by verb"))
    assert done["done"] == verbs["dispatch"] + verbs["merge"]
    assert verbs["dispatch"] > size
    assert verbs["merge"] > 6
    assert (
        district.value(city, "select deadlocks from pg_stat_database where datname = current_database()") == 0
    )
    district.check_everything(city)


def test_an_act_that_waited_for_another_is_not_refused_for_its_time(desk: Desk) -> None:
    """Pressed a moment before the other's, decided after it: it counts as done right after."""
    [one] = opened(desk, 1)
    desk.act([press("note", one, note="先")], MONDAY + MINUTE)
    late = press("note", one, DUTY, note="后")
    assert codes(desk.act([late], MONDAY + MINUTE - timedelta(milliseconds=5))) == ["done"]
    far = press("note", one, CITY_DESK, note="太早")
    assert codes(desk.act([far], MONDAY - timedelta(hours=1))) == ["before"]


def test_desks_that_send_the_same_teams_never_wait_in_a_circle(city: str) -> None:
    """Reports routed to one team and acts on it, four desks at once, for as long as it takes."""
    with Desk(city) as one:
        ids = opened(one, 80)
        one.act([press("accept", i) for i in ids], MONDAY)
    start = threading.Barrier(4)

    def reports(first: int) -> int:
        with Desk(city) as desk:
            start.wait(PATIENCE_S)
            for n in range(10):
                batch = [fresh(first + 10 * n + k, (SMALL, MAJOR)[k % 2]) for k in range(10)]
                assert {o.status for o in desk.report(batch, MONDAY)} == {"done"}
        return 100

    def acts(mine: list[int]) -> int:
        with Desk(city) as desk:
            start.wait(PATIENCE_S)
            for n in range(0, 40, 4):
                batch = [press("dispatch", i, team_id=1 + (i + n) % 8) for i in mine[n : n + 4]]
                assert {o.status for o in desk.act(batch, MONDAY + MINUTE)} == {"done"}
        return 40

    with ThreadPoolExecutor(4) as pool:
        work = [
            pool.submit(reports, 1_000),
            pool.submit(reports, 2_000),
            pool.submit(acts, ids[:40]),
            pool.submit(acts, ids[40:]),
        ]
        assert sum(each.result(PATIENCE_S) for each in work) == 280
    district.check_everything(city)


def test_desks_that_are_given_the_same_reports_never_wait_in_a_circle(city: str) -> None:
    """The stream may hand messages to two dispatchers in any order: both come to the same door, one by one."""
    reports = sorted((fresh(n) for n in range(100)), key=lambda r: r.number)

    def take(batch: list[Report]) -> Counter[str]:
        with Desk(city) as desk:
            return Counter(o.status for o in desk.report(batch, MONDAY))

    with ThreadPoolExecutor(2) as pool, psycopg.connect(psycopg_dsn(city)) as connection:
        # A third one holds the number in the middle, until each of the two has all it can get before it.
        connection.execute("insert into receipt (key, incident_id) values (%s, 1)", (reports[50].number,))
        one = pool.submit(take, reports)
        waiting(city, 1)
        other = pool.submit(take, reports[::-1])
        waiting(city, 2)
        connection.rollback()
        total = one.result(PATIENCE_S) + other.result(PATIENCE_S)
    assert total == {"done": 100, "duplicate": 100}
    assert district.value(city, "select count(*) from incident") == 100

"""The Desk is one door: whole batches or nothing, each wish once, one winner of two, and nothing ever rewritten."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from random import Random
from typing import Any

import psycopg
import pytest
import redis

from dispatch.checks import audit
from dispatch.desk import nudges, store
from dispatch.desk.desk import BATCH_LIMIT, Desk, Outcome
from dispatch.intake.messages import number_of
from dispatch.rules.incident.chain import SYSTEM, Actor, Command, Report
from dispatch.rules.incident.links import GENESIS
from models.servers.database import psycopg_dsn
from tests import district
from tests.halfway import PROCESSES
from tests.small_law import (
    CITY_DESK,
    CREW,
    DISPATCHER,
    DUTY,
    HEAD,
    JOINT,
    MAJOR,
    MONDAY,
    NEXT_VILLAGE,
    POLICE,
    SMALL,
    WHISTLE,
    local,
    policy_files,
    report,
)

pytestmark = pytest.mark.city("district")

MINUTE = timedelta(minutes=1)
PRESSES = 200  # by each of two people
PATIENCE_S = 300.0  # however busy the machine is


@pytest.fixture
def city(database: str) -> str:
    """Give the test a database with the small city."""
    return database


@pytest.fixture
def desk(city: str) -> Iterator[Desk]:
    """Give the test a Desk of that city."""
    with Desk(city) as one:
        yield one


def fresh(serial: int, category: str = JOINT, **rest: Any) -> Report:
    """Return a report whose number is its own."""
    made = report(category, number=number_of("hotline", str(serial)), **rest)
    made.source_id = str(serial)
    return made


def opened(desk: Desk, count: int, category: str = JOINT, first: int = 1) -> list[int]:
    """Open incidents and return their ids."""
    outcomes = desk.report([fresh(n, category) for n in range(first, first + count)], MONDAY)
    assert {o.status for o in outcomes} == {"done"}
    return [o.incident_id for o in outcomes if o.incident_id is not None]


def press(
    verb: str, incident_id: int, actor: Actor = DISPATCHER, id: str | None = None, **args: Any
) -> Command:
    """Return a command with an id of its own."""
    return Command(verb, incident_id, actor, id or f"{verb}/{actor.id}/{incident_id}", args)


def codes(outcomes: list[Outcome]) -> list[str]:
    """Return what each outcome says, refusals by their code."""
    return [o.refusal.code if o.refusal else o.status for o in outcomes]


def counts(database: str) -> tuple[Any, ...]:
    """Return how many rows each table of incidents holds."""
    [row] = district.rows(
        database,
        "select (select count(*) from incident), (select count(*) from event), (select count(*) from assignment),"
        " (select count(*) from segment), (select count(*) from receipt), (select sum(load) from team)",
    )
    return row


def test_a_refused_report_does_not_take_its_neighbours_down(desk: Desk, city: str) -> None:
    """The others are there whole, and what was refused may come again, mended."""
    batch = [fresh(1), fresh(2, "9999"), fresh(3, SMALL), fresh(4, MAJOR)]
    assert codes(desk.report(batch, MONDAY)) == ["done", "unknown_category", "done", "done"]
    assert district.value(city, "select count(*) from incident") == 3
    assert district.value(city, "select count(*) from receipt") == 3
    batch[1].category = JOINT
    assert codes(desk.report([batch[1]], MONDAY)) == ["done"]
    assert district.rows(city, "select state, count(*) from incident group by state order by state") == [
        ("dispatched", 2),
        ("reported", 2),
    ]
    district.check_everything(city)


def test_the_same_report_is_one_incident_in_one_batch_and_across_batches(desk: Desk, city: str) -> None:
    """Every repeat answers with the incident that the first became."""
    first, again, other = desk.report([fresh(1), fresh(1), fresh(2)], MONDAY)
    assert (first.status, again.status, other.status) == ("done", "duplicate", "done")
    assert again.incident_id == first.incident_id != other.incident_id
    [later] = desk.report([fresh(1)], MONDAY + MINUTE)
    assert (later.status, later.incident_id) == ("duplicate", first.incident_id)
    assert district.value(city, "select count(*) from incident") == 2


def test_a_repeat_of_a_refused_report_is_refused_too_and_points_to_no_incident(desk: Desk, city: str) -> None:
    """Nothing was opened, so nothing can be its duplicate; a mended repeat in the same batch opens it."""
    outcomes = desk.report([fresh(1, "9999"), fresh(1, "9999"), fresh(1), fresh(1)], MONDAY)
    assert codes(outcomes) == ["unknown_category", "unknown_category", "done", "duplicate"]
    assert [o.incident_id for o in outcomes[:2]] == [None, None]
    assert outcomes[2].incident_id == outcomes[3].incident_id
    assert district.value(city, "select count(*) from receipt") == 1


def test_two_different_reports_with_one_number_are_never_taken_for_one(desk: Desk) -> None:
    """Neither in one batch nor across batches."""
    twin = fresh(2)
    twin.number = fresh(1).number
    assert codes(desk.report([fresh(1), twin], MONDAY)) == ["done", "number_taken"]
    assert codes(desk.report([twin], MONDAY)) == ["number_taken"]


def test_a_repeat_in_a_batch_is_not_its_own_suspected_duplicate(desk: Desk, city: str) -> None:
    """Only other reports nearby count."""
    where: dict[str, Any] = {"lon": 112.0, "lat": 22.9, "located": "point"}
    desk.report([fresh(1, **where), fresh(1, **where), fresh(2, **where)], MONDAY)
    said = district.rows(
        city, "select data -> 'said' ->> 'suspects' from event where verb = 'report' order by incident_id"
    )
    assert said == [(None,), ("1",)]


def test_a_refused_command_does_not_take_its_neighbours_down(desk: Desk, city: str) -> None:
    """Each command sees what those before it have changed."""
    one, two = opened(desk, 2)
    outcomes = desk.act(
        [
            press("dispatch", one, team_id=POLICE),
            press("accept", one),
            press("dispatch", one, id="again", team_id=99),
            press("dispatch", one, id="good", team_id=POLICE),
            press("accept", 999_999_999),
            press("conclude", two, SYSTEM),
            press("fly", two),
            press("accept", two),
        ],
        MONDAY + MINUTE,
    )
    assert codes(outcomes) == [
        "not_now", "done", "unknown_team", "done", "unknown_incident", "needs", "unknown_verb", "done",
    ]  # fmt: skip
    assert district.rows(city, "select state from incident order by id") == [("dispatched",), ("accepted",)]
    district.check_everything(city)


def test_a_button_pressed_twice_is_one_action(desk: Desk, city: str) -> None:
    """In one batch, in the next, and from another desk; a refused press may be tried again."""
    [one] = opened(desk, 1)
    early = press("dispatch", one, id="d", team_id=POLICE)
    assert codes(desk.act([early], MONDAY)) == ["not_now"]
    same = press("accept", one, id="a")
    assert codes(desk.act([same, same], MONDAY)) == ["done", "duplicate"]
    with Desk(city) as other:
        assert codes(other.act([same, early], MONDAY)) == ["duplicate", "done"]
    assert codes(desk.act([early], MONDAY)) == ["duplicate"]
    assert district.value(city, "select count(*) from event") == 3


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


def waiting(database: str, backends: int) -> None:
    """Wait until so many backends wait for a lock."""
    deadline = time.monotonic() + PATIENCE_S
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    while district.value(database, query) < backends:
        assert time.monotonic() < deadline, "nobody came to wait"
        time.sleep(0.01)


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


def test_the_database_refuses_a_second_live_lead(desk: Desk, city: str) -> None:
    """Whoever writes it, and however."""
    [one] = opened(desk, 1, SMALL)
    with (
        psycopg.connect(psycopg_dsn(city)) as connection,
        pytest.raises(psycopg.errors.UniqueViolation, match="uq_assignment_live_lead"),
    ):
        connection.execute(
            "insert into assignment (id, incident_id, team_id, role, kind, state, sent_at, clocks)"
            " select id + 1, incident_id, 2, role, kind, state, sent_at, clocks from assignment"
        )
    assert district.value(city, "select count(*) from assignment where incident_id = %s", one) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "update event set actor = 'somebody else'",
        "delete from event",
        "update event set seq = 9",
        "truncate event cascade",
        "truncate incident cascade",
    ],
)
def test_the_database_refuses_to_rewrite_what_happened(desk: Desk, city: str, statement: str) -> None:
    """Events are added, never changed and never taken away."""
    opened(desk, 1)
    with psycopg.connect(psycopg_dsn(city)) as connection, pytest.raises(psycopg.Error, match="append"):
        connection.execute(statement.encode())
    district.check_everything(city)


@pytest.mark.parametrize(
    ("edit", "broken"),
    [
        ("update event set actor = 'person/11' where seq = 2", [2]),
        ("update event set at = at + interval '1 microsecond' where seq = 3", [3]),
        ("update event set data = (replace(data::text, '处', '外'))::json where seq = 5", [5]),
        ("update event set data = (data::text || ' ')::json where seq = 1", [1]),
        ("update event set cause = cause || '!' where seq = 4", [4]),
        ("update event set hash = set_byte(hash, 31, (get_byte(hash, 31) + 1) % 256) where seq = 3", [3, 4]),
        ("delete from event where seq = 5", [5]),
    ],
)
def test_an_edit_behind_the_databases_back_is_found(
    desk: Desk, city: str, edit: str, broken: list[int]
) -> None:
    """One letter, one microsecond, one byte: the chain no longer holds where it was touched."""
    [one] = opened(desk, 1)
    commands = [
        press("accept", one),
        press("dispatch", one, team_id=POLICE),
        press("pick_up", one, CREW),
        press("dispose", one, CREW, result="已处置"),
    ]
    assert codes(desk.act(commands, MONDAY + MINUTE)) == ["done"] * 4
    district.check_everything(city)
    with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        assert cursor.execute(edit.encode()).rowcount == 1
        assert district.broken_links(cursor, one) == broken


def test_a_letter_that_moves_from_one_column_to_the_next_is_found(desk: Desk, city: str) -> None:
    """Also where it takes the tab along that once stood between the columns."""
    [one] = opened(desk, 1)
    desk.act([press("accept", one, id="a\tb")], MONDAY + MINUTE)
    edits = (
        "update event set actor = actor || E'\\ta', cause = 'b' where seq = 2",
        "update event set actor = left(actor, -1), cause = right(actor, 1) || cause where seq = 2",
        "update event set verb = verb || right(actor, 1), actor = left(actor, -1) where seq = 2",
    )
    for edit in edits:
        with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
            cursor.execute("set session_replication_role = replica")
            assert cursor.execute(edit.encode()).rowcount == 1
            assert district.broken_links(cursor, one) == [2]
            connection.rollback()
    assert audit_finds(city) == []


def test_events_linked_in_the_first_form_still_hold_and_their_edits_are_found(desk: Desk, city: str) -> None:
    """A city that ran before the form was made unambiguous keeps its record, and goes on in the new form."""
    [one] = opened(desk, 1)
    desk.act([press("accept", one)], MONDAY + MINUTE)
    with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        head = GENESIS
        for seq, at, verb, actor, cause, policy, data in cursor.execute(
            "select seq, at, verb, actor, cause, policy_version, data::text from event where incident_id = %s"
            " order by seq",
            (one,),
        ).fetchall():
            micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
            text = f"{one}\t{seq}\t{micros}\t{verb}\t{actor}\t{cause}\t{policy}\t{data}"
            head = sha256(head + text.encode()).digest()
            cursor.execute("update event set hash = %s where (incident_id, seq) = (%s, %s)", (head, one, seq))
        cursor.execute("update incident set head = %s where id = %s", (head, one))
        connection.commit()
    desk.act([press("dispatch", one, team_id=POLICE)], MONDAY + 2 * MINUTE)
    assert audit_finds(city) == []
    edits = (
        "update event set actor = 'person/11' where seq = 2",
        "update event set actor = actor || E'\\t' || cause, cause = '' where seq = 2",
    )
    for edit in edits:
        with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
            cursor.execute("set session_replication_role = replica")
            assert cursor.execute(edit.encode()).rowcount == 1
            assert district.broken_links(cursor, one) == [2]
            connection.rollback()


def audit_finds(city: str) -> list[Any]:
    """Return what the audit finds wrong in the whole city."""
    with psycopg.connect(psycopg_dsn(city)) as connection:
        return audit.verify(connection).faults or []


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


def test_a_fault_in_the_middle_of_a_batch_leaves_nothing_and_no_load_counted_up(
    desk: Desk, city: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is no fault of the database."""
    before = counts(city)

    def broken(*given: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(store, "write", broken)
    with pytest.raises(RuntimeError, match="broken"):
        desk.report([fresh(1, SMALL)], MONDAY)
    monkeypatch.undo()
    assert counts(city) == before
    team = desk.roster().team(1)
    assert team is not None
    assert team.load == 0


def test_an_incident_keeps_the_policy_it_was_opened_under(desk: Desk, city: str) -> None:
    """A tighter limit published later judges what comes later."""
    [one] = opened(desk, 1)
    files = policy_files()
    files["limits.toml"] = files["limits.toml"].replace('3 = "30m"', '3 = "7m"')
    with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
        district.publish(cursor, 8, files)
    with Desk(city) as later:
        [two] = opened(later, 1, first=2)
        later.act([press("accept", one), press("accept", two)], MONDAY)
    limits = district.rows(
        city, "select policy_version, clocks -> 'dispatch' ->> 'limit' from incident order by id"
    )
    assert limits == [(7, "30m"), (8, "7m")]
    assert set(district.rows(city, "select policy_version, verb from event where incident_id = %s", one)) == {
        (7, "report"),
        (7, "accept"),
    }


def test_a_policy_of_tomorrow_is_not_in_force_today(city: str) -> None:
    """Its day has to come first, on the city's own clock."""
    with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
        district.publish(cursor, 8, policy_files())
        cursor.execute("update policy_version set valid_from = current_date + 2 where version = 8")
    with Desk(city) as desk:
        assert desk.in_force(datetime.now(UTC)).version == 7
        assert desk.policy(8).version == 8
        with pytest.raises(LookupError, match="no policy version 9"):
            desk.policy(9)


@pytest.mark.city("migrated")
def test_a_database_without_a_city_says_what_to_do(database: str) -> None:
    """In one sentence, with the command."""
    with Desk(database) as desk, pytest.raises(LookupError, match="python -m models demo"):
        desk.report([fresh(1)], MONDAY)


def test_an_imported_end_before_our_own_last_step_is_placed_after_it_and_judged_by_itself(
    desk: Desk, city: str
) -> None:
    """The source ended it at noon, we accepted it at one and hear of it at two."""
    made = fresh(1, imported=True, target_at=local("2026-03-02 12:30"))
    [outcome] = desk.report([made], local("2026-03-02 09:05"))
    assert outcome.incident_id is not None
    one = outcome.incident_id
    desk.act([press("accept", one)], local("2026-03-02 13:00"))
    ended = press("conclude", one, SYSTEM, closed_at=local("2026-03-02 12:00"))
    assert codes(desk.act([ended], local("2026-03-02 14:00"))) == ["done"]
    [(at, on_time, ended_at)] = district.rows(
        city, "select disposed_at, disposed_on_time, ended_at from incident"
    )
    assert (at, on_time, ended_at) == (local("2026-03-02 12:00"), True, local("2026-03-02 13:00"))
    district.check_everything(city)


def test_an_end_before_the_report_is_refused_and_its_neighbours_are_kept(desk: Desk, city: str) -> None:
    """Sources do send such rows."""
    one, two = opened(desk, 2)
    outcomes = desk.act(
        [
            press("conclude", one, SYSTEM, closed_at=MONDAY - MINUTE),
            press("conclude", two, SYSTEM, closed_at=MONDAY + MINUTE),
        ],
        MONDAY + 2 * MINUTE,
    )
    assert codes(outcomes) == ["before", "done"]
    district.check_everything(city)


def test_merging_keeps_both_numbers_and_changes_both_or_neither(desk: Desk, city: str) -> None:
    """One ends, the other knows which; into nothing or into itself is refused."""
    one, two = opened(desk, 2)
    assert codes(desk.act([press("merge", one, into=12345)], MONDAY)) == ["no_other"]
    assert codes(desk.act([press("merge", one, id="self", into=one)], MONDAY)) == ["no_other"]
    assert codes(desk.act([press("merge", one, id="good", into=two)], MONDAY + MINUTE)) == ["done"]
    numbers = dict(district.rows(city, "select id, number from incident"))
    assert district.rows(city, "select facts -> 'merged_into' from incident where id = %s", one) == [
        (numbers[two],)
    ]
    assert district.rows(city, "select facts -> 'absorbed' from incident where id = %s", two) == [
        ([numbers[one]],)
    ]
    district.check_everything(city)


def test_merging_into_what_a_fast_clock_has_touched_is_refused_and_takes_no_neighbour_down(
    desk: Desk, city: str
) -> None:
    """Hours ahead it is refused with its time; a few minutes ahead it counts as done right after."""
    one, two, three = opened(desk, 3)
    desk.act([press("note", two, note="快钟")], MONDAY + 180 * MINUTE)
    batch = [press("merge", one, into=two), press("accept", three)]
    assert codes(desk.act(batch, MONDAY + MINUTE)) == ["before", "done"]
    assert codes(desk.act([press("merge", one, id="later", into=two)], MONDAY + 175 * MINUTE)) == ["done"]
    assert district.value(city, "select last_at from incident where id = %s", one) == MONDAY + 180 * MINUTE
    district.check_everything(city)


def test_a_changed_type_moves_the_incident_to_the_place_of_its_new_type(desk: Desk, city: str) -> None:
    """What is reported there under the new type finds it, under the old one it no longer does."""
    where: dict[str, Any] = {"lon": 112.0, "lat": 22.9, "located": "point"}
    [first] = desk.report([fresh(1, JOINT, **where)], MONDAY)
    assert first.incident_id is not None
    recoded = press("recode", first.incident_id, category=WHISTLE, reason="类别有误")
    assert codes(desk.act([recoded], MONDAY + MINUTE)) == ["done"]
    desk.report([fresh(2, JOINT, **where), fresh(3, WHISTLE, **where)], MONDAY + 2 * MINUTE)
    said = district.rows(
        city, "select data -> 'said' ->> 'suspects' from event where verb = 'report' order by incident_id"
    )
    assert said == [(None,), (None,), ("1",)]
    district.check_everything(city)


def test_a_batch_is_one_nudge_to_the_screens_and_a_refused_one_is_none(
    city: str, stream: redis.Redis
) -> None:
    """The screens look when something changed."""
    listener = stream.pubsub()  # type: ignore[no-untyped-call]
    listener.subscribe(nudges.CHANNEL)
    assert listener.get_message(timeout=PATIENCE_S) is not None
    with Desk(city, stream) as desk:
        opened(desk, 5)
        desk.report([fresh(9, "9999")], MONDAY)
        desk.act([press("accept", 12345)], MONDAY)
        opened(desk, 2, first=20)
        heard = [listener.get_message(timeout=PATIENCE_S) for _ in range(2)]
    assert [message and message["data"] for message in heard] == [b"5", b"2"]
    listener.close()


def test_a_batch_has_a_limit_and_an_empty_one_is_nothing(desk: Desk) -> None:
    """Everything is bounded."""
    assert desk.report([], MONDAY) == desk.act([], MONDAY) == []
    with pytest.raises(ValueError, match="at most"):
        desk.act([press("accept", n) for n in range(BATCH_LIMIT + 1)], MONDAY)


def test_a_team_is_sent_where_the_report_lies(desk: Desk, city: str) -> None:
    """Small matters go to the grid team of their own village."""
    desk.report([fresh(1, SMALL), fresh(2, SMALL, area_code=NEXT_VILLAGE)], MONDAY)
    assert district.rows(city, "select team_id from assignment order by incident_id") == [(1,), (2,)]

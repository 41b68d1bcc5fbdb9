"""The Desk is one door: whole batches or nothing, each wish once, and each case under the policy of its opening."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import redis

from dispatch.desk import nudges, store
from dispatch.desk.desk import BATCH_LIMIT, Desk
from dispatch.rules.incident.chain import SYSTEM
from models.servers.database import psycopg_dsn
from tests import district
from tests.at_the_desk import PATIENCE_S, codes, fresh, opened, press
from tests.small_law import JOINT, MAJOR, MONDAY, NEXT_VILLAGE, POLICE, SMALL, WHISTLE, local, policy_files

pytestmark = pytest.mark.city("district")

MINUTE = timedelta(minutes=1)


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

"""Prove the nightly check: what was lived and counted is borne out, and each figure that was edited is found."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from dispatch.checks import recheck
from dispatch.desk.desk import Desk
from dispatch.figures import cohorts, rollup
from dispatch.rules.incident.chain import Actor, Command
from dispatch.scores import scoring
from jobs import followers
from tests import district
from tests.at_work import worked
from tests.lived_city import CITY, LATER, Connection, closed_case, one
from tests.templates import LIVED_DAYS as DAYS
from tests.templates import LIVED_MONTH as MAY
from tests.templates import LIVED_UNTIL as UNTIL


def check(connection: Connection) -> list[recheck.Difference]:
    """Check every incident once; return what stands open."""
    count = one(connection, "select count(*) from incident")
    assert recheck.incidents(connection, UNTIL, count) == count
    with connection.cursor() as cursor:
        return recheck.open_mismatches(cursor)


def test_what_the_city_lived_is_borne_out_by_its_events(connection: Connection) -> None:
    assert check(connection) == []
    with connection.cursor() as cursor:
        assert district.named_otherwise(cursor) == []
    assert one(connection, "select count(*) from incident where due_clocks is not null") > 20


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (
            "update incident set disposed_on_time = not disposed_on_time where id = %s",
            "incident.disposed_on_time",
        ),
        ("update incident set ended_at = ended_at + interval '1 s' where id = %s", "incident.ended_at"),
        ("update incident set rating = 5 where id = %s", "incident.rating"),
        (
            "update segment set ended_at = ended_at + interval '1 s' where incident_id = %s and seq = 2",
            "segment",
        ),
        ("delete from segment where incident_id = %s and seq = 1", "segment"),
        ("update assignment set team_id = (select min(id) from team) where incident_id = %s", "assignment."),
    ],
)
def test_the_check_finds_a_planted_error_and_sees_it_mended(
    connection: Connection, edit: str, what: str
) -> None:
    key = one(
        connection,
        "select id from incident where state = 'closed' and disposed_on_time is not null and rating is null"
        " and facts ->> 'disposer_team' is not null"
        " and (select count(*) from assignment a where a.incident_id = incident.id) = 1 order by id desc limit 1",
    )
    tables = ("incident", "segment", "assignment")
    for name in tables:
        connection.execute(f"create table kept_{name} as select * from {name}".encode())
    connection.execute(edit.encode(), (key,))
    (found, *more) = check(connection)
    assert more == []
    assert found.what.startswith(what)
    assert found.subject == str(key)
    assert found.stored != found.recomputed
    for name in reversed(tables):
        where = "id" if name == "incident" else "incident_id"
        if name == "incident":
            connection.execute(
                "update incident i set disposed_on_time = k.disposed_on_time, ended_at = k.ended_at, rating = k.rating"
                " from kept_incident k where i.id = k.id and i.id = %s",
                (key,),
            )
        else:
            connection.execute(f"delete from {name} where {where} = %s".encode(), (key,))
            connection.execute(
                f"insert into {name} select * from kept_{name} where {where} = %s".encode(), (key,)
            )
    assert check(connection) == []
    assert one(connection, "select count(*) from mismatch where gone_at is not null") == 1


def test_the_check_goes_on_where_it_stopped_and_around(connection: Connection) -> None:
    count = one(connection, "select count(*) from incident")
    half = count // 2 + 1
    assert recheck.incidents(connection, UNTIL, half) == half
    middle = one(connection, "select position from follower where name = 'recheck'")
    assert one(connection, "select count(*) from incident where id <= %s", middle) == half
    assert recheck.incidents(connection, UNTIL, half) == count - half
    assert recheck.incidents(connection, UNTIL, 10) == 10


@pytest.mark.city("followed")
def test_the_check_finds_an_hour_that_was_edited(connection: Connection) -> None:
    assert recheck.hours(connection, UNTIL) > 100
    with connection.cursor() as cursor:
        assert recheck.open_mismatches(cursor) == []
        connection.execute(
            "update hourly set closed = closed + 1 where (hour, area_code, theme) ="
            " (select hour, area_code, theme from hourly where closed > 0 order by hour desc limit 1)"
        )
        recheck.hours(connection, UNTIL)
        assert [d.what for d in recheck.open_mismatches(cursor)] == ["hourly.closed"]
        rollup.rebuild(connection)
        recheck.hours(connection, UNTIL)
        assert recheck.open_mismatches(cursor) == []


def test_the_check_finds_a_day_that_was_edited(connection: Connection) -> None:
    """A count, a row too many and a row too few, each by its day, area and theme."""
    days = cohorts.rebuild(connection)
    assert recheck.days(connection, UNTIL) == days > DAYS
    with connection.cursor() as cursor:
        assert recheck.open_mismatches(cursor) == []
        (day, theme), *_ = connection.execute(
            "select day, theme from daily where area_code = %s and closed > 0 order by day, theme", (CITY,)
        ).fetchall()
        connection.execute(
            "update daily set closed = closed + 1, due = due + 2 where (area_code, day, theme) = (%s, %s, %s)",
            (CITY, day, theme),
        )
        connection.execute(
            "insert into daily (area_code, day, theme, reported) values (%s, %s, '99', 3)", (CITY, day)
        )
        gone = one(
            connection, "select min(theme) from daily where area_code = '445302' and day = %s", day + timedelta(1)
        )  # fmt: skip
        connection.execute(
            "delete from daily where (area_code, day, theme) = ('445302', %s, %s)", (day + timedelta(1), gone)
        )
        recheck.days(connection, UNTIL)
        found = {d.subject: d for d in recheck.open_mismatches(cursor)}
        assert found.keys() == {
            f"{day} {CITY} {theme}", f"{day} {CITY} 99", f"{day + timedelta(1)} 445302 {gone}",
        }  # fmt: skip
        assert {d.what for d in found.values()} == {"daily"}
        edited = found[f"{day} {CITY} {theme}"]
        stored, right = (
            dict(each.split(" ") for each in text.split(", ")) for text in (edited.stored, edited.recomputed)
        )
        assert stored.keys() == right.keys() == {"closed", "due"}
        assert int(stored["closed"]) == int(right["closed"]) + 1
        assert found[f"{day} {CITY} 99"].recomputed == "reported 0"
        cohorts.rebuild(connection)
        recheck.days(connection, UNTIL)
        assert recheck.open_mismatches(cursor) == []


@pytest.mark.city("followed")
def test_hours_and_days_are_compared_while_the_city_goes_on(url: str, connection: Connection) -> None:
    """What is not followed yet is no difference, and hides none elsewhere."""
    cohorts.rebuild(connection)
    key, ended, area = closed_case(connection)
    reported = one(
        connection, "select (reported_at at time zone 'Asia/Shanghai')::date from incident where id = %s", key
    )
    with Desk(url) as desk:
        centre = Actor("dispatcher/test", "dispatcher", area[:9])
        (outcome,) = desk.act([Command("reopen", key, centre, "r", {"reason": "仍未解决"})], LATER)
    assert outcome.status == "done", outcome
    with connection.cursor() as cursor:
        assert recheck.hours(connection, LATER) > 100
        assert recheck.days(connection, LATER) > DAYS - 2
        assert recheck.open_mismatches(cursor) == []
        connection.execute(
            "update hourly set reported = reported + 1 where (hour, area_code, theme) = (select hour, area_code, theme"
            " from hourly where hour < %s - interval '1 day' order by hour desc limit 1)",
            (ended,),
        )
        connection.execute(
            "update daily set reported = reported + 1 where (day, area_code, theme) = (select day, area_code, theme"
            " from daily where day <> %s order by day, area_code, theme limit 1)",
            (reported,),
        )
        recheck.hours(connection, LATER)
        recheck.days(connection, LATER)
        assert sorted(d.what for d in recheck.open_mismatches(cursor)) == ["daily", "hourly.reported"]


@pytest.mark.city("frozen")
def test_older_months_are_computed_again_in_turn(connection: Connection) -> None:
    """Those that run and the last frozen one every night, the others one after another and around."""
    scoring.assess_month(connection, date(2026, 6, 1), UNTIL)
    connection.execute(
        "insert into assessment_month select (jsonb_populate_record(m, jsonb_build_object('month',"
        " m.month - make_interval(months => n), 'computed_at', m.computed_at))).* from assessment_month m,"
        " generate_series(1, 4) n where month = %s",
        (MAY,),
    )
    nights = []
    with connection.cursor() as cursor:
        for _ in range(3):
            nights.append([f"{month:%m}" for month in recheck.due_months(cursor, 4)])
        assert nights == [["06", "05", "04", "03"], ["06", "05", "02", "01"], ["06", "05", "04", "03"]]
        assert len(recheck.due_months(cursor, 14)) == 6


@pytest.mark.city("frozen")
def test_the_nightly_check_finds_an_error_in_a_running_and_in_an_older_month(
    url: str, connection: Connection
) -> None:
    april, june = date(2026, 4, 1), date(2026, 6, 1)
    assert scoring.freeze(connection, april, UNTIL) > 0
    scoring.assess_month(connection, june, UNTIL)
    with Desk(url) as desk:
        assert worked(followers.check, desk, UNTIL) == 0
        connection.execute("alter table assessment disable trigger frozen_stays")
        connection.execute("update assessment set parts = replace(parts::text, '\"weighed\":100', '\"weighed\":90')"
            "::json where month in (%s, %s) and kind = 'city' and card = 'unit'", (april, june))  # fmt: skip
        assert worked(followers.check, desk, UNTIL) == 4
    with connection.cursor() as cursor:
        assert {d.subject for d in recheck.open_mismatches(cursor)} == {
            f"2026-04 city {CITY} unit", f"2026-06 city {CITY} unit",
        }  # fmt: skip


@pytest.mark.city("frozen")
def test_the_check_finds_a_score_that_was_edited_around_the_guard(connection: Connection) -> None:
    connection.execute("alter table assessment disable trigger frozen_stays")
    connection.execute(
        "update assessment set parts = replace(parts::text, '\"weighed\":100', '\"weighed\":101')::json"
        " where kind = 'city' and card = 'unit'"
    )
    recheck.months(connection, UNTIL, [MAY])
    with connection.cursor() as cursor:
        found = recheck.open_mismatches(cursor)
    assert {d.what for d in found} == {"assessment.hash", "assessment.parts"}
    assert {d.subject for d in found} == {f"2026-05 city {CITY} unit"}
    # Whoever reads it sees two scores, and by what they differ where they do not.
    differs = next(d for d in found if d.what == "assessment.parts")
    (stored, seal), (again, other) = (each.split(" ") for each in (differs.stored, differs.recomputed))
    assert float(stored) == float(again) > 0
    assert seal.strip("()").isalnum()
    assert other.strip("()").isalnum()

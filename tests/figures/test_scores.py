"""Prove the months: every card sums to the city, names who acted and its cases, and once frozen stays to the byte."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import psycopg
import pytest

from dispatch.checks import recheck
from dispatch.desk.desk import Desk
from dispatch.record.policies import Policies
from dispatch.rules.incident.chain import Actor, Command
from dispatch.rules.time.calendar import Calendar
from dispatch.scores import month_cases, scoring
from tests.lived_city import CITY, LATER, Connection, one, parts_of
from tests.templates import LIVED_MONTH as MAY
from tests.templates import LIVED_UNTIL as UNTIL


@pytest.mark.city("assessed")
def test_every_rate_of_every_level_sums_to_the_city(connection: Connection) -> None:
    for card in ("unit", "whistle"):
        city = parts_of(connection, "city", card)[CITY]
        for kind in ("county", "town", "village"):
            below = parts_of(connection, kind, card).values()
            for part in (*city["parts"], *city.get("also", ())):
                name = part["indicator"]
                same = [
                    p
                    for one in below
                    for p in (*one["parts"], *one.get("also", ()))
                    if p["indicator"] == name
                ]
                assert sum(p["d"] for p in same) == part["d"], (kind, name)
                assert sum(Fraction(p["n"] or 0) for p in same) == Fraction(part["n"] or 0), (kind, name)


@pytest.mark.city("assessed")
def test_the_parts_of_departments_heads_and_centres_sum_to_them(connection: Connection) -> None:
    """Teams to departments, grid workers to heads of grids, dispatchers to their centres."""
    for below, above, card in (
        ("team", "department", "unit"),
        ("team", "department", "whistle"),
        ("grid_worker", "grid_head", "grid_worker"),
        ("dispatcher", "dispatch_centre", "dispatcher"),
    ):
        sums: dict[str, list[tuple[Fraction, int]]] = {}
        for kind in (below, above):
            for subject in parts_of(connection, kind, card).values():
                for part in (*subject["parts"], *subject.get("also", ())):
                    # How much a subject did is capped where it earns full marks: the cases behind it are not.
                    volume = part["indicator"] == "volume"
                    d = 0 if volume else part["d"]
                    n = Fraction(0) if volume else Fraction(part["n"] or 0)
                    sums.setdefault(f"{kind} {part['indicator']}", []).append((n, d))
        names = {key.split()[1] for key in sums}
        assert len(names) > 2
        for name in names:
            lower, upper = sums[f"{below} {name}"], sums[f"{above} {name}"]
            assert sum(d for _, d in lower) == sum(d for _, d in upper), (above, name)
            assert sum(n for n, _ in lower) == sum(n for n, _ in upper), (above, name)


def test_who_acted_is_assessed_and_their_centre_beside(url: str, connection: Connection) -> None:
    """Two persons of one centre have cards of their own; what both did is the centre's once for each incident."""
    rows = connection.execute(
        "select id, area_code from incident where ended_at is null and paused_why is null and awaits = 'dispose'"
        " and reported_at between '2026-05-02' and '2026-05-31' order by area_code, id limit 4"
    ).fetchall()
    town = rows[0][1][:9]
    with Desk(url) as desk:
        acts = [
            Command(
                "note", key, Actor(f"duty_leader:{login}", "duty_leader", area[:6]), login, {"note": "已看"}
            )
            for number, (key, area) in enumerate(rows)
            for login in (("zhou", "wu") if number == 0 else ("zhou",))
        ]
        assert {o.status for o in desk.act(acts, LATER)} == {"done"}
    scoring.assess_month(connection, MAY, LATER + timedelta(minutes=1))
    leaders = parts_of(connection, "duty_leader", "duty_leader")
    centres = parts_of(connection, "duty_centre", "duty_leader")
    accurate = {
        name: next(p for p in card["parts"] if p["indicator"] == "accurate_dispatch")["denominator"]
        for name, card in leaders.items()
        if name.startswith("duty_leader:")
    }
    assert set(accurate["duty_leader:zhou"]) <= {key for key, _ in rows}
    assert set(accurate["duty_leader:wu"]) <= {rows[0][0]}
    assert accurate["duty_leader:zhou"]
    of_town = one(
        connection,
        "select count(*) from incident where area_code like %s || '%%' and reported_at >= '2026-05-01 00:00+08'"
        " and reported_at < '2026-06-01 00:00+08' and exists (select from assignment a where a.role = 'lead'"
        " and a.incident_id = incident.id and a.state not in ('review', 'refused'))",
        town,
    )
    sent = next(p for p in centres[town]["parts"] if p["indicator"] == "accurate_dispatch")
    assert sent["d"] == of_town > 0


def test_a_policy_without_persons_keeps_the_duty_with_the_centre(connection: Connection) -> None:
    """A month frozen by such rules comes out to the byte whatever is assessed since."""
    connection.execute(
        "update policy_version set files = jsonb_set(files, '{assessment.toml}',"
        " to_jsonb(replace(files ->> 'assessment.toml', 'persons = true', '')))"
    )
    scoring.assess_month(connection, MAY, UNTIL)
    kinds = {kind for (kind,) in connection.execute("select distinct kind from assessment").fetchall()}
    assert not {"duty_centre", "dispatch_centre"} & kinds
    assert all(subject.startswith("duty/") for subject in parts_of(connection, "duty_leader", "duty_leader"))


@pytest.mark.city("assessed")
def test_a_rate_lists_the_cases_behind_it(connection: Connection) -> None:
    listed = 0
    for village in parts_of(connection, "village").values():
        for part in village["parts"]:
            assert len(part["denominator"]) == part["d"]
            assert set(part["numerator"]) <= set(part["denominator"])
            listed += part["d"]
    assert listed > 1_000
    late = [
        i
        for village in parts_of(connection, "village").values()
        for part in village["parts"]
        if part["indicator"] == "on_time_disposal"
        for i in set(part["denominator"]) - set(part["numerator"])
    ]
    # Judged by the stored flag, which is another way to the same: late, or not disposed of at all.
    wrong = connection.execute(
        "select id from incident where id = any(%s) and disposed_on_time", (late,)
    ).fetchall()
    assert late
    assert wrong == []


def test_a_month_begins_with_its_first_day_however_far_west_the_city_lies() -> None:
    west = Calendar(zone="America/Los_Angeles")
    begin, end = month_cases.span_of(MAY, west)
    assert [west.local(each).isoformat()[:16] for each in (begin, end)] == [
        "2026-05-01T00:00",
        "2026-06-01T00:00",
    ]


def test_a_month_is_frozen_on_its_day_and_not_before(connection: Connection) -> None:
    day = datetime(2026, 6, 4, 16, tzinfo=UTC)  # 5 June, 00:00 in the city
    assert scoring.freeze(connection, MAY, day - timedelta(seconds=1)) == 0
    with connection.cursor() as cursor:
        assert scoring.unfrozen(cursor, day, 12) == [date(2026, 4, 1), MAY]
    assert scoring.freeze(connection, MAY, day) > 0
    assert scoring.freeze(connection, MAY, day) == 0
    assert scoring.assess_month(connection, MAY, UNTIL) == 0
    with connection.cursor() as cursor:
        assert scoring.unfrozen(cursor, day, 12) == [date(2026, 4, 1)]


@pytest.mark.city("frozen")
def test_the_database_refuses_to_touch_a_frozen_month(connection: Connection) -> None:
    for edit in (
        "update assessment set score = 100 where kind = 'city'",
        "delete from assessment where kind = 'team'",
        "insert into assessment select month, kind, 'x', card, score, band, cases, parts, hash from assessment limit 1",
        "update assessment_month set state = 'provisional'",
        "delete from assessment_month",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="the assessment of 2026-05 is frozen"):
            connection.execute(edit.encode())


@pytest.mark.city("frozen")
def test_a_frozen_month_is_computed_again_to_the_byte_whatever_the_rules_are_now(
    connection: Connection,
) -> None:
    stored = connection.execute(
        "select kind, subject, card, parts::text, hash from assessment where month = %s", (MAY,)
    ).fetchall()
    digest = one(connection, "select hash from assessment_month where month = %s", MAY)
    connection.execute(
        "insert into policy_version (version, valid_from, files, digest) select 2, '2026-06-01', jsonb_set(files,"
        " '{assessment.toml}', to_jsonb(replace(replace(files ->> 'assessment.toml', 'disposal = 30', 'disposal = 20'),"
        " 'extension = 10', 'extension = 20'))), 'two' from policy_version where version = 1"
    )
    rules, _ = scoring.rules_of(Policies(connection.cursor()), date(2026, 6, 1), UNTIL)
    assert rules.cards["unit"]["disposal"] == 20
    again = scoring.again(connection, MAY)
    assert again.hash == digest
    assert sorted((c.kind, c.subject, c.card, c.parts, c.hash) for c in again.cards) == sorted(stored)
    assert recheck.months(connection, UNTIL, [MAY]) == len(stored)
    with connection.cursor() as cursor:
        assert recheck.open_mismatches(cursor) == []


@pytest.mark.city("frozen")
def test_a_frozen_month_keeps_the_departments_that_its_teams_had(connection: Connection) -> None:
    digest = one(connection, "select hash from assessment_month where month = %s", MAY)
    named = (
        "select subject, name, parent from assessment_subject where month = %s and kind = %s order by subject"
    )
    teams = connection.execute(named, (MAY, "team")).fetchall()
    departments = connection.execute(named, (MAY, "department")).fetchall()
    assert teams
    assert {parent for *_, parent in teams} == {subject for subject, *_ in departments}
    connection.execute("update organisation set name = '并后的局', name_en = ''")
    connection.execute(
        "update team set organisation_id = (select min(id) from organisation), name = '并后的队'"
    )
    assert scoring.again(connection, MAY).hash == digest
    assert recheck.months(connection, UNTIL, [MAY])
    with connection.cursor() as cursor:
        assert recheck.open_mismatches(cursor) == []
    assert connection.execute(named, (MAY, "team")).fetchall() == teams
    assert connection.execute(named, (MAY, "department")).fetchall() == departments
    with pytest.raises(psycopg.errors.RaiseException, match="is frozen"):
        connection.execute("update assessment_subject set name = 'x'")

"""Prove what is counted: followed, rebuilt and summed alike, frozen to the byte, corrected beside, errors found."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import msgspec
import psycopg
import pytest

from dispatch.checks import recheck
from dispatch.demo import history
from dispatch.desk.desk import Desk
from dispatch.figures import cohorts, published, rollup
from dispatch.record.policies import Policies
from dispatch.rules.areas import Level
from dispatch.rules.incident.chain import Actor, Command
from dispatch.rules.measures.assessment import Counted, Exempted, without_exemptions
from dispatch.rules.time.calendar import Calendar
from dispatch.scores import month_cases, scoring
from jobs import followers
from models.servers.database import psycopg_dsn
from models.tables.scores import COUNTS
from tests import district
from tests.at_work import worked
from tests.halfway import killed_halfway
from tests.templates import LIVED_DAYS as DAYS
from tests.templates import LIVED_MONTH as MAY
from tests.templates import LIVED_UNTIL as UNTIL
from tests.templates import CityOf

CITY = "445300"
LATER = UNTIL + timedelta(hours=1)
ALL_TIME = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))

Connection = psycopg.Connection[Any]


@pytest.fixture
def url(city_of: CityOf, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the test a lived-in city of its own: nothing counted in it yet, or what its mark `city` names."""
    mark = request.node.get_closest_marker("city")
    with city_of(mark.args[0] if mark else "history") as url:
        yield url


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """Open a connection as jobs have one: each transaction is begun where it is needed."""
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as open_one:
        yield open_one


def follow_all(connection: Connection, events_limit: int = 700) -> int:
    """Follow in small bites to the end; return the events taken in."""
    total = 0
    while taken := rollup.follow(connection, events_limit):
        total += taken
    return total


def table(connection: Connection) -> list[tuple[Any, ...]]:
    """Return the whole roll-up in the order of its key."""
    columns = ", ".join(COUNTS)
    return connection.execute(
        f"select hour, area_code, theme, {columns} from hourly order by hour, area_code, theme".encode()
    ).fetchall()


def one(connection: Connection, statement: str, *params: object) -> Any:
    """Return the only value that a statement answers."""
    row = connection.execute(statement.encode(), params).fetchone()
    assert row is not None
    return row[0]


def test_followed_in_bites_and_rebuilt_at_once_the_hours_are_the_same(connection: Connection) -> None:
    taken = follow_all(connection)
    assert taken == one(connection, "select count(*) from event")
    followed = table(connection)
    assert rollup.rebuild(connection) == one(connection, "select count(*) from incident")
    assert table(connection) == followed
    assert sum(row[3] for row in followed) == one(connection, "select count(*) from incident")


@pytest.mark.city("followed")
def test_the_hours_say_what_plain_sql_says_over_the_rows(connection: Connection) -> None:
    with connection.cursor() as cursor:
        total = rollup.sums(cursor, *ALL_TIME, Level.CITY, CITY)[CITY]
    closed = "state in ('closed', 'archived')"
    parts = "from incident where exists (select from assignment a where a.incident_id = incident.id and role = 'lead'"
    by_sql = {
        "reported": "select count(*) from incident",
        "rejected": "select count(*) from incident where state in ('rejected', 'void')",
        "accepted": "select count(*) from incident where state not in"
        " ('reported', 'checking', 'rejected', 'void', 'merged')",
        "dispatched": f"select count(*) {parts})",
        "returned": f"select count(*) {parts} and a.state = 'declined')",
        "disposed": "select count(disposed_at) from incident",
        "disposed_timed": "select count(disposed_on_time) from incident",
        "disposed_on_time": "select count(*) from incident where disposed_on_time",
        "overdue": "select count(*) from assignment where role = 'lead' and state in ('sent', 'picked_up', 'on_site')"
        " and clocks -> 'dispose' ->> 'state' = 'breached'",
        "closed": f"select count(*) from incident where {closed}",
        "closed_timed": f"select count(closed_on_time) from incident where {closed}",
        "closed_on_time": f"select count(*) from incident where {closed} and closed_on_time",
        "reworked": "select count(*) from incident where disposed_at is not null and facts ? 'reworks'",
        "rated": "select count(rating) from incident",
        "rating_sum": "select coalesce(sum(rating), 0) from incident",
        "settled": "select count(*) from incident join category c on c.code = category"
        " where theme = '02' and facts -> 'settled' = 'true'",
        "whistles": "select count(*) from assignment where kind = 'whistle'",
        "in_grid": f"select count(*) from incident where {closed} and facts -> 'solved_in_grid' = 'true'",
    }
    assert {name: total[name] for name in by_sql} == {
        name: one(connection, sql) for name, sql in by_sql.items()
    }
    assert (
        min(total[name] for name in ("returned", "reworked", "rated", "settled", "whistles", "in_grid")) > 0
    )


@pytest.mark.city("followed")
def test_every_level_of_the_city_sums_to_the_same(connection: Connection) -> None:
    with connection.cursor() as cursor:
        levels = [
            rollup.sums(cursor, *ALL_TIME, level, CITY) for level in (Level.CITY, Level.COUNTY, Level.TOWN)
        ]
        assert [len(level) for level in levels] == [1, 5, 63]
        for name in COUNTS:
            assert len({sum(area[name] for area in level.values()) for level in levels}) == 1, name
        for county, of_county in levels[1].items():
            towns = rollup.sums(cursor, *ALL_TIME, Level.TOWN, county)
            assert {n: sum(t[n] for t in towns.values()) for n in COUNTS} == of_county


@pytest.mark.city("followed")
def test_a_reopened_case_is_taken_out_of_the_hour_it_was_closed_in(url: str, connection: Connection) -> None:
    key, ended, area = _closed(connection)
    hour = ended.replace(minute=0, second=0, microsecond=0)

    def closed_then() -> int:
        return int(
            one(
                connection,
                "select coalesce(sum(closed), 0) from hourly where hour = %s and area_code = %s",
                hour,
                area[:9],
            )
        )

    before = closed_then()
    with Desk(url) as desk:
        centre = Actor("dispatcher/test", "dispatcher", area[:9])
        (outcome,) = desk.act([Command("reopen", key, centre, "r", {"reason": "仍未解决"})], LATER)
    assert outcome.status == "done", outcome
    assert rollup.follow(connection) == 1
    assert closed_then() == before - 1
    followed = table(connection)
    rollup.rebuild(connection)
    assert table(connection) == followed


def _closed(connection: Connection) -> tuple[int, datetime, str]:
    """Return (id, end, area) of a closed case of May that a team disposed of late."""
    row = connection.execute(
        "select id, ended_at, area_code from incident where state = 'closed' and disposed_on_time is false"
        " and reported_at between '2026-05-02' and '2026-05-20' and facts ->> 'disposer_team' is not null"
        " order by id limit 1"
    ).fetchone()
    assert row is not None
    key, ended, area = row
    return key, ended, area


@pytest.mark.city("followed")
def test_an_event_that_commits_late_is_not_passed_over(url: str, connection: Connection) -> None:
    area = one(connection, "select area_code from incident where ended_at is null order by id limit 1")
    ids = [
        i for (i,) in connection.execute("select id from incident where ended_at is null order by id limit 2")
    ]
    actor = Actor("dispatcher/test", "dispatcher", CITY)
    assert area.startswith("4453")
    with psycopg.connect(psycopg_dsn(url)) as slow, Desk(url) as desk:
        # The slow one takes its number first and commits last.
        slow.execute("update team set load = load where id = (select min(id) from team)")
        desk.act([Command("note", ids[0], actor, "n", {"note": "到场"})], LATER)
        assert rollup.follow(connection) == 0
        slow.execute(
            "insert into event (incident_id, seq, at, verb, actor, cause, policy_version, data, hash)"
            " select id, seq + 1, last_at, 'note', 'x', 'x', policy_version, '{}', '' from incident where id = %s",
            (ids[1],),
        )
        slow.commit()
        assert rollup.follow(connection) == 2
    assert rollup.follow(connection) == 0


def test_killed_in_the_middle_the_next_run_completes_and_counts_nothing_twice(
    url: str, connection: Connection
) -> None:
    killed_halfway(
        "import psycopg, sys\nfrom dispatch.figures.published import rollup\n"
        "write, bites = rollup._write, iter(range(3))\n"
        "def held(*args):\n    write(*args)\n    next(bites, None) == 2 and halt()\n"
        "rollup._write = held\n"
        "with psycopg.connect(sys.argv[1], autocommit=True) as c:\n    while rollup.follow(c, 50): pass",
        psycopg_dsn(url),
    )
    with connection.cursor() as cursor:
        assert rollup.position(cursor) > 0
    rest = follow_all(connection)
    assert 0 < rest < one(connection, "select count(*) from event")
    followed = table(connection)
    rollup.rebuild(connection)
    assert table(connection) == followed


def test_two_that_follow_at_once_count_each_event_once(url: str, connection: Connection) -> None:
    taken: list[int] = []

    def work() -> None:
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as own:
            taken.append(follow_all(own, 300))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == one(connection, "select count(*) from event")
    followed = table(connection)
    rollup.rebuild(connection)
    assert table(connection) == followed


# --- months


def parts_of(connection: Connection, kind: str, card: str = "unit") -> dict[str, dict[str, Any]]:
    """Return subject -> the stored parts of its card for May."""
    return dict(
        connection.execute(
            "select subject, parts from assessment where month = %s and kind = %s and card = %s",
            (MAY, kind, card),
        ).fetchall()
    )


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


@pytest.mark.city("followed")
def test_every_day_of_every_level_sums_to_the_city(connection: Connection) -> None:
    """The figures of a day, which charts and reports show."""
    with connection.cursor() as cursor:
        policy = Policies(cursor).in_force(UNTIL)
        assert published.count_days(cursor, policy.calendar, UNTIL) > 0
    rows = connection.execute(
        "select metric, period, level, sum(value) from kpi join area on area.code = area_code"
        " where not published group by 1, 2, 3"
    ).fetchall()
    found = {(metric, period, level): total for metric, period, level, total in rows}
    days = {(metric, period) for metric, period, level in found if level == 1 and metric in published.DAILY}
    assert len(days) > 100
    for metric, period in days:
        levels = {found.get((metric, period, level), 0) for level in (1, 2)}
        assert len(levels) == 1, (metric, period)


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


@pytest.mark.city("frozen")
def test_an_appeal_after_the_freeze_is_a_correction_and_leaves_the_frozen_untouched(
    url: str, connection: Connection
) -> None:
    frozen = connection.execute("select * from assessment order by kind, subject, card").fetchall()
    assert scoring.follow_appeals(connection) == 0
    key, _, area = _closed(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    _appeal(url, key, team, area)
    assert scoring.follow_appeals(connection) > 0
    assert connection.execute("select * from assessment order by kind, subject, card").fetchall() == frozen
    rows = connection.execute(
        "select kind, subject, reason, score_before, score_after from correction where card = 'unit' order by kind"
    ).fetchall()
    # Everybody who answers for it, up to the city; nobody is worse off.
    assert {row[0] for row in rows} == {"village", "town", "county", "city", "team", "department"}
    for kind, subject, reason, before, after in rows:
        assert reason == "台风期间道路中断"
        assert Fraction(before) < Fraction(after), (kind, subject)
        assert before == one(
            connection,
            "select parts ->> 'score' from assessment where kind = %s and subject = %s and card = 'unit'",
            kind,
            subject,
        )
    assert ("team", str(team)) in {row[:2] for row in rows}
    # The next run, and one that begins anew, enter nothing twice.
    assert scoring.follow_appeals(connection) == 0
    connection.execute("update follower set position = 0 where name = 'appeals'")
    assert scoring.follow_appeals(connection) == 0
    with pytest.raises(psycopg.errors.RaiseException, match="corrections are append-only"):
        connection.execute("delete from correction")
    assert recheck.months(connection, UNTIL, [MAY]) == len(frozen)
    with connection.cursor() as cursor:
        assert recheck.open_mismatches(cursor) == []


def _appeal(url: str, key: int, team: int, area: str, at: datetime = LATER, **more: Any) -> None:
    granted = {"granted": True, "reason": "属实", **more}
    with Desk(url) as desk:
        outcomes = desk.act(
            [
                Command(
                    "appeal",
                    key,
                    Actor(f"team/{team}", "team", area[:9], team),
                    f"a{key}",
                    {"reason": "台风期间道路中断"},
                ),
                Command("judge_appeal", key, Actor("county/1", "county", area[:6]), f"j1{key}", granted),
                Command("judge_appeal", key, Actor("city/1", "city", CITY), f"j2{key}", granted),
            ],
            at,
        )
    assert [o.status for o in outcomes] == ["done"] * 3, outcomes


def test_without_exemptions_every_card_of_a_frozen_month_is_what_it_was_before_them(
    url: str, connection: Connection
) -> None:
    """Exempt as a whole, for a stretch of time, and as never theirs: each card to the fraction, none sealed anew."""
    with connection.cursor() as cursor:
        freeze = scoring.freezes_at(MAY, *scoring.rules_of(Policies(cursor), MAY, UNTIL))
    stored = "select kind, subject, card, parts::text, hash from assessment order by kind, subject, card"
    scoring.assess_month(connection, MAY, freeze)
    before = {row[:3]: msgspec.json.decode(row[3]) for row in connection.execute(stored).fetchall()}
    assert scoring.exemptions(connection, MAY) == month_cases.Exemptions({}, {})
    late = connection.execute(
        "select id, (facts ->> 'disposer_team')::int, area_code, reported_at from incident where state = 'closed'"
        " and disposed_on_time is false and facts ->> 'disposer_team' is not null"
        " and reported_at between '2026-05-02' and '2026-05-20' and last_at < %s order by id limit 3",
        (freeze - timedelta(hours=2),),
    ).fetchall()
    given: list[dict[str, Any]] = [{}, {"spans": []}, {"never_theirs": True}]
    given[1]["spans"] = [[late[1][3].isoformat(), (late[1][3] + timedelta(days=9)).isoformat()]]
    for (key, team, area, _), more in zip(late, given, strict=True):
        _appeal(url, key, team, area, freeze - timedelta(hours=1), **more)
    scoring.freeze(connection, MAY, UNTIL)
    frozen = connection.execute(stored).fetchall()
    found = scoring.exemptions(connection, MAY)
    assert found is not None
    assert found.why == dict.fromkeys((row[0] for row in late), "台风期间道路中断")
    rules, _ = scoring.rules_of(Policies(connection.cursor()), MAY, UNTIL)
    none, raised = Exempted((), ()), set()
    for kind, subject, name, text, _hash in frozen:
        parts = msgspec.json.decode(text)
        counted = {
            p["indicator"]: Counted(Fraction(p["n"]), p["d"], tuple(i for i, _ in p.get("left_out", ())))
            for p in parts["parts"]
        }
        bare = without_exemptions(rules, name, counted, found.of.get((kind, subject), none))
        old = before[kind, subject, name]
        assert [(str(p.rate.n), p.rate.d) for p in bare.parts] == [(p["n"], p["d"]) for p in old["parts"]]
        assert ("" if bare.value is None else str(bare.value)) == old["score"], (kind, subject)
        if parts["score"] != old["score"]:
            assert Fraction(parts["score"]) > Fraction(old["score"]), (kind, subject)
            raised.add(kind)
    assert raised >= {"village", "town", "county", "city", "team", "department"}
    assert connection.execute(stored).fetchall() == frozen
    assert [
        (c.kind, c.subject, c.card, c.parts, c.hash) for c in scoring.again(connection, MAY).cards
    ] == frozen


def test_a_team_of_the_demo_has_exemptions_to_show_by_the_law_and_has_them_once(
    url: str, connection: Connection
) -> None:
    town = connection.execute(
        "select t.area_code, t.id from incident i join team t on t.id = (i.facts ->> 'disposer_team')::int"
        " where i.state = 'closed' and i.disposed_on_time is false and length(t.area_code) = 9"
        " and i.reported_at between '2026-05-02' and '2026-05-20' group by 1, 2 order by count(*) desc, 2 limit 1"
    ).fetchone()
    assert town is not None
    steps = history.object_to_lateness(url, UNTIL, town)
    granted = int(one(connection, "select count(*) from incident where facts ? 'exempt'"))
    assert 0 < granted <= 2 * len(history.GROUNDS)
    assert steps - 3 * granted in (0, 1)  # an appeal and two judgements each; the newest is still open
    assert one(connection, "select max(at) from event where verb in ('appeal', 'judge_appeal')") <= UNTIL
    # Before the month was frozen: what is exempt stands on the frozen card itself.
    assert scoring.freeze(connection, MAY, UNTIL)
    found = scoring.exemptions(connection, MAY)
    assert found is not None
    assert ("team", str(town[1])) in found.of
    # A run that was cut short does nothing twice.
    history.object_to_lateness(url, UNTIL, town)
    assert one(connection, "select count(*) from event where verb in ('appeal', 'judge_appeal')") == steps


@pytest.mark.city("assessed")
def test_an_appeal_before_the_freeze_raises_the_score_and_is_shown_with_its_reason(
    url: str, connection: Connection
) -> None:
    key, _, area = _closed(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    before = Fraction(parts_of(connection, "team")[str(team)]["score"])
    _appeal(url, key, team, area)
    scoring.assess_month(connection, MAY, LATER + timedelta(minutes=1))
    after = parts_of(connection, "team")[str(team)]
    assert Fraction(after["score"]) > before
    on_time = next(p for p in after["parts"] if p["indicator"] == "on_time_disposal")
    assert [key, "台风期间道路中断"] in on_time["exempt"]
    assert key in on_time["numerator"]


def _again(url: str, key: int, area: str, team: int, reopened: datetime, disposed: datetime) -> None:
    """Let a closed case be opened again, done by a team, checked and closed."""
    centre, crew = Actor("duty_leader/x", "duty_leader", area[:9]), Actor("team/x", "team", area[:9], team)
    steps: list[tuple[datetime, str, Actor, dict[str, Any]]] = [
        (reopened, "reopen", centre, {"reason": "仍未解决"}),
        (reopened + timedelta(minutes=1), "dispatch", centre, {"team_id": team}),
        (reopened + timedelta(minutes=2), "pick_up", crew, {}),
        (disposed, "dispose", crew, {"result": "好了", "photos": ["前", "后"]}),
        (disposed + timedelta(minutes=1), "verify", centre, {}),
        (disposed + timedelta(minutes=2), "close", centre, {"standard": True}),
    ]
    with Desk(url) as desk:
        for at, verb, actor, args in steps:
            [outcome] = desk.act([Command(verb, key, actor, f"{verb}{at}", args)], at)
            assert outcome.status == "done", (verb, outcome.refusal)


def _sets(connection: Connection, kind: str, subject: str) -> tuple[list[int], list[int]]:
    """Return the numerator and denominator of what was disposed of in time."""
    parts = parts_of(connection, kind)[subject]["parts"]
    part = next(p for p in parts if p["indicator"] == "on_time_disposal")
    return part["numerator"], part["denominator"]


def test_an_exemption_excuses_the_life_that_was_appealed_and_not_what_is_late_in_the_next(
    url: str, connection: Connection
) -> None:
    key, _, area = _closed(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    other = int(
        one(
            connection,
            "select o.id from team o join team t on t.id = %s and o.trade = t.trade and o.id <> t.id order by 1"
            " limit 1",
            team,
        )
    )
    village = area[:12]
    _appeal(url, key, team, area)
    scoring.assess_month(connection, MAY, LATER + timedelta(minutes=1))
    assert key in _sets(connection, "village", village)[0]
    late = LATER + timedelta(days=100)
    _again(url, key, area, other, LATER + timedelta(days=1), late)
    scoring.assess_month(connection, MAY, late + timedelta(days=1))
    on_time, base = _sets(connection, "village", village)
    assert key in base
    assert key not in on_time
    # Who was excused stays excused, and the reason stays in sight.
    assert key in _sets(connection, "team", str(team))[0]
    part = parts_of(connection, "team")[str(team)]["parts"][1]
    assert [key, "台风期间道路中断"] in part["exempt"]


def test_a_minute_that_is_exempt_in_the_next_life_does_not_excuse_the_late_one_before(
    url: str, connection: Connection
) -> None:
    """In time when it was opened again, it was late before all the same: for its village and for its team."""
    key, _, area = _closed(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    soon = LATER + timedelta(minutes=10)
    _again(url, key, area, team, LATER + timedelta(minutes=5), soon)
    span = [[(soon - timedelta(minutes=1)).isoformat(), soon.isoformat()]]
    _appeal(url, key, team, area, soon + timedelta(minutes=5), spans=span)
    scoring.assess_month(connection, MAY, soon + timedelta(hours=1))
    for kind, subject in (("village", area[:12]), ("team", str(team))):
        on_time, base = _sets(connection, kind, subject)
        assert key in base
        assert key not in on_time
    # As the definitions before said of a team; of the village they said it already.
    connection.execute(
        "update policy_version set files = jsonb_set(files, '{assessment.toml}',"
        " to_jsonb(replace(files ->> 'assessment.toml', 'definitions = 4', 'definitions = 3')))"
    )
    scoring.assess_month(connection, MAY, soon + timedelta(hours=1))
    assert key in _sets(connection, "team", str(team))[0]


def test_an_appeal_that_is_granted_while_its_month_is_being_frozen_is_corrected_afterwards(
    url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower of appeals passes over none: neither has the month seen it, nor is it frozen yet."""
    assert scoring.follow_appeals(connection) == 0
    key, _, area = _closed(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    assess = scoring.assess

    def interrupted(*args: Any) -> scoring.Month:
        month = assess(*args)
        _appeal(url, key, team, area)
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as beside:
            assert scoring.follow_appeals(beside) == 0
        return month

    monkeypatch.setattr(scoring, "assess", interrupted)
    assert scoring.freeze(connection, MAY, UNTIL) > 0
    assert scoring.follow_appeals(connection) > 0
    assert str(team) in [
        s for (s,) in connection.execute("select subject from correction where kind = 'team'")
    ]


@pytest.mark.city("frozen")
def test_an_appeal_of_a_former_life_judged_after_the_freeze_corrects_that_life(
    url: str, connection: Connection
) -> None:
    """Frozen, appealed, opened again, and only then judged: the month had the former life alone."""
    assert scoring.follow_appeals(connection) == 0
    key, _, area = _closed(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    crew = Actor(f"team/{team}", "team", area[:9], team)
    with Desk(url) as desk:
        [asked] = desk.act([Command("appeal", key, crew, "a", {"reason": "道路中断"})], LATER)
        assert asked.status == "done", asked
    soon = LATER + timedelta(minutes=10)
    _again(url, key, area, team, LATER + timedelta(minutes=5), soon)
    judged = {"granted": True, "reason": "属实"}
    with Desk(url) as desk:
        for who in (Actor("county/1", "county", area[:6]), Actor("city/1", "city", CITY)):
            [outcome] = desk.act(
                [Command("judge_appeal", key, who, who.id, judged)], soon + timedelta(hours=1)
            )
            assert outcome.status == "done", outcome
    assert scoring.follow_appeals(connection) > 0
    raised = connection.execute(
        "select score_before, score_after from correction where kind = 'team' and subject = %s and card = 'unit'",
        (str(team),),
    ).fetchall()
    assert [Fraction(before) < Fraction(after) for before, after in raised] == [True]
    assert scoring.exemptions(connection, MAY) == month_cases.Exemptions({}, {})


def _late(connection: Connection) -> tuple[int, int, str, datetime, timedelta]:
    """Return (id, team, area, beginning, delay) of the clock of the case of May that was disposed of least late."""
    row = connection.execute(
        "select i.id, a.team_id, i.area_code, (a.clocks -> 'dispose' ->> 'since')::timestamptz,"
        " i.disposed_at - (a.clocks -> 'dispose' ->> 'due')::timestamptz"
        " from incident i join assignment a on a.incident_id = i.id and a.role = 'lead' and a.state = 'done'"
        " where i.state = 'closed' and i.disposed_on_time is false and i.disposed_at is not null"
        " and i.reported_at between '2026-05-02' and '2026-05-25'"
        " and not i.facts ? 'reworks' and not i.facts ? 'former'"
        " and a.team_id = (i.facts ->> 'disposer_team')::int and a.clocks -> 'dispose' ->> 'due' is not null"
        " and a.clocks -> 'dispose' ->> 'limit' like '%uh'"
        " order by i.disposed_at - (a.clocks -> 'dispose' ->> 'due')::timestamptz, i.id limit 1"
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2], row[3], row[4]


@pytest.mark.parametrize(
    "frozen", [pytest.param(n == "frozen", marks=pytest.mark.city(n)) for n in ("assessed", "frozen")]
)
def test_exempt_stretches_are_taken_out_of_the_clock_and_only_as_much_as_they_are(
    url: str, connection: Connection, frozen: bool
) -> None:
    """A stretch too short leaves the verdict as it was, one as long as the delay turns it; frozen or not, alike."""
    key, team, area, begun, late = _late(connection)
    before = parts_of(connection, "team")[str(team)]
    enough = [[begun.isoformat(), (begun + late).isoformat()]]
    if frozen:
        _appeal(url, key, team, area, spans=enough)
        assert scoring.follow_appeals(connection) > 0
        after = one(
            connection,
            "select score_after from correction where kind = 'team' and subject = %s and card = 'unit'",
            str(team),
        )
        assert Fraction(after) > Fraction(before["score"])
        return
    _appeal(url, key, team, area, spans=enough)
    scoring.assess_month(connection, MAY, LATER + timedelta(minutes=1))
    after = parts_of(connection, "team")[str(team)]
    assert Fraction(after["score"]) > Fraction(before["score"])
    on_time = next(p for p in after["parts"] if p["indicator"] == "on_time_disposal")
    assert key in on_time["numerator"]
    assert [key, "台风期间道路中断"] in on_time["exempt"]


def test_exempt_stretches_that_are_too_short_cost_nothing_and_give_nothing(
    url: str, connection: Connection
) -> None:
    """One microsecond less than the delay: still late, and no card of anybody is lower than before."""
    key, team, area, begun, late = _late(connection)
    scores = "select kind, subject, card, parts ->> 'score' from assessment"
    scoring.assess_month(connection, MAY, LATER)
    before = {row[:3]: row[3] for row in connection.execute(scores).fetchall()}
    short = [[begun.isoformat(), (begun + late - timedelta(microseconds=1)).isoformat()]]
    _appeal(url, key, team, area, spans=short)
    scoring.assess_month(connection, MAY, LATER)
    after = {row[:3]: row[3] for row in connection.execute(scores).fetchall()}
    on_time = next(
        p for p in parts_of(connection, "team")[str(team)]["parts"] if p["indicator"] == "on_time_disposal"
    )
    assert key not in on_time["numerator"]
    assert key in on_time["denominator"]
    assert before.keys() <= after.keys()
    lower = [name for name, score in before.items() if score and Fraction(after[name]) < Fraction(score)]
    assert lower == []


# --- the check


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
    key, ended, area = _closed(connection)
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

"""Wartime is declared and ended once, by people who may, and its record stays as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from dispatch.__main__ import main
from dispatch.desk import wartime
from dispatch.desk.desk import Desk
from dispatch.intake.messages import number_of
from dispatch.rules.refusals import Refusal
from dispatch.rules.wartime import Declaration, Wartime
from models.servers.database import psycopg_dsn
from tests import district
from tests.small_law import CITY, CITY_DESK, COUNTY, COUNTY_DESK, JOINT, MONDAY, NEXT_TOWN, TOWN, report

pytestmark = pytest.mark.city("district")

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WISH = Declaration(TOWN, 3, "flood", "台风将至", "县长", COUNTY_DESK, CITY_DESK, MONDAY + 24 * HOUR)


@pytest.fixture
def city(database: str) -> str:
    return database


@pytest.fixture
def desk(city: str) -> Iterator[Desk]:
    with Desk(city) as one:
        yield one


def declared(desk: Desk, at: datetime = MONDAY, **changes: object) -> Wartime:
    answer = wartime.declare(desk, replace(WISH, **changes), at)  # type: ignore[arg-type]
    assert not isinstance(answer, Refusal), answer.words("en")
    return answer


def accept_limit(city: str, serial: int, area: str, at: datetime) -> str:
    """Open a report at a desk that has just begun, and return its limit to accept."""
    one = report(JOINT, area, at=at, number=number_of("hotline", str(serial)))
    one.source_id = str(serial)
    with Desk(city) as fresh:
        [outcome] = fresh.report([one], at)
    query = "select clocks -> 'accept' ->> 'limit' from incident where id = %s"
    return str(district.value(city, query, outcome.incident_id))


def test_limits_halve_while_it_lasts_where_it_was_declared_and_promises_made_stay(
    desk: Desk, city: str
) -> None:
    village, beside = f"{TOWN}001", f"{NEXT_TOWN}001"
    assert accept_limit(city, 1, village, MONDAY) == "10m"
    one = declared(desk, MONDAY + HOUR)
    assert accept_limit(city, 2, village, MONDAY + HOUR) == "10m/2"
    assert accept_limit(city, 3, beside, MONDAY + HOUR) == "10m"
    assert one.id is not None
    ended = wartime.end(desk, one.id, COUNTY_DESK, "台风已过", MONDAY + 2 * HOUR)
    assert isinstance(ended, Wartime)
    assert accept_limit(city, 4, village, MONDAY + 2 * HOUR) == "10m"
    kept = district.rows(city, "select clocks -> 'accept' ->> 'limit' from incident order by reported_at, id")
    assert kept == [("10m",), ("10m/2",), ("10m",), ("10m",)]
    assert desk.ask(wartime.stretches) == [ended]
    district.check_everything(city)


def test_it_ends_by_itself_and_may_then_be_declared_anew(desk: Desk, city: str) -> None:
    first = declared(desk)
    late = MONDAY + 24 * HOUR
    assert accept_limit(city, 1, f"{TOWN}001", late - MINUTE) == "10m/2"
    assert accept_limit(city, 2, f"{TOWN}001", late) == "10m"
    second = declared(desk, late, until=late + HOUR)
    newest, oldest = desk.ask(wartime.stretches)
    assert newest == second
    assert oldest == replace(first, ended_at=first.until, ended_by="system", end_reason="")


def test_it_is_neither_declared_nor_ended_twice(desk: Desk) -> None:
    one = declared(desk)
    for area in (TOWN, f"{TOWN}001"):
        again = wartime.declare(desk, replace(WISH, area_code=area), MONDAY + MINUTE)
        assert isinstance(again, Refusal)
        assert again.code == "in_wartime"
    assert one.id is not None
    assert isinstance(wartime.end(desk, one.id, CITY_DESK, "台风已过", MONDAY + HOUR), Wartime)
    for number in (one.id, 999):
        refusal = wartime.end(desk, number, CITY_DESK, "再来", MONDAY + HOUR)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "not_in_wartime"
    nowhere = wartime.declare(desk, replace(WISH, area_code=f"{TOWN}999"), MONDAY)
    assert isinstance(nowhere, Refusal)
    assert nowhere.code == "unknown_area"


def test_of_many_who_declare_at_once_one_does(city: str) -> None:
    def press(area: str) -> str:
        with Desk(city) as mine:
            answer = wartime.declare(mine, replace(WISH, area_code=area), MONDAY)
        return answer.code if isinstance(answer, Refusal) else "done"

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(press, [TOWN] * 6))
    assert sorted(answers) == ["done", *["in_wartime"] * 5]


@pytest.mark.parametrize(
    "statement",
    [
        "delete from wartime",
        "truncate wartime",
        "update wartime set level = 4",
        "update wartime set until = until + interval '1 day'",
        "update wartime set ended_at = now(), ended_by = 'x', end_reason = '', reason = 'another'",
    ],
)
def test_the_database_refuses_to_rewrite_a_declaration(desk: Desk, city: str, statement: str) -> None:
    declared(desk)
    with psycopg.connect(psycopg_dsn(city)) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute(statement.encode())


def test_an_end_is_written_once(desk: Desk, city: str) -> None:
    one = declared(desk)
    assert one.id is not None
    wartime.end(desk, one.id, COUNTY_DESK, "台风已过", MONDAY + HOUR)
    with psycopg.connect(psycopg_dsn(city)) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute("update wartime set end_reason = 'another'")


def test_the_command_declares_lists_ends_and_says_why_not(
    city: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", city)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    with psycopg.connect(psycopg_dsn(city)) as connection:
        for login, role, area in (
            ("li", "county", COUNTY),
            ("wang", "city", CITY),
            ("zhao", "dispatcher", TOWN),
        ):
            connection.execute(
                "insert into account (login, password_hash, role, area_code, demo) values (%s, '', %s, %s, %s)",
                (login, role, area, login == "demo"),
            )
    wish = ["wartime", "declare", "--area", TOWN, "--level", "2", "--kind", "flood", "--reason", "台风将至",
            "--commander", "县长", "--hours", "24"]  # fmt: skip
    assert main([*wish, "--by", "li", "--approved-by", "li"]) == 1
    assert "One person declares and another approves" in capsys.readouterr().err
    assert main([*wish, "--by", "li", "--approved-by", "nobody"]) == 1
    assert "There is no account nobody" in capsys.readouterr().err
    # Where the demo is closed, its accounts open no door.
    monkeypatch.setenv("DEMO", "0")
    assert main([*wish, "--by", "li", "--approved-by", "demo"]) == 1
    assert "There is no account demo" in capsys.readouterr().err
    assert main([*wish, "--by", "li", "--approved-by", "zhao"]) == 1
    assert "may not declare or end wartime" in capsys.readouterr().err
    for hours in ("nan", "inf", "-1", "1e300"):
        assert main([*wish[:-1], hours, "--by", "li", "--approved-by", "wang"]) == 1
        assert "Wartime needs an end" in capsys.readouterr().err
    assert main([*wish, "--by", "li", "--approved-by", "wang"]) == 0
    assert "in force" in capsys.readouterr().out
    assert main(["wartime", "list", "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    held = json.loads(line)
    assert (held["declared_by"], held["approved_by"]) == ("county:li", "city:wang")
    assert abs(datetime.fromisoformat(held["since"]) - datetime.now(UTC)) < 5 * MINUTE
    assert main(["wartime", "end", str(held["id"]), "--by", "wang", "--reason", "台风已过"]) == 0
    assert "by city:wang" in capsys.readouterr().out
    assert main(["wartime", "end", str(held["id"]), "--by", "wang", "--reason", "台风已过"]) == 1
    assert "It is not wartime here now" in capsys.readouterr().err


@pytest.mark.parametrize("what", [[], ["declare"], ["end"], ["list"]])
def test_the_command_explains_itself(what: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["wartime", *what, "--help"])
    assert left.value.code == 0
    assert "usage" in capsys.readouterr().out

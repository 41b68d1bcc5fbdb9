"""A policy is checked whole, published as a new version only, and tried on the past before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dashboard.data import CityReads
from dispatch.__main__ import main
from dispatch.desk.desk import Desk
from dispatch.intake.messages import number_of
from dispatch.record import publishing
from dispatch.record.publishing import PublishError, publish
from dispatch.rules.incident.chain import Actor, Command, Report
from dispatch.rules.policy import policy as policies
from jobs import policy as policy_job
from models.cities import loading
from models.servers.database import psycopg_dsn
from tests.at_work import worked
from tests.small_city import EAST, IN_EAST, TOWN

pytestmark = pytest.mark.city("small")

NOW = datetime.now(UTC)
TODAY = NOW.date() + timedelta(days=1)  # somewhere on earth it is tomorrow already


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(loading.POLICY_DIR, tmp_path / "policy"))


@pytest.fixture
def city(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[Any]]:
    monkeypatch.setenv("DATABASE_URL", database)
    with psycopg.connect(psycopg_dsn(database), autocommit=True) as connection:
        yield connection


def change(folder: Path, file: str, good: str, bad: str) -> None:
    path = folder / file
    text = path.read_text("utf-8")
    assert good in text, (file, good)
    path.write_text(text.replace(good, bad, 1), "utf-8")


def test_the_shipped_policy_has_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert policies.problems(loading.policy_files()) == []
    assert main(["policy", "check"]) == 0
    assert "Nothing is wrong" in capsys.readouterr().out


def test_everything_wrong_is_said_at_once_with_file_key_and_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder, "event_types.csv", "joint,10m,60m,3wd", "joint,10x,60m,3wd")
    change(folder, "event_types.csv", "0104,黄赌毒线索", "x104,黄赌毒线索")
    change(folder, "limits.toml", '1 = "5m"', '1 = "soon"')
    change(folder, "ladder.toml", "repeats = 2", "repeats = 200")
    change(folder, "notices.toml", 'to = "team"', 'to = "mayor"')
    change(folder, "assignment.toml", "load = 120 ", "load = -1 ")
    assert main(["policy", "check", str(folder)]) == 1
    said = capsys.readouterr().err.splitlines()
    expected = [
        "event_types.csv: line 2, accept: expected a number above 0 and one of m, uh, ud, wh, wd, not '10x'",
        "event_types.csv: line 5, code: expected 1 to 8 digits, not 'x104'",
        "limits.toml: dispatch.1: expected a number above 0",
        "assignment.toml: minutes.load: expected a number from 0 to 10000, not -1",
        "ladder.toml: step[1].repeats: expected a whole number from 0 to 20, not 200",
        "notices.toml: rule[1].to: expected one of team, holder",
    ]
    assert len(said) == len(expected), said
    for line, start in zip(said, expected, strict=True):
        assert line.startswith(start)


def test_whatever_parse_refuses_the_check_refuses_too(folder: Path) -> None:
    for file, good, bad in (
        ("limits.toml", 'fallback = "0901"', 'fallback = "none"'),
        ("limits.toml", "[whistle]", "[trumpet]"),
        ("limits.toml", "Asia/Shanghai", "Atlantis"),
        ("themes.csv", "code,name", "kode,name"),
        ("trades.csv", "village", "moon"),
        ("ladder.toml", '"sms"', '"pigeon"'),
    ):
        files = loading.policy_files(folder)
        assert good in files[file]
        files[file] = files[file].replace(good, bad, 1)
        with pytest.raises(policies.PolicyError):
            policies.parse(1, files)
        assert [fault.file for fault in policies.problems(files)] == [file], file


def test_more_than_fifty_problems_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "event_types.csv"
    path.write_text(path.read_text("utf-8").replace("wd,", "zz,"), "utf-8")
    assert main(["policy", "check", str(folder)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 51
    assert said[-1].startswith("… and ")


def test_publishing_adds_a_version_and_edits_none(
    city: psycopg.Connection[Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = city.execute("select version, files::text, digest, valid_from from policy_version").fetchall()
    assert main(["policy", "diff", str(folder)]) == 0
    assert "version 1, in force" in capsys.readouterr().out
    change(folder, "limits.toml", '1 = "5m"', '1 = "4m"')
    assert main(["policy", "diff", str(folder)]) == 0
    assert '+1 = "4m"' in capsys.readouterr().out
    assert main(["policy", "publish", str(folder), "--note", "更快派遣", "--valid-from", str(TODAY)]) == 0
    after = city.execute(
        "select version, files::text, digest, valid_from from policy_version order by 1"
    ).fetchall()
    assert after[:1] == before
    assert [row[0] for row in after] == [1, 2]
    assert city.execute("select note from policy_version where version = 2").fetchone() == ("更快派遣",)


@pytest.mark.parametrize(
    ("days", "note", "why"),
    [(1, "same", "already"), (-3, "late", "does not reach back"), (1, " ", "Say why")],
)
def test_what_may_not_be_published_is_refused_with_the_reason(
    city: psycopg.Connection[Any], days: int, note: str, why: str
) -> None:
    files = loading.policy_files()
    if note != "same":
        files["limits.toml"] += "\n# changed\n"
    with pytest.raises(PublishError, match=why):
        publish(city, files, note, NOW.date() + timedelta(days=days))
    assert city.execute("select count(*) from policy_version").fetchone() == (1,)


def test_a_later_version_cannot_begin_before_the_one_before(city: psycopg.Connection[Any]) -> None:
    files = loading.policy_files()
    files["limits.toml"] += "\n# one\n"
    assert publish(city, files, "one", TODAY + timedelta(days=9)) == 2
    files["limits.toml"] += "\n# two\n"
    with pytest.raises(PublishError, match="cannot begin before it"):
        publish(city, files, "two", TODAY)


def test_incidents_keep_the_version_they_were_opened_under(
    city: psycopg.Connection[Any], database: str
) -> None:
    def opened(serial: int) -> int:
        number = number_of("hotline", str(serial))
        report = Report(number, "hotline", str(serial), "0101", "", "", EAST, *IN_EAST, "point", NOW)
        with Desk(database) as desk:
            (outcome,) = desk.report([report], NOW)
        assert outcome.incident_id is not None
        return outcome.incident_id

    old = opened(1)
    files = loading.policy_files()
    files["limits.toml"] = files["limits.toml"].replace('3 = "30m"', '3 = "1m"')
    publish(city, files, "much faster", TODAY)
    # Its day has come.
    city.execute("update policy_version set valid_from = valid_from - 5 where version = 2")
    new = opened(2)
    with Desk(database) as desk:
        for incident in (old, new):
            command = Command("accept", incident, Actor("d", "dispatcher", TOWN), "a", {})
            desk.act([command], NOW)
    rows = city.execute(
        "select policy_version, clocks->'dispatch'->>'limit' from incident order by id"
    ).fetchall()
    assert rows == [(1, "30m"), (2, "1m")]


def test_a_new_type_can_be_reported_and_a_dropped_one_is_retired_on_its_day(
    city: psycopg.Connection[Any], database: str
) -> None:
    """The table of types, which names and groups every list and figure, says what the policy in force says."""
    files = loading.policy_files()
    lines = files["event_types.csv"].splitlines()
    name = lines[1].split(",")[1]
    lines[1] = lines[1].replace("0101,", "0199,", 1)
    files["event_types.csv"] = "\n".join(lines) + "\n"
    today = policies.parse(1, files).calendar.local(NOW).date()
    query = "select code, name, retired from category where code in ('0101', '0199') order by 1"
    assert publish(city, files, "renamed", today) == 2
    assert city.execute(query).fetchall() == [("0101", name, True), ("0199", name, False)]
    back = loading.policy_files()
    back["event_types.csv"] = back["event_types.csv"].replace(f"0101,{name}", "0101,群体斗殴", 1)
    # On the day it is published, for a later day, nothing is dropped, renamed or taken up again yet.
    later = today + timedelta(days=3)
    assert publish(city, back, "back", later) == 3
    assert city.execute(query).fetchall() == [("0101", name, True), ("0199", name, False)]
    with Desk(database) as desk:
        assert worked(policy_job.follow, desk, NOW) == 0
        assert city.execute(query).fetchall() == [("0101", name, True), ("0199", name, False)]
        assert worked(policy_job.follow, desk, NOW + timedelta(days=3)) == 2
        assert city.execute(query).fetchall() == [("0101", "群体斗殴", False), ("0199", name, True)]
        assert worked(policy_job.follow, desk, NOW + timedelta(days=3)) == 0


def test_a_type_of_a_policy_to_come_can_be_reported_from_the_first_second_of_its_day(
    city: psycopg.Connection[Any], database: str
) -> None:
    """However long the table of types takes to follow."""
    files = loading.policy_files()
    lines = files["event_types.csv"].splitlines()
    files["event_types.csv"] = "\n".join([*lines, lines[1].replace("0101,", "0199,", 1)]) + "\n"
    assert publish(city, files, "one more", TODAY + timedelta(days=2)) == 2
    query = "select retired from category where code = '0199'"
    assert city.execute(query).fetchall() == [(True,)]
    at = NOW + timedelta(days=4)
    report = Report(number_of("hotline", "1"), "hotline", "1", "0199", "", "", EAST, *IN_EAST, "point", at)
    with Desk(database) as desk:
        (outcome,) = desk.report([report], at)
    assert outcome.refusal is None


def test_a_version_is_in_force_from_the_citys_own_midnight_wherever_the_database_stands(
    city: psycopg.Connection[Any], database: str
) -> None:
    """At the Desk, on the pages and in what is compared: the city's day, not that of the server's clock."""
    files = loading.policy_files()
    today = policies.parse(1, files).calendar.local(datetime.now(UTC)).date()
    for number, day in ((2, today), (3, today + timedelta(days=1))):
        files["limits.toml"] += f"\n# {number}\n"
        assert publish(city, dict(files), "midnight", day) == number
    for zone in ("Etc/GMT+12", "Etc/GMT-14"):
        city.execute(f"alter database \"{city.info.dbname}\" set timezone to '{zone}'".encode())
        with psycopg.connect(psycopg_dsn(database)) as far:
            assert far.execute("show timezone").fetchone() == (zone,)
            assert publishing.in_force(far)[0] == 2
        with Desk(database) as desk:
            assert desk.in_force(datetime.now(UTC)).version == 2
        reads = CityReads(database)
        assert reads.policy().version == 2
        reads.close()


def test_a_dry_run_says_what_would_have_been_late(
    city: psycopg.Connection[Any], database: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day = NOW - timedelta(days=2)
    with Desk(database) as desk:
        for serial, minutes in enumerate((3, 8, 12)):
            report = Report(
                number_of("hotline", str(serial)),
                "hotline",
                str(serial),
                "0101",
                "",
                "",
                EAST,
                *IN_EAST,
                "point",
                day,
            )
            (outcome,) = desk.report([report], day)
            assert outcome.incident_id is not None
            reject = Command(
                "reject", outcome.incident_id, Actor("d", "dispatcher", TOWN), "r", {"reason": "重复"}
            )
            desk.act([reject], day + timedelta(minutes=minutes))
    before = city.execute("select count(*), max(policy_version) from incident").fetchone()
    change(folder, "event_types.csv", "joint,10m,60m,3wd", "joint,5m,60m,3wd")
    since = (day - timedelta(days=1)).date()
    assert main(["policy", "dry-run", str(folder), "--since", str(since), "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["total"] == {"cases": 3, "late": 1, "more": 1, "fewer": 0}
    assert verdict["themes"]["01"]["more"] == 1
    assert verdict["towns"][TOWN]["more"] == 1
    # Rejected long ago, the limit to close it still as it ran then: it never was late for that, by any policy.
    change(folder, "limits.toml", '3 = "40wd"', '3 = "1m"')
    assert main(["policy", "dry-run", str(folder), "--since", str(since), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["more"] == 1
    assert main(["policy", "dry-run", str(folder), "--since", str(since)]) == 0
    said = capsys.readouterr().out
    assert "would have made 1 more late and 0 on time" in said
    assert "河口镇" in said
    assert main(["policy", "dry-run", str(folder), "--since", str(TODAY), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["cases"] == 0
    assert city.execute("select count(*), max(policy_version) from incident").fetchone() == before
    assert list(publishing.cases(city, NOW)) == []

"""A city's own past goes through the stream: every row counted, every fault with its line, verdicts compared."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest
import redis

from dashboard.data import CityReads
from dashboard.data.replayed import sources
from dispatch.__main__ import main
from dispatch.figures import overview, published
from dispatch.replay.source_file import OTHER_TYPE, Fault, ReplayError, Row, mapping, rows, survey
from dispatch.rules.incident.chain import Actor
from dispatch.rules.time.period import Period
from models.servers.database import psycopg_dsn

FILE = Path(__file__).parents[1] / "data" / "requests.csv"
EXPECTED = {
    "read": 8, "accepted": 8, "duplicates": 0, "refused": 0, "no_location": 2, "with_target": 7, "without_target": 1,
    "on_time": 4, "overdue": 3, "verdict_agrees": 5, "verdict_differs": 1, "source_blank": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _environment(
    database: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", stream_url)


def replayed(
    capsys: pytest.CaptureFixture[str], path: Path, *more: str, code: int = 0
) -> tuple[dict[str, int], str]:
    """Run the command; return its JSON and what it said to people."""
    assert main(["replay", str(path), "--map", "boston311", "--json", *more]) == code
    out, err = capsys.readouterr()
    return json.loads(out), err


def changed(tmp_path: Path, **cells: str) -> Path:
    """Return a copy of the file with cells of its third row changed."""
    with FILE.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    table[2] |= cells
    path = tmp_path / "changed.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)
    return path


def test_a_file_builds_its_city_and_is_judged_row_by_row(
    capsys: pytest.CaptureFixture[str], database: str
) -> None:
    found, said = replayed(capsys, FILE, "--new-city")
    assert found == EXPECTED
    assert list(found) == list(EXPECTED)
    assert "line 9: verdict_differs" in said
    assert "no dispatcher is running" in said
    with psycopg.connect(psycopg_dsn(database)) as connection:
        tree = connection.execute("SELECT code, name FROM area ORDER BY level, code").fetchall()
        assert tree == [
            ("990100", "波士顿"), ("990101", "Northside"), ("990102", "Southside"),
            ("990101001", "3"), ("990102001", "11"),
            ("990101001001", "301"), ("990101001002", "302"), ("990102001001", "1101"), ("990102001002", "1102"),
        ]  # fmt: skip
        ends = connection.execute(
            "SELECT source_id, state, ended_at IS NOT NULL FROM incident ORDER BY source_id"
        )
        assert [row[1] for row in ends.fetchall()] == [
            "closed" if each in "124578" else "reported" for each in "12345678"
        ]
        [opened] = connection.execute("SELECT reported_at FROM incident WHERE source_id = '1'").fetchall()[0]
        assert opened.isoformat() == "2022-01-03T15:00:00+00:00"
        located: dict[str, str] = dict(
            connection.execute("SELECT source_id, located FROM incident").fetchall()
        )
        assert (located["1"], located["6"], located["7"]) == ("point", "code", "default")
    again, _ = replayed(capsys, FILE, "--new-city")
    assert again == EXPECTED | {"accepted": 0, "duplicates": 8}


def test_a_city_built_from_a_file_has_figures_for_its_leaders(
    capsys: pytest.CaptureFixture[str], database: str
) -> None:
    replayed(capsys, FILE, "--new-city")
    with psycopg.connect(psycopg_dsn(database)) as connection:
        january = Period.holding("month", date(2022, 1, 5))
        found = overview.read(connection, "990100", january, datetime.now(UTC))
    assert found.area.name_en == "Boston"


def test_what_was_replayed_is_counted_when_the_command_ends_and_again_when_more_comes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, database: str
) -> None:
    replayed(capsys, FILE, "--new-city")
    boss = Actor("leader", "leader", "250000")
    with (
        closing(CityReads(database)) as reads,
        psycopg.connect(psycopg_dsn(database), autocommit=True) as own,
    ):
        (found,) = sources(reads, boss)
        assert (found.requests, found.on_time) == (
            8,
            published.on_time_of(own.cursor(), found.name, found.as_of),
        )
        assert (found.on_time.with_target, found.on_time.without_target) == (7, 1)
        assert found.on_time.on_time == EXPECTED["on_time"]
        assert published.follow_replayed(own) == 0
        assert sources(reads, Actor("team/1", "team", "250000", 1)) == []
        replayed(capsys, changed(tmp_path, case_enquiry_id="99"))
        (found,) = sources(reads, boss)
        assert (found.requests, found.on_time) == (
            9,
            published.on_time_of(own.cursor(), found.name, found.as_of),
        )


def test_the_page_says_what_the_source_says_of_an_open_request_missed_after_all_else(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, database: str
) -> None:
    """Its target lies behind every opening and closing: that it had passed is told by the source's word alone."""
    late = changed(tmp_path, target_dt="2022-02-01 10:00:00", closed_dt="", ontime="OVERDUE")
    told, _ = replayed(capsys, late, "--new-city")
    assert told["verdict_differs"] <= EXPECTED["verdict_differs"]
    with (
        closing(CityReads(database)) as reads,
        psycopg.connect(psycopg_dsn(database), autocommit=True) as own,
    ):
        boss = Actor("leader", "leader", "250000")

        def shown() -> tuple[int, int, int]:
            (found,) = sources(reads, boss)
            return found.on_time.on_time, found.on_time.with_target, found.on_time.without_target

        page = shown()
        assert page == (told["on_time"], told["with_target"], told["without_target"])
        # And when it is counted again, from the beginning.
        own.execute("update follower set position = 0 where name = %s", (published.REPLAYED,))
        assert published.follow_replayed(own) > 0
        assert shown() == page


def test_open_requests_are_judged_as_of_a_given_time(capsys: pytest.CaptureFixture[str]) -> None:
    found, said = replayed(capsys, FILE, "--new-city", "--as-of", "2022-04-01T00:00:00")
    assert (found["overdue"], found["verdict_differs"]) == (4, 2)
    assert "as given" in said


def test_the_default_time_is_the_newest_that_has_passed_and_is_told() -> None:
    how = mapping("boston311")
    found = survey(FILE, how)
    # Not the target of the ninth of March, which nobody says has passed.
    assert found.newest.astimezone(how.zone).isoformat() == "2022-01-09T12:00:00-05:00"
    assert not found.newest_is_target


def test_speed_sends_in_the_order_of_time(capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = replayed(capsys, FILE, "--new-city", "--speed", "1000000")
    assert found == EXPECTED


def test_faults_are_told_with_their_lines_and_harm_no_other_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = FILE.read_bytes().splitlines(keepends=True)
    path = tmp_path / "broken.csv"
    broken = [
        lines[1].replace(b"1,2022-01-03 10:00:00", b"20,3 Jan 2022", 1),  # line 10
        lines[1].replace(b"1,", b"21,", 1).replace(b"Elm", b"\xc9lm"),  # 11
        b"22,2022-01-03 10:00:00\n",  # 12
        b"23," + b"x" * 10_000_000 + b"\n",  # 13
        lines[1].replace(b"1,", b",", 1),  # 14
        lines[1].replace(b"1,", b"24,", 1).replace(b"2022-01-04 09", b"2021-01-04 09"),  # 15
        lines[1].replace(b"1,", b"25,", 1).replace(b"42.3701", b"north"),  # 16
        b"26," + b"y" * 200_000 + b"\n",  # 17
        lines[2],  # 18: comes twice
        lines[1].replace(b"1,", b"27,", 1),  # 19: good
    ]
    path.write_bytes(b"".join(lines + broken))
    found, said = replayed(capsys, path, "--new-city")
    assert (found["read"], found["accepted"], found["duplicates"], found["refused"]) == (18, 9, 1, 8)
    for line, reason in (
        (10, "bad_date"), (11, "not_utf8"), (12, "ragged_row"), (13, "line_too_long"), (14, "no_id"),
        (15, "closed_before_opened"), (16, "bad_point"), (17, "broken_quotes"),
    ):  # fmt: skip
        assert f"line {line}: {reason}" in said


def test_a_file_in_another_encoding_or_without_a_column_is_refused_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, database: str
) -> None:
    wide = tmp_path / "utf16.csv"
    wide.write_bytes(FILE.read_text(encoding="utf-8").encode("utf-16"))
    found, said = replayed(capsys, wide, "--new-city", code=1)
    assert set(found.values()) == {0}
    assert "line 1: missing column" in said
    assert "not UTF-8" in said
    short = tmp_path / "short.csv"
    short.write_text(FILE.read_text(encoding="utf-8").replace("closed_dt", "shut", 1), encoding="utf-8")
    _, said = replayed(capsys, short, "--new-city", code=1)
    assert "missing column closed_dt" in said
    _, said = replayed(capsys, tmp_path / "none.csv", code=1)
    with psycopg.connect(psycopg_dsn(database)) as connection:
        assert connection.execute("SELECT count(*) FROM area").fetchone() == (0,)


def test_a_second_file_of_the_city_meets_unknown_areas_and_types(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, database: str
) -> None:
    replayed(capsys, FILE, "--new-city")
    path = changed(tmp_path, case_enquiry_id="99", type="Flying Saucer", ward="77")
    found, _ = replayed(capsys, path)
    assert (found["accepted"], found["duplicates"]) == (1, 7)
    with psycopg.connect(psycopg_dsn(database)) as connection:
        row = connection.execute("SELECT area_code, category FROM incident WHERE source_id = '99'").fetchone()
    assert row == ("990102", OTHER_TYPE)


def test_a_database_with_another_city_is_left_alone(
    capsys: pytest.CaptureFixture[str], database: str
) -> None:
    with psycopg.connect(psycopg_dsn(database)) as connection:
        connection.execute("INSERT INTO area (code, level, name) VALUES ('445300', 1, '云浮')")
    _, said = replayed(capsys, FILE, "--new-city", code=1)
    assert "云浮" in said


def test_new_york_dates_have_twelve_hours_and_both_sides_of_noon(tmp_path: Path) -> None:
    how = mapping("nyc311")
    head = [*how.columns.values(), *how.areas]
    path = tmp_path / "nyc.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, head)
        writer.writeheader()
        for number, opened in enumerate(
            ("07/01/2023 12:00:00 AM", "07/01/2023 12:30:00 PM", "07/01/2023 25:00:00 PM")
        ):
            cells = {
                "Unique Key": str(number),
                "Created Date": opened,
                "Complaint Type": "Noise",
                "Borough": "BRONX",
            }
            writer.writerow(dict.fromkeys(head, "") | cells)
    first, second, third = rows(path, how)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert isinstance(third, Fault)
    assert (first.opened.isoformat(), second.opened.isoformat()) == (
        "2023-07-01T04:00:00+00:00", "2023-07-01T16:30:00+00:00"
    )  # fmt: skip
    assert (third.line, third.reason) == (4, "bad_date")
    assert first.areas == ("BRONX",)


def test_mappings_that_are_wrong_say_where(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="boston311, nyc311"):
        mapping("atlantis")
    path = tmp_path / "bad.toml"
    path.write_text(
        'source = "x"\nzone = "Mars/Olympus"\nformats = []\n[columns]\n[city]\n', encoding="utf-8"
    )
    with pytest.raises(ReplayError, match=r"bad\.toml"):
        mapping(str(path))

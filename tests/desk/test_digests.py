"""Prove the morning's briefings: written once for each area, whole, going on after a kill, and told to leaders."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest

from dispatch.demo import history
from dispatch.desk.desk import Desk
from dispatch.figures import cohorts
from dispatch.scores import scoring
from jobs import briefings
from models.servers.database import psycopg_dsn
from tests import small_city as town
from tests.at_work import worked
from tests.halfway import killed_halfway
from tests.templates import CityOf

LIVED_UNTIL = datetime(2026, 6, 10, 3, tzinfo=UTC)  # a Wednesday, late morning
NOW = LIVED_UNTIL + timedelta(hours=1)
AREAS = [town.CITY, town.COUNTY, town.TOWN]
PERIODS = ["day/2026-06-09", "day/2026-06-08", "day/2026-06-07", "week/2026-06-01", "month/2026-05-01"]
WHOLE = len(AREAS) * len(PERIODS)
MAY = date(2026, 5, 1)
PATIENCE_S = 180.0
HELD_AT = 4  # files: the second of the second area


@pytest.fixture(scope="module")
def lived(city_of: CityOf) -> Iterator[str]:
    """Let the small city live six weeks once and count its days; yield its address."""
    with city_of("small") as url:
        for _ in history.write(url, LIVED_UNTIL, 45, 6, 5):
            pass
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
            cohorts.rebuild(connection)
            assert scoring.freeze(connection, MAY, NOW) > 0
        yield url


@pytest.fixture
def desk(lived: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Open the Desk of a city without briefings or notices, with a data folder of the test's own."""
    monkeypatch.setattr(briefings, "folder", lambda: tmp_path / "briefings")
    # Pages take their time, and what is proved here is the same for every form: the kill below writes them too.
    monkeypatch.setattr(briefings, "FORMS", ("xlsx",))
    monkeypatch.setattr(briefings, "RUN_S", PATIENCE_S)
    with psycopg.connect(psycopg_dsn(lived), autocommit=True) as connection:
        connection.execute("delete from notice")
    with Desk(lived) as open_one:
        yield open_one


def rows(desk: Desk, statement: str) -> list[tuple[Any, ...]]:
    """Return what a statement answers."""
    return desk.ask(lambda cursor: cursor.execute(statement).fetchall())


def files(tmp_path: Path) -> dict[str, bytes]:
    """Return path -> content of every file in the folder of briefings."""
    place = tmp_path / "briefings"
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_each_area_has_its_days_and_its_week_and_its_leader_is_told_once(desk: Desk, tmp_path: Path) -> None:
    assert worked(briefings.write, desk, NOW) == WHOLE
    found = files(tmp_path)
    assert sorted(found) == sorted(f"{p}/{a}.xlsx" for p in PERIODS for a in AREAS)
    assert all(
        content.startswith(b"%PDF" if name.endswith("pdf") else b"PK") for name, content in found.items()
    )
    told = rows(desk, "select receiver, zh, en from notice order by key")
    assert len(told) == WHOLE
    assert told[0] == (
        f"leader/{town.CITY}", "试验市2026年6月7日日报已生成", "The day's briefing of 试验市 is ready: 7 June 2026",
    )  # fmt: skip
    assert worked(briefings.write, desk, NOW + timedelta(minutes=5)) == 0
    assert files(tmp_path) == found
    assert len(rows(desk, "select 1 from notice")) == len(told)


def test_what_is_missing_is_written_and_what_is_there_is_left(desk: Desk, tmp_path: Path) -> None:
    worked(briefings.write, desk, NOW)
    place = tmp_path / "briefings" / "day" / "2026-06-09"
    (place / f"{town.COUNTY}.xlsx").unlink()
    (place / f"{town.CITY}.xlsx").write_bytes(b"as it was")
    assert worked(briefings.write, desk, NOW) == 1
    assert (place / f"{town.COUNTY}.xlsx").read_bytes().startswith(b"PK")
    assert (place / f"{town.CITY}.xlsx").read_bytes() == b"as it was"


def test_the_frozen_month_is_briefed_as_frozen_and_one_that_runs_not_at_all(
    desk: Desk, tmp_path: Path
) -> None:
    worked(briefings.write, desk, NOW)
    place = tmp_path / "briefings" / "month"
    assert [path.name for path in place.iterdir()] == ["2026-05-01"]
    sheet = openpyxl.load_workbook(place / "2026-05-01" / f"{town.CITY}.xlsx").worksheets[0]
    text = [str(row[0]) for row in sheet.iter_rows(values_only=True)]
    assert text[0] == "试验市 2026年5月 月报"
    assert [line for line in text if line.startswith("本月考核已冻结")]


def test_nothing_is_written_before_the_days_figures_are(desk: Desk, tmp_path: Path) -> None:
    assert worked(briefings.write, desk, datetime(2026, 6, 9, 16, 20, tzinfo=UTC)) == 0
    assert files(tmp_path) == {}


def test_days_that_are_not_counted_yet_wait(desk: Desk, lived: str, tmp_path: Path) -> None:
    with psycopg.connect(psycopg_dsn(lived), autocommit=True) as connection:
        level_at = connection.execute("select at from follower where name = 'daily'").fetchone()
        assert level_at is not None
        connection.execute("update follower set at = '2026-06-08T20:00Z' where name = 'daily'")
        try:
            worked(briefings.write, desk, NOW)
        finally:
            connection.execute("update follower set at = %s where name = 'daily'", level_at)
    assert not [name for name in files(tmp_path) if "2026-06-09" in name]
    assert [name for name in files(tmp_path) if "2026-06-08" in name]


def test_a_run_stops_after_its_share_and_the_next_goes_on(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(briefings, "RUN_S", 0.0)
    runs = 0
    while written := worked(briefings.write, desk, NOW):
        assert written == 1
        runs += 1
    assert runs == WHOLE
    assert len(files(tmp_path)) == WHOLE


@pytest.mark.processes
def test_killed_while_it_writes_it_leaves_whole_files_and_goes_on(
    lived: str, stream_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (
        tmp_path / "postgres"
    ).mkdir()  # as if servers had been here: root keeps a private folder's data elsewhere
    place = tmp_path / "briefings"
    monkeypatch.setattr(briefings, "folder", lambda: place)
    with psycopg.connect(psycopg_dsn(lived), autocommit=True) as connection:
        connection.execute("delete from notice")
    killed_halfway(
        "import sys\nfrom pathlib import Path\nfrom jobs.__main__ import main\n"
        "replace, names = Path.replace, []\n"
        "def held(self, target):\n"
        f"    names.extend([self] if self.suffix == '.part' else [])\n    len(names) == {HELD_AT} and halt()\n"
        "    return replace(self, target)\n"
        "Path.replace = held\nsys.exit(main(['run', 'digests', '--as-of', sys.argv[1]]))",
        NOW.isoformat(),
        environment={"DATABASE_URL": lived, "REDIS_URL": stream_url, "DATA_DIR": str(tmp_path)},
    )
    before = files(tmp_path)
    for name, content in before.items():
        if not name.endswith(".part"):
            assert content.rstrip().endswith(b"%%EOF") if name.endswith("pdf") else content.startswith(b"PK")
    whole = {name: content for name, content in before.items() if not name.endswith(".part")}
    assert len(whole) == HELD_AT - 1
    assert len(before) == HELD_AT, "one was written and had not its name yet"
    monkeypatch.setattr(briefings, "FORMS", ("xlsx",))
    with Desk(lived) as desk:
        while worked(briefings.write, desk, NOW):
            pass
        after = files(tmp_path)
        assert whole.items() <= after.items()
        assert (
            len([name for name in after if name.startswith(("day/", "week/")) and name.endswith("xlsx")])
            == 12
        )
        keys = rows(desk, "select key from notice where key not like 'briefing/month/%'")
        assert len(keys) == 12


def test_old_briefings_and_unfinished_files_are_let_go(desk: Desk, tmp_path: Path) -> None:
    place = tmp_path / "briefings" / "day"
    for n in range(40):
        day = place / f"{datetime(2026, 4, 1) + timedelta(days=n):%Y-%m-%d}"  # noqa: DTZ001
        day.mkdir(parents=True)
        (day / "990900.pdf").write_bytes(b"%PDF")
    other = place / "somebody's"
    other.mkdir()
    (other / "letter.txt").write_text("keep")
    part = place / "2026-05-10" / ".990900.pdf.17.part"
    part.write_bytes(b"half")
    os.utime(part, (time.time() - 7_200,) * 2)
    fresh = place / "2026-05-10" / ".990901.pdf.18.part"
    fresh.write_bytes(b"half")
    assert worked(briefings.forget, desk, NOW) == 40 - briefings.KEPT["day"] + 1
    kept = sorted(path.name for path in place.iterdir())
    assert kept[:2] == ["2026-04-10", "2026-04-11"]
    assert (other / "letter.txt").exists()
    assert not part.exists()
    assert fresh.exists()
    assert worked(briefings.forget, desk, NOW) == 0


def test_letting_go_that_is_cut_short_is_completed_by_the_next_run(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a folder; what is kept is never touched, and nothing is counted twice."""
    place = tmp_path / "briefings" / "day"
    for n in range(briefings.KEPT["day"] + 3):
        day = place / f"{datetime(2026, 4, 1) + timedelta(days=n):%Y-%m-%d}"  # noqa: DTZ001
        day.mkdir(parents=True)
        for area in AREAS:
            (day / f"{area}.pdf").write_bytes(b"%PDF")
    unlink = Path.unlink
    gone: list[Path] = []

    def cut_short(path: Path, missing_ok: bool = False) -> None:
        if len(gone) == 4:
            raise KeyboardInterrupt
        gone.append(path)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", cut_short)
    with pytest.raises(KeyboardInterrupt):
        worked(briefings.forget, desk, NOW)
    monkeypatch.setattr(Path, "unlink", unlink)
    assert worked(briefings.forget, desk, NOW) == 3 * len(AREAS) - 4
    kept = sorted(path.name for path in place.iterdir())
    assert (len(kept), kept[0]) == (briefings.KEPT["day"], "2026-04-04")
    assert all(len(list((place / day).iterdir())) == len(AREAS) for day in kept)
    assert worked(briefings.forget, desk, NOW) == 0

"""A city elsewhere has its own day and hour on every page, in every file and for every job."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from dashboard.casework import appeal, sheet
from dashboard.data import CityReads, Viewer, whistles
from dashboard.live import Live, Picture
from dashboard.routes import login
from dashboard.routes import whistles as whistle_routes
from dashboard.screens import public
from dashboard.widgets import drawer, export
from dashboard.wording import names
from dispatch.rules.incident.chain import Actor
from jobs.__main__ import Runner
from models.cities import loading
from models.servers.database import Servers
from tests import pages, small_city
from tests.templates import CityOf

ZONE = "America/New_York"
# Half past ten in the evening there, half past eleven of the next morning where the shipped policy is from.
AT = datetime(2026, 3, 2, 3, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def elsewhere(city_of: CityOf) -> Iterator[str]:
    """Load a small city whose clock is that of New York."""
    with city_of("migrated") as url:
        city = small_city.build()
        city.policy = loading.in_zone(city.policy, ZONE)
        loading.store(url, city)
        yield url


@pytest.fixture
def reads(elsewhere: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    with pages.pointed(monkeypatch, elsewhere, servers.redis_url) as reads:
        yield reads


def a_file(reads: CityReads) -> str:
    made = export.workbook([[AT]], ["at"], "t", names.zone())
    active = openpyxl.load_workbook(io.BytesIO(made)).active
    assert active is not None
    return f"{active['A2'].value:%m-%d %H:%M}"


SAID: dict[str, tuple[Callable[[CityReads], str], str]] = {
    "a moment": (lambda reads: names.moment(AT), "03-01 22:30"),
    "an hour of the desk": (lambda reads: sheet._hm(AT, AT), "22:30"),
    "an hour of another day": (lambda reads: sheet._hm(AT, AT + timedelta(hours=2)), "03-01 22:30"),
    "a list of cases": (lambda reads: drawer._time(AT), "2026-03-01 22:30"),
    "an appeal's stretch": (lambda reads: f"{appeal._local(AT)}", "2026-03-01 22:30:00"),
    "a file": (a_file, "03-01 22:30"),
    "a locked account": (lambda reads: login._refused(reads, "en", AT), "22:30:00"),
    "a resident's milestone": (
        lambda reads: public._time(datetime(2020, 3, 2, 3, 30, tzinfo=UTC)),
        "2020-03-01",
    ),
}


@pytest.mark.parametrize("what", SAID)
def test_a_page_says_the_citys_own_day_and_hour(reads: CityReads, what: str) -> None:
    say, expected = SAID[what]
    assert say(reads).rstrip(".").endswith(expected)


def test_the_live_picture_begins_at_the_citys_own_midnight(
    reads: CityReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the month of its ranking on the first of the city's own."""
    picture = Picture(reads.directory(), reads.snapshot(MIDNIGHT), AT)
    assert picture.midnight == MIDNIGHT
    asked: list[datetime] = []

    def late(since: datetime) -> dict[str, dict[str, int]]:
        asked.append(since)
        return {}

    monkeypatch.setattr(reads, "late", late)
    Live(reads, None, demo=False)._look_around(reads.known(), AT, None)
    assert asked == [MIDNIGHT]


def test_the_whistle_board_begins_at_the_citys_own_midnight(
    reads: CityReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []

    def board(
        reads: CityReads, actor: object, area: str, midnight: datetime, now: datetime
    ) -> whistles.Board:
        asked.append(midnight)
        return real(reads, actor, area, midnight, now)  # type: ignore[arg-type]

    real = whistles.board
    monkeypatch.setattr(whistles, "board", board)
    leader = SimpleNamespace(actor=Actor("leader:leader", "leader", small_city.CITY))
    whistle_routes.WhistleBoards(reads)._body(cast(Viewer, leader), small_city.CITY, "zh")
    today = datetime.now(ZoneInfo(ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert asked == [today]


def test_jobs_of_a_time_of_day_run_by_the_citys_clock(reads: CityReads) -> None:
    with Runner() as runner:
        assert runner.zone == ZoneInfo(ZONE)

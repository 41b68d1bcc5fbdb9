"""Proves the live picture: what it folds and counts, how time alone turns it, and what its tiles say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from dashboard import live
from dashboard.data import CityReads, LiveRow
from dashboard.live import Minute, Picture, tiles
from dispatch.desk import wartime
from dispatch.desk.desk import Desk
from dispatch.rules.areas import ancestors, prefix_of
from dispatch.rules.incident.chain import SYSTEM, Actor
from dispatch.rules.refusals import Refusal
from dispatch.rules.time.calendar import Calendar
from dispatch.rules.wartime import Declaration
from models.servers.database import psycopg_dsn
from tests.live_city import CITY, DISPATCHER, OTHER_COUNTY, People, cell


def picture_of(reads: CityReads, now: datetime | None = None) -> Picture:
    now = now or datetime.now(UTC)
    return Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)


def plain(picture: Picture) -> dict[str, list[int]]:
    return {area: counts for area, counts in picture.counts.items() if any(counts)}


def test_one_directory_is_read_for_all_and_many_areas_only_where_they_changed(
    city: str, reads: CityReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = reads.known()
    assert reads.known() is first
    # The live picture reads it anew, beside the pages: they have what it read.
    fresh = reads.directory()
    assert reads.known() is fresh
    assert fresh is not first
    assert fresh.areas is first.areas
    monkeypatch.setattr("dashboard.data.directory.DIRECTORY_KEPT_S", 0.0)
    assert reads.known() is not fresh
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        connection.execute("update area set name_en = name_en || ' now' where code = %s", (OTHER_COUNTY,))
        assert reads.known().areas[OTHER_COUNTY].name_en == f"{first.areas[OTHER_COUNTY].name_en} now"
        connection.execute(
            "insert into area (code, level, name, parent) values ('445399', 2, 'New', '445300')"
        )
        assert "445399" in reads.known().areas
        connection.execute("delete from area where code = '445399'")
        assert "445399" not in reads.known().areas
        connection.execute(
            "update area set name_en = %s where code = %s", (first.areas[OTHER_COUNTY].name_en, OTHER_COUNTY)
        )


def test_folding_the_same_row_again_changes_nothing(city: str, reads: CityReads) -> None:
    people = People(city)
    people.report(cell(reads))
    picture = picture_of(reads)
    before = plain(picture)
    rows = reads.snapshot(picture.midnight).rows
    for row in rows * 3:
        picture.fold(row)
    assert plain(picture) == before


def test_counters_equal_what_sql_counts(city: str, reads: CityReads) -> None:
    people = People(city)
    for prefix in ("445302001", "445302002", "445381"):
        one = people.report(cell(reads, prefix))
        people.report(cell(reads, prefix))
        people.act("reject", one, DISPATCHER, reason="test")
    picture = picture_of(reads)
    with psycopg.connect(psycopg_dsn(city)) as connection:
        for area in (CITY, "445302", "445302001", "445381"):
            inside = (prefix_of(area) + "%", picture.midnight)
            row = connection.execute(
                "select count(*) filter (where ended_at is null), count(*) filter (where reported_at >= %s),"
                " count(*) filter (where ended_at is null and (overdue_since is not null or due_at < %s))"
                " from incident where area_code like %s",
                (inside[1], picture.now, inside[0]),
            ).fetchone()
            counts = picture.counts[area]
            assert row == (counts[live.OPEN], counts[live.REPORTED], counts[live.RED])


def test_every_level_is_the_sum_of_the_level_below(city: str, reads: CityReads) -> None:
    people = People(city)
    for prefix in ("445302001", "445303", "445322"):
        people.report(cell(reads, prefix))
    picture = picture_of(reads)
    minute = Minute.of(picture.directory, {}, picture.now)
    for area, counts in picture.counts.items():
        below = minute.children.get(area, [])
        own = [row for row in reads.snapshot(picture.midnight).rows if row.area_code == area]
        if below and not own:
            for mark in (live.OPEN, live.REPORTED, live.RED, live.YELLOW):
                assert counts[mark] == sum(
                    picture.counts[b.code][mark] for b in below if b.code in picture.counts
                )


def test_an_incident_that_moves_leaves_its_old_area(city: str, reads: CityReads) -> None:
    people = People(city)
    incident_id = people.report(cell(reads))
    picture = picture_of(reads)
    row = next(r for r in reads.snapshot(picture.midnight).rows if r.id == incident_id)
    before = picture.counts["445302"][live.OPEN], picture.counts[OTHER_COUNTY][live.OPEN]
    row.area_code = cell(reads, OTHER_COUNTY)
    picture.fold(row)
    after = picture.counts["445302"][live.OPEN], picture.counts[OTHER_COUNTY][live.OPEN]
    assert after == (before[0] - 1, before[1] + 1)


def test_time_alone_turns_a_light_yellow_then_red(city: str, reads: CityReads) -> None:
    people = People(city)
    now = datetime.now(UTC)
    incident_id = people.report(cell(reads), at=now)
    picture = picture_of(reads, now)
    row = next(r for r in reads.snapshot(picture.midnight).rows if r.id == incident_id)
    assert row.due_at is not None
    lights = []
    for share in (0.5, 0.81, 1.0, 1.001):
        picture.advance(now + (row.due_at - now) * share)
        kept = picture._kept[incident_id]
        lights.append(kept.light)
    assert lights == ["green", "yellow", "yellow", "red"]
    assert (
        incident_id in {r.id for r, light in picture.reds(CITY) if light == "red"}
        or len(picture.reds(CITY)) == 5
    )


def test_following_finds_every_change_and_no_gap(city: str, reads: CityReads) -> None:
    people = People(city)
    picture = picture_of(reads)
    at_first = picture.counts[CITY][live.REPORTED]
    # A slow transaction that began first commits last: following by number would lose it.
    with psycopg.connect(psycopg_dsn(city)) as slow:
        slow.execute("select pg_current_xact_id()")
        people.report(cell(reads))
        changes = reads.changes(picture.cursor)
        assert changes is not None
        assert changes.rows == []
        slow.commit()
    changes = reads.changes(changes.cursor)
    assert changes is not None
    for row in changes.rows:
        picture.fold(row)
    assert picture.counts[CITY][live.REPORTED] == at_first + 1


def test_escalations_and_supervisions_of_today_are_listed_once(city: str, reads: CityReads) -> None:
    people = People(city)
    incident_id = people.report(cell(reads))
    people.act("supervise", incident_id, Actor("county", "county", "445302"), reason="late")
    picture = picture_of(reads)
    count_before = picture.counts["445302"][live.SUPERVISED]
    for each in reads.snapshot(picture.midnight).raised * 2:
        picture.raise_(each)
    assert picture.counts["445302"][live.SUPERVISED] == count_before >= 1
    assert incident_id in {row.id for row, _ in picture.raised("445302")}


def test_wartime_stands_on_the_walls_that_it_touches_until_it_ends(city: str, reads: CityReads) -> None:
    picture = picture_of(reads)
    minute = Minute.of(picture.directory, {}, picture.now)
    now = datetime.now(UTC)
    own, above = Actor("county:a", "county", "445302"), Actor("county:b", "county", "445302")
    wish = Declaration(
        "445302", 2, "flood", "heavy rain", "the duty leader", own, above, now + timedelta(hours=4)
    )

    def follow() -> dict[str, Any]:
        picture.take_dirty()
        changes = reads.changes(picture.cursor)
        assert changes is not None
        assert changes.wartime is not None
        picture.declare(changes.wartime)
        picture.cursor = changes.cursor
        areas = (CITY, "445302", "445302001", "445321")
        return {
            area: json.loads(tiles(picture, minute, area, "en", True)["head"])["wartime"] for area in areas
        }

    with Desk(city) as desk:
        declared = wartime.declare(desk, wish, now)
        assert not isinstance(declared, Refusal)
        seen = follow()
        assert {CITY, "445302", "445302001"} <= picture.dirty
        here = {"level": 2, "what": "flood level II, orange", "where": ""}
        assert seen["445302"] == seen["445302001"] == here
        assert seen[CITY] == here | {"where": picture.directory.areas["445302"].name_en}
        assert seen["445321"] is None
        assert picture_of(reads).wartime == picture.wartime
        assert declared.id is not None
        assert not isinstance(
            wartime.end(desk, declared.id, own, "the rain is over", datetime.now(UTC)), Refusal
        )
    assert set(follow().values()) == {None}
    assert CITY in picture.dirty


def test_todays_numbers_begin_with_the_citys_own_day(city: str, reads: CityReads) -> None:
    """At one instant it is today in one city and still yesterday in another."""
    now = datetime(2026, 3, 1, 17, tzinfo=UTC)
    here = reads.directory()
    there = replace(here, calendar=Calendar("America/New_York"))
    begun = [Picture(each, reads.snapshot(now), now).midnight for each in (here, there)]
    assert begun == [datetime(2026, 3, 1, 16, tzinfo=UTC), datetime(2026, 3, 1, 5, tzinfo=UTC)]


def test_last_weeks_day_goes_on_at_the_same_hour(city: str, reads: CityReads) -> None:
    people = People(city)
    now = datetime.now(UTC)
    today = reads.known().calendar.midnight(now)
    begin = today - timedelta(days=7)
    # In a county for which no other test writes a past.
    people.report(cell(reads, "445303"), at=begin + timedelta(hours=1))
    people.report(cell(reads, "445303"), at=begin + timedelta(hours=2))
    picture = Picture(reads.directory(), reads.snapshot(today), today)
    minute = Minute.of(picture.directory, {}, now)
    # Until that day is read there is nothing to hold today against: no number is said, not even none.
    assert json.loads(tiles(picture, minute, CITY, "zh", True)["six"])["then"] is None
    assert {each[2] for each in json.loads(tiles(picture, minute, CITY, "zh", True)["ten"])} == {None}
    picture.look_back(reads.past(picture.midnight))
    assert json.loads(tiles(picture, minute, CITY, "zh", True)["six"])["then"] is not None
    seen = []
    for hours in (0.5, 1.5, 2.5):
        picture.advance(today + timedelta(hours=hours))
        seen.append(picture.then["445303"][live.REPORTED])
    assert [b - seen[0] for b in seen] == [0, 1, 2]


def test_tiles_of_every_level_can_be_told_in_both_languages(city: str, reads: CityReads) -> None:
    people = People(city)
    where = cell(reads)
    people.report(where)
    picture = picture_of(reads)
    minute = Minute.of(picture.directory, {}, picture.now)
    for area in ancestors(where):
        for lang in ("zh", "en"):
            told = tiles(picture, minute, area, lang, True)
            assert set(told) == set(live.TILES)
            head = msgspec.json.decode(told["head"])
            assert head["code"] == area
            assert head["unit"]
            if lang == "en" and area == CITY:
                assert head["unit"].isascii(), head["unit"]


def test_a_wall_says_what_was_late_most_and_how_the_last_whistles_went(city: str, reads: CityReads) -> None:
    people = People(city)
    where = cell(reads, "445302002")
    whistle = people.report(where, "0402", datetime.now(UTC) - timedelta(minutes=30))
    sent = datetime.now(UTC) - timedelta(minutes=20)
    with psycopg.connect(psycopg_dsn(city)) as connection:
        team = connection.execute(
            "select id from team where trade = 'enforcement' and area_code = '445302002'"
        ).fetchone()
    assert team is not None
    people.act("whistle", whistle, DISPATCHER, sent, whistle_kind="joint", reason="x", team_id=team[0])
    people.act("send_whistle", whistle, DISPATCHER, sent)
    picture = picture_of(reads)
    sheet = tiles(picture, Minute.of(picture.directory, {}, picture.now), "445302002", "zh", True)
    (row,) = msgspec.json.decode(sheet["whistles"])["rows"]
    assert row["kind"] == ["执法哨"]
    hands = Actor("team:t", "team", "445302002", team[0])
    people.act("pick_up", whistle, hands, sent + timedelta(minutes=3))
    people.act("arrive", whistle, hands, sent + timedelta(minutes=12), position=[112.0, 22.9])
    picture = picture_of(reads)
    whistled = reads.whistled(picture.now - timedelta(hours=24))
    late = {where: {"04": 3, "09": 1}, "445381001": {"01": 9}}
    minute = Minute.of(picture.directory, {where: (6, 10)}, picture.now, None, late, whistled)
    sheet = tiles(picture, minute, "445302002", "zh", True)
    lately = msgspec.json.decode(sheet["whistles"])["lately"]
    assert (lately["sent"], lately["answered"], lately["in_time"]) == (1, 1, 1)
    assert lately["last"][0]["took"] == 12
    rank = msgspec.json.decode(tiles(picture, minute, CITY, "zh", True)["rank"])
    assert [row[5] for row in rank["rows"] if row[1] == "445302002"] == [[["农村违建"], 3]]


def test_texts_of_people_never_reach_the_wall(city: str, reads: CityReads) -> None:
    people = People(city)
    people.report(cell(reads))
    picture = picture_of(reads)
    minute = Minute.of(picture.directory, {}, picture.now)
    told = b"".join(tiles(picture, minute, CITY, "zh", True).values())
    assert b"<b>" not in told


def test_rows_that_time_has_passed_are_not_kept(reads: CityReads) -> None:
    picture = picture_of(reads)
    long_ago = picture.now - timedelta(days=30)
    row = LiveRow(
        1, 1, "0901", 4, "445302001", "closed", 3, "centre/445302001", None, None, None, long_ago, long_ago, True,
        long_ago, None, "close", long_ago, None, None, True,
    )  # fmt: skip
    before = plain(picture)
    picture.fold(row)
    assert plain(picture) == before
    assert 1 not in picture._kept


def test_a_light_is_red_only_after_its_limit(city: str, reads: CityReads) -> None:
    people = People(city)
    now = datetime.now(UTC)
    incident_id = people.report(cell(reads), at=now)
    people.act("breach", incident_id, SYSTEM, now + timedelta(days=60), clock="accept")
    picture = picture_of(reads, now)
    assert picture._kept[incident_id].light == "red"

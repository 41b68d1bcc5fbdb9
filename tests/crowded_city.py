"""Crowd the demo city as no day does: 200 towns, long names, reds and whistles in one village, thousands of cases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import shapely

from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Command, Report
from models.servers.database import psycopg_dsn

CITY, COUNTY, TOWN = "445300", "445302", "445302001"
QUIET = "445302002"  # a town where three whistles were answered and none waits
TOWNS = 200
CLOSED, OPEN = 12_000, 2_400
# Longer than any that the shipped city has, as long as such names are elsewhere.
COUNTY_NAMES = ("乳源瑶族自治县", "Ruyuan Yao Autonomous County")
TOWN_NAMES = ("高新技术开发区街道", "Gaoxin Industrial Development Zone Subdistrict")
VILLAGE_NAME = "龙湾工业区第二社区"
TEAM_NAMES = (
    "高新区生态环境局综合执法大队第三中队",
    "Gaoxin Ecology and Environment Enforcement Brigade, Third Squad",
)
# Types with the longest names, and how long ago each came in: minutes to weeks past its limit.
REDS = (
    ("0103", timedelta(minutes=50)), ("0205", timedelta(hours=5)), ("0109", timedelta(days=1, hours=14)),
    ("0401", timedelta(days=3)), ("0905", timedelta(days=30)), ("0501", timedelta(days=20)),
)  # fmt: skip
WHISTLES = (("hard", 50), ("joint", 29), ("emergency", 12), ("joint", 1), ("hard", 3))
DISPATCHER = Actor("dispatcher:d", "dispatcher", CITY)


@dataclass(frozen=True, slots=True)
class Crowded:
    """Where it is crowded: one area of each level."""

    city: str
    county: str
    town: str
    village: str

    def areas(self) -> dict[str, str]:
        """Return the areas by the name of their level."""
        return {"city": self.city, "county": self.county, "town": self.town, "village": self.village}


def crowd(url: str) -> Crowded:
    """Crowd the demo city at an address."""
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        village = _village(connection)
        _rename(connection, village)
        _more_towns(connection)
        categories = [
            row[0]
            for row in connection.execute(
                "select code from category order by length(name_en) desc, code limit 12"
            ).fetchall()
        ]
        now = datetime.now(UTC)
        cell = f"{village}%"
        (micro,) = connection.execute(
            "select code from area where code like %s and level = 6 order by code limit 1", (cell,)
        ).fetchone() or ("",)
        (team,) = connection.execute(
            "select id from team where area_code = %s and trade = 'enforcement' order by id limit 1", (TOWN,)
        ).fetchone() or (0,)
        quiet, quiet_team = connection.execute(
            "select (select min(code) from area where code like %s and level = 6), id from team"
            " where area_code = %s and trade = 'enforcement' order by id limit 1",
            (QUIET + "%", QUIET),
        ).fetchone() or ("", 0)
    with Desk(url) as desk:
        reds = [
            Report(n, "crowd", str(n), categories[n % 12], "x", "", micro, 112.0, 22.9, "point", now - ago)
            for n, (_, ago) in enumerate(REDS, start=1)
        ]
        ids = [outcome.incident_id for outcome in desk.report(reds, now)]
        for n, (kind, minutes) in enumerate(WHISTLES, start=len(reds) + 1):
            _blow(desk, micro, categories[n % 12], n, kind, team, now - timedelta(minutes=minutes))
        for n in range(1, 4):
            _answer(desk, quiet, quiet_team, 100 + n, now - timedelta(minutes=100 * n), 12 + 15 * n)
        for one in ids[:3]:
            assert one is not None
            supervise = Command(
                "supervise", one, Actor("leader:l", "leader", CITY), f"s{one}", {"reason": "x"}
            )
            (outcome,) = desk.act([supervise], now)
            assert outcome.refusal is None, outcome.refusal.words("en")
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        _many(connection, village)
        connection.execute("analyze")
    return Crowded(CITY, COUNTY, TOWN, village)


def _village(connection: psycopg.Connection) -> str:
    row = connection.execute(
        "select v.code from area v join area m on m.code like v.code || '%%' and m.level = 6"
        " where v.level = 4 and v.code like %s group by v.code order by count(*) desc, v.code limit 1",
        (TOWN + "%",),
    ).fetchone()
    assert row is not None
    return str(row[0])


def _rename(connection: psycopg.Connection, village: str) -> None:
    rename = "update area set name = %s, name_en = %s where code = %s"
    connection.execute(rename, (*COUNTY_NAMES, COUNTY))
    connection.execute(rename, (*TOWN_NAMES, TOWN))
    connection.execute("update area set name = %s where code = %s", (VILLAGE_NAME, village))
    connection.execute(
        "update team set name = %s, name_en = %s where area_code like %s", (*TEAM_NAMES, TOWN + "%")
    )


def _more_towns(connection: psycopg.Connection) -> None:
    """Give the last county so many more towns, each a small square, that the city has `TOWNS`."""
    (there,) = connection.execute("select count(*) from area where level = 3").fetchone() or (0,)
    with connection.cursor() as cursor:
        for n in range(TOWNS - there):
            lon, lat = 111.2 + 0.03 * (n % 12), 22.4 + 0.03 * (n // 12)
            code = f"445381{700 + n}"
            cursor.execute(
                "insert into area (code, level, name, name_en, kind, parent, focus, lon, lat, origin)"
                " values (%s, 3, %s, %s, 'town', '445381', '', %s, %s, 'test')",
                (code, f"新设第{n}镇", f"Newtown {n} Town", lon + 0.015, lat + 0.015),
            )
            cursor.execute(
                "insert into area_shape (code, wkb, schematic) values (%s, %s, true)",
                (code, shapely.to_wkb(shapely.box(lon, lat, lon + 0.03, lat + 0.03))),
            )


def _blow(desk: Desk, area: str, category: str, n: int, kind: str, team: int, at: datetime) -> int:
    report = Report(n, "crowd", str(n), category, "x", "", area, 112.0, 22.9, "point", at)
    incident_id = desk.report([report], at)[0].incident_id
    assert incident_id is not None
    ask = {"whistle_kind": kind, "reason": "x", "team_id": team}
    for verb, args in (("whistle", ask), ("send_whistle", {})):
        (outcome,) = desk.act([Command(verb, incident_id, DISPATCHER, f"{verb}{n}", args)], at)
        assert outcome.refusal is None, outcome.refusal.words("en")
    return incident_id


def _answer(desk: Desk, area: str, team: int, n: int, at: datetime, minutes: int) -> None:
    """Blow a whistle whose unit is on site after so many minutes."""
    incident_id = _blow(desk, area, "0402", n, "joint", team, at)
    hands = Actor("team:t", "team", QUIET, team)
    for verb, later, args in (("pick_up", 4, {}), ("arrive", minutes, {"position": [112.0, 22.9]})):
        command = Command(verb, incident_id, hands, f"{verb}{n}", args)
        (outcome,) = desk.act([command], at + timedelta(minutes=later))
        assert outcome.refusal is None, outcome.refusal.words("en")


def _many(connection: psycopg.Connection, village: str) -> None:
    """Copy one case into thousands of today: most closed and rated, many open, some of them red."""
    villages = [
        row[0]
        for row in connection.execute(
            "select code from area where level = 4 order by code not like %s, md5(code)", (TOWN + "%",)
        )
    ]
    categories = [row[0] for row in connection.execute("select code from category order by code")]
    copied = (
        "insert into incident select made.* from incident i,"
        " unnest(%(areas)s::text[], %(types)s::text[]) with ordinality as new(area, type, g),"
        " lateral jsonb_populate_record(i, jsonb_build_object('id', %(from)s + g, 'number', %(from)s + g,"
        " 'source_id', 'copy-' || (%(from)s + g), 'area_code', area, 'category', type, 'reported_at', now(),"
        " 'last_at', now() - g * interval '1 ms', 'awaits', null, 'due_at', null, 'due_clocks', null,"
        " 'clocks', '{}'::jsonb) || {changes}) made where i.id = (select min(id) from incident)"
    )
    closed = (
        "jsonb_build_object('state', 'closed', 'ended_at', now(), 'disposed_at', now(), 'overdue_since', null,"
        " 'rating', 3 + g %% 3, 'last_verb', 'rate', 'disposed_on_time', g %% 7 > 0)"
    )
    still = (
        "jsonb_build_object('severity', 4,"
        " 'overdue_since', case when g %% 8 = 0 then now() - interval '100 hours' end)"
    )
    for changes, n, begin in ((closed, CLOSED, 10**12), (still, OPEN, 2 * 10**12)):
        areas = [
            village if g % 5 == 0 else villages[g % (40 if g % 3 == 0 else len(villages))] for g in range(n)
        ]
        types = [categories[g % len(categories)] for g in range(n)]
        connection.execute(
            copied.replace("{changes}", changes).encode(), {"areas": areas, "types": types, "from": begin}
        )

"""Let the town's other people report and act while somebody sits at the workbench, and look at its page."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import psycopg
from streamlit.testing.v1 import AppTest

from dashboard.data import CityReads
from dashboard.data import workbench as bench
from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Command, Incident, Report
from models.servers.database import psycopg_dsn
from tests.small_city import EAST, IN_EAST, TOWN

DISPATCHER = Actor("dispatcher:other", "dispatcher", TOWN)
DUTY = Actor("duty_leader:other", "duty_leader", TOWN)

_serial = count(1)


class Town:
    """The town's other people: they report and act through the same Desk."""

    def __init__(self, url: str) -> None:
        self.url = url

    def report(self, area: str = EAST, **changes: Any) -> int:
        return self.reports(1, area, **changes)[0]

    def reports(self, number: int, area: str = EAST, **changes: Any) -> list[int]:
        made = []
        lon, lat = changes.get("at", IN_EAST)
        for _ in range(number):
            n = next(_serial)
            made.append(
                Report(
                    n, "test", str(n), changes.get("category", "0104"), "有人<b>聚赌</b>", "", area, lon, lat, "point",
                    datetime.now(UTC),
                )
            )  # fmt: skip
        with Desk(self.url) as desk:
            outcomes = desk.report(made, datetime.now(UTC))
        return [outcome.incident_id for outcome in outcomes if outcome.incident_id is not None]

    def act(self, verb: str, incident_id: int, actor: Actor = DISPATCHER, **args: Any) -> None:
        self.act_on([incident_id], verb, actor, **args)

    def act_on(self, ids: list[int], verb: str, actor: Actor = DISPATCHER, **args: Any) -> None:
        with Desk(self.url) as desk:
            commands = [Command(verb, one, actor, f"t-{next(_serial)}", args) for one in ids]
            for outcome in desk.act(commands, datetime.now(UTC)):
                assert outcome.refusal is None, outcome.refusal.words("en")

    def teams(self) -> list[int]:
        with psycopg.connect(psycopg_dsn(self.url)) as connection:
            return [row[0] for row in connection.execute("select id from team order by id").fetchall()]


def open_page(**query: str) -> AppTest:
    test = AppTest.from_string(
        "from dashboard.screens import workbench\nworkbench.page()", default_timeout=180
    )
    for key, value in query.items():
        test.query_params[key] = value
    return checked(test.run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception, [each.message for each in page.exception]
    return page


def button(page: AppTest, key: str) -> Any:
    return next(each for each in page.button if each.key == key)


def state(reads: CityReads, incident_id: int) -> Incident:
    return states(reads, [incident_id])[0]


def states(reads: CityReads, ids: list[int]) -> list[Incident]:
    return bench.several(reads, SYSTEM_EYES, ids)


SYSTEM_EYES = Actor("auditor:test", "auditor", "990900")

"""Let the demo city's people report and act while somebody watches, in areas that its directory names."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import redis

from dashboard.data import CityReads
from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Command, Report

CITY, OTHER_COUNTY = "445300", "445381"

_serial = count(1)


class People:
    """Report and act as the demo's people would."""

    def __init__(self, url: str, stream: redis.Redis | None = None) -> None:
        self.desk = Desk(url, stream)
        self.reads = CityReads(url)

    def report(self, area: str, category: str = "0104", at: datetime | None = None) -> int:
        n = next(_serial)
        at = at or datetime.now(UTC)
        report = Report(n, "test", str(n), category, "a <b>test</b>", "", area, 112.0, 22.9, "point", at)
        outcome = self.desk.report([report], at)[0]
        assert outcome.incident_id is not None, outcome.refusal
        return outcome.incident_id

    def act(self, verb: str, incident_id: int, actor: Actor, at: datetime | None = None, **args: Any) -> None:
        command = Command(verb, incident_id, actor, f"c{next(_serial)}", args)
        outcome = self.desk.act([command], at or datetime.now(UTC))[0]
        assert outcome.status == "done", outcome.refusal and outcome.refusal.words("en")


DISPATCHER = Actor("dispatcher", "dispatcher", CITY)


def cell(reads: CityReads, prefix: str = "445302001") -> str:
    areas = reads.directory().areas
    return next(code for code in sorted(areas) if code.startswith(prefix) and len(code) == 17)

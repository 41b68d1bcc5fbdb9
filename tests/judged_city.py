"""Read the months of the judged city as its leader sees them: a card, and a subject that was late with a case."""

from __future__ import annotations

from datetime import date

from dashboard.data import CityReads, judged
from dashboard.data import assessment as reading
from dashboard.data.assessment import Card, Month
from dispatch.rules.incident.chain import Actor
from dispatch.scores import scoring
from tests.templates import LIVED_MONTH as MAY

CITY, COUNTY, TOWN, VILLAGE = "445300", "445302", "445302001", "445302001009"
BOSS = Actor("leader", "leader", CITY)


def month(reads: CityReads, first: date = MAY) -> Month:
    """Return an assessed month."""
    return next(each for each in reading.months(reads) if each.month == first)


def card(reads: CityReads, kind: str, subject: str, first: date = MAY, name: str = "") -> Card:
    """Return a card as the city's leader sees it."""
    found = reading.card(reads, BOSS, kind, subject, month(reads, first), name or scoring.CARDS[kind][0])
    assert found is not None
    return found


def late(
    reads: CityReads, first: date, kind: str = "team", name: str = "on_time_disposal", label: str = "late"
) -> tuple[Card, int]:
    """Return the card of a subject that was too late with a case, and that case, which is closed."""
    for each in reading.listed(reads, BOSS, kind, month(reads, first)):
        found = card(reads, kind, each.subject, first)
        ids = judged.sets_of(reading.bundles(reads, found), name)[label]
        rows = judged.rows(reads, BOSS, (kind, each.subject), ids, found.month.as_of) if ids else []
        closed = [row.id for row in rows if row.state == "closed" and row.appeal is None]
        if closed:
            return found, closed[0]
    raise AssertionError(f"no {kind} was late with a closed case")


def area_of(reads: CityReads, case: int) -> str:
    """Return where a case lies."""
    found = judged.asked(reads, BOSS, case)
    assert found is not None
    return found.area_code

"""Say what phones send, typed, and what the intake and the Desk are given of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from dashboard.data import Viewer
from dispatch.intake import contacts, photos
from dispatch.rules.areas import level_of

TEXT_LIMIT: Final = 500
PHOTOS_LIMIT: Final = 6
NEAR_M: Final = 100.0  # a position less certain than this only says about where
_Id = Annotated[str, Meta(min_length=8, max_length=80, pattern=r"^[A-Za-z0-9-]+$")]
_Photo = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
_Photos = Annotated[list[_Photo], Meta(max_length=PHOTOS_LIMIT)]
_Text = Annotated[str, Meta(max_length=TEXT_LIMIT)]


class _Position(msgspec.Struct, forbid_unknown_fields=True):
    lon: Annotated[float, Meta(ge=-180, le=180)]
    lat: Annotated[float, Meta(ge=-90, le=90)]
    accuracy: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0


class Report(msgspec.Struct, forbid_unknown_fields=True):
    """A report as a phone sends it."""

    id: _Id
    written_at: Annotated[datetime, Meta(tz=True)]
    category: Annotated[str, Meta(max_length=40)] | None = None
    text: _Text = ""
    address: Annotated[str, Meta(max_length=200)] = ""
    position: _Position | None = None
    area: Annotated[str, Meta(max_length=17)] | None = None
    photos: _Photos = []


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """A step on a case as a phone sends it."""

    id: _Id
    incident_id: int
    verb: Annotated[str, Meta(max_length=40)]
    reason: _Text | None = None
    result: _Text | None = None
    note: _Text | None = None
    photos: _Photos = []
    position: _Position | None = None
    real: bool | None = None
    settled: bool | None = None
    rating: Annotated[int, Meta(ge=1, le=5)] | None = None
    limit: Annotated[str, Meta(max_length=10)] | None = None
    whistle_kind: Literal["hard", "joint", "emergency"] | None = None
    return_kind: Literal["not_ours", "no_means", "other"] | None = None
    standard: Annotated[list[Annotated[str, Meta(max_length=20)]], Meta(max_length=10)] | None = None


class Draft(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody has written so far."""

    text: _Text


def message_of(sent: Report, source: str, who: Viewer, now: datetime) -> bytes:
    """Return the report as the intake reads it; a place picked from a list comes as its area, never as a point."""
    message: dict[str, Any] = {
        "v": 1,
        "source": source,
        "source_id": sent.id,
        "text": sent.text,
        "address": sent.address,
        # A phone whose clock runs ahead is no reason to lose a report.
        "reported_at": min(sent.written_at, now).isoformat(),
        "reporter": contacts.of_account(who.login),
        "photos": [photos.SCHEME + name for name in sent.photos],
    }
    if sent.category:
        message["category"] = sent.category
    if sent.position is not None:
        message |= {"lon": sent.position.lon, "lat": sent.position.lat}
        message["approximate"] = sent.position.accuracy > NEAR_M
    area = sent.area if sent.area and _is_code(sent.area) else None
    if area is None and sent.position is None:
        area = who.area
    if area is not None:
        message["area"] = area
    return msgspec.json.encode(message)


def _is_code(text: str) -> bool:
    try:
        level_of(text)
    except ValueError:
        return False
    return True


def arguments_of(sent: Step) -> dict[str, Any]:
    """Return what is given with a step, as a command takes it."""
    plain = {
        name: value
        for name in (
            "reason",
            "result",
            "note",
            "real",
            "settled",
            "rating",
            "limit",
            "whistle_kind",
            "return_kind",
            "standard",
        )
        if (value := getattr(sent, name)) is not None
    }
    if sent.photos:
        plain["photos"] = [photos.SCHEME + name for name in sent.photos]
    if sent.position is not None:
        plain["position"] = [sent.position.lon, sent.position.lat]
    return plain

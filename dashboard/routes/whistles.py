"""Push the whistle board: its rows as the screen shows them, asked for every two seconds and rarely sent."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import UTC, datetime
from typing import Final

import msgspec
import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.access import viewer
from dashboard.data import Directory, Reads, Viewer, field, whistles
from dashboard.data.whistles import Board, Whistle
from dashboard.live.messages import BoardMessage, BoardRate, BoardRow
from dashboard.live.tiles import axis, ms
from dashboard.pages import PLACES
from dashboard.wording.catalogue import Translate, chosen, pick, translator
from dispatch.intake.messages import show_number
from dispatch.rules.areas import level_of
from dispatch.rules.incident.values import Actor
from dispatch.rules.law import ASSIGNMENT_STATES
from dispatch.rules.time.clocks import Clock, light, yellow_from

AGE_S: Final = 30.0  # rates and lights move by the clock too
BODIES_KEPT: Final = 500


class Whistling:
    """Serve the rows of the whistle board to one process's viewers."""

    def __init__(self, door: Reads) -> None:
        self._door = door
        self._pulse = field.Pulse(door)
        self._bodies: dict[tuple[Actor, str, str], tuple[tuple[int, int], float, str, bytes]] = {}

    def routes(self) -> list[Route]:
        """Return the routes, for a Starlette application."""
        return [Route("/whistles/rows", self.rows, methods=["GET"])]

    async def rows(self, request: Request) -> Response:
        """Answer with the board of `?area=`; 304 while nothing has changed since the tag that the screen holds."""
        lang = chosen(request.query_params.get("lang"))
        try:
            who = await viewer(self._door, request)
            if who is None:
                return JSONResponse({"reason": "signed_out"}, 401)
            if who.role not in PLACES["whistles"].roles:
                return JSONResponse({"reason": "not_role"}, 403)
            area = request.query_params.get("area", "") or who.area
            try:
                level_of(area)
            except ValueError:
                return JSONResponse({"reason": "bad_area"}, 422)
            pulse = await asyncio.to_thread(self._pulse.of, who.actor)
            key = (who.actor, area, lang)
            known = self._bodies.get(key)
            if known is None or known[0] != pulse or time.monotonic() - known[1] > AGE_S:
                body = await asyncio.to_thread(self._body, who, area, lang)
                if len(self._bodies) >= BODIES_KEPT:
                    self._bodies.clear()
                tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
                known = self._bodies[key] = (pulse, time.monotonic(), tag, body)
        except psycopg.Error:
            return JSONResponse({"reason": "unavailable"}, 503)
        headers = {"ETag": known[2], "Cache-Control": "no-store"}
        if request.headers.get("if-none-match") == known[2]:
            return Response(status_code=304, headers=headers)
        return Response(known[3], headers=headers, media_type="application/json")

    def _body(self, who: Viewer, area: str, lang: str) -> bytes:
        now = datetime.now(UTC)
        directory = self._door.known()
        found = whistles.board(self._door, who.actor, area, directory.calendar.midnight(now), now)
        return msgspec.json.encode(shown(found, directory, lang, now))


def shown(board: Board, directory: Directory, lang: str, now: datetime) -> BoardMessage:
    """Return a board as the screen shows it: words in its language, instants in milliseconds."""
    _ = translator(lang)
    return BoardMessage(
        rows=[row(each, directory, lang, now) for each in board.rows],
        rates=[
            BoardRate(
                name=rate.indicator.zh
                if lang == "zh"
                else rate.indicator.en[:1].upper() + rate.indicator.en[1:],
                n=float(rate.n),
                d=rate.d,
                top=rate.indicator.top,
            )
            for rate in board.rates.values()
        ],
        inside=board.inside,
        more=board.more,
        axis=axis(directory),
    )


def row(whistle: Whistle, directory: Directory, lang: str, now: datetime) -> BoardRow:
    """Return one whistle as the screen shows it."""
    _ = translator(lang)
    incident, part = whistle.incident, whistle.part
    kind = directory.types.get(incident.category)
    team = directory.teams.get(part.team_id)
    clock = whistle.next
    arrive = part.clocks.get("arrive")
    yellow = yellow_from(clock, directory.calendar) if clock is not None and clock.awaited else None
    names = ASSIGNMENT_STATES[part.state]
    return BoardRow(
        id=incident.id,
        part=part.id,
        number=show_number(incident.number),
        title=incident.category if kind is None else pick(lang, kind.name, kind.name_en),
        severity=incident.severity,
        place=place(incident.area_code, directory, lang),
        team=str(part.team_id) if team is None else pick(lang, team.name, team.name_en),
        kind=whistle_kind(str(part.facts.get("whistle_kind", "")), _),
        state=names[0 if lang == "zh" else 1],
        over=part.state in ("refused", "declined", "recalled"),
        review=part.state == "review",
        sent=ms(part.sent_at),
        answered=_ms(whistle.ended("pick_up")),
        arrived=_ms(whistle.ended("arrive")),
        done=_ms(whistle.done_at),
        ended=part.state == "ended",
        rating=whistle.rating,
        answer_due=_due(part.clocks.get("pick_up")),
        arrive_due=_due(arrive),
        due=_due(clock),
        yellow=_ms(yellow),
        # How it came out once it is there: in time or late.
        light="" if arrive is None or arrive.ended is None else light(arrive, now, directory.calendar),
        late_answer=(pick_up := part.clocks.get("pick_up")) is not None and pick_up.state == "breached",
    )


def whistle_kind(kind: str, _: Translate) -> str:
    """Return the kind of a whistle in words; one that the type of incident blew by itself has none."""
    kinds = {"hard": _("hard problem"), "joint": _("joint enforcement"), "emergency": _("emergency")}
    return kinds.get(kind, "")


def place(code: str, directory: Directory, lang: str) -> str:
    """Return town and village of an area, as far as they are known."""
    names = [directory.areas[each] for each in (code[:9], code[:12]) if each in directory.areas]
    parts = dict.fromkeys(pick(lang, each.name, each.name_en) for each in names if each.level >= 3)
    return ("" if lang == "zh" else ", ").join(parts if lang == "zh" else reversed(parts))


def _due(clock: Clock | None) -> int | None:
    return None if clock is None else _ms(clock.due)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else ms(at)

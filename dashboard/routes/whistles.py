"""Serve the whistle board: its rows as the screen shows them, asked for every two seconds and rarely sent."""

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
from dashboard.data import CityReads, Viewer, field, whistles
from dashboard.live.whistles import shown
from dashboard.pages import PLACES
from dashboard.wording.catalogue import chosen
from dispatch.rules.areas import level_of
from dispatch.rules.incident.values import Actor

AGE_S: Final = 30.0  # rates and lights move by the clock too
BODIES_KEPT: Final = 500


class WhistleBoards:
    """Serve the rows of the whistle board to one process's viewers."""

    def __init__(self, city: CityReads) -> None:
        self._city = city
        self._pulse = field.Pulse(city)
        self._bodies: dict[tuple[Actor, str, str], tuple[tuple[int, int], float, str, bytes]] = {}

    def routes(self) -> list[Route]:
        """Return the routes, for a Starlette application."""
        return [Route("/whistles/rows", self.rows, methods=["GET"])]

    async def rows(self, request: Request) -> Response:
        """Answer with the board of `?area=`; 304 while nothing has changed since the tag that the screen holds."""
        lang = chosen(request.query_params.get("lang"))
        try:
            who = await viewer(self._city, request)
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
        directory = self._city.known()
        found = whistles.board(self._city, who.actor, area, directory.calendar.midnight(now), now)
        return msgspec.json.encode(shown(found, directory, lang, now))

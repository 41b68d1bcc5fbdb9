"""The stream of a command desk's queue, and its counts: for whoever is signed in, and of their own area alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dashboard.access import viewer
from dashboard.data import CityReads
from dashboard.data.scope import covers
from dashboard.live import Client, Live
from dashboard.wording.catalogue import chosen

CLIENTS_LIMIT = 2_000
# A stream ends after this long and the page opens it anew: a session that has ended hears nothing more.
LONGEST_S = 300.0


class DeskStream:
    """Answer `/desk/{area}` with the rows of the queue as server-sent events."""

    def __init__(self, city: CityReads, live: Live) -> None:
        self._city, self._live = city, live

    async def stream(self, request: Request) -> Response:
        """Answer with the event stream, or with why not; an area out of scope is answered like one that is not."""
        area = request.path_params["area"]
        try:
            who = await viewer(self._city, request)
        except psycopg.Error:
            return _problem(503, "the database does not answer; try again in a moment")
        if who is None:
            return _problem(401, "sign in first")
        if self._live.picture is None:
            return _problem(503, "the city is not loaded yet; try again in a moment")
        if not self._live.knows(area) or not covers(who.actor, area):
            return _problem(404, f"no area {area[:20]}")
        if self._live.clients >= CLIENTS_LIMIT:
            return _problem(503, "too many desks are open; try again later")
        return StreamingResponse(
            self._bounded(area, chosen(request.query_params.get("lang"))),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def counts(self, request: Request) -> Response:
        """Answer `/counts` with what is past its limit in the area of whoever is signed in, by the page of each."""
        try:
            who = await viewer(self._city, request)
        except psycopg.Error:
            return _problem(503, "the database does not answer; try again in a moment")
        if who is None:
            return _problem(401, "sign in first")
        counts = self._live.pressing(who.area)
        if counts is None:
            return _problem(503, "the numbers are not known now; try again in a moment")
        return JSONResponse(counts, headers={"Cache-Control": "no-store"})

    async def _bounded(self, area: str, lang: str) -> AsyncIterator[bytes]:
        client = Client(None)
        ending = asyncio.get_running_loop().call_later(LONGEST_S, client.close)
        try:
            async for message in self._live.desk(area, lang, client):
                yield message
        finally:
            ending.cancel()


def _problem(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status_code=status)

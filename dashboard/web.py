"""The ASGI app: Streamlit's pages, the push to walls, map shapes and the HTTP door in one process."""

from __future__ import annotations

import asyncio
import gc
import gzip
import hashlib
import importlib
import importlib.util
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import plotly
import psycopg
import shapely
import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.components.inner import config
from dashboard.data import CityReads, demo, digest, reads
from dashboard.live import Client, Live
from dashboard.routes import offline
from dashboard.routes.login import Login
from dashboard.routes.phone import Phone
from dashboard.routes.queue_stream import DeskStream
from dashboard.routes.whistles import WhistleBoards
from dashboard.wording.catalogue import chosen
from dispatch.rules.areas import Level, contains, level_of
from models.servers.database import Servers, addresses

SCRIPT = Path(__file__).with_name("app.py")
PLOTLY_PATH = f"/assets/plotly-{plotly.__version__}.min.js"
DEMO_KEY = "demo"
KEYS_AGE_S = 5.0
SHAPE_DIGITS = 5  # about one metre
SHAPES_KEPT = 200
CLIENTS_LIMIT = 20_000
# Child areas are one level down; a village's are its micro grids, since few small grids have shapes of their own.
_CHILD_LEVEL = {Level.CITY: 2, Level.COUNTY: 3, Level.TOWN: 4, Level.VILLAGE: 6, Level.SMALL: 6}
_OPTIONS = {
    # By default every script run ends in a full collection: nine times the cost of the page itself.
    "runner.postScriptGC": False,
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": False,
    "server.headless": True,
    "client.toolbarMode": "minimal",
    # A traceback is for the log, not for a stranger's screen.
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "theme.base": "light",
    "theme.primaryColor": "#1b4f8f",
    "theme.backgroundColor": "#f3f5f6",
    "theme.secondaryBackgroundColor": "#e9edf0",
    "theme.textColor": "#14191e",
    "theme.borderColor": "#d9dfe4",
    "theme.baseRadius": "small",
    "theme.font": "Source Han Sans SC, Noto Sans CJK SC, PingFang SC, Microsoft YaHei, sans-serif",
}


def create_app(servers: Servers | None = None) -> st.App:
    """Build the app on the servers that the environment names, or on the given ones; one for a process."""
    where = servers or addresses()
    if servers is not None:
        os.environ.update(DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url)
    for name, value in _OPTIONS.items():
        config.set_option(name, value)
    city = reads()
    live = Live(city, where.redis_url, demo())
    walls = _Walls(city, live)
    desks = DeskStream(city, live)
    phone = Phone(city, where.redis_url)

    @asynccontextmanager
    async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
        async with live.running():
            settle()
            yield {"live": live}
        await phone.close()
        city.close()

    routes: list[BaseRoute] = [
        Route("/live/{area}", walls.stream),
        Route("/desk/{area}", desks.stream),
        Route("/counts", desks.counts),
        Route("/shapes/{file}", walls.shapes),
        Route(PLOTLY_PATH, _plotly),
        *Login(city).routes(),
        *phone.routes(),
        *offline.routes(),
        *WhistleBoards(city).routes(),
        *_door_routes(),
    ]
    return st.App(SCRIPT, lifespan=lifespan, routes=routes, middleware=[Middleware(_Rooted)])


def settle() -> None:
    """Keep the collector from what start-up made, which stays, and let it look less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


class _Rooted:
    """Tell Streamlit's page where its server is.

    Opened at `/wall` it would first look for it below `/wall/`, and every wall would begin with two errors in the
    browser's console.
    """

    _SAYS = (
        b"<head><script>window.__streamlit={...window.__streamlit,"
        b"BACKEND_BASE_URL:location.origin+'/',HOST_CONFIG_BASE_URL:location.origin+'/',"
        b"MAIN_PAGE_BASE_URL:location.origin+'/'}</script>"
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; pages of HTML get the one line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if any(name == b"accept" and b"text/html" in value for name, value in scope["headers"]):
            # The page itself is small; packed, it could not be written into.
            scope = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"accept-encoding"]}
        started: Message | None = None
        body = b""

        async def pass_on(message: Message) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                if (
                    headers.get("content-type", "").startswith("text/html")
                    and "content-encoding" not in headers
                ):
                    started = message
                    return
            if started is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                page = body.replace(b"<head>", self._SAYS, 1)
                if "content-length" in (headers := MutableHeaders(raw=started["headers"])):
                    headers["content-length"] = str(len(page) if body else 0)
                await send(started)
                await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, pass_on)


class _Walls:
    """What a wall fetches: its stream and its shapes, behind the same key."""

    def __init__(self, city: CityReads, live: Live) -> None:
        self._city, self._live = city, live
        self._keys: dict[str, str] = {}
        self._keys_at = -KEYS_AGE_S
        self._shapes: dict[tuple[str, int], tuple[str, bytes]] = {}

    async def stream(self, request: Request) -> Response:
        """Answer with the event stream of an area; a person's browser is sent to the page of its wall."""
        area = request.path_params["area"]
        if "text/html" in request.headers.get("accept", ""):
            query = {"area": area, "embed": "true"}
            query |= {
                name: request.query_params[name] for name in ("lang", "key") if name in request.query_params
            }
            return RedirectResponse(f"/wall?{urlencode(query)}")
        refusal, key = await self._refused(request, area)
        if refusal is not None:
            return refusal
        if self._live.clients >= CLIENTS_LIMIT:
            return _problem(503, "too many walls are open; try again later")
        lang = chosen(request.query_params.get("lang"))
        return StreamingResponse(
            self._live.stream(area, lang, Client(key)),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def shapes(self, request: Request) -> Response:
        """Answer with the outlines of an area's child areas, or of those at `?level=`, as GeoJSON."""
        area, dot, ending = request.path_params["file"].partition(".")
        if (dot, ending) != (".", "geojson"):
            return _problem(404, "no such file")
        refusal, _ = await self._refused(request, area)
        if refusal is not None:
            return refusal
        wish = request.query_params.get("level", "")
        level = int(wish) if wish in ("2", "3", "4", "5", "6") else _CHILD_LEVEL.get(level_of(area), 6)
        if (area, level) not in self._shapes:
            if len(self._shapes) >= SHAPES_KEPT:
                self._shapes.clear()
            try:
                body = await asyncio.to_thread(lambda: gzip.compress(_geojson(self._city, area, level), 6))
            except psycopg.Error:
                return _problem(503, "the database does not answer; try again in a moment")
            self._shapes[area, level] = (f'"{hashlib.sha256(body).hexdigest()[:20]}"', body)
        tag, body = self._shapes[area, level]
        return _packed(request, tag, body, "application/geo+json", "private, max-age=300")

    async def _refused(self, request: Request, area: str) -> tuple[Response | None, str | None]:
        """Return the refusal, if any, and the digest of the key that opened the door, if one was needed."""
        if not self._live.knows(area):
            if self._live.picture is None:
                return _problem(503, "the city is not loaded yet; try again in a moment"), None
            return _problem(404, f"no area {area[:20]}"), None
        key = request.query_params.get("key", "")
        if demo() and key in ("", DEMO_KEY):
            return None, None
        if key:
            now = asyncio.get_running_loop().time()
            if now - self._keys_at > KEYS_AGE_S:
                try:
                    self._keys = await asyncio.to_thread(self._city.wall_keys)
                except psycopg.Error:
                    # A wall that was open stays open while the database is away, and tells its age itself.
                    if digest(key) not in self._keys:
                        return _problem(503, "the database does not answer; try again in a moment"), None
                self._keys_at = now
            opens = self._keys.get(digest(key))
            if opens is not None and contains(opens, area):
                return None, digest(key)
        return _problem(403, "this wall needs a key that opens its area"), None


def _geojson(city: CityReads, area: str, level: int) -> bytes:
    rows = city.shapes(area, level)
    shapes = shapely.set_precision(
        shapely.from_wkb([wkb for _, wkb in rows]), 10**-SHAPE_DIGITS, mode="pointwise"
    )
    features = [
        {
            "type": "Feature",
            "id": each.code,
            "properties": {"code": each.code, "name": each.name, "name_en": each.name_en},
            "geometry": _rounded(shapely.geometry.mapping(shape)),
        }
        for (each, _), shape in zip(rows, shapes, strict=True)
    ]
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, SHAPE_DIGITS)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_rounded(each) for each in value]
    return value


async def _plotly(request: Request) -> Response:
    tag, body = await asyncio.to_thread(_plotly_file)
    return _packed(request, tag, body, "text/javascript", "public, max-age=31536000, immutable")


@cache
def _plotly_file() -> tuple[str, bytes]:
    """Return the installed plotly.js, compressed once."""
    file = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    body = gzip.compress(file.read_bytes(), 6)
    return f'"{hashlib.sha256(body).hexdigest()[:20]}"', body


def _packed(request: Request, tag: str, body: bytes, kind: str, caching: str) -> Response:
    headers = {"ETag": tag, "Cache-Control": caching, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(body, media_type=kind, headers=headers)
    return Response(gzip.decompress(body), media_type=kind, headers=headers)


def _problem(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status_code=status)


def _door_routes() -> Sequence[BaseRoute]:
    """Return the routes of the HTTP door, where it is installed."""
    if importlib.util.find_spec("dashboard.routes.api") is None:
        return ()
    found: Sequence[BaseRoute] | Callable[[], Sequence[BaseRoute]] = importlib.import_module(
        "dashboard.routes.api"
    ).routes
    return found() if callable(found) else found

"""The doors that phones use: tasks out, photos, reports and steps in, each safe to send again."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import psycopg
import redis.asyncio
import shapely
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.access import OWN, from_our_page, viewer
from dashboard.data import CityReads, Directory, Viewer, field
from dashboard.live.messages import GridArea, GridMap, Task, TasksMessage
from dashboard.routes.phone_messages import Draft, Report, Step, arguments_of, message_of
from dashboard.wording.catalogue import chosen, pick
from dispatch.intake import photos
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.intake.message_stream import RECEIVED
from dispatch.intake.messages import Problem, number_of, parse, show_number
from dispatch.intake.photos import NAME, NotAPhoto
from dispatch.intake.suggest import Suggester
from dispatch.rules.areas import Level, at_level, level_of
from dispatch.rules.incident.chain import Command
from dispatch.rules.incident.effects import ON_SITE_M
from dispatch.rules.incident.values import Actor
from dispatch.rules.policy.policy import Policy

BODY_LIMIT_BYTES: Final = 64 * 1024
RECEIVED_KEPT_S: Final = 24 * 3600
UPLOADS_ALLOWED: Final = 120  # photos of one account within ten minutes
UPLOADS_WITHIN_S: Final = 600.0
ACCOUNTS_KEPT: Final = 20_000
STREAM_TIMEOUT_S: Final = 3.0
MAPS_KEPT: Final = 200
MAP_DIGITS: Final = 5  # about one metre
MAP_COARSE: Final = 0.00003  # degrees, about three metres: finer than a thumb
REPORTERS: Final = frozenset({"resident", "grid_worker", "grid_head", "village", "team"})
ACTORS: Final = frozenset({"grid_worker", "grid_head", "village", "team"})
# Of a resident on their own report.
RESIDENTS_VERBS: Final = frozenset({"rate", "reopen", "note"})

REASONS: Final[dict[str, tuple[str, str]]] = {
    "signed_out": ("请重新登录；没发的都还在这台手机里", "Sign in again; what was not sent is still on this phone"),
    "not_own_page": ("请求不是从本页面发出的", "The request does not come from a page of ours"),
    "not_role": ("您的身份不能这样做", "Your role may not do this"),
    "too_large": ("内容太大", "It is too large"),
    "bad_body": ("内容格式不对", "It is not of the right form"),
    "unknown": ("没有这个件，或不在您的范围内", "There is no such case, or it is not yours to see"),
    "not_your_photo": ("照片不是您上传的，请重新拍", "The photo was not sent by you: take it again"),
    "taken": ("凭号已被别人用过", "This receipt is taken"),
    "too_fast": ("发送太多，过几分钟会自动再发", "Too many at once: it will be sent again in a few minutes"),
    "unavailable": ("服务暂时没有应答，会自动再发", "The service does not answer now: it will be sent again"),
    "no_photo": ("没有这张照片，或不在您的范围内", "There is no such photo, or it is not yours to see"),
}  # fmt: skip


class Refused(Exception):
    """A request is refused: HTTP status and its reason, a code of `REASONS` or a sentence in both languages."""

    def __init__(
        self, status: int, reason: str, words: tuple[str, str] | None = None, wait_s: int = 0
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.wait_s = status, reason, wait_s
        self.words = words or REASONS[reason]


class Phone:
    """Serve the phones of one process; opens its connection to the stream at the first report."""

    def __init__(self, city: CityReads, redis_url: str) -> None:
        self._city = city
        self._redis_url = redis_url
        self._stream: redis.asyncio.Redis | None = None
        self._pulse = field.Pulse(city)
        self._bodies: dict[tuple[Actor, str], tuple[tuple[int, int], str, bytes]] = {}
        self._suggests: tuple[Policy, Suggester] | None = None
        self._uploads: dict[int, tuple[float, int]] = {}
        self._maps: dict[tuple[str, str], tuple[str, bytes]] = {}

    def routes(self) -> list[Route]:
        """Return the routes, for a Starlette application."""
        return [
            Route("/phone/tasks", self._answering(self.tasks), methods=["GET"]),
            Route("/phone/photos", self._answering(self.take_photo), methods=["POST"]),
            Route("/phone/reports", self._answering(self.report), methods=["POST"]),
            Route("/phone/steps", self._answering(self.step), methods=["POST"]),
            Route("/phone/suggest", self._answering(self.suggest), methods=["POST"]),
            Route("/phone/map", self._answering(self.map), methods=["GET"]),
            Route("/photos/{name}", self._answering(self.photo), methods=["GET"]),
            Route("/photos/{name}/small", self._answering(self.photo), methods=["GET"]),
        ]

    async def close(self) -> None:
        """Close the connection to the stream."""
        if self._stream is not None:
            await self._stream.aclose()

    def _answering(
        self, answer: Callable[[Request, Viewer], Awaitable[Response]]
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def answered(request: Request) -> Response:
            lang = chosen(request.query_params.get("lang"))
            try:
                if request.method == "POST" and not (OWN in request.headers and from_our_page(request)):
                    raise Refused(403, "not_own_page")
                who = await viewer(self._city, request)
                if who is None:
                    raise Refused(401, "signed_out")
                return await answer(request, who)
            except Refused as refused:
                return _refusal(refused, lang)
            except (psycopg.Error, RedisError, OSError, TimeoutError):
                return _refusal(Refused(503, "unavailable"), lang)
            except ClientDisconnect:
                return Response(status_code=400)

        return answered

    # --- tasks out ---

    async def tasks(self, request: Request, who: Viewer) -> Response:
        """Answer with what waits for the viewer; 304 while nothing has changed since the tag they hold."""
        if who.role not in ACTORS:
            raise Refused(403, "not_role")
        lang = chosen(request.query_params.get("lang"))
        pulse = await asyncio.to_thread(self._pulse.of, who.actor)
        known = self._bodies.get((who.actor, lang))
        if known is None or known[0] != pulse:
            body = await asyncio.to_thread(self._tasks, who, lang)
            if len(self._bodies) >= ACCOUNTS_KEPT:
                self._bodies.clear()
            known = self._bodies[who.actor, lang] = (
                pulse,
                f'"{hashlib.sha256(body).hexdigest()[:20]}"',
                body,
            )
        headers = {"ETag": known[1], "Cache-Control": "no-store"}
        if request.headers.get("if-none-match") == known[1]:
            return Response(status_code=304, headers=headers)
        return Response(known[2], headers=headers, media_type="application/json")

    def _tasks(self, who: Viewer, lang: str) -> bytes:
        directory = self._city.known()
        found = field.tasks(self._city, who.actor, datetime.now(UTC))
        return msgspec.json.encode(TasksMessage([_shown(each, who.actor, directory, lang) for each in found]))

    # --- photos ---

    async def take_photo(self, request: Request, who: Viewer) -> Response:
        """Take one photo as the body; answer with its name, and whether another case carries the same picture."""
        if who.role not in REPORTERS:
            raise Refused(403, "not_role")
        self._pay(who)
        raw = await _body(request, photos.UPLOAD_LIMIT_BYTES)
        try:
            photo = await asyncio.to_thread(photos.developed, raw)
        except NotAPhoto as fault:
            raise Refused(422, fault.reason, photos.REASONS[fault.reason]) from fault
        await asyncio.to_thread(lambda: photos.store().put(photo))
        used = await asyncio.to_thread(field.keep_photo, self._city, who, photo, datetime.now(UTC))
        return JSONResponse(
            {"name": photo.name, "used": used, "width": photo.width, "height": photo.height}, 201
        )

    def _pay(self, who: Viewer) -> None:
        now = time.monotonic()
        since, count = self._uploads.get(who.account_id, (now, 0))
        if now - since > UPLOADS_WITHIN_S:
            since, count = now, 0
        if count >= UPLOADS_ALLOWED:
            raise Refused(429, "too_fast", wait_s=int(UPLOADS_WITHIN_S - (now - since)) + 1)
        if len(self._uploads) >= ACCOUNTS_KEPT:
            self._uploads.clear()
        self._uploads[who.account_id] = (since, count + 1)

    async def photo(self, request: Request, who: Viewer) -> Response:
        """Answer with a photo that the viewer sent, or that a case they may see carries; 404 for any other."""
        name = request.path_params["name"]
        if not NAME.fullmatch(name):
            raise Refused(404, "no_photo")
        small = request.url.path.endswith("/small")

        def find() -> bytes | None:
            actor = field.as_reporter(who, self._redis_url)
            return photos.store().get(name, small) if field.sees_photo(self._city, who, actor, name) else None

        content = await asyncio.to_thread(find)
        if content is None:
            raise Refused(404, "no_photo")
        # Kept by this browser alone, and not for long: who may see it can change.
        return Response(
            content,
            media_type="image/jpeg",
            headers={"Cache-Control": "private, max-age=300", "X-Content-Type-Options": "nosniff"},
        )

    # --- reports and steps in ---

    async def report(self, request: Request, who: Viewer) -> Response:
        """Take one report; 202 with its number once the stream has it. The same id again is the same report."""
        if who.role not in REPORTERS:
            raise Refused(403, "not_role")
        sent = _decoded(await _body(request, BODY_LIMIT_BYTES), Report)
        source = "resident_app" if who.role == "resident" else "field_app"
        now = datetime.now(UTC)
        raw = message_of(sent, source, who, now)
        checked = parse(raw, now)
        if isinstance(checked, Problem):
            raise Refused(422, checked.reason, (checked.zh, checked.en))
        number = number_of(source, sent.id)
        await self._own(who, sent.photos)
        begun = await asyncio.to_thread(field.begin_report, self._city, who, number, sent.photos, now)
        if begun == "taken":
            raise Refused(409, "taken")
        if begun == "too_fast":
            raise Refused(429, "too_fast", wait_s=120)
        received = msgspec.json.encode({"state": "received", "source": source})
        async with self._redis().pipeline(transaction=True) as steps:
            steps.xadd(STREAM, {FIELD: raw})
            # A repeat must not hide that the first was refused.
            steps.set(f"{RECEIVED}{number}", received, ex=RECEIVED_KEPT_S, nx=True)
            await asyncio.wait_for(steps.execute(), STREAM_TIMEOUT_S)
        return JSONResponse(
            {"state": "received", "number": show_number(number), "again": begun == "again"}, 202
        )

    async def step(self, request: Request, who: Viewer) -> Response:
        """Take one step on a case; `done`, `duplicate` where its id came before, or 409 with the refusal's words."""
        sent = _decoded(await _body(request, BODY_LIMIT_BYTES), Step)
        allowed = (
            RESIDENTS_VERBS if who.role == "resident" else field.VERBS if who.role in ACTORS else frozenset()
        )
        if sent.verb not in allowed:
            raise Refused(403, "not_role")
        await self._own(who, sent.photos)
        lang = chosen(request.query_params.get("lang"))
        return await asyncio.to_thread(self._take, who, sent, lang)

    def _take(self, who: Viewer, sent: Step, lang: str) -> Response:
        actor = field.as_reporter(who, self._redis_url)
        number = field.visible(self._city, actor, sent.incident_id)
        if number is None:
            raise Refused(404, "unknown")
        command = Command(sent.verb, sent.incident_id, actor, sent.id, arguments_of(sent))
        outcome = self._city.submit([command], datetime.now(UTC), self._redis_url)[0]
        if outcome.refusal is not None:
            refusal = outcome.refusal
            raise Refused(409, refusal.code, (refusal.words("zh"), refusal.words("en")))
        # After the step, and again with its repeat: a photo is attached whenever its step has been taken.
        field.attach(self._city, sent.photos, number)
        return JSONResponse({"state": outcome.status, "number": show_number(number)})

    async def _own(self, who: Viewer, names: list[str]) -> None:
        if await asyncio.to_thread(field.not_own, self._city, who, names):
            raise Refused(422, "not_your_photo")

    # --- what it is about ---

    async def suggest(self, request: Request, who: Viewer) -> Response:
        """Answer with the type that a text speaks of, and the words for it; none where nothing matched."""
        sent = _decoded(await _body(request, BODY_LIMIT_BYTES), Draft)
        policy = await asyncio.to_thread(self._city.policy)
        if self._suggests is None or self._suggests[0] is not policy:
            self._suggests = policy, Suggester(policy.types, policy.fallback)
        found = self._suggests[1].suggest(sent.text)
        return JSONResponse({"category": found.category if found.words else None, "words": list(found.words)})

    async def map(self, request: Request, who: Viewer) -> Response:
        """Answer with the outlines of the grids of the viewer's town: where a place is named, and set by hand."""
        if who.role not in REPORTERS:
            raise Refused(403, "not_role")
        lang = chosen(request.query_params.get("lang"))
        area = at_level(who.area, Level.TOWN) or who.area
        if (area, lang) not in self._maps:
            body = await asyncio.to_thread(self._map, area, lang)
            if len(self._maps) >= MAPS_KEPT:
                self._maps.clear()
            self._maps[area, lang] = (f'"{hashlib.sha256(body).hexdigest()[:20]}"', gzip.compress(body, 6))
        tag, body = self._maps[area, lang]
        headers = {"ETag": tag, "Cache-Control": "private, max-age=3600", "Vary": "Accept-Encoding, Cookie"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                body, media_type="application/json", headers=headers | {"Content-Encoding": "gzip"}
            )
        return Response(gzip.decompress(body), media_type="application/json", headers=headers)

    def _map(self, area: str, lang: str) -> bytes:
        directory = self._city.known()
        # A town is drawn by its micro grids, and by its villages where those have no outlines; a county by its towns.
        small, large = (
            (Level.MICRO, Level.VILLAGE) if level_of(area) >= Level.TOWN else (Level.TOWN, Level.COUNTY)
        )
        rows = self._city.shapes(area, small)
        drawn = {each.code[: len(code)] for each, _ in rows for code in (area, f"{area}000")}
        rows += [row for row in self._city.shapes(area, large) if row[0].code not in drawn]
        areas = []
        for each, wkb in rows:
            shape = shapely.simplify(shapely.from_wkb(wkb), MAP_COARSE)
            rings = [
                [(round(x, MAP_DIGITS), round(y, MAP_DIGITS)) for x, y in part.exterior.coords]
                for part in getattr(shape, "geoms", [shape])
            ]
            areas.append(GridArea(each.code, _place(each.code, "", directory, lang), rings))
        return msgspec.json.encode(GridMap(areas))

    def _redis(self) -> redis.asyncio.Redis:
        if self._stream is None:
            self._stream = redis.asyncio.Redis.from_url(
                self._redis_url, socket_timeout=STREAM_TIMEOUT_S, socket_connect_timeout=STREAM_TIMEOUT_S
            )
        return self._stream


def _shown(task: field.Task, actor: Actor, directory: Directory, lang: str) -> Task:
    """Return a task as the phone shows it: words in its language, instants in milliseconds."""
    incident = task.incident
    kind = directory.types.get(incident.category)
    yellow = field.yellow_at(task.clock, directory)
    part = task.part
    arrive = part.clocks.get("arrive") if part is not None else None
    return Task(
        id=incident.id,
        number=show_number(incident.number),
        title=incident.category if kind is None else pick(lang, kind.name, kind.name_en),
        category=incident.category,
        severity=incident.severity,
        text=incident.text,
        place=_place(incident.area_code, incident.address, directory, lang),
        lon=incident.lon,
        lat=incident.lat,
        sure=incident.located == "point",
        state=incident.state,
        mode=incident.mode,
        verb=task.verb,
        verbs=list(task.verbs),
        clock=field.CLOCK_OF.get(task.verb, "") if task.clock is not None else "",
        due=_ms(task.due),
        yellow=_ms(yellow),
        paused=incident.paused_why,
        whistle=part is not None and part.kind == "whistle",
        arrived=_ms(arrive.ended)
        if arrive is not None and part is not None and part.state == "on_site"
        else None,
        dispute=incident.category.startswith("02"),
        photos=list(task.photos),
        limit_m=ON_SITE_M,
    )


def _place(code: str, address: str, directory: Directory, lang: str) -> str:
    names: list[str] = []
    for each in (code[:12], code):
        known = directory.areas.get(each)
        if known is not None and known.level > int(Level.TOWN):
            names.append(pick(lang, known.name, known.name_en))
    parts = list(dict.fromkeys((*names, address)))
    # Names repeat one another: what another part says whole is said once.
    return " ".join(p for p in parts if p and not any(p != o and p in o for o in parts))


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def _decoded(raw: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as fault:
        found = re.search(r"`\$\.([a-z_]+)", str(fault)) or re.search(r"field `([a-z_]+)`", str(fault))
        name = found[1] if found else "?"
        raise Refused(
            422, "bad_body", (f"内容格式不对：{name}", f"It is not of the right form: {name}")
        ) from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise Refused(422, "bad_body") from fault


async def _body(request: Request, limit: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > limit:
        raise Refused(413, "too_large")
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise Refused(413, "too_large")
        parts.append(chunk)
    return b"".join(parts)


def _refusal(refused: Refused, lang: str) -> Response:
    zh, en = refused.words
    headers = {"Cache-Control": "no-store"}
    if refused.wait_s:
        headers["Retry-After"] = str(refused.wait_s)
    return JSONResponse(
        {"reason": refused.reason, "zh": zh, "en": en, "said": zh if lang == "zh" else en},
        refused.status,
        headers,
    )

"""Open the HTTP door: reports in, one incident out, and the way to its health and its description."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import psycopg
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.routes.api_description import openapi, page
from dashboard.routes.health import Health
from dashboard.routes.refused import LIST_LIMIT, REASONS, Refused
from dashboard.routes.upstream import Upstream, soon
from dispatch.intake import messages
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.intake.message_stream import RECEIVED
from dispatch.intake.messages import Problem, ReportMessage, number_of, parse, parse_number, show_number
from dispatch.rules.incident.chain import STATES, STEPS
from models.servers.database import Servers

BODY_LIMIT_BYTES: Final = 2 * 1024 * 1024
PROBLEMS_SHOWN: Final = 20
KEYS_AGE_S: Final = 30.0
KEYS_MISS_AGE_S: Final = 1.0  # a key made just now works within a second, a wrong one costs one look a second
KEYS_LIMIT: Final = 10_000
RATE_PER_S: Final = 500.0  # reports that one key may send for long
BURST: Final = 5_000.0  # and at once
RECEIVED_KEPT_S: Final = 24 * 3600
EVENTS_SHOWN: Final = 200

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class IntakeApi:
    """Serve the HTTP door of one process; opens its connections at the first request."""

    def __init__(self, servers: Servers | None = None) -> None:
        self._upstream = Upstream(servers)
        self._keys: dict[str, str] = {}
        self._keys_at = -math.inf
        self._buckets: dict[str, tuple[float, float]] = {}
        registry = CollectorRegistry()
        self._requests = Counter(
            "gridwhistle_http_requests", "Requests by door and status", ["door", "status"], registry=registry
        )
        self._received = Counter(
            "gridwhistle_reports_received", "Reports put on the stream", ["source"], registry=registry
        )
        self._seconds = Histogram(
            "gridwhistle_http_seconds", "Seconds to answer, by door", ["door"], registry=registry
        )
        self._health = Health(self._upstream, registry)

    def routes(self) -> list[Route]:
        """Return the routes, for a Starlette application."""
        return [
            Route("/api/v1/incidents", self._answering("post", self.post), methods=["POST"]),
            Route("/api/v1/incidents/{number}", self._answering("get", self.get), methods=["GET"]),
            Route("/healthz", self._answering("healthz", self._health.healthz), methods=["GET"]),
            Route("/metrics", self._health.metrics, methods=["GET"]),
            Route("/openapi.json", openapi, methods=["GET"]),
            Route("/api", page, methods=["GET"]),
            # Otherwise a page of the web app would answer 200 to a mistyped address.
            Route("/api/{rest:path}", self._answering("none", _nowhere), methods=list(METHODS)),
        ]

    def _answering(
        self, door: str, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def answered(request: Request) -> Response:
            began = time.perf_counter()
            try:
                response = await answer(request)
            except Refused as refused:
                response = refused.response()
            self._requests.labels(door, str(response.status_code)).inc()
            self._seconds.labels(door).observe(time.perf_counter() - began)
            return response

        return answered

    # --- reports in ---

    async def post(self, request: Request) -> Response:
        """Take one report or a list of them; 202 once the stream has all of them durably, else none is taken."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "not_json_type")
        source = await self._source(request)
        body = await _body(request)
        raws = _split(body)
        self._pay(source, len(raws))
        now = datetime.now(UTC)
        ready: list[tuple[int, bytes]] = []
        problems: list[dict[str, Any]] = []
        for index, raw in enumerate(raws):
            checked = _checked(bytes(raw), source, now)
            if isinstance(checked, Problem):
                problems.append(
                    {"index": index, "field": checked.field, "reason": checked.reason}
                    | {"zh": checked.zh, "en": checked.en}
                )
            else:
                ready.append(checked)
        if problems:
            shown = {"problems": problems[:PROBLEMS_SHOWN], "problem_count": len(problems)}
            raise Refused(400, problems[0]["reason"], more=problems[0] | shown)
        await self._put(ready, source)
        self._received.labels(source).inc(len(ready))
        numbers = [show_number(number) for number, _ in ready]
        # An object is answered with its number, a list with its numbers in the same order.
        one = {} if body.lstrip()[:1] == b"[" else {"number": numbers[0]}
        return JSONResponse({"state": "received", "numbers": numbers} | one, 202)

    async def _put(self, ready: list[tuple[int, bytes]], source: str) -> None:
        received = msgspec.json.encode({"state": "received", "source": source})

        async def put() -> None:
            async with self._upstream.redis().pipeline(transaction=True) as steps:
                for number, raw in ready:
                    steps.xadd(STREAM, {FIELD: raw})
                    steps.set(f"{RECEIVED}{number}", received, ex=RECEIVED_KEPT_S)
                await steps.execute()

        await soon(put())

    def _pay(self, source: str, cost: int) -> None:
        """Take `cost` reports out of the source's bucket; refuse with the seconds after which they will fit."""
        now = time.monotonic()
        left, since = self._buckets.get(source, (BURST, now))
        left = min(BURST, left + (now - since) * RATE_PER_S)
        if cost > left:
            self._buckets[source] = (left, now)
            raise Refused(429, "too_fast", {"Retry-After": str(math.ceil((cost - left) / RATE_PER_S))})
        self._buckets[source] = (left - cost, now)

    async def _source(self, request: Request) -> str:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        refused = Refused(401, "no_key", {"WWW-Authenticate": "Bearer"})
        if kind.lower() != "bearer" or not key.strip():
            raise refused
        digest = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).hexdigest()
        age = time.monotonic() - self._keys_at
        if age > KEYS_AGE_S or (digest not in self._keys and age > KEYS_MISS_AGE_S):
            try:
                found = await self._upstream.ask(_read_keys)
            except Refused:
                # The stream takes reports while the database is away, from keys that were known before.
                if digest not in self._keys:
                    raise
                self._keys_at = time.monotonic() - KEYS_AGE_S + KEYS_MISS_AGE_S
            else:
                self._keys, self._keys_at = found, time.monotonic()
        if digest not in self._keys:
            raise refused
        return self._keys[digest]

    # --- one incident out ---

    async def get(self, request: Request) -> Response:
        """Answer with an incident of the key's source: its state in words and its timeline, no personal data."""
        source = await self._source(request)
        try:
            number = parse_number(request.path_params["number"])
        except ValueError:
            raise Refused(400, "bad_number") from None
        found = await self._upstream.ask(lambda connection: _read_incident(connection, number, source))
        if found is not None:
            return JSONResponse(found)
        kept = await soon(self._upstream.redis().get(f"{RECEIVED}{number}"))
        state = msgspec.json.decode(kept) if kept is not None else {}
        if state.pop("source", None) != source:
            raise Refused(404, "unknown")
        return JSONResponse(
            {"number": show_number(number)} | state, 202 if state["state"] == "received" else 200
        )


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > BODY_LIMIT_BYTES:
        raise Refused(413, "too_large")
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > BODY_LIMIT_BYTES:
                raise Refused(413, "too_large")
            parts.append(part)
    except ClientDisconnect:
        raise Refused(400, "empty") from None
    return b"".join(parts)


_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _split(body: bytes) -> list[msgspec.Raw] | list[bytes]:
    if body.lstrip()[:1] != b"[":
        return [body]
    try:
        raws = _decode_list(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fault = messages.problem("", "not_json")
        more = {"index": 0, "field": "", "zh": fault.zh, "en": fault.en}
        raise Refused(400, fault.reason, more=more) from None
    if not raws or len(raws) > LIST_LIMIT:
        raise Refused(400, "too_many" if raws else "empty", more={"index": 0, "field": ""})
    return raws


def _checked(raw: bytes, source: str, now: datetime) -> tuple[int, bytes] | Problem:
    """Return the number of a report and the bytes that go on the stream, its source filled in from the key."""
    if len(raw) > messages.MESSAGE_LIMIT_BYTES:
        return messages.problem("", "too_large", messages.MESSAGE_LIMIT_BYTES)
    try:
        fields = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return messages.problem("", "not_json")
    if not isinstance(fields, dict):
        return messages.problem("", "not_object")
    if fields.get("kind", "report") != "report":
        return messages.problem("kind", "bad_choice")
    given = fields.setdefault("source", source)
    if given != source:
        return Problem("source", "source_mismatch", *REASONS["source_mismatch"])
    fields.setdefault("v", messages.VERSION)
    ready = msgspec.json.encode(fields)
    message = parse(ready, now)
    if isinstance(message, Problem):
        return message
    assert isinstance(message, ReportMessage)
    return number_of(message.source, message.source_id), ready


def _read_keys(connection: psycopg.Connection[Any]) -> dict[str, str]:
    found = connection.execute(
        "SELECT sha256, source FROM api_key WHERE revoked_at IS NULL LIMIT %s", (KEYS_LIMIT,)
    )
    return dict(found.fetchall())


def _read_incident(connection: psycopg.Connection[Any], number: int, source: str) -> dict[str, Any] | None:
    row = connection.execute(
        "SELECT i.id, i.source_id, i.state, i.category, c.name, c.name_en, i.area_code, i.reported_at, i.received_at,"
        " i.ended_at FROM receipt r JOIN incident i ON i.id = r.incident_id AND i.number = r.key"
        " JOIN category c ON c.code = i.category WHERE r.key = %s AND i.source = %s",
        (number, source),
    ).fetchone()
    if row is None:
        return None
    events = connection.execute(
        "SELECT at, verb FROM event WHERE incident_id = %s ORDER BY seq LIMIT %s", (row[0], EVENTS_SHOWN)
    ).fetchall()
    state_zh, state_en = STATES[row[2]]
    return {
        "number": show_number(number),
        "source": source,
        "source_id": row[1],
        "state": row[2],
        "state_zh": state_zh,
        "state_en": state_en,
        "category": {"code": row[3], "zh": row[4], "en": row[5]},
        "area": row[6],
        "reported_at": row[7].astimezone(UTC).isoformat(),
        "received_at": row[8].astimezone(UTC).isoformat(),
        "ended_at": row[9].astimezone(UTC).isoformat() if row[9] else None,
        "timeline": [
            {"at": at.astimezone(UTC).isoformat(), "verb": verb}
            | ({"zh": STEPS[verb].zh, "en": STEPS[verb].en} if verb in STEPS else {"zh": verb, "en": verb})
            for at, verb in events
        ],
    }


async def _nowhere(request: Request) -> Response:
    match request.path_params["rest"].split("/"):
        case ["v1", "incidents"]:
            raise Refused(405, "wrong_method", {"Allow": "POST"})
        case ["v1", "incidents", number] if number:
            raise Refused(405, "wrong_method", {"Allow": "GET"})
    raise Refused(404, "no_address")


routes: list[Route] = IntakeApi().routes()

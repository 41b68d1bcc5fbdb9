"""Say how the house fares: `/healthz` for whoever watches it, `/metrics` for Prometheus."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final, cast

import redis.asyncio
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dashboard.routes.refused import Refused
from dashboard.routes.upstream import Upstream, soon
from dispatch.intake.dead_letters import DEAD_STREAM, OLD_STREAM, STREAM
from dispatch.intake.message_stream import GROUP, HEARTBEAT

JOB: Final = "gridwhistle:job:"
JOBS_LIMIT: Final = 100
FRESH_S: Final = 10.0  # a heartbeat older than this is no sign of life


class Health:
    """Look at database, stream, dispatchers and jobs; the metrics are all that `registry` holds."""

    def __init__(self, upstream: Upstream, registry: CollectorRegistry) -> None:
        self._upstream = upstream
        self._registry = registry
        self._lag = Gauge("gridwhistle_stream_lag", "Messages that wait for a dispatcher", registry=registry)
        self._dead = Gauge(
            "gridwhistle_dead_letters", "Dead letters kept, replayed ones included", registry=registry
        )
        self._up = Gauge("gridwhistle_up", "1 where it answers", ["part"], registry=registry)
        self._dispatchers = Gauge(
            "gridwhistle_dispatchers", "Dispatchers with a fresh heartbeat", registry=registry
        )
        self._job_age = Gauge(
            "gridwhistle_job_age_seconds", "Seconds since a job's last success", ["job"], registry=registry
        )
        self._job_took = Gauge(
            "gridwhistle_job_seconds", "Seconds a job's last success took", ["job"], registry=registry
        )
        self._job_rows = Gauge(
            "gridwhistle_job_rows", "Rows that a job's last success handled", ["job"], registry=registry
        )
        self._job_next = Gauge(
            "gridwhistle_job_next_seconds", "Seconds until a job's next run", ["job"], registry=registry
        )
        self._job_failing = Gauge(
            "gridwhistle_job_failing", "1 where a job's last run failed", ["job"], registry=registry
        )

    async def healthz(self, _: Request) -> Response:
        """Answer 200 while database, stream and at least one dispatcher are well, else 503; each with its figures."""
        health = await self._health()
        return JSONResponse(health, 200 if health["ok"] else 503, {"Cache-Control": "no-store"})

    async def metrics(self, _: Request) -> Response:
        """Answer in the text format of Prometheus."""
        health = await self._health()
        self._up.labels("database").set(health["database"]["ok"])
        self._up.labels("stream").set(health["stream"]["ok"])
        self._lag.set(health["stream"]["lag"] or 0)
        self._dead.set(health["stream"]["dead_letters"] or 0)
        self._dispatchers.set(sum(each["ok"] for each in health["dispatchers"].values()))
        for name, job in health["jobs"].items():
            if job["age_s"] is not None:
                self._job_age.labels(name).set(job["age_s"])
                self._job_took.labels(name).set(int(job.get("ms") or 0) / 1000)
                self._job_rows.labels(name).set(int(job.get("rows") or 0))
            if (ago := _age(job.get("next_at"), datetime.now(UTC))) is not None:
                self._job_next.labels(name).set(-ago)
            # Both are ISO 8601 in UTC to the same digits, so their order is that of their texts.
            self._job_failing.labels(name).set(job.get("failed_at", "") > job.get("at", ""))
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    async def _health(self) -> dict[str, Any]:
        database, stream = await asyncio.gather(self._database_health(), self._stream_health())
        dispatchers, jobs = stream.pop("dispatchers"), stream.pop("jobs")
        ok = database["ok"] and stream["ok"] and any(each["ok"] for each in dispatchers.values())
        return {"ok": ok, "database": database, "stream": stream, "dispatchers": dispatchers, "jobs": jobs}

    async def _database_health(self) -> dict[str, Any]:
        began = time.perf_counter()
        try:
            await self._upstream.ask(lambda connection: connection.execute("SELECT 1").fetchone())
        except Refused:
            return {"ok": False, "ms": None}
        return {"ok": True, "ms": round((time.perf_counter() - began) * 1000, 1)}

    async def _stream_health(self) -> dict[str, Any]:
        began = time.perf_counter()
        try:
            found = await soon(self._look_at_stream())
        except Refused:
            return {"ok": False, "ms": None, "lag": None, "dead_letters": None, "dispatchers": {}, "jobs": {}}
        return {"ok": True, "ms": round((time.perf_counter() - began) * 1000, 1)} | found

    async def _look_at_stream(self) -> dict[str, Any]:
        stream = self._upstream.redis()
        now = datetime.now(UTC)
        lag = 0
        if await stream.exists(STREAM):
            groups = cast(Any, await stream.xinfo_groups(STREAM))
            waiting = [g["pending"] + (g["lag"] or 0) for g in groups if g["name"] == GROUP.encode()]
            lag = waiting[0] if waiting else await stream.xlen(STREAM)
        dispatchers = {}
        for name, fields in (await _hashes(stream, HEARTBEAT)).items():
            age = _age(fields.get("at"), now)
            state = fields.get("state", "")
            fresh = age is not None and age <= FRESH_S
            dispatchers[name] = {
                "ok": fresh and not state.startswith("waiting"),
                "age_s": age,
                "state": state,
                "lag": int(fields.get("lag") or 0),
                "last_batch_at": fields.get("last_batch_at") or None,
            }
        jobs = {}
        for name, fields in (await _hashes(stream, JOB)).items():
            last = fields.get("succeeded_at") or fields.get("last_success") or fields.get("at")
            jobs[name] = {"age_s": _age(last, now)} | {k: v for k, v in fields.items() if k != "error"}
        return {
            "lag": lag,
            "dead_letters": await stream.xlen(DEAD_STREAM) + await stream.xlen(OLD_STREAM),
            "dispatchers": dispatchers,
            "jobs": jobs,
        }


async def _hashes(stream: redis.asyncio.Redis, prefix: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    async for key in stream.scan_iter(match=f"{prefix}*", count=1_000):
        fields = cast(dict[bytes, bytes], await cast(Any, stream.hgetall(key)))
        if fields and len(found) < JOBS_LIMIT:
            name = key.decode().removeprefix(prefix)
            found[name] = {k.decode(): v.decode(errors="replace") for k, v in fields.items()}
    return found


def _age(text: str | None, now: datetime) -> float | None:
    try:
        return round((now - datetime.fromisoformat(text or "")).total_seconds(), 1)
    except (ValueError, TypeError):
        return None

"""Keep a record of every job's last run in the stream server, and read all of them as plain rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from jobs.clocks import stale
from jobs.table import JOBS, Job

JOB_KEY = "gridwhistle:job:{}"
# A job that has never run is late once its first turn is so long past, or at once where no scheduler knows of it.
FIRST_TURN_S = 3_600
# A fault's own sentence is kept only where it is one of ours: others may hold rows or addresses.
FAULT_CHARS = 200


@dataclass(frozen=True, slots=True)
class Health:
    """One job as an operator sees it. Times are in UTC; None is what is not known, as before its first run.

    `took_ms` and `rows` are of the last success; `failing` says that the last run was none, and `fault` why.
    """

    name: str
    zh: str
    en: str
    every_s: int
    at: str | None
    last_success: datetime | None
    took_ms: int | None
    rows: int | None
    next_run: datetime | None
    failed_at: datetime | None
    fault: str | None
    failing: bool
    late: bool


def note_success(
    stream: redis.Redis, job: Job, at: datetime, rows: int, took_ms: int, next_run: datetime
) -> None:
    """Keep what a run did; raises redis.RedisError."""
    _keep(
        stream,
        job,
        {"at": at.astimezone(UTC).isoformat(), "rows": rows, "ms": took_ms, "next_at": next_run.isoformat()},
    )


def note_fault(stream: redis.Redis, job: Job, at: datetime, fault: Exception, next_run: datetime) -> None:
    """Keep why a run failed, beside what the last good one did; raises redis.RedisError."""
    message = str(fault).partition("\n")[0][:FAULT_CHARS] if isinstance(fault, LookupError) else ""
    what = f"{type(fault).__name__}: {message}" if message else type(fault).__name__
    _keep(stream, job, {"failed_at": at.isoformat(), "fault": what, "next_at": next_run.isoformat()})


def note_planned(stream: redis.Redis, job: Job, first: datetime) -> None:
    """Keep when a job will run for the first time, where it never has; raises redis.RedisError."""
    if last_success(stream, job) is None:
        _keep(stream, job, {"next_at": first.isoformat()})


def last_success(stream: redis.Redis, job: Job) -> datetime | None:
    """Return when a job last did its work, or None."""
    return _instant(_text(stream.hget(JOB_KEY.format(job.name), "at")))


def health(stream: redis.Redis, now: datetime) -> list[Health]:
    """Return every job in the order of the table; raises redis.RedisError where the stream server is away."""
    with stream.pipeline(transaction=False) as steps:
        for job in JOBS:
            steps.hgetall(JOB_KEY.format(job.name))
        records = steps.execute()
    return [_health(job, record, now) for job, record in zip(JOBS, records, strict=True)]


def _health(job: Job, record: Mapping[object, object], now: datetime) -> Health:
    kept = {_text(key): _text(value) for key, value in record.items()}
    done, failed, following = (_instant(kept.get(name)) for name in ("at", "failed_at", "next_at"))
    # In a city that was loaded a minute ago the night's jobs are not late: their turn is still to come.
    waits = (
        done is None
        and following is not None
        and now <= following + timedelta(seconds=min(3 * job.every_s, FIRST_TURN_S))
    )
    return Health(
        job.name, job.zh, job.en, job.every_s, f"{job.at:%H:%M}" if job.at is not None else None, done,
        _number(kept.get("ms")), _number(kept.get("rows")), following, failed, kept.get("fault"),
        failing=failed is not None and (done is None or failed > done),
        late=not waits and stale(done, now, timedelta(seconds=job.every_s)),
    )  # fmt: skip


def _keep(stream: redis.Redis, job: Job, values: dict[str, str | int]) -> None:
    kept: Any = {**values, "every_s": job.every_s}
    stream.hset(JOB_KEY.format(job.name), mapping=kept)


def _text(value: object) -> str | None:
    return value.decode() if isinstance(value, bytes) else None if value is None else str(value)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _number(text: str | None) -> int | None:
    return int(text) if text else None

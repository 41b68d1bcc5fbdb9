"""Measure how many live command screens one web process holds while the city reports 50 incidents a second.

The whole house is real: a sender writes to the stream, one dispatcher process brings reports to the database, one
web process keeps the picture and pushes it, and this process reads event streams: the city, its counties, towns and
villages, then the same again. An update's delay runs from the moment its report was put on the stream.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

import httpx
import msgspec
import psycopg
import redis.asyncio

from benchmarks.measure import percentile, show
from benchmarks.pipeline import address, mixed_messages, prepare
from benchmarks.start import free_port
from dashboard.live import REPORTED
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.rules.areas import ancestors
from models.servers.database import Servers, psycopg_dsn
from models.servers.servers import temporary

BRAINS = 1_053  # 1 city, 5 counties, 63 towns, 984 villages
PER_S = 50
SECONDS = 30
WARM_UP_S = 5
OPEN_AT_ONCE = 200
PATIENCE_S = 120.0
LINE_LIMIT = 1 << 22  # bytes of one message: a full picture of the city is far smaller


@dataclass(slots=True)
class Screen:
    """One open wall: its area, what it received, and how many reports it last showed."""

    area: str
    updates: int = 0
    bytes: int = 0
    shown: int = -1
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    connected: bool = False
    lost: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument("--clients", type=int, default=BRAINS, help="event streams (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long (default: %(default)s)")
    parser.add_argument("--per-s", type=int, default=PER_S, help="incidents a second (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure and print; return 1 when a screen was lost, else 0."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = args.clients + 500
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    figures, lost = measured(args.clients, args.seconds, args.per_s)
    del figures["p99_ms"]
    show(f"screens: live walls at {args.per_s} incidents a second", figures, args.json)
    if lost:
        print(f"{lost} screens were lost", file=sys.stderr)
    return 1 if lost else 0


def measured(clients: int, seconds: int, per_s: int) -> tuple[dict[str, float | int], int]:
    """Bring up a house of its own, hold `clients` walls open for `seconds`; return figures and how many were lost."""
    with temporary() as servers, tempfile.TemporaryDirectory(prefix="gridwhistle-screens-") as folder:
        template = prepare(servers)
        house = Servers(address(servers, template), servers.redis_url)
        port = free_port()
        environment = {
            **os.environ, "DATABASE_URL": house.database_url, "REDIS_URL": house.redis_url, "PORT": str(port),
            "DEMO": "1",
        }  # fmt: skip
        with (Path(folder) / "log").open("wb") as log:
            children = [
                subprocess.Popen(
                    [sys.executable, "-m", module, *rest], env=environment, stdout=log, stderr=log
                )
                for module, *rest in (("dispatch", "run"), ("dashboard",))
            ]
            try:
                await_health(port, children, Path(folder) / "log")
                return asyncio.run(_measure(house, port, children[1].pid, clients, seconds, per_s))
            finally:
                for child in children:
                    child.terminate()
                for child in children:
                    child.wait(30)


def await_health(port: int, children: list[subprocess.Popen[bytes]], log: Path) -> None:
    """Wait until the web app says that all is well; raise RuntimeError when it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and all(child.poll() is None for child in children):
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).json()
            if answer["database"]["ok"] and answer["dispatchers"]:
                return
        except (httpx.HTTPError, KeyError, ValueError):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the house did not come up:\n{log.read_text(errors='replace')[-2000:]}")


async def _measure(
    house: Servers, port: int, web: int, clients: int, seconds: int, per_s: int
) -> tuple[dict[str, float | int], int]:
    areas = _areas(house.database_url)
    screens = [Screen(area) for area in islice(cycle(areas), clients)]
    messages = mixed_messages(house.database_url, per_s * (seconds + WARM_UP_S))
    gate = asyncio.Semaphore(OPEN_AT_ONCE)
    ready = asyncio.Event()
    waiting = Counter(left=len(screens))

    async def watch(screen: Screen) -> None:
        await _watch(screen, port, gate, waiting, ready)

    tasks = [asyncio.create_task(watch(screen)) for screen in screens]
    await asyncio.wait_for(ready.wait(), PATIENCE_S)
    sent = await _send(house, messages[: per_s * WARM_UP_S], per_s)
    await asyncio.sleep(1)
    base = {id(screen): screen.shown for screen in screens}
    for screen in screens:
        screen.updates = screen.bytes = 0
        screen.arrivals.clear()
    cpu, began = _cpu_s(web), time.monotonic()
    sent = await _send(house, messages[per_s * WARM_UP_S :], per_s)
    await asyncio.sleep(1.5)
    cores = (_cpu_s(web) - cpu) / (time.monotonic() - began)
    memory = rss_mb(web)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    delays = _delays(house.database_url, screens, base, sent)
    updates = sum(screen.updates for screen in screens)
    figures: dict[str, float | int] = {
        "clients": len(screens),
        "p50_ms": percentile(delays, 0.5),
        "p95_ms": percentile(delays, 0.95),
        "p99_ms": percentile(delays, 0.99),
        "cpu_cores": cores,
        "mb": memory,
        "updates": updates,
        "bytes_per_update": sum(screen.bytes for screen in screens) / max(1, updates),
    }
    return figures, sum(screen.lost for screen in screens)


def _areas(database_url: str) -> list[str]:
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        rows = connection.execute("select code from area where level <= 4 order by level, code").fetchall()
    return [row[0] for row in rows]


async def _watch(
    screen: Screen, port: int, gate: asyncio.Semaphore, waiting: Counter[str], ready: asyncio.Event
) -> None:
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LINE_LIMIT)
        writer.write(f"GET /live/{screen.area}?key=demo HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    try:
        while line := await reader.readline():
            if not line.startswith(b"data:"):
                continue
            now = time.time()
            if b'"tiles"' in line:
                screen.updates += 1
                screen.bytes += len(line)
                shown = _reported(line)
                if shown is not None and shown != screen.shown:
                    screen.shown = shown
                    screen.arrivals.append((shown, now))
            if not screen.connected:
                screen.connected = True
                waiting["left"] -= 1
                if not waiting["left"]:
                    ready.set()
        screen.lost = True
    except (OSError, ValueError):
        screen.lost = True
    finally:
        writer.close()


def _reported(line: bytes) -> int | None:
    """Return today's reports from a message that carries the first figures, without reading the rest of it."""
    begin = line.find(b'"six":{"now":[')
    if begin < 0:
        return None
    begin += len(b'"six":{"now":[')
    return int(line[begin : line.index(b"]", begin)].split(b",")[REPORTED])


async def _send(house: Servers, messages: list[bytes], per_s: int) -> dict[str, float]:
    """Put messages on the stream at an even pace; return source id -> when."""
    stream = redis.asyncio.Redis.from_url(house.redis_url)
    sent: dict[str, float] = {}
    began = time.monotonic()
    for number, message in enumerate(messages):
        pause = began + number / per_s - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        sent[msgspec.json.decode(message)["source_id"]] = time.time()
        fresh = msgspec.json.decode(message) | {"reported_at": datetime.now(UTC).isoformat()}
        await stream.xadd(STREAM, {FIELD: msgspec.json.encode(fresh)})
    await stream.aclose()
    return sent


def _delays(
    database_url: str, screens: list[Screen], base: dict[int, int], sent: dict[str, float]
) -> list[float]:
    """Return, for every report and every screen above it, the milliseconds from stream to that screen."""
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        rows = connection.execute("select source_id, area_code from incident order by id").fetchall()
    of_area: dict[str, list[float]] = defaultdict(list)
    for source_id, area in rows:
        if source_id in sent:
            for code in ancestors(area):
                of_area[code].append(sent[source_id])
    delays = []
    for screen in screens:
        # The n-th report of an area is on its screen as soon as the number shown has grown by n.
        counts = [shown - base[id(screen)] for shown, _ in screen.arrivals]
        for number, at in enumerate(sorted(of_area[screen.area]), start=1):
            place = bisect_left(counts, number)
            if place < len(counts):
                delays.append((screen.arrivals[place][1] - at) * 1000)
    return delays


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

"""Measure whether walls can stay open for weeks: browser and server memory over simulated hours of a living city.

A whole house lives faster than time (`--speed`) while a real browser holds a city's, a county's and a town's wall.
Memory is read after a full collection, so that what grows is kept, not merely unswept.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Figure, show
from benchmarks.pipeline import address, prepare
from benchmarks.screens import await_health, rss_mb
from benchmarks.start import free_port
from models.servers.database import Servers
from models.servers.servers import temporary

HOURS = 4.0
SPEED = 12.0
WALLS = ("445300", "445302", "445302001")
WARM_UP_S = 90.0  # shapes, fonts and the day's first picture are loaded once
READ_EVERY_S = 15.0
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# Software drawing, and no call to anywhere but the house.
_FLAGS = (
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument("--hours", type=float, default=HOURS, help="simulated hours (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=SPEED, help="faster than time (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Hold walls open and print memory at the beginning and at the end; return 1 when a wall went stale, else 0."""
    if args.hours <= 0 or args.speed <= 0:
        print("--hours and --speed: expected numbers above 0", file=sys.stderr)
        return 2
    with temporary() as servers, tempfile.TemporaryDirectory(prefix="gridwhistle-soak-") as folder:
        house = Servers(address(servers, prepare(servers)), servers.redis_url)
        port = free_port()
        environment = {
            **os.environ, "DATABASE_URL": house.database_url, "REDIS_URL": house.redis_url, "PORT": str(port),
            "DEMO": "1", "DATA_DIR": folder,
        }  # fmt: skip
        life = ("dispatch", "life", "--speed", str(args.speed), "--door", f"http://127.0.0.1:{port}")
        with (Path(folder) / "log").open("wb") as log:
            children: list[subprocess.Popen[bytes]] = []
            try:
                for module, *rest in (("dispatch", "run"), ("dashboard",), ("jobs", "run-all"), life):
                    command = [sys.executable, "-m", module, *rest]
                    children.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
                await_health(port, children, Path(folder) / "log")
                figures, stale = _hold(port, children[1].pid, args.hours * 3_600 / args.speed)
            finally:
                for child in reversed(children):
                    child.terminate()
                for child in children:
                    child.wait(30)
    show(f"soak: {args.hours:g} simulated hours at {args.speed:g} times the pace", figures, args.json)
    return 1 if stale else 0


def _hold(port: int, web: int, seconds: float) -> tuple[dict[str, Figure], int]:
    from playwright.sync_api import sync_playwright

    heaps: list[float] = []
    rss: list[float] = []
    nodes: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        pages = []
        for area in WALLS:
            page = browser.new_page(viewport={"width": 1920, "height": 1080})
            page.goto(f"http://127.0.0.1:{port}/wall?area={area}&embed=true")
            pages.append((page, page.context.new_cdp_session(page)))
        for _, session in pages:
            session.send("Performance.enable")
        time.sleep(WARM_UP_S)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pages[0][0].wait_for_timeout(READ_EVERY_S * 1000)
            read = [_memory(session) for _, session in pages]
            heaps.append(sum(each["JSHeapUsedSize"] for each in read) / 2**20)
            nodes.append(sum(each["Nodes"] for each in read))
            rss.append(rss_mb(web))
        stale = sum(page.locator(".tile.stale").count() for page, _ in pages)
        browser.close()
    third = max(1, len(heaps) // 3)
    figures: dict[str, Figure] = {
        "walls": len(WALLS),
        "readings": len(heaps),
        "browser_mb_first": median(heaps[:third]),
        "browser_mb_last": median(heaps[-third:]),
        "browser_ratio": median(heaps[-third:]) / median(heaps[:third]),
        "nodes_ratio": median(nodes[-third:]) / median(nodes[:third]),
        "server_mb_first": median(rss[:third]),
        "server_mb_last": median(rss[-third:]),
        "server_ratio": median(rss[-third:]) / median(rss[:third]),
        "stale_tiles": stale,
    }
    return figures, stale


def _memory(session: Any) -> dict[str, float]:
    session.send("HeapProfiler.collectGarbage")
    return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}

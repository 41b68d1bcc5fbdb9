"""Measure a cold start: from an empty data folder to the first full picture on the city's live wall."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx

from benchmarks.measure import show

PATIENCE_S = 120.0
POLL_S = 0.05
SETTLE_S = 3.0  # between the first wall and counting memory
STOP_S = 60.0
WALL = "/live/445300?key=demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument("--runs", type=int, default=3, help="cold starts (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Start the whole house from nothing, several times; print medians and return the exit code."""
    seconds, megabytes = [], []
    for _ in range(args.runs):
        with tempfile.TemporaryDirectory(prefix="gridwhistle-start-") as folder:
            took, mb = cold_start(Path(folder))
            seconds.append(took)
            megabytes.append(mb)
            print(f"{took:.1f} s, {mb:.0f} MB", flush=True)
    show(
        "start: empty folder to the first live wall",
        {"seconds": median(seconds), "mb": median(megabytes)},
        args.json,
    )
    return 0


def cold_start(folder: Path) -> tuple[float, float]:
    """Start in an empty folder; return seconds to the first full picture and megabytes (PSS) of all processes then."""
    # A folder for servers that run as a user of their own.
    folder.chmod(0o755)
    port = free_port()
    environment = {**os.environ, "DATA_DIR": str(folder / "data"), "PORT": str(port), "DEMO": "1"}
    for other in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(other, None)
    began = time.monotonic()
    with (folder / "log").open("wb") as log:
        house = subprocess.Popen(
            [sys.executable, "-m", "dispatch", "up"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            first_picture(port, house, folder / "log")
            took = time.monotonic() - began
            time.sleep(SETTLE_S)
            return took, memory_mb(house.pid)
        finally:
            house.send_signal(signal.SIGINT)
            try:
                house.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(house.pid, signal.SIGKILL)
                raise


def first_picture(port: int, house: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the wall has sent its first full picture; raise RuntimeError when the house ends before."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if house.poll() is not None:
            raise RuntimeError(f"the house ended with code {house.returncode}:\n{log.read_text()[-2000:]}")
        try:
            with httpx.stream("GET", f"http://127.0.0.1:{port}{WALL}", timeout=5) as answer:
                if answer.status_code == 200 and any(
                    line.startswith("data:") for line in answer.iter_lines()
                ):
                    return
        except httpx.HTTPError:
            pass
        time.sleep(POLL_S)
    raise RuntimeError(f"no live wall within {PATIENCE_S:.0f} s:\n{log.read_text()[-2000:]}")


def memory_mb(root: int) -> float:
    """Return the memory of a process and all below it, shared pages counted once, in megabytes."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    waiting, total_kb = [root], 0
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total_kb += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total_kb / 1024


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

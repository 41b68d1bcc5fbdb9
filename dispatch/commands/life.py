"""Let the demo city live: `python -m dispatch life`."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from threading import Event

from dispatch.demo.history import SEED
from dispatch.demo.life import PER_DAY, Life


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--per-day", type=float, default=PER_DAY, help="reports a day (default: %(default)s)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="how much faster people act (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="the world's seed (default: %(default)s)")
    door = f"http://127.0.0.1:{os.environ.get('PORT', '8501')}"
    parser.add_argument("--door", default=door, help="address of the web app (default: %(default)s)")
    parser.add_argument("--key", default="demo", help="bearer key of the HTTP door (default: the demo key)")


def run(args: argparse.Namespace) -> int:
    """Live until told to stop; return the exit code."""
    if args.per_day <= 0 or args.speed <= 0:
        print("--per-day and --speed: expected numbers above 0")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    life = Life(args.per_day, args.speed, args.seed, args.door, args.key)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    life.live(stopping)
    return 0

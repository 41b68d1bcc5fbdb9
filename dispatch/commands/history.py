"""Give the demo city its year of history: `python -m dispatch history`."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from datetime import datetime

import redis

from dispatch.demo import history
from models.servers.servers import addresses

STREAM_TIMEOUT_S = 10.0
NICENESS = 10  # the city of today goes first


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--days", type=int, default=history.DAYS, help="how many days back (default: %(default)s)"
    )
    parser.add_argument(
        "--per-day", type=int, default=history.PER_DAY, help="reports a day (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=history.SEED, help="the world's seed (default: %(default)s)"
    )
    parser.add_argument("--quiet", action="store_true", help="print no progress bar, only the end")


def run(args: argparse.Namespace) -> int:
    """Write the history of the demo city, unless it is there already; return the exit code."""
    if args.days < 1 or args.per_day < 1:
        print("--days and --per-day: expected whole numbers above 0", file=sys.stderr)
        return 2
    # Millions of short-lived objects and no cycles among them: collecting would cost a third of the time.
    gc.disable()
    os.nice(NICENESS)
    where = addresses()
    stream = redis.Redis.from_url(where.redis_url, socket_timeout=STREAM_TIMEOUT_S, decode_responses=True)
    try:
        until, first = history.begun(stream)
    except redis.RedisError as fault:
        print(f"The stream server does not answer: {type(fault).__name__}", file=sys.stderr)
        return 1
    if first > args.days:
        print("history: it is there already")
    else:
        _write(args, stream, where.database_url, until, first)
    for month, cards, frozen in history.judge(where.database_url):
        print(f"history: {cards:,} score cards of {month:%Y-%m}, {'frozen' if frozen else 'provisional'}")
    return 0


def _write(
    args: argparse.Namespace, stream: redis.Redis, database_url: str, until: datetime, first: int
) -> None:
    started = time.monotonic()
    written = 0
    asked = (args.days, args.per_day, args.seed)
    for done, incidents in history.resume(stream, database_url, until, *asked, first):
        written += incidents
        if not args.quiet:
            _bar(done - first, args.days + 1 - first, written, started)
    if not args.quiet:
        print()
    print(f"history: {written:,} incidents over {args.days} days in {time.monotonic() - started:.0f} s")


def _bar(done: int, total: int, written: int, started: float) -> None:
    share = done / total
    filled = int(share * 30)
    left = (time.monotonic() - started) / share * (1 - share) if share else 0.0
    if sys.stdout.isatty() or done % 40 == 0 or done == total:
        end = "" if sys.stdout.isatty() else "\n"
        print(
            f"\rhistory [{'#' * filled}{'.' * (30 - filled)}] {share:4.0%}  {written:,} incidents, {left:3.0f} s left",
            end=end,
            flush=True,
        )

"""Measure how long a report takes from the stream to a subscribed screen while 50 come in every second."""

from __future__ import annotations

import argparse

from benchmarks.measure import show
from benchmarks.screens import PER_S, SECONDS, measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long (default: %(default)s)")
    parser.add_argument("--per-s", type=int, default=PER_S, help="incidents a second (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure the city's wall alone and print; return 1 when it was lost, else 0."""
    figures, lost = measured(1, args.seconds, args.per_s)
    told = {name: figures[name] for name in ("p50_ms", "p95_ms", "p99_ms")}
    show(f"latency: stream to row to picture to screen, {args.per_s} incidents a second", told, args.json)
    return 1 if lost else 0

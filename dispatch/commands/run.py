"""Dispatch: take messages from the stream to the Desk, `python -m dispatch run`."""

from __future__ import annotations

import argparse
import gc
import logging
import signal

from dispatch.intake.consumer import BATCH, COLLECT_AFTER, Dispatcher
from models.servers.servers import addresses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch run` takes."""
    parser.add_argument("--name", help="name in the consumer group (default: host, process and four digits)")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"messages in one transaction ({BATCH})")


def run(args: argparse.Namespace) -> int:
    """Dispatch until SIGTERM or Ctrl-C, then finish the batch in hand; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # A batch makes thousands of objects that all die with it, beside a picture of the city that all stays: searching
    # both for cycles as often as Python does by default takes a fifth of the time.
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    dispatcher = Dispatcher(addresses(), args.name, min(max(args.batch, 1), BATCH))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: dispatcher.stop())
    dispatcher.run()
    return 0

"""Run the whole of Gridwhistle: `python -m dispatch up`, which is what `make run` does."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dispatch.ops import supervisor
from models.servers import servers

DEFAULT_PORT = 8501
PORTS = range(1, 65_536)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch up` takes; each default comes from the environment."""
    parser.add_argument(
        "--port", default=os.environ.get("PORT") or str(DEFAULT_PORT), help="web port (PORT, 8501)"
    )
    parser.add_argument(
        "--data-dir",
        default=os.environ.get("DATA_DIR") or str(servers.DEFAULT_DATA_DIR),
        help="data (DATA_DIR, ./data)",
    )
    parser.add_argument(
        "--no-demo",
        action="store_true",
        default=os.environ.get("DEMO") == "0",
        help="no demo city and no demo life (DEMO=0)",
    )


def run(args: argparse.Namespace) -> int:
    """Run everything until stopped; return the exit code."""
    if not args.port.isdecimal() or int(args.port) not in PORTS:
        print(f"PORT must be a number from 1 to 65535, not {args.port!r}", file=sys.stderr)
        return 1
    return supervisor.supervise(
        supervisor.plan(Path(args.data_dir).expanduser().resolve(), int(args.port), not args.no_demo)
    )

"""Draw the chain of an incident as Markdown: `python -m dispatch chain`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dispatch.ops.chart import markdown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--write", type=Path, metavar="FILE", help="write to this file instead of the screen")


def run(args: argparse.Namespace) -> int:
    """Print the chain or write it to a file; return the exit code."""
    if args.write is None:
        sys.stdout.write(markdown())
        return 0
    try:
        args.write.write_text(markdown(), encoding="utf-8")
    except OSError as fault:
        print(f"{args.write}: {fault.strerror}", file=sys.stderr)
        return 1
    return 0

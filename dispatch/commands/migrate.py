"""Bring the database to the newest schema: `python -m dispatch migrate`."""

from __future__ import annotations

import argparse
import os

from models.migrations import migrate
from models.servers.database import addresses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch migrate` takes."""
    parser.add_argument("--revision", default="head", help="the revision to stop at (default: the newest)")


def run(args: argparse.Namespace) -> int:
    """Upgrade the database that the environment names; return the exit code."""
    migrate.upgrade(os.environ.get("DATABASE_URL") or addresses().database_url, args.revision, print)
    return 0

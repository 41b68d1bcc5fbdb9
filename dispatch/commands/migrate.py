"""Bring the database to the newest schema: `python -m dispatch migrate`."""

from __future__ import annotations

import argparse
import os
import sys

from sqlalchemy.exc import DBAPIError

from models.migrations import migrate
from models.servers.database import ServersError, addresses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch migrate` takes."""
    parser.add_argument("--revision", default="head", help="the revision to stop at (default: the newest)")


def run(args: argparse.Namespace) -> int:
    """Upgrade the database that the environment names; return 0, or 1 where it cannot be had or upgraded."""
    try:
        migrate.upgrade(os.environ.get("DATABASE_URL") or addresses().database_url, args.revision, print)
    except ServersError as fault:
        print(fault, file=sys.stderr)
        return 1
    except DBAPIError as fault:
        # The driver's own sentence may hold addresses and rows: the server's log has it.
        print(f"The database does not answer: {type(fault.orig).__name__}", file=sys.stderr)
        return 1
    return 0

"""Verify that every event is as it was written: `python -m dispatch audit`."""

from __future__ import annotations

import argparse
import json
import sys
import time

import psycopg

from dispatch.checks.audit import verify
from models.servers.servers import addresses, psycopg_dsn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch audit` takes."""
    parser.add_argument("what", choices=["verify"], help="verify: recompute every link and every fold")
    parser.add_argument("--incident", type=_id, metavar="ID", help="only the incident with this id")
    parser.add_argument(
        "--links-only", action="store_true", help="the events alone, not the rows that are their fold"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of sentences")


def _id(text: str) -> int:
    try:
        found = int(text)
    except ValueError:
        found = 0
    if not 0 < found < 2**63:
        raise argparse.ArgumentTypeError(f"expected an incident's id, a whole number above 0, not {text!r}")
    return found


def run(args: argparse.Namespace) -> int:
    """Verify and report; return 0 when everything is as it was written, 1 when something is not."""
    began = time.monotonic()
    try:
        with psycopg.connect(psycopg_dsn(addresses().database_url), connect_timeout=5) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            verdict = verify(connection, args.incident, rows=not args.links_only)
    except psycopg.OperationalError as away:
        print(f"The database does not answer: {type(away).__name__}", file=sys.stderr)
        return 1
    if args.incident is not None and not verdict.incidents and not verdict.faults:
        # Nothing is wrong with nothing: who asked for one incident is not told that it is whole.
        print(f"没有编号 {args.incident} 的件 / There is no incident {args.incident}", file=sys.stderr)
        return 1
    took = time.monotonic() - began
    faults = verdict.faults or []
    if args.json:
        found = [{"incident": f.incident_id, "table": f.table, "key": f.key, "what": f.what} for f in faults]
        print(
            json.dumps(
                {
                    "events": verdict.events,
                    "incidents": verdict.incidents,
                    "seconds": round(took, 2),
                    "faults": found,
                }
            )
        )
    else:
        print(f"{verdict.events:,} events of {verdict.incidents:,} incidents verified in {took:.1f} s")
        for fault in faults:
            row = "its row" if fault.table == "incident" else f"{fault.table} {fault.key}"
            print(f"incident {fault.incident_id}, {row}: {fault.what}", file=sys.stderr)
        if not faults:
            print("every event is as it was written")
            if not args.links_only:
                print("every incident, assignment and segment is what its events make it")
    return 1 if faults else 0

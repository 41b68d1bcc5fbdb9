"""Write the briefing of an area to a file: `python -m dispatch briefing`."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from dispatch.commands.arguments import day
from dispatch.figures.briefing import FORMATS, LANGUAGES, brief, put
from dispatch.record.policies import Policies
from dispatch.rules.time.period import FIXED, Period
from models.servers.servers import addresses, psycopg_dsn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("area", metavar="AREA", help="the code of a city, county, town or village")
    parser.add_argument("--period", choices=FIXED, default="day", help="default: %(default)s")
    parser.add_argument(
        "--day",
        type=day,
        default=None,
        metavar="YYYY-MM-DD",
        help="a day of the period (default: yesterday)",
    )
    parser.add_argument(
        "--days",
        nargs=2,
        default=None,
        metavar=("FROM", "TO"),
        help="any days instead of --period, both YYYY-MM-DD and both in it",
    )
    parser.add_argument("--format", choices=list(FORMATS), help="default: what FILE ends in, else pdf")
    parser.add_argument("--lang", choices=LANGUAGES, default="zh", help="default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write it")


def run(args: argparse.Namespace) -> int:
    """Write one briefing; return the exit code."""
    now = datetime.now(UTC)
    out: Path = args.out
    if not out.parent.is_dir():
        print(f"out: there is no folder {out.parent}", file=sys.stderr)
        return 2
    try:
        with psycopg.connect(
            psycopg_dsn(addresses().database_url), connect_timeout=5, autocommit=True
        ) as connection:
            connection.read_only = True
            with connection.cursor() as cursor:
                today = Policies(cursor).in_force(now).calendar.local(now).date()
            period = (
                Period.between(args.days[0], args.days[1], today)
                if args.days is not None
                else Period.holding(args.period, args.day or today - timedelta(days=1))
            )
            ending = out.suffix.removeprefix(".").lower()
            kind = args.format or (ending if ending in FORMATS else "pdf")
            put(out, brief(connection, args.area, period, kind, args.lang, now))
    except psycopg.OperationalError as fault:
        print(f"the database does not answer: {str(fault).strip().splitlines()[0]}", file=sys.stderr)
        return 1
    except (LookupError, ValueError, OSError) as fault:
        print(str(fault), file=sys.stderr)
        return 2
    print(f"{out} ({out.stat().st_size:,} bytes)")
    return 0

"""Write the leaders' picture as a file: Excel, Word, or one page of PDF, its numbers those of the screen."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import psycopg

from dispatch.commands.arguments import day
from dispatch.figures import overview
from dispatch.figures.case_sets import Connection
from dispatch.figures.overview import Overview
from dispatch.record.histories import Policies
from dispatch.rules.time.period import FIXED, Period
from models.servers.database import addresses, psycopg_dsn

Writer = Callable[[Overview, str, str], bytes]

# Form -> the module and the function of it that writes it; imported at first use, for fonts and templates are large.
FORMATS = {"xlsx": "excel", "docx": "word", "pdf": "pdf"}
LANGUAGES = ("zh", "en")


class NothingYet(LookupError):
    """Say that there is nothing to brief on: no report in the period."""


def make(picture: Overview, form: str, lang: str = "zh", zone: str = "Asia/Shanghai") -> bytes:
    """Return a picture as a file of a form (xlsx, docx or pdf) in `zh` or `en`; `zone` is the city's own time.

    Raises ValueError for another form or language.
    """
    if form not in FORMATS:
        raise ValueError(f"format: expected {', '.join(FORMATS)}, not {form!r}")
    if lang not in LANGUAGES:
        raise ValueError(f"lang: expected {' or '.join(LANGUAGES)}, not {lang!r}")
    name = FORMATS[form]
    write: Writer = getattr(import_module(f"dispatch.figures.briefing.{name}"), name)
    return write(picture, zone, lang)


def brief(connection: Connection, area: str, period: Period, form: str, lang: str, now: datetime) -> bytes:
    """Return the briefing of an area for a period.

    Raises LookupError for an unknown area, ValueError for a wrong form, language or a period that has not begun,
    NothingYet where nothing was reported in the period.
    """
    picture = overview.read(connection, area, period, now)
    reported = picture.figure("reported").now
    if not reported.credited.count and (picture.known_since is None or period.until <= picture.known_since):
        since = picture.known_since
        raise NothingYet(
            "no data yet: nothing has been counted"
            if since is None
            else f"no data: {picture.period.text} lies before the first report, {since}"
        )
    with connection.cursor() as cursor:
        zone = Policies(cursor).newest().calendar.zone
    return make(picture, form, lang, zone)


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: under another name first, then renamed."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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
                today = Policies(cursor).newest().calendar.local(now).date()
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

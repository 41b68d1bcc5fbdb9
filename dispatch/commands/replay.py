"""Send a city's past requests through the stream and compare verdicts: `python -m dispatch replay`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TextIO

import psycopg
import redis

from dispatch.commands.arguments import moment
from dispatch.replay.replay import Played, Report, play
from dispatch.replay.source_file import Mapping, ReplayError, mapping
from models.cities import loading
from models.servers import servers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch replay` takes."""
    parser.add_argument("file", type=Path, help="CSV file of a city's service requests, UTF-8")
    parser.add_argument(
        "--map", required=True, help="mapping in config/replay, such as boston311, or a .toml file"
    )
    parser.add_argument(
        "--new-city", action="store_true", help="build the city from the file, in an empty database"
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--speed", type=float, help="send in the file's own time, this many times as fast")
    pace.add_argument("--fast", action="store_true", help="send at once, in the order of the file (default)")
    parser.add_argument("--as-of", type=moment, metavar="TIME", help="judge open requests as of this")
    parser.add_argument(
        "--json", action="store_true", help="print the report as one JSON object, all else to stderr"
    )


def run(args: argparse.Namespace) -> int:
    """Replay a file and print the report; return 1 when it could not be done, else 0."""
    try:
        if args.speed is not None and not 0 < args.speed < float("inf"):
            raise ReplayError("--speed: expected a number above 0")
        how = mapping(args.map)
        played = play(args.file, how, args.as_of, args.speed, args.new_city, _tell)
        _print(played, how, sys.stderr if args.json else sys.stdout, given=args.as_of is not None)
        if args.json:
            print(json.dumps(played.report.object()))
        return 0
    except (ReplayError, loading.CityError, servers.ServersError, OSError) as error:
        print(f"{args.file}: {error}", file=sys.stderr)
    except psycopg.Error as error:
        print(f"the database does not answer: {type(error).__name__}", file=sys.stderr)
    except redis.RedisError as error:
        print(f"the stream does not answer: {type(error).__name__}", file=sys.stderr)
    if args.json:
        print(json.dumps(Report().object()))
    return 1


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(played: Played, how: Mapping, out: TextIO, *, given: bool) -> None:
    found, local = played.found, played.as_of.astimezone(how.zone)
    if given:
        why = "as given"
    elif found.newest_is_target:
        why = f"line {found.newest_line}: the newest target that the source itself calls missed, and a second"
    else:
        why = f"line {found.newest_line}: the newest time in the file that has passed"
    print(f"open requests judged as of {local:%Y-%m-%d %H:%M:%S %Z} ({why})", file=out)
    for name, count in played.report.object().items():
        print(f"  {name.replace('_', ' '):<16}{count:>9}", file=out)
    for reason, count in played.reasons.most_common():
        print(f"  refused: {reason} {count}", file=out)
    for fault in sorted(played.faults, key=lambda fault: fault.line):
        print(f"  line {fault.line}: {fault.reason}: {fault.sentence}", file=out)

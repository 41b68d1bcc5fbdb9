"""Commands about the city at rest: `python -m models COMMAND`; each answers --help."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import psycopg

from models.cities.loading import POLICY_DIR, CityError, census, has_schema, is_empty, store
from models.servers import servers
from models.servers.database import ServersError, addresses

FAILED = 1


class Command(NamedTuple):
    """One subcommand: its name, one line of help, what it takes, and what it does (returning the exit code)."""

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _database() -> str:
    """Return the address of a database that answers and has a schema, starting our own where none is named."""
    address = addresses().database_url
    if not servers.database_answers(address):
        address = servers.start().database_url
    if not has_schema(address):
        # Imported here: migrations bring SQLAlchemy with them, half a second of every start that the demo city,
        # loaded into a schema that is there already, does without.
        from models.migrations import migrate

        migrate.upgrade(address)
    return address


def _print_counts(counts: dict[str, int], seconds: float) -> None:
    rows = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    print(f"Loaded in {seconds:.1f} s: {rows}")


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--if-empty",
        action="store_true",
        help="do nothing, successfully, where the database already holds a city",
    )


def _demo(args: argparse.Namespace) -> int:
    from models.cities.demo import load_demo

    address = _database()
    if args.if_empty and not is_empty(address):
        return _left_as_it_is()
    began = perf_counter()
    try:
        counts = load_demo(address)
    except CityError:
        # Another process was a moment earlier.
        if args.if_empty and not is_empty(address):
            return _left_as_it_is()
        raise
    _print_counts(counts, perf_counter() - began)
    return 0


def _left_as_it_is() -> int:
    print("The database already holds a city; left as it is.")
    return 0


def _load_city_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="the folder with areas.csv and what goes with it"
    )
    parser.add_argument("--dry-run", action="store_true", help="only check the files; touch no database")


def _load_city(args: argparse.Namespace) -> int:
    from models.cities.city_files import read_city

    city = read_city(args.folder)
    if args.dry_run:
        print(
            f"Nothing is wrong with these files: city {city.code}, areas {len(city.areas):,},"
            f" outlines {len(city.shapes):,}, teams {len(city.teams):,}. Nothing was loaded (--dry-run)."
        )
        return 0
    address = _database()
    began = perf_counter()
    _print_counts(store(address, city), perf_counter() - began)
    return 0


def _census_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _census(args: argparse.Namespace) -> int:
    counts = census(_database())
    if args.json:
        print(json.dumps(counts, ensure_ascii=False))
    else:
        for name, count in counts.items():
            print(f"{name.replace('_', ' '):22}{count if count is not None else '-':>10}")
    return FAILED if counts["broken_parent_chains"] else 0


def _refresh_calendar_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file",
        type=Path,
        default=POLICY_DIR / "calendar.csv",
        help="the file to rewrite (default: the policy's)",
    )


def _refresh_calendar(args: argparse.Namespace) -> int:
    from models.cities.holidays import refresh

    print(f"{refresh(args.file)} days written to {args.file}")
    return 0


COMMANDS: list[Command] = [
    Command("demo", "load the demo city into an empty database", _demo_arguments, _demo),
    Command("load-city", "check and load a city of your own", _load_city_arguments, _load_city),
    Command("census", "count the city and check that its tree is whole", _census_arguments, _census),
    Command(
        "refresh-calendar", "rewrite the official holidays from the installed package",
        _refresh_calendar_arguments, _refresh_calendar,
    ),
]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 refused or failed with a sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m models", description="The city at rest.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        its = commands.add_parser(
            command.name, help=command.help, description=command.help.capitalize() + "."
        )
        command.add_arguments(its)
        its.set_defaults(run=command.run)
    args = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except (CityError, ServersError, OSError) as refusal:
        print(refusal, file=sys.stderr)
    except psycopg.OperationalError as fault:
        print(f"The database does not answer: {fault}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())

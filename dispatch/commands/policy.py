"""Check, compare, try out and publish the city's policy: `python -m dispatch policy`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg

from dispatch.commands.arguments import day
from dispatch.record.publishing import PublishError, cases, differences, in_force, publish
from dispatch.rules.measures.whatif import Effect, Verdict, judge
from dispatch.rules.policy import policy as policies
from dispatch.rules.policy.policy import Policy
from models.cities.loading import POLICY_DIR, PROBLEMS_SHOWN, CityError, policy_files
from models.servers.database import addresses, psycopg_dsn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own commands."""
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    check = commands.add_parser("check", help="say everything that is wrong with the files")
    diff = commands.add_parser("diff", help="show what differs from the version in force")
    publish = commands.add_parser("publish", help="publish the files as a new version")
    publish.add_argument("--note", required=True, help="why, in one line; kept with the version")
    publish.add_argument("--valid-from", required=True, type=day, help="the first day, YYYY-MM-DD")
    trial = commands.add_parser("dry-run", help="say what the files would have made of past incidents")
    trial.add_argument("--since", required=True, type=day, help="the first day of reports")
    trial.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    for each in (check, diff, publish):
        each.add_argument("folder", nargs="?", type=Path, default=POLICY_DIR, metavar="DIR")
    trial.add_argument("folder", type=Path, metavar="DIR")


def run(args: argparse.Namespace) -> int:
    """Do what was asked; return 0, or 1 with the reason on standard error."""
    try:
        files = policy_files(args.folder)
        faults = policies.problems(files)
        if faults:
            for fault in faults[:PROBLEMS_SHOWN]:
                print(fault, file=sys.stderr)
            if len(faults) > PROBLEMS_SHOWN:
                print(f"… and {len(faults) - PROBLEMS_SHOWN} more", file=sys.stderr)
            return 1
        if args.what == "check":
            print(f"Nothing is wrong with the {len(files)} files of {args.folder}.")
            return 0
        with psycopg.connect(psycopg_dsn(addresses().database_url)) as connection:
            return _with_database(args, files, connection)
    except (CityError, PublishError, OSError) as refusal:
        print(refusal, file=sys.stderr)
    except psycopg.OperationalError as fault:
        print(f"The database does not answer: {type(fault).__name__}", file=sys.stderr)
    return 1


def _with_database(
    args: argparse.Namespace, files: Mapping[str, str], connection: psycopg.Connection[Any]
) -> int:
    if args.what == "diff":
        version, held = in_force(connection)
        lines = list(differences(held, files))
        print("\n".join(lines) if lines else f"The files are those of version {version}, in force.")
    elif args.what == "publish":
        version = publish(connection, files, args.note, args.valid_from)
        print(f"Published as version {version}, valid from {args.valid_from}.")
    else:
        policy = policies.parse(0, files)
        now = datetime.now(UTC)
        since = datetime(
            args.since.year, args.since.month, args.since.day, tzinfo=policy.calendar.local(now).tzinfo
        )
        verdict = judge(cases(connection, since), policy, now)
        if args.json:
            print(json.dumps(asdict(verdict), ensure_ascii=False))
        else:
            _show(connection, policy, verdict, args.since)
    return 0


def _show(connection: psycopg.Connection[Any], policy: Policy, verdict: Verdict, since: date) -> None:
    total = verdict.total
    print(
        f"{total.cases:,} incidents since {since}, {total.late:,} of them late. These files would have made"
        f" {total.more:,} more late and {total.fewer:,} on time."
    )
    names = dict(connection.execute("select code, name from area where level <= 3").fetchall())
    themes = {code: name for code, (name, _) in policy.themes.items()}
    for title, effects, words in (("theme", verdict.themes, themes), ("town", verdict.towns, names)):
        print(f"\n{title:<24} {'cases':>8} {'late':>8} {'more':>8} {'fewer':>8}")
        for code, effect in sorted(effects.items(), key=_most):
            label = f"{code} {words.get(code, '')}"
            print(f"{label:<24} {effect.cases:>8,} {effect.late:>8,} {effect.more:>8,} {effect.fewer:>8,}")


def _most(pair: tuple[str, Effect]) -> tuple[int, str]:
    return -pair[1].more, pair[0]

"""Declare and end wartime over an area from the console: `python -m dispatch wartime`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import psycopg

from dispatch.accounts.sessions import actor_id
from dispatch.desk import wartime
from dispatch.desk.desk import Desk
from dispatch.rules import wartime as rules
from dispatch.rules.incident.values import Actor
from dispatch.rules.refusals import Refusal
from dispatch.rules.wartime import Declaration, Wartime
from models.servers.servers import addresses

LONGEST_ASKED_H = 24.0 * 366  # more than the law allows, and no more than a date can hold


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch wartime` takes."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    one = what.add_parser("declare", help="put an area into wartime, as one person and approved by another")
    one.add_argument("--area", required=True, metavar="CODE", help="the area, with everything inside it")
    one.add_argument("--level", required=True, type=int, help="1 red, 2 orange, 3 yellow, 4 blue")
    one.add_argument("--kind", required=True, choices=list(rules.KINDS), help="what for")
    one.add_argument("--reason", required=True, help="why")
    one.add_argument("--commander", required=True, metavar="NAME", help="who is in command")
    one.add_argument(
        "--hours", required=True, type=float, help=f"how long (at most {rules.LONGEST.days * 24})"
    )
    one.add_argument(
        "--by", required=True, metavar="LOGIN", help="the county's or city's account that declares it"
    )
    one.add_argument(
        "--approved-by", required=True, metavar="LOGIN", help="another's account that approves it"
    )
    two = what.add_parser("end", help="end a stretch of wartime before its time")
    two.add_argument("id", type=int, help="its number, as the list shows it")
    two.add_argument("--reason", required=True, help="why")
    two.add_argument(
        "--by", required=True, metavar="LOGIN", help="the county's or city's account that ends it"
    )
    three = what.add_parser("list", help="list what was declared, the latest first")
    three.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")


def run(args: argparse.Namespace) -> int:
    """Do it; return 0 when it was done, 1 when it was refused or the database is not there."""
    now = datetime.now(UTC)
    try:
        with Desk(addresses().database_url) as desk:
            if args.what == "list":
                _show(desk.ask(wartime.stretches), now, args.json)
                return 0
            by = _actor(desk, args.by)
            if args.what == "end":
                answer = wartime.end(desk, args.id, by, args.reason, now)
            else:
                # What is no number lies nowhere, and is refused like what lies too far.
                hours = args.hours if 0 <= args.hours <= LONGEST_ASKED_H else 0.0
                until = now + timedelta(hours=hours)
                wish = Declaration(
                    args.area, args.level, args.kind, args.reason, args.commander, by,
                    _actor(desk, args.approved_by), until,
                )  # fmt: skip
                answer = wartime.declare(desk, wish, now)
    except LookupError as fault:
        print(fault.args[0], file=sys.stderr)
        return 1
    except psycopg.OperationalError as fault:
        print(f"The database does not answer: {type(fault).__name__}", file=sys.stderr)
        return 1
    if isinstance(answer, Refusal):
        print(f"{answer.words('zh')} / {answer.words('en')}", file=sys.stderr)
        return 1
    _show([answer], now, as_json=False)
    return 0


def _actor(desk: Desk, login: str) -> Actor:
    row = desk.ask(
        lambda cursor: cursor.execute(
            "select role, area_code from account where login = %s and disabled_at is null and (not demo or %s)",
            (login, os.environ.get("DEMO", "1") != "0"),
        ).fetchone()
    )
    if row is None:
        raise LookupError(f"没有 {login} 这个账号 / There is no account {login}")
    return Actor(actor_id(row[0], login), row[0], row[1])


def _show(found: list[Wartime], now: datetime, as_json: bool) -> None:
    for one in found:
        if as_json:
            print(json.dumps(asdict(one), ensure_ascii=False, default=str))
            continue
        kind, level = rules.KINDS.get(one.kind, (one.kind, one.kind)), rules.LEVELS[one.level]
        standing = f"ended {one.ended_at:%Y-%m-%d %H:%M} by {one.ended_by}" if one.ended_at else "in force"
        if one.ended_at is None and not one.in_force(now):
            standing = "over"
        print(
            f"{one.id}\t{one.area_code}\t{level[0]} {level[1]}\t{kind[0]} {kind[1]}\t{one.since:%Y-%m-%d %H:%M} UTC"
            f" - {one.until:%Y-%m-%d %H:%M}\t{standing}\t{one.declared_by}, {one.approved_by}\t{one.reason}"
        )

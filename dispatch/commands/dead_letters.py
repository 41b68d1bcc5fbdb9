"""List, show, mend and replay refused messages: `python -m dispatch dead-letters`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import redis

from dispatch.intake.dead_letters import SHOWN_LIMIT, Letter, LetterError, letter, letters, mend, replay
from models.servers.database import addresses

REDIS_TIMEOUT_S: Final = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch dead-letters` takes."""
    parser.add_argument("action", choices=("list", "show", "replay"))
    parser.add_argument("ids", nargs="*", metavar="ID", help="ids of letters, as `list` prints them")
    parser.add_argument("--all", action="store_true", help="replay every letter that was not replayed yet")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="mend a field first"
    )
    parser.add_argument("--with", dest="file", type=Path, help="replay this file's content instead")
    parser.add_argument("--limit", type=int, default=SHOWN_LIMIT, help=f"letters to list ({SHOWN_LIMIT})")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a letter")


def run(args: argparse.Namespace) -> int:
    """List, show or replay dead letters; return 1 when something could not be done."""
    stream = redis.Redis.from_url(addresses().redis_url, socket_timeout=REDIS_TIMEOUT_S, protocol=2)
    try:
        return _run(args, stream)
    except (LetterError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except redis.RedisError:
        print("消息流服务没有应答 / the stream server does not answer", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace, stream: redis.Redis) -> int:
    if args.action == "list":
        for each in letters(stream, args.limit):
            _print(each, args.json, with_raw=False)
        return 0
    if args.action == "show":
        for key in args.ids:
            _print(letter(stream, key), args.json, with_raw=True)
        return 0
    if args.file is not None and (args.all or len(args.ids) != 1):
        raise LetterError("many")
    # All of them first: what comes back refused while this runs is a new letter and not meant.
    waiting = list(letters(stream, sys.maxsize, waiting_only=True))[::-1] if args.all else []
    failed = 0
    for one in waiting or [letter(stream, key) for key in args.ids]:
        try:
            mended = args.file.read_bytes() if args.file is not None else None
            new = replay(stream, one, mend(one.raw, args.set) if args.set else mended)
        except LetterError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        print(json.dumps({"id": one.id, "replayed_as": new}) if args.json else f"{one.id} -> {new}")
    return 1 if failed else 0


def _print(one: Letter, as_json: bool, *, with_raw: bool) -> None:
    if as_json:
        shown = asdict(one)
        shown["raw"] = one.raw.decode(errors="replace")
        if not with_raw:
            # A list may end in a log; a message's body may not.
            del shown["raw"]
        print(json.dumps(shown, ensure_ascii=False))
        return
    replayed = f"  -> {one.replayed_as}" if one.replayed_as else ""
    print(f"{one.id}  {one.at}  {one.reason}  {one.field}  {one.zh} / {one.en}{replayed}")
    if with_raw:
        print(f"  {one.size} bytes, sha256 {one.sha256}, first seen as {one.first_seen}")
        print(one.raw.decode(errors="replace"))

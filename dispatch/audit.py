"""Verify the chain of hashes over all events, and name the exact row where it breaks."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from dispatch.rules.links import GENESIS, holds
from models.servers import addresses, psycopg_dsn

FETCH_ROWS = 5_000  # rows held in memory at a time
FAULTS_LIMIT = 100  # reported; one edit breaks its own row and every later one of the same incident


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where what is stored is not what was written."""

    incident_id: int
    seq: int
    what: str


@dataclass(slots=True)
class Verdict:
    """What a verification found: counts, and the faults in the order of incident and event."""

    events: int = 0
    incidents: int = 0
    faults: list[Fault] | None = None


def verify(
    connection: psycopg.Connection[Any],
    incident_id: int | None = None,
    told: Callable[[int], None] | None = None,
) -> Verdict:
    """Recompute every link of all incidents, or of one, in one snapshot of the database.

    Found are: an event edited, removed, added or out of order, and an incident whose last event is not its head.
    After the first fault of an incident its later events are not judged: they hang on the broken one. `told` hears
    now and then how many events have been judged.
    """
    verdict = Verdict(faults=[])
    assert verdict.faults is not None
    heads = _heads(connection, incident_id)
    current, expected_seq, before, broken = 0, 1, GENESIS, False
    for row in _events(connection, incident_id):
        owner, seq, at, verb, actor, cause, policy, data, stored = row
        if owner != current:
            _judge_head(verdict, heads, current, expected_seq, before, broken)
            current, expected_seq, before, broken = owner, 1, GENESIS, False
        verdict.events += 1
        if told is not None and verdict.events % FETCH_ROWS == 0:
            told(verdict.events)
        if broken:
            continue
        fault = ""
        if seq != expected_seq:
            fault = f"event {expected_seq} is missing"
        elif not holds(stored, before, owner, seq, at, verb, actor, cause, policy, data):
            fault = "the event is not what was written"
        if fault:
            broken = True
            if len(verdict.faults) < FAULTS_LIMIT:
                verdict.faults.append(Fault(owner, seq, fault))
        before, expected_seq = stored, seq + 1
    _judge_head(verdict, heads, current, expected_seq, before, broken)
    for owner in sorted(heads)[:FAULTS_LIMIT]:
        verdict.faults.append(Fault(owner, 1, "the incident has no events"))
    return verdict


def _judge_head(
    verdict: Verdict,
    heads: dict[int, tuple[int, bytes]],
    owner: int,
    next_seq: int,
    last: bytes,
    broken: bool,
) -> None:
    if not owner:
        return
    verdict.incidents += 1
    assert verdict.faults is not None
    head = heads.pop(owner, None)
    if broken or len(verdict.faults) >= FAULTS_LIMIT:
        return
    if head is None:
        verdict.faults.append(Fault(owner, next_seq - 1, "the events have no incident"))
    elif head[0] != next_seq - 1:
        verdict.faults.append(
            Fault(owner, head[0], f"the incident counts {head[0]} events, there are {next_seq - 1}")
        )
    elif head[1] != last:
        verdict.faults.append(Fault(owner, head[0], "the incident's head is not its last event"))


def _heads(connection: psycopg.Connection[Any], incident_id: int | None) -> dict[int, tuple[int, bytes]]:
    where = "" if incident_id is None else " where id = %s"
    rows = connection.execute(
        f"select id, seq, head from incident{where}", None if incident_id is None else (incident_id,)
    )
    return {owner: (seq, bytes(head)) for owner, seq, head in rows}


def _events(
    connection: psycopg.Connection[Any], incident_id: int | None
) -> Iterator[tuple[int, int, datetime, str, str, str, int, str, bytes]]:
    where = "" if incident_id is None else " where incident_id = %s"
    with connection.cursor(name="audit", binary=True) as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(
            "select incident_id, seq, at, verb, actor, cause, policy_version, data::text, hash"
            f" from event{where} order by incident_id, seq",
            None if incident_id is None else (incident_id,),
        )
        yield from cursor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch audit` takes."""
    parser.add_argument("what", choices=["verify"], help="verify: recompute every link")
    parser.add_argument("--incident", type=int, help="only the incident with this id")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of sentences")


def run(args: argparse.Namespace) -> int:
    """Verify and report; return 0 when everything is as it was written, 1 when something is not."""
    began = time.monotonic()
    with psycopg.connect(psycopg_dsn(addresses().database_url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        verdict = verify(connection, args.incident)
    took = time.monotonic() - began
    faults = verdict.faults or []
    if args.json:
        found = [{"incident": f.incident_id, "event": f.seq, "what": f.what} for f in faults]
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
            print(f"incident {fault.incident_id}, event {fault.seq}: {fault.what}", file=sys.stderr)
        if not faults:
            print("every event is as it was written")
    return 1 if faults else 0

"""What residents may read: their own reports whole, and by a number what becomes of it; nothing of anybody else."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import redis

from dashboard.data.city import CityReads
from dashboard.data.field import as_reporter, token_of
from dashboard.data.scope import within
from dispatch.accounts.sessions import Viewer
from dispatch.desk import store
from dispatch.desk.desk import Outcome
from dispatch.intake.message_stream import RECEIVED
from dispatch.rules.incident.chain import Command, lawful
from dispatch.rules.incident.values import Actor, Incident

OWN_LIMIT = 50
CONTACT_LIMIT = 120
# What a reporter is told of: the events that mean something to them.
MILESTONES = (
    "report", "accept", "route", "dispatch", "send_whistle", "reassign", "arrive", "dispose", "solve", "rework",
    "verify", "close", "conclude", "reject", "void", "merge", "reopen", "rate", "suspend", "resume",
)  # fmt: skip
# Words of the staff that are meant for the reporter.
_TOLD = ("result", "reason")
_TOLD_OF = frozenset({"dispose", "solve", "reject", "void"})


@dataclass(frozen=True, slots=True)
class Milestone:
    """One thing that became of a report; `text` is what was meant for the reporter, for `reasons.words`."""

    verb: str
    at: datetime
    text: object = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a report has come. `incident` is None while it is on its way in; `refused` says why it was not taken.

    `whole` tells whether the one who asks has shown that it is theirs: only then may type, text and words be shown.
    """

    number: int
    sent_at: datetime
    incident: Incident | None
    milestones: tuple[Milestone, ...]
    whole: bool
    verbs: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    refused: tuple[str, str] | None = None


def own(city: CityReads, who: Viewer, redis_url: str) -> list[Progress]:
    """Return the reports of a resident, newest first, those that are still on their way in included."""
    actor = as_reporter(who, redis_url)
    scope, values = within(actor)
    with city.look() as connection:
        sent = connection.execute(
            "select o.number, o.sent_at, i.id from own_report o left join receipt r on r.key = o.number"
            f" left join incident i on i.id = r.incident_id and i.number = r.key and {scope}"
            " where o.account_id = %(account)s order by o.sent_at desc limit %(rows)s",
            values | {"account": who.account_id, "rows": OWN_LIMIT},
        ).fetchall()
    known = _progress(city, [row[2] for row in sent if row[2] is not None], actor)
    missing = [number for number, _, incident_id in sent if incident_id is None]
    refusals = _refusals(missing, redis_url)
    return [
        known[incident_id]
        if incident_id in known
        else Progress(number, at, None, (), True, refused=refusals.get(number))
        for number, at, incident_id in sent
    ]


def follow(city: CityReads, number: int, contact: str, redis_url: str) -> Progress | None:
    """Return how far the report with a number has come, or None: no such report, or the contact is not the one left.

    Both read alike. Numbers are hashes of what a source calls a report, and so can be guessed where that counts up:
    where a contact was left it must be given whole; where none was, only the state is shown, never what it is about.
    """
    with city.look() as connection:
        row = connection.execute(
            "select i.id, i.facts ->> 'reporter' from receipt r"
            " join incident i on i.id = r.incident_id and i.number = r.key where r.key = %s",
            (number,),
        ).fetchone()
    if row is None:
        return None
    incident_id, left = row
    if left is not None and not any(
        hmac.compare_digest(left, token_of(each, redis_url)) for each in _spellings(contact)
    ):
        return None
    key = f"{number:016d}" if left is None else left
    found = _progress(city, [incident_id], Actor(f"resident@{key}", "resident", ""), whole=left is not None)
    return found.get(incident_id)


def submit(
    city: CityReads,
    who: Viewer,
    incident: Incident,
    verb: str,
    args: dict[str, Any],
    now: datetime,
    redis_url: str,
) -> Outcome:
    """Take a resident's step on their own report; the same press again is one action."""
    command = Command(verb, incident.id, as_reporter(who, redis_url), f"public-{verb}-{incident.seq}", args)
    return city.submit([command], now, redis_url)[0]


def _spellings(contact: str) -> list[str]:
    """Return the ways in which a contact may have been written; a login is no secret, and so proves nothing."""
    plain = contact.strip()[:CONTACT_LIMIT]
    if not plain or plain.startswith("account:"):
        return []
    digits = re.sub(r"[\s()+-]", "", plain)
    return list(dict.fromkeys((plain, digits)))


def _progress(city: CityReads, ids: list[int], actor: Actor, whole: bool = True) -> dict[int, Progress]:
    if not ids:
        return {}
    with city.look() as connection, connection.cursor() as cursor:
        held = {key: each.incident for key, each in store.load(cursor, ids).items()}
        happened: dict[int, list[Milestone]] = {}
        for incident_id, verb, at, remarks in cursor.execute(
            "select incident_id, verb, at, data -> 'said' from event"
            " where incident_id = any(%s) and verb = any(%s) order by incident_id, seq",
            (ids, list(MILESTONES)),
        ):
            text = (
                next((remarks[k] for k in _TOLD if remarks and remarks.get(k)), "")
                if verb in _TOLD_OF
                else ""
            )
            happened.setdefault(incident_id, []).append(Milestone(verb, at, text if whole else ""))
        shown: dict[int, list[str]] = {}
        if whole:
            for incident_id, name in cursor.execute(
                "select i.id, u.name from incident i join photo_use u on u.number = i.number"
                " where i.id = any(%s) order by 1, 2",
                (ids,),
            ):
                shown.setdefault(incident_id, []).append(name)
    return {
        key: Progress(
            incident.number, incident.reported_at, incident, tuple(happened.get(key, ())), whole,
            tuple(step.verb for step in lawful(incident, actor)), tuple(shown.get(key, ())),
        )
        for key, incident in held.items()
    }  # fmt: skip


def _refusals(numbers: list[int], redis_url: str) -> dict[int, tuple[str, str]]:
    """Return number -> why a report was not taken, in Chinese and English, where it was refused."""
    if not numbers:
        return {}
    stream = redis.Redis.from_url(redis_url, socket_timeout=2)
    try:
        answers: Any = stream.mget([f"{RECEIVED}{number}" for number in numbers])
    except redis.RedisError:
        return {}
    finally:
        stream.close()
    found = {}
    for number, raw in zip(numbers, answers, strict=True):
        answer = msgspec.json.decode(raw) if raw else {}
        if answer.get("state") == "refused":
            found[number] = (str(answer.get("zh", "")), str(answer.get("en", "")))
    return found

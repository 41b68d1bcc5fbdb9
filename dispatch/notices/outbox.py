"""Keep the messages that go out: follow the events after their commit, and write down who is to be told of what.

Nothing here runs inside the transaction of a change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from dispatch.desk import store
from dispatch.desk.store import Cursor
from dispatch.notices.addresses import addresses_of, line_of
from dispatch.record import follower
from dispatch.record.follower import STRETCH, Follower
from dispatch.rules.policy import escalation
from dispatch.rules.policy import notices as rules
from dispatch.rules.policy.notices import APP, Facts, Rule
from dispatch.rules.policy.policy import Policy
from dispatch.rules.time.calendar import Limit
from dispatch.rules.time.clocks import BY_SOURCE, Clock

NAME = "notices"  # the follower of what happened
TIMED = "limits"  # how far reminders of limits have come
EVENTS_LIMIT = 5_000  # followed in one transaction
REMIND_EVERY = timedelta(seconds=30)  # between two looks at all limits that run
INCIDENTS_LIMIT = 20_000  # looked at for reminders and calls in one run
EVENT_AGE = timedelta(hours=24)  # of what lies further back, reminders and the ladder tell
KEPT = timedelta(days=30)  # after which what is over is forgotten

_clock = msgspec.json.Decoder(Clock)
_parts = msgspec.json.Decoder(list[dict[str, Any]])
_said = msgspec.json.Decoder(dict[str, Any])
_FACTS = (
    "i.id, i.number, i.category, i.severity, i.area_code, i.level, i.holder, i.awaits, i.segment,"
    f" case when i.overdue_since is not null then {store.SILENT} end,"
    " i.ended_at is not null, i.paused_why is not null, coalesce(nullif(i.address, ''), a.name)"
)
_FROM = " from incident i join area a on a.code = i.area_code"
_UNANSWERED = (
    "array(select 'team/' || p.team_id from assignment p where p.incident_id = i.id and p.state = 'sent')"
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it is written down: to whom, by which channels, and what must hold when it goes."""

    key: str
    receiver: str
    channels: tuple[str, ...]
    holds: str
    facts: Facts
    zh: str
    en: str


def follow(cursor: Cursor, policy: Policy, now: datetime) -> int:
    """Write down who is to be told of what happened since the last time; return how many events were followed.

    Events are taken by their transactions, all below the oldest that still runs, so none is missed. What is no
    longer true, or older than `EVENT_AGE`, is passed over. The first call only notes where to begin.
    """
    reader = Follower(
        NAME,
        lambda at, begin, end: _take(at, begin, end, policy, now),
        from_now=True,
        events_limit=EVENTS_LIMIT,
    )
    return follower.follow(cursor.connection, reader)


def _take(cursor: Cursor, begin: int, end: int, policy: Policy, now: datetime) -> int:
    by_verb: dict[str, list[Rule]] = defaultdict(list)
    for rule in policy.notices.rules:
        for verb in rule.verbs:
            by_verb[verb].append(rule)
    of_parts = [verb for verb, held in by_verb.items() if any(rule.to in rules.OF_PARTS for rule in held)]
    cursor.execute(
        "select incident_id, seq, verb, at, tx::text::bigint, case when verb = any(%(of_parts)s) then"
        " (data -> 'assignments')::text when verb = 'breach' then (data -> 'said')::text end from event"
        f" where {STRETCH} and verb = any(%(verbs)s) order by tx, incident_id, seq",
        {"of_parts": of_parts, "verbs": list(by_verb), "begin": begin, "end": end},
    )
    events = cursor.fetchall()
    fresh = [e for e in events if now - e[3] <= EVENT_AGE]
    facts = facts_of(cursor, {e[0] for e in fresh})
    found: dict[tuple[int, str, str], Message] = {}
    for incident_id, seq, verb, _, _, data in fresh:
        one = facts[incident_id]
        for rule in by_verb[verb]:
            if one.severity not in rule.severities:
                continue
            if rule.to in rules.OF_PARTS:
                for to in rules.told_of_parts(rule.to, _parts.decode(data or "[]")):
                    if not rules.untrue(rule.holds, to if rule.holds == "unanswered" else one.holder, one):
                        key = f"{rule.slug}/{incident_id}/e{seq}/{to}"
                        made = _message(policy, rule, key, to, rule.channels, rule.holds, one)
                        found[incident_id, rule.slug, to] = made
                continue
            told_as, to_team = one, ""
            if verb == "breach":
                # Whose clock it was, and which: an assisting team's silence is not its lead's.
                said = _said.decode(data or "{}")
                told_as = replace(one, awaits=said.get("clock", one.awaits))
                to_team = f"team/{said['team']}" if rule.to == "holder" and "team" in said else ""
            receiver = to_team or rules.receiver(rule.to, rule.level, one)
            if receiver is not None and not rules.untrue(rule.holds, one.holder, one):
                # One stretch of waiting is told once, whatever led to it.
                mark = f"s{one.segment}" if rule.holds in rules.AWAITED else f"e{seq}"
                key = f"{rule.slug}/{incident_id}/{mark}/{receiver}"
                made = _message(policy, rule, key, receiver, rule.channels, rule.holds, told_as)
                found[incident_id, rule.slug, to_team] = made
    write(cursor, policy, found.values(), now)
    return len(events)


def remind(cursor: Cursor, policy: Policy, now: datetime) -> int:
    """Write down reminders and the ladder's calls that fell due since the last time; return how many incidents.

    After an outage each incident gets at most one of each: the highest that is due by now.
    """
    cursor.execute("insert into told (name, tx, at) values (%s, 0, %s) on conflict do nothing", (TIMED, now))
    last = _scalar(cursor, "select at from told where name = %s for update", (TIMED,))
    if timedelta(0) < now - last < REMIND_EVERY:
        return 0
    messages = [*_reminders(cursor, policy, last, now), *_calls(cursor, policy, last, now)]
    write(cursor, policy, messages, now)
    cursor.execute("update told set at = greatest(at, %s) where name = %s", (now, TIMED))
    return len(messages)


def write(cursor: Cursor, policy: Policy, messages: Iterable[Message], now: datetime) -> int:
    """Put messages into the system at once and into the outbox for every channel that has an address; return how many.

    A message whose key is there already is the same message.
    """
    inside: list[tuple[Any, ...]] = []
    outside: list[tuple[Any, ...]] = []
    for one in messages:
        facts = one.facts
        if APP in one.channels:
            inside.append((one.key, facts.id, facts.severity, one.receiver, now, one.zh, one.en))
        at = rules.may_go(facts.severity, now, policy.notices, policy.calendar)
        place = rules.reached_at(one.receiver, facts.area_code)
        for slug in one.channels:
            channel = policy.notices.channels.get(slug)
            if channel is not None and addresses_of(channel.env, place):
                outside.append(
                    (
                        f"{one.key}/{slug}", facts.id, facts.severity, one.receiver, place,
                        line_of(slug, channel.env, place), one.holds,
                        one.receiver if one.holds == "unanswered" else facts.holder, one.zh, one.en, now, at,
                    )
                )  # fmt: skip
    if inside:
        cursor.executemany(
            "insert into notice (key, incident_id, severity, receiver, at, zh, en)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict (key) do nothing",
            inside,
        )
    if outside:
        cursor.executemany(
            "insert into outbox (key, incident_id, severity, receiver, area_code, channel, holds, holder, zh, en,"
            " created_at, next_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (key) do nothing",
            outside,
        )
    return len(inside) + len(outside)


def forget(cursor: Cursor, now: datetime) -> int:
    """Forget messages and notices of incidents that ended long ago; return how many."""
    gone = 0
    for table in ("outbox", "notice"):
        age = "created_at" if table == "outbox" else "at"
        cursor.execute(
            f"delete from {table} o where {age} < %s and not exists"
            " (select from incident i where i.id = o.incident_id and i.ended_at is null)",
            (now - KEPT,),
        )
        gone += cursor.rowcount
    return gone


def facts_of(cursor: Cursor, ids: Iterable[int]) -> dict[int, Facts]:
    """Read how incidents stand now."""
    cursor.execute(f"select {_FACTS}, {_UNANSWERED}{_FROM} where i.id = any(%s)", (list(ids),))
    return {row[0]: Facts(*row) for row in cursor.fetchall()}


def _reminders(cursor: Cursor, policy: Policy, last: datetime, now: datetime) -> list[Message]:
    rule, marks = policy.notices.reminder, policy.ladder.reminders
    if rule is None or not marks:
        return []
    cursor.execute(
        f"select {_FACTS}, coalesce(i.clocks -> i.awaits, p.clocks -> i.awaits)::text{_FROM}"
        " left join assignment p on p.incident_id = i.id and p.role = 'lead'"
        " and p.state in ('sent', 'picked_up', 'on_site')"
        " where i.due_at > %s and i.ended_at is null and i.paused_why is null and i.awaits is not null"
        " order by i.due_at limit %s",
        (now, INCIDENTS_LIMIT),
    )
    found = []
    for *values, text in cursor.fetchall():
        if text is None:
            continue
        facts, clock = Facts(*values), _clock.decode(text)
        share = _share(policy, clock, marks, last, now)
        to = rules.receiver(rule.to, rule.level, facts)
        if share is not None and to is not None and facts.awaits is not None:
            key = f"reminder/{facts.id}/s{facts.segment}/{facts.awaits}/{share}/{to}"
            found.append(_message(policy, rule, key, to, rule.channels, facts.awaits, facts, share))
    return found


def _share(policy: Policy, clock: Clock, marks: Sequence[int], last: datetime, now: datetime) -> int | None:
    """Return the highest mark that a clock has passed by now and had not at the last look."""
    if clock.state != "running" or clock.due is None or clock.limit == BY_SOURCE:
        return None
    limit = Limit.parse(clock.limit)
    # What an extension has added counts too, as it does for the light.
    whole = policy.calendar.elapsed(clock.since, clock.due, limit.working)
    for mark in reversed(marks):
        at = policy.calendar.after(clock.since, whole * mark / 100, limit.working)
        if at <= now:
            return mark if at > last else None
    return None


def _calls(cursor: Cursor, policy: Policy, last: datetime, now: datetime) -> list[Message]:
    rule = policy.notices.call
    if rule is None:
        return []
    cursor.execute(
        f"select {_FACTS}{_FROM} where i.overdue_since is not null and i.ended_at is null and i.paused_why is null"
        " order by i.severity, i.overdue_since desc limit %s",
        (INCIDENTS_LIMIT,),
    )
    found = []
    for values in cursor.fetchall():
        facts = Facts(*values)
        assert facts.overdue_since is not None
        call = escalation.call_due(facts.severity, facts.overdue_since, now, policy.ladder)
        found.append(_call(policy, rule, "call", facts, facts.overdue_since, call, last))
    cursor.execute(
        f"select {_FACTS}, {store.UNREPORTED}{_FROM}{store.UNREPORTED_JOIN} where i.overdue_since is not null"
        " and i.ended_at is null and i.paused_why is null order by i.severity, i.overdue_since desc limit %s",
        (INCIDENTS_LIMIT,),
    )
    for *values, since in cursor.fetchall():
        call = escalation.whistle_call_due(since, now, policy.ladder)
        found.append(_call(policy, rule, "unreported", Facts(*values), since, call, last))
    return [message for message in found if message is not None]


def _call(
    policy: Policy, rule: Rule, why: str, facts: Facts, since: datetime, call: escalation.Call | None, last: datetime
) -> Message | None:  # fmt: skip
    """Return the call that fell due after the last look, or None."""
    if call is None:
        return None
    step = call.step
    due = since + timedelta(minutes=step.after_min + call.turn * step.every_min)
    level = next(name for name, number in escalation.LEVELS.items() if number == step.level)
    to = rules.receiver(step.role, level, facts)
    if due <= last or to is None:
        return None
    spell = since.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    key = f"{why}/{facts.id}/{spell}/{call.rung}/{call.turn}/{to}"
    return _message(policy, rule, key, to, step.channels, "overdue", facts)


def _message(
    policy: Policy, rule: Rule, key: str, to: str, channels: tuple[str, ...], holds: str, facts: Facts,
    share: int = 100,
) -> Message:  # fmt: skip
    kind = policy.types.get(facts.category)
    awaits = rules.AWAITED.get(facts.awaits or "", ("办理", "action"))
    words = {
        "kind_zh": kind.name if kind else facts.category,
        "kind_en": kind.name_en if kind else facts.category,
        "place": facts.place,
        "number": f"{facts.number:016d}",
        "awaits_zh": awaits[0],
        "awaits_en": awaits[1],
        "share": share,
    }
    return Message(key, to, channels, holds, facts, rule.zh.format(**words), rule.en.format(**words))


def _scalar(cursor: Cursor, query: str, values: Sequence[object] = ()) -> Any:
    cursor.execute(query.encode(), values)
    row = cursor.fetchone()
    assert row is not None
    return row[0]

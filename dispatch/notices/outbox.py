"""Tell people: follow the events after their commit, keep messages in an outbox, send what is still true.

Nothing here runs inside the transaction of a change. Each line (a channel, or the addresses that an area has of its
own on it) is drained by a thread of its own, so one that is slow or down delays only itself; addresses are Apprise
URLs from the environment and are never written anywhere.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg

from dispatch.desk import store
from dispatch.desk.store import Cursor
from dispatch.record import follower
from dispatch.record.follower import STRETCH, Follower
from dispatch.rules.areas import ancestors
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
CLAIM_ROWS = 200  # messages taken from the outbox at a time
LEASE = timedelta(minutes=2)  # after which what a dead process had taken is taken again
DRAIN_S = 20.0  # one thread's turn at a line
LINES_AT_ONCE = 32  # drained side by side; the others come with the next run
CONNECT_S, READ_S = 3.0, 5.0  # patience with an address
KEPT = timedelta(days=30)  # after which what is over is forgotten

Deliver = Callable[[Sequence[str], str, str], str | None]
_clock = msgspec.json.Decoder(Clock)
_parts = msgspec.json.Decoder(list[dict[str, Any]])
_said = msgspec.json.Decoder(dict[str, Any])
_log = logging.getLogger("notices")
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


@dataclass(frozen=True, slots=True)
class Unread:
    """One notice inside the system."""

    id: int
    incident_id: int | None
    severity: int
    receiver: str
    at: datetime
    zh: str
    en: str


def follow(cursor: Cursor, law: Policy, now: datetime) -> int:
    """Write down who is to be told of what happened since the last time; return how many events were followed.

    Events are taken by their transactions, all below the oldest that still runs, so none is missed. What is no
    longer true, or older than `EVENT_AGE`, is passed over. The first call only notes where to begin.
    """
    reader = Follower(
        NAME, lambda at, begin, end: _take(at, begin, end, law, now), from_now=True, events_limit=EVENTS_LIMIT
    )
    return follower.follow(cursor.connection, reader)


def _take(cursor: Cursor, begin: int, end: int, law: Policy, now: datetime) -> int:
    by_verb: dict[str, list[Rule]] = defaultdict(list)
    for rule in law.notices.rules:
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
                        made = _message(law, rule, key, to, rule.channels, rule.holds, one)
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
                made = _message(law, rule, key, receiver, rule.channels, rule.holds, told_as)
                found[incident_id, rule.slug, to_team] = made
    write(cursor, law, found.values(), now)
    return len(events)


def remind(cursor: Cursor, law: Policy, now: datetime) -> int:
    """Write down reminders and the ladder's calls that fell due since the last time; return how many incidents.

    After an outage each incident gets at most one of each: the highest that is due by now.
    """
    cursor.execute("insert into told (name, tx, at) values (%s, 0, %s) on conflict do nothing", (TIMED, now))
    last = _scalar(cursor, "select at from told where name = %s for update", (TIMED,))
    if timedelta(0) < now - last < REMIND_EVERY:
        return 0
    messages = [*_reminders(cursor, law, last, now), *_calls(cursor, law, last, now)]
    write(cursor, law, messages, now)
    cursor.execute("update told set at = greatest(at, %s) where name = %s", (now, TIMED))
    return len(messages)


def write(cursor: Cursor, law: Policy, messages: Iterable[Message], now: datetime) -> int:
    """Put messages into the system at once and into the outbox for every channel that has an address; return how many.

    A message whose key is there already is the same message.
    """
    inside: list[tuple[Any, ...]] = []
    outside: list[tuple[Any, ...]] = []
    for one in messages:
        facts = one.facts
        if APP in one.channels:
            inside.append((one.key, facts.id, facts.severity, one.receiver, now, one.zh, one.en))
        at = rules.may_go(facts.severity, now, law.notices, law.calendar)
        place = rules.reached_at(one.receiver, facts.area_code)
        for slug in one.channels:
            channel = law.notices.channels.get(slug)
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


def unread(cursor: Cursor, receivers: Sequence[str], limit: int = 100) -> list[Unread]:
    """Return what these receivers (`team/<id>`, `<role>/<area code>`) have not read, gravest and newest first."""
    cursor.execute(
        "select id, incident_id, severity, receiver, at, zh, en from notice where receiver = any(%s)"
        " and read_at is null order by severity, at desc, id desc limit %s",
        (list(receivers), limit),
    )
    return [Unread(*row) for row in cursor.fetchall()]


def mark_read(
    cursor: Cursor, ids: Sequence[int], receivers: Sequence[str], reader: str, now: datetime
) -> int:
    """Mark notices of these receivers as read, unless somebody has; return how many were unread."""
    cursor.execute(
        "update notice set read_at = %s, read_by = %s where id = any(%s) and receiver = any(%s) and read_at is null",
        (now, reader, list(ids), list(receivers)),
    )
    return cursor.rowcount


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


def addresses_of(env: str, area_code: str, held: Mapping[str, str] = os.environ) -> list[str]:
    """Return a channel's addresses for an area: those of the nearest area that has its own, else everybody's."""
    own = _own(env, area_code, held)
    return held.get(f"{env}_{own}" if own else env, "").split()


def line_of(slug: str, env: str, area_code: str, held: Mapping[str, str] = os.environ) -> str:
    """Return the line by which a channel reaches an area: `slug`, or `slug/<code>` for an area with its own addresses.

    What goes out by one line waits for nothing that goes by another.
    """
    own = _own(env, area_code, held)
    return f"{slug}/{own}" if own else slug


def language_of(channel: rules.Channel, area_code: str, held: Mapping[str, str] = os.environ) -> str:
    """Return the language that is read at a channel's addresses for an area.

    Addresses say it themselves in a variable beside them (`<env>_<code>_LANG`, `<env>_LANG`), else the policy does.
    """
    own = _own(channel.env, area_code, held)
    said = held.get(f"{channel.env}_{own}_LANG" if own else f"{channel.env}_LANG", "").strip()
    return said if said in rules.LANGUAGES else channel.lang


def _own(env: str, area_code: str, held: Mapping[str, str]) -> str:
    return next((code for code in ancestors(area_code) if held.get(f"{env}_{code}", "").strip()), "")


class Sender:
    """Drain the outbox, one thread a line; a line still busy from the last time is left to it.

    `deliver(addresses, title, body)` returns None, or why it failed; it must not raise.
    """

    def __init__(self, dsn: str, deliver: Deliver | None = None) -> None:
        self._dsn = dsn
        self._deliver = deliver or by_apprise
        self._busy: dict[str, threading.Thread] = {}

    def send(self, law: Policy, now: datetime, patience_s: float) -> list[str]:
        """Start every line that has something due, wait up to `patience_s`; return the lines still at it."""
        self._busy = {line: thread for line, thread in self._busy.items() if thread.is_alive()}
        for line in self._due(law, now):
            if len(self._busy) >= LINES_AT_ONCE:
                break
            if line not in self._busy:
                thread = threading.Thread(
                    target=self._drain_safely, args=(line, law, now), name=f"notices-{line}", daemon=True
                )
                self._busy[line] = thread
                thread.start()
        deadline = time.monotonic() + patience_s
        for thread in self._busy.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return [line for line, thread in self._busy.items() if thread.is_alive()]

    def _due(self, law: Policy, now: datetime) -> list[str]:
        """Return the lines that have something due and are not left alone, the gravest and longest due first."""
        with psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
            rows = connection.execute(
                "select o.channel from outbox o left join channel_health h on h.name = o.channel"
                " where o.state in ('waiting', 'sending') and o.next_at <= %s"
                " and (h.closed_until is null or h.closed_until <= %s)"
                " group by o.channel order by min(o.severity), min(o.next_at), o.channel",
                (now, now),
            ).fetchall()
        return [line for (line,) in rows if _slug(line) in law.notices.channels]

    def _drain_safely(self, line: str, law: Policy, now: datetime) -> None:
        try:
            self.drain(line, law, now)
        except psycopg.Error as fault:
            # What was taken comes back when its lease ends.
            _log.warning("channel %s: %s", line, type(fault).__name__)

    def drain(self, line: str, law: Policy, now: datetime) -> int:
        """Send what is due on one line until nothing is, it fails, or its turn is over; return messages sent."""
        sent = 0
        began = time.monotonic()
        with psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.cursor()
            while time.monotonic() - began < DRAIN_S and _is_open(cursor, line, now):
                taken = _claim(cursor, line, now)
                if not taken:
                    break
                bundles = _bundles(cursor, law, line, taken, now)
                while bundles and time.monotonic() - began < DRAIN_S:
                    if not self._send(cursor, law, line, *bundles.pop(0), now):
                        break
                    sent += 1
                # What this turn did not come to waits for the next.
                left = [key for rows, behind in bundles for key in (*(row[0] for row in rows), *behind)]
                _put_off(cursor, left, now)
                if left:
                    break
        return sent

    def _send(
        self, cursor: Cursor, law: Policy, line: str, rows: Sequence[tuple[Any, ...]], behind: Sequence[int],
        now: datetime,
    ) -> bool:  # fmt: skip
        """Send one message that bundles rows; note what came of it, and return whether it was taken.

        What lies behind, by its ids, is settled by the message only once it has gone out.
        """
        channel = law.notices.channels[_slug(line)]
        ids = [row[0] for row in rows]
        lang = language_of(channel, rows[0][4])
        title, body = rules.bundle([row[6 if lang == "zh" else 8] for row in rows], law.notices.lines, lang)
        cause = self._deliver(addresses_of(channel.env, rows[0][4]), title, body)
        if cause is None:
            cursor.execute(
                "update outbox set state = 'sent', sent_at = %s, attempts = attempts + 1, cause = null"
                " where id = any(%s)",
                (now, ids),
            )
            _stale(cursor, "a later message says more", behind)
            cursor.execute(
                "insert into channel_health (name, last_sent_at) values (%s, %s) on conflict (name) do update"
                " set failures = 0, closed_until = null, cause = null, last_sent_at = excluded.last_sent_at",
                (line, now),
            )
            return True
        failures = _scalar(
            cursor,
            "insert into channel_health as h (name, failures, cause) values (%s, 1, %s) on conflict (name)"
            " do update set failures = h.failures + 1, cause = excluded.cause returning failures",
            (line, cause),
        )
        again = now + rules.wait(int(failures))
        cursor.execute("update channel_health set closed_until = %s where name = %s", (again, line))
        cursor.execute(
            "update outbox set attempts = attempts + 1, cause = %s, next_at = %s,"
            " state = case when attempts + 1 >= %s then 'dead' else 'waiting' end where id = any(%s)",
            (cause, again, rules.ATTEMPTS_LIMIT, ids),
        )
        _put_off(cursor, behind, again)
        _log.warning("channel %s failed: %s; %d message(s) wait", line, cause, len(ids))
        return False


def by_apprise(addresses: Sequence[str], title: str, body: str) -> str | None:
    """Send one message to every address; return None where one took it, or why none did, without naming any."""
    # Takes half a second, and only processes that send need it.
    import apprise

    for name in ("apprise", "urllib3"):
        # Below this level they write addresses, with their secrets, into the log.
        logging.getLogger(name).setLevel(logging.WARNING)
    cause = "no address"
    taken = False
    for address in addresses:
        patient = f"{address}{'&' if '?' in address else '?'}cto={CONNECT_S}&rto={READ_S}"
        with _Heard() as heard:
            one = apprise.Apprise.instantiate(patient, suppress_exceptions=True)
            if one is None:
                cause = "an address that is no Apprise URL"
            elif one.notify(body=body, title=title, notify_type=apprise.NotifyType.INFO):
                taken = True
            else:
                cause = heard.cause
    return None if taken else cause


class _Heard(logging.Handler):
    """Hear why the library gave up, in this thread, and keep of it what names no address; nothing is passed on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.cause = "it was not taken"

    def __enter__(self) -> _Heard:
        library = logging.getLogger("apprise")
        library.propagate = False
        library.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an HTTP status, or the bare fact of no answer."""
        if record.thread != self._thread:
            return
        said = record.getMessage()
        status = re.search(r"error=(\d{3})\b", said)
        if status is not None:
            self.cause = f"HTTP {status[1]}"
        elif "onnection" in said or "imeout" in said:
            self.cause = "no answer"


def _reminders(cursor: Cursor, law: Policy, last: datetime, now: datetime) -> list[Message]:
    rule, marks = law.notices.reminder, law.ladder.reminders
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
        share = _share(law, clock, marks, last, now)
        to = rules.receiver(rule.to, rule.level, facts)
        if share is not None and to is not None and facts.awaits is not None:
            key = f"reminder/{facts.id}/s{facts.segment}/{facts.awaits}/{share}/{to}"
            found.append(_message(law, rule, key, to, rule.channels, facts.awaits, facts, share))
    return found


def _share(law: Policy, clock: Clock, marks: Sequence[int], last: datetime, now: datetime) -> int | None:
    """Return the highest mark that a clock has passed by now and had not at the last look."""
    if clock.state != "running" or clock.due is None or clock.limit == BY_SOURCE:
        return None
    limit = Limit.parse(clock.limit)
    # What an extension has added counts too, as it does for the light.
    whole = law.calendar.elapsed(clock.since, clock.due, limit.working)
    for mark in reversed(marks):
        at = law.calendar.after(clock.since, whole * mark / 100, limit.working)
        if at <= now:
            return mark if at > last else None
    return None


def _calls(cursor: Cursor, law: Policy, last: datetime, now: datetime) -> list[Message]:
    rule = law.notices.call
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
        call = escalation.call_due(facts.severity, facts.overdue_since, now, law.ladder)
        found.append(_call(law, rule, "call", facts, facts.overdue_since, call, last))
    cursor.execute(
        f"select {_FACTS}, {store.UNREPORTED}{_FROM}{store.UNREPORTED_JOIN} where i.overdue_since is not null"
        " and i.ended_at is null and i.paused_why is null order by i.severity, i.overdue_since desc limit %s",
        (INCIDENTS_LIMIT,),
    )
    for *values, since in cursor.fetchall():
        call = escalation.whistle_call_due(since, now, law.ladder)
        found.append(_call(law, rule, "unreported", Facts(*values), since, call, last))
    return [message for message in found if message is not None]


def _call(
    law: Policy, rule: Rule, why: str, facts: Facts, since: datetime, call: escalation.Call | None, last: datetime
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
    return _message(law, rule, key, to, step.channels, "overdue", facts)


def _message(
    law: Policy, rule: Rule, key: str, to: str, channels: tuple[str, ...], holds: str, facts: Facts,
    share: int = 100,
) -> Message:  # fmt: skip
    kind = law.types.get(facts.category)
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


def _slug(line: str) -> str:
    return line.partition("/")[0]


def _is_open(cursor: Cursor, line: str, now: datetime) -> bool:
    cursor.execute("select closed_until from channel_health where name = %s", (line,))
    row = cursor.fetchone()
    return row is None or row[0] is None or row[0] <= now


def _claim(cursor: Cursor, line: str, now: datetime) -> list[tuple[Any, ...]]:
    """Take what is due on a line, gravest first; what is taken comes back by itself if nobody says more."""
    cursor.execute(
        "with due as (select id from outbox where channel = %s and state in ('waiting', 'sending')"
        " and next_at <= %s order by severity, id limit %s for update skip locked),"
        " taken as (update outbox o set state = 'sending', next_at = %s from due where o.id = due.id returning o.*)"
        " select id, incident_id, severity, receiver, area_code, holds, zh, holder, en"
        " from taken order by severity, id",
        (line, now, CLAIM_ROWS, now + LEASE),
    )
    return cursor.fetchall()


def _bundles(
    cursor: Cursor, law: Policy, line: str, rows: Sequence[tuple[Any, ...]], now: datetime
) -> list[tuple[list[tuple[Any, ...]], list[int]]]:
    """Drop what is no longer true, put off what would be too much, and bundle the rest by receiver.

    With each bundle come the ids of older messages of which it says more.
    """
    facts = facts_of(cursor, {row[1] for row in rows})
    untrue = {row[0]: rules.untrue(row[5], row[7], facts.get(row[1])) for row in rows}
    # Of those that are still true: what has passed says no more than what still holds.
    newest = {(row[1], row[3]): row[0] for row in sorted(rows) if untrue[row[0]] is None}
    by_receiver: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    behind: dict[str, list[int]] = defaultdict(list)
    stale: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        why = untrue[row[0]]
        if why is not None:
            stale[why].append(row[0])
        elif newest[row[1], row[3]] != row[0]:
            # Until the later one has gone out: by then it may be true no longer, and this one still.
            behind[row[3]].append(row[0])
        else:
            by_receiver[row[3]].append(row)
    for why, ids in stale.items():
        _stale(cursor, why, ids)
    cursor.execute(
        "select receiver, max(sent_at), count(distinct sent_at), min(sent_at) from outbox where channel = %s"
        " and state = 'sent' and receiver = any(%s) and sent_at > %s group by 1",
        (line, list(by_receiver), now - timedelta(hours=1)),
    )
    lately = {to: (latest, count, earliest) for to, latest, count, earliest in cursor.fetchall()}
    bundles = []
    for to, held in by_receiver.items():
        latest, count, earliest = lately.get(to, (None, 0, None))
        until = now
        if latest is not None and held[0][2] > 1:
            until = latest + law.notices.gap
            if count >= law.notices.per_hour:
                until = max(until, earliest + timedelta(hours=1))
        if until > now:
            _put_off(cursor, [*(row[0] for row in held), *behind[to]], until)
        else:
            bundles.append((held, behind[to]))
    return bundles


def _stale(cursor: Cursor, why: str, ids: Sequence[int]) -> None:
    cursor.execute("update outbox set state = 'stale', cause = %s where id = any(%s)", (why, list(ids)))


def _put_off(cursor: Cursor, ids: Sequence[int], until: datetime) -> None:
    cursor.execute("update outbox set state = 'waiting', next_at = %s where id = any(%s)", (until, list(ids)))


def _scalar(cursor: Cursor, query: str, values: Sequence[object] = ()) -> Any:
    cursor.execute(query.encode(), values)
    row = cursor.fetchone()
    assert row is not None
    return row[0]

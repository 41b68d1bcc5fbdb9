"""Send what waits in the outbox and is still true, line by line.

Each line (a channel, or the addresses that an area has of its own on it) is drained by a thread of its own, so one
that is slow or down delays only itself.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg

from dispatch.desk.store import Cursor
from dispatch.notices.addresses import addresses_of, language_of, slug_of
from dispatch.notices.outbox import facts_of
from dispatch.rules.policy import notices as rules
from dispatch.rules.policy.policy import Policy

CLAIM_ROWS = 200  # messages taken from the outbox at a time
LEASE = timedelta(minutes=2)  # after which what a dead process had taken is taken again
DRAIN_S = 20.0  # one thread's turn at a line
LINES_AT_ONCE = 32  # drained side by side; the others come with the next run
CONNECT_S, READ_S = 3.0, 5.0  # patience with an address

Deliver = Callable[[Sequence[str], str, str], str | None]
_log = logging.getLogger("notices")


class Sender:
    """Drain the outbox, one thread a line; a line still busy from the last time is left to it.

    `deliver(addresses, title, body)` returns None, or why it failed; it must not raise.
    """

    def __init__(self, dsn: str, deliver: Deliver | None = None) -> None:
        self._dsn = dsn
        self._deliver = deliver or by_apprise
        self._busy: dict[str, threading.Thread] = {}

    def send(self, policy: Policy, now: datetime, patience_s: float) -> list[str]:
        """Start every line that has something due, wait up to `patience_s`; return the lines still at it."""
        self._busy = {line: thread for line, thread in self._busy.items() if thread.is_alive()}
        for line in self._due(policy, now):
            if len(self._busy) >= LINES_AT_ONCE:
                break
            if line not in self._busy:
                thread = threading.Thread(
                    target=self._drain_safely, args=(line, policy, now), name=f"notices-{line}", daemon=True
                )
                self._busy[line] = thread
                thread.start()
        deadline = time.monotonic() + patience_s
        for thread in self._busy.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return [line for line, thread in self._busy.items() if thread.is_alive()]

    def _due(self, policy: Policy, now: datetime) -> list[str]:
        """Return the lines that have something due and are not left alone, the gravest and longest due first."""
        with psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
            rows = connection.execute(
                "select o.channel from outbox o left join channel_health h on h.name = o.channel"
                " where o.state in ('waiting', 'sending') and o.next_at <= %s"
                " and (h.closed_until is null or h.closed_until <= %s)"
                " group by o.channel order by min(o.severity), min(o.next_at), o.channel",
                (now, now),
            ).fetchall()
        return [line for (line,) in rows if slug_of(line) in policy.notices.channels]

    def _drain_safely(self, line: str, policy: Policy, now: datetime) -> None:
        try:
            self.drain(line, policy, now)
        except psycopg.Error as fault:
            # What was taken comes back when its lease ends.
            _log.warning("channel %s: %s", line, type(fault).__name__)

    def drain(self, line: str, policy: Policy, now: datetime) -> int:
        """Send what is due on one line until nothing is, it fails, or its turn is over; return messages sent."""
        sent = 0
        began = time.monotonic()
        with psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.cursor()
            while time.monotonic() - began < DRAIN_S and _is_open(cursor, line, now):
                taken = _claim(cursor, line, now)
                if not taken:
                    break
                bundles = _bundles(cursor, policy, line, taken, now)
                while bundles and time.monotonic() - began < DRAIN_S:
                    if not self._send(cursor, policy, line, *bundles.pop(0), now):
                        break
                    sent += 1
                # What this turn did not come to waits for the next.
                left = [key for rows, behind in bundles for key in (*(row[0] for row in rows), *behind)]
                _put_off(cursor, left, now)
                if left:
                    break
        return sent

    def _send(
        self, cursor: Cursor, policy: Policy, line: str, rows: Sequence[tuple[Any, ...]], behind: Sequence[int],
        now: datetime,
    ) -> bool:  # fmt: skip
        """Send one message that bundles rows; note what came of it, and return whether it was taken.

        What lies behind, by its ids, is settled by the message only once it has gone out.
        """
        channel = policy.notices.channels[slug_of(line)]
        ids = [row[0] for row in rows]
        lang = language_of(channel, rows[0][4])
        title, body = rules.bundle(
            [row[6 if lang == "zh" else 8] for row in rows], policy.notices.lines, lang
        )
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
        cursor.execute(
            "insert into channel_health as h (name, failures, cause) values (%s, 1, %s) on conflict (name)"
            " do update set failures = h.failures + 1, cause = excluded.cause returning failures",
            (line, cause),
        )
        counted = cursor.fetchone()
        assert counted is not None
        again = now + rules.wait(int(counted[0]))
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
        message = record.getMessage()
        status = re.search(r"error=(\d{3})\b", message)
        if status is not None:
            self.cause = f"HTTP {status[1]}"
        elif "onnection" in message or "imeout" in message:
            self.cause = "no answer"


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
    cursor: Cursor, policy: Policy, line: str, rows: Sequence[tuple[Any, ...]], now: datetime
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
            until = latest + policy.notices.gap
            if count >= policy.notices.per_hour:
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

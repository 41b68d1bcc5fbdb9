"""Score each subject's month from the stories of its cases, freeze it, and correct it beside the frozen.

Everything is computed from events alone. Kept with the rules' version, horizon and instant make a month that can be
computed again to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any

import msgspec
import psycopg

from dispatch.record import follower
from dispatch.record.follower import STRETCH, Follower
from dispatch.record.histories import horizon
from dispatch.record.policies import Policies
from dispatch.rules.measures import assessment
from dispatch.rules.measures.assessment import Rules, Score
from dispatch.rules.measures.indicators import Case, Rate, evaluate
from dispatch.rules.time.calendar import Calendar
from dispatch.scores.attribution import Scope
from dispatch.scores.month_cases import Exemption, Exemptions, Granted, cases, exempted

APPEALS = "appeals"  # the follower of granted appeals
MONTHS_LIMIT = 24  # frozen ones that an appeal may still correct
_APPEALS_LOCK = "hashtextextended('follow appeals', 0)"

# Kind of subject -> its cards. Kinds are computed from their own cases, or pooled from a kind below.
CARDS: dict[str, tuple[str, ...]] = {
    "village": ("unit", "whistle"),
    "town": ("unit", "whistle"),
    "county": ("unit", "whistle"),
    "city": ("unit", "whistle"),
    "team": ("unit", "whistle"),
    "department": ("unit", "whistle"),
    "dispatcher": ("dispatcher",),
    "dispatch_centre": ("dispatcher",),
    "duty_leader": ("duty_leader",),
    "duty_centre": ("duty_leader",),
    "grid_worker": ("grid_worker",),
    "grid_head": ("grid_worker",),
}
KINDS: dict[str, tuple[str, str]] = {
    "village": ("村(社区)", "village"),
    "town": ("镇街", "town"),
    "county": ("县(市、区)", "county"),
    "city": ("市", "city"),
    "team": ("队伍", "team"),
    "department": ("部门", "department"),
    "dispatcher": ("派遣员", "dispatcher"),
    "dispatch_centre": ("中心派遣合计", "a centre's dispatching"),
    "duty_leader": ("值班长", "duty leader"),
    "duty_centre": ("中心值班合计", "a centre's duty"),
    "grid_worker": ("网格员", "grid worker"),
    "grid_head": ("网格长", "grid head"),
}
POOLED = frozenset({"town", "county", "city", "department", "grid_head", "dispatch_centre"})
# Whose rates are shown in full beside the card, with stage times.
IN_FULL = frozenset({"village", "town", "county", "city", "team", "department"})

Appeal = tuple[int, Exemption, int | None]  # seq of the judging event, and the rest as in Granted

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Card:
    """Hold one subject's card of a month as it is stored; `parts` is JSON to the byte, `exact` the score as text."""

    kind: str
    subject: str
    card: str
    score: float | None
    exact: str
    band: str
    cases: int
    parts: str
    hash: str


@dataclass(frozen=True, slots=True)
class Month:
    """Hold a whole month: its cards in the order of kind, subject and card, and the hash over them."""

    scope: Scope
    incidents: int
    cards: tuple[Card, ...]
    hash: str


def rules_of(known: Policies, month: date, as_of: datetime) -> tuple[Rules, Calendar]:
    """Return the rules that a month is judged by as of an instant, and the calendar of the same policy.

    They are those in force then, and once the month is over those of its last day. Raises LookupError where there are
    none, PolicyError where they are wrong.
    """
    today = known.in_force(as_of).calendar.local(as_of).date()
    rules = known.rules_on(min(today, _following(month) - timedelta(days=1)))
    return rules, known.version(rules.version).calendar


def _following(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def freezes_at(month: date, rules: Rules, calendar: Calendar) -> datetime:
    """Return the instant, in UTC, as of which a month is judged for good and after which it is frozen."""
    return calendar.begins(_following(month) + timedelta(days=rules.freeze_day - 1))


def assess(connection: psycopg.Connection[Any], scope: Scope, granted: Granted | None = None) -> Month:
    """Compute a whole month: every card of every subject that has a case in it. Runs inside a transaction."""
    found, read = cases(connection, scope, granted)
    cards: list[Card] = []
    for (kind, subject), own in sorted(found.items()):
        own.sort(key=lambda c: c.id)
        for name in CARDS[kind]:
            scored = assessment.score(scope.rules, name, own)
            if scored.value is None and name != CARDS[kind][0]:
                continue
            cards.append(_card(scope, kind, subject, scored, own))
    digest = sha256(f"{scope.month}|{scope.as_of.isoformat()}|{scope.below}|{scope.rules.version}".encode())
    for card in cards:
        digest.update(card.hash.encode())
    return Month(scope, read, tuple(cards), digest.hexdigest())


def _card(scope: Scope, kind: str, subject: str, scored: Score, own: Sequence[Case]) -> Card:
    listed = kind not in POOLED
    exact = _text(scored.value)
    parts: dict[str, Any] = {
        "score": exact,
        "weighed": scored.weighed,
        "parts": [
            {"weight": p.weight, "points": _text(p.points), **_written(p.rate, listed)} for p in scored.parts
        ],
    }
    if kind in IN_FULL and scored.card == "unit":
        named = {p.rate.indicator.name for p in scored.parts}
        rates = (evaluate(each, own) for name, each in scope.rules.catalogue.items() if name not in named)
        parts["also"] = [_written(rate, listed) for rate in rates if rate.d]
        parts["times"] = {
            stage: [
                t.n,
                *(round(x) for x in (t.p50, t.p90, t.mean, t.working_p50, t.working_p90, t.working_mean)),
            ]
            for stage, t in assessment.stage_times(own).items()
        }
    text = _encode(parts).decode()
    return Card(
        kind, subject, scored.card, None if scored.value is None else float(scored.value), exact,
        assessment.band(scope.rules, scored.value), scored.count, text,
        card_hash(scope.month, kind, subject, scored.card, scope.rules.version, text),
    )  # fmt: skip


def card_hash(month: date, kind: str, subject: str, card: str, version: int, parts: str) -> str:
    """Return the hash that a stored card must still have, SHA-256 in hex."""
    return sha256(f"{month}|{kind}|{subject}|{card}|{version}|{parts}".encode()).hexdigest()


def _written(rate: Rate, listed: bool) -> dict[str, Any]:
    """Return a rate for keeping: exact, with its cases unless those of the subjects below are the same ones."""
    written: dict[str, Any] = {
        "indicator": rate.indicator.name,
        "version": rate.indicator.version,
        "n": _text(rate.n),
        "d": rate.d,
    }
    if listed:
        written |= {"numerator": rate.numerator, "denominator": rate.denominator}
    if rate.exempt:
        written["exempt"] = rate.exempt
    if rate.left_out:
        written["left_out"] = rate.left_out
    return written


def _text(value: Fraction | None) -> str:
    return "" if value is None else str(value)


def assess_month(connection: psycopg.Connection[Any], month: date, now: datetime) -> int:
    """Compute a month provisionally as of `now`, in place of what was computed before; return its cards.

    A frozen month is left as it is, and answers 0.
    """
    with connection.transaction(), connection.cursor() as cursor:
        if _state(cursor, month) == "frozen":
            return 0
        rules, _ = rules_of(Policies(cursor), month, now)
        scope = Scope(month, rules, now, horizon(cursor))
        return _keep(cursor, assess(connection, scope), "provisional")


def freeze(connection: psycopg.Connection[Any], month: date, now: datetime) -> int:
    """Judge a month for good and freeze it, once its day has come; return its cards, 0 where there is nothing to do."""
    with connection.transaction(), connection.cursor() as cursor:
        rules, calendar = rules_of(Policies(cursor), month, now)
        as_of = freezes_at(month, rules, calendar)
        if now < as_of:
            return 0
        # Nobody follows appeals meanwhile: one that is granted while this runs would be passed over by both. A lock
        # that writes nothing, or every reader of events would wait as long.
        cursor.execute(f"select pg_advisory_xact_lock({_APPEALS_LOCK})")
        if _state(cursor, month) == "frozen":
            return 0
        return _keep(cursor, assess(connection, Scope(month, rules, as_of, horizon(cursor))), "frozen")


def unfrozen(cursor: psycopg.Cursor[Any], now: datetime, at_most: int) -> list[date]:
    """Return the months whose day of freezing has come, the oldest first; incidents say where the months begin."""
    row = cursor.execute("select min(reported_at) from incident").fetchone()
    if row is None or row[0] is None:
        return []
    known = Policies(cursor)
    frozen = {m for (m,) in cursor.execute("select month from assessment_month where state = 'frozen'")}
    month = known.in_force(now).calendar.local(row[0]).date().replace(day=1)
    found: list[date] = []
    while len(found) < at_most and freezes_at(month, *rules_of(known, month, now)) <= now:
        if month not in frozen:
            found.append(month)
        month = _following(month)
    return found


def again(connection: psycopg.Connection[Any], month: date) -> Month:
    """Compute a stored month anew by its own rules, instant and horizon; the hash is the same, or something is wrong.

    Raises LookupError where the month was never computed.
    """
    with connection.transaction(), connection.cursor() as cursor:
        return assess(connection, _stored(cursor, month))


def exemptions(connection: psycopg.Connection[Any], month: date) -> Exemptions | None:
    """Return the exempt cases of a stored month as it judged them and by the bare facts, or None where too many are.

    From the same events, rules and instant as the month. Raises LookupError where it was never computed.
    """
    with connection.transaction(), connection.cursor() as cursor:
        return exempted(connection, _stored(cursor, month))


def _stored(cursor: psycopg.Cursor[Any], month: date) -> Scope:
    row = cursor.execute(
        "select policy_version, as_of, horizon from assessment_month where month = %s", (month,)
    ).fetchone()
    if row is None:
        raise LookupError(f"{month:%Y-%m} has not been assessed")
    return Scope(month, Policies(cursor).rules(row[0]), row[1], row[2])


def correct(connection: psycopg.Connection[Any], month: date, appeals: Mapping[int, Appeal]) -> int:
    """Enter what appeals granted after the freeze change in a month's scores; the frozen cards stay untouched.

    `appeals` is incident id -> (seq of the judging event, reason, never theirs, exempt time). Return the entries made;
    an entry that is there already is not made again.
    """
    with connection.transaction(), connection.cursor() as cursor:
        row = cursor.execute(
            "select policy_version, as_of, horizon from assessment_month where month = %s and state = 'frozen'",
            (month,),
        ).fetchone()
        if row is None:
            return 0
        cursor.execute(
            "select distinct on (kind, subject, card) kind, subject, card, score_after from correction"
            " where month = %s order by kind, subject, card, id desc",
            (month,),
        )
        known: dict[tuple[str, str, str], str] = {(k, s, c): after for k, s, c, after in cursor.fetchall()}
        cursor.execute(
            "select kind, subject, card, parts ->> 'score' from assessment where month = %s", (month,)
        )
        for kind, subject, name, exact in cursor.fetchall():
            known.setdefault((kind, subject, name), exact)
        every = _granted_before(cursor) | dict(appeals)
        scope = Scope(month, Policies(cursor).rules(row[0]), row[1], row[2])
        granted = {incident: (exemption, life) for incident, (_, exemption, life) in every.items()}
        found, _ = cases(connection, scope, granted)
        entered = 0
        for (kind, subject), own in sorted(found.items()):
            mine = sorted({c.id for c in own} & appeals.keys())
            for name in CARDS[kind] if mine else ():
                after = _text(assessment.score(scope.rules, name, own).value)
                before = known.get((kind, subject, name), "")
                for incident in mine if after != before else ():
                    seq, (why, _, _), _ = appeals[incident]
                    cursor.execute(
                        "insert into correction (month, kind, subject, card, incident_id, event_seq, reason,"
                        " score_before, score_after) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
                        " on conflict do nothing",
                        (month, kind, subject, name, incident, seq, why, before, after),
                    )
                    entered += cursor.rowcount
        return entered


def _granted_before(cursor: psycopg.Cursor[Any]) -> dict[int, Appeal]:
    """Return the appeals that earlier corrections have taken in: a later one comes on top of them."""
    cursor.execute("select distinct incident_id, event_seq from correction")
    return {
        incident: appeal
        for incident, seq in cursor.fetchall()
        if (appeal := _appeal(cursor, incident, seq)) is not None
    }


def _appeal(cursor: psycopg.Cursor[Any], incident: int, seq: int) -> Appeal | None:
    row = cursor.execute(
        "select f, (f -> 'appeal' ->> 'life')::int from (select data -> 'facts' f from event"
        " where incident_id = %s and seq = %s) e",
        (incident, seq),
    ).fetchone()
    facts, life = row if row is not None else ({}, None)
    if life is not None and "former" in facts:
        facts = facts["former"][life]
    if not facts.get("exempt"):
        return None
    return seq, (facts["exempt"], bool(facts.get("never_theirs")), facts.get("exempt_spans") or ()), life


def follow_appeals(connection: psycopg.Connection[Any]) -> int:
    """Correct every frozen month that appeals granted since the last run touch; return the entries made.

    While a month is being frozen nothing is followed: the next run sees what it knows.
    """
    return follower.follow(connection, APPEALS_FOLLOWER)


def _take_appeals(cursor: psycopg.Cursor[Any], begin: int, end: int) -> int:
    cursor.execute(
        f"select incident_id, seq, tx::text::bigint from event where {STRETCH} and verb = 'judge_appeal'"
        " order by incident_id, seq",
        {"begin": begin, "end": end},
    )
    judged = cursor.fetchall()
    months = cursor.execute(
        "select month, horizon from assessment_month where state = 'frozen' order by month desc limit %s",
        (MONTHS_LIMIT,),
    ).fetchall()
    entered = 0
    for month, known in months:
        # What was judged before the freeze is in the frozen month itself.
        late = {i: a for i, seq, tx in judged if tx >= known and (a := _appeal(cursor, i, seq)) is not None}
        if late:
            entered += correct(cursor.connection, month, late)
    return entered


# Appeals are few among the events: all of them are taken in at once.
APPEALS_FOLLOWER = Follower(APPEALS, _take_appeals, alone=_APPEALS_LOCK, events_limit=None)


def _state(cursor: psycopg.Cursor[Any], month: date) -> str | None:
    """Return the month's state, and hold the month for this transaction."""
    cursor.execute(
        "select pg_advisory_xact_lock(hashtextextended('assessment ' || %s, 0))", (month.isoformat(),)
    )
    row = cursor.execute("select state from assessment_month where month = %s", (month,)).fetchone()
    return str(row[0]) if row is not None else None


def _keep(cursor: psycopg.Cursor[Any], month: Month, state: str) -> int:
    scope = month.scope
    cursor.execute("delete from assessment where month = %s", (scope.month,))
    cursor.execute(
        "insert into assessment_month (month, state, policy_version, as_of, horizon, incidents, hash)"
        " values (%s, 'provisional', %s, %s, %s, %s, %s) on conflict (month) do update set"
        " policy_version = excluded.policy_version, as_of = excluded.as_of, horizon = excluded.horizon,"
        " incidents = excluded.incidents, hash = excluded.hash, computed_at = now()",
        (scope.month, scope.rules.version, scope.as_of, scope.below, month.incidents, month.hash),
    )
    with cursor.copy(
        "copy assessment (month, kind, subject, card, score, band, cases, parts, hash) from stdin"
    ) as copy:
        for c in month.cards:
            copy.write_row(
                (scope.month, c.kind, c.subject, c.card, c.score, c.band, c.cases, c.parts, c.hash)
            )
    cursor.execute("delete from assessment_subject where month = %s", (scope.month,))
    cursor.execute(
        "insert into assessment_subject (month, kind, subject, name, name_en, parent)"
        " select distinct a.month, a.kind, a.subject, coalesce(t.name, o.name, w.name),"
        "  coalesce(t.name_en, o.name_en, w.name_en, ''), coalesce(t.organisation_id::text, '')"
        " from assessment a left join team t on a.kind = 'team' and t.id::text = a.subject"
        " left join organisation o on a.kind = 'department' and o.id::text = a.subject"
        " left join area w on a.kind in ('village', 'town', 'county', 'city') and w.code = a.subject"
        " where a.month = %s and coalesce(t.name, o.name, w.name) is not null",
        (scope.month,),
    )
    if state == "frozen":
        # Last: from here on the database refuses every change of this month.
        cursor.execute("update assessment_month set state = 'frozen' where month = %s", (scope.month,))
    return len(month.cards)

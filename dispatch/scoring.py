"""Gather what each subject's month holds from the events, assess it, freeze it, and correct it beside the frozen.

Everything is computed from events alone: those of transactions below a horizon, dated up to an instant. Kept with
the rules' version, horizon and instant make a month that can be computed again to the byte.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any

import msgspec
import psycopg

from dispatch.past import Life, Policies, all_lives, horizon, lives
from dispatch.rules import assessment
from dispatch.rules.areas import centre_of
from dispatch.rules.assessment import Case, Exempted, Rate, Rules, Score
from dispatch.rules.calendar import Calendar
from dispatch.rules.chain import Assignment, Event, Incident
from dispatch.rules.clocks import Clock
from dispatch.rules.policy import Policy

LOOK_BACK = timedelta(
    days=400
)  # an incident reported longer before its month than this is not assessed in it
DISPUTES = "02"  # the theme of disputes
FIELD_SOURCES = frozenset({"field_app"})  # reports by grid workers themselves
DISPATCHING = frozenset({"dispatch", "reassign", "send_whistle"})
# How ids of actors begin: of accounts, and of the desks of a demo whose people have none.
DUTY_LEADERS = ("duty_leader:", "duty/")
GRID_WORKERS = ("grid_worker:", "grid_head:", "worker/")
DONE = frozenset({"done", "ended"})
GONE = frozenset({"declined", "recalled"})
CLOSED = frozenset({"closed", "archived"})
REFUSED = frozenset({"rejected", "void"})
BEFORE_ACCEPTING = frozenset({"reported", "checking", "merged"}) | REFUSED
APPEALS = "appeals"  # the follower of granted appeals
EXEMPTING = frozenset({"exempt", "never_theirs", "exempt_spans"})  # facts that an appeal granted leaves
EXEMPT_MOST = 2_000  # incidents of a month that a page looks at both ways

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

Subject = tuple[str, str]  # kind, and a code or id
Cases = dict[Subject, list[Case]]
Spans = Sequence[Sequence[str]]  # stretches of exempt time, each as two ISO texts; none exempts the whole
Appeal = tuple[int, str, bool, Spans]  # seq of the judging event, and the rest as in Granted
Granted = Mapping[
    int, tuple[str, bool, Spans]
]  # incident id -> why exempt, whether never theirs, exempt time

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Scope:
    """Say what a month is computed from: its rules, the instant it is judged at, and the events that were known."""

    month: date
    rules: Rules
    as_of: datetime
    below: int


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


def rules_of(cursor: psycopg.Cursor[Any], version: int | None = None) -> Rules:
    """Return the rules of a policy version, or of the newest that has any.

    Raises LookupError where there are none, PolicyError where they are wrong.
    """
    row = cursor.execute(
        "select version, files ->> 'assessment.toml' from policy_version where files ? 'assessment.toml'"
        " and (%s::int is null or version = %s) order by version desc limit 1",
        (version, version),
    ).fetchone()
    if row is None:
        raise LookupError("no policy version in the database holds an assessment.toml")
    return assessment.parse(row[0], row[1])


def span_of(month: date, calendar: Calendar) -> tuple[datetime, datetime]:
    """Return the instants, in UTC, between which the city's own month lies."""
    following = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    return calendar.begins(month.replace(day=1)), calendar.begins(following)


def freezes_at(month: date, rules: Rules, calendar: Calendar) -> datetime:
    """Return the instant, in UTC, as of which a month is judged for good and after which it is frozen."""
    following = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    return calendar.begins(following + timedelta(days=rules.freeze_day - 1))


def cases(
    connection: psycopg.Connection[Any], scope: Scope, granted: Granted | None = None
) -> tuple[Cases, int]:
    """Return every subject's cases of a month, pooled kinds included, and how many incidents were read.

    `granted` are appeals judged later than the scope knows, for corrections. Runs inside a transaction.
    """
    law = Policies(connection.cursor())
    begin, end = span_of(scope.month, law.newest().calendar)
    found: Cases = defaultdict(list)
    workers = _workers(connection)
    read = 0
    which = "i.reported_at < %s and i.reported_at >= %s and i.last_at >= %s"
    for life in all_lives(connection, scope.below, which, end, begin - LOOK_BACK, begin):
        incident = life.fold(scope.below, scope.as_of)
        if incident is None:
            continue
        read += 1
        if granted is not None and incident.id in granted:
            why, never, spans = granted[incident.id]
            incident.facts |= {"exempt": why, "never_theirs": never, "exempt_spans": spans}
        story = _Story(life, incident, law.version(incident.policy_version), scope, workers)
        for kind, subject, at, case in story.tell():
            if begin <= at < end:
                found[kind, subject].append(case)
    _pool(found, _departments(connection, scope.month))
    return dict(found), read


@dataclass(frozen=True, slots=True)
class Exemptions:
    """Hold the exemptions that a stored month knows: of each subject, and incident id -> why; None is too many."""

    of: Mapping[Subject, Exempted]
    why: Mapping[int, str]


def exemptions(connection: psycopg.Connection[Any], month: date) -> Exemptions | None:
    """Return the exempt cases of a stored month as it judged them and by the bare facts, or None beyond EXEMPT_MOST.

    From the same events, rules and instant as the month. Raises LookupError where it was never computed.
    """
    with connection.transaction(), connection.cursor() as cursor:
        scope = _stored(cursor, month)
        law = Policies(connection.cursor())
        begin, end = span_of(month, law.newest().calendar)
        # Only what was closed can be exempt, and whatever is of the month was closed after it began, or is open again.
        ids = [
            i
            for (i,) in cursor.execute(
                "select id from incident where facts ? 'exempt' and reported_at < %s and reported_at >= %s"
                " and (ended_at >= %s or ended_at is null) order by id limit %s",
                (end, begin - LOOK_BACK, begin, EXEMPT_MOST + 1),
            )
        ]
        if len(ids) > EXEMPT_MOST:
            return None
        workers = _workers(connection) if ids else frozenset()
        judged: Cases = defaultdict(list)
        raw: Cases = defaultdict(list)
        why: dict[int, str] = {}
        for life in lives(cursor, ids, scope.below) if ids else ():
            incident = life.fold(scope.below, scope.as_of)
            if incident is None or not incident.facts.get("exempt"):
                continue
            why[incident.id] = str(incident.facts["exempt"])
            for found in (judged, raw):
                story = _Story(life, incident, law.version(incident.policy_version), scope, workers)
                for kind, subject, at, case in story.tell():
                    if begin <= at < end:
                        found[kind, subject].append(case)
                incident.facts = {
                    name: value for name, value in incident.facts.items() if name not in EXEMPTING
                }
        departments = _departments(connection, month) if why else {}
        _pool(judged, departments)
        _pool(raw, departments)
    return Exemptions(
        {subject: Exempted(tuple(own), tuple(raw[subject])) for subject, own in judged.items()}, why
    )


def _workers(connection: psycopg.Connection[Any]) -> frozenset[str]:
    return frozenset(
        f"person/{person}"
        for (person,) in connection.execute(
            "select distinct person_id from duty where role in ('grid_worker', 'grid_head')"
        )
    )


def _departments(connection: psycopg.Connection[Any], month: date) -> dict[str, str]:
    """Return team -> department, as a frozen month's teams had them then."""
    return dict(
        connection.execute(
            "select t.id::text, coalesce(s.parent, t.organisation_id::text) from team t left join"
            " (select s.subject, s.parent from assessment_subject s join assessment_month m on m.month = s.month"
            "  where s.month = %s and s.kind = 'team' and m.state = 'frozen') s on s.subject = t.id::text",
            (month,),
        ).fetchall()
    )


def _pool(found: Cases, organisations: Mapping[str, str]) -> None:
    for (kind, subject), own in list(found.items()):
        above: list[Subject] = []
        if kind == "village":
            above = [("town", subject[:9]), ("county", subject[:6]), ("city", subject[:4] + "00")]
        elif kind == "team":
            above = [("department", organisations.get(subject, ""))]
        for pooled in above:
            found[pooled].extend(own)


class _Story:
    """Tell what one incident's life says about everyone who had a part in it."""

    def __init__(
        self, life: Life, incident: Incident, law: Policy, scope: Scope, workers: frozenset[str]
    ) -> None:
        self.incident = incident
        self.workers = workers
        self.law = law
        self.as_of = scope.as_of
        self.rules = scope.rules
        self.events = [
            e for e, tx in zip(life.events, life.txs, strict=True) if tx < scope.below and e.at <= scope.as_of
        ]
        self.exempt = str(incident.facts.get("exempt") or "")
        self.never_theirs = bool(self.exempt and incident.facts.get("never_theirs"))
        self.leads = sorted(
            (p for p in incident.parts.values() if p.role == "lead" and p.state not in ("review", "refused")),
            key=lambda p: (p.sent_at, p.id),
        )
        self.not_ours = not_ours(self.events, self.law.weights.not_ours)
        self.accepted = incident.state not in BEFORE_ACCEPTING
        self.rating = incident.rating
        self.closed = incident.state in CLOSED
        # Stretches of exempt time are taken out of every clock; without any the whole is exempt.
        self.spans = [
            (datetime.fromisoformat(a), datetime.fromisoformat(b))
            for a, b in (incident.facts.get("exempt_spans") or () if self.exempt else ())
        ]
        self.closed_on_time = self.closed and (
            incident.closed_on_time is True or self._excused(incident.clocks.get("close"))
        )

    def tell(self) -> Iterator[tuple[str, str, datetime, Case]]:
        """Yield (kind, subject, the instant that says in which month, case)."""
        i = self.incident
        whole = self._whole()
        yield "village", i.area_code[:12], i.reported_at, whole
        centre = centre_of(i.area_code)
        if self.rules.persons:
            yield "duty_centre", centre, i.reported_at, whole
            # Whoever led the duty over any part of it answers for all of it, once.
            for leader in sorted({e.actor for e in self.events if e.actor.startswith(DUTY_LEADERS)}):
                yield "duty_leader", leader, i.reported_at, whole
        else:
            yield "duty_leader", f"duty/{centre}", i.reported_at, whole
        for team_id in sorted({p.team_id for p in i.parts.values() if p.state not in ("review", "refused")}):
            parts = [
                p for p in i.parts.values() if p.team_id == team_id and p.state not in ("review", "refused")
            ]
            yield "team", str(team_id), min(p.sent_at for p in parts), self._team(team_id, parts)
        yield from self._dispatchers()
        yield from self._grid()

    def _whole(self) -> Case:
        i = self.incident
        last = self.leads[-1] if self.leads else None
        clock = (last.clocks.get("dispose") if last is not None else None) or i.clocks.get("dispose")
        disposed = i.disposed_at is not None
        before = [life.get("disposed_on_time") for life in i.facts.get("former", ())]
        raw = disposed and i.disposed_on_time is True and False not in before
        waiting = not disposed and i.ended_at is None and (last is None or last.state not in GONE)
        overdue = waiting and clock is not None and self._verdict(clock) == "overdue"
        return Case(
            i.id,
            accepted=self.accepted,
            own_report=i.source in FIELD_SOURCES,
            reported=True,
            sent=bool(self.leads),
            dispatched=disposed or (bool(self.leads) and i.ended_at is None),
            target=i.disposed_on_time is not None if disposed else clock is not None,
            disposed=disposed,
            on_time=disposed and i.disposed_on_time is not None and (raw or self._excused(clock)),
            on_time_raw=raw,
            overdue=overdue and not self._excused(clock),
            overdue_raw=overdue,
            closed=self.closed,
            closed_on_time=self.closed_on_time,
            reworked=disposed and bool(i.facts.get("reworks")),
            returned=any(p.state == "declined" for p in self.leads),
            not_ours=any(p.id in self.not_ours for p in self.leads),
            extended=any(e.verb == "grant_extension" for e in self.events),
            registered_on_time=self._due(i.clocks.get("accept")),
            dispatched_on_time=self._due(i.clocks.get("dispatch")),
            verified_on_time=self._due(i.clocks.get("verify")),
            **self._whistles([p for p in i.parts.values() if p.kind == "whistle"]),
            dispute=self._theme() == DISPUTES,
            settled=bool(i.facts.get("settled")),
            in_grid=bool(i.facts.get("solved_in_grid")),
            repeat=self._repeats(),
            **self._answers(),
            exempt=self.exempt,
            never_theirs=self.never_theirs,
            stages=self._stages(None),
        )

    def _team(self, team_id: int, parts: Sequence[Assignment]) -> Case:
        i = self.incident
        leads = [p for p in self.leads if p.team_id == team_id]
        last = leads[-1] if leads else None
        clock = (last.clocks.get("dispose") or i.clocks.get("dispose")) if last is not None else None
        judged = self._verdict(clock) if clock is not None else None
        disposed = last is not None and last.state in DONE
        # Given back in time it is another's; given back past its limit it was theirs to dispose of.
        overdue = last is not None and not disposed and judged == "overdue"
        mine = last is not None and (last.state not in GONE or overdue)
        answered = self._answers() if i.facts.get("disposer_team") == team_id else {}
        return Case(
            i.id,
            accepted=self.accepted,
            sent=bool(leads),
            dispatched=mine,
            target=clock is not None,
            disposed=disposed,
            on_time=disposed and clock is not None and (judged == "on_time" or self._excused(clock)),
            on_time_raw=disposed and judged == "on_time",
            overdue=overdue and not self._excused(clock),
            overdue_raw=overdue,
            closed=disposed and self.closed,
            closed_on_time=disposed and self.closed_on_time,
            reworked=sum(p.state in DONE for p in leads) > 1 and bool(i.facts.get("reworks")),
            returned=any(p.state == "declined" for p in leads),
            not_ours=any(p.id in self.not_ours for p in leads),
            extended=self._extended(team_id),
            **self._whistles([p for p in parts if p.kind == "whistle"]),
            dispute=disposed and self._theme() == DISPUTES,
            settled=bool(i.facts.get("settled")),
            in_grid=bool(i.facts.get("solved_in_grid")),
            repeat=self.rules.definitions > 2 and self._repeats(),
            **answered,
            exempt=self.exempt,
            never_theirs=self.never_theirs,
            stages=self._stages(f"team/{team_id}"),
        )

    def _dispatchers(self) -> Iterator[tuple[str, str, datetime, Case]]:
        mine: dict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            if event.verb in DISPATCHING and event.actor != "system":
                mine[event.actor].append(event)
        for actor, acts in mine.items():
            verdicts = [self._due(e.change.clocks.get("dispatch")) for e in acts]
            sent = {p.id for e in acts for p in e.change.assignments if p.state == "sent"}
            case = Case(
                self.incident.id, sent=True, accepted=self.accepted,
                returned=any(self.incident.parts[p].state == "declined" for p in sent),
                not_ours=bool(sent & self.not_ours),
                dispatched_on_time=None if set(verdicts) == {None} else False not in verdicts,
            )  # fmt: skip
            yield "dispatcher", actor, acts[0].at, case
            if self.rules.persons:
                yield "dispatch_centre", centre_of(self.incident.area_code), acts[0].at, case

    def _grid(self) -> Iterator[tuple[str, str, datetime, Case]]:
        """Yield what it says about the workers of its grid, each time once for the head of their village too."""
        i = self.incident
        if len(i.area_code) <= 12:
            return
        own, reporter = f"worker/{i.area_code}", self.events[0].actor
        found = [
            (
                reporter if self._is_worker(reporter) else own, i.reported_at,
                Case(
                    i.id, accepted=self.accepted, reported=True,
                    own_report=i.source in FIELD_SOURCES or self._is_worker(reporter),
                ),
            )
        ]  # fmt: skip
        accept: Clock | None = None
        for event in self.events:
            accept = event.change.clocks.get("accept", accept)
            if not self._is_worker(event.actor):
                continue
            if event.verb in ("verify", "rework"):
                verified = self._due(event.change.clocks.get("verify"))
                found.append((event.actor, event.at, Case(i.id, verified_on_time=verified)))
            elif event.verb == "check" and accept is not None and accept.due is not None:
                checked = self._due(replace(accept, ended=event.at))
                found.append((event.actor, event.at, Case(i.id, checked_on_time=checked)))
        verify = i.clocks.get("verify")
        if i.state == "disposed" and verify is not None and self._verdict(verify) == "overdue":
            # Nobody came: it was for the worker of the grid.
            found.append((own, verify.since, Case(i.id, verified_on_time=False)))
        for subject, at, case in found:
            yield "grid_worker", subject, at, case
            yield "grid_head", f"head/{i.area_code[:12]}", at, case

    def _is_worker(self, actor: str) -> bool:
        return actor in self.workers or actor.startswith(GRID_WORKERS)

    def _verdict(self, clock: Clock) -> str:
        return assessment.verdict(clock, self.as_of, self.law.calendar)

    def _due(self, clock: Clock | None) -> bool | None:
        """Return whether a clock was kept with exempt time taken out, or None while it is not due."""
        if clock is None:
            return None
        as_of = self.as_of
        if self.rules.definitions > 1 and self.incident.ended_at is not None:
            # What was void, merged or refused is awaited no longer: its limit is judged as of that moment.
            as_of = min(as_of, self.incident.ended_at)
        judged = assessment.verdict(clock, as_of, self.law.calendar, self.spans)
        if judged in ("late", "overdue") and self.rules.definitions > 1 and self._excused(clock):
            # Exempt as a whole: what was done late is in time, what was not done is not asked for.
            judged = "on_time" if judged == "late" else "inside"
        return None if judged == "inside" else judged == "on_time"

    def _excused(self, clock: Clock | None) -> bool:
        """Tell whether an approved appeal makes it timely: by its stretches of time, or as a whole."""
        if not self.exempt:
            return False
        if not self.spans or clock is None:
            return True
        judged = assessment.verdict(clock, self.as_of, self.law.calendar, self.spans)
        return judged in ("on_time", "inside")

    def _extended(self, team_id: int) -> bool:
        return any(
            e.verb == "grant_extension" and any(p.team_id == team_id for p in e.change.assignments)
            for e in self.events
        )

    def _repeats(self) -> bool:
        """Tell whether the same was reported there within the thirty days before."""
        return bool(self.events[0].change.said.get("suspects"))

    def _theme(self) -> str:
        kind = self.law.types.get(self.incident.category)
        return kind.theme if kind is not None else ""

    def _whistles(self, parts: Sequence[Assignment]) -> dict[str, Any]:
        sent = [p for p in parts if p.state not in ("review", "refused")]
        if not sent:
            return {}
        ratings = [p.facts["rating"] for p in sent if "rating" in getattr(p, "facts", {})]
        return {
            "whistle_sent": True,
            "whistle_answered": all(_ended(p.clocks.get("pick_up")) for p in sent),
            "whistle_on_site": all(self._on_site(p.clocks.get("arrive")) for p in sent),
            "whistle_ended": all(p.state == "ended" for p in sent),
            "whistle_rating": min(ratings) if ratings else None,
        }

    def _on_site(self, clock: Clock | None) -> bool:
        if clock is None or clock.ended is None:
            return False
        return clock.state == "met" or (self.rules.definitions > 1 and self._excused(clock))

    def _answers(self) -> dict[str, bool]:
        if self.rating is None:
            return {}
        return {
            "called_back": True,
            "contacted": True,
            "solved": self.rating in self.rules.solved,
            "satisfied": self.rating in self.rules.satisfied,
            "mostly": self.rating in self.rules.mostly,
        }

    def _stages(self, holder: str | None) -> tuple[tuple[str, float, float], ...]:
        """Return the time in each stage that has ended, from the segments of responsibility, pauses left out."""
        taken: dict[str, list[float]] = {}
        for s in self.incident.past:
            if s.paused_why or s.awaits is None or (holder is not None and s.holder != holder):
                continue
            stage = taken.setdefault(s.awaits, [0.0, 0.0])
            stage[0] += (s.ended_at - s.began_at).total_seconds()
            stage[1] += self.law.calendar.worked(s.began_at, s.ended_at)
        return tuple((name, *times) for name, times in sorted(taken.items()))  # type: ignore[misc]


def not_ours(events: Iterable[Event], words: Collection[str]) -> frozenset[int]:
    """Return the assignments that were given back as another unit's.

    The team ticks it; in events from before it was asked for, the words that the policy lists say it.
    """
    known = [word.lower() for word in words]
    found = set()
    for event in events:
        if event.verb == "decline":
            kind, reason = (
                event.change.said.get("return_kind"),
                str(event.change.said.get("reason", "")).lower(),
            )
            if kind == "not_ours" or (kind is None and any(word in reason for word in known)):
                found.add(event.change.assignments[0].id)
    return frozenset(found)


def _ended(clock: Clock | None) -> bool:
    return clock is not None and clock.ended is not None


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
        rates = (
            assessment.evaluate(each, own)
            for name, each in scope.rules.catalogue.items()
            if name not in named
        )
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
        scope = Scope(month, rules_of(cursor), now, horizon(cursor))
        return _keep(cursor, assess(connection, scope), "provisional")


def freeze(connection: psycopg.Connection[Any], month: date, now: datetime) -> int:
    """Judge a month for good and freeze it, once its day has come; return its cards, 0 where there is nothing to do."""
    with connection.transaction(), connection.cursor() as cursor:
        rules = rules_of(cursor)
        as_of = freezes_at(month, rules, Policies(cursor).newest().calendar)
        if now < as_of or _state(cursor, month) == "frozen":
            return 0
        return _keep(cursor, assess(connection, Scope(month, rules, as_of, horizon(cursor))), "frozen")


def unfrozen(cursor: psycopg.Cursor[Any], now: datetime, at_most: int) -> list[date]:
    """Return the months whose day of freezing has come, the oldest first; incidents say where the months begin."""
    row = cursor.execute("select min(reported_at) from incident").fetchone()
    if row is None or row[0] is None:
        return []
    rules, calendar = rules_of(cursor), Policies(cursor).newest().calendar
    frozen = {m for (m,) in cursor.execute("select month from assessment_month where state = 'frozen'")}
    month = calendar.local(row[0]).date().replace(day=1)
    found: list[date] = []
    while freezes_at(month, rules, calendar) <= now and len(found) < at_most:
        if month not in frozen:
            found.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    return found


def again(connection: psycopg.Connection[Any], month: date) -> Month:
    """Compute a stored month anew by its own rules, instant and horizon; the hash is the same, or something is wrong.

    Raises LookupError where the month was never computed.
    """
    with connection.transaction(), connection.cursor() as cursor:
        return assess(connection, _stored(cursor, month))


def _stored(cursor: psycopg.Cursor[Any], month: date) -> Scope:
    row = cursor.execute(
        "select policy_version, as_of, horizon from assessment_month where month = %s", (month,)
    ).fetchone()
    if row is None:
        raise LookupError(f"{month:%Y-%m} has not been assessed")
    return Scope(month, rules_of(cursor, row[0]), row[1], row[2])


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
        scope = Scope(month, rules_of(cursor, row[0]), row[1], row[2])
        granted = {incident: (why, never, spans) for incident, (_, why, never, spans) in every.items()}
        found, _ = cases(connection, scope, granted)
        entered = 0
        for (kind, subject), own in sorted(found.items()):
            mine = sorted({c.id for c in own} & appeals.keys())
            for name in CARDS[kind] if mine else ():
                after = _text(assessment.score(scope.rules, name, own).value)
                before = known.get((kind, subject, name), "")
                for incident in mine if after != before else ():
                    seq, why, _, _ = appeals[incident]
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
        "select data -> 'facts' ->> 'exempt', data -> 'facts' ->> 'never_theirs', data -> 'facts' -> 'exempt_spans'"
        " from event"
        " where incident_id = %s and seq = %s",
        (incident, seq),
    ).fetchone()
    return (seq, row[0], row[1] == "true", row[2] or ()) if row is not None and row[0] else None


def follow_appeals(connection: psycopg.Connection[Any], months_limit: int = 24) -> int:
    """Correct every frozen month that appeals granted since the last run touch; return the entries made."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "insert into follower (name, position) values (%s, 0) on conflict do nothing", (APPEALS,)
        )
        row = cursor.execute(
            "select position from follower where name = %s for update", (APPEALS,)
        ).fetchone()
        assert row is not None
        end = horizon(cursor)
        cursor.execute(
            "select incident_id, seq, tx::text::bigint from event where tx >= %s::text::xid8"
            " and tx < %s::text::xid8 and verb = 'judge_appeal' order by incident_id, seq",
            (row[0], end),
        )
        judged = cursor.fetchall()
        months = cursor.execute(
            "select month, horizon from assessment_month where state = 'frozen' order by month desc limit %s",
            (months_limit,),
        ).fetchall()
        entered = 0
        for month, known in months:
            # What was judged before the freeze is in the frozen month itself.
            late = {
                i: a for i, seq, tx in judged if tx >= known and (a := _appeal(cursor, i, seq)) is not None
            }
            if late:
                entered += correct(connection, month, late)
        cursor.execute("update follower set position = %s, at = now() where name = %s", (end, APPEALS))
        return entered


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

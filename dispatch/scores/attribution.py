"""Attribute each case to whoever had a part in it: what its events say of every subject, within one month.

An attribution is made from events alone: those of transactions below a horizon, dated up to an instant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from dispatch.record.histories import IncidentHistory
from dispatch.rules.areas import centre_of
from dispatch.rules.incident.appeals import EXEMPTS
from dispatch.rules.incident.chain import Assignment, Event, Incident
from dispatch.rules.measures import assessment, returns
from dispatch.rules.measures import cases as measures
from dispatch.rules.measures.assessment import Rules
from dispatch.rules.measures.indicators import Case, whistle_facts
from dispatch.rules.policy.policy import Policy
from dispatch.rules.time.clocks import Clock

FIELD_SOURCES = frozenset({"field_app"})  # reports by grid workers themselves
DISPATCHING = frozenset({"dispatch", "reassign", "send_whistle"})
# How ids of actors begin: of accounts, and of the desks of a demo whose people have none.
DUTY_LEADERS = ("duty_leader:", "duty/")
GRID_WORKERS = ("grid_worker:", "grid_head:", "worker/")
DONE = frozenset({"done", "ended"})
GONE = frozenset({"declined", "recalled"})

Subject = tuple[str, str]  # kind, and a code or id


@dataclass(frozen=True, slots=True)
class Scope:
    """Say what a month is computed from: its rules, the instant it is judged at, and the events that were known."""

    month: date
    rules: Rules
    as_of: datetime
    below: int


class Attribution:
    """Attribute one incident to everyone who had a part in it."""

    def __init__(
        self,
        history: IncidentHistory,
        incident: Incident,
        policy: Policy,
        scope: Scope,
        workers: frozenset[str],
    ) -> None:
        self.incident = incident
        self.workers = workers
        self.policy = policy
        self.as_of = scope.as_of
        self.rules = scope.rules
        self.events = [
            e
            for e, tx in zip(history.events, history.txs, strict=True)
            if tx < scope.below and e.at <= scope.as_of
        ]
        self.exempt = exempt_of(incident)
        self.never_theirs = bool(incident.facts.get("exempt") and incident.facts.get("never_theirs"))
        # When each former life ended, and what it is exempt of; reopened before that was kept, all lives share one.
        self.lives = [
            (datetime.fromisoformat(closed_at), life)
            for life in incident.facts.get("former", ())
            if (closed_at := life.get("closed_at")) and life.keys() & set(EXEMPTS)
        ]
        self.leads = sorted(
            measures.leads(incident),
            key=lambda p: (p.sent_at, p.id),
        )
        self.not_ours = not_ours(self.events, self.policy.weights.not_ours)
        self.accepted = incident.state not in measures.UNACCEPTED
        self.rating = incident.rating
        self.closed = incident.state in measures.CLOSED
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
        sent = measures.sent_parts(i)
        for team_id in sorted({p.team_id for p in sent}):
            parts = [p for p in sent if p.team_id == team_id]
            yield "team", str(team_id), min(p.sent_at for p in parts), self._team(team_id, parts)
        yield from self._dispatchers()
        yield from self._grid()

    def _whole(self) -> Case:
        i = self.incident
        last = self.leads[-1] if self.leads else None
        clock = (last.clocks.get("dispose") if last is not None else None) or i.clocks.get("dispose")
        disposed = i.disposed_at is not None
        before = [life for life in i.facts.get("former", ()) if life.get("disposed_on_time") is False]
        raw = disposed and i.disposed_on_time is True and not before
        excused = (disposed and i.disposed_on_time is True) or self._excused(clock)
        in_time = excused and all(self._was_excused(life, clock) for life in before)
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
            on_time=disposed and i.disposed_on_time is not None and in_time,
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
            dispute=self._theme() == measures.DISPUTES,
            settled=measures.is_settled(i),
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
        kept = self._kept_by(leads, clock, judged)
        answered = self._answers() if i.facts.get("disposer_team") == team_id else {}
        return Case(
            i.id,
            accepted=self.accepted,
            sent=bool(leads),
            dispatched=mine,
            target=clock is not None,
            disposed=disposed,
            on_time=disposed
            and clock is not None
            and all(on_time or self._excused(c) for c, on_time in kept),
            on_time_raw=disposed and all(on_time for _, on_time in kept),
            overdue=overdue and not self._excused(clock),
            overdue_raw=overdue,
            closed=disposed and self.closed,
            closed_on_time=disposed and self.closed_on_time,
            reworked=sum(p.state in DONE for p in leads) > 1 and bool(i.facts.get("reworks")),
            returned=any(p.state == "declined" for p in leads),
            not_ours=any(p.id in self.not_ours for p in leads),
            extended=self._extended(team_id),
            **self._whistles([p for p in parts if p.kind == "whistle"]),
            dispute=disposed and self._theme() == measures.DISPUTES,
            settled=measures.is_settled(i),
            in_grid=bool(i.facts.get("solved_in_grid")),
            repeat=self.rules.definitions > 2 and self._repeats(),
            **answered,
            exempt=self.exempt,
            never_theirs=self._never_theirs(last),
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
        return assessment.verdict(clock, self.as_of, self.policy.calendar)

    def _due(self, clock: Clock | None) -> bool | None:
        """Return whether a clock was kept with exempt time taken out, or None while it is not due."""
        if clock is None:
            return None
        as_of = self.as_of
        if self.rules.definitions > 1 and self.incident.ended_at is not None:
            # What was void, merged or refused is awaited no longer: its limit is judged as of that moment.
            as_of = min(as_of, self.incident.ended_at)
        judged = assessment.verdict(clock, as_of, self.policy.calendar, _spans(self._life_of(clock)))
        if judged in ("late", "overdue") and self.rules.definitions > 1 and self._excused(clock):
            # Exempt as a whole: what was done late is in time, what was not done is not asked for.
            judged = "on_time" if judged == "late" else "inside"
        return None if judged == "inside" else judged == "on_time"

    def _excused(self, clock: Clock | None) -> bool:
        """Tell whether an approved appeal makes it timely: by its stretches of time, or as a whole."""
        return self._judged(self._life_of(clock), clock)

    def _was_excused(self, life: Mapping[str, Any], clock: Clock | None) -> bool:
        """Tell whether an appeal makes a former life timely; `clock` is the last, by which it was told before."""
        if not life.keys() & set(EXEMPTS):
            return self._excused(clock)
        done = [p for p in self.leads if p.id in life.get("parts", ()) and p.state in DONE]
        return self._judged(life, done[-1].clocks.get("dispose") if done else None)

    def _judged(self, life: Mapping[str, Any], clock: Clock | None) -> bool:
        if not life.get("exempt"):
            return False
        spans = _spans(life)
        if not spans or clock is None:
            return True
        return assessment.verdict(clock, self.as_of, self.policy.calendar, spans) in ("on_time", "inside")

    def _life_of(self, clock: Clock | None) -> Mapping[str, Any]:
        """Return the facts of the life that a clock ran in, as far as exemptions go."""
        own = next((life for ended, life in self.lives if clock is not None and clock.since <= ended), None)
        return self.incident.facts if own is None else own

    def _kept_by(
        self, leads: Sequence[Assignment], clock: Clock | None, judged: str | None
    ) -> list[tuple[Clock | None, bool]]:
        """Return the clocks by which a team is judged, and whether each was kept: the last, and one of each life."""
        found = [(clock, judged == "on_time")]
        for life in self.incident.facts.get("former", ()) if self.rules.definitions > 3 else ():
            own = [p for p in leads if p.id in life.get("parts", ()) and p.state in DONE]
            if own and own[-1] is not leads[-1] and (kept := own[-1].clocks.get("dispose")) is not None:
                found.append((kept, self._verdict(kept) == "on_time"))
        return found

    def _never_theirs(self, last: Assignment | None) -> bool:
        """Tell whether a case was never a team's, in the life in which it last had it."""
        life = self._life_of(last.clocks.get("dispose") if last is not None else None)
        return bool(life.get("exempt") and life.get("never_theirs"))

    def _extended(self, team_id: int) -> bool:
        return any(
            e.verb == "grant_extension" and any(p.team_id == team_id for p in e.change.assignments)
            for e in self.events
        )

    def _repeats(self) -> bool:
        """Tell whether the same was reported there within the thirty days before."""
        return bool(self.events[0].change.said.get("suspects"))

    def _theme(self) -> str:
        kind = self.policy.types.get(self.incident.category)
        return kind.theme if kind is not None else ""

    def _whistles(self, parts: Sequence[Assignment]) -> dict[str, Any]:
        sent = [p for p in parts if p.state not in measures.UNSENT]
        return whistle_facts(sent, lambda part: self._on_site(part.clocks.get("arrive")))

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
            stage[1] += self.policy.calendar.worked(s.began_at, s.ended_at)
        return tuple((name, *times) for name, times in sorted(taken.items()))  # type: ignore[misc]


def _spans(life: Mapping[str, Any]) -> list[assessment.Span]:
    """Return the stretches of exempt time, which are taken out of every clock of a life; without any the whole is."""
    pairs = (life.get("exempt_spans") or ()) if life.get("exempt") else ()
    return [(datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in pairs]


def exempt_of(incident: Incident) -> str:
    """Return why an incident is exempt, in this life or a former one; empty where it is not."""
    lives = (incident.facts, *reversed(incident.facts.get("former", ())))
    return str(next((life["exempt"] for life in lives if life.get("exempt")), ""))


def not_ours(events: Iterable[Event], words: Collection[str]) -> frozenset[int]:
    """Return the assignments that were given back as another unit's."""
    return frozenset(
        event.change.assignments[0].id
        for event in events
        if event.verb == "decline" and returns.is_not_ours(event.change.said, words)
    )

"""Gather a month's cases by whoever had a part in them, and what its exemptions change.

An incident is read from its events alone: those of transactions below a horizon, dated up to an instant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar, cast

import psycopg

from dispatch.record.histories import all_histories, histories
from dispatch.record.policies import Policies
from dispatch.rules.incident.appeals import EXEMPTS
from dispatch.rules.incident.chain import Incident
from dispatch.rules.incident.facts import Exemption as Exempt
from dispatch.rules.measures.assessment import Exempted
from dispatch.rules.measures.indicators import Case
from dispatch.rules.time.calendar import Calendar
from dispatch.scores.attribution import Attribution, Scope, Subject, exempt_of

# An incident reported longer before its month than this is not assessed in it.
LOOK_BACK = timedelta(days=400)
EXEMPT_MOST = 2_000  # incidents of a month that a page looks at both ways

Told = TypeVar("Told", bound=Exempt)
Cases = dict[Subject, list[Case]]
Spans = Sequence[Sequence[str]]  # stretches of exempt time, each as two ISO texts; none exempts the whole
Exemption = tuple[str, bool, Spans]  # why, whether never theirs, exempt time
# Incident id -> the exemption and the life of the incident that was appealed; None before lives were told.
Granted = Mapping[int, tuple[Exemption, int | None]]


def span_of(month: date, calendar: Calendar) -> tuple[datetime, datetime]:
    """Return the instants, in UTC, between which the city's own month lies."""
    following = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    return calendar.begins(month.replace(day=1)), calendar.begins(following)


def cases(
    connection: psycopg.Connection[Any], scope: Scope, granted: Granted | None = None
) -> tuple[Cases, int]:
    """Return every subject's cases of a month, pooled kinds included, and how many incidents were read.

    `granted` are appeals judged later than the scope knows, for corrections. Runs inside a transaction.
    """
    policy = Policies(connection.cursor())
    begin, end = span_of(scope.month, policy.version(scope.rules.version).calendar)
    found: Cases = defaultdict(list)
    workers = _workers(connection)
    read = 0
    which = "i.reported_at < %s and i.reported_at >= %s and i.last_at >= %s"
    for history in all_histories(connection, scope.below, which, end, begin - LOOK_BACK, begin):
        incident = history.fold(scope.below, scope.as_of)
        if incident is None:
            continue
        read += 1
        if granted is not None and incident.id in granted:
            _grant(incident, *granted[incident.id])
        attribution = Attribution(history, incident, policy.version(incident.policy_version), scope, workers)
        for kind, subject, at, case in attribution.tell():
            if begin <= at < end:
                found[kind, subject].append(case)
    _pool(found, _departments(connection, scope.month))
    return dict(found), read


@dataclass(frozen=True, slots=True)
class Exemptions:
    """Hold the exemptions that a month knows: of each subject, and incident id -> why; None is too many."""

    of: Mapping[Subject, Exempted]
    why: Mapping[int, str]


def exempted(connection: psycopg.Connection[Any], scope: Scope) -> Exemptions | None:
    """Return the exempt cases of a month as it judges them and by the bare facts, or None beyond EXEMPT_MOST.

    Runs inside a transaction.
    """
    with connection.cursor() as cursor:
        policy = Policies(connection.cursor())
        begin, end = span_of(scope.month, policy.version(scope.rules.version).calendar)
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
        for history in histories(cursor, ids, scope.below) if ids else ():
            incident = history.fold(scope.below, scope.as_of)
            reason = exempt_of(incident) if incident is not None else ""
            if incident is None or not reason:
                continue
            why[incident.id] = reason
            for found in (judged, raw):
                attribution = Attribution(
                    history, incident, policy.version(incident.policy_version), scope, workers
                )
                for kind, subject, at, case in attribution.tell():
                    if begin <= at < end:
                        found[kind, subject].append(case)
                incident.facts = _bare(incident.facts)
                if "former" in incident.facts:
                    incident.facts["former"] = [_bare(life) for life in incident.facts["former"]]
        departments = _departments(connection, scope.month) if why else {}
        _pool(judged, departments)
        _pool(raw, departments)
    return Exemptions(
        {subject: Exempted(tuple(own), tuple(raw[subject])) for subject, own in judged.items()}, why
    )


def _grant(incident: Incident, exemption: Exemption, life: int | None) -> None:
    """Exempt the life of an incident that was appealed, unless it had not begun yet."""
    why, never_theirs, spans = exemption
    exempt: Exempt = {
        "exempt": why, "never_theirs": never_theirs, "exempt_spans": [list(span) for span in spans],
    }  # fmt: skip
    former = list(incident.facts.get("former", ()))
    if life is None or life == len(former):
        incident.facts = {**incident.facts, **exempt}
    elif life < len(former):
        former[life] = {**former[life], **exempt}
        incident.facts["former"] = former


def _bare(facts: Told) -> Told:
    return cast(Told, {name: value for name, value in facts.items() if name not in EXEMPTS})


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

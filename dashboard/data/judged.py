"""The cases behind an assessment, in sets that add up to the base, with who held them when; and the appeals on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Literal

import msgspec

from dashboard.data.assessment import Card, Kept, Line, bundles
from dashboard.data.card_scope import Subject
from dashboard.data.city import CityReads
from dashboard.data.scope import within
from dispatch.desk.desk import Outcome
from dispatch.record.policies import Policies
from dispatch.rules.incident.chain import STEPS, Actor, Command
from dispatch.rules.measures.assessment import Counted, Exempted, Score, without_exemptions
from dispatch.rules.measures.indicators import Case, Rate, moved
from dispatch.rules.time.clocks import Clock
from dispatch.scores import scoring
from dispatch.scores.month_cases import Exemptions
from models.servers.database import addresses

PAGE_ROWS = 50
IDS_MOST = 20_000  # looked through for appeals
Hands = Literal["own", "centre", "other", "paused"]
Fared = Literal["", "kept", "late", "waiting"]

# The sets of each part, what was lost first; other parts have those credited and those not.
SETS: dict[str, tuple[str, ...]] = {
    "on_time_disposal": ("late", "waiting", "inside", "kept"),
    "disposal": ("waiting", "inside", "disposed"),
    "overdue_backlog": ("waiting", "disposed", "inside"),
}
_clock = msgspec.json.Decoder(Clock)
_every, _exemptions = Kept(), Kept()


@dataclass(frozen=True, slots=True)
class Appeal:
    """Hold an appeal as it stands: who made it, why, who judged it and how; `granted` is None while it is open.

    `answer_by` is until when its reviewers answer.
    """

    incident_id: int
    number: int
    by: str
    reason: str
    reviews: tuple[tuple[str, bool, str], ...]
    granted: bool | None
    answer_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold a case that is appealed or judged; `spans` are the stretches that a reviewer before gave."""

    number: int
    category: str
    area_code: str
    reported_at: datetime
    spans: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True, slots=True)
class CaseLine:
    """Hold one case of a set; `over_s` is how long past the limit, and `hands` who held it for how many seconds.

    `appeal_until` is until when it may be appealed, by the policy it goes by; None where it is open or has no limit.
    """

    id: int
    number: int
    category: str
    area_code: str
    state: str
    limit: str
    used_s: float | None
    over_s: float | None
    hands: tuple[tuple[Hands, float], ...]
    appeal: Appeal | None
    appeal_until: datetime | None


def sets_of(lines: Sequence[Mapping[str, Line]], name: str) -> dict[str, list[int]]:
    """Return the case sets of a part, by name, over the lines of one subject or of all below it.

    Every case of the base is in exactly one set, once for each subject whose it is.
    """
    found: dict[str, list[int]] = {}
    for each in lines:
        line = each.get(name)
        if line is None:
            continue
        for label, ids in _split(each, line).items():
            found.setdefault(label, []).extend(ids)
    order = SETS.get(name, ("missed", "credited") if _better(lines, name) else ("credited", "missed"))
    return {label: found.get(label, []) for label in order}


def every_set(city: CityReads, card: Card) -> dict[str, dict[str, list[int]]]:
    """Return the case sets of every part of a card that has data, by the part's name."""
    key = (id(city), card.month.hash, card.kind, card.subject, card.name, card.hash)
    found: dict[str, dict[str, list[int]]] | None = _every.get(key)
    if found is None:
        lines = bundles(city, card)
        found = _every.put(key, {line.name: sets_of(lines, line.name) for line in card.lines if line.d})
    return found


def against(line: Line) -> tuple[str, ...]:
    """Return the sets of a part that count against its subject, and so can be objected to."""
    return ("late", "waiting", "missed" if line.more_is_better else "credited")


def adds_up(sets: Mapping[str, Sequence[int]], base: int) -> bool:
    """Tell whether the sets of a part together hold as many cases as its base."""
    return sum(len(ids) for ids in sets.values()) == base


def _better(lines: Sequence[Mapping[str, Line]], name: str) -> bool:
    return all(each[name].more_is_better for each in lines if name in each)


def _split(lines: Mapping[str, Line], line: Line) -> dict[str, list[int]]:
    credited = set(line.numerator)
    if line.name not in SETS:
        return {
            "credited": [i for i in line.denominator if i in credited],
            "missed": [i for i in line.denominator if i not in credited],
        }
    disposed = _ids(lines, "disposal")
    waiting = _ids(lines, "overdue_backlog")
    found: dict[str, list[int]] = {label: [] for label in SETS[line.name]}
    for case in line.denominator:
        if line.name == "on_time_disposal" and case in credited:
            label = "kept"
        elif case in disposed:
            label = "late" if line.name == "on_time_disposal" else "disposed"
        else:
            label = "waiting" if case in waiting else "inside"
        found[label].append(case)
    return found


def _ids(lines: Mapping[str, Line], name: str) -> frozenset[int]:
    line = lines.get(name)
    return frozenset(line.numerator) if line is not None else frozenset()


def rows(
    city: CityReads, actor: Actor, subject: Subject, ids: Sequence[int], as_of: datetime, page: int = 1,
    page_rows: int = PAGE_ROWS,
) -> list[CaseLine]:  # fmt: skip
    """Return a page of cases, the longest past their limit first, with who held each; only those in scope."""
    where, values = within(actor, "i")
    team = int(subject[1]) if subject[0] == "team" and subject[1].isdecimal() else None
    with city.look() as connection:
        found = connection.execute(
            "select i.id, i.number, i.category, i.area_code, i.state, (i.facts -> 'appeal')::text, c.clock::text,"
            " c.overrun, i.ended_at, i.policy_version from incident i left join lateral (select x.clock,"
            "  extract(epoch from coalesce((x.clock ->> 'ended')::timestamptz, %(as_of)s)"
            "  - (x.clock ->> 'due')::timestamptz)::float8 overrun"
            "  from (select coalesce(a.clocks -> 'dispose', i.clocks -> 'dispose') clock from (select 1) one"
            "   left join lateral (select clocks from assignment where incident_id = i.id and role = 'lead'"
            "    and state not in ('review', 'refused') and (%(team)s::int is null or team_id = %(team)s)"
            "    order by sent_at desc, id desc limit 1) a on true) x) c on true"
            f" where i.id = any(%(ids)s) and {where} order by c.overrun desc nulls last, i.reported_at desc, i.id desc"
            " limit %(rows)s offset %(skip)s".encode(),
            values | {
                "ids": list(ids), "team": team, "as_of": as_of, "rows": page_rows,
                "skip": (page - 1) * page_rows,
            },
        ).fetchall()  # fmt: skip
        held = connection.execute(
            "select incident_id, holder, paused_why is not null and paused_why <> '', began_at, ended_at from segment"
            " where incident_id = any(%s) and began_at < %s order by incident_id, seq",
            ([row[0] for row in found], as_of),
        ).fetchall()
        policy = Policies(connection.cursor())
        until = {
            row[0]: None if row[8] is None else policy.version(row[9]).appeal_until(row[8]) for row in found
        }
    hands: dict[int, list[tuple[Hands, float]]] = {}
    for incident, holder, paused, began, ended in held:
        seconds = (min(ended or as_of, as_of) - began).total_seconds()
        hands.setdefault(incident, []).append((_whose(holder, paused, subject), seconds))
    return [
        _row(row, tuple(hands.get(row[0], ())), as_of, until[row[0]])
        for row in found
    ]  # fmt: skip


def _whose(holder: str, paused: bool, subject: Subject) -> Hands:
    kind, _, key = holder.partition("/")
    if paused:
        return "paused"
    if kind == "centre":
        return "centre"
    return "own" if subject[0] != "team" or key == subject[1] else "other"


def _row(
    row: Sequence[Any], hands: tuple[tuple[Hands, float], ...], as_of: datetime, until: datetime | None
) -> CaseLine:
    incident, number, category, area, state, appeal, clock_text, over = row[:8]
    clock = _clock.decode(clock_text) if clock_text else None
    used = None
    if clock is not None:
        used = ((clock.ended or as_of) - clock.since).total_seconds()
    return CaseLine(
        incident, number, category, area, state, clock.limit if clock is not None else "", used, over, hands,
        _appeal(incident, number, appeal), until,
    )  # fmt: skip


def _appeal(incident: int, number: int, text: str | None) -> Appeal | None:
    if not text or text == "null":
        return None
    appeal = msgspec.json.decode(text)
    reviews = tuple((r["by"], bool(r["granted"]), r.get("reason", "")) for r in appeal.get("reviews", ()))
    by = appeal.get("answer_by")
    return Appeal(
        incident, number, appeal["by"], appeal["reason"], reviews, appeal["granted"],
        None if by is None else datetime.fromisoformat(by),
    )  # fmt: skip


def appeals(city: CityReads, actor: Actor, ids: Collection[int]) -> list[Appeal]:
    """Return the appeals on a card's cases, the open ones first; those out of the viewer's scope are left out."""
    where, values = within(actor, "i")
    with city.look() as connection:
        found = connection.execute(
            "select i.id, i.number, (i.facts -> 'appeal')::text from incident i where i.id = any(%(ids)s)"
            f" and i.facts ? 'appeal' and {where} order by i.facts -> 'appeal' ->> 'granted' nulls first, i.id desc"
            " limit 100".encode(),
            values | {"ids": list(ids)[:IDS_MOST]},
        ).fetchall()
    return [each for row in found if (each := _appeal(*row)) is not None]


def asked(city: CityReads, actor: Actor, case: int) -> Asked | None:
    """Return what a dialog about an appeal on a case must know; None for a case out of the viewer's scope."""
    where, values = within(actor, "i")
    with city.look() as connection:
        row = connection.execute(
            "select i.number, i.category, i.area_code, i.reported_at, (i.facts -> 'appeal' -> 'reviews')::text"
            f" from incident i where i.id = %(id)s and {where}".encode(),
            values | {"id": case},
        ).fetchone()
    if row is None:
        return None
    reviews = msgspec.json.decode(row[4]) if row[4] else []
    given: list[list[str]] = next((each["spans"] for each in reviews if each.get("spans")), [])
    spans = tuple((datetime.fromisoformat(since), datetime.fromisoformat(until)) for since, until in given)
    return Asked(row[0], row[1], row[2], row[3], spans)


def if_granted(card: Card, lines: Sequence[Mapping[str, Line]], case: int) -> Fraction | None:
    """Return what the score would be if an appeal on a case were granted, or None where there is no score.

    A granted appeal makes the disposal timely and the waiting excused, and by the present definitions every other limit
    of the case too (docs/decisions/0018): the case stays in every base, and each credit it did not have it gains.
    """
    if card.score is None or not card.weighed:
        return None
    points = Fraction(0)
    for line in card.lines:
        if not line.d or line.points is None:
            continue
        n = line.n + sum(_gained(each, line.name, case, card.rules.definitions) for each in lines)
        share = n / (line.d * line.top)
        points += line.weight * (share if line.more_is_better else 1 - share)
    return points * Fraction(100, card.weighed)


@dataclass(frozen=True, slots=True)
class ExemptCase:
    """Hold a case that is exempt on a card: why, the parts that count it otherwise by the bare facts, and how it fared.

    `fared` is of units alone: disposed of in time or late, or waiting past its limit. `row` is None out of scope.
    """

    id: int
    why: str
    never_theirs: bool
    parts: tuple[str, ...]
    fared: Fared
    row: CaseLine | None


@dataclass(frozen=True, slots=True)
class Bare:
    """Hold a card as it would be without exemptions; `score` is None where too many are exempt to say it on a page.

    `total` is how many cases are exempt, `cases` the first of them, those that change the most first.
    """

    score: Score | None
    total: int
    cases: tuple[ExemptCase, ...]

    def rate(self, line: Line) -> Rate | None:
        """Return what a part would count, where that is not what it counts."""
        rates = self.score.parts if self.score is not None else ()
        found = next((p.rate for p in rates if p.rate.indicator.name == line.name), None)
        return found if found is not None and (found.n, found.d) != (line.n, line.d) else None


def bare(city: CityReads, actor: Actor, card: Card) -> Bare | None:
    """Return what a card would be without its exemptions, or None where nothing on it is exempt."""
    key = (id(city), card.month.hash)
    kept: tuple[Exemptions | None] | None = _exemptions.get(key)
    if kept is None:
        with city.look() as connection:
            kept = _exemptions.put(key, (scoring.exemptions(connection, card.month.month),))
    every = kept[0]
    stored = {i: (why, False) for line in card.lines for i, why in line.exempt}
    stored |= {i: (why, True) for line in card.lines for i, why in line.left_out}
    exempted = every.of.get((card.kind, card.subject)) if every is not None else None
    both = list(zip(exempted.judged, exempted.raw, strict=True)) if exempted is not None else []
    parts: dict[int, list[str]] = {}
    for line in card.lines:
        indicator = card.rules.catalogue.get(line.name)
        out = {i for i, _why in line.left_out}
        for as_judged, raw in both if indicator is not None else ():
            assert indicator is not None
            if raw.id in out or moved(indicator, as_judged, raw):
                parts.setdefault(raw.id, []).append(line.name)
    fared = {raw.id: _fared(raw) for _judged, raw in both} if card.name == "unit" else {}
    if every is not None:
        stored |= {i: (every.why[i], False) for i in parts if i not in stored}
    # What was done in time, once exempt, stays in the base: that it was never theirs is said all the same.
    stored |= {c.id: (stored[c.id][0], True) for c, _raw in both if c.never_theirs and c.id in stored}
    if not stored:
        return None
    score = None
    if every is not None:
        counted = {
            each.name: Counted(each.n, each.d, tuple(i for i, _ in each.left_out)) for each in card.lines
        }
        score = without_exemptions(card.rules, card.name, counted, exempted or Exempted((), ()))
    order = sorted(stored, key=lambda i: (-len(parts.get(i, ())), i))
    found = {
        row.id: row
        for row in rows(city, actor, (card.kind, card.subject), order[:PAGE_ROWS], card.month.as_of)
    }
    cases = [
        ExemptCase(i, *stored[i], tuple(dict.fromkeys(parts.get(i, ()))), fared.get(i, ""), found.get(i))
        for i in order[:PAGE_ROWS]
    ]
    return Bare(score, len(stored), tuple(cases))


def _fared(raw: Case) -> Fared:
    """Return how a case that was dispatched to a unit fared by the bare facts."""
    if raw.disposed and raw.target:
        return "kept" if raw.on_time else "late"
    return "waiting" if raw.overdue else ""


def _gained(lines: Mapping[str, Line], name: str, case: int, definitions: int) -> int:
    """Return how many credits more (or for what lowers a score, fewer) a case has once it is excused."""
    line = lines.get(name)
    if line is None:
        return 0
    base = Counter(line.denominator)[case]
    credited = case in line.numerator
    match name:
        case "on_time_disposal":
            return base if not credited and case in _ids(lines, "disposal") else 0
        case "on_time_closing":
            return base if not credited and case in _ids(lines, "closing") else 0
        case "on_time_registering" | "on_time_dispatch" | "on_time_check" | "on_time_verification":
            # What can be appealed is closed, so these limits were met, if late.
            return base if not credited and definitions > 1 else 0
        case "overdue_backlog":
            return -base if credited else 0
    return 0


def may(actor: Actor, verb: str, state: str) -> bool:
    """Tell whether an actor's role may take a step from a state; the Desk decides on everything else."""
    step = STEPS[verb]
    return actor.role in step.roles and state in step.sources


def submit(
    city: CityReads, actor: Actor, verb: str, incident_id: int, press: str, args: dict[str, Any]
) -> Outcome:
    """Hand an appeal, or the judgement on one, to the Desk; the same `press` again is one action."""
    command = Command(verb, incident_id, actor, f"assessment-{actor.id}-{press}", args)
    return city.submit([command], datetime.now(UTC), addresses().redis_url)[0]

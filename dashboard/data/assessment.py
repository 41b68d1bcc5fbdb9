"""What the assessment page reads: who may be seen, one subject's card with its cases, and what stands beside it.

A subject that a viewer may not see is answered exactly like one that does not exist: with None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from threading import Lock
from typing import Any

import msgspec

from dashboard.data.card_scope import (
    AREAS,
    CENTRES,
    PEOPLE,
    PERSONS,
    UNITS,
    Subject,
    kinds_for,
    own_subjects,
    sees,
)
from dashboard.data.city import CityReads
from dispatch.record.policies import Policies
from dispatch.rules.areas import prefix_of
from dispatch.rules.incident.values import Actor
from dispatch.rules.measures import fairness
from dispatch.rules.measures.assessment import VOLUME, Rules, band
from dispatch.rules.measures.indicators import Indicator
from dispatch.scores import resampling, scoring
from dispatch.scores.resampling import Drawn

SUBJECTS_MOST = 500  # offered to choose from
KEPT_MOST = 32
# Kinds whose cases cannot all be told from the cards below: people work for more than one of them.
LOOSE = frozenset({"dispatch_centre", "grid_head"})
# Whose cases a pooled kind's are, from the kind below.
BELOW = {
    "town": "village",
    "county": "village",
    "city": "village",
    "department": "team",
    "grid_head": "grid_worker",
}


@dataclass(frozen=True, slots=True)
class Month:
    """Hold a month that was assessed."""

    month: date
    frozen: bool
    version: int
    as_of: datetime
    hash: str
    computed_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """Hold a subject to choose, with its score and how many cases it rests on."""

    kind: str
    subject: str
    score: float | None
    band: str
    cases: int


@dataclass(frozen=True, slots=True)
class Line:
    """Hold one part of a card: its indicator, weight, credits over the base, points, and what it lost of the score.

    `lost` is in points of the final score: parts without data take no weight,
    the others share it. `numerator` and
    `denominator` are the cases; empty for a subject whose cases are those of the subjects below it.
    """

    name: str
    zh: str
    en: str
    weight: int
    n: Fraction
    d: int
    points: Fraction | None
    lost: Fraction
    more_is_better: bool
    top: int
    numerator: tuple[int, ...]
    denominator: tuple[int, ...]
    exempt: tuple[tuple[int, str], ...]
    left_out: tuple[tuple[int, str], ...]

    @property
    def rate(self) -> Fraction | None:
        """Return credits over base, or None for no data."""
        return self.n / self.d if self.d else None

    @property
    def drawn(self) -> Drawn:
        """Return it for drawing its cases again."""
        return Drawn(
            self.weight, self.n, self.d, self.numerator, self.denominator, self.more_is_better, self.top
        )


@dataclass(frozen=True, slots=True)
class Corrected:
    """Hold what an appeal granted after the freeze changed, beside the frozen score."""

    incident_id: int
    number: int
    reason: str
    before: Fraction | None
    after: Fraction | None
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class Wrong:
    """Hold what the nightly recomputation found: what is stored and what the events give."""

    what: str
    stored: str
    recomputed: str
    found_at: datetime


@dataclass(frozen=True, slots=True)
class Card:
    """Hold one subject's card of a month and everything that says how far it can be relied on.

    `interval` is in points,
    from drawing the cases again; `band` the letter of the exact score. `sound` says that
    the stored parts still have their hash, `adds_up` that the parts' points give the score.
    """

    kind: str
    subject: str
    name: str
    month: Month
    rules: Rules
    cards: tuple[str, ...]
    score: Fraction | None
    band: str
    cases: int
    lines: tuple[Line, ...]
    also: tuple[Line, ...]
    weighed: int
    hash: str
    sound: bool
    adds_up: bool
    interval: tuple[float, float] | None
    before: Fraction | None
    corrections: tuple[Corrected, ...]
    wrong: tuple[Wrong, ...]
    checked_at: datetime | None

    def line(self, name: str) -> Line | None:
        """Return the part, or a rate shown beside them, of a name."""
        return next((each for each in (*self.lines, *self.also) if each.name == name), None)

    @property
    def crosses(self) -> int | None:
        """Return the score at which a band begins that the interval crosses, or None."""
        if self.interval is None:
            return None
        low, high = self.interval
        return next((at for at in self.rules.bands.values() if low < at <= high), None)


@dataclass(frozen=True, slots=True)
class Peers:
    """Hold a subject's place among its like: ranks it may have within the intervals, of how many that are ranked."""

    own: fairness.Standing
    best: int
    worst: int
    ranked: int


@dataclass(slots=True)
class Kept:
    """Keep what is costly to read and does not change, up to `KEPT_MOST` of it; safe to share between threads."""

    values: dict[Any, Any] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def get(self, key: Any) -> Any:
        """Return what is kept under a key, or None."""
        with self.lock:
            return self.values.get(key)

    def put(self, key: Any, value: Any) -> Any:
        """Keep a value and return it."""
        with self.lock:
            if len(self.values) >= KEPT_MOST:
                self.values.clear()
            self.values[key] = value
        return value


_standings, _lists, _intervals = Kept(), Kept(), Kept()


def months(city: CityReads, at_most: int = 13) -> list[Month]:
    """Return the months that were assessed, the newest first."""
    with city.look() as connection:
        rows = connection.execute(
            "select month, state = 'frozen', policy_version, as_of, hash, computed_at from assessment_month"
            " order by month desc limit %s",
            (at_most,),
        ).fetchall()
    return [Month(*row) for row in rows]


def listed(city: CityReads, actor: Actor, kind: str, month: Month) -> list[Listed]:
    """Return the subjects of a kind that an actor may see, the lowest scores first, those with few cases last."""
    if kind not in kinds_for(actor):
        return []
    card = scoring.CARDS[kind][0]
    where = "true"
    values: dict[str, Any] = {}
    if actor.role not in UNITS or (kind in PERSONS and actor.role not in PEOPLE):
        where, values = "a.subject = any(%(own)s)", {"own": [s for k, s in own_subjects(actor) if k == kind]}
    elif actor.role != "auditor":
        prefix = prefix_of(actor.area_code)
        values = {"like": prefix + "%", "tail": f"[/@]{prefix}[0-9]*$"}
        if kind in (*AREAS, *CENTRES):
            where = "a.subject like %(like)s"
        elif kind in ("team", "department"):
            table = "team" if kind == "team" else "organisation"
            where = (
                f"exists (select from {table} t where t.id::text = a.subject and t.area_code like %(like)s)"
            )
        else:
            where = (
                "(a.subject ~ %(tail)s or exists (select from account t where a.subject = t.role || ':' || t.login"
                " and t.area_code like %(like)s))"
            )
    query = (
        "select a.kind, a.subject, a.score, a.band, a.cases from assessment a where a.month = %(month)s"
        f" and a.kind = %(kind)s and a.card = %(card)s and {where}"
        " order by a.cases < %(least)s, a.score nulls last, a.subject limit %(most)s"
    )
    with city.look() as connection:
        rows = connection.execute(
            query.encode(),
            values | {"month": month.month, "kind": kind, "card": card, "least": 10, "most": SUBJECTS_MOST},
        ).fetchall()
    return [Listed(*row) for row in rows]


def card(city: CityReads, actor: Actor, kind: str, subject: str, month: Month, name: str) -> Card | None:
    """Return one card of a subject's month; None where there is none, or the actor may not see it."""
    if kind not in scoring.CARDS:
        return None
    with city.look() as connection:
        if not sees(connection, actor, kind, subject):
            return None
        rows = connection.execute(
            "select card, band, cases, parts::text, hash from assessment"
            " where month = %s and kind = %s and subject = %s",
            (month.month, kind, subject),
        ).fetchall()
        found = next((row for row in rows if row[0] == name), None)
        if found is None:
            return None
        rules = Policies(connection.cursor()).rules(month.version)
        before = connection.execute(
            "select parts ->> 'score' from assessment where month < %s and kind = %s and subject = %s and card = %s"
            " order by month desc limit 1",
            (month.month, kind, subject, name),
        ).fetchone()
        corrections = connection.execute(
            "select c.incident_id, i.number, c.reason, c.score_before, c.score_after, c.entered_at from correction c"
            " join incident i on i.id = c.incident_id where c.month = %s and c.kind = %s and c.subject = %s"
            " and c.card = %s order by c.id",
            (month.month, kind, subject, name),
        ).fetchall()
        label = f"{month.month:%Y-%m} {kind} {subject} {name}"
        wrong = connection.execute(
            "select what, stored, recomputed, found_at from mismatch where what like 'assessment%%'"
            " and subject = any(%s) and gone_at is null order by what",
            ([label, f"{month.month:%Y-%m}"],),
        ).fetchall()
        checked = connection.execute("select at from follower where name = 'recheck'").fetchone()
    _card, _band, cases, text, digest = found
    parts = msgspec.json.decode(text)
    score = Fraction(parts["score"]) if parts["score"] else None
    weighed = int(parts["weighed"])
    catalogue = rules.catalogue
    lines = tuple(_line(each, catalogue, weighed) for each in parts["parts"])
    also = tuple(_line(each | {"weight": 0, "points": ""}, catalogue, 0) for each in parts.get("also", ()))
    earned = sum((line.points or Fraction(0) for line in lines), Fraction(0))
    total = earned * Fraction(100, weighed) if weighed else None
    return Card(
        kind=kind, subject=subject, name=name, month=month, rules=rules,
        cards=tuple(c for c in scoring.CARDS[kind] if any(row[0] == c for row in rows)), score=score,
        band=band(rules, score), cases=cases, lines=lines, also=also, weighed=weighed, hash=digest,
        sound=scoring.card_hash(month.month, kind, subject, name, month.version, text) == digest,
        adds_up=total == score, interval=_interval(lines, digest, rules.confidence),
        before=Fraction(before[0]) if before is not None and before[0] else None,
        corrections=tuple(Corrected(i, n, why, _exact(a), _exact(b), at) for i, n, why, a, b, at in corrections),
        wrong=tuple(Wrong(*row) for row in wrong), checked_at=checked[0] if checked is not None else None,
    )  # fmt: skip


def peers(city: CityReads, found: Card) -> Peers | None:
    """Return a subject's place among all of its kind in the month, or None where it has too few cases for one."""
    key = (id(city), found.month.hash, found.kind, found.name)
    places: dict[str, fairness.Standing] | None = _standings.get(key)
    if places is None:
        with city.look() as connection:
            rows = connection.execute(
                "select a.subject, array_agg(p.part ->> 'indicator' order by p.at),"
                " array_agg(p.part ->> 'n' order by p.at),"
                " array_agg((p.part ->> 'd')::int order by p.at), array_agg((p.part ->> 'weight')::int order by p.at)"
                " from assessment a, json_array_elements(a.parts -> 'parts') with ordinality p(part, at)"
                " where a.month = %s and a.kind = %s and a.card = %s group by a.subject",
                (found.month.month, found.kind, found.name),
            ).fetchall()
        counted = {
            subject: [
                _good(found.rules.catalogue, *part) for part in zip(names, ns, ds, weights, strict=True)
            ]
            for subject, names, ns, ds, weights in rows
        }
        ranked = fairness.standings(counted, found.rules.min_count, found.rules.confidence)
        places = _standings.put(key, {each.subject: each for each in ranked})
    own = places.get(found.subject)
    if own is None or own.rank is None:
        return None
    others = [each for each in places.values() if each.rank is not None]
    best = 1 + sum(each.low > own.high for each in others)
    worst = sum(each.high >= own.low for each in others)
    return Peers(own, best, worst, len(others))


def _good(
    catalogue: Mapping[str, Indicator], name: str, n: str, d: int, weight: int
) -> tuple[float, int, int]:
    """Return how good a part is as (good share times base, base, weight)."""
    indicator = catalogue.get(name)
    share = float(Fraction(n)) / (indicator.top if indicator is not None else 1)
    return (share if indicator is None or indicator.more_is_better else d - share, d, weight)


def _line(part: Mapping[str, Any], catalogue: Mapping[str, Indicator], weighed: int) -> Line:
    indicator = catalogue.get(part["indicator"])
    zh, en = ("派遣量", "dispatches") if indicator is None else (indicator.zh, indicator.en)
    points = Fraction(part["points"]) if part["points"] else None
    weight = int(part["weight"])
    lost = (weight - points) * Fraction(100, weighed) if points is not None and weighed else Fraction(0)
    return Line(
        part["indicator"], zh, en, weight, Fraction(part["n"]), int(part["d"]), points, lost,
        indicator is None or indicator.more_is_better, 1 if indicator is None else indicator.top,
        tuple(part.get("numerator", ())), tuple(part.get("denominator", ())),
        tuple((i, why) for i, why in part.get("exempt", ())),
        tuple((i, why) for i, why in part.get("left_out", ())),
    )  # fmt: skip


def _interval(lines: Sequence[Line], digest: str, confidence: float) -> tuple[float, float] | None:
    found = _intervals.get(digest)
    if found is None:
        drawn = [line.drawn for line in lines if line.name != VOLUME]
        found = _intervals.put(digest, (resampling.interval(drawn, digest, confidence),))
    answer: tuple[float, float] | None = found[0]
    # How much was dispatched is no sample of anything.
    return None if any(line.name == VOLUME for line in lines) else answer


def _exact(text: str) -> Fraction | None:
    return Fraction(text) if text else None


def department_names(city: CityReads) -> dict[str, tuple[str, str]]:
    """Return a department's id as text -> its names in Chinese and English."""
    with city.look() as connection:
        rows = connection.execute("select id::text, name, name_en from organisation").fetchall()
    return {key: (name, name_en) for key, name, name_en in rows}


def names_then(city: CityReads, month: Month) -> dict[Subject, tuple[str, str]]:
    """Return the names in Chinese and English that teams, departments and areas had in a frozen month, by subject."""
    if not month.frozen:
        return {}
    with city.look() as connection:
        rows = connection.execute(
            "select kind, subject, name, name_en from assessment_subject where month = %s", (month.month,)
        ).fetchall()
    return {(kind, subject): (name, name_en) for kind, subject, name, name_en in rows}


def bundles(city: CityReads, found: Card) -> list[dict[str, Line]]:
    """Return the lines that hold a card's cases, by name: its own, or those of every subject below a pooled one."""
    lower = BELOW.get(found.kind)
    if lower is None:
        return [{line.name: line for line in (*found.lines, *found.also)}]
    key = (id(city), found.month.hash, found.kind, found.subject, found.name)
    kept: list[dict[str, Line]] | None = _lists.get(key)
    if kept is None:
        where = "a.subject like %(like)s"
        like, unit = prefix_of(found.subject) + "%", 0
        if found.kind == "department":
            # As it was then, where the month says so.
            where = (
                "coalesce((select s.parent from assessment_subject s where s.month = a.month and s.kind = 'team'"
                " and s.subject = a.subject), (select t.organisation_id::text from team t"
                " where t.id::text = a.subject)) = %(unit)s::text"
            )
            unit = int(found.subject)
        elif found.kind == "grid_head":
            like = f"worker/{found.subject.rpartition('/')[2]}%"
        with city.look() as connection:
            rows = connection.execute(
                "select a.parts::text from assessment a where a.month = %(month)s and a.kind = %(lower)s"
                f" and a.card = %(card)s and {where} order by a.subject".encode(),
                {"month": found.month.month, "lower": lower, "card": found.name, "like": like, "unit": unit},
            ).fetchall()
        kept = []
        for (text,) in rows:
            parts = msgspec.json.decode(text)
            every = [*parts["parts"], *(p | {"weight": 0, "points": ""} for p in parts.get("also", ()))]
            kept.append({p["indicator"]: _line(p, found.rules.catalogue, 0) for p in every})
        _lists.put(key, kept)
    return kept

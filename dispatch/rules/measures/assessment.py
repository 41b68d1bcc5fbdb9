"""Score work by cards of weighted indicators, in exact fractions, and judge the clocks behind them.

The indicators are those of dispatch/rules/measures/indicators.py. Nothing is rounded before it is shown.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from dispatch.rules.measures.indicators import (
    DEFINITIONS,
    REWORK_BASES,
    TOP_RATING,
    Case,
    Indicator,
    Rate,
    evaluate,
    goodness,
    indicators,
)
from dispatch.rules.policy.policy import PolicyError
from dispatch.rules.time.calendar import Calendar, Limit
from dispatch.rules.time.clocks import BY_SOURCE, Clock
from dispatch.rules.words import say

FILE = "assessment.toml"
NO_DATA = ("无数据", "no data")
MINUS = "\N{MINUS SIGN}"
WHOLE = 100  # weights of a card sum to this
BANDS = ("A", "B", "C", "D")
LOWEST_BAND = "E"
VOLUME = "volume"

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Rules:
    """Hold one version of how work is assessed: cards of weights, bands, and the settings beside them."""

    version: int
    min_count: int
    freeze_day: int
    confidence: float
    definitions: int
    rework_base: str
    satisfied: frozenset[int]
    mostly: frozenset[int]
    solved: frozenset[int]
    bands: Mapping[str, int]
    cards: Mapping[str, Mapping[str, int]]
    full_volume: int
    # Whether who acted is assessed, with their centre's total beside; before, duty leaders were their centre alone.
    persons: bool
    catalogue: Mapping[str, Indicator] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Part:
    """Hold one line of a score: its weight, the rate behind it, and the points it earned (None: no data)."""

    weight: int
    rate: Rate

    @property
    def points(self) -> Fraction | None:
        """Return the weight's share that was earned, unrounded."""
        if not self.rate.d:
            return None
        earned, most = self.rate.earned
        return Fraction(self.weight * earned, most)


@dataclass(frozen=True, slots=True)
class Score:
    """Hold one subject's card: its parts, how much weight had data, and the exact value from 0 to 100.

    The value is the points over the weight that has data, times 100; None where nothing has.
    """

    card: str
    parts: tuple[Part, ...]
    weighed: int
    value: Fraction | None

    @property
    def count(self) -> int:
        """Return the largest base of its parts: how much the score rests on."""
        return max((part.rate.d for part in self.parts), default=0)


def score(rules: Rules, card: str, cases: Sequence[Case]) -> Score:
    """Return the card of one subject over its cases; raise KeyError for a card that the rules do not name."""
    parts = []
    for name, weight in rules.cards[card].items():
        rate = _volume(rules, cases) if name == VOLUME else evaluate(rules.catalogue[name], cases)
        parts.append(Part(weight, rate))
    return _summed(card, parts)


@dataclass(frozen=True, slots=True)
class Exempted:
    """Hold a subject's cases that appeals exempt: as they are judged, and in the same order by the bare facts."""

    judged: tuple[Case, ...]
    raw: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """Hold what a stored part counts: credits over a base, and the cases that it left out of the base."""

    n: Fraction
    d: int
    left_out: tuple[int, ...] = ()


def without_exemptions(rules: Rules, card: str, counted: Mapping[str, Counted], exempted: Exempted) -> Score:
    """Return what a card would be without exemptions, from what it counts with them and the cases they concern.

    What was left out of a base as never the subject's is in it again, and every verdict is that of the bare facts.
    The rates of the parts tell no cases. Raise KeyError for a part that is not counted.
    """
    parts = []
    for name, weight in rules.cards[card].items():
        stored = counted[name]
        # How much was dispatched is work, whatever became of it.
        rate = (
            Rate(_VOLUME, stored.n, stored.d, (), ())
            if name == VOLUME
            else _bared(rules.catalogue[name], stored, exempted)
        )
        parts.append(Part(weight, rate))
    return _summed(card, parts)


def _bared(indicator: Indicator, stored: Counted, exempted: Exempted) -> Rate:
    """Take the exempt cases out of a stored part as they were judged, and put them in by the bare facts."""
    out = Counter(stored.left_out)
    judged = [(c, indicator.numerator(c)) for c in exempted.judged if indicator.denominator(c)]
    # A case may be there once for each subject below: those that count the most against it were left out first.
    judged.sort(key=lambda each: (goodness(indicator, each), each[0].id))
    n, d = stored.n, stored.d
    for case, credit in judged:
        if out[case.id]:
            out[case.id] -= 1
            continue
        n -= credit
        d -= 1
    for case in exempted.raw:
        if indicator.denominator(case):
            n += indicator.numerator(case)
            d += 1
    return Rate(indicator, n, d, (), ())


def _summed(card: str, parts: Sequence[Part]) -> Score:
    weighed, points, over = 0, 0, 1
    for part in parts:
        if part.rate.d:
            earned, most = part.rate.earned
            weighed += part.weight
            # Brought to lowest terms once, at the end.
            points, over = points * most + part.weight * earned * over, over * most
    return Score(card, tuple(parts), weighed, Fraction(WHOLE * points, over * weighed) if weighed else None)


def band(rules: Rules, value: Fraction | None) -> str:
    """Return the letter of an exact score, or an empty text for no data."""
    if value is None:
        return ""
    for letter in BANDS:
        if value >= rules.bands[letter]:
            return letter
    return LOWEST_BAND


def _volume(rules: Rules, cases: Iterable[Case]) -> Rate:
    """Return how much was dispatched of what earns full marks; whatever became of a case, it was work."""
    ids = tuple(sorted(case.id for case in cases if case.sent))
    return Rate(
        _VOLUME, Fraction(min(len(ids), rules.full_volume)), rules.full_volume if ids else 0, ids, ids
    )


_VOLUME = Indicator(VOLUME, "派遣量", "dispatches", lambda c: c.sent, lambda c: c.sent, ours=True)


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Hold how long one stage took over n cases, in seconds around the clock and of working time.

    P50 and P90 are nearest-rank percentiles: a time that some case really took.
    """

    n: int
    p50: float
    p90: float
    mean: float
    working_p50: float
    working_p90: float
    working_mean: float


def stage_times(cases: Iterable[Case]) -> dict[str, StageTimes]:
    """Return stage -> times over the cases that passed through it; stages without any are left out."""
    taken: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        for stage, seconds, working in case.stages:
            taken.setdefault(stage, []).append((seconds, working))
    found = {}
    for stage, times in sorted(taken.items()):
        around, working_time = sorted(t[0] for t in times), sorted(t[1] for t in times)
        n = len(times)
        found[stage] = StageTimes(
            n, _rank(around, 50), _rank(around, 90), sum(around) / n,
            _rank(working_time, 50), _rank(working_time, 90), sum(working_time) / n,
        )  # fmt: skip
    return found


def _rank(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def used(spans: Iterable[tuple[datetime, datetime, bool]], calendar: Calendar, working: bool) -> float:
    """Return the seconds of (from, to, paused) stretches that count, of working time or around the clock."""
    return sum(calendar.elapsed(begin, end, working) for begin, end, paused in spans if not paused)


def verdict(
    clock: Clock, as_of: datetime, calendar: Calendar, exempt: Sequence[Span] = ()
) -> Literal["on_time", "late", "overdue", "inside"]:
    """Judge a clock as of an instant with exempt time taken out; exempt stretches must not overlap.

    `late` ended after its limit, `overdue` is awaited past it, `inside` is awaited and not past it (also while
    paused). Finished exactly at the limit is on time.
    """
    ended = clock.ended is not None and clock.ended <= as_of
    if clock.due is None:
        # Ended or still waiting in a pause: what was left then decides.
        if ended:
            return "late" if clock.state == "breached" else "on_time"
        return "overdue" if clock.left is not None and clock.left < 0 else "inside"
    due = clock.due
    working = clock.limit != BY_SOURCE and Limit.parse(clock.limit).working
    end = clock.ended if ended and clock.ended is not None else as_of
    # Time given back moves the limit on; what lies in it can be exempt in turn, up to the end.
    given = sum(
        calendar.elapsed(max(begin, clock.since), min(until, end), working)
        for begin, until in exempt
        if max(begin, clock.since) < min(until, end)
    )
    if given:
        due = calendar.after(due, given, working)
    if ended:
        return "on_time" if end <= due else "late"
    return "overdue" if end > due else "inside"


def headline(settled: int, accepted: int, villages: int, months: int = 12) -> dict[str, Fraction | None]:
    """Return the seed's arithmetic over any figures: disputes a village, months between two, share settled."""
    return {
        "per_village": Fraction(accepted, villages) if villages else None,
        "months_between": Fraction(months * villages, accepted) if accepted else None,
        "settled": Fraction(settled, accepted) if accepted else None,
    }


def shown(value: Fraction | None, language: str = "zh", digits: int = 2, percent: bool = True) -> str:
    """Return an exact value as text: the one place where it is rounded, half up. None reads as no data."""
    if value is None:
        return say(NO_DATA, language)
    scaled = abs(value) * (WHOLE if percent else 1) * 10**digits
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    rounded = whole + (2 * rest >= scaled.denominator)
    sign = "-" if value < 0 and rounded else ""
    return f"{sign}{Decimal(rounded).scaleb(-digits):f}{' %' if percent else ''}"


def signed(value: Fraction, digits: int = 1) -> str:
    """Return a number with its sign, rounded half up; what rounds to nothing has none."""
    text = shown(abs(value), digits=digits, percent=False)
    if not text.strip("0."):
        return text
    return ("+" if value > 0 else MINUS) + text


def parse(version: int, text: str) -> Rules:
    """Build Rules from the text of assessment.toml; raise PolicyError at the first thing that is wrong."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise PolicyError(FILE, "text", str(fault)) from fault
    rework_base = table.get("rework_base")
    if rework_base not in REWORK_BASES:
        raise PolicyError(
            FILE, "rework_base", f"expected one of {', '.join(REWORK_BASES)}, not {rework_base!r}"
        )
    definitions = _whole({"definitions": 1} | table, "definitions", DEFINITIONS[0], DEFINITIONS[-1])
    catalogue = indicators(rework_base, definitions)
    confidence = table.get("confidence")
    if not isinstance(confidence, float) or not 0.5 <= confidence < 1:
        raise PolicyError(FILE, "confidence", f"expected a number from 0.5 to below 1, not {confidence!r}")
    ratings = _table(table, "ratings")
    volume = _table(table, "volume")
    return Rules(
        version=version,
        min_count=_whole(table, "min_count", 1, 10_000),
        freeze_day=_whole(table, "freeze_day", 1, 28),
        confidence=confidence,
        definitions=definitions,
        rework_base=str(rework_base),
        satisfied=_ratings(ratings, "satisfied"),
        mostly=_ratings(ratings, "mostly"),
        solved=_ratings(ratings, "solved"),
        bands=_bands(_table(table, "bands")),
        cards=_cards(_table(table, "cards"), catalogue),
        full_volume=_whole(volume, "full", 1, 1_000_000, "volume.full"),
        persons=_flag(table, "persons"),
        catalogue=catalogue,
    )


def _table(table: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = table.get(key)
    if not isinstance(value, dict):
        raise PolicyError(FILE, key, "is missing")
    return value


def _whole(table: Mapping[str, object], key: str, least: int, most: int, name: str = "") -> int:
    value = table.get(key)
    if type(value) is not int or not least <= value <= most:
        raise PolicyError(FILE, name or key, f"expected a whole number from {least} to {most}, not {value!r}")
    return value


def _flag(table: Mapping[str, object], key: str) -> bool:
    value = table.get(key, False)
    if type(value) is not bool:
        raise PolicyError(FILE, key, f"expected true or false, not {value!r}")
    return value


def _ratings(table: Mapping[str, object], key: str) -> frozenset[int]:
    value = table.get(key)
    if not isinstance(value, list) or not all(type(v) is int and 1 <= v <= TOP_RATING for v in value):
        raise PolicyError(FILE, f"ratings.{key}", f"expected a list of ratings from 1 to {TOP_RATING}")
    return frozenset(value)


def _bands(table: Mapping[str, object]) -> dict[str, int]:
    bands = {letter: _whole(table, letter, 0, WHOLE, f"bands.{letter}") for letter in BANDS}
    if list(bands.values()) != sorted(set(bands.values()), reverse=True):
        raise PolicyError(FILE, "bands", "expected each band to begin below the one before")
    return bands


def _cards(table: Mapping[str, object], catalogue: Mapping[str, Indicator]) -> dict[str, dict[str, int]]:
    cards = {}
    for card in table:
        weights = {}
        for name in (parts := _table(table, card)):
            if name != VOLUME and name not in catalogue:
                raise PolicyError(FILE, f"cards.{card}.{name}", "is not an indicator")
            weights[name] = _whole(parts, name, 1, WHOLE, f"cards.{card}.{name}")
        if sum(weights.values()) != WHOLE:
            raise PolicyError(
                FILE, f"cards.{card}", f"weights sum to {sum(weights.values())}, expected {WHOLE}"
            )
        cards[card] = weights
    missing = {"unit", "whistle", "dispatcher", "duty_leader", "grid_worker"} - cards.keys()
    if missing:
        raise PolicyError(FILE, "cards", f"missing {', '.join(sorted(missing))}")
    return cards

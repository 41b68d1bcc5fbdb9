"""Compare subjects fairly: intervals and shrunk estimates, so that 1 of 1 does not lead a table.

Estimates serve rankings and are shown beside the exact rates; no score is ever paid by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import NormalDist

# Where subjects do not differ beyond chance, what all have in common weighs like this many cases.
STRONGEST_PRIOR = 1_000.0
# And however much they differ, like this many: else nothing would hold a rate of 1 of 1, or say what none of 0 is.
WEAKEST_PRIOR = 1.0


@dataclass(frozen=True, slots=True)
class Prior:
    """Hold what is known of a subject before its own cases: a mean, worth `strength` cases."""

    mean: float
    strength: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Hold one subject's place: raw value, shrunk estimate, interval, and rank from 1, or None: listed, not ranked."""

    subject: str
    count: int
    raw: float
    shrunk: float
    low: float
    high: float
    rank: int | None


def wilson(n: float, d: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of n in d (Wilson 1927), within 0 to 1; the whole range for an empty base.

    n may be fractional where cases earn part of a credit.
    """
    if d <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = n / d
    middle = (share + z * z / (2 * d)) / (1 + z * z / d)
    reach = z * sqrt(max(0.0, share * (1 - share)) / d + z * z / (4 * d * d)) / (1 + z * z / d)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def prior(counts: Sequence[tuple[float, int]]) -> Prior:
    """Return the prior that (n, d) of many subjects suggest: beta-binomial, by moments (Kleinman 1973).

    Subjects that differ no more than chance would have it give the strongest prior. Raises ValueError where no
    subject has any case.
    """
    counts = [(n, d) for n, d in counts if d > 0]
    total = sum(d for _, d in counts)
    if not total:
        raise ValueError("no subject has any case")
    # Half a case of each kind keeps a rate of exactly 0 or 1 from being certain.
    mean = (sum(n for n, _ in counts) + 0.5) / (total + 1)
    inside = mean * (1 - mean)
    spread = sum(d * (n / d - mean) ** 2 for n, d in counts)
    weight = total - sum(d * d for _, d in counts) / total
    if weight <= 0:
        return Prior(mean, STRONGEST_PRIOR)
    between = (spread - (len(counts) - 1) * inside) / weight
    if between <= 0:
        return Prior(mean, STRONGEST_PRIOR)
    alike = min(between / inside, 1.0)
    return Prior(mean, min(max((1 - alike) / alike, WEAKEST_PRIOR), STRONGEST_PRIOR))


def shrink(n: float, d: int, before: Prior) -> float:
    """Return the rate of n in d drawn towards the prior, the more the fewer its cases (empirical Bayes)."""
    return (n + before.mean * before.strength) / (d + before.strength)


def standings(
    parts: Mapping[str, Sequence[tuple[float, int, int]]], min_count: int, confidence: float = 0.95
) -> list[Standing]:
    """Rank subjects by shrunk scores, the best first; those with fewer than `min_count` cases are listed after them.

    `parts` is subject -> (good share times base, base, weight) of each part of its card, in the same order for
    all; shares say how good, so that more is always better. Parts without data take no weight in the raw value;
    in the estimate they stand at what all subjects have in common. Scores run from 0 to 100; equal estimates
    share a rank. The interval comes from the estimates' own spread, no resampling.
    """
    if not parts:
        return []
    width = len(next(iter(parts.values())))
    priors: list[Prior | None] = []
    for i in range(width):
        counts = [(lines[i][0], lines[i][1]) for lines in parts.values()]
        priors.append(prior(counts) if any(d for _, d in counts) else None)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    found = [_standing(subject, lines, priors, z) for subject, lines in parts.items()]
    found.sort(key=lambda s: (-s.shrunk, s.subject))
    listed = [place for place in found if place.count < min_count]
    result: list[Standing] = []
    for i, place in enumerate(place for place in found if place.count >= min_count):
        same = result and place.shrunk == result[-1].shrunk
        result.append(replace(place, rank=result[-1].rank if same else i + 1))
    return result + sorted(listed, key=lambda s: s.subject)


def _standing(
    subject: str, lines: Sequence[tuple[float, int, int]], priors: Sequence[Prior | None], z: float
) -> Standing:
    raw = shrunk = variance = 0.0
    weighed = known = 0
    for (n, d, weight), before in zip(lines, priors, strict=True):
        if d:
            raw += weight * n / d
            weighed += weight
        if before is None:
            continue
        share = shrink(n, d, before)
        shrunk += weight * share
        variance += weight * weight * share * (1 - share) / (d + before.strength + 1)
        known += weight
    scale = 100 / known if known else 0.0
    estimate, reach = shrunk * scale, z * sqrt(variance) * scale
    return Standing(
        subject,
        max((d for _, d, _ in lines), default=0),
        raw * 100 / weighed if weighed else 0.0,
        estimate,
        max(0.0, estimate - reach),
        min(100.0, estimate + reach),
        None,
    )

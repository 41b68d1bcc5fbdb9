"""Say how sure a score is: draw its cases again, many times, and see how far it moves (Efron 1979, percentiles)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

import numpy as np

DRAWS = 1_000
CASES_MOST = 5_000  # more are drawn as rates, each by itself: a score that rests on so many hardly moves


@dataclass(frozen=True, slots=True)
class Drawn:
    """Hold one part of a score: its weight, the credits over the base, the cases of both sets, and what is best.

    Both sets are empty where only the counts are known.
    """

    weight: int
    n: Fraction
    d: int
    numerator: tuple[int, ...]
    denominator: tuple[int, ...]
    more_is_better: bool = True
    top: int = 1


def interval(
    parts: Sequence[Drawn], seed: str, confidence: float = 0.95, draws: int = DRAWS
) -> tuple[float, float] | None:
    """Return within which points a score lies, or None where no part has data; the same seed gives the same answer.

    A case that counts in several parts is drawn into all of them together. Parts without data take no weight in a
    draw, as in the score itself.
    """
    known = [part for part in parts if part.d]
    if not known:
        return None
    random = np.random.default_rng(int.from_bytes(sha256(seed.encode()).digest()[:8], "big"))
    cases = sorted({case for part in known for case in part.denominator})
    whole = all(len(part.denominator) == part.d == len(set(part.denominator)) for part in known)
    earned = np.zeros(draws)
    weighed = np.zeros(draws)
    if whole and 0 < len(cases) <= CASES_MOST:
        at = {case: n for n, case in enumerate(cases)}
        times = random.multinomial(len(cases), np.full(len(cases), 1 / len(cases)), size=draws).astype(
            np.float32
        )
        for part in known:
            base, credit = np.zeros(len(cases), np.float32), np.zeros(len(cases), np.float32)
            base[[at[case] for case in part.denominator]] = 1
            if part.numerator:
                # Where cases earn parts of a credit, each stands for their mean.
                credit[[at[case] for case in part.numerator]] = float(part.n / len(part.numerator))
            d, n = times @ base, times @ credit
            share = np.divide(n, d * part.top, out=np.zeros(draws), where=d > 0)
            earned += np.where(d > 0, part.weight * (share if part.more_is_better else 1 - share), 0)
            weighed += np.where(d > 0, part.weight, 0)
    else:
        for part in known:
            mean = min(1.0, max(0.0, float(part.n / (part.d * part.top))))
            share = random.binomial(part.d, mean, size=draws) / part.d
            earned += part.weight * (share if part.more_is_better else 1 - share)
            weighed += part.weight
    scores = np.divide(earned * 100, weighed, out=np.zeros(draws), where=weighed > 0)[weighed > 0]
    if not len(scores):
        return None
    rest = (1 - confidence) / 2 * 100
    low, high = np.percentile(scores, [rest, 100 - rest])
    return float(low), float(high)

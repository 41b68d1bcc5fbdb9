"""Say how likely an open case is to miss its limit, and judge such sayings by what came of them.

The time a case takes is modelled as a share of its limit: log share = mean + its type's part + its team's part
+ slope x the team's queue + a residual whose distribution is the past's own. What has run already is taken into
account by the chance that a case still open now goes on past its limit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TypeVar

from dispatch.rules.time.clocks import NEAR

K = TypeVar("K")

RULE_FROM = float(NEAR)  # the rule of thumb: yellow from 80 % of the clock
LEAST_SHARE = 1e-4  # a case disposed of at once took this much of its limit
SHRINK_BY = 20.0  # a type or team with this many cases is believed half
LEAST_HISTORY = 500  # fewer cases than this say nothing


@dataclass(frozen=True, slots=True)
class Done:
    """Hold one case of the past: its type, its team, the team's other live cases when it was sent, its share used."""

    kind: str
    team: int
    queue: int
    share: float


@dataclass(frozen=True, slots=True)
class Model:
    """Hold what the past says; `residuals` are sorted. Unknown types and teams count as ordinary ones."""

    mean: float
    kinds: Mapping[str, float]
    teams: Mapping[int, float]
    slope: float
    residuals: Sequence[float]

    def chance(self, kind: str, team: int, queue: int, used: float) -> float:
        """Return the chance, 0 to 1, that a case still open at a share `used` of its limit misses it.

        One past its limit has missed it.
        """
        if used >= 1:
            return 1.0
        expected = self.mean + self.kinds.get(kind, 0.0) + self.teams.get(team, 0.0) + self.slope * queue
        late = self._beyond(-expected)
        still_open = self._beyond(log(max(used, LEAST_SHARE)) - expected)
        return min(1.0, late / still_open)

    def _beyond(self, residual: float) -> float:
        """Return how many of the past's residuals lie above one, half a case added: nothing is impossible."""
        return len(self.residuals) - bisect_right(self.residuals, residual) + 0.5


def fit(history: Sequence[Done]) -> Model:
    """Learn from cases of the past; raise ValueError where there are fewer than LEAST_HISTORY."""
    if len(history) < LEAST_HISTORY:
        raise ValueError(f"expected at least {LEAST_HISTORY} cases of the past, not {len(history)}")
    logs = [log(max(case.share, LEAST_SHARE)) for case in history]
    mean = sum(logs) / len(logs)
    rest = [value - mean for value in logs]
    kinds = _effects(rest, [case.kind for case in history])
    rest = [value - kinds[case.kind] for value, case in zip(rest, history, strict=True)]
    slope, middle = _slope(rest, [case.queue for case in history])
    rest = [value - slope * (case.queue - middle) for value, case in zip(rest, history, strict=True)]
    teams = _effects(rest, [case.team for case in history])
    rest = [value - teams[case.team] for value, case in zip(rest, history, strict=True)]
    return Model(mean - slope * middle, kinds, teams, slope, sorted(rest))


def _effects(rest: Sequence[float], keys: Sequence[K]) -> dict[K, float]:
    """Return each key's mean, drawn to 0 the more the fewer its cases."""
    sums: dict[K, list[float]] = defaultdict(lambda: [0.0, SHRINK_BY])
    for value, key in zip(rest, keys, strict=True):
        own = sums[key]
        own[0] += value
        own[1] += 1
    return {key: total / weight for key, (total, weight) in sums.items()}


def _slope(rest: Sequence[float], queue: Sequence[int]) -> tuple[float, float]:
    """Return by how much the log share rises with each case in the queue (least squares), and the mean queue."""
    middle = sum(queue) / len(queue)
    spread = sum((q - middle) ** 2 for q in queue)
    if not spread:
        return 0.0, middle
    return sum((q - middle) * value for q, value in zip(queue, rest, strict=True)) / spread, middle


@dataclass(frozen=True, slots=True)
class Said:
    """Hold one saying about an open case, and what came of it."""

    chance: float
    late: bool


@dataclass(frozen=True, slots=True)
class Bin:
    """Hold sayings of like chance: how many, what they said on average, what share came true."""

    low: float
    high: float
    n: int
    predicted: float
    came: float


def brier(sayings: Iterable[Said]) -> float:
    """Return the mean squared error of sayings (Brier 1950): 0 is perfect, less is better; nan for none."""
    errors = [(s.chance - s.late) ** 2 for s in sayings]
    return sum(errors) / len(errors) if errors else float("nan")


def reliability(sayings: Iterable[Said], edges: Sequence[float]) -> list[Bin]:
    """Return the sayings in bins between ascending `edges`, empty ones left out: where both shares agree, trust."""
    bins: dict[int, list[Said]] = defaultdict(list)
    for saying in sayings:
        bins[min(max(bisect_right(edges, saying.chance) - 1, 0), len(edges) - 2)].append(saying)
    return [
        Bin(
            edges[i], edges[i + 1], len(own), sum(s.chance for s in own) / len(own), sum(s.late for s in own) / len(own)
        )
        for i, own in sorted(bins.items())
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold how a model did on cases it had not seen, beside what else one could say."""

    cases: int
    sayings: int
    model: float  # Brier scores
    rule: float  # late from 80 % of the clock on, else not
    tuned_rule: float  # the same, saying how often that was so in the past
    bins: tuple[Bin, ...]

    @property
    def trusted(self) -> bool:
        """Tell whether the model beats both rules; only then may anybody see it."""
        return self.model < min(self.rule, self.tuned_rule)


MOMENTS = (
    0.0,
    0.2,
    0.4,
    0.6,
    0.8,
    0.9,
    0.95,
)  # shares of the limit at which a case still open is asked about
EDGES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


def judge(model: Model, past: Sequence[Done], unseen: Sequence[Done]) -> Verdict:
    """Ask the model and the rule about unseen cases at moments of their clocks, and compare with what came."""
    below, above = _late_rate(past, 0.0, RULE_FROM), _late_rate(past, RULE_FROM, 1.0)

    def say(chance: Callable[[Done, float], float]) -> list[Said]:
        return [Said(chance(c, m), c.share > 1) for c in unseen for m in MOMENTS if c.share > m]

    sayings = say(lambda c, m: model.chance(c.kind, c.team, c.queue, m))
    return Verdict(
        len(unseen),
        len(sayings),
        brier(sayings),
        brier(say(lambda c, m: float(m >= RULE_FROM))),
        brier(say(lambda c, m: above if m >= RULE_FROM else below)),
        tuple(reliability(sayings, EDGES)),
    )


def _late_rate(past: Sequence[Done], low: float, high: float) -> float:
    asked = [c.share > 1 for c in past for m in MOMENTS if low <= m < high and c.share > m]
    return sum(asked) / len(asked) if asked else 0.0

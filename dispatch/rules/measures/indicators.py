"""Define every indicator as a named pair of case sets: credits over a base of cases, in exact fractions.

A `Case` is what one incident says about one subject. An empty base is no data, never 0 and never 100. Definitions
follow GB/T 30428.4's practice as published by Chengdu Jinniu (unit score) and the three rates as coded in Beijing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dispatch.rules.incident.values import Assignment

REWORK_BASES = ("due_to_close", "disposed", "dispatched")
# 1: any return made a dispatch inaccurate, an appeal granted as a whole reached disposal and closing alone, and what
# was void before a limit passed counted as late once it had. 2: of a team no matter was counted as repeated. 3: a team
# that was late, and in time once the case was opened again, was in time.
DEFINITIONS = (1, 2, 3, 4)
TOP_RATING = 5

_NOTHING = Fraction(0)
# What a case can earn in hundredths, made once: to make an exact fraction takes longer than all else about a case.
_HUNDREDTHS = tuple(Fraction(n, 100) for n in range(101))

Credit = Callable[["Case"], Fraction | int]
Base = Callable[["Case"], bool]


@dataclass(frozen=True, slots=True)
class Case:
    """Hold what one incident says about one subject, judged as of one instant.

    A verdict (`*_on_time` that may be None) is None while it is not due: no such clock, or one still inside its
    limit. `on_time` and `overdue` are what counts, with exempt time taken out; `overdue_raw` is the bare fact.
    `returned` is given back for whatever reason, `not_ours` because it was another unit's.
    `stages` are (awaited clock, seconds around the clock, seconds of working time), without suspended time.
    """

    id: int
    accepted: bool = False
    own_report: bool = False
    reported: bool = False
    sent: bool = False
    dispatched: bool = False
    target: bool = True
    disposed: bool = False
    on_time: bool = False
    on_time_raw: bool = False
    overdue: bool = False
    overdue_raw: bool = False
    closed: bool = False
    closed_on_time: bool = False
    reworked: bool = False
    returned: bool = False
    not_ours: bool = False
    extended: bool = False
    registered_on_time: bool | None = None
    dispatched_on_time: bool | None = None
    checked_on_time: bool | None = None
    verified_on_time: bool | None = None
    whistle_sent: bool = False
    whistle_answered: bool = False
    whistle_on_site: bool = False
    whistle_ended: bool = False
    whistle_rating: int | None = None
    dispute: bool = False
    settled: bool = False
    in_grid: bool = False
    repeat: bool = False
    called_back: bool = False
    contacted: bool = False
    solved: bool = False
    satisfied: bool = False
    mostly: bool = False
    exempt: str = ""
    never_theirs: bool = False
    stages: tuple[tuple[str, float, float], ...] = ()

    @property
    def due_to_close(self) -> bool:
        """Tell whether closing could be expected: disposed, or overdue and not disposed, exempt or not."""
        return self.disposed or self.overdue_raw


@dataclass(frozen=True, slots=True)
class Indicator:
    """Define one indicator: credits over a base, and whether more is better. `top` is the best a case can earn."""

    name: str
    zh: str
    en: str
    numerator: Credit
    denominator: Base
    more_is_better: bool = True
    top: int = 1
    ours: bool = False
    version: int = 1


@dataclass(frozen=True, slots=True)
class Rate:
    """Hold one evaluated indicator: the credits, the base, and the cases behind both, in the order of their ids.

    `exempt` are cases of the base whose verdict an approved appeal has changed; `left_out` those that were never
    the subject's and would have counted against it. Both carry the reason.
    """

    indicator: Indicator
    n: Fraction
    d: int
    numerator: tuple[int, ...]
    denominator: tuple[int, ...]
    exempt: tuple[tuple[int, str], ...] = ()
    left_out: tuple[tuple[int, str], ...] = ()

    @property
    def value(self) -> Fraction | None:
        """Return credits over base, or None for an empty base."""
        return self.n / self.d if self.d else None

    @property
    def share(self) -> Fraction | None:
        """Return how good the value is, from 0 to 1, or None for an empty base."""
        if not self.d:
            return None
        return Fraction(*self.earned)

    @property
    def earned(self) -> tuple[int, int]:
        """Return the share as two whole numbers, not in lowest terms: of a base that is not empty."""
        n, most = self.n.numerator, self.n.denominator * self.d * self.indicator.top
        return (n if self.indicator.more_is_better else most - n), most


def _due(verdict: Callable[[Case], bool | None]) -> Base:
    return lambda c: verdict(c) is not None


def indicators(rework_base: str = "due_to_close", definitions: int = DEFINITIONS[-1]) -> dict[str, Indicator]:
    """Return every indicator by name; the base of the rework rate is a setting (one of REWORK_BASES).

    `definitions` is one of DEFINITIONS: what an earlier one gave can be computed again.
    """
    if rework_base not in REWORK_BASES:
        raise ValueError(f"expected one of {', '.join(REWORK_BASES)}, not {rework_base!r}")
    rework: dict[str, Base] = {
        "due_to_close": lambda c: c.due_to_close,
        "disposed": lambda c: c.disposed,
        "dispatched": lambda c: c.dispatched,
    }
    base = rework[rework_base]

    def satisfaction(c: Case) -> int:
        return 100 if c.satisfied else 90 if c.mostly else 0

    every = (
        Indicator("disposal", "处置率", "disposal rate", lambda c: c.disposed, lambda c: c.dispatched),
        Indicator(
            "on_time_disposal", "按期处置率", "on-time disposal", lambda c: c.disposed and c.on_time,
            lambda c: c.dispatched and c.target,
        ),
        Indicator("closing", "结案率", "closing rate", lambda c: c.closed, lambda c: c.due_to_close),
        Indicator(
            "on_time_closing", "按期结案率", "on-time closing", lambda c: c.closed and c.closed_on_time,
            lambda c: c.due_to_close,
        ),
        Indicator(
            "rework", "返工率", "rework rate", lambda c: c.reworked, base, more_is_better=False,
        ),
        Indicator(
            "overdue_backlog", "超期待处置率", "overdue backlog", lambda c: c.overdue and not c.disposed,
            lambda c: c.dispatched, more_is_better=False,
        ),
        Indicator(
            "extension", "延期率", "extension rate", lambda c: c.extended, lambda c: c.dispatched,
            more_is_better=False,
        ),
        Indicator(
            "accurate_dispatch", "准确派遣率", "accurate dispatch",
            (lambda c: not c.returned) if definitions == 1 else (lambda c: not c.not_ours), lambda c: c.sent,
            version=min(definitions, 2),
        ),
        Indicator(
            "on_time_registering", "按时立案率", "on-time registering", lambda c: bool(c.registered_on_time),
            _due(lambda c: c.registered_on_time),
        ),
        Indicator(
            "on_time_dispatch", "按时派遣率", "on-time dispatch", lambda c: bool(c.dispatched_on_time),
            _due(lambda c: c.dispatched_on_time),
        ),
        Indicator(
            "on_time_check", "按期核实率", "on-time field check", lambda c: bool(c.checked_on_time),
            _due(lambda c: c.checked_on_time),
        ),
        Indicator(
            "on_time_verification", "按期核查率", "on-time verification", lambda c: bool(c.verified_on_time),
            _due(lambda c: c.verified_on_time),
        ),
        Indicator(
            "valid_reports", "有效上报率", "valid reports", lambda c: c.accepted,
            lambda c: c.reported and c.own_report,
        ),
        Indicator(
            "missed_by_others", "漏报率", "missed, found by others", lambda c: not c.own_report,
            lambda c: c.reported and c.accepted, more_is_better=False, ours=True,
        ),
        Indicator(
            "once_and_done", "一次完成率", "once and done", lambda c: not c.reworked and not c.returned,
            lambda c: c.closed, ours=True,
        ),
        Indicator(
            "whistle_answered", "应哨率", "whistles answered", lambda c: c.whistle_answered,
            lambda c: c.whistle_sent,
        ),
        Indicator(
            "whistle_on_site", "30分钟报到率", "on site in 30 minutes", lambda c: c.whistle_on_site,
            lambda c: c.whistle_sent,
        ),
        Indicator(
            "whistle_ended", "销哨率", "whistles ended", lambda c: c.whistle_ended, lambda c: c.whistle_sent
        ),
        Indicator(
            "whistle_rating", "评哨均分", "mean whistle rating", lambda c: c.whistle_rating or 0,
            lambda c: c.whistle_rating is not None, top=TOP_RATING,
        ),
        Indicator(
            "settlement", "调解成功率", "disputes settled", lambda c: c.settled,
            lambda c: c.dispute and c.accepted,
        ),
        Indicator("solved_in_grid", "小事一格解决率", "solved in one grid", lambda c: c.in_grid, lambda c: c.closed),
        Indicator(
            "repeat", "重复诉求率", "repeated within 30 days", lambda c: c.repeat, lambda c: c.closed,
            more_is_better=False, version=2 if definitions > 2 else 1,
        ),
        Indicator("response", "响应率", "residents contacted", lambda c: c.contacted, lambda c: c.called_back),
        Indicator("solution", "解决率", "residents' matters solved", lambda c: c.solved, lambda c: c.called_back),
        Indicator(
            "satisfaction", "满意率", "residents satisfied", lambda c: _HUNDREDTHS[satisfaction(c)],
            lambda c: c.called_back,
        ),
        Indicator(
            "three_rates", "三率综合", "three rates combined",
            lambda c: _HUNDREDTHS[10 * c.contacted + 50 * c.solved + 2 * satisfaction(c) // 5],
            lambda c: c.called_back,
        ),
    )  # fmt: skip
    return {each.name: each for each in every}


def evaluate(indicator: Indicator, cases: Iterable[Case]) -> Rate:
    """Return an indicator over cases of one subject, with every case of both sets.

    A case that was never the subject's leaves a base only where it would count against the subject: an exemption
    must not cost the one it protects.
    """
    credit_of, counts = indicator.numerator, indicator.denominator
    counted = [(c, credit_of(c)) for c in cases if counts(c)]
    if not counted:
        return Rate(indicator, _NOTHING, 0, (), ())
    kept, left_out = _without_strangers(indicator, counted)
    kept.sort(key=_id)
    # Most credits are whole: exact fractions are kept for the few that are not.
    whole, parts = 0, _NOTHING
    credited, exempt = [], []
    for case, credit in kept:
        if credit:
            credited.append(case.id)
            if isinstance(credit, int):
                whole += credit
            else:
                parts += credit
        if case.exempt:
            exempt.append((case.id, case.exempt))
    return Rate(
        indicator,
        parts + whole if parts else Fraction(whole),
        len(kept),
        tuple(credited),
        tuple([case.id for case, _ in kept]),
        tuple(exempt),
        tuple([(case.id, case.exempt) for case, _ in left_out]),
    )


Credited = tuple[Case, Fraction | int]


def _id(each: Credited) -> int:
    return each[0].id


def _without_strangers(
    indicator: Indicator, counted: list[Credited]
) -> tuple[list[Credited], list[Credited]]:
    """Take out, worst first, the cases that were never the subject's and stand below what the others reach."""
    strangers = [each for each in counted if each[0].never_theirs]
    if not strangers:
        return counted, []

    kept = [each for each in counted if not each[0].never_theirs]
    strangers.sort(key=lambda e: (goodness(indicator, e), e[0].id))
    total = sum((goodness(indicator, each) for each in counted), Fraction(0))
    left_out: list[Credited] = []
    for each in strangers:
        good = goodness(indicator, each)
        mean = total / (len(counted) - len(left_out))
        if good == 0 or good < mean:
            left_out.append(each)
            total -= good
        else:
            kept.append(each)
    return kept, left_out


def goodness(indicator: Indicator, each: Credited) -> Fraction:
    """Return how good what a case earns is, from 0 to 1."""
    share = Fraction(each[1], indicator.top)
    return share if indicator.more_is_better else 1 - share


def moved(indicator: Indicator, judged: Case, raw: Case) -> bool:
    """Tell whether an exemption changes what a case counts in an indicator."""
    if indicator.denominator(judged) != indicator.denominator(raw):
        return True
    return indicator.denominator(raw) and indicator.numerator(judged) != indicator.numerator(raw)


def whistle_facts(sent: Sequence[Assignment], on_site: Callable[[Assignment], bool]) -> dict[str, Any]:
    """Return what the whistles of one incident make of its case: each must be answered, and on site in time.

    `on_site` says which are; empty where none reached a team.
    """
    if not sent:
        return {}
    ratings = [part.facts["rating"] for part in sent if "rating" in part.facts]
    return {
        "whistle_sent": True,
        "whistle_answered": all(
            (clock := part.clocks.get("pick_up")) is not None and clock.ended is not None for part in sent
        ),
        "whistle_on_site": all(map(on_site, sent)),
        "whistle_ended": all(part.state == "ended" for part in sent),
        "whistle_rating": min(ratings) if ratings else None,
    }

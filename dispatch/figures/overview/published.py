"""Read what was published for an area elsewhere, and what arithmetic makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dispatch.figures.overview.cohort import Cohort
from dispatch.figures.overview.values import PUBLISHED, Published
from dispatch.rules.measures.assessment import headline

# How what is computed from published figures comes about.
FORMULAS = {
    "per_village": "disputes / villages",
    "months_between": "12 * villages / disputes",
    "settled": "disputes_settled / disputes",
}


def published(cohort: Cohort) -> tuple[Published, ...]:
    """Return the figures published for the area, as published, and what arithmetic makes of them."""
    rows = cohort.cursor.execute(
        "select metric, period, value, unit, source, published from kpi where area_code = %s and metric = any(%s)"
        " order by period desc, metric",
        (cohort.area.code, list(PUBLISHED)),
    ).fetchall()
    values = {(metric, period): Fraction(value) for metric, period, value, *_ in rows}
    found = []
    for metric, period, value, unit, source, published in rows:
        exact = Fraction(value)
        if not published:
            # Kept as a decimal; the exact figure is in those it was computed from.
            exact = _computed(values, period).get(metric) or exact
        found.append(Published(metric, period, exact, unit, source, published, FORMULAS.get(metric, "")))
    order = list(PUBLISHED)
    return tuple(sorted(found, key=lambda p: (p.period, order.index(p.metric))))


def _computed(values: Mapping[tuple[str, str], Fraction], period: str) -> dict[str, Fraction | None]:
    known = [values.get((metric, period)) for metric in ("disputes_settled", "disputes", "villages")]
    if None in known:
        return {}
    return headline(*(int(value) for value in known if value is not None))

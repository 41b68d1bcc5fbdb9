"""Read the areas inside a cohort's own: ranked by what their rates would be with more cases, and what is red now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from dispatch.figures.case_sets import CaseSet, Counted, renamed
from dispatch.figures.overview.cohort import Cohort, Counts
from dispatch.figures.overview.values import AreaName, Place
from dispatch.rules.areas import Level, prefix_of
from dispatch.rules.measures import fairness
from dispatch.rules.measures.cases import MEASURES


def inside(cohort: Cohort) -> dict[str, AreaName]:
    """Return the areas of the ranked level, in the order of their codes."""
    if cohort.ranked is None:
        return {}
    rows = cohort.cursor.execute(
        "select a.code, a.level, a.name, coalesce(a.name_en, ''), p.name, coalesce(p.name_en, ''),"
        " count(*) over (partition by a.name) > 1 from area a join area p on p.code = a.parent"
        " where a.level = %s and a.code like %s order by a.code",
        (int(cohort.ranked), prefix_of(cohort.area.code) + "%"),
    ).fetchall()
    found = {}
    for code, level, name, name_en, above, above_en, twice in rows:
        if twice:
            # Two towns of one name are told apart by what they lie in.
            name, name_en = (
                f"{name}（{above}）",
                f"{name_en} ({above_en})" if name_en and above_en else name_en,
            )
        found[code] = AreaName(code, Level(level), name, name_en)
    return found


def red(
    cohort: Cohort, inside: Mapping[str, AreaName]
) -> tuple[Counted, tuple[tuple[AreaName, Counted], ...]]:
    """Return what is past a limit now, whenever it was reported, and where inside the area it is most."""
    rows = cohort.cursor.execute(
        f"select i.area_code, count(*) from incident i where {MEASURES['red'].sql} and i.area_code like %s group by 1",
        (prefix_of(cohort.area.code) + "%",),
    ).fetchall()
    found: dict[str, int] = defaultdict(int)
    length = max((len(code) for code in inside), default=0)
    for code, count in rows:
        if code[:length] in inside:
            found[code[:length]] += count
    ordered = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return Counted(sum(count for _, count in rows), CaseSet("red", cohort.area.code)), tuple(
        (inside[code], Counted(count, CaseSet("red", code))) for code, count in ordered
    )


def places(cohort: Cohort, inside: Mapping[str, AreaName], whole: Counts) -> tuple[Place, ...]:
    """Rank the areas inside by what their rates would be with more cases; raise for none."""
    if not inside:
        return ()
    cohort.cursor.execute(
        "select area_code, sum(reported)::int, sum(due)::int, sum(on_time)::int, sum(overdue)::int from daily"
        " where area_code = any(%s) and day >= %s and day < %s group by 1",
        (list(inside), cohort.period.first, cohort.period.until),
    )
    names = ("reported", "due", "on_time", "overdue")
    found = {code: dict(zip(names, counts, strict=True)) for code, *counts in cohort.cursor.fetchall()}
    parts = {code: [(c["on_time"], c["due"], 1)] for code, c in found.items() if c["due"]}
    own = whole["on_time"] / whole["due"] if whole.get("due") else 0.0
    places = []
    ranked = fairness.standings(parts, cohort.rules.min_count, cohort.rules.confidence)
    for standing in ranked:
        low, high = standing.low / 100, standing.high / 100
        places.append(
            _place(cohort,
                inside[standing.subject], found[standing.subject],
                (standing.shrunk / 100, low, high), standing.rank, high < own, low > own,
            )
        )  # fmt: skip
    for code in inside.keys() - parts.keys():
        places.append(
            _place(cohort, inside[code], found.get(code, {}), (None, None, None), None, False, False)
        )
    # Ranked first, then those with too few cases, then those without any.
    places.sort(key=lambda p: (p.rank is None, p.shrunk is None, p.rank or 0, p.code))
    return tuple(places)


def _place(cohort: Cohort, area: AreaName, counts: Counts, estimate: tuple[float | None, float | None, float | None],
    rank: int | None, below: bool, above: bool,
) -> Place:  # fmt: skip
    where = CaseSet("reported", area.code, cohort.period.first, cohort.period.until)
    return Place(
        area.code, area.name, area.name_en, cohort.reading("on_time", counts, where),
        Counted(counts.get("reported", 0), where), Counted(counts.get("overdue", 0), renamed(where, "overdue")),
        *estimate, rank, rank is not None and below, rank is not None and above,
    )  # fmt: skip

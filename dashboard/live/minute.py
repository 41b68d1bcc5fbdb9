"""Sum up the tree what walls read once a minute: disposals, who serves, what was late, whistles of late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from dashboard.data import Area, Directory, Whistled
from dispatch.rules.areas import ancestors, parent_of

WHISTLED_ROWS = 3


@dataclass(slots=True)
class Lately:
    """How an area's whistles of late went: sent, answered, on site in time, and the last ones that arrived."""

    sent: int = 0
    answered: int = 0
    in_time: int = 0
    last: list[Whistled] = field(default_factory=list)


@dataclass(slots=True)
class Minute:
    """What is read once a minute: the month's disposals by area and all areas above, who serves, and when."""

    at: datetime
    disposals: dict[str, list[int]] = field(default_factory=dict)
    workers: dict[str, dict[str, int]] = field(default_factory=dict)
    teams: dict[str, list[int]] = field(default_factory=dict)
    cells: dict[str, list[int]] = field(default_factory=dict)
    children: dict[str, list[Area]] = field(default_factory=dict)
    late: dict[str, dict[str, int]] = field(default_factory=dict)
    lately: dict[str, Lately] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        directory: Directory,
        disposals: dict[str, tuple[int, int]],
        at: datetime,
        before: Minute | None = None,
        late: dict[str, dict[str, int]] | None = None,
        whistled: Iterable[Whistled] = (),
    ) -> Minute:
        """Sum people, teams and disposals up the tree, and areas too unless `before` did that for the same ones."""
        done: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        workers: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        teams: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        causes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for code, themes in (late or {}).items():
            for area in ancestors(code):
                for theme, n in themes.items():
                    causes[area][theme] += n
        for code, (good, base) in disposals.items():
            for area in ancestors(code):
                done[area][0] += good
                done[area][1] += base
        for (code, kind), people in directory.workers.items():
            for area in ancestors(code):
                workers[area][kind] += people
        for team in directory.teams.values():
            for area in ancestors(team.area_code):
                teams[area][0] += team.state == "available" and team.load < team.capacity
                teams[area][1] += 1
        if before is not None:
            cells, children = before.cells, before.children
        else:
            cells, children = _grown(directory)
        return cls(
            at, dict(done), _plain(workers), dict(teams), cells, children, _plain(causes), _lately(whistled)
        )


def _lately(whistled: Iterable[Whistled]) -> dict[str, Lately]:
    found: dict[str, Lately] = defaultdict(Lately)
    for whistle in whistled:
        for area in ancestors(whistle.area_code):
            own = found[area]
            own.sent += 1
            own.answered += whistle.answered
            own.in_time += whistle.in_time
            if whistle.arrived_at is not None and len(own.last) < WHISTLED_ROWS:
                own.last.append(whistle)
    return dict(found)


def _grown(directory: Directory) -> tuple[dict[str, list[int]], dict[str, list[Area]]]:
    """Return how many areas of each level lie inside an area, and its children."""
    cells: dict[str, list[int]] = defaultdict(lambda: [0] * 7)
    children: dict[str, list[Area]] = defaultdict(list)
    for each in directory.areas.values():
        above = each.code
        while (up := parent_of(above)) is not None:
            cells[up][each.level] += 1
            above = up
        if each.parent is not None:
            children[each.parent].append(each)
    return dict(cells), dict(children)


def _plain(nested: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {key: dict(value) for key, value in nested.items()}

"""Solve a burst of assignments together: the adapter between the law's problem and scipy's solver."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from dispatch.rules.teams.proposals import Problem


def solve(problem: Problem) -> list[int | None]:
    """Return for each row the column that makes the total least, or None where leaving it costs less.

    Modified Jonker-Volgenant (D. F. Crouse, 2016), as in `scipy.optimize.linear_sum_assignment`. Each team stands
    in the matrix once for every incident it has room for; each row has one more column, its own way out.
    """
    rows = len(problem.costs)
    if rows == 0:
        return []
    costs = np.array(problem.costs, dtype=np.float64).reshape(rows, len(problem.slots))
    usable = np.isfinite(costs.min(axis=0))
    room = np.array([len(slots) for slots in problem.slots], dtype=np.intp) * usable
    teams = np.repeat(np.arange(len(problem.slots)), room)
    added = np.array([price for j, slots in enumerate(problem.slots) if usable[j] for price in slots])
    alone = np.full((rows, rows), np.inf)
    np.fill_diagonal(alone, problem.unplaced)
    wide = np.hstack([costs[:, teams] + added[np.newaxis, :], alone])
    _, columns = linear_sum_assignment(wide)
    return [int(teams[column]) if column < len(teams) else None for column in columns]

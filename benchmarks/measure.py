"""Say what was measured: medians and percentiles, a table for people and one JSON object for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

Figure = float | int


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the values do not exceed; nan for none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def show(title: str, figures: dict[str, Figure], as_json: bool) -> None:
    """Print figures under a title, and with `as_json` also as the last line."""
    print(title)
    for name, value in figures.items():
        print(f"  {name:<20} {value:>14,.3f}" if isinstance(value, float) else f"  {name:<20} {value:>14,}")
    if as_json:
        print(json.dumps({name: round(v, 4) if isinstance(v, float) else v for name, v in figures.items()}))

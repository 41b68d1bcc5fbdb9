"""Draw where it is late, as a map without a boundary."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil, cos, radians

from dashboard.data.leaders import Outline
from dashboard.markup import Markup, joined, markup
from dashboard.widgets.boards import known
from dashboard.wording import amounts
from dashboard.wording.catalogue import Translate, pick
from dispatch.figures.overview import (
    Overview,
)

# Worse is darker on paper; no red, yellow or green in it, which belong to the clocks.
_RAMP = ("#eaeef1", "#c9d6e1", "#9bb4ca", "#6389ac", "#2f5a82")
_MAP = (560, 400)  # px


def late_map(picture: Overview, outline: Outline | None, lang: str, _: Translate) -> Markup:
    """Return the places as a map, darker where less of what was due was disposed of in time; each opens its cases."""
    if outline is None:
        return markup('<p class="m">{t}</p>', t=_("No places lie below this area."))
    west, south, east, north = outline.bounds
    narrow = cos(radians((south + north) / 2))
    wide, tall = _MAP
    scale = min(wide / ((east - west) * narrow or 1.0), tall / (north - south or 1.0))
    tall = ceil((north - south) * scale)
    edges = _quarters([1 - v for p in picture.places if (v := known(p.on_time.value)) is not None and v < 1])
    drawn = []
    for place in picture.places:
        value = known(place.on_time.value)
        late = None if value is None else 1 - value
        # The lightest step is for none late at all; a quarter of the rest each has one of the others.
        step = 0 if not late else 1 + bisect_left(edges, late)
        missed = place.on_time.missed
        base = place.on_time.base.count if place.on_time.base is not None else 0
        path = " ".join(
            "M"
            + "L".join(f"{(x - west) * narrow * scale:.0f} {(north - y) * scale:.0f}" for x, y in ring)
            + "Z"
            for ring in outline.rings.get(place.code, [])
        )
        counts = f"{missed.count if missed else 0:,} / {base:,}"
        words = f"{pick(lang, place.name, place.name_en)} {amounts.rate(late, _)}　{counts}"
        drawn.append(
            markup(
                '<path d="{path}" fill="{fill}" role="button" tabindex="0" data-open="{cases}" aria-label="{label}">'
                "<title>{label}</title></path>",
                path=path, fill="#f8f9fa" if late is None else _RAMP[step],
                cases=(missed if missed is not None and missed.count else place.reported).cases.key,
                label=words,
            )
        )  # fmt: skip
    marks = [
        markup('<span><i style="background:{c}"></i>{t}</span>', c=colour, t=text)
        for colour, text in zip(
            _RAMP,
            ["0%", *(f"≤ {amounts.rate(edge, _)}" for edge in edges)],
            strict=False,
        )
    ]
    return markup(
        '<svg class="gw-map" viewBox="0 0 {wide} {tall}" role="group">{drawn}</svg>'
        '<div class="gw-legend">{marks}</div>',
        wide=wide, tall=tall, drawn=joined(drawn), marks=joined(marks),
    )  # fmt: skip


def _quarters(values: Sequence[float]) -> list[float]:
    """Return the upper edges of the quarters of some values, in order; fewer where quarters are alike."""
    ordered = sorted(values)
    return sorted({ordered[-(-n * len(ordered) // 4) - 1] for n in range(1, 5)}) if ordered else []

"""Lay the leaders' picture out in tables: the columns of each kind, and its rows in one language."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from dispatch.figures.briefing.words import (
    UNITS,
    WEEKDAYS,
    Kind,
    Value,
    change,
    place_name,
    points,
    rate,
    say,
    show,
)
from dispatch.figures.overview import Overview, Reading
from dispatch.rules.measures.assessment import shown, signed


@dataclass(frozen=True, slots=True)
class Table:
    """Hold one table of a briefing: titles and kinds of its columns, and rows of exact values."""

    name: str
    title: str
    columns: tuple[tuple[str, Kind], ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""

    def texts(self, lang: str) -> list[list[str]]:
        """Return the rows as they are shown."""
        return [
            [
                show(_kind(kind, value), value, lang)
                for (_, kind), value in zip(self.columns, row, strict=True)
            ]
            for row in self.rows
        ]


def _kind(kind: Kind, value: Value) -> Kind:
    return "text" if isinstance(value, str) else kind


def tables(picture: Overview, lang: str) -> tuple[Table, ...]:
    """Return every table of a briefing, in the order of the page."""
    return (
        _figures(picture, lang),
        _themes(picture, lang),
        _ranking(picture, lang),
        _trend(picture, lang),
        _months(picture, lang),
        _funnel(picture, lang),
        _stages(picture, lang),
        _heat(picture, lang),
        _red(picture, lang),
        _published(picture, lang),
    )


def _titles(lang: str, *columns: tuple[str, Kind]) -> tuple[tuple[str, Kind], ...]:
    return tuple((say(name, lang), kind) for name, kind in columns)


def _base(reading: Reading) -> int | None:
    return reading.base.count if reading.base is not None else None


def _figures(picture: Overview, lang: str) -> Table:
    rows: list[tuple[Value, ...]] = []
    for each in picture.figures:
        now = each.now
        if not each.is_rate:
            cells: tuple[Value, ...] = (
                show("count", now.credited.count if now.value is not None else None, lang), now.credited.count, "",
                change(each.change, lang), change(each.change_year, lang),
            )  # fmt: skip
        else:
            cells = (
                rate(now.value, lang), now.credited.count, _base(now),
                points(each.change, lang), points(each.change_year, lang),
            )  # fmt: skip
        rows.append((each.name_in(lang), *cells))
    return Table(
        "figures",
        say("Figures", lang),
        _titles(
            lang, ("figure", "text"), ("value", "text"), ("cases", "count"), ("of", "count"),
            ("vs before", "text"), ("vs last year", "text"),
        ),
        tuple(rows),
    )  # fmt: skip


def _themes(picture: Overview, lang: str) -> Table:
    rows: list[tuple[Value, ...]] = [
        (
            line.name if lang == "zh" else line.name_en,
            line.reported.now.credited.count, line.reported.change, line.reported.change_year,
            line.on_time.now.credited.count, _base(line.on_time.now), line.on_time.now.value, line.overdue.count,
        )
        for line in picture.themes
    ]  # fmt: skip
    return Table(
        "themes",
        say("Ten areas of work", lang),
        _titles(
            lang, ("area of work", "text"), ("reported", "count"), ("vs before", "change"),
            ("vs last year", "change"), ("on time", "count"), ("due", "count"), ("rate", "rate"),
            ("overdue", "count"),
        ),
        tuple(rows),
    )  # fmt: skip


def _ranking(picture: Overview, lang: str) -> Table:
    rows: list[tuple[Value, ...]] = [
        (
            place.rank if place.rank is not None else say("listed, not ranked", lang), place_name(place, lang),
            place.reported.count, place.on_time.credited.count, _base(place.on_time), place.on_time.value,
            place.shrunk, place.low, place.high, place.overdue.count,
        )
        for place in picture.places
    ]  # fmt: skip
    return Table(
        "ranking",
        say("Ranking", lang),
        _titles(
            lang, ("rank", "count"), ("area", "text"), ("reported", "count"), ("on time", "count"), ("due", "count"),
            ("rate", "rate"), ("estimate", "rate"), ("from", "rate"), ("to", "rate"), ("overdue", "count"),
        ),
        tuple(rows),
    )  # fmt: skip


def _trend(picture: Overview, lang: str) -> Table:
    rows: list[tuple[Value, ...]] = [
        (
            f"{point.day}", point.reported.count, point.on_time.credited.count, _base(point.on_time),
            point.on_time.value, point.year_ago.value,
            point.usual[0] if point.usual else None, point.usual[1] if point.usual else None,
        )
        for point in picture.trend
    ]  # fmt: skip
    columns = _titles(
        lang, ("day", "text"), ("reported", "count"), ("on time", "count"), ("due", "count"), ("rate", "rate"),
        ("last year", "rate"), ("usual P10", "rate"), ("usual P90", "rate"),
    )  # fmt: skip
    return Table("trend", say("Course by day", lang), columns, tuple(rows))


def _months(picture: Overview, lang: str) -> Table:
    rows: list[tuple[Value, ...]] = [
        (
            f"{point.month:%Y-%m}", point.reported.count, point.on_time.credited.count, _base(point.on_time),
            point.on_time.value,
        )
        for point in picture.months
    ]  # fmt: skip
    return Table(
        "months",
        say("Course by month", lang),
        _titles(
            lang,
            ("month", "text"),
            ("reported", "count"),
            ("on time", "count"),
            ("due", "count"),
            ("rate", "rate"),
        ),
        tuple(rows),
    )


def _funnel(picture: Overview, lang: str) -> Table:
    whole = picture.funnel[0].reached.count
    rows: list[tuple[Value, ...]] = [
        (
            step.name_in(lang), step.reached.count,
            Fraction(step.reached.count, whole) if whole else None, step.standing.count,
        )
        for step in picture.funnel
    ]  # fmt: skip
    rows.append((say("not accepted", lang), picture.rejected.count, None, picture.rejected.count))
    rows.append((say("merged", lang), picture.merged.count, None, picture.merged.count))
    columns = _titles(
        lang,
        ("stage", "text"),
        ("came this far", "count"),
        ("of those reported", "rate"),
        ("stands here", "count"),
    )
    return Table("funnel", say("The chain", lang), columns, tuple(rows))


def _stages(picture: Overview, lang: str) -> Table:
    rows: list[tuple[Value, ...]] = [
        (
            time.name_in(lang),
            time.n,
            *(value / 60 for value in (time.p50, time.p90, time.working_p50, time.working_p90)),
        )
        for time in picture.stages
    ]
    return Table(
        "stages",
        say("Times of the stages", lang),
        _titles(
            lang, ("stage", "text"), ("n", "count"), ("P50", "minutes"), ("P90", "minutes"),
            ("P50 working", "minutes"), ("P90 working", "minutes"),
        ),
        tuple(rows),
    )  # fmt: skip


def _heat(picture: Overview, lang: str) -> Table:
    hours: tuple[tuple[str, Kind], ...] = tuple((f"{hour:02d}", "count") for hour in range(24))
    rows: list[tuple[Value, ...]] = [
        (say(WEEKDAYS[i], lang), *(cell.count for cell in row)) for i, row in enumerate(picture.heat)
    ]
    return Table(
        "heat",
        say("Reports by weekday and hour", lang),
        (*_titles(lang, ("weekday", "text")), *hours),
        tuple(rows),
    )


def _red(picture: Overview, lang: str) -> Table:
    rows: list[tuple[Value, ...]] = [
        (area.name if lang == "zh" or not area.name_en else area.name_en, counted.count)
        for area, counted in picture.overdue_places
    ]
    rows.append((say("whole", lang), picture.overdue_now.count))
    return Table(
        "red",
        say("Past the limit now", lang),
        _titles(lang, ("area", "text"), ("cases", "count")),
        tuple(rows),
    )


def _published(picture: Overview, lang: str) -> Table:
    rows: list[tuple[Value, ...]] = []
    for each in picture.published:
        # Shares and changes in per cent are shown as such; the rest with its own unit.
        value = (
            shown(each.value, lang).replace(" ", "") if each.metric == "settled"
            else f"{signed(each.value, 2)}%" if each.unit == "%"
            else f"{each.value.numerator:,}" if each.value.denominator == 1
            else shown(each.value, lang, 2, percent=False)
        )  # fmt: skip
        kind = say("published" if each.published else "computed", lang)
        unit = (
            "" if each.unit in ("1", "%") else each.unit if lang == "zh" else UNITS.get(each.unit, each.unit)
        )
        rows.append((each.name_in(lang), each.period, value, unit, kind, each.source_in(lang)))
    return Table(
        "published",
        say("Published figures", lang),
        _titles(
            lang, ("figure", "text"), ("year", "text"), ("value", "text"), ("unit", "text"), ("kind", "text"),
            ("source", "text"),
        ),
        tuple(rows),
    )  # fmt: skip

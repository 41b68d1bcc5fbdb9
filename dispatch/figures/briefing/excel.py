"""Write a briefing as an Excel file: one sheet a table, numbers as numbers, charts that Excel draws itself."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import xlsxwriter

from dispatch.figures.briefing.tables import Table, tables
from dispatch.figures.briefing.words import Kind, Value, notes, say, sentence, show, title
from dispatch.figures.overview import Overview

_FORMATS: dict[Kind, str] = {
    "count": "#,##0",
    "rate": "0.0%",
    "change": "+0.0%;-0.0%;0.0%",
    "points": "+0.0;-0.0;0.0",
    "value": "#,##0.00",
    "minutes": "#,##0.0",
}
# Charted columns keep empty cells for no data: a chart draws a word as zero.
_CHARTED = frozenset({"trend", "months"})
_BLUE, _GREY, _PALE = "#1d4f91", "#8a94a0", "#c9d6e6"


def excel(picture: Overview, zone: str, lang: str) -> bytes:
    """Return the briefing as an xlsx file; text is never taken for a formula."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(
        buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties({"title": title(picture, lang)})
    made = _Book(book, lang)
    made.summary(title(picture, lang), sentence(picture, lang), notes(picture, zone, lang))
    for table in tables(picture, lang):
        made.sheet(table)
    book.close()
    return buffer.getvalue()


class _Book:
    """Write sheets of one workbook in one language."""

    def __init__(self, book: xlsxwriter.Workbook, lang: str) -> None:
        self.book, self.lang = book, lang
        self.head = book.add_format({"bold": True, "bg_color": "#eef2f7", "bottom": 1, "text_wrap": True})
        self.large = book.add_format({"bold": True, "font_size": 16})
        self.wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        self.missing = book.add_format({"font_color": _GREY, "align": "right"})
        self.formats = {
            kind: book.add_format({"num_format": pattern, "align": "right"})
            for kind, pattern in _FORMATS.items()
        }

    def summary(self, name: str, text: str, known: tuple[str, ...]) -> None:
        """Write the first sheet: title, sentence, and what must be known beside the numbers."""
        sheet = self.book.add_worksheet(say("Summary", self.lang))
        sheet.set_column(0, 0, 100)
        sheet.write_string(0, 0, name, self.large)
        sheet.write_string(1, 0, text, self.wrapped)
        for i, note in enumerate(known):
            sheet.write_string(3 + i, 0, note, self.wrapped)

    def sheet(self, table: Table) -> None:
        """Write one table on a sheet of its own, with its chart where it has one."""
        sheet = self.book.add_worksheet(table.title[:31])
        for column, (name, kind) in enumerate(table.columns):
            # A duration is a number here, so its unit stands above it.
            unit = (" （分）" if self.lang == "zh" else " (min)") if kind == "minutes" else ""
            sheet.write_string(0, column, name + unit, self.head)
            sheet.set_column(column, column, 18 if kind == "text" else 6 if table.name == "heat" else 12)
        for line, row in enumerate(table.rows, 1):
            for column, ((_, kind), value) in enumerate(zip(table.columns, row, strict=True)):
                self._cell(sheet, line, column, kind, value, table.name in _CHARTED)
        sheet.freeze_panes(1, 1)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        if not table.rows:
            sheet.write_string(1, 0, show("text", None, self.lang), self.missing)
            return
        sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)
        self._chart(sheet, table)

    def _cell(self, sheet: Any, line: int, column: int, kind: Kind, value: Value, charted: bool) -> None:
        if value is None:
            if not charted:
                sheet.write_string(line, column, show(kind, None, self.lang), self.missing)
        elif isinstance(value, str):
            sheet.write_string(line, column, value)
        else:
            number = float(value) if isinstance(value, Fraction) else value
            sheet.write_number(line, column, number, self.formats[kind])

    def _chart(self, sheet: Any, table: Table) -> None:
        last, name = len(table.rows), table.title[:31]
        if table.name == "heat":
            sheet.conditional_format(
                1, 1, last, 24, {"type": "2_color_scale", "min_color": "#ffffff", "max_color": _BLUE}
            )
            return
        # Table -> kind of chart, and columns drawn with their colours.
        drawn = {
            "trend": ("line", ((4, _BLUE), (5, _GREY), (6, _PALE), (7, _PALE))),
            "months": ("line", ((4, _BLUE),)),
            "themes": ("bar", ((1, _BLUE),)),
            "ranking": ("bar", ((6, _BLUE),)),
            "funnel": ("bar", ((1, _BLUE),)),
        }.get(table.name)
        if drawn is None:
            return
        labels = 1 if table.name == "ranking" else 0
        chart = self.book.add_chart({"type": drawn[0]})
        for column, colour in drawn[1]:
            drawing = {"color": colour, "width": 2} if drawn[0] == "line" else {"none": True}
            chart.add_series(
                {
                    "name": [name, 0, column],
                    "categories": [name, 1, labels, last, labels],
                    "values": [name, 1, column, last, column],
                    "line": drawing,
                    "fill": {"color": colour},
                }
            )
        chart.set_title({"name": table.title, "overlay": False})
        if drawn[0] == "bar":
            chart.set_legend({"none": True})
            chart.set_y_axis({"reverse": True})
            chart.set_x_axis({"min": 0})
        chart.set_size({"width": 720, "height": max(320, 18 * last) if drawn[0] == "bar" else 360})
        sheet.insert_chart(0, len(table.columns) + 1, chart)

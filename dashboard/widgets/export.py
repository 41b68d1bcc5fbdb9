"""Turns rows into an Excel file behind one button: built when it is pressed, its cells never formulas."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st
import xlsxwriter

from dashboard.wording.catalogue import chosen, translator
from dashboard.wording.names import zone

ROWS_LIMIT = 50_000
CELL_LIMIT = 32_767  # characters; Excel takes no more
WIDEST = 60  # characters
MIME = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# What Excel reads as the beginning of a formula, also after a file is saved as text and opened again.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
# Characters that XML cannot carry.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

Rows = Iterable[Sequence[Any] | Mapping[str, Any]]


def download(
    label: str,
    rows: Rows | Callable[[], Rows],
    columns: Sequence[str],
    name: str,
    *,
    key: str | None = None,
    notes: Sequence[str] = (),
    **button: Any,
) -> bool:
    """Show a button that saves rows as `name`.xlsx; return whether it was pressed.

    Rows are in the order of `columns`, or mappings by their names; a function is called only when the button is
    pressed, so a page pays nothing for an export that nobody wants. `notes` are lines under the table, such as as of
    when and by which rules. Further arguments go to `st.download_button`.
    """

    _ = translator(chosen(st.query_params.get("lang")))
    short = _("Only the first {rows} rows are here: choose a smaller area or a shorter time for the rest.")

    def built() -> bytes:
        return workbook(
            rows() if callable(rows) else rows,
            columns,
            name,
            zone(),
            notes,
            short.format(rows=f"{ROWS_LIMIT:,}"),
        )

    return st.download_button(
        label, built, f"{_file_name(name)}.xlsx", MIME, key=key, on_click="ignore", **button
    )


def workbook(
    rows: Rows, columns: Sequence[str], title: str, here: ZoneInfo, notes: Sequence[str] = (), short: str = ""
) -> bytes:
    """Return an Excel file of one sheet: a head that stays in sight, at most `ROWS_LIMIT` rows, then the notes.

    Where there were more rows, `short` says so, first of all in the row below the last one.

    Text that would be a formula is written as text behind an apostrophe; times become those of the zone `here`, without
    it, since Excel knows none; fractions become decimals.
    """
    file = io.BytesIO()
    book = xlsxwriter.Workbook(
        file,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    time = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    muted = book.add_format({"font_color": "#5c6a76"})
    sheet = book.add_worksheet(_sheet_name(title))
    sheet.freeze_panes(1, 0)
    widths = [_width(name) for name in columns]
    for n, name in enumerate(columns):
        sheet.write_string(0, n, escaped(name), head)
    at, cut = 0, False
    for row in rows:
        if at >= ROWS_LIMIT:
            cut = True
            break
        at += 1
        cells = [row.get(name) for name in columns] if isinstance(row, Mapping) else list(row)
        for n, value in enumerate(cells):
            match value:
                case None:
                    continue
                case bool():
                    sheet.write_boolean(at, n, value)
                case int() | float() | Fraction():
                    sheet.write_number(at, n, float(value))
                case datetime():
                    local = value.astimezone(here).replace(tzinfo=None) if value.tzinfo else value
                    sheet.write_datetime(at, n, local, time)
                case date():
                    sheet.write_datetime(at, n, datetime.combine(value, datetime.min.time()), day)
                case _:
                    value = escaped(str(value))
                    sheet.write_string(at, n, value)
            if n < len(widths):
                widths[n] = max(widths[n], 17 if isinstance(value, datetime) else _width(str(value)))
    for n, width in enumerate(widths):
        sheet.set_column(n, n, min(width + 2, WIDEST))
    lines = [short or f"… {ROWS_LIMIT}", *notes] if cut else list(notes)
    for n, note in enumerate(lines):
        sheet.write_string(at + 2 + n, 0, escaped(note), muted)
    book.close()
    return file.getvalue()


def escaped(text: str) -> str:
    """Return a text that no spreadsheet reads as a formula, without what a file cannot hold."""
    text = _UNWRITABLE.sub("", text)
    return f"'{text}"[:CELL_LIMIT] if text.startswith(_FORMULA) else text[:CELL_LIMIT]


def _width(text: str) -> int:
    """Return how wide a text is, Han characters counting twice."""
    first = text.partition("\n")[0]
    return len(first) + sum(ord(c) > 0x2E7F for c in first)


def _sheet_name(title: str) -> str:
    return re.sub(r"[\[\]:*?/\\]", " ", title).strip("' ")[:31] or "1"


def _file_name(name: str) -> str:
    return re.sub(r"[\x00-\x1f<>:\"/\\|?*]+", "_", name).strip(". ")[:120] or "export"

"""Write a briefing as a Word file: the sentence on top, then every table, below the PDF's chart where it has one."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import docx
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Mm, Pt

from dispatch.figures.briefing.charts import Sheet
from dispatch.figures.briefing.tables import Table, tables
from dispatch.figures.briefing.words import notes, say, sentence, show, title
from dispatch.figures.overview import Overview

# Word files name their fonts: the one for Han that Windows and WPS bring, whoever opens it.
HAN, LATIN = "Microsoft YaHei", "Calibri"
_WIDE = frozenset({"heat"})  # set smaller, to fit the page
PAGE_MM = 174.0  # between the margins
TEXT_SHARE = 1.9  # how much wider a column of text is than one of numbers
ENLARGED = 1.5  # the PDF's charts share a page; here each has its own line
# Table -> how wide and tall its chart is, in millimetres, and what draws it.
CHARTS: dict[str, tuple[float, float, Callable[[Sheet], None]]] = {
    "ranking": (77.0, 54.0, lambda sheet: sheet.ranking(2, 4, 73)),
    "trend": (112.0, 54.0, lambda sheet: sheet.trend(2, 4, 108, 52)),
    "funnel": (77.0, 56.0, lambda sheet: sheet.funnel(2, 4, 73)),
    "heat": (190.0, 40.0, lambda sheet: sheet.heat(2, 4)),
}
CHART_NAMES = {
    "ranking": "Ranking", "trend": "Course by day", "funnel": "The chain", "heat": "Reports by weekday and hour",
}  # fmt: skip


def word(picture: Overview, zone: str, lang: str) -> bytes:
    """Return the briefing as a docx file."""
    document = docx.Document()
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21.0), Cm(29.7)
    section.left_margin = section.right_margin = Cm(1.8)
    section.top_margin = section.bottom_margin = Cm(1.8)
    for name in ("Normal", "Title", "Heading 1"):
        _font(document.styles[name])
    document.styles["Normal"].font.size = Pt(10)
    document.core_properties.title = title(picture, lang)
    document.core_properties.author = "Gridwhistle 网格哨"
    document.add_heading(title(picture, lang), 0)
    document.add_paragraph(sentence(picture, lang)).runs[0].bold = True
    for note in notes(picture, zone, lang):
        document.add_paragraph(note).runs[0].font.size = Pt(8)
    for table in tables(picture, lang):
        document.add_heading(table.title, 1)
        if table.rows and table.name in CHARTS:
            _draw(document, picture, table.name, lang)
        _write(document, table, lang)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _draw(document: Any, picture: Overview, name: str, lang: str) -> None:
    wide, tall, draw = CHARTS[name]
    sheet = Sheet(picture, lang, wide, tall)
    draw(sheet)
    document.add_picture(sheet.png(), width=Mm(min(wide * ENLARGED, PAGE_MM)))
    # Who cannot see the chart is told what it shows; its numbers stand in the table below.
    shape = document.inline_shapes[-1]._inline.docPr
    shape.set("descr", f"{title(picture, lang)} · {say(CHART_NAMES[name], lang)}")


def _font(style: Any) -> None:
    style.font.name = LATIN
    properties = style.element.get_or_add_rPr()
    fonts = properties.get_or_add_rFonts()
    # A style of the theme's would go before the named font.
    for attribute in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{attribute}"), None)
    fonts.set(qn("w:ascii"), LATIN)
    fonts.set(qn("w:hAnsi"), LATIN)
    fonts.set(qn("w:eastAsia"), HAN)


def _write(document: Any, table: Table, lang: str) -> None:
    if not table.rows:
        document.add_paragraph(show("text", None, lang))
        return
    size = Pt(6) if table.name in _WIDE else Pt(8)
    texts = [[name for name, _ in table.columns], *table.texts(lang)]
    made = document.add_table(rows=len(texts), cols=len(table.columns))
    made.style = "Light Grid Accent 1"
    # Names and days are not broken over lines while numbers have room to spare.
    made.autofit = False
    shares = [TEXT_SHARE if kind == "text" else 1.0 for _, kind in table.columns]
    widths = [Mm(PAGE_MM * share / sum(shares)) for share in shares]
    for column, wide in zip(made.columns, widths, strict=True):
        column.width = wide
    # Reading cells through the table counts them anew each time: rows are read once.
    for line, row in zip(texts, made.rows, strict=True):
        for (_, kind), text, cell, wide in zip(table.columns, line, row.cells, widths, strict=True):
            cell.width = wide
            paragraph = cell.paragraphs[0]
            run = paragraph.add_run(text)
            run.font.size = size
            if kind != "text":
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    made.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))

"""Write a briefing as a Word file: the sentence on top, then every table."""

from __future__ import annotations

import io
from typing import Any

import docx
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt

from dispatch.briefing.words import Table, notes, sentence, show, tables, title
from dispatch.overview import Overview

# Word files name their fonts: the one for Han that Windows and WPS bring, whoever opens it.
HAN, LATIN = "Microsoft YaHei", "Calibri"
_WIDE = frozenset({"heat"})  # set smaller, to fit the page


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
        _write(document, table, lang)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


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
    # Reading cells through the table counts them anew each time: rows are read once.
    for line, row in zip(texts, made.rows, strict=True):
        for (_, kind), text, cell in zip(table.columns, line, row.cells, strict=True):
            paragraph = cell.paragraphs[0]
            run = paragraph.add_run(text)
            run.font.size = size
            if kind != "text":
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    made.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))

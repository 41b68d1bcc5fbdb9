"""Write a briefing as one page of PDF with charts, its Chinese font inside the file."""

from __future__ import annotations

import logging
import re

import fpdf

from dispatch.figures.briefing.charts import (
    BLUE,
    FONT_FILE,
    INK,
    LINE,
    SIMPLIFIED,
    SOFT,
    Charts,
    Colour,
    Dots,
)
from dispatch.figures.briefing.words import notes, say, sentence, show, title
from dispatch.figures.overview import Figure, Overview

FONT = "noto"
# It tells every table of the font that it cuts down: hundreds of lines for each page.
logging.getLogger("fontTools").setLevel(logging.WARNING)
# What stands on one line together: a word or number or one character, with the marks that open and close it.
_PIECE = re.compile(r"[（“]*(?:[^\s\u2e80-\uffef]+|.)[，。；、：）”]*", re.DOTALL)
LEFT, TOP, WIDTH = 12.0, 11.0, 186.0  # millimetres on A4


def pdf(picture: Overview, zone: str, lang: str) -> bytes:
    """Return the briefing as a PDF of one A4 page; the glyphs it uses are embedded in it."""
    return _Page(picture, zone, lang).draw()


class _Page(Charts):
    """Draw one page from top to bottom."""

    def __init__(self, picture: Overview, zone: str, lang: str) -> None:
        super().__init__(picture, lang)
        self.zone = zone
        self.page = fpdf.FPDF(format="A4")
        self.page.set_auto_page_break(False)
        self.page.c_margin = 0.0
        self.page.add_font(FONT, "", FONT_FILE, collection_font_number=SIMPLIFIED)
        self.page.set_title(title(picture, lang))
        self.page.set_creator("Gridwhistle 网格哨")
        self.page.set_lang("zh-CN" if lang == "zh" else "en")
        self.page.add_page()

    def draw(self) -> bytes:
        """Return the finished page."""
        y = self._head()
        y = self._cards(y) + 5
        self.trend(LEFT, y, 108, 52)
        self.ranking(LEFT + 113, y, 73)
        y += 59
        self._themes(LEFT, y, 108)
        self.funnel(LEFT + 113, y, 73)
        y += 61
        self._stages(LEFT, y, 108)
        self._red(LEFT + 113, y, 73)
        self._published(LEFT, y + 42)
        self.heat(LEFT, y + 64)
        self._text(LEFT, 290, "Gridwhistle 网格哨", 6, SOFT)
        return bytes(self.page.output())

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: Colour = INK,
        right: float | None = None,
        fit: float | None = None,
    ) -> None:
        """Write text with its baseline at y; `right` ends it at that x, `fit` makes it smaller to be so wide."""
        self.page.set_font(FONT, size=size)
        if fit is not None:
            while size > 4 and self.page.get_string_width(text) > fit:
                size -= 0.25
                self.page.set_font(FONT, size=size)
        self.page.set_text_color(*colour)
        if right is not None:
            x = right - self.page.get_string_width(text)
        self.page.text(x, y, text)

    def _line(self, x1: float, y1: float, x2: float, y2: float, colour: Colour, width: float = 0.2) -> None:
        self.page.set_draw_color(*colour)
        self.page.set_line_width(width)
        self.page.line(x1, y1, x2, y2)

    def _box(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        self.page.set_fill_color(*colour)
        self.page.rect(x, y, w, h, style="F")

    def _course(self, dots: Dots, colour: Colour, width: float) -> None:
        self.page.set_draw_color(*colour)
        self.page.set_line_width(width)
        self.page.polyline(dots)

    def _area(self, dots: Dots, colour: Colour) -> None:
        self.page.set_fill_color(*colour)
        self.page.polygon(dots, style="F")

    def _head(self) -> float:
        picture, lang = self.picture, self.lang
        self._text(LEFT, TOP + 6, title(picture, lang), 16, fit=WIDTH)
        self.page.set_font(FONT, size=9.5)
        self.page.set_text_color(*INK)
        self.page.set_xy(LEFT, TOP + 9)
        self.page.multi_cell(WIDTH, 5, self._folded(sentence(picture, lang)), align="L", padding=0)
        self.page.set_font(FONT, size=6.5)
        self.page.set_text_color(*SOFT)
        self.page.set_x(LEFT)
        joined = ("；" if lang == "zh" else "; ").join(notes(picture, self.zone, lang))
        self.page.multi_cell(WIDTH, 3.4, self._folded(joined), align="L", padding=0)
        return float(self.page.get_y()) + 2

    def _folded(self, text: str) -> str:
        """Return a text broken into lines of the page's width: between Han characters, never inside a number."""
        lines = [""]
        for piece in _PIECE.findall(text):
            if self.page.get_string_width(lines[-1] + piece.rstrip()) > WIDTH:
                lines.append("")
            lines[-1] += piece if lines[-1] else piece.lstrip()
        return "\n".join(line.rstrip() for line in lines)

    def _cards(self, y: float) -> float:
        wide = WIDTH / 6
        for i, (figure, row) in enumerate(
            zip(self.picture.figures, self.tables["figures"].rows, strict=True)
        ):
            x = LEFT + i * wide
            self._line(x, y, x + wide - 2, y, BLUE, 0.6)
            name, value, credited, base, before, year_ago = row
            self._text(x, y + 4.5, str(name), 7, SOFT, fit=wide - 14)
            self._text(x, y + 11.5, str(value), 14, fit=wide - 3)
            counts = f"{credited:,} / {base:,}" if figure.is_rate else ""
            self._text(x, y + 15.5, counts, 6.5, SOFT)
            words = [say(w, self.lang) for w in ("vs before", "vs last year")]
            self._text(x, y + 19, f"{words[0]} {before}", 6, SOFT, fit=wide - 2)
            self._text(x, y + 22, f"{words[1]} {year_ago}", 6, SOFT, fit=wide - 2)
            self._spark(figure, x + wide - 13, y + 2, 10, 4)
        return y + 23

    def _spark(self, figure: Figure, x: float, y: float, w: float, h: float) -> None:
        values = [float(v) for v in figure.course if v is not None]
        if len(values) < 3:
            return
        low, high = min(values), max(values)
        step, span = w / (len(values) - 1), (high - low) or 1.0
        dots = [(x + i * step, y + h - (v - low) / span * h) for i, v in enumerate(values)]
        self._course(dots, BLUE, 0.25)

    def _themes(self, x: float, y: float, w: float) -> None:
        table = self.tables["themes"]
        self._text(x, y, table.title, 8.5)
        edges = [x + 40, x + 54, x + 67, x + 76, x + 85, x + 97, x + w]
        self._rows(x, y + 4.5, edges, [name for name, _ in table.columns], table.texts(self.lang), 26)

    def _rows(
        self, x: float, y: float, edges: list[float], head: list[str], rows: list[list[str]], first: float
    ) -> None:
        """Write a table whose first column begins at x and whose others end at the edges."""
        starts = [x + first, *edges[:-1]]
        self._text(x, y, head[0], 6, SOFT, fit=first)
        for start, edge, name in zip(starts, edges, head[1:], strict=True):
            self._text(0, y, name, 6, SOFT, right=edge, fit=edge - start - 1)
        self._line(x, y + 1.2, edges[-1], y + 1.2, LINE)
        for i, row in enumerate(rows):
            line = y + 5 + 4.4 * i
            self._text(x, line, row[0], 7, fit=first)
            for start, edge, text in zip(starts, edges, row[1:], strict=True):
                self._text(0, line, text, 6.5, right=edge, fit=edge - start - 0.5)

    def _stages(self, x: float, y: float, w: float) -> None:
        table = self.tables["stages"]
        self._text(x, y, table.title, 8.5)
        if not table.rows:
            self._text(x, y + 6, show("rate", None, self.lang), 8, SOFT)
            return
        edges = [x + 34, x + 52, x + 70, x + 89, x + w]
        self._rows(x, y + 4.5, edges, [name for name, _ in table.columns], table.texts(self.lang), 18)

    def _red(self, x: float, y: float, w: float) -> None:
        table = self.tables["red"]
        self._text(x, y, f"{table.title} {self.picture.overdue_now.count:,}", 8.5)
        for i, (area, counted) in enumerate(self.picture.overdue_places[:7]):
            line = y + 5.5 + 4.4 * i
            self._text(
                x, line, area.name if self.lang == "zh" or not area.name_en else area.name_en, 6.5, fit=50
            )
            self._text(0, line, f"{counted.count:,}", 6.5, right=x + w)

    def _published(self, x: float, y: float) -> None:
        table = self.tables["published"]
        if not table.rows:
            return
        self._text(x, y, table.title, 8.5)
        line, column = y + 4.5, 0
        sources: list[str] = []
        for name, year, value, unit, kind, source in table.rows:
            text = f"{name} {value} {unit}".strip() + f"（{kind} {year}）"
            self._text(x + 62 * column, line, text, 6.5, fit=60)
            if str(source) not in sources:
                sources.append(str(source))
            column += 1
            if column == 3:
                column, line = 0, line + 4
        self._text(x, line + (4 if column else 0), " · ".join(sources), 5.5, SOFT, fit=WIDTH)

"""Write a briefing as one page of PDF with charts, its Chinese font inside the file."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import fpdf
from noto_cjk_sans_otc import FONT_PATH

from dispatch.briefing.words import notes, place_name, rate, say, sentence, shortest, show, tables, title
from dispatch.overview import Figure, Overview
from dispatch.rules.assessment import shown

FONT = "noto"
SIMPLIFIED = 2  # which font of the collection has the forms of Chinese as written on the mainland
# It tells every table of the font that it cuts down: hundreds of lines for each page.
logging.getLogger("fontTools").setLevel(logging.WARNING)
LEFT, TOP, WIDTH = 12.0, 11.0, 186.0  # millimetres on A4
RANKED_EACH_END = 5
INK, SOFT, BLUE, RED, PALE, LINE = (
    (31, 41, 55), (107, 114, 128), (29, 79, 145), (190, 36, 32), (214, 224, 236), (209, 213, 219),
)  # fmt: skip


def pdf(picture: Overview, zone: str, lang: str) -> bytes:
    """Return the briefing as a PDF of one A4 page; the glyphs it uses are embedded in it."""
    return _Page(picture, zone, lang).draw()


class _Page:
    """Draw one page from top to bottom."""

    def __init__(self, picture: Overview, zone: str, lang: str) -> None:
        self.picture, self.zone, self.lang = picture, zone, lang
        self.page = fpdf.FPDF(format="A4")
        self.page.set_auto_page_break(False)
        self.page.c_margin = 0.0
        self.page.add_font(FONT, "", Path(str(FONT_PATH)), collection_font_number=SIMPLIFIED)
        self.page.set_title(title(picture, lang))
        self.page.set_creator("Gridwhistle 网格哨")
        self.page.set_lang("zh-CN" if lang == "zh" else "en")
        self.page.add_page()
        self.tables = {table.name: table for table in tables(picture, lang)}

    def draw(self) -> bytes:
        """Return the finished page."""
        y = self._head()
        y = self._cards(y) + 5
        self._trend(LEFT, y, 108, 52)
        self._ranking(LEFT + 113, y, 73)
        y += 59
        self._themes(LEFT, y, 108)
        self._funnel(LEFT + 113, y, 73)
        y += 61
        self._stages(LEFT, y, 108)
        self._red(LEFT + 113, y, 73)
        self._published(LEFT, y + 42)
        self._heat(LEFT, y + 64)
        self._text(LEFT, 290, "Gridwhistle 网格哨", 6, SOFT)
        return bytes(self.page.output())

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: tuple[int, int, int] = INK,
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

    def _line(
        self, x1: float, y1: float, x2: float, y2: float, colour: tuple[int, int, int], width: float = 0.2
    ) -> None:
        self.page.set_draw_color(*colour)
        self.page.set_line_width(width)
        self.page.line(x1, y1, x2, y2)

    def _box(self, x: float, y: float, w: float, h: float, colour: tuple[int, int, int]) -> None:
        self.page.set_fill_color(*colour)
        self.page.rect(x, y, w, h, style="F")

    def _head(self) -> float:
        picture, lang = self.picture, self.lang
        self._text(LEFT, TOP + 6, title(picture, lang), 16, fit=WIDTH)
        self.page.set_font(FONT, size=9.5)
        self.page.set_text_color(*INK)
        self.page.set_xy(LEFT, TOP + 9)
        self.page.multi_cell(WIDTH, 5, sentence(picture, lang), align="L", padding=0)
        self.page.set_font(FONT, size=6.5)
        self.page.set_text_color(*SOFT)
        self.page.set_x(LEFT)
        joined = ("；" if lang == "zh" else "; ").join(notes(picture, self.zone, lang))
        self.page.multi_cell(WIDTH, 3.4, joined, align="L", padding=0)
        return float(self.page.get_y()) + 2

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
        self.page.set_draw_color(*BLUE)
        self.page.set_line_width(0.25)
        self.page.polyline(dots)

    def _trend(self, x: float, y: float, w: float, h: float) -> None:
        name = self.picture.figure("on_time").name_in(self.lang)
        self._text(x, y, f"{name} · {self.tables['trend'].title}", 8.5)
        self._text(0, y, say("blue now, grey last year, band usual", self.lang), 5.5, SOFT, right=x + w)
        points = self.picture.trend
        known = [
            float(v)
            for p in points
            for v in (p.on_time.value, p.year_ago.value, *(p.usual or ()))
            if v is not None
        ]
        if not known:
            self._text(x, y + 10, show("rate", None, self.lang), 9, SOFT)
            return
        # The axis does not begin at 0: the course is drawn as a line, never as bars, and says where it begins.
        low = max(0.0, min(known) - 0.02)
        high = min(1.0, max(known) + 0.01)
        left, top, wide, tall = x + 10, y + 4, w - 12, h - 10
        step = wide / max(1, len(points) - 1)

        def at(i: int, value: Fraction) -> tuple[float, float]:
            return left + i * step, top + tall - (float(value) - low) / ((high - low) or 1) * tall

        for part in range(4):
            value = low + (high - low) * part / 3
            line = top + tall - tall * part / 3
            self._line(left, line, left + wide, line, LINE, 0.15)
            self._text(0, line + 1, shown(Fraction(value), self.lang, 1), 6, SOFT, right=left - 1)
        band = [(i, p.usual) for i, p in enumerate(points) if p.usual is not None]
        if len(band) > 1:
            outline = [at(i, usual[1]) for i, usual in band] + [
                at(i, usual[0]) for i, usual in reversed(band)
            ]
            self.page.set_fill_color(*PALE)
            self.page.polygon(outline, style="F")
        for colour, width, values in (
            (SOFT, 0.2, [(i, p.year_ago.value) for i, p in enumerate(points)]),
            (BLUE, 0.5, [(i, p.on_time.value) for i, p in enumerate(points)]),
        ):
            run: list[tuple[float, float]] = []
            for i, drawn in [*values, (-1, None)]:
                if drawn is not None:
                    run.append(at(i, drawn))
                    continue
                if len(run) > 1:
                    self.page.set_draw_color(*colour)
                    self.page.set_line_width(width)
                    self.page.polyline(run)
                elif run:
                    self._box(run[0][0] - 0.4, run[0][1] - 0.4, 0.8, 0.8, colour)
                run = []
        for i in sorted({0, len(points) // 2, len(points) - 1}):
            self._text(at(i, Fraction(0))[0] - 4, top + tall + 4, f"{points[i].day:%m-%d}", 6, SOFT)

    def _ranking(self, x: float, y: float, w: float) -> None:
        table = self.tables["ranking"]
        name = self.picture.figure("on_time").name_in(self.lang)
        self._text(x, y, f"{table.title} · {name}", 8.5)
        places, between = shortest(self.picture.places, RANKED_EACH_END)
        if not places:
            self._text(x, y + 6, show("rate", None, self.lang), 8, SOFT)
            return
        low = min(place.low or 0.0 for place in places)
        low = min([low, *(float(p.on_time.value) for p in places if p.on_time.value is not None)])
        high = max([1e-9 + low, *(place.high or 0.0 for place in places)])
        bar, wide, line = x + 38, 22.0, y + 5.5
        whole = self.picture.figure("on_time").now.value

        def across(value: float) -> float:
            return bar + min(1.0, max(0.0, (value - low) / (high - low))) * wide

        if whole is not None:
            self._line(
                across(float(whole)), y + 2, across(float(whole)), y + 5 + 4.1 * len(places), SOFT, 0.15
            )
        for i, place in enumerate(places):
            if between and i == RANKED_EACH_END:
                gap = f"中间 {between} 个未列" if self.lang == "zh" else f"{between} between are not shown"
                self._text(x, line, gap, 5.5, SOFT)
                line += 3.6
            assert place.on_time.base is not None
            assert place.shrunk is not None
            assert place.low is not None
            assert place.high is not None
            colour = RED if place.below else INK
            self._text(0, line, str(place.rank), 6.5, SOFT, right=x + 4)
            self._text(x + 5, line, place_name(place, self.lang), 6.5, colour, fit=17)
            counts = f"{place.on_time.credited.count:,}/{place.on_time.base.count:,}"
            self._text(0, line, counts, 5.5, SOFT, right=bar - 1)
            middle = line - 0.9
            self._line(across(place.low), middle, across(place.high), middle, colour, 0.25)
            self._box(across(place.shrunk) - 0.6, middle - 0.6, 1.2, 1.2, colour)
            self._text(0, line, rate(Fraction(place.shrunk), self.lang), 6.5, colour, right=x + w)
            line += 4.1

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

    def _funnel(self, x: float, y: float, w: float) -> None:
        self._text(x, y, self.tables["funnel"].title, 8.5)
        self._text(0, y, self.tables["funnel"].columns[3][0], 5.5, SOFT, right=x + w)
        steps = self.picture.funnel
        whole = steps[0].reached.count
        for i, step in enumerate(steps):
            line = y + 5.5 + 5.4 * i
            share = step.reached.count / whole if whole else 0.0
            self._text(x, line, step.name_in(self.lang), 6.5, fit=14)
            self._box(x + 15, line - 2.6, 34, 3.4, (241, 244, 248))
            self._box(x + 15, line - 2.6, 34 * share, 3.4, BLUE)
            self._text(0, line, f"{step.reached.count:,}", 6.5, right=x + 58)
            exact = Fraction(step.reached.count, whole) if whole else None
            self._text(0, line, rate(exact, self.lang), 6, SOFT, right=x + w - 6)
            self._text(0, line, f"{step.standing.count:,}", 6, right=x + w)
        left = self.picture
        gone = (
            f"{say('not accepted', self.lang)} {left.rejected.count:,} · "
            f"{say('merged', self.lang)} {left.merged.count:,}"
        )
        self._text(x, y + 5.5 + 5.4 * len(steps), gone, 6, SOFT)

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

    def _heat(self, x: float, y: float) -> None:
        table = self.tables["heat"]
        self._text(x, y, table.title, 8.5)
        most = max((cell.count for row in self.picture.heat for cell in row), default=0) or 1
        wide, tall, left = 7.0, 3.9, x + 18
        for hour in range(24):
            self._text(0, y + 3.6, f"{hour:02d}", 5, SOFT, right=left + (hour + 0.65) * wide)
        for i, row in enumerate(self.picture.heat):
            line = y + 4.4 + tall * i
            self._text(x, line + 2.9, str(table.rows[i][0]), 6, fit=17)
            for hour, cell in enumerate(row):
                share = cell.count / most
                shade = tuple(round(255 - (255 - part) * share * 0.85) for part in BLUE)
                self._box(left + hour * wide, line, wide - 0.3, tall - 0.3, (shade[0], shade[1], shade[2]))
                if cell.count:
                    ink = INK if share < 0.55 else (255, 255, 255)
                    self._text(0, line + 2.7, f"{cell.count:,}", 4.5, ink, right=left + (hour + 0.75) * wide)

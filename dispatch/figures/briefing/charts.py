"""Draw the charts of a briefing, in millimetres, on whatever can write text and fill shapes: paper or a picture."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from noto_cjk_sans_otc import FONT_PATH
from PIL import Image, ImageDraw, ImageFont

from dispatch.figures.briefing.tables import tables
from dispatch.figures.briefing.words import place_name, rate, say, shortest, show
from dispatch.figures.overview import Overview
from dispatch.rules.measures.assessment import shown

FONT_FILE = Path(str(FONT_PATH))
SIMPLIFIED = 2  # which font of the collection has the forms of Chinese as written on the mainland
RANKED_EACH_END = 5
INK, SOFT, BLUE, RED, PALE, LINE = (
    (31, 41, 55), (107, 114, 128), (29, 79, 145), (190, 36, 32), (214, 224, 236), (209, 213, 219),
)  # fmt: skip
DOTS_PER_INCH = 220  # of a picture in a Word file, sharp in print
INCH_MM, INCH_PT = 25.4, 72

Colour = tuple[int, int, int]
Dots = Sequence[tuple[float, float]]


class Charts(ABC):
    """Draw charts of one picture in one language; what carries them writes text and shapes."""

    def __init__(self, picture: Overview, lang: str) -> None:
        self.picture, self.lang = picture, lang
        self.tables = {table.name: table for table in tables(picture, lang)}

    @abstractmethod
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
        """Write text of a size in points, its baseline at y; `right` ends it there, `fit` makes it so wide at most."""

    @abstractmethod
    def _line(self, x1: float, y1: float, x2: float, y2: float, colour: Colour, width: float = 0.2) -> None:
        """Draw a line."""

    @abstractmethod
    def _box(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        """Fill a rectangle."""

    @abstractmethod
    def _course(self, dots: Dots, colour: Colour, width: float) -> None:
        """Draw a line through points."""

    @abstractmethod
    def _area(self, dots: Dots, colour: Colour) -> None:
        """Fill the shape whose corners are given."""

    def trend(self, x: float, y: float, w: float, h: float) -> None:
        """Draw the rate day by day over what is usual, and last year beside it; the axis does not begin at 0."""
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
            self._area(outline, PALE)
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
                    self._course(run, colour, width)
                elif run:
                    self._box(run[0][0] - 0.4, run[0][1] - 0.4, 0.8, 0.8, colour)
                run = []
        for i in sorted({0, len(points) // 2, len(points) - 1}):
            self._text(at(i, Fraction(0))[0] - 4, top + tall + 4, f"{points[i].day:%m-%d}", 6, SOFT)

    def ranking(self, x: float, y: float, w: float) -> None:
        """Draw the best and the last of the ranked places, each with its estimate and interval."""
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

    def funnel(self, x: float, y: float, w: float) -> None:
        """Draw how many came how far along the chain, and how many stand at each step."""
        self._text(x, y, self.tables["funnel"].title, 8.5)
        self._text(0, y, self.tables["funnel"].columns[3][0], 5.5, SOFT, right=x + w)
        steps = self.picture.funnel
        whole = steps[0].reached.count
        for i, step in enumerate(steps):
            line = y + 5.5 + 5.4 * i
            share = step.reached.count / whole if whole else 0.0
            self._text(x, line, step.name_in(self.lang), 6.5, fit=14)
            self._box(x + 15, line - 2.6, 30, 3.4, (241, 244, 248))
            self._box(x + 15, line - 2.6, 30 * share, 3.4, BLUE)
            self._text(0, line, f"{step.reached.count:,}", 6.5, right=x + 54)
            exact = Fraction(step.reached.count, whole) if whole else None
            self._text(0, line, rate(exact, self.lang), 6, SOFT, right=x + w - 9)
            self._text(0, line, f"{step.standing.count:,}", 6, right=x + w)
        left = self.picture
        gone = (
            f"{say('not accepted', self.lang)} {left.rejected.count:,} · "
            f"{say('merged', self.lang)} {left.merged.count:,}"
        )
        self._text(x, y + 5.5 + 5.4 * len(steps), gone, 6, SOFT)

    def heat(self, x: float, y: float) -> None:
        """Draw the reports by weekday and hour, each cell with its number."""
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


class Sheet(Charts):
    """Draw charts as a picture of its own, `wide` by `tall` millimetres."""

    def __init__(self, picture: Overview, lang: str, wide: float, tall: float) -> None:
        super().__init__(picture, lang)
        self._per_mm = DOTS_PER_INCH / INCH_MM
        self._image = Image.new("RGB", (self._px(wide), self._px(tall)), "white")
        self._draw = ImageDraw.Draw(self._image)

    def png(self) -> io.BytesIO:
        """Return what was drawn as a PNG file."""
        file = io.BytesIO()
        self._image.save(file, "PNG", optimize=True, dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
        file.seek(0)
        return file

    def _px(self, mm: float) -> int:
        return round(mm * self._per_mm)

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
        font = _font(size)
        while fit is not None and size > 4 and font.getlength(text) > fit * self._per_mm:
            size -= 0.25
            font = _font(size)
        at, anchor = (x, "ls") if right is None else (right, "rs")
        self._draw.text((at * self._per_mm, y * self._per_mm), text, fill=colour, font=font, anchor=anchor)

    def _line(self, x1: float, y1: float, x2: float, y2: float, colour: Colour, width: float = 0.2) -> None:
        self._course([(x1, y1), (x2, y2)], colour, width)

    def _box(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        if self._px(w) > 0:
            corner = (self._px(x) + self._px(w) - 1, self._px(y) + max(1, self._px(h)) - 1)
            self._draw.rectangle(((self._px(x), self._px(y)), corner), fill=colour)

    def _course(self, dots: Dots, colour: Colour, width: float) -> None:
        self._draw.line(
            [(x * self._per_mm, y * self._per_mm) for x, y in dots],
            fill=colour, width=max(1, self._px(width)), joint="curve",
        )  # fmt: skip

    def _area(self, dots: Dots, colour: Colour) -> None:
        self._draw.polygon([(x * self._per_mm, y * self._per_mm) for x, y in dots], fill=colour)


@lru_cache(maxsize=64)
def _font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT_FILE), size * DOTS_PER_INCH / INCH_PT, index=SIMPLIFIED)

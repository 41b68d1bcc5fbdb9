"""Draw what the demo city's people photograph: a street and what is wrong with it, in flat shapes, from a seed.

No place and no person is shown; every picture says that it is a demonstration, and no two are alike.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from functools import cache
from random import Random
from typing import Any, Final, Literal

import psycopg
from noto_cjk_sans_otc import FONT_PATH
from PIL import Image, ImageDraw, ImageFont

from dispatch.intake import photos

WIDTH, HEIGHT = 800, 600
HORIZON = 330
QUALITY = 85
LABEL = "演示图 demo"
SIMPLIFIED = 2  # the font of the collection with the mainland's forms

Moment = Literal["report", "before", "after"]
Draw = ImageDraw.ImageDraw
_Subject = Callable[[Draw, Random], None]


SHARE: Final = 0.75  # of the reports that show anything come with a photo


def taken(
    connection: psycopg.Connection[Any], category: str, number: int, moment: Moment, now: datetime
) -> str | None:
    """Keep a photo of the matter with this number and return its address; None where nobody would take one.

    It is developed and kept like any phone's.
    """
    raw = drawn(category, str(number), moment)
    if raw is None:
        return None
    photo = photos.developed(raw)
    photos.store().put(photo)
    photos.note(connection, photo, now)
    photos.attach(connection, [photo.name], number)
    return photos.SCHEME + photo.name


def drawn(category: str, seed: str, moment: Moment = "report") -> bytes | None:
    """Return a JPEG of a matter of this type: as reported, before it is put right, or after; None: nothing to see.

    The same seed shows the same street, so that before and after belong together; no moment looks like another.
    """
    subject = _SUBJECTS.get(category)
    if subject is None:
        return None
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    pen = ImageDraw.Draw(picture, "RGBA")
    _street(pen, Random(f"street/{seed}"))
    if moment != "after":
        subject(pen, Random(f"matter/{seed}"))
    rnd = Random(f"light/{seed}/{moment}")
    # The light is never quite the same twice.
    pen.rectangle(
        (0, 0, WIDTH, HEIGHT), fill=(*rnd.choice(((255, 220, 160), (150, 170, 200))), rnd.randint(4, 40))
    )
    pen.rectangle((WIDTH - 168, HEIGHT - 40, WIDTH, HEIGHT), fill=(0, 0, 0, 130))
    pen.text((WIDTH - 158, HEIGHT - 36), LABEL, font=_font(), fill=(255, 255, 255, 235))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT_PATH), 22, index=SIMPLIFIED)


def _street(pen: Draw, rnd: Random) -> None:
    """Draw sky, houses, pavement and road."""
    pen.rectangle((0, 0, WIDTH, HEIGHT), fill=rnd.choice(("#c6d4df", "#d9dde0", "#b9cbd9", "#cfd6d2")))
    x = -rnd.randint(0, 60)
    while x < WIDTH:
        wide, top = rnd.randint(110, 210), rnd.randint(70, 210)
        wall = rnd.choice(("#b7a58c", "#a7998a", "#c4b79f", "#9aa3a5", "#b08f7a", "#8f9a8b"))
        pen.rectangle((x, top, x + wide - 6, HORIZON), fill=wall)
        for row in range(top + 24, HORIZON - 60, 52):
            for column in range(x + 16, x + wide - 36, 44):
                pen.rectangle(
                    (column, row, column + 24, row + 30), fill=rnd.choice(("#5d6b74", "#6f7d84", "#8fa0a8"))
                )
        pen.rectangle((x + wide // 2 - 18, HORIZON - 62, x + wide // 2 + 18, HORIZON), fill="#57493d")
        x += wide
    pen.rectangle((0, HORIZON, WIDTH, HORIZON + 46), fill="#a9a7a1")
    pen.rectangle((0, HORIZON + 46, WIDTH, HEIGHT), fill=rnd.choice(("#6b6d6e", "#747573", "#63666a")))
    for x in range(-rnd.randint(0, 90), WIDTH, 150):
        pen.polygon(((x, 566), (x + 74, 566), (x + 84, 578), (x - 6, 578)), fill="#d9d6c8")


def _at(rnd: Random) -> tuple[int, int]:
    return rnd.randint(250, 540), rnd.randint(440, 500)


def _water(pen: Draw, rnd: Random) -> None:
    x, y = _at(rnd)
    for n in range(5):
        wide, high = rnd.randint(120, 260), rnd.randint(26, 54)
        dx, dy = rnd.randint(-150, 150), rnd.randint(-24, 40)
        pen.ellipse(
            (x + dx - wide, y + dy - high, x + dx + wide, y + dy + high), fill=(122, 148, 164, 150 + 12 * n)
        )
    pen.arc((x - 90, y - 14, x + 90, y + 18), 190, 330, fill="#d8e4ea", width=3)


def _hole(pen: Draw, rnd: Random) -> None:
    x, y = _at(rnd)
    for wide, high, fill in ((130, 44, "#55565a"), (112, 36, "#3c3630"), (84, 24, "#28231f")):
        points = [
            (x + wide * c * rnd.uniform(0.85, 1.1), y + high * s * rnd.uniform(0.85, 1.1)) for c, s in _CIRCLE
        ]
        pen.polygon(points, fill=fill)
    for _ in range(4):
        pen.line(
            [(x + rnd.randint(-40, 40), y), (x + rnd.randint(-220, 220), y + rnd.randint(-60, 70))],
            fill="#3a3a3c", width=3,
        )  # fmt: skip


def _rubbish(pen: Draw, rnd: Random) -> None:
    x, y = rnd.randint(200, 560), HORIZON + 60
    pen.rectangle((x + 96, y - 104, x + 170, y), fill="#2f6d4c")
    pen.rectangle((x + 90, y - 116, x + 176, y - 100), fill="#255a3e")
    for _ in range(13):
        dx, dy, size = rnd.randint(-150, 130), rnd.randint(-34, 40), rnd.randint(16, 38)
        fill = rnd.choice(("#2e3134", "#41464a", "#8a6f55", "#c9c5bb", "#9c3f35", "#3f6a86"))
        pen.ellipse((x + dx - size, y + dy - size, x + dx + size, y + dy + size * 0.7), fill=fill)


def _smoke(pen: Draw, rnd: Random) -> None:
    x, y = rnd.randint(220, 580), 450
    for n in range(26):
        size = 16 + 4 * n
        dx = rnd.randint(-18, 18) + n * 5
        pen.ellipse(
            (x + dx - size, y - n * 15 - size, x + dx + size, y - n * 15 + size), fill=(88, 86, 84, 46)
        )
    for _ in range(9):
        dx, high = rnd.randint(-54, 54), rnd.randint(30, 84)
        fill = rnd.choice(("#e2711d", "#f0a030", "#c8421c"))
        pen.polygon(((x + dx - 18, y + 24), (x + dx, y + 24 - high), (x + dx + 18, y + 24)), fill=fill)
    pen.ellipse((x - 84, y + 12, x + 84, y + 40), fill="#39302a")


def _van(pen: Draw, rnd: Random) -> None:
    for x in range(90, 700, 74):
        pen.line(((x, 560), (x + 60, 420)), fill="#d9b23c", width=7)
    pen.rectangle((90, 414, 720, 420), fill="#d9b23c")
    x, y = rnd.randint(180, 380), rnd.randint(370, 400)
    body = rnd.choice(("#e6e6e2", "#4f6f93", "#b7bcc0", "#8c2f2b", "#c7b26a"))
    pen.rounded_rectangle((x, y, x + 270, y + 116), 16, fill=body)
    pen.polygon(((x + 20, y), (x + 52, y - 62), (x + 236, y - 62), (x + 252, y)), fill=body)
    pen.polygon(((x + 42, y - 4), (x + 64, y - 50), (x + 142, y - 50), (x + 142, y - 4)), fill="#39464f")
    pen.polygon(((x + 154, y - 4), (x + 154, y - 50), (x + 224, y - 50), (x + 236, y - 4)), fill="#39464f")
    for wheel in (x + 58, x + 212):
        pen.ellipse((wheel - 32, y + 84, wheel + 32, y + 148), fill="#202224")
        pen.ellipse((wheel - 13, y + 103, wheel + 13, y + 129), fill="#8d9296")


def _building(pen: Draw, rnd: Random) -> None:
    x, top, wide = rnd.randint(170, 360), rnd.randint(120, 170), rnd.randint(230, 300)
    pen.rectangle((x, top, x + wide, HORIZON + 30), fill="#a8552f")
    for row in range(top, HORIZON + 30, 14):
        pen.line(((x, row), (x + wide, row)), fill="#8f4526", width=2)
    for left in range(x + 28, x + wide - 40, 78):
        for row in range(top + 30, HORIZON - 40, 78):
            pen.rectangle((left, row, left + 40, row + 46), fill="#2f2a27")
    for left in range(x - 16, x + wide + 24, 62):
        pen.line(((left, top - 44), (left, HORIZON + 44)), fill="#5b6166", width=6)
    for row in range(top - 20, HORIZON + 30, 66):
        pen.line(((x - 24, row), (x + wide + 24, row)), fill="#5b6166", width=5)
    for _ in range(20):
        dx, dy = rnd.randint(-60, wide + 60), rnd.randint(0, 44)
        pen.rectangle(
            (x + dx, HORIZON + 40 + dy, x + dx + 32, HORIZON + 56 + dy),
            fill=rnd.choice(("#9b4c2a", "#b9b2a6")),
        )


def _tree(pen: Draw, rnd: Random) -> None:
    x, y = rnd.randint(60, 160), rnd.randint(460, 500)
    pen.line(((x, y + 20), (x + 430, y - 64)), fill="#5a4634", width=24)
    for _ in range(34):
        dx, dy, size = rnd.randint(260, 580), rnd.randint(-150, 14), rnd.randint(24, 54)
        fill = rnd.choice(("#3d6b3a", "#4a7d42", "#335c37", "#5b8a4b"))
        pen.ellipse((x + dx - size, y + dy - size, x + dx + size, y + dy + size), fill=fill)


def _wires(pen: Draw, rnd: Random) -> None:
    x = rnd.randint(220, 480)
    for n in range(4):
        ends = [(x + 60 * n - 40, 120 + 16 * n)]
        ends += [(x + 30 * n + rnd.randint(-16, 16), 120 + step * 74) for step in range(1, 5)]
        pen.line(ends, fill=rnd.choice(("#1f1f22", "#b3342b", "#2f4f79")), width=5, joint="curve")
    for n in range(3):
        left = x - 120 + 110 * n
        for wheel in (left, left + 78):
            pen.ellipse((wheel - 26, 424, wheel + 26, 476), outline="#1f2224", width=8)
        pen.polygon(
            ((left, 450), (left + 26, 402), (left + 66, 410), (left + 78, 450)),
            fill=rnd.choice(("#2d5a88", "#9c2f2a", "#2d7a58")),
        )


def _rail(pen: Draw, rnd: Random) -> None:
    gap = rnd.randint(240, 420)
    for x in range(30, WIDTH, 90):
        if gap < x < gap + 190:
            continue
        pen.rectangle((x, 390, x + 14, 470), fill="#d9dcde")
        pen.rectangle((x, 404, x + 14, 424), fill="#b8342c")
    pen.rectangle((0, 400, gap, 416), fill="#e8eaea")
    pen.rectangle((gap + 200, 400, WIDTH, 416), fill="#e8eaea")
    pen.line(((gap, 408), (gap + rnd.randint(90, 150), rnd.randint(480, 530))), fill="#e8eaea", width=15)


def _crates(pen: Draw, rnd: Random) -> None:
    for _ in range(9):
        x, y, size = rnd.randint(180, 560), rnd.randint(330, 440), rnd.randint(60, 96)
        fill = rnd.choice(("#a98554", "#8f6d42", "#5a7487", "#b39a6b"))
        pen.rectangle((x, y, x + size, y + size), fill=fill, outline="#4b3b28", width=3)
        pen.line(((x, y), (x + size, y + size)), fill="#4b3b28", width=3)


_CIRCLE: Final = (
    (1, 0), (0.81, 0.59), (0.31, 0.95), (-0.31, 0.95), (-0.81, 0.59),
    (-1, 0), (-0.81, -0.59), (-0.31, -0.95), (0.31, -0.95), (0.81, -0.59),
)  # fmt: skip
# Event type -> what its photo shows; whoever quarrels, is ill or asks for help is not photographed.
_BY_SUBJECT: Final[dict[_Subject, tuple[str, ...]]] = {
    _water: ("0304", "0307", "0801", "0803", "0806", "0904", "1006"),
    _hole: ("0406", "0602", "0603", "0802", "0905", "1007"),
    _rubbish: ("0305", "0306", "1002", "1003", "1009"),
    _smoke: ("0701", "0702", "0703", "1004"),
    _van: ("0504", "0601", "0606", "1001", "1008"),
    _building: ("0401", "0402", "0403", "0404", "0405", "0508", "1005"),
    _tree: ("0704", "0808"),
    _wires: ("0505",),
    _rail: ("0107", "0605", "0607"),
    _crates: ("0106", "0502", "0503", "0506", "0507", "0705"),
}
_SUBJECTS: Final = {code: subject for subject, codes in _BY_SUBJECT.items() for code in codes}
PICTURED: Final = frozenset(_SUBJECTS)

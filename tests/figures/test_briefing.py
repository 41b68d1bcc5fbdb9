"""Prove that a briefing's numbers are the picture's, in every form and language, and that text stays text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import docx
import openpyxl
import psycopg
import pypdf
import pytest

from dispatch.__main__ import main
from dispatch.figures import briefing, overview
from dispatch.figures.briefing import tables as briefing_tables
from dispatch.figures.briefing import words
from dispatch.figures.briefing.charts import RANKED_EACH_END, Charts
from dispatch.figures.case_sets import CaseSet, Counted
from dispatch.figures.overview import AreaName, Overview
from dispatch.rules.measures.assessment import shown
from dispatch.rules.time.period import Period
from models.servers.database import psycopg_dsn
from tests.templates import LIVED_UNTIL as UNTIL

CITY, COUNTY, TOWN = "445300", "445302", "445302001"
MAY = date(2026, 5, 1)
ZONE = "Asia/Shanghai"

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def city(pictured: str) -> Iterator[Connection]:
    """Open the city for reading."""
    with psycopg.connect(psycopg_dsn(pictured), autocommit=True) as connection:
        connection.read_only = True
        yield connection


@pytest.fixture(scope="module")
def may(city: Connection) -> Overview:
    """Read the city's May."""
    return overview.read(city, CITY, Period("month", MAY), UNTIL)


def number(value: words.Value) -> float | str | None:
    """Return a value as a sheet holds it."""
    return float(value) if isinstance(value, (int, float, Fraction)) else value


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_cell_of_the_excel_file_is_the_pictures(may: Overview, lang: str) -> None:
    book = openpyxl.load_workbook(io.BytesIO(briefing.make(may, "xlsx", lang, ZONE)))
    tables = briefing_tables.tables(may, lang)
    assert book.sheetnames == [words.say("Summary", lang), *(table.title for table in tables)]
    assert book.worksheets[0]["A1"].value == words.title(may, lang)
    assert book.worksheets[0]["A2"].value == words.sentence(may, lang)
    cells = 0
    for table, sheet in zip(tables, book.worksheets[1:], strict=True):
        rows = list(sheet.iter_rows(min_row=2, max_col=len(table.columns), values_only=True))
        assert len(rows) == len(table.rows)
        for row, expected in zip(rows, table.rows, strict=True):
            for found, value in zip(row, expected, strict=True):
                if value is None:
                    # Never 0: words, or an empty cell where a chart is drawn from it.
                    assert found in (words.show("text", None, lang), None)
                elif isinstance(value, str):
                    assert (found or "") == value
                else:
                    assert found == pytest.approx(number(value), rel=1e-12)
                cells += 1
    assert cells > 800
    drawn = {sheet.title for sheet in book.worksheets if sheet._charts}  # type: ignore[attr-defined]
    assert len(drawn) == 5


def test_the_tables_hold_the_numbers_of_the_picture(may: Overview) -> None:
    tables = {table.name: table for table in briefing_tables.tables(may, "zh")}
    assert [row[2] for row in tables["figures"].rows] == [f.now.credited.count for f in may.figures]
    assert [row[3] for row in tables["figures"].rows][1:] == [
        f.now.base.count for f in may.figures if f.now.base is not None
    ]
    assert [row[1] for row in tables["themes"].rows] == [t.reported.now.n for t in may.themes]
    assert [row[6] for row in tables["themes"].rows] == [t.on_time.now.value for t in may.themes]
    assert [row[6] for row in tables["ranking"].rows] == [p.shrunk for p in may.places]
    assert [row[1] for row in tables["funnel"].rows][:-2] == [s.reached.count for s in may.funnel]
    assert [row[4] for row in tables["trend"].rows] == [p.on_time.value for p in may.trend]
    assert [row[1:] for row in tables["heat"].rows] == [tuple(c.count for c in row) for row in may.heat]
    assert tables["red"].rows[-1][1] == may.overdue_now.count
    assert {row[2] for row in tables["published"].rows} >= {
        "−33.66%",
        "6,255",
        "965",
        "6.48",
        "1.85",
        "98.80%",
    }


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_cell_of_the_word_file_is_the_pictures(may: Overview, lang: str) -> None:
    document = docx.Document(io.BytesIO(briefing.make(may, "docx", lang, ZONE)))
    text = [paragraph.text for paragraph in document.paragraphs]
    assert text[0] == words.title(may, lang)
    assert text[1] == words.sentence(may, lang)
    filled = [table for table in briefing_tables.tables(may, lang) if table.rows]
    assert len(document.tables) == len(filled)
    for made, table in zip(document.tables, filled, strict=True):
        rows = [[cell.text for cell in row.cells] for row in made.rows]
        assert rows[0] == [name for name, _ in table.columns]
        assert rows[1:] == table.texts(lang)


def _squeezed(text: str) -> str:
    return "".join(text.replace("\x00", "").split())


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_pdf_is_one_page_that_says_the_same_with_its_font_inside(may: Overview, lang: str) -> None:
    made = pypdf.PdfReader(io.BytesIO(briefing.make(may, "pdf", lang, ZONE)))
    assert len(made.pages) == 1
    text = _squeezed(made.pages[0].extract_text())
    tables = {table.name: table for table in briefing_tables.tables(may, lang)}
    expected = [words.title(may, lang), words.sentence(may, lang)]
    for _, value, credited, base, before, year_ago in tables["figures"].texts(lang):
        expected += [value, before, year_ago, f"{credited}/{base}" if base else credited]
    for name in ("themes", "stages"):
        expected += [cell for row in tables[name].texts(lang) for cell in row if cell]
    expected += [f"{row[0]}{row[2]}" for row in tables["published"].texts(lang)]
    for step in may.funnel:
        expected.append(f"{step.reached.count:,}")
    for row in may.heat:
        expected += [str(cell.count) for cell in row if cell.count]
    listed, between = words.shortest(may.places, 5)
    assert len(listed) == 10
    assert str(between) in text
    for place in listed:
        assert place.on_time.base is not None
        assert place.shrunk is not None
        expected.append(f"{place.on_time.credited.count}/{place.on_time.base.count}")
        expected.append(words.rate(Fraction(place.shrunk), lang))
    assert [each for each in expected if _squeezed(each) not in text] == []
    for font in made.pages[0]["/Resources"]["/Font"].values():  # type: ignore[index]
        inner = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert {"/FontFile2", "/FontFile3"} & set(inner)
        assert "NotoSansCJK" in inner["/FontName"]


@pytest.mark.parametrize(
    ("area", "period"),
    [
        (CITY, Period("day", date(2026, 6, 11))),
        (COUNTY, Period.holding("week", date(2026, 6, 3))),
        (TOWN, Period("quarter", date(2026, 4, 1))),
        (COUNTY, Period("free", date(2026, 5, 20), date(2026, 6, 12))),
    ],
)
def test_any_period_of_a_city_county_or_town_fits_one_page(
    city: Connection, area: str, period: Period
) -> None:
    made = briefing.brief(city, area, period, "pdf", "zh", UNTIL)
    assert len(pypdf.PdfReader(io.BytesIO(made)).pages) == 1


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_word_has_the_charts_of_the_page_each_with_its_words(may: Overview, lang: str) -> None:
    document = docx.Document(io.BytesIO(briefing.make(may, "docx", lang, ZONE)))
    told = [shape._inline.docPr.get("descr") for shape in document.inline_shapes]
    names = ("Ranking", "Course by day", "The chain", "Reports by weekday and hour")
    assert told == [f"{words.title(may, lang)} · {words.say(name, lang)}" for name in names]
    section = document.sections[0]
    assert section.page_width is not None
    assert section.left_margin is not None
    for shape in document.inline_shapes:
        assert shape.width <= section.page_width - 2 * section.left_margin


class Said(Charts):
    """Keep what charts write, and nothing of what they draw."""

    def __init__(self, picture: Overview, lang: str) -> None:
        super().__init__(picture, lang)
        self.texts: list[str] = []

    def _text(self, x: float, y: float, text: str, *_: object, **__: object) -> None:
        self.texts.append(text)

    def _line(self, *_: object) -> None: ...

    def _box(self, *_: object) -> None: ...

    def _course(self, *_: object) -> None: ...

    def _area(self, *_: object) -> None: ...


def test_the_charts_write_the_numbers_of_the_tables(may: Overview) -> None:
    said = Said(may, "zh")
    said.funnel(0, 0, 73)
    said.heat(0, 0)
    said.ranking(0, 0, 73)
    tables = {table.name: table for table in briefing_tables.tables(may, "zh")}
    for row in tables["funnel"].texts("zh")[: len(may.funnel)]:
        assert set(row) <= set(said.texts), row
    for counts in tables["heat"].rows:
        assert {f"{n:,}" for n in counts[1:] if n} <= set(said.texts)
    shown = {place.name for place in words.shortest(may.places, RANKED_EACH_END)[0]}
    assert shown <= set(said.texts)
    assert len(shown) == 2 * RANKED_EACH_END


def test_an_area_without_a_case_is_briefed_without_a_number_made_up(city: Connection) -> None:
    row = city.execute(
        "select code from area where level = 4 and not exists (select from incident where area_code like"
        " area.code || '%') order by code limit 1"
    ).fetchone()
    assert row is not None
    quiet = overview.read(city, row[0], Period("month", MAY), UNTIL)
    assert words.sentence(quiet, "zh") == "本期没有上报。"
    assert words.sentence(quiet, "en") == "Nothing was reported in this period."
    figures_of = briefing_tables.tables(quiet, "zh")[0].texts("zh")
    assert [row[1] for row in figures_of] == ["0", *["无数据"] * 5]
    for form in briefing.FORMATS:
        assert briefing.make(quiet, form, "zh", ZONE)


def test_the_sentence_on_top_is_made_from_the_same_rows(may: Overview) -> None:
    clauses = words.clauses(may, "zh")
    on_time = may.figure("on_time")
    assert clauses[0].text == f"按期处置率 {words.rate(on_time.now.value, 'zh')}"
    assert clauses[0].cases == on_time.now.credited.cases
    assert words.sentence(may, "zh").endswith("。")
    worse = replace(on_time, before=replace(on_time.now, n=on_time.now.n - 5))
    better = replace(may, figures=tuple(worse if f.name == "on_time" else f for f in may.figures))
    assert on_time.now.base is not None
    size = shown(Fraction(500, on_time.now.base.count), "zh", 1, percent=False)
    assert f"比上月升 {size} 个百分点" in words.sentence(better, "zh")
    assert f"{size} points more than the month before" in words.sentence(better, "en")
    # What is shown as no change is said to be none.
    nearly = replace(
        on_time, before=replace(on_time.now, n=on_time.now.n - Fraction(on_time.now.base.count, 5000))
    )
    level = replace(may, figures=tuple(nearly if f.name == "on_time" else f for f in may.figures))
    assert "与上月持平" in words.sentence(level, "zh")
    assert "as in the month before" in words.sentence(level, "en")


def test_what_is_compared_opens_the_cases_it_is_compared_with(may: Overview) -> None:
    on_time = may.figure("on_time")
    past = replace(on_time.now, n=on_time.now.n - 5, credited=replace(on_time.now.credited, count=1))
    moved = replace(
        on_time,
        before=replace(past, credited=Counted(7, CaseSet("on_time", CITY, MAY, MAY))),
        year_ago=replace(past, credited=Counted(9, CaseSet("on_time", COUNTY, MAY, MAY))),
    )
    compared = replace(may, figures=tuple(moved if f.name == "on_time" else f for f in may.figures))
    clauses = words.clauses(compared, "zh")
    assert "上月" in clauses[1].text
    assert clauses[1].cases == moved.before.credited.cases
    assert "去年同期" in clauses[2].text
    assert clauses[2].cases == moved.year_ago.credited.cases


def test_the_place_with_most_past_a_limit_opens_its_own(may: Overview) -> None:
    red = may.overdue_places[0][1]
    clause = words.clauses(may, "zh")[-1]
    assert f"{red.count:,} 件" in clause.text
    assert clause.cases == red.cases
    assert "超期" not in words.sentence(may, "zh")  # a clock past its limit has one word


def test_a_long_time_is_said_in_days() -> None:
    assert words.show("minutes", 90, "zh") == "90.0 分"
    assert words.show("minutes", 10 * 60, "en") == "10.0 h"
    assert words.show("minutes", 138 * 60, "zh") == "5.8 天"


def test_a_place_is_named_only_where_its_whole_interval_lies_below(may: Overview) -> None:
    plain = replace(may, themes=(), places=tuple(replace(p, below=False) for p in may.places))
    assert "没有哪个领域或区域明显偏低" in words.sentence(plain, "zh")
    ranked = may.places[0]
    named = replace(plain, places=(replace(ranked, below=True), *plain.places[1:]))
    assert f"明显偏低的是{ranked.name}" in words.sentence(named, "zh")


def test_a_difference_of_rates_is_in_points_and_never_in_per_cent() -> None:
    assert words.points(Fraction(11, 1000), "zh") == "+1.1 点"
    assert words.points(Fraction(-5, 1000), "en") == "−0.5 pts"
    assert words.points(None, "zh") == "无数据"
    assert words.change(Fraction(23, 1000), "zh") == "+2.3%"
    assert words.rate(None, "en") == "no data"


def test_text_that_looks_like_a_formula_stays_text(may: Overview) -> None:
    trap = '=HYPERLINK("http://example.org","x")'
    place = replace(may.places[0], name=trap)
    area = AreaName(may.area.code, may.area.level, trap, "")
    book = openpyxl.load_workbook(
        io.BytesIO(briefing.make(replace(may, area=area, places=(place,)), "xlsx", "zh", ZONE))
    )
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert [cell.value for cell in cells if cell.value == trap] == [trap]
    assert not [cell for cell in cells if cell.data_type == "f"]


def test_every_word_has_its_chinese(may: Overview) -> None:
    for table in briefing_tables.tables(may, "zh"):
        assert table.title in words._CHINESE.values()
        for name, _ in table.columns:
            assert name in words._CHINESE.values() or name.isdecimal()


def test_another_form_or_language_is_refused(may: Overview) -> None:
    with pytest.raises(ValueError, match=r"format: expected xlsx, docx, pdf, not 'odt'"):
        briefing.make(may, "odt", "zh", ZONE)
    with pytest.raises(ValueError, match="lang: expected zh or en"):
        briefing.make(may, "pdf", "fr", ZONE)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "x.pdf"
    target.write_bytes(b"old")
    with pytest.raises(TypeError):
        briefing.put(target, "no bytes")  # type: ignore[arg-type]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.pdf", b"old")]
    briefing.put(target, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.pdf", b"new")]


def _command(monkeypatch: pytest.MonkeyPatch, url: str, *arguments: str) -> int:
    monkeypatch.setenv("DATABASE_URL", url)
    try:
        return main(["briefing", *arguments])
    except SystemExit as gone:
        return int(gone.code or 0)


def test_the_command_writes_the_file(pictured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "may.xlsx"
    wanted = (CITY, "--period", "month", "--day", "2026-05-17", "--format", "xlsx", "--out", str(out))
    assert _command(monkeypatch, pictured, *wanted) == 0
    assert openpyxl.load_workbook(out).worksheets[0]["A1"].value == "云浮市 2026年5月 月报"


def test_a_file_is_of_the_kind_that_its_name_says(
    pictured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, begins in (("may.XLSX", b"PK"), ("may.pdf", b"%PDF"), ("may", b"%PDF")):
        wanted = (CITY, "--period", "month", "--day", "2026-05-17", "--out", str(tmp_path / name))
        assert _command(monkeypatch, pictured, *wanted) == 0
        assert (tmp_path / name).read_bytes().startswith(begins), name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("999999", "--day", "2026-05-17"), "area: there is no area 999999"),
        ((CITY, "--day", "2999-01-01"), "day: the day of 2999-01-01 has not begun"),
        ((CITY, "--day", "2020-01-01"), "no data: 2020-01-01 lies before the first report"),
        ((CITY, "--day", "yesterday"), "argument --day: expected a day"),
        ((CITY, "--period", "year"), "argument --period: invalid choice: 'year'"),
    ],
    ids=["unknown area", "future", "before the first report", "no day", "no period"],
)
def test_the_command_says_what_is_wrong(
    pictured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...], says: str,
) -> None:  # fmt: skip
    assert _command(monkeypatch, pictured, *arguments, "--out", str(tmp_path / "none.pdf")) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere" / "x.pdf"
    assert (
        _command(monkeypatch, "postgresql+psycopg://nobody@127.0.0.1:1/none", CITY, "--out", str(nowhere))
        == 2
    )
    assert "out: there is no folder" in capsys.readouterr().err


def test_a_database_without_a_city_is_told_so(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _command(monkeypatch, database, CITY, "--out", str(tmp_path / "none.pdf")) == 2
    assert "load a city first" in capsys.readouterr().err

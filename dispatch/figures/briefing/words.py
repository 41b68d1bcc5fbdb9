"""Say the leaders' picture in words: numbers as they are shown, the sentence on top, titles and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

from dispatch.figures.case_sets import CaseSet
from dispatch.figures.overview import Overview, Place, Reading
from dispatch.rules.measures.assessment import NO_DATA, shown, signed
from dispatch.rules.measures.fairness import wilson
from dispatch.rules.time.period import Period

Kind = Literal["text", "count", "rate", "change", "points", "value", "minutes"]
Value = str | int | float | Fraction | None

LOWEST_NAMED = 3  # areas of work and places that the sentence names
HOURS_FROM = 120  # minutes from which a time is shown in hours
DAYS_FROM = 72 * 60  # and in days

# msgid in English -> Chinese; English is the key itself.
_CHINESE = {
    "daily briefing": "日报",
    "weekly briefing": "周报",
    "monthly briefing": "月报",
    "quarterly briefing": "季报",
    "briefing": "简报",
    "Summary": "概要",
    "Figures": "主要指标",
    "Ten areas of work": "十项重点工作",
    "Ranking": "排名",
    "Course by day": "逐日走势",
    "Course by month": "逐月走势",
    "The chain": "一条主线走到哪",
    "Times of the stages": "各环节用时",
    "Reports by weekday and hour": "分星期、时段上报量",
    "Past the limit now": "此刻超时",
    "Published figures": "通报数字",
    "figure": "指标",
    "value": "数值",
    "cases": "件数",
    "of": "基数",
    "vs before": "环比",
    "vs last year": "同比",
    "area of work": "领域",
    "reported": "上报",
    "on time": "按期",
    "due": "应处置",
    "rate": "按期处置率",
    "overdue": "超时",
    "rank": "名次",
    "area": "区域",
    "estimate": "收缩率",
    "from": "区间下限",
    "to": "区间上限",
    "day": "日期",
    "month": "月份",
    "last year": "去年同期",
    "usual P10": "常态 P10",
    "usual P90": "常态 P90",
    "of those reported": "占上报",
    "stage": "环节",
    "came this far": "到过此环节",
    "stands here": "停在此环节",
    "n": "件数",
    "P50": "P50",
    "P90": "P90",
    "P50 working": "P50 工时",
    "P90 working": "P90 工时",
    "weekday": "星期",
    "unit": "单位",
    "source": "来源",
    "kind": "性质",
    "published": "引用",
    "computed": "计算",
    "year": "年份",
    "not accepted": "不予受理",
    "merged": "并案",
    "Monday": "星期一",
    "Tuesday": "星期二",
    "Wednesday": "星期三",
    "Thursday": "星期四",
    "Friday": "星期五",
    "Saturday": "星期六",
    "Sunday": "星期日",
    "blue now, grey last year, band usual": "蓝线本期，灰线去年同期，浅带前 12 周同星期常态",
    "listed, not ranked": "只列不排",
    "whole": "合计",
}
UNITS = {"宗": "cases", "件": "cases", "个": "", "月": "months"}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def say(text: str, lang: str) -> str:
    """Return a word of the briefings in `zh` or `en`."""
    return _CHINESE[text] if lang == "zh" else text


def rate(value: Fraction | None, lang: str) -> str:
    """Return a rate with one digit after the point, as the screen has it: 98.3%."""
    return shown(value, lang, 1).replace(" ", "") if value is not None else shown(None, lang)


def points(value: Fraction | None, lang: str) -> str:
    """Return a difference of rates in points, signed: +1.1 点; it is never a per cent."""
    if value is None:
        return NO_DATA[0 if lang == "zh" else 1]
    return f"{signed(value * 100)} {'点' if lang == 'zh' else 'pts'}"


def change(value: Fraction | None, lang: str) -> str:
    """Return a relative change of a count, signed: +2.3%."""
    if value is None:
        return NO_DATA[0 if lang == "zh" else 1]
    return f"{signed(value * 100)}%"


def show(kind: Kind, value: Value, lang: str) -> str:
    """Return a cell of a table as text; None reads as no data."""
    if value is None:
        return NO_DATA[0 if lang == "zh" else 1]
    match kind:
        case "text":
            return str(value)
        case "count":
            return f"{value:,}"
        case "rate":
            return rate(_exact(value), lang)
        case "points":
            return points(_exact(value), lang)
        case "change":
            return change(_exact(value), lang)
        case "value":
            return shown(_exact(value), lang, 2, percent=False)
        case "minutes":
            return _duration(_exact(value), lang)


def _duration(minutes: Fraction, lang: str) -> str:
    if minutes < HOURS_FROM:
        return f"{shown(minutes, lang, 1, percent=False)} {'分' if lang == 'zh' else 'min'}"
    if minutes < DAYS_FROM:
        return f"{shown(minutes / 60, lang, 1, percent=False)} {'时' if lang == 'zh' else 'h'}"
    return f"{shown(minutes / 1440, lang, 1, percent=False)} {'天' if lang == 'zh' else 'd'}"


def _exact(value: Value) -> Fraction:
    assert isinstance(value, (int, float, Fraction))
    return Fraction(value)


def name_of(period: Period, lang: str) -> str:
    """Return a period as it is spoken: 2026年10月, 2026年10月5日, or 2026年10月5日至11日."""
    first, last = period.days[0], period.days[-1]
    if lang != "zh":
        if period.kind in ("month", "quarter"):
            return f"{first:%B %Y}" if period.kind == "month" else f"Q{period.quarter} {first.year}"
        return _day(first) if last == first else f"{_day(first)} to {_day(last)}"
    if period.kind == "month":
        return f"{first.year}年{first.month}月"
    if period.kind == "quarter":
        return f"{first.year}年第{period.quarter}季度"
    text = f"{first.year}年{first.month}月{first.day}日"
    year = f"{last.year}年" if last.year != first.year else ""
    return text if last == first else f"{text}至{year}{last.month}月{last.day}日"


def before_of(picture: Overview, lang: str) -> str:
    """Return what the period before is called beside this one: 上月, 前 30 天, or 上月同样天数 while the month runs."""
    period, days = picture.period, len(picture.period.days)
    zh, en = {
        "day": ("前一日", "the day before"),
        "week": ("上周", "the week before"),
        "month": ("上月", "the month before"),
        "quarter": ("上季度", "the quarter before"),
        "free": (f"前 {days} 天", f"the {days} days before" if days > 1 else "the day before"),
    }[period.kind]
    if picture.compared[0] != period.before:
        zh, en = f"{zh}同样天数", f"as many days of {en}"
    return zh if lang == "zh" else en


def day_of(day: date, lang: str) -> str:
    """Return a day whose year is known: 10月5日, 5 Oct."""
    return f"{day.month}月{day.day}日" if lang == "zh" else f"{day.day} {day:%b}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def local(at: datetime, zone: str) -> str:
    """Return an instant on the city's own clock, to the minute."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Clause:
    """Hold one clause of the sentence on top, and the cases behind it.

    `more` says that it goes on with a list, `aside` that it adds to the clause before.
    """

    text: str
    cases: CaseSet | None
    more: bool = False
    aside: bool = False

    def joint(self, lang: str) -> str:
        """Return what stands between the clause before and this one."""
        if lang == "zh":
            return "、" if self.more else "，" if self.aside else "；"
        return ", " if self.more or self.aside else "; "


def clauses(picture: Overview, lang: str) -> tuple[Clause, ...]:
    """Return the sentence on top by rule: the rate and its changes, the lowest, and what is past its limit now.

    An area of work or a place is named as lower only where its whole interval lies below the rate of all.
    """
    zh = lang == "zh"
    figure = picture.figure("on_time")
    found = []
    reports = picture.figure("reported").now
    if reports.value is None or not reports.credited.count:
        text = "本期没有上报" if zh else "Nothing was reported in this period"
        found.append(Clause(text, reports.credited.cases))
    elif figure.now.value is None:
        count = reports.credited.count
        text = (
            f"上报 {count:,} 件，还没有到期应处置的件"
            if zh
            else f"{count:,} were reported, none of them due yet"
        )
        found.append(Clause(text, reports.credited.cases))
    else:
        found.append(
            Clause(
                f"按期处置率 {rate(figure.now.value, lang)}" if zh
                else f"{rate(figure.now.value, lang)} were disposed of on time",
                figure.now.credited.cases,
            )
        )  # fmt: skip
        for against, value, then in (
            (before_of(picture, lang), figure.change, figure.before),
            ("去年同期" if zh else "a year ago", figure.change_year, figure.year_ago),
        ):
            if value is not None:
                found.append(_moved(against, value, then.credited.cases, lang))
        found += _lowest(picture, lang)
    red = picture.overdue_now
    if red.count:
        text = f"此刻超时 {red.count:,} 件" if zh else f"{red.count:,} are past a limit now"
        found.append(Clause(text, red.cases))
        if picture.overdue_places:
            area, most = picture.overdue_places[0]
            name = area.name if zh or not area.name_en else area.name_en
            text = f"{name}最多（{most.count:,} 件）" if zh else f"most in {name} ({most.count:,})"
            found.append(Clause(text, most.cases, aside=True))
    return tuple(found)


def sentence(picture: Overview, lang: str) -> str:
    """Return the sentence on top."""
    text = ""
    for clause in clauses(picture, lang):
        text += (clause.joint(lang) if text else "") + clause.text
    return text + ("。" if lang == "zh" else ".")


def _moved(against: str, value: Fraction, cases: CaseSet, lang: str) -> Clause:
    size = shown(abs(value) * 100, lang, 1, percent=False)
    same = not size.strip("0.")  # a change that is shown as none is none
    if lang == "zh":
        text = f"与{against}持平" if same else f"比{against}{'升' if value > 0 else '降'} {size} 个百分点"
        return Clause(text, cases)
    text = f"as in {against}" if same else f"{size} points {'more' if value > 0 else 'less'} than {against}"
    return Clause(text, cases)


def _lowest(picture: Overview, lang: str) -> list[Clause]:
    zh = lang == "zh"
    whole = picture.figure("on_time").now.value
    assert whole is not None
    found: list[tuple[Fraction | float, str, Reading]] = []
    for line in picture.themes:
        now = line.on_time.now
        if now.value is not None and now.base is not None and now.base.count >= picture.min_count:
            if wilson(float(now.n), now.base.count)[1] < whole:
                name = line.name if zh else line.name_en
                found.append(
                    (
                        now.value,
                        f"{name}（{rate(now.value, lang)}）" if zh else f"{name} ({rate(now.value, lang)})",
                        now,
                    )
                )
    places: list[tuple[Fraction | float, str, Reading]] = []
    for place in picture.places:
        if place.below and place.shrunk is not None and place.on_time.base is not None:
            counts = f"{place.on_time.credited.count:,}/{place.on_time.base.count:,}"
            name = place_name(place, lang)
            places.append(
                (place.shrunk, f"{name}（{counts}）" if zh else f"{name} ({counts})", place.on_time)
            )
    named = (
        sorted(found, key=lambda e: e[0])[:LOWEST_NAMED] + sorted(places, key=lambda e: e[0])[:LOWEST_NAMED]
    )
    if not named:
        return [
            Clause("没有哪个领域或区域明显偏低" if zh else "no area of work or place is clearly lower", None)
        ]
    lowest = []
    for i, (_, text, reading) in enumerate(named):
        head = "" if i else "明显偏低的是" if zh else "clearly lower are "
        missed = reading.missed
        lowest.append(Clause(head + text, missed.cases if missed is not None else None, i > 0))
    return lowest


def place_name(place: Place, lang: str) -> str:
    """Return a place's name in the language; one that has no English name keeps its Chinese one."""
    return place.name if lang == "zh" or not place.name_en else place.name_en


def title(picture: Overview, lang: str) -> str:
    """Return the briefing's title: the area, the period and what it is."""
    zh = lang == "zh"
    name = picture.area.name if zh or not picture.area.name_en else picture.area.name_en
    what = {
        "day": "daily briefing", "week": "weekly briefing", "month": "monthly briefing",
        "quarter": "quarterly briefing", "free": "briefing",
    }[picture.period.kind]  # fmt: skip
    text = f"{name} {name_of(picture.period, lang)} {say(what, lang)}"
    return text


def notes(picture: Overview, zone: str, lang: str) -> tuple[str, ...]:
    """Return what must be known beside the numbers: their time, whether they can change, and what they count."""
    zh = lang == "zh"
    at = picture.counted_at or picture.as_of
    found = [
        f"数字截至 {local(at, zone)}（城市时间）"
        if zh
        else f"Numbers as of {local(at, zone)}, the city's time"
    ]
    judged = picture.judged
    if judged is not None and judged.frozen:
        when = local(judged.as_of, zone)
        found.append(
            f"本月考核已冻结（截至 {when}，规则第 {judged.rules_version} 版），此后的变化见更正"
            if zh
            else f"The month's assessment is frozen as of {when}, rules {judged.rules_version}; later changes stand"
            " in its corrections"
        )
    if picture.open.count:
        frozen = judged is not None and judged.frozen
        found.append(
            f"{'' if frozen else '暂定：'}本期还有 {picture.open.count:,} 件未结，这里的数字还会变"
            f"{'，考核分不变' if frozen else ''}"
            if zh
            else f"{'' if frozen else 'Provisional: '}{picture.open.count:,} cases of the period are open and can still"
            f" change these numbers{', not the scores' if frozen else ''}"
        )
    found.append(
        "按上报日归集；按期处置率只算已到期应处置的件；率之差以点计"
        if zh
        else "Counted by the day of reporting; on-time rates over what was due; differences of rates in points"
    )
    return tuple(found)


def shortest(rows: Sequence[Place], each_end: int) -> tuple[tuple[Place, ...], int]:
    """Return the best and the last of the ranked places, and how many between them are left out."""
    ranked = [place for place in rows if place.rank is not None]
    if len(ranked) <= 2 * each_end:
        return tuple(ranked), 0
    return (*ranked[:each_end], *ranked[-each_end:]), len(ranked) - 2 * each_end

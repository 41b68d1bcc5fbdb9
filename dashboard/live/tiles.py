"""What a wall shows of one area: the picture's counters and lists, told in one language and encoded."""

from __future__ import annotations

import heapq
from datetime import datetime, timedelta
from typing import Any

import msgspec

from dashboard.data import Area, Directory, LiveRow
from dashboard.live import messages
from dashboard.live.minute import Lately, Minute
from dashboard.live.picture import (
    ESCALATED,
    OPEN,
    PLEASED,
    RED,
    SATISFIED,
    SUPERVISED,
    THEME_RED,
    THEME_REPORTED,
    THEME_YELLOW,
    WHISTLES,
    WHISTLES_OVER,
    YELLOW,
    Picture,
    limit_of,
    zeros,
)  # fmt: skip
from dashboard.wording.catalogue import clock_name, done, pick, shorter, shortest, translator
from dispatch.rules.areas import Level, ancestors, centre_of, level_of, prefix_of
from dispatch.rules.incident.chain import ENDED, STATES, STEPS
from dispatch.rules.time.clocks import yellow_from
from dispatch.rules.wartime import KINDS, LEVELS

# Older than this a tile of the live picture is stale in the browser, in ms; tiles that are read once a minute: 150 s.
LIVE_PERIOD_MS, MINUTE_PERIOD_MS = 15_000, 150_000
RANK_ROWS = 3
RANK_BASE = 5  # a rate over fewer cases is not ranked
WHISTLED_SPAN = timedelta(hours=24)  # whistles of late: at night "today" would know none
BRIEF = 8  # characters that the name of a type may have on a wall before it is cut at a stop
THEMES = tuple(f"{n:02}" for n in range(1, 11))

# "第035微网格（学校）" is said as "035 学校".
_PLAIN_CELL = str.maketrans({"第": "", "（": " ", "）": ""})

_encode = msgspec.json.Encoder().encode


def tiles(picture: Picture, minute: Minute, code: str, lang: str, demo: bool) -> dict[str, bytes]:
    """Encode every tile of one area's wall in one language."""
    teller = _Teller(picture, minute, code, lang, demo)
    return {name: _encode(getattr(teller, name)()) for name in TILES}


TILES = ("head", "six", "rank", "duty", "map", "parts", "reds", "whistles", "raised", "ten", "ticker")


class _Teller:
    """Tell one area's tiles in one language."""

    def __init__(self, picture: Picture, minute: Minute, code: str, lang: str, demo: bool) -> None:
        self.picture, self.minute, self.code, self.lang, self.demo = picture, minute, code, lang, demo
        self.area = picture.directory.areas[code]
        self.level = Level(self.area.level)
        self.counts = picture.counts.get(code) or zeros()
        self.then = (picture.then.get(code) or zeros()) if picture.past_known else None
        self.t = translator(lang)

    def name(self, code: str) -> str:
        area = self.picture.directory.areas.get(code)
        return code if area is None else pick(self.lang, area.name, area.name_en)

    def shown(self) -> list[Area]:
        """Return the areas that the map fills: a city's towns, else the level below; micro grids of a village."""
        minute = self.minute
        match self.level:
            case Level.CITY:
                counties = minute.children.get(self.code, ())
                return [town for county in counties for town in minute.children.get(county.code, ())]
            case Level.VILLAGE | Level.SMALL:
                own = [a for a in minute.children.get(self.code, ()) if a.level == Level.MICRO]
                small = [a for a in minute.children.get(self.code, ()) if a.level == Level.SMALL]
                own += [m for s in small for m in minute.children.get(s.code, ())]
                return [a for a in own if a.kind != "outbound"]
        return minute.children.get(self.code, [])

    def head(self) -> messages.Head:
        t, cells = self.t, self.minute.cells.get(self.code) or [0] * 7
        unit = {
            Level.CITY: t("{place} City Brain"),
            Level.COUNTY: t("{place} County Brain"),
            Level.TOWN: t("{place} Town Brain"),
            Level.VILLAGE: t("{place} Village Brain"),
        }.get(self.level, "{place}")
        words = {
            Level.COUNTY: t("counties"), Level.TOWN: t("towns"), Level.VILLAGE: t("villages"),
            Level.SMALL: t("small grids"), Level.MICRO: t("micro grids"),
        }  # fmt: skip
        below = [level for level in words if level > max(self.level, Level.COUNTY) and cells[level]]
        map_level = {Level.CITY: 3, Level.COUNTY: 3, Level.TOWN: 4}.get(self.level, 6)
        city = self.level is Level.CITY
        return messages.Head(
            code=self.code,
            level=int(self.level),
            unit=unit.format(place=self.name(self.code)),
            crumbs=[messages.Crumb(each, self.name(each)) for each in reversed(ancestors(self.code)[1:])],
            cells=[messages.Cells(cells[level], words[level]) for level in below],
            demo=self.demo,
            wartime=self.wartime(),
            schematic=self.picture.directory.schematic,
            map_level=map_level,
            by=words.get(Level(map_level), ""),
            shown=[messages.Shown(a.code, self.short(a), a.lon, a.lat) for a in self.shown()],
            outlines=[messages.Outline(self.name(a.code), a.lon, a.lat) for a in self.parts_of() if city],
            parts=self.t("Counties and districts") if city else self.t("Where most is overdue"),
            periods=messages.Periods(LIVE_PERIOD_MS, MINUTE_PERIOD_MS),
        )

    def wartime(self) -> messages.Wartime | None:
        """Return the gravest wartime of this area in words, with where it is unless that is here; None in peace."""
        held = self.picture.wartime_of(self.code)
        if held is None:
            return None
        word = 0 if self.lang == "zh" else 1
        kind, level = KINDS[held.kind][word], LEVELS[held.level][word]
        where = "" if self.code.startswith(prefix_of(held.area_code)) else self.name(held.area_code)
        return messages.Wartime(held.level, f"{kind} {level}", where)

    def short(self, area: Area) -> str:
        """Return a name as it is said inside this area: without its parent's name, in English without its rank."""
        name = pick(self.lang, area.name, area.name_en)
        if self.lang != "zh":
            if area.level == Level.MICRO:
                return name.rpartition(" ")[2]
            return name.rpartition(" ")[0] or name if area.level in (Level.COUNTY, Level.TOWN) else name
        above = self.area.name
        if len(name) > len(above) and name.startswith(above):
            name = name[len(above) :]
        return name.translate(_PLAIN_CELL).replace("微网格", "") if area.level == Level.MICRO else name

    def six(self) -> messages.Six:
        then = None if self.then is None else self.then[: PLEASED + 1]
        return messages.Six(self.counts[: PLEASED + 1], then)

    def rank(self) -> messages.Rank:
        if self.level is Level.CITY:
            ranked = self.shown()
        else:
            ranked = [a for a in self.minute.children.get(self.code, ()) if a.kind != "outbound"]
        rows = []
        for area in ranked:
            good, base = self.minute.disposals.get(area.code, (0, 0))
            if base >= RANK_BASE:
                rows.append((-good / base, -base, area, good, base))
        rows.sort(key=lambda row: (row[0], row[1], row[2].code))
        places = [
            messages.Ranked(place + 1, area.code, self.short(area), good, base, self.cause(area.code))
            for place, (_, _, area, good, base) in enumerate(rows)
        ]
        cut = places if len(places) <= 2 * RANK_ROWS else [*places[:RANK_ROWS], *places[-RANK_ROWS:]]
        levels = {a.level for a in ranked}
        who = {Level.TOWN: self.t("Towns"), Level.VILLAGE: self.t("Villages")}.get(
            Level(min(levels)) if levels else Level.TOWN, self.t("Grids")
        )
        return messages.Rank(ms(self.minute.at), cut, len(places), who)

    def cause(self, code: str) -> messages.Cause | None:
        """Return what an area's late disposals of the month were about most, in its wordings, and how many."""
        late = self.minute.late.get(code)
        if not late:
            return None
        theme, n = min(late.items(), key=lambda each: (-each[1], each[0]))
        names = self.picture.directory.themes.get(theme)
        if names is None:
            return None
        return messages.Cause(
            list(dict.fromkeys((*self.wordings(*names), shortest(self.lang, pick(self.lang, *names))))), n
        )

    def duty(self) -> messages.Duty:
        workers = self.minute.workers.get(self.code, {})
        ready, teams = self.minute.teams.get(self.code) or (0, 0)
        kinds = (workers.get("full_time", 0), workers.get("part_time", 0), workers.get("professional", 0))
        return messages.Duty(ms(self.minute.at), (ready, teams), kinds)

    def map(self) -> list[messages.Rate]:
        counts = self.picture.counts
        none = messages.Rate(0, 0)
        return [messages.Rate(c[RED], c[OPEN]) if (c := counts.get(a.code)) else none for a in self.shown()]

    def parts(self) -> list[messages.Below]:
        counts = self.picture.counts
        return [
            messages.Below(
                a.code,
                self.short(a),
                *((c[RED], c[YELLOW], c[OPEN]) if (c := counts.get(a.code)) else (0, 0, 0)),
            )
            for a in self.parts_of()
        ]

    def parts_of(self) -> list[Area]:
        """Return the areas of the tile below the map: a city's counties; else those below with most overdue."""
        if self.level is Level.CITY:
            return self.minute.children.get(self.code, [])
        counts = self.picture.counts
        below = self.shown()

        def worst(area: Area) -> tuple[int, int, int, str]:
            c = counts.get(area.code)
            return (-c[RED], -c[YELLOW], -c[OPEN], area.code) if c else (0, 0, 0, area.code)

        return heapq.nsmallest(5, below, key=worst)

    def reds(self) -> messages.Reds:
        rows = [
            messages.RedLine(**self.line(row), light=light, due=_ms(limit_of(row)), next=self.next_up(row))
            for row, light in self.picture.reds(self.code)
        ]
        return messages.Reds(self.counts[RED], self.counts[YELLOW], rows)

    def next_up(self, row: LiveRow) -> messages.NextUp | None:
        """Return when and to which level (2 county, 1 city) an incident goes up next if nothing happens."""
        up = self.picture.goes_up(row)
        return None if up is None else messages.NextUp(ms(up.at), up.level)

    def whistles(self) -> messages.Whistles:
        directory = self.picture.directory
        rows = []
        for row, part in self.picture.whistles(self.code):
            answer, arrive = part.clocks.get("pick_up"), part.clocks.get("arrive")
            answered = answer is None or not answer.awaited
            limit = arrive if answered else answer
            rows.append(
                messages.WhistleLine(
                    **self.line(row),
                    sent=ms(part.sent_at),
                    answer=None if answer is None or answered else _ms(answer.due),
                    arrive=_ms(arrive.due) if arrive is not None else None,
                    near=None if limit is None else _ms(yellow_from(limit, directory.calendar)),
                    to=self.team(part.team_id),
                    kind=self.blown(part.blown),
                )
            )
        return messages.Whistles(
            self.counts[WHISTLES], self.counts[WHISTLES_OVER], rows, self.lately(), axis(directory)
        )

    def lately(self) -> messages.Lately:
        """Return how the last day's whistles went, for the room that those which wait leave."""
        own = self.minute.lately.get(self.code) or Lately()
        last = []
        for each in own.last:
            kind = self.picture.directory.types.get(each.category)
            assert each.arrived_at is not None
            took = each.arrived_at - each.sent_at
            last.append(
                messages.LateWhistle(
                    at=ms(each.arrived_at),
                    took=round(took.total_seconds() / 60),
                    in_time=each.in_time,
                    type=self.wordings(kind.name, kind.name_en) if kind is not None else [each.category],
                    place=self.place(each.area_code),
                    to=self.team(each.team_id),
                )
            )
        return messages.Lately(own.sent, own.answered, own.in_time, last)

    def blown(self, kind: str) -> list[str]:
        """Return the wordings of a whistle's kind; one that the type of incident blew by itself has none."""
        kinds = {
            "hard": self.t("hard problem"),
            "joint": self.t("joint enforcement"),
            "emergency": self.t("emergency"),
        }
        return list(dict.fromkeys((word, shorter(self.lang, word)))) if (word := kinds.get(kind)) else []

    def raised(self) -> messages.Raised:
        rows = []
        for row, each in self.picture.raised(self.code):
            to = {1: self.t("Raised to the city"), 2: self.t("Raised to the county")}.get(each.level or 0)
            what = self.t("Supervised") if each.verb == "supervise" else to or self.t("Raised")
            rows.append(messages.HappenedLine(**self.line(row), at=ms(each.at), what=what))
        return messages.Raised(self.counts[ESCALATED], self.counts[SUPERVISED], rows)

    def ten(self) -> list[messages.Theme]:
        themes = self.picture.directory.themes
        return [
            messages.Theme(
                self.wordings(*themes[theme]) if theme in themes else [theme],
                self.counts[THEME_REPORTED + n],
                None if self.then is None else self.then[THEME_REPORTED + n],
                self.counts[THEME_RED + n],
                self.counts[THEME_YELLOW + n],
            )
            for n, theme in enumerate(THEMES)
        ]

    def ticker(self) -> list[messages.HappenedLine]:
        return [
            messages.HappenedLine(**self.line(row), at=ms(row.last_at), what=self.happened(row))
            for row in self.picture.happenings(self.code)
        ]

    def line(self, row: LiveRow) -> dict[str, Any]:
        """Return what every list says of an incident: which, what, where, whose step and in whose hands."""
        codes = ancestors(row.area_code)
        kind = self.picture.directory.types.get(row.category)
        point = self.picture.directory.areas.get(row.area_code)
        if point is None or point.lon is None:
            point = self.picture.directory.areas.get(codes[0][:12])
        lon, lat = (row.lon, row.lat) if row.lon is not None else (point and point.lon, point and point.lat)
        raised = min(row.level, 3) if row.level < level_of(centre_of(row.area_code)) else 0
        return {
            "id": str(row.id),
            "sev": row.severity,
            "type": self.wordings(kind.name, kind.name_en) if kind is not None else [row.category],
            "place": self.place(row.area_code),
            "step": clock_name(row.awaits, self.lang) if row.awaits else "",
            "holder": self.holder(row.holder),
            "up": raised,
            "area": row.area_code,
            "lon": lon,
            "lat": lat,
        }

    def place(self, code: str) -> list[str]:
        """Return the names of a place from town down, inside a town's own wall from below it."""
        place = [c for c in ancestors(code) if level_of(c) in (Level.TOWN, Level.VILLAGE)]
        if self.level >= Level.TOWN:
            place = [c for c in place if level_of(c) > self.level] or place[:1]
        return [self.name(c) for c in reversed(place)]

    def wordings(self, zh: str, en: str) -> list[str]:
        """Return a name in full, then its first words, then its short wording: a wall shows what fits, uncut."""
        return list(
            dict.fromkeys((_brief(self.lang, zh, en), shorter(self.lang, zh if self.lang == "zh" else en)))
        )

    def holder(self, holder: str) -> list[str]:
        """Return the wordings of who holds an incident, the fullest first."""
        kind, _, key = holder.partition("/")
        if kind == "team":
            return self.team(int(key))
        place = self.name(key)
        return [
            self.t("{place} command centre").format(place=place),
            self.t("{place} centre").format(place=place),
        ]

    def team(self, team_id: int) -> list[str]:
        """Return the wordings of a team: its name, then where it is and its trade in short, then the trade alone."""
        team = self.picture.directory.teams.get(team_id)
        if team is None:
            return [str(team_id)]
        area = self.picture.directory.areas.get(team.area_code)
        name = pick(self.lang, team.name, team.name_en)
        if area is None:
            return [name]
        place = self.name(area.code)
        trade = name[len(place) :].strip() if name.startswith(place) else name
        named = self.picture.directory.trades.get(team.trade)
        last = trade if named is None else shorter(self.lang, pick(self.lang, *named))
        if self.lang == "zh":
            return list(dict.fromkeys((name, trade, last)))
        if trade == name:
            return list(dict.fromkeys((name, shorter(self.lang, name), last)))
        brief = shorter(self.lang, trade)
        return list(
            dict.fromkeys(
                (name, f"{place} {brief}", f"{place.rpartition(' ')[0] or place} {brief}", brief, last)
            )
        )

    def happened(self, row: LiveRow) -> str:
        step = STEPS.get(row.last_verb)
        state = STATES[row.state][0 if self.lang == "zh" else 1]
        # In English these states are named after the step that was taken: what waits is said instead.
        waits = {"reported": self.t("waiting for acceptance"), "accepted": self.t("waiting for dispatch")}
        state = waits.get(row.state, state)
        if row.state in ENDED and row.last_verb != "rate":
            return state
        if row.last_verb == "rate":
            pleased = (row.rating or 0) >= SATISFIED
            return self.t("rated: satisfied") if pleased else self.t("rated: not satisfied")
        if row.last_verb == "report" or step is None:
            return self.t("reported, {state}").format(state=state)
        taken = done(self.lang, pick(self.lang, step.zh, step.en))
        return self.t("{done}, {state}").format(done=taken, state=state)


def _brief(lang: str, zh: str, en: str) -> str:
    """Return the short name of an event type: without brackets, and a long one only up to its first stop."""
    name = pick(lang, zh, en)
    for bracket in ("(", "（"):
        name = name.partition(bracket)[0].strip()
    if lang == "zh" and len(name) > BRIEF:
        for stop in ("、", "/"):
            first = name.partition(stop)[0]
            name = first if len(first) > BRIEF // 2 - 1 else name
    return name


def axis(directory: Directory) -> messages.Axis:
    """Return the minutes of a whistle's bar."""
    return messages.Axis(*directory.whistle_minutes)


def ms(at: datetime) -> int:
    """Return an instant as the scripts take it: whole milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else ms(at)

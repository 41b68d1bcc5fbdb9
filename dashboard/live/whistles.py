"""Say what the whistle board shows: its rows and rates, in one language, instants in milliseconds."""

from __future__ import annotations

from datetime import datetime

from dashboard.data import Directory
from dashboard.data.whistles import Board, Whistle
from dashboard.live.messages import BoardMessage, BoardRate, BoardRow
from dashboard.live.tiles import axis, ms
from dashboard.wording.catalogue import Translate, pick, translator
from dashboard.wording.names import capital
from dispatch.intake.messages import show_number
from dispatch.rules.law import ASSIGNMENT_STATES
from dispatch.rules.time.clocks import Clock, light, yellow_from
from dispatch.rules.words import say


def shown(board: Board, directory: Directory, lang: str, now: datetime) -> BoardMessage:
    """Return a board as the screen shows it: words in its language, instants in milliseconds."""
    _ = translator(lang)
    return BoardMessage(
        rows=[row(each, directory, lang, now) for each in board.rows],
        rates=[
            BoardRate(
                name=capital(say((rate.indicator.zh, rate.indicator.en), lang)),
                n=float(rate.n),
                d=rate.d,
                top=rate.indicator.top,
            )
            for rate in board.rates.values()
        ],
        inside=board.inside,
        more=board.more,
        axis=axis(directory),
    )


def row(whistle: Whistle, directory: Directory, lang: str, now: datetime) -> BoardRow:
    """Return one whistle as the screen shows it."""
    _ = translator(lang)
    incident, part = whistle.incident, whistle.part
    kind = directory.types.get(incident.category)
    team = directory.teams.get(part.team_id)
    clock = whistle.next
    arrive = part.clocks.get("arrive")
    yellow = yellow_from(clock, directory.calendar) if clock is not None and clock.awaited else None
    names = ASSIGNMENT_STATES[part.state]
    return BoardRow(
        id=incident.id,
        part=part.id,
        number=show_number(incident.number),
        title=incident.category if kind is None else pick(lang, kind.name, kind.name_en),
        severity=incident.severity,
        place=place(incident.area_code, directory, lang),
        team=str(part.team_id) if team is None else pick(lang, team.name, team.name_en),
        kind=whistle_kind(str(part.facts.get("whistle_kind", "")), _),
        state=say(names, lang),
        over=part.state in ("refused", "declined", "recalled"),
        review=part.state == "review",
        sent=ms(part.sent_at),
        answered=_ms(whistle.ended("pick_up")),
        arrived=_ms(whistle.ended("arrive")),
        done=_ms(whistle.done_at),
        ended=part.state == "ended",
        rating=whistle.rating,
        answer_due=_due(part.clocks.get("pick_up")),
        arrive_due=_due(arrive),
        due=_due(clock),
        yellow=_ms(yellow),
        # How it came out once it is there: in time or late.
        light="" if arrive is None or arrive.ended is None else light(arrive, now, directory.calendar),
        late_answer=(pick_up := part.clocks.get("pick_up")) is not None and pick_up.state == "breached",
    )


def whistle_kind(kind: str, _: Translate) -> str:
    """Return the kind of a whistle in words; one that the type of incident blew by itself has none."""
    kinds = {"hard": _("hard problem"), "joint": _("joint enforcement"), "emergency": _("emergency")}
    return kinds.get(kind, "")


def place(code: str, directory: Directory, lang: str) -> str:
    """Return town and village of an area, as far as they are known."""
    names = [directory.areas[each] for each in (code[:9], code[:12]) if each in directory.areas]
    parts = dict.fromkeys(pick(lang, each.name, each.name_en) for each in names if each.level >= 3)
    return say(("", ", "), lang).join(parts if lang == "zh" else reversed(parts))


def _due(clock: Clock | None) -> int | None:
    return None if clock is None else _ms(clock.due)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else ms(at)

"""Arranges one case for a desk: head, clocks, photos, timeline, who held it how long; pure, rows in, HTML out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from dashboard.components import sheet
from dashboard.data import Detail, Directory, SegmentRow
from dashboard.data.workbench import Like
from dashboard.live.queue import clock_words
from dashboard.markup import Markup, joined, markup
from dashboard.wording import names
from dashboard.wording.catalogue import clock_name, limit_words, pick, translator
from dashboard.wording.names import zone
from dispatch.intake.messages import show_number
from dispatch.rules.incident.chain import LIVE, STATES, Assignment, Event, Incident
from dispatch.rules.law import MODE_NAMES
from dispatch.rules.policy.policy import Policy
from dispatch.rules.time.calendar import Calendar, Limit
from dispatch.rules.time.clocks import Clock, yellow_from

SEVERITIES = ("", "extreme", "urgent", "pressing", "ordinary")
ORDER = ("accept", "dispatch", "pick_up", "arrive", "dispose", "verify", "close")
EVENTS_SHOWN = 8
PHOTOS_ABREAST = 3
NEAR_M = 60  # so near that two reports are most likely of one matter
LEDGER_PX, LEDGER_EDGE_PX = 540, 18  # the bar at its narrowest, and what one stretch keeps clear
SOON = timedelta(hours=2)
_PHOTO = re.compile(r"photo:([0-9a-f]{64})")


@cache
def style() -> str:
    """Return the style sheet of a case's parts, wherever they stand."""
    return sheet("workbench/workbench.css")


def titled(title: str, note: str = "", body: Markup | None = None) -> Markup:
    """Return a part of a case under its title, with what there is to know of it beside."""
    beside = markup(' <span class="wb-m">{note}</span>', note=note) if note else ""
    return markup(
        '<span class="wb-h2">{title}</span>{beside}{body}', title=title, beside=beside, body=body or ""
    )


def head(incident: Incident, directory: Directory, lang: str) -> Markup:
    """Return what a case is: severity, way of handling, state, type, number, and its text as the title."""
    _ = translator(lang)
    kind = directory.types.get(incident.category)
    theme = directory.themes.get(kind.theme) if kind is not None else None
    name = pick(lang, kind.name, kind.name_en) if kind is not None else incident.category
    above = f"{theme[0 if lang == 'zh' else 1]} / " if theme is not None else ""
    at = 0 if lang == "zh" else 1
    tags = [STATES[incident.state][at], MODE_NAMES[incident.mode][at] if incident.mode in MODE_NAMES else ""]
    if incident.paused_why is not None:
        tags.append(_("suspended: {why}").format(why=incident.paused_why))
    if incident.facts.get("returns"):
        tags.append(_("returned {n} times").format(n=incident.facts["returns"]))
    shown = joined([markup('<span class="gw-tag">{tag}</span>', tag=tag) for tag in tags if tag])
    title = incident.text.strip().replace("\n", " ") or name
    long = len(title) > 60
    return markup(
        '<div class="wb-row"><span class="gw-chip s{n}">{severity}</span>'
        '{tags}<span class="wb-m2">{kind} · {number}</span></div><div class="wb-title">{title}</div>{body}',
        n=incident.severity, severity=_(SEVERITIES[incident.severity]), tags=shown, kind=above + name,
        number=show_number(incident.number), title=title[:60] + ("…" if long else ""),
        body=markup('<div class="wb-text">{text}</div>', text=incident.text) if long else "",
    )  # fmt: skip


def where(incident: Incident, directory: Directory, lang: str) -> str:
    """Return where a case lies and how that is known."""
    _ = translator(lang)
    known = {
        "point": _("position given"),
        "code": _("by its area"),
        "address": _("by its address"),
        "default": _("not located: the area's centre"),
    }[incident.located]
    place = names.place(directory, incident.area_code, lang)
    own = names.area(directory, incident.area_code, lang)
    parts = [
        place,
        own if own not in place else "",
        incident.address if incident.address not in own else "",
        known,
    ]
    return " · ".join(part for part in parts if part)


def clocks(
    incident: Incident, calendar: Calendar, now: datetime, lang: str, policy: Policy | None = None
) -> list[dict[str, Any]]:
    """Return a case's clocks in the order of the chain for the strip: done, running now, and to come.

    What has not begun stands with the limit that it will have; `law` is the one that the case was opened under.
    """
    _ = translator(lang)
    rows: list[dict[str, Any]] = [
        {"name": f"{_('reported')} ✓", "state": "done", "text": _hm(incident.reported_at, now)}
    ]
    leads = [part for part in incident.parts.values() if part.role == "lead" and part.state != "review"]
    lead = incident.lead or (leads[-1] if leads else None)
    for kind in ORDER:
        own = incident.clocks.get(kind) or (lead.clocks.get(kind) if lead is not None else None)
        if own is None:
            if (limit := _to_come(incident, kind, policy)) is not None:
                far = " far" if kind == "verify" else ""
                words = _("within {limit}").format(limit=limit_words(limit.text, lang))
                rows.append({"name": clock_name(kind, lang), "state": f"next{far}", "text": words})
            continue
        rows.append(_step(kind, clock_name(kind, lang), own, incident.awaits == kind, calendar, now, lang))
    for part in incident.parts.values():
        for kind, name in _whistle(part):
            clock = part.clocks.get(kind)
            if clock is not None and clock.awaited:
                rows.append(_step(kind, clock_words(name, lang), clock, True, calendar, now, lang))
    return rows


def _to_come(incident: Incident, kind: str, policy: Policy | None) -> Limit | None:
    """Return the limit of a step that the case has not come to yet, or None where it has none."""
    if policy is None or incident.ended_at is not None or incident.facts.get("imported"):
        return None
    awaited = incident.awaits if incident.awaits in ORDER else ""
    if not awaited or ORDER.index(kind) <= ORDER.index(awaited) or incident.category not in policy.types:
        return None
    own = policy.types[incident.category]
    limit = {
        # What goes straight to its team is never waited for by a desk's dispatch.
        "dispatch": None if incident.mode in policy.straight else policy.dispatch[incident.severity],
        "pick_up": policy.pick_up[incident.severity],
        "arrive": own.arrive,
        "dispose": own.dispose,
        "verify": own.verify,
    }.get(kind)
    return limit.halved if limit is not None and incident.facts.get("wartime") else limit


def _whistle(part: Assignment) -> tuple[tuple[str, str], ...]:
    """Return (clock, its name) of what a whistle is waited for now."""
    if part.state == "review":
        return (("accept", "review"),)
    if part.kind != "whistle" or part.role == "lead" or part.state not in LIVE:
        return ()
    return (("pick_up", "answer"),) if part.state == "sent" else (("arrive", "report_in"),)


def _step(
    kind: str, name: str, clock: Clock, awaited: bool, calendar: Calendar, now: datetime, lang: str
) -> dict[str, Any]:
    _ = translator(lang)
    far = " far" if kind in ("verify", "close") and not awaited else ""
    if clock.ended is not None:
        late = clock.state == "breached"
        return {
            "name": f"{name} {'■' if late else '✓'}",
            "state": "done late" if late else "done",
            "text": f"{_hm(clock.ended, now)} {_('late')}" if late else _hm(clock.ended, now),
        }
    if clock.due is None:
        return {"name": name, "state": "paused" + far, "text": _("suspended")}
    if awaited:
        near = yellow_from(clock, calendar)
        return {
            "name": name, "state": "now", "text": "", "due": _ms(clock.due), "from": _ms(clock.since),
            "near": _ms(near) if near is not None else None,
        }  # fmt: skip
    return {
        "name": name,
        "state": "next" + far,
        "text": _("by {at}").format(at=_hm(clock.due, now)) if clock.due else limit_words(clock.limit, lang),
    }


def photos(detail: Detail, directory: Directory, now: datetime, lang: str) -> Markup:
    """Return all photos of a case in the order in which they came, each with who sent it, when and with what."""
    _ = translator(lang)
    found: list[tuple[str, str, Event]] = []
    for event in detail.events:
        for photo in event.change.said.get("photos") or ():
            whole, small = addresses(str(photo))
            if whole:
                found.append((whole, small, event))
    if not found:
        return markup('<div class="wb-photos"><p>{t}</p></div>', t=_("No photo came with it."))
    figures = joined(
        markup(
            '<figure><a href="{whole}" target="_blank" rel="noopener"><img src="{small}" alt="{photo}" loading="lazy">'
            "</a><figcaption>{at} · {who} {verb}{place}</figcaption></figure>",
            whole=whole, small=small, photo=_("photo"), at=_hm(event.at, now),
            who=names.actor(directory, event.actor, lang), verb=names.verb(event.verb, lang),
            place=f" · {n}/{len(found)}" if len(found) > 1 else "",
        )
        for n, (whole, small, event) in enumerate(found, 1)
    )  # fmt: skip
    # More than three stand side by side: whoever scrolls sees them all.
    kind = {1: "one", 2: "two"}.get(len(found), "many" if len(found) > PHOTOS_ABREAST else "")
    return markup('<div class="wb-photos {kind}" tabindex="0">{figures}</div>', kind=kind, figures=figures)


def addresses(photo: str) -> tuple[str, str]:
    """Return where a photo and its thumbnail are shown from: our own by name, others by their https address alone."""
    if (own := _PHOTO.fullmatch(photo)) is not None:
        return f"/photos/{own[1]}", f"/photos/{own[1]}/small"
    return (photo, photo) if photo.startswith("https://") else ("", "")


def source(detail: Detail, directory: Directory, lang: str) -> Markup:
    """Return by which way a case came in; never who reported it."""
    _ = translator(lang)
    incident = detail.incident
    said = [_("Reported by: {source}").format(source=names.actor(directory, incident.source, lang))]
    if suspects := detail.events[0].change.said.get("suspects"):
        said.append(_("{n} like it within 30 days when it came").format(n=suspects))
    if absorbed := incident.facts.get("absorbed"):
        said.append(_("{n} merged into it").format(n=len(absorbed)))
    if incident.facts.get("reporter"):
        said.append(_("the reporter is told each step"))
    return markup('<div class="wb-m">{said}</div>', said=" · ".join(said))


def like(each: Like, incident: Incident, now: datetime, lang: str) -> Markup:
    """Return one likely duplicate: its photo, number, distance, text, and what speaks for and against it."""
    _ = translator(lang)
    apart = abs(incident.reported_at - each.reported_at)
    sooner = each.reported_at <= incident.reported_at
    when = _("{span} earlier") if sooner else _("{span} later")
    good: list[str] = [_("same type")]
    bad: list[str] = []
    (good if each.metres <= NEAR_M else bad).append(_("{n} m apart").format(n=round(each.metres)))
    (good if apart <= SOON else bad).append(_span(apart, lang))
    if each.ended_at is not None:
        bad.append(_("already {state}").format(state=STATES[each.state][0 if lang == "zh" else 1]))
    small = next((addresses(photo)[1] for photo in each.photos if addresses(photo)[1]), "")
    picture = markup('<img src="{small}" alt="" loading="lazy">', small=small) if small else Markup("<i></i>")
    return markup(
        '<div class="wb-like">{picture}<div><b>{metres} m · {when}</b> <span class="nw">{at}</span>'
        ' <span class="nw">{number}</span></div><div class="wb-m2 text" title="{text}">{text}</div>'
        '<div class="wb-m el">{like} {good}{against}</div></div>',
        picture=picture, metres=round(each.metres), when=when.format(span=_span(apart, lang)),
        at=_hm(each.reported_at, now), number=show_number(each.number), text=each.text, like=_("Like:"),
        good=_(", ").join(good), against=f"　{_('Against:')} {_(', ').join(bad)}" if bad else "",
    )  # fmt: skip


def timeline(
    detail: Detail, directory: Directory, now: datetime, lang: str, limit: int = EVENTS_SHOWN
) -> Markup:
    """Return what happened to a case, newest first: each with its hour, below its day where that is not today."""
    rows: list[Markup] = []
    here = ZoneInfo(directory.zone)
    day = now.astimezone(here).date()
    for event in list(reversed(detail.events))[:limit]:
        said = translator(lang)("; ").join(_said(event, directory, lang))
        at = event.at.astimezone(here)
        if at.date() != day:
            day = at.date()
            rows.append(markup('<li class="day">{day}</li>', day=f"{at:%m-%d}"))
        rows.append(
            markup(
                '<li><time datetime="{at}" title="{whole}">{hm}</time><span><b>{who}</b> {verb}{said}</span></li>',
                at=at.isoformat(timespec="seconds"), whole=f"{at:%Y-%m-%d %H:%M:%S}", hm=f"{at:%H:%M}",
                who=names.actor(directory, event.actor, lang), verb=names.verb(event.verb, lang),
                said=markup(" <i class=wb-m>{said}</i>", said=said) if said else "",
            )
        )  # fmt: skip
    return markup('<ul class="wb-tl">{rows}</ul>', rows=joined(rows))


def _said(event: Event, directory: Directory, lang: str) -> Iterable[str]:
    for part in event.change.assignments:
        if event.verb in ("dispatch", "route", "reassign", "add_assist", "whistle", "send_whistle"):
            if part.state in ("sent", "review"):
                yield f"→ {names.team(directory, part.team_id, lang)}"
    if into := event.change.facts.get("merged_into"):
        yield f"→ {show_number(into)}"
    for key in ("reason", "result", "note", "clock", "commander", "limit"):
        value = event.change.said.get(key)
        if key == "commander" and value:
            who = names.said(directory, key, value, lang)
            yield translator(lang)("commander: {who}").format(who=who)
        elif value not in (None, ""):
            yield limit_words(str(value), lang) if key == "limit" else names.said(directory, key, value, lang)


def ledger(
    segments: list[SegmentRow], directory: Directory, now: datetime, lang: str, follows: str = ""
) -> Markup:
    """Return who held a case how long, as one bar, and every stretch that is too short for its words below it.

    Lengths grow with the square root, lest days hide minutes. `follows` says what comes next.
    """
    _ = translator(lang)
    stretches = []
    for each in segments:
        spent = (each.ended_at or now) - each.began_at
        who = names.holder(directory, each.holder, lang)
        what = clock_name(each.awaits, lang) if each.awaits else ""
        words = f"{who} {what} {_span(spent, lang)}"
        if each.paused_why is not None:
            words = f"{_('suspended')} {_span(spent, lang)}"
        if each.ended_at is None:
            words += f" {_('and running')}"
        kind = "paused" if each.paused_why is not None else "now" if each.ended_at is None else ""
        stretches.append((kind, max(1.0, spent.total_seconds()) ** 0.5, words))
    whole = sum(wide for _kind, wide, _words in stretches) or 1.0
    bars: list[Markup] = []
    below: list[Markup] = []
    for n, (kind, wide, words) in enumerate(stretches, 1):
        fits = _pixels(words) <= wide / whole * LEDGER_PX - LEDGER_EDGE_PX
        shown = words if fits else str(n)
        if not fits:
            below.append(markup("<li><b>{n}</b>{words}</li>", n=n, words=words))
        bars.append(
            markup(
                '<span class="{kind} {narrow}" style="flex:{wide} 1 0" title="{words}">{shown}</span>',
                kind=kind, narrow="" if fits else "n", wide=f"{wide:.0f}", words=words, shown=shown,
            )
        )  # fmt: skip
    return markup(
        '<div class="wb-ledger">{bars}</div>{legend}{after}', bars=joined(bars),
        legend=markup('<ol class="wb-stretches">{below}</ol>', below=joined(below)) if below else "",
        after=markup('<p class="wb-follows">{follows}</p>', follows=follows) if follows else "",
    )  # fmt: skip


def _pixels(words: str) -> float:
    """Return about how wide a text stands at 13 px: Han letters are square, others about half as wide."""
    return sum(13.0 if ord(c) > 0x2E7F else 7.2 for c in words)


def held(incident: Incident, directory: Directory, lang: str) -> dict[str, Any]:
    """Return who answers for a case now and since when; nobody does once it has ended."""
    _ = translator(lang)
    if incident.ended_at is not None:
        at = names.moment(incident.ended_at)
        return {"who": _("Ended {at}").format(at=at), "since": None}
    who = names.holder(directory, incident.holder, lang)
    return {"who": _("With {who}").format(who=who), "since": _ms(incident.held_since)}


def _span(length: timedelta, lang: str) -> str:
    """Return a length of time in its two largest units."""
    _ = translator(lang)
    minutes = int(length.total_seconds() // 60)
    if minutes < 1:
        return _("under 1 min")
    if minutes < 60:
        return _("{n} min").format(n=minutes)
    if minutes < 48 * 60:
        return _("{h} h {m} min").format(h=minutes // 60, m=minutes % 60)
    return _("{d} d {h} h").format(d=minutes // 1440, h=minutes % 1440 // 60)


def _hm(at: datetime, now: datetime | None = None) -> str:
    """Return an instant by its hour, with its day before it where that is not today's."""
    local = at.astimezone(zone())
    same = now is None or local.date() == now.astimezone(zone()).date()
    return f"{local:%H:%M}" if same else f"{local:%m-%d %H:%M}"


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)

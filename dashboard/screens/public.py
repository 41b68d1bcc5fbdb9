"""The residents' page, `/public`: report, follow by number, rate and add to one's own; nothing of anybody else."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from urllib.parse import urlencode

import psycopg
import redis
import streamlit as st

from dashboard.access import Throttle
from dashboard.casework.resident import offer
from dashboard.components import component, sheet
from dashboard.data import CityReads, Viewer, demo, public, reads
from dashboard.data.public import Milestone, Progress
from dashboard.frame import Frame, away, corner, style
from dashboard.markup import Markup, joined, markup, raw, show
from dashboard.screens import field
from dashboard.session import viewer
from dashboard.wording import names
from dashboard.wording.catalogue import Translate, chosen, pick, translator
from dashboard.wording.names import zone
from dispatch.intake.messages import parse_number, show_number
from dispatch.rules.incident import reasons
from models.servers.database import addresses


def page() -> None:
    """Show visitors how to report and how to follow; a resident also their own reports."""
    lang = chosen(st.query_params.get("lang"))
    _ = translator(lang)
    show(raw("style", style() + _column()))
    try:
        who = viewer()
        corner(lang, who)
        if who is not None and who.role == "resident":
            _resident(Frame(lang, _, who, reads()))
        else:
            _visitor(lang, who, _)
        with st.container(key="public-follow"):
            _follow(reads(), who, lang, _)
        with st.container(key="public-points"):
            _points(_)
    except (psycopg.Error, redis.RedisError):
        away(lang)
    if demo():
        with st.container(key="public-demo"):
            st.caption(_("Demo data"))


def _visitor(lang: str, who: Viewer | None, _: Translate) -> None:
    demo_tag = markup("<span>{t}</span>", t=_("Demo")) if demo() else ""
    show(markup('<div class="gw-front">{t}{demo}</div>', t=_("For residents"), demo=demo_tag))
    with st.container(key="public-words"):
        st.subheader(_("Report something"))
        st.markdown(
            _("Take a photo, say where and what: you get a number at once, and see here what becomes of it.")
        )
        st.markdown(f":red[{_('Somebody is hurt or it burns: call 119 or 120 first.')}]")
        if who is not None:
            st.caption(_("You are signed in for work. To report as a resident, sign in as one."))
    query = urlencode({"lang": lang, "next": "/public"} | ({"as": "other"} if who is not None else {}))
    show(
        markup(
            '<div class="gw-foot"><a class="gw-way first" href="/login?{query}">{t}</a></div>',
            query=query,
            t=_("Sign in to report"),
        )
    )


def _resident(frame: Frame) -> None:
    _ = frame._
    component("field")(
        key=f"public-{frame.who.login}", data=field.given(frame, "public"), on_sent_change=lambda: None
    )
    with st.container(key="public-mine"):
        _mine(frame.lang)


@st.fragment(run_every=10)
def _mine(lang: str) -> None:
    """Show the viewer's own reports, looked at anew every ten seconds and after each press."""
    _ = translator(lang)
    try:
        who = viewer()
        if who is None or who.role != "resident":
            return
        found = public.own(reads(), who, addresses().redis_url)
    except (psycopg.Error, redis.RedisError):
        away(lang)  # looked at anew by itself, outside the page's own frame
        return
    if not found:
        st.caption(_("You have reported nothing yet."))
    for each in found:
        _card(each, who, lang, _)


def _card(each: Progress, who: Viewer | None, lang: str, _: Translate) -> None:
    incident = each.incident
    with st.container(border=True, key=f"public-card-{'own' if who is not None else 'found'}-{each.number}"):
        title = _("Report")
        if each.whole and incident is not None:
            kind = reads().known().types.get(incident.category)
            title = incident.category if kind is None else pick(lang, kind.name, kind.name_en)
        st.markdown(f"**{names.plain(title)}**　{_standing(each, lang, _)}")
        st.caption(f"{show_number(each.number)}　{_time(each.sent_at)}")
        if each.whole and incident is not None and incident.text:
            st.text(incident.text)
        if each.photos:
            show(joined(_photo(name) for name in each.photos))
        said = joined(_line(milestone, lang, _) for milestone in each.milestones)
        if said:
            with st.expander(_("What became of it"), expanded=who is None):
                show(markup('<ul style="list-style:none;padding:0;margin:0">{said}</ul>', said=said))
        if who is not None and incident is not None:
            offer(each, who, lang, _)


def _follow(city: CityReads, who: Viewer | None, lang: str, _: Translate) -> None:
    if who is None or who.role != "resident":
        st.subheader(_("Follow a report"))  # a resident's tab says so
    # Number and contact stay out of the address bar: addresses are kept, shared and logged.
    with st.form("follow", border=True):
        text = st.text_input(_("Number, sixteen digits"), max_chars=30, placeholder="1234-5678-9012-3456")
        contact = st.text_input(
            _("The telephone number you left, if you left one"), max_chars=public.CONTACT_LIMIT
        )
        pressed = st.form_submit_button(_("Look"), width="stretch")
    if not pressed:
        return
    address = st.context.ip_address or "local"
    if (wait := _throttle().wait_s(address)) > 0:
        st.warning(_("Too many tries. Try again in {n} seconds.").format(n=int(wait) + 1))
        return
    try:
        number = parse_number(text)
    except ValueError:
        st.error(_("A number has sixteen digits, as in 1234-5678-9012-3456."))
        return
    found = public.follow(city, number, contact, addresses().redis_url)
    if found is None:
        _throttle().failed(address)
        st.info(
            _(
                "Nothing is found under this number and contact. What was sent a moment ago can take a minute; what"
                " you reported signed in stands under “My reports”."
            )
        )
        return
    _card(found, None, lang, _)


def _points(_: Translate) -> None:
    with st.expander(_("Points")):
        st.markdown(_("Points are not credited yet. These are the intended rules:"))
        rules = [
            _("a lead on a crime, confirmed by the police: 20 to 100"),
            _("a dispute told early: 10; helped to settle: 15"),
            _("a danger to the public: 5, 10 or 20 by how grave it is"),
            _("order and manners in town and village: 2 to 5"),
            _("a public facility that needs repair: 3"),
        ]
        st.markdown("\n".join(f"- {rule}" for rule in rules))
        st.caption(
            _("A second person reviews each credit. Nothing is ever taken off for an opinion or a complaint.")
        )


def _standing(each: Progress, lang: str, _: Translate) -> str:
    """Return how far it has come, in one plain phrase."""
    if each.incident is None:
        if each.refused is not None:
            return _("not taken: {why}").format(why=names.plain(each.refused[0 if lang == "zh" else 1]))
        return _("sent, on its way in")
    words = {
        "reported": _("received, waits to be accepted"),
        "checking": _("somebody is looking whether it is so"),
        "accepted": _("accepted, somebody is being sent"),
        "dispatched": _("given to those who deal with it"),
        "in_hand": _("being dealt with"),
        "disposed": _("dealt with, being checked"),
        "verified": _("checked, about to be closed"),
        "closed": _("closed"),
        "archived": _("closed"),
        "rejected": _("not accepted"),
        "void": _("withdrawn"),
        "merged": _("joined with an earlier report of the same"),
    }
    if each.incident.paused_why is not None:
        return _("waits for a reason that is being worked on")
    return words[each.incident.state]


def _photo(name: str) -> Markup:
    return markup(
        '<img alt="" style="height:72px;border-radius:6px;margin-right:6px" src="/photos/{name}/small">',
        name=name,
    )


def _line(milestone: Milestone, lang: str, _: Translate) -> Markup:
    words = {
        "report": _("Received"),
        "accept": _("Accepted"),
        "route": _("Given to those who deal with it"),
        "dispatch": _("Given to those who deal with it"),
        "send_whistle": _("Several units were called to the spot"),
        "reassign": _("Given to others, who are better placed"),
        "arrive": _("Somebody is on the spot"),
        "dispose": _("Dealt with"),
        "solve": _("Dealt with"),
        "rework": _("Not good enough: to be done again"),
        "verify": _("Checked on the spot"),
        "close": _("Closed"),
        "conclude": _("Closed"),
        "reject": _("Not accepted"),
        "void": _("Withdrawn"),
        "merge": _("Joined with an earlier report of the same"),
        "reopen": _("Opened again"),
        "rate": _("Rated"),
        "suspend": _("Put off for a while"),
        "resume": _("Taken up again"),
    }
    text = reasons.words(milestone.text, lang)
    return markup(
        '<li><span class="gw-muted">{at}</span>　{what}{text}</li>',
        at=_time(milestone.at),
        what=words[milestone.verb],
        text=f": {text}" if text else "",
    )


def _time(at: datetime) -> str:
    local = at.astimezone(zone())
    recent = datetime.now(zone()) - local < timedelta(days=180)
    return f"{local:%m-%d %H:%M}" if recent else f"{local:%Y-%m-%d}"


@cache
def _throttle() -> Throttle:
    return Throttle()


@cache
def _column() -> str:
    """Return the style of the page around the component."""
    return sheet("field/public.css")

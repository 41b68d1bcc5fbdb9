"""The start page: what waits for whoever looks, and where to go from here."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

import psycopg
import redis
import streamlit as st

from dashboard.data import Viewer, demo, reads
from dashboard.data.waiting import waiting
from dashboard.frame import away, corner, style
from dashboard.markup import joined, markup, raw, show
from dashboard.pages import PLACES
from dashboard.screens.wall import DEFAULT_AREA
from dashboard.session import viewer, way
from dashboard.wording.catalogue import Translate, chosen, translator
from dispatch.rules.areas import Level, at_level
from models.servers.database import addresses

COLUMNS = 3


def page() -> None:
    """Show an entry tile for every page that the viewer may open."""
    lang = chosen(st.query_params.get("lang"))
    _ = translator(lang)
    tail = {} if lang == "zh" else {"lang": lang}
    show(raw("style", style()))
    try:
        who = viewer()
        corner(lang, who)
    except psycopg.Error:
        who = None
        away(lang)
    st.title(_("Gridwhistle"))
    st.caption(
        _("A city's command and dispatch: incidents in, people sent, clocks kept, the whole city on a wall.")
    )
    if who is not None:
        _waits(who, lang, _)
    role = None if who is None else who.role
    area = DEFAULT_AREA if who is None else (at_level(who.area, Level.VILLAGE) or who.area)
    tiles = [place for path, place in PLACES.items() if path != "home" and place.opens(role)]
    for begin in range(0, len(tiles), COLUMNS):
        for column, place in zip(st.columns(COLUMNS), tiles[begin : begin + COLUMNS], strict=False):
            query = tail | ({"area": area, "embed": "true"} if place.path == "wall" else {})
            with column, st.container(border=True, height="stretch", key=f"gw-card-{place.path}"):
                st.subheader(_(place.title))
                st.write(_(place.tells))
                way(_("Open"), f"/{place.path}?{urlencode(query)}")
    if who is None:
        st.caption(_("Sign in to see the pages of your role."))
    if demo():
        st.caption(_("Demo data"))


def _waits(who: Viewer, lang: str, _: Translate) -> None:
    """Show a line for each kind of thing that waits for a person, the late ones first; say so where nothing does."""
    if who.role == "team" and who.actor.team_id is None:
        return
    try:
        lines = waiting(reads(), who, addresses().redis_url, datetime.now(UTC))
    except (psycopg.Error, redis.RedisError):
        st.warning(_("What waits for you could not be read. Try again in a moment."))
        return
    names = {
        "overdue": _("Past a limit"),
        "to_review": _("Whistles to review"),
        "reported": _("To accept"),
        "accepted": _("To dispatch"),
        "disposed": _("To check"),
        "verified": _("To close"),
        "late_tasks": _("My tasks past their limit"),
        "tasks": _("My tasks"),
        "own_refused": _("My reports that could not be taken"),
        "to_rate": _("My reports to be rated"),
        "under_way": _("My reports under way"),
        "jobs_failing": _("Jobs that fail or are late"),
        "mismatches": _("Figures that the record does not bear out"),
        "letters": _("Dead letters that wait"),
    }
    rows = []
    for line in lines:
        query = {**dict(line.query), **({} if lang == "zh" else {"lang": lang})}
        address = f"/{line.page}" + (f"?{urlencode(query)}" if query else "")
        rows.append(
            markup(
                '<a class="gw-wait{red}" href="{address}"><span>{light}{what}</span><b>{n}</b></a>',
                red=" red" if line.red else "", address=address, what=names[line.what], n=f"{line.count:,}",
                light=markup('<i class="gw-light red"></i>') if line.red else "",
            )
        )  # fmt: skip
    what = joined(rows) or markup('<p class="gw-muted">{t}</p>', t=_("Nothing waits for you now."))
    show(
        markup('<section class="gw-waits"><h2>{t}</h2>{what}</section>', t=_("What waits for you"), what=what)
    )

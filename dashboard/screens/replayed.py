"""Another city's past: its requests against its own targets, and what is wrong with the number one gets at first."""

from __future__ import annotations

import streamlit as st

from dashboard.data import replayed as data
from dashboard.frame import Frame, framed, headed
from dashboard.markup import Markup, joined, markup
from dashboard.widgets.export import download
from dashboard.widgets.panel import panel
from dashboard.wording import amounts, names

_COMMAND = "python -m dispatch replay requests.csv --map boston311 --new-city"


def page() -> None:
    """Show every replayed source with both figures, and in words why they differ."""
    with framed("replay", tagged=True) as f:
        _ = f._
        headed(f, "replay", tells=True)
        with st.spinner(_("Counting the requests")):
            found = data.sources(f.city, f.who.actor)
        if not found:
            st.info(_("No requests of another city are in this database yet."))
            st.markdown(_("Replay a city's published requests into an empty database of its own:"))
            st.code(_COMMAND, language="bash")
            st.caption(
                _("The mapping says which column is which; config/replay holds those of Boston and New York.")
            )
            return
        for each in found:
            with st.container(border=True, key=f"gw-card-{each.name}"):
                panel(_source(f, each), f"replay-{each.name}")
        columns = [
            _("source"), _("requests"), _("with a target"), _("in time"), _("without a target"), _("rate"),
            _("rate if no target counts as kept"),
        ]  # fmt: skip
        download(
            _("Excel"),
            [
                (
                    each.name, each.requests, each.on_time.with_target, each.on_time.on_time,
                    each.on_time.without_target,
                    each.on_time.rate, each.on_time.naive,
                )
                for each in found
            ],
            columns,
            _("Another city's past"),
            key="replay-file",
        )  # fmt: skip


def _source(f: Frame, each: data.Source) -> Markup:
    _ = f._
    count = each.on_time
    rows = [
        (_("Over requests that have a target"), count.rate, count.on_time, count.with_target, True),
        (
            _("If no target counted as kept"), count.naive, count.on_time + count.without_target,
            count.with_target + count.without_target, False,
        ),
    ]  # fmt: skip
    bars = []
    for words, rate, n, d, honest in rows:
        wide = 0.0 if rate is None else float(rate) * 100
        bars.append(
            markup(
                '<tr><td>{words}</td><td style="width:46%"><div style="height:18px;background:#eef1f3">'
                '<div style="height:18px;'
                'width:{wide}%;{fill}"></div></div></td><td class="r"><b style="font-size:22px">{rate}</b>'
                '</td>'
                '<td class="r m2">{n} / {d}</td></tr>',
                words=markup("<b>{w}</b>", w=words) if honest else words, wide=f"{wide:.2f}",
                fill="background:#1b4f8f" if honest
                else "background:repeating-linear-gradient(135deg,#c9d2da 0 6px,#e3e8ec 6px 12px)",
                rate=amounts.rate(rate, _), n=f"{n:,}", d=f"{d:,}",
            )
        )  # fmt: skip
    span = f"{each.first.astimezone(names.zone()):%Y-%m-%d} – {each.as_of.astimezone(names.zone()):%Y-%m-%d}"
    return markup(
        '<h2>{name} <span class="m">{n}　{span}</span></h2><div class="gw-scroll">'
        '<table style="margin-top:8px">{bars}</table>'
        '</div><p style="margin-top:10px;font-size:15px">{why}</p>',
        name=each.name, n=_("{n} requests").format(n=f"{each.requests:,}"), span=span, bars=joined(bars),
        why=each.on_time.explained(f.lang),
    )  # fmt: skip

"""Tabs of the machine: refused messages, jobs, and the city as it was loaded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import redis
import streamlit as st

from dashboard.data import admin
from dashboard.data.admin import LetterError
from dashboard.frame import Frame, pick_files
from dashboard.widgets import export
from dashboard.wording import names as naming
from dashboard.wording.catalogue import limit_words
from dispatch.rules.words import say

FILES_LIMIT = 20


def letters(f: Frame) -> None:
    """Show messages that were refused, each with its reason; one is mended and sent once more."""
    _ = f._
    waiting_only = st.toggle(_("Only those that were not sent once more"), True, key="letters-waiting")
    count, rows = admin.refused(f.who, waiting_only)
    if not rows:
        st.info(_("No message waits here. What is refused lies here with its reason until it is mended."))
        return
    st.caption(_("{n} of {all} shown, the newest first.").format(n=len(rows), all=count))
    picked = st.dataframe(
        [
            {
                _("Time"): naming.moment(datetime.fromisoformat(each.at)),
                _("Field"): each.field,
                _("Reason"): say((each.zh, each.en), f.lang),
                _("Bytes"): each.size,
                _("Sent once more as"): each.replayed_as or "",
                _("No."): each.id,
            }
            for each in rows
        ],
        hide_index=True,
        height=320 if len(rows) > 7 else "content",
        on_select="rerun",
        selection_mode="single-row",
        key=f"letters-{rows[0].id}-{len(rows)}-{waiting_only}",
    )["selection"]["rows"]
    if "letter-answer" in st.session_state:
        words, wrong = st.session_state["letter-answer"]
        (st.error if wrong else st.success)(words)
    if not picked or picked[0] >= len(rows):
        st.caption(_("Select a message to read and mend it."))
        return
    one = rows[picked[0]]
    st.markdown(f"**{say((one.zh, one.en), f.lang)}**　{one.field}")
    st.code(admin.body(f.who, one), language="json", wrap_lines=True)
    st.caption(_("Contacts are masked here. SHA-256 of what came: {digest}").format(digest=one.sha256))
    if one.replayed_as is not None:
        return
    with st.form(f"mend-{one.id}"):
        changes = st.text_area(
            _("What to mend, one field a line: field=value; field= takes it out"),
            f"{one.field}=" if one.field else "",
            key=f"mend-text-{one.id}",
            max_chars=5_000,
        )
        left, right = st.columns(2)
        mended = left.form_submit_button(_("Mend and send once more"), type="primary")
        plain = right.form_submit_button(_("Send once more as it is"))
    if mended or plain:
        lines = [line.strip() for line in changes.splitlines() if line.strip()] if mended else []
        try:
            new = admin.replay(f.city, f.who, one.id, lines)
        except LetterError as refusal:
            st.session_state["letter-answer"] = (refusal.words(f.lang), True)
        else:
            st.session_state["letter-answer"] = (_("Sent once more as {id}.").format(id=new), False)
        st.rerun()


def jobs(f: Frame) -> None:
    """Show every job with its last run; the administrator runs one now."""
    _ = f._
    now = datetime.now(UTC)
    rows = admin.jobs(f.who, now)
    bad = [each for each in rows if each.failing or each.late]
    if bad:
        names = _(", ").join(say((each.zh.partition("：")[0], each.en), f.lang) for each in bad)
        st.error(_("Late or failing: {names}").format(names=names))
    else:
        st.success(_("All {n} jobs are on time.").format(n=len(rows)))
    if waiting := sum(each.last_success is None and not each.late for each in rows):
        st.caption(_("{n} of them have not had their first turn yet.").format(n=waiting))
    table: list[dict[str, Any]] = [
        {
            "": "■" if each.failing else "▲" if each.late else "●",
            _("Job"): each.name,
            _("Does"): say((each.zh, each.en), f.lang),
            _("Every"): each.at or _every(f, each.every_s),
            _("Last success"): naming.moment(each.last_success) if each.last_success else _("never"),
            _("Rows"): _amount(each.rows),
            _("Took, ms"): _amount(each.took_ms),
            _("Next run"): naming.moment(each.next_run) if each.next_run else "",
            _("Last error"): f"{naming.moment(each.failed_at)} {each.fault or ''}" if each.failed_at else "",
        }
        for each in rows
    ]
    right = st.column_config.TextColumn(alignment="right")
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={
            "": st.column_config.TextColumn(width=40), _("Rows"): right, _("Took, ms"): right,
        },
    )  # fmt: skip
    export.download(_("Save as Excel"), table, list(table[0]), _("Jobs"), key="jobs-excel")
    if f.who.role != "admin":
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(_("Job"), [each.name for each in rows], key="job-name", width=260)
        go = st.button(_("Run it now"), key="job-run")
    if go and name is not None:
        with st.spinner(_("{name} runs …").format(name=name)):
            try:
                done = admin.run_job(f.city, f.who, name)
            except LookupError as fault:
                st.error(str(fault.args[0]))
            except (psycopg.Error, redis.RedisError) as fault:
                st.error(_("It did not succeed: {fault}").format(fault=type(fault).__name__))
            else:
                st.success(
                    _("Another process is at it.")
                    if done is None
                    else _("Done: {n} rows. The table shows it at the next look.").format(n=done)
                )


def _amount(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def _every(f: Frame, seconds: int) -> str:
    if seconds % 3_600 == 0:
        return limit_words(f"{seconds // 3_600}uh", f.lang)
    return limit_words(f"{seconds // 60}m", f.lang) if seconds % 60 == 0 else f._("{n} s").format(n=seconds)


def areas(f: Frame) -> None:
    """Show the census of the city, and check the files of a city without loading them."""
    _ = f._
    names = {
        "city": _("City"), "counties": _("Counties"), "towns": _("Towns"), "middle": _("Middle grids"),
        "small": _("Small grids"), "micro": _("Micro grids"), "outbound": _("Outbound micro grids"),
        "full_time": _("Full-time grid workers"), "part_time": _("Part-time grid workers"),
        "professional": _("Professional grid workers"), "liaisons": _("Micro grids with a liaison"),
        "teams": _("Teams"), "organisations": _("Organisations"), "people": _("People"),
        "shapes": _("Areas with an outline"), "broken_parent_chains": _("Areas whose chain upwards is broken"),
    }  # fmt: skip
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader(_("Census"))
        counts = admin.counted(f.who)
        st.dataframe(
            [
                {
                    _("What"): names.get(name, name),
                    # The city is named, not counted.
                    _("Count"): f"{n:,}" if isinstance(n, int) else naming.area(f.directory, n or "", f.lang),
                }
                for name, n in counts.items()
            ],
            hide_index=True,
            height="content",
            column_config={_("Count"): st.column_config.TextColumn(alignment="right")},
        )
        if counts["broken_parent_chains"]:
            st.error(_("The tree of areas is not whole."))
    with right:
        st.subheader(_("Check the files of a city"))
        st.caption(
            _("areas.csv, and beside it outlines (*.geojson), teams.csv and city.toml. Nothing is loaded.")
        )
        if f.who.role != "admin":
            st.caption(_("Only the administrator checks files."))
            return
        files = pick_files(f, _("Files"), ["csv", "toml", "geojson"], "city-files")
        if len(files) > FILES_LIMIT:
            st.error(_("At most {n} files at a time.").format(n=FILES_LIMIT))
        elif files and st.button(_("Check them"), key="city-check", type="primary"):
            found, problems = admin.tried(f.who, {file.name: file.getvalue() for file in files})
            for problem in problems:
                st.error(problem)
            if not problems:
                st.success(_("Nothing is wrong with these files: {counts}").format(
                    counts=", ".join(f"{names.get(name, _('Areas'))} {n:,}" for name, n in found.items())
                ))  # fmt: skip

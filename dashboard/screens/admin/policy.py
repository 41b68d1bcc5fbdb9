"""The policy's tab: its versions, a draft of the next one, what that would have changed, and publishing it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from dashboard.data import admin
from dashboard.data.admin import PublishError, Version
from dashboard.frame import Frame, pick_files
from dashboard.wording import names as naming
from dashboard.wording.catalogue import pick
from dashboard.wording.names import zone
from dispatch.rules.measures.whatif import Effect

PROBLEMS_SHOWN = 50
DAYS = (7, 30, 90)


def show(f: Frame) -> None:
    """Show the versions; the draft on this browser is checked, compared, tried on the past, and published."""
    _ = f._
    versions = admin.versions(f.city, f.who)
    if not versions:
        st.info(_("The database holds no policy: load a city first."))
        return
    in_force = f.city.policy().version
    current = next(each for each in versions if each.version == in_force)
    st.dataframe(
        [
            {
                _("Version"): each.version,
                _("Valid from"): each.valid_from.isoformat(),
                _("State"): _("in force")
                if each is current
                else _("to come")
                if each.version > in_force
                else _("past"),
                _("Why"): each.note,
                _("Files"): len(each.files),
                "SHA-256": each.digest[:16],
            }
            for each in versions
        ],
        hide_index=True,
        height="content" if len(versions) < 8 else 300,
    )
    left, right = st.columns(2, gap="medium")
    with left:
        files = _draft(f, current)
    with right:
        _judged(f, current, files)


def _draft(f: Frame, current: Version) -> dict[str, str]:
    """Show the draft's files for reading and editing; return them all."""
    _ = f._
    st.subheader(_("Draft of the next version"))
    held: dict[str, str] = st.session_state.setdefault("policy-draft", {})
    label = _("Files of a policy folder take the place of those of the same name")
    given = pick_files(f, label, ["csv", "toml"], "policy-files")
    uploaded = {}
    for file in given:
        try:
            uploaded[file.name] = file.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError:
            st.error(_("{name} is not UTF-8.").format(name=file.name))
    files = current.files | held | uploaded
    name = st.selectbox(
        _("File"),
        sorted(files),
        format_func=lambda key: f"{key}　{_('changed')}" if files[key] != current.files.get(key) else key,
        key="policy-file",
    )
    if name is not None:
        text = st.text_area(
            name,
            files[name],
            height=360,
            key=f"policy-text-{name}-{current.version}-{hash(uploaded.get(name, ''))}",
            label_visibility="collapsed",
        )
        if text != current.files.get(name):
            held[name] = text
        else:
            held.pop(name, None)
        files[name] = text
    if held and st.button(_("Throw the draft away"), key="policy-drop"):
        for key in [each for each in st.session_state if str(each).startswith("policy-")]:
            del st.session_state[key]
        st.rerun()
    return files


def _judged(f: Frame, current: Version, files: dict[str, str]) -> None:
    """Say what is wrong with the draft, what it changes, and what it would have made of the past."""
    _ = f._
    st.subheader(_("What it changes"))
    if files == current.files:
        st.info(
            _("The draft is version {n}, in force. Edit a file or give others.").format(n=current.version)
        )
        return
    problems = admin.wrong(f.who, files)
    if problems:
        st.error(_("{n} things are wrong; nothing is published.").format(n=len(problems)))
        for each in problems[:PROBLEMS_SHOWN]:
            st.text(each)
        return
    st.code("\n".join(admin.differences(f.who, current.files, files)), language="diff", height=240)
    days = st.segmented_control(
        _("Try it on the incidents of the last days"), DAYS, default=DAYS[0], required=True,
        format_func=lambda n: _("{n} days").format(n=n), key="policy-days",
    )  # fmt: skip
    if st.button(_("Try it on the past"), key="policy-try"):
        with st.spinner(_("Each clock of these incidents is judged anew …")):
            since = datetime.now(UTC) - timedelta(days=int(days or DAYS[0]))
            st.session_state["policy-verdict"] = (
                dict(files),
                days,
                admin.preview(f.city, f.who, files, since),
            )
    tried = st.session_state.get("policy-verdict")
    if tried is not None and tried[0] == files:
        _verdict(f, tried[1], tried[2].total, tried[2].themes, tried[2].towns)
    if f.who.role == "admin":
        _publish(f, current, files)


def _verdict(f: Frame, days: int, total: Effect, themes: dict[str, Effect], towns: dict[str, Effect]) -> None:
    _ = f._
    st.markdown(
        _(
            "Of {cases} incidents of the last {days} days {late} were late. These files would have made {more} more"
            " late and {fewer} on time."
        ).format(
            cases=f"{total.cases:,}",
            days=days,
            late=f"{total.late:,}",
            more=f"{total.more:,}",
            fewer=f"{total.fewer:,}",
        )
    )
    names = {code: pick(f.lang, *both) for code, both in f.directory.themes.items()}
    for title, effects in ((_("Area of work"), themes), (_("Town"), towns)):
        rows = [
            {
                title: names.get(code) or naming.area(f.directory, code, f.lang),
                _("Cases"): effect.cases,
                _("Late"): effect.late,
                _("More late"): effect.more,
                _("Fewer late"): effect.fewer,
            }
            for code, effect in sorted(
                effects.items(), key=lambda pair: (-pair[1].more - pair[1].fewer, pair[0])
            )
        ]
        st.dataframe(rows, hide_index=True, height=250 if len(rows) > 6 else "content")


def _publish(f: Frame, current: Version, files: dict[str, str]) -> None:
    _ = f._
    if "policy-answer" in st.session_state:
        st.error(st.session_state["policy-answer"])
    with st.form("policy-publish"):
        note = st.text_input(_("Why, in one line; kept with the version"), max_chars=200)
        today = datetime.now(zone()).date()
        day = st.date_input(_("Valid from"), max(today, current.valid_from), min_value=today)
        sure = st.checkbox(_("I have read what it changes. No version is ever edited or taken back."))
        if st.form_submit_button(_("Publish as version {n}").format(n=current.version + 1), type="primary"):
            if not sure:
                st.session_state["policy-answer"] = _("Confirm first that you have read what it changes.")
                st.rerun()
            try:
                version = admin.publish(f.city, f.who, files, note, day)
            except PublishError as refusal:
                st.session_state["policy-answer"] = str(refusal)
            else:
                for key in [each for each in st.session_state if str(each).startswith("policy-")]:
                    del st.session_state[key]
                st.toast(_("Version {n} is published.").format(n=version))
            st.rerun()

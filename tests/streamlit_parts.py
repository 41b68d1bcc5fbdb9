"""A page with one of each part of Streamlit whose markup our style sheets and scripts name, and nothing of ours."""

from __future__ import annotations

import time

import streamlit as st


@st.dialog("Dialog")
def opened() -> None:
    """Show a dialog with the button that ends it."""
    st.button("Send", type="primary", key="send")


def parts() -> None:
    """Show one part of each kind."""
    st.title("Heading")
    st.markdown("Text")
    st.html("<b>Markup</b>")
    left, right = st.columns(2)
    with left, st.form("form"):
        st.text_input("Words")
        st.form_submit_button("Go")
    with right:
        st.selectbox("Choice", ["one", "two"])
        st.segmented_control("Filter", ["one", "two"])
        st.file_uploader("Files")
        st.number_input("Number")
    with st.expander("More", expanded=True):
        st.text("within")
    with st.popover("Over"):
        st.text("within")
    st.button("With a key", shortcut="k")
    if st.button("Toast"):
        st.toast("said")
    if st.button("Dialog"):
        opened()
    if st.button("Slow"):
        time.sleep(8)
    if st.button("Fault"):
        raise ValueError("a fault on purpose")
    with st.container(key="kept"):
        st.components.v2.component("gridwhistle_parts", html="<i>component</i>", isolate_styles=False)(
            key="part"
        )
    with st.bottom:
        st.text("below")


def other() -> None:
    """Show another page, so that there are links to pages."""
    st.title("Other")


st.set_page_config(layout="wide")
first = st.Page(parts, title="Parts", url_path="parts", default=True)
st.navigation([first, st.Page(other, title="Other", url_path="other")], position="top").run()

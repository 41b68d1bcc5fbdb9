"""Say which key does what on the workbench."""

from __future__ import annotations

import streamlit as st

from dashboard.casework import bulk, offers
from dashboard.frame import Frame
from dashboard.markup import joined, markup, show
from dashboard.wording import names as naming


def keys(f: Frame) -> None:
    """Show the keys that matter most, and the way to all of them."""
    _ = f._
    show(
        markup(
            '<div class="wb-keys"><span><kbd>↑↓</kbd>{case}</span><span><kbd>{space}</kbd>{tick}</span>'
            '<span><kbd>1</kbd>–<kbd>3</kbd>{team}</span><span><kbd>D</kbd>{go}</span>'
            '<span class="hi"><kbd>E</kbd>{reason}</span><span class="few"><kbd>⇧← →</kbd>{filter}</span></div>',
            case=_("case"), space=_("Space"), tick=_("tick"), team=_("team"), go=_("go"), reason=_("reason"),
            filter=_("filter"),
        ),
        width="content",
    )  # fmt: skip
    if st.button(_("All keys"), key="wb-help", type="tertiary", shortcut="H"):
        _help(f)


def _help(f: Frame) -> None:
    _ = f._

    @st.dialog(_("All keys"), width="large")
    def shown() -> None:
        heads = (_("In the queue"), _("On the open case"), _("On all ticked, and in windows"))
        for column, head, rows in zip(st.columns(3), heads, legend(f), strict=True):
            lines = joined(markup("<dt>{key}</dt><dd>{what}</dd>", key=key, what=what) for key, what in rows)
            with column:
                show(
                    markup(
                        '<p class="wb-h2">{head}</p><dl class="wb-legend">{lines}</dl>',
                        head=head,
                        lines=lines,
                    )
                )

    shown()


def legend(f: Frame) -> tuple[list[tuple[str, str]], ...]:
    """Return every key with what it does: those that move, those of the case that is open, those of all ticked."""
    _ = f._
    moves = [
        ("↑ ↓", _("another case")), ("PgUp PgDn", _("ten cases on")),
        ("→ ←", _("open a burst, or fold it into one row")),
        ("⇧→ ⇧←", _("the filter beside")), ("F", _("search the queue")), ("N", _("let new work in")),
        (_("Space"), _("tick or untick")), ("⇧↑ ⇧↓", _("tick on the way")),
        (_("⇧Space"), _("tick all from the last tick to here")), ("Esc", _("answer a notice; untick all")),
        ("H", _("All keys")),
    ]  # fmt: skip
    verbs: dict[str, list[str]] = {}
    for verb, key in offers.KEYS.items():
        verbs.setdefault(key, []).append(naming.verb(verb, f.lang))
    case_keys = [
        ("D", _("the filled button: the next step")), ("1–3", _("choose a team")), ("0", _("teams that are farther")),
        ("E", _("write the reason; Enter when it is written")), (offers.MET_KEY, _("The closing standard is met")),
        *((key, " / ".join(names)) for key, names in verbs.items()),
    ]  # fmt: skip
    many_keys = ((key.replace("Shift+", "⇧"), verb) for verb, key in bulk.KEYS.items())
    ticked = [
        *((key, naming.verb(verb, f.lang) + _(" of all ticked")) for key, verb in many_keys),
        ("Enter", _("send what a window asks for")), ("⇧Enter", _("a new line in a long text")),
        ("8", _("See it now")), ("9", _("Do mine anyway")),
    ]  # fmt: skip
    return moves, case_keys, ticked

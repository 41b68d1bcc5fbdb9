"""Say in words why the machine took a step, or a page noted something: stored as a code with its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SENTENCES: dict[str, tuple[str, str]] = {
    "silence": ("无人应答", "nobody answered in time"),
    "not_reported_in": ("吹哨后未报到", "not reported in after the whistle"),
    "no_progress": ("超过 {hours} 小时无进展", "no progress for {hours} hours"),
    "after_conflict": ("冲突后重新决定", "Decided anew after a conflict"),
    "same_matter": ("疑与 {number} 同一件事", "Likely the same matter as {number}"),
}


def coded(code: str, **values: object) -> dict[str, object]:
    """Return a reason as an event keeps it; `values` fill its sentence. KeyError: a code that has no sentence."""
    for sentence in SENTENCES[code]:
        sentence.format(**values)
    return {"code": code, **values}


def words(reason: Any, lang: str) -> str:
    """Return a reason or note of an event in `zh` or `en`; what somebody wrote stays as it is, None is no text.

    An older event holds the bare code of silence, or a sentence.
    """
    if isinstance(reason, Mapping):
        code, values = str(reason.get("code", "")), reason
    else:
        code, values = str(reason if reason is not None else ""), {}
        if code != "silence":
            return code
    if code not in SENTENCES:
        # Of a newer version: better its code than nothing.
        return code
    return SENTENCES[code][0 if lang == "zh" else 1].format(**values)

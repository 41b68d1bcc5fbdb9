"""Say of a returned case whether it was another unit's: by what the team ticked, before that by its words."""

from __future__ import annotations

from collections.abc import Collection, Mapping

NOT_OURS = "not_ours"  # the kind of return that a team ticks
# The twin, over an event `e` that returns a case; %(words)s are `patterns` of the policy's words.
NOT_OURS_SQL = (
    f"coalesce(e.data -> 'said' ->> 'return_kind' = '{NOT_OURS}',"
    " e.data -> 'said' ->> 'reason' ilike any(%(words)s), false)"
)


def is_not_ours(said: Mapping[str, object], words: Collection[str]) -> bool:
    """Tell whether what was said at a return means "not our unit's"; `words` are the policy's, in any case."""
    kind = said.get("return_kind")
    if kind is not None:
        return kind == NOT_OURS
    reason = str(said.get("reason", "")).lower()
    return any(word.lower() in reason for word in words)


def patterns(words: Collection[str]) -> list[str]:
    """Return the words as patterns for the twin: a word stands for itself, whatever signs are in it."""
    return ["%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" for word in words]

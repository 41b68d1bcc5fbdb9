"""Suggest an event type for a report that names none, from the words that the policy lists for each type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dispatch.rules.policy.policy import EventType

TEXT_READ_CHARS: Final = 500  # what a report is about stands at its beginning
WORDS_KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Name an event type and the words for it; no words where nothing matched and the fallback stands in."""

    category: str
    words: tuple[str, ...]


class Suggester:
    """Match texts against the keywords of all event types, in time that does not grow with their number."""

    def __init__(self, types: Mapping[str, EventType], fallback: str) -> None:
        self._fallback = Suggestion(fallback, ())
        self._order = {code: place for place, code in enumerate(types)}
        self._index: dict[str, list[tuple[str, str]]] = {}
        for code, kind in types.items():
            for word in {each.casefold() for each in kind.keywords if len(each) > 1}:
                self._index.setdefault(word[:2], []).append((word, code))

    def suggest(self, text: str) -> Suggestion:
        """Return the type with the most matched characters (the earlier one of equals), else the fallback."""
        line = text[:TEXT_READ_CHARS].casefold()
        matched: dict[str, dict[str, None]] = {}
        for at in range(len(line) - 1):
            for word, code in self._index.get(line[at : at + 2], ()):
                if line.startswith(word, at):
                    matched.setdefault(code, {})[word] = None
        if not matched:
            return self._fallback
        best = min(matched, key=lambda code: (-sum(map(len, matched[code])), self._order[code]))
        return Suggestion(best, tuple(matched[best])[:WORDS_KEPT])

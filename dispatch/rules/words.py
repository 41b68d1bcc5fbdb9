"""Say things in Chinese and English, the one way: a pair of texts, filled in with values that may be pairs too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LANGUAGES = ("zh", "en")
Pair = tuple[str, str]  # the same in Chinese and in English


def say(pair: Sequence[Any], lang: str, **values: object) -> str:
    """Return what a pair is in `zh` or `en`, its fields filled in; a value that is a pair is said in that language.

    What follows the two texts in a longer row is left alone. A pair that came back from JSON is a list.
    """
    text = str(pair[LANGUAGES.index(lang)])
    return text.format(**{name: _said(value, lang) for name, value in values.items()}) if values else text


def both(zh: str, en: str, pairs: Sequence[Pair]) -> Pair:
    """Return several pairs as one, joined by what each language sets between them."""
    return zh.join(pair[0] for pair in pairs), en.join(pair[1] for pair in pairs)


def _said(value: object, lang: str) -> object:
    is_pair = (
        isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(part, str) for part in value)
    )
    return say(value, lang) if is_pair else value  # type: ignore[arg-type]

"""Turns the English of the code into the reader's language, from gettext catalogues compiled at first use."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from dispatch.rules.words import LANGUAGES as LANGUAGES

FOLDER = Path(__file__).parent / "locale"
DEFAULT = "zh"

Translate = Callable[[str], str]

# Roles as people call them; translated where they are shown.
ROLES = {
    "resident": "Resident",
    "grid_worker": "Grid worker",
    "grid_head": "Grid head",
    "village": "Village station",
    "dispatcher": "Dispatcher",
    "duty_leader": "Duty leader",
    "team": "Team",
    "county": "County centre",
    "city": "City centre",
    "leader": "Leader",
    "auditor": "Auditor",
    "admin": "Administrator",
    "system": "The system",
}


def other(lang: str) -> tuple[str, str]:
    """Return the language that a page is switched to, and what it calls itself: the way out for who cannot read."""
    return ("en", "English") if lang == "zh" else ("zh", "中文")


def chosen(wish: str | None) -> str:
    """Return the language to use for a wish such as `en`, `zh-CN` or None; Chinese where it is not known."""
    short = (wish or "")[:2].lower()
    return short if short in LANGUAGES else DEFAULT


@cache
def translator(lang: str) -> Translate:
    """Return the function that translates a sentence of the code into `zh` or `en`.

    A sentence without a translation is returned as it stands, in English.
    """
    return _catalogue(lang).gettext


def shorter(lang: str, name: str) -> str:
    """Return the short wording of a name, for walls where it may not be cut; without one, the name itself."""
    return _catalogue(lang).pgettext("short", name)


def done(lang: str, step: str) -> str:
    """Return how a step is told once it is taken; without such a wording, the step itself."""
    return _catalogue(lang).pgettext("done", step)


def shortest(lang: str, name: str) -> str:
    """Return the wording of a name for where one word has room; without one, its short wording."""
    found = _catalogue(lang).pgettext("shortest", name)
    return shorter(lang, name) if found == name else found


@cache
def _catalogue(lang: str) -> NullTranslations:
    """Return all catalogues of a language as one: one file a page, a sentence alike wherever it stands."""
    whole = Catalog(locale=lang)
    for path in sorted((FOLDER / lang).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file):
                if message.id:
                    whole.add(message.id, message.string, context=message.context)
    compiled = io.BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return GNUTranslations(compiled)


def pick(lang: str, zh: str, en: str | None) -> str:
    """Return the name in the language; one that has no English name keeps its Chinese one."""
    return zh if lang == "zh" or not en else en


def clock_name(kind: str, lang: str) -> str:
    """Return what a clock waits for, as a noun."""
    _ = translator(lang)
    names = {
        "accept": _("acceptance"),
        "dispatch": _("dispatch"),
        "pick_up": _("pick-up"),
        "arrive": _("arrival"),
        "dispose": _("disposal"),
        "verify": _("check"),
        "close": _("closing"),
    }
    return names.get(kind, kind)


def limit_words(limit: str, lang: str) -> str:
    """Return a limit such as `3wd`, or in wartime `3wd/2`, in words; one that a source promised is named so."""
    _ = translator(lang)
    limit, half, _rest = limit.partition("/2")
    amount = limit.rstrip("abcdefghijklmnopqrstuvwxyz")
    words = {
        "m": (_("{n} minute"), _("{n} minutes")),
        "uh": (_("{n} hour"), _("{n} hours")),
        "ud": (_("{n} day"), _("{n} days")),
        "wh": (_("{n} working hour"), _("{n} working hours")),
        "wd": (_("{n} working day"), _("{n} working days")),
    }.get(limit[len(amount) :])
    if not words:
        return _("promised by the source")
    n = f"{int(amount) / 2:g}" if half else amount
    return words[n != "1"].format(n=n)

"""Write the leaders' picture as a file: Excel, Word, or one page of PDF, its numbers those of the screen."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path

from dispatch.figures import overview
from dispatch.figures.case_sets import Connection
from dispatch.figures.overview import Overview
from dispatch.record.policies import Policies
from dispatch.rules.time.period import Period
from dispatch.rules.words import LANGUAGES as LANGUAGES

Writer = Callable[[Overview, str, str], bytes]

# Form -> the module and the function of it that writes it; imported at first use, for fonts and templates are large.
FORMATS = {"xlsx": "excel", "docx": "word", "pdf": "pdf"}


class NothingYet(LookupError):
    """Say that there is nothing to brief on: no report in the period."""


def make(picture: Overview, form: str, lang: str, zone: str) -> bytes:
    """Return a picture as a file of a form (xlsx, docx or pdf) in `zh` or `en`; `zone` is the city's own time.

    Raises ValueError for another form or language.
    """
    if form not in FORMATS:
        raise ValueError(f"format: expected {', '.join(FORMATS)}, not {form!r}")
    if lang not in LANGUAGES:
        raise ValueError(f"lang: expected {' or '.join(LANGUAGES)}, not {lang!r}")
    name = FORMATS[form]
    write: Writer = getattr(import_module(f"dispatch.figures.briefing.{name}"), name)
    return write(picture, zone, lang)


def brief(connection: Connection, area: str, period: Period, form: str, lang: str, now: datetime) -> bytes:
    """Return the briefing of an area for a period.

    Raises LookupError for an unknown area, ValueError for a wrong form, language or a period that has not begun,
    NothingYet where nothing was reported in the period.
    """
    picture = overview.read(connection, area, period, now)
    reported = picture.figure("reported").now
    if not reported.credited.count and (picture.known_since is None or period.until <= picture.known_since):
        since = picture.known_since
        raise NothingYet(
            "no data yet: nothing has been counted"
            if since is None
            else f"no data: {picture.period.text} lies before the first report, {since}"
        )
    with connection.cursor() as cursor:
        zone = Policies(cursor).in_force(now).calendar.zone
    return make(picture, form, lang, zone)


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: under another name first, then renamed."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)

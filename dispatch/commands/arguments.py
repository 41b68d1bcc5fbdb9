"""Read days and instants from the command line, and say in words what was expected."""

from __future__ import annotations

import argparse
from datetime import date, datetime


def day(text: str) -> date:
    """Return a day written YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a day that there is, as in 2026-11-23, not {text!r}"
        ) from None


def moment(text: str) -> datetime:
    """Return an instant in ISO 8601, with or without its offset."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a time that there is, as in 2026-11-23T08:00+08:00, not {text!r}"
        ) from None


def instant(text: str) -> datetime:
    """Return an instant in ISO 8601 with its offset."""
    found = moment(text)
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError("give an offset, as in 2026-11-23T08:00+08:00")
    return found

"""Signing in and out, and who a session belongs to, for the routes and pages that ask."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Literal

from dashboard.data.city import CityReads
from dispatch.accounts import sessions
from dispatch.accounts.sessions import NotIn, Viewer


def demo() -> bool:
    """Tell whether the demo's doors are open: everywhere but where `DEMO=0`."""
    return os.environ.get("DEMO", "1") != "0"


def sign_in(city: CityReads, login: str, password: str, address: str = "") -> tuple[str, Viewer] | NotIn:
    """Begin a session now; return its token and who it is, or the refusal."""
    with city.change() as connection:
        return sessions.sign_in(connection, login, password, datetime.now(UTC), demo(), address)


def sign_in_as(city: CityReads, subject: str, address: str = "") -> tuple[str, Viewer] | NotIn:
    """Begin a session now for whom the identity provider names; return its token and who it is, or the refusal."""
    with city.change() as connection:
        return sessions.sign_in_as(connection, subject, datetime.now(UTC), address)


def change_password(
    city: CityReads, account_id: int, old: str, new: str, token: str, address: str = ""
) -> Literal["wrong", "length", "same", "demo", "locked"] | None:
    """Change one's own password now; return why not, or None where it is done."""
    with city.change() as connection:
        return sessions.change_password(connection, account_id, old, new, token, datetime.now(UTC), address)


def viewer_of(city: CityReads, token: str) -> Viewer | None:
    """Return who a session's token belongs to now, or None."""
    with city.change() as connection:
        return sessions.viewer_of(connection, token, datetime.now(UTC), demo())


def sign_out(city: CityReads, token: str) -> None:
    """End one session."""
    with city.change() as connection:
        sessions.sign_out(connection, token)


def sign_out_everywhere(city: CityReads, account_id: int) -> int:
    """End every session of an account; return how many there were."""
    with city.change() as connection:
        return sessions.sign_out_everywhere(connection, account_id)

"""Sign a dispatcher in at a fixed hour, with the one password that the tests of accounts use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg

from dispatch.accounts import sessions

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
PASSWORD = "correct horse"
Connection = psycopg.Connection[Any]


def entered(connection: Connection, login: str, at: datetime = NOW) -> str:
    answer = sessions.sign_in(connection, login, PASSWORD, at)
    assert isinstance(answer, tuple)
    return answer[0]

"""Proves that a database that hangs is noticed as one that is dead is, and that a slow answer is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any

import psycopg
import pytest

from dashboard.data import CityReads, hang_aware
from models.servers.database import Pool

# However busy the machine is; nobody would ever say anything where a hanging database were waited for.
NOTICED_S = 60.0


def test_a_database_that_hangs_is_noticed_within_five_seconds_and_the_next_look_says_so_at_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a machine of its own.
    assert hang_aware.PATIENCE_S + hang_aware.PROBE_S < 5
    asked, lend = [], Pool.lend

    def counted(*args: Any, **options: Any) -> Any:
        asked.append(args)
        return lend(*args, **options)

    monkeypatch.setattr(Pool, "lend", counted)
    reads = CityReads(database)
    with reads.look() as connection:
        backend = connection.info.backend_pid
    found = subprocess.run(
        ["ps", "-o", "ppid=", "-p", str(backend)], capture_output=True, text=True, check=True
    )
    stopped = (int(found.stdout), backend)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(psycopg.OperationalError), reads.look() as connection:
            connection.execute("select 1")
        assert time.monotonic() - begun < NOTICED_S
        # A look that lay wholly in the time for which that is known has asked nobody.
        while True:
            asked.clear()
            known_until = reads._away_until
            with pytest.raises(psycopg.OperationalError), reads.look():
                pass
            if time.monotonic() < known_until:
                break
            assert time.monotonic() - begun < NOTICED_S
        assert asked == []
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + 60
    while True:
        try:
            with reads.look() as connection:
                assert connection.execute("select 1").fetchone() == (1,)
            break
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "it came back, and was not seen"
            time.sleep(0.1)
    reads.close()


def test_a_question_that_takes_long_is_waited_for_while_the_database_lets_others_in(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hang_aware, "PATIENCE_S", 0.1)
    reads = CityReads(database)
    with reads.look() as connection:
        assert connection.execute("select 1 from pg_sleep(0.5)").fetchone() == (1,)
    reads.close()

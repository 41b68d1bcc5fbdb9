"""Fifty days of a small city with every fault there is end with every invariant whole."""

from __future__ import annotations

import psycopg
import pytest
import redis

from dispatch.desk import desk, store
from models.servers.database import psycopg_dsn
from tests.simulation import PER_DAY, Simulation, SimulationError, main
from tests.templates import CityOf

pytestmark = pytest.mark.city("district")

SEED = 1
# A quarter as long as `make simulate`, with twice as many reports a day and twice as many faults.
DAYS, OFTEN = 50, 2.0
EVENTS = "select incident_id, seq, at, verb, actor, cause, data::text from event order by incident_id, seq"


def test_fifty_days_with_faults_leave_every_invariant_whole(database: str, stream: redis.Redis) -> None:
    """Nothing lost, nothing twice, nothing stale; and every fault and side road did come."""
    simulation = Simulation(database, stream, SEED, per_day=2 * PER_DAY, often=OFTEN)
    simulation.run(DAYS)
    assert simulation.incidents >= 150
    faults = {
        "sent twice", "overtaken", "taken again", "duplicate report", "refused report", "crash before commit",
        "crash after commit", "crash before acknowledging", "database away", "leap", "clock back", "fast clock",
        "silent", "pressed again", "pressed by two", "stale page", "report failed", "act failed", "jobs failed",
    }  # fmt: skip
    roads = {
        "whistle", "send_whistle", "refuse_whistle", "end_whistle", "rate_whistle", "add_assist", "ask_extension",
        "grant_extension", "suspend", "resume", "reopen", "merge", "recode", "appeal", "judge_appeal", "reassign",
        "decline", "rework", "conclude", "take_over", "archive", "hand_down", "name_commander",
    }  # fmt: skip
    happened = {what for what, count in simulation.tally.items() if count}
    assert happened >= faults | {f"done: {road}" for road in roads}
    assert {"breach", "escalate", "resume by itself", "remind", "whistle not reported in"} <= happened


def test_a_seed_lives_the_same_life_however_quick_the_machine_is(
    city_of: CityOf, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every event is there again, to the last word of it, or a failure could not be looked at a second time."""
    lives = []
    # A thousandth of the age is as good as a machine that takes a thousand times as long.
    for age_s in (desk.ROSTER_AGE_S, desk.ROSTER_AGE_S / 1000):
        monkeypatch.setattr(desk, "ROSTER_AGE_S", age_s)
        stream.flushdb()
        with city_of("district") as database:
            Simulation(database, stream, SEED, per_day=20, often=OFTEN).run(4)
            with psycopg.connect(psycopg_dsn(database)) as connection:
                lives.append(connection.execute(EVENTS).fetchall())
    assert len(lives[0]) > 100
    assert lives[0] == lives[1]


def test_the_command_explains_itself_and_refuses_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    """What a person types to repeat a failure."""
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "--seed" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        main(["--days", "0"])
    assert left.value.code == 2


def test_a_failure_says_the_seed_that_repeats_it_and_when_it_was(
    database: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that do not say what happened are found, with what repeats the finding."""
    monkeypatch.setattr(store, "written", lambda change: '{"to": "accepted"}')
    with pytest.raises(SimulationError, match=r"^seed 77, virtual time 2025-\S+: "):
        Simulation(database, stream, 77, per_day=20).run(4)

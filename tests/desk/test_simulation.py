"""A hundred days of a small city with every fault there is end with every invariant whole."""

from __future__ import annotations

import pytest
import redis

from dispatch.desk import store
from tests.simulation import Simulation, SimulationError, main

pytestmark = pytest.mark.city("district")

SEED = 1
# Half as long as `make simulate` and with twice as many faults, so that as many come.
DAYS, OFTEN = 100, 2.0


def test_a_hundred_days_with_faults_leave_every_invariant_whole(database: str, stream: redis.Redis) -> None:
    """Nothing lost, nothing twice, nothing stale; and every fault and side road did come."""
    simulation = Simulation(database, stream, SEED, often=OFTEN)
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

"""What is typed at a command is answered in words that name the field and what was expected, never by a traceback."""

from __future__ import annotations

import pytest

from dispatch.__main__ import main as dispatch
from jobs.__main__ import main as jobs


@pytest.mark.parametrize(
    "words",
    [
        ["policy", "publish", "--note", "x", "--valid-from", "2026-02-30"],
        ["policy", "dry-run", ".", "--since", "yesterday"],
        ["briefing", "445300", "--out", "/tmp/x.pdf", "--day", "2026-13-01"],
        ["replay", "x.csv", "--map", "nyc311", "--as-of", "2026-11-23T25:00"],
        ["jobs", "kpi", "--as-of", "2026-11-31T08:00+08:00"],
    ],
)
def test_a_day_that_there_is_not_is_refused_with_what_was_expected(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        jobs(["run", *words[1:]]) if words[0] == "jobs" else dispatch(words)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert f"argument {words[-2]}: expected a " in told
    assert "as in 2026-11-23" in told
    assert repr(words[-1]) in told


def test_who_asks_the_audit_for_an_incident_that_is_not_there_is_not_told_that_it_is_whole(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert dispatch(["audit", "verify", "--incident", "4711"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "There is no incident 4711" in told.err
    for number in ("0", "-3", "many", "9" * 20):
        with pytest.raises(SystemExit) as end:
            dispatch(["audit", "verify", "--incident", number])
        assert end.value.code == 2
        assert "expected an incident's id" in capsys.readouterr().err


def test_a_history_without_servers_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:secret@127.0.0.1:1/nothing")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("os.nice", lambda _: 0)
    monkeypatch.setattr("gc.disable", lambda: None)
    assert dispatch(["history"]) == 1
    assert "The stream server does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["audit", "verify"], ["migrate"], ["wartime", "list"]])
def test_a_command_without_a_database_says_so(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:secret@127.0.0.1:1/nothing")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert dispatch(words) == 1
    told = capsys.readouterr().err
    assert "The database does not answer" in told
    assert "secret" not in told


def test_a_migration_to_what_there_is_not_is_refused_by_its_name(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    assert dispatch(["migrate", "--revision", "9999"]) == 1
    assert "9999" in capsys.readouterr().err

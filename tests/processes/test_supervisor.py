"""Proves that one command keeps everything up, and that whatever ends it leaves no process behind."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis

from dispatch import __main__ as commands
from dispatch.ops import supervisor
from models.servers import servers
from models.servers.database import Servers, addresses, psycopg_dsn
from tests.conftest import open_folder
from tests.ports import free_port

pytestmark = pytest.mark.processes
WAIT_S = 180.0
ROOT = Path(__file__).parents[2]

# Stand-ins for the real processes: each says who it is, and some misbehave.
STUB = """
import http.server, os, signal, subprocess, sys, time
kind = sys.argv[1]
def told(number, frame):
    print(kind, "was told", signal.Signals(number).name, flush=True)
    if kind != "stubborn":
        sys.exit(0)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, told)
print(kind, "is", os.getpid(), "with", "DATABASE_URL" in os.environ and "REDIS_URL" in os.environ, flush=True)
if kind == "load":
    sys.exit(0)
if kind == "web":
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()
        def log_message(self, *args):
            pass
    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
if kind == "parent":
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
while True:
    time.sleep(1)
"""

RUNNER = """
import os, pathlib, sys
from dispatch.ops import supervisor
from dispatch.ops.supervisor import Child, Plan, supervise
folder, port, stub, *kinds = sys.argv[1:]
supervisor.STOP_PATIENCE_S = float(os.environ.get("TEST_PATIENCE_S", supervisor.STOP_PATIENCE_S))
command = lambda kind: (sys.executable, stub, kind)
children = tuple(Child(kind, ("/nowhere/to/be/found",) if kind == "missing" else command(kind)) for kind in kinds)
sys.exit(supervise(Plan(pathlib.Path(folder), int(port), True, command("load"), children, "web" in kinds)))
"""


class Up:
    """Follow one supervisor with stand-ins for its children."""

    def __init__(self, folder: Path, port: int, kinds: tuple[str, ...], given: Servers | None) -> None:
        stub = folder.parent / "stub.py"
        stub.write_text(STUB)
        environment = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
        }
        if given is not None:
            environment |= {"DATABASE_URL": given.database_url, "REDIS_URL": given.redis_url}
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(folder), str(port), str(stub), *kinds],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.decode().rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def says(self, pattern: str, times: int = 1) -> re.Match[str]:
        """Wait until a line has said `pattern` so many times; return the last match."""
        found: list[re.Match[str]] = []

        def enough() -> bool:
            found[:] = re.finditer(pattern, self.text)
            return len(found) >= times

        eventually(enough, lambda: f"{pattern!r} {times} times in:\n{self.text}")
        return found[-1]

    def pid(self, kind: str, times: int = 1) -> int:
        """Wait for the so-manieth life of a child; return its process number."""
        return int(self.says(rf"{kind} is (\d+) with True", times)[1])

    def ends(self) -> int:
        """Wait for the supervisor's end; return its exit code."""
        code = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return code


def eventually(check: Callable[[], object], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not check():
        assert time.monotonic() < deadline, f"not within {WAIT_S:.0f} s: {what()}"
        time.sleep(0.02)


def belonging_to(folder: Path) -> list[str]:
    """Return the command lines of all living processes that mention a folder in their command or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
            if command and int(process.name) != os.getpid() and os.fsencode(folder) in command + environment:
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def nothing_left(folder: Path) -> None:
    eventually(lambda: not belonging_to(folder), lambda: f"no process left of {belonging_to(folder)}")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a data folder of its own; end whatever a failed test left running in it."""
    parent = open_folder("gw-up-")
    yield parent / "data"
    servers.stop(parent / "data")
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def port() -> int:
    """Return a port that is free now."""
    return free_port()


@pytest.fixture
def given(database: str, stream_url: str) -> Servers:
    """Return servers that are somebody else's: a supervisor uses them and leaves them alone."""
    return Servers(database, stream_url)


@pytest.fixture
def up(folder: Path, port: int) -> Iterator[Callable[..., Up]]:
    """Start supervisors, on servers of their own or on given ones, and kill those that a failed test left."""
    started: list[Up] = []

    def start(*kinds: str, given: Servers | None = None) -> Up:
        started.append(Up(folder, port, kinds, given))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.ends()
    nothing_left(folder)


def test_whatever_is_killed_comes_back_and_ctrl_c_leaves_nothing(
    up: Callable[..., Up], folder: Path, port: int
) -> None:
    run = up("web", "steady", "parent")
    run.says(rf"http://localhost:{port}/wall\?area=445300&embed=true")
    run.says(rf"http://localhost:{port}/incidents")
    run.says("API key: demo")
    run.pid("web")
    assert run.text.index("load is") < run.text.index("web is")
    run.says(r"demo +│ load is")

    for kind in ("steady", "web", "parent"):
        first = run.pid(kind)
        os.kill(first, signal.SIGKILL)
        run.says(rf"{kind} was ended by SIGKILL; starting it again in 0\.5 s")
        assert run.pid(kind, times=2) != first
    # A child's own children go with it.
    eventually(
        lambda: sum("time.sleep(600)" in each for each in belonging_to(folder)) == 1, lambda: "one grandchild"
    )

    pair = addresses(folder)
    client = redis.Redis.from_url(pair.redis_url)
    client.xadd("incidents", {"n": "7"})
    with psycopg.connect(psycopg_dsn(pair.database_url)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(int((folder / "valkey/valkey.pid").read_text()), signal.SIGKILL)
    os.kill(int((folder / "postgres/postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGKILL)
    run.says("(PostgreSQL|Valkey) answers again")
    eventually(lambda: servers.alive(pair), lambda: f"both servers are back:\n{run.text}")
    assert client.xlen("incidents") == 1
    client.close()
    with psycopg.connect(psycopg_dsn(pair.database_url)) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)

    os.killpg(run.process.pid, signal.SIGINT)
    assert run.ends() == 0
    # Ctrl-C reached the supervisor alone; it told the others.
    assert "SIGINT" not in run.text
    assert "steady was told SIGTERM" in run.text
    assert "Traceback" not in run.text
    assert run.lines[-1].endswith("stopped")
    nothing_left(folder)


def test_a_second_ctrl_c_does_not_wait_for_the_stubborn(
    up: Callable[..., Up], folder: Path, given: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By itself it would wait longer than any test does.
    monkeypatch.setenv("TEST_PATIENCE_S", "3600")
    run = up("stubborn", "steady", given=given)
    run.pid("stubborn")
    run.pid("steady")
    run.process.send_signal(signal.SIGINT)
    run.says("stubborn was told SIGTERM")
    run.process.send_signal(signal.SIGINT)
    assert run.ends() == 0
    assert "killing stubborn" in run.text
    nothing_left(folder)


def test_ctrl_c_while_starting_is_heard_at_once(up: Callable[..., Up], folder: Path) -> None:
    folder.mkdir()
    with (folder / "servers.lock").open("w") as lock:
        # Somebody else starts servers in this folder: ours wait, and so they are sure to be starting.
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = up("steady")
        waits = rf"-> FLOCK .*:{os.fstat(lock.fileno()).st_ino} "
        eventually(
            lambda: re.search(waits, Path("/proc/locks").read_text()), lambda: "the servers begin to start"
        )
        run.process.send_signal(signal.SIGTERM)
    assert run.ends() == 0
    assert "steady is" not in run.text
    assert "Traceback" not in run.text
    nothing_left(folder)


def test_a_killed_supervisor_takes_everything_with_it_and_can_start_again(
    up: Callable[..., Up], folder: Path
) -> None:
    run = up("stubborn", "steady")
    run.pid("stubborn")
    run.pid("steady")
    run.process.kill()
    # At once, while the old servers may still be stopping.
    again = up("steady")
    again.pid("steady")
    eventually(
        lambda: not any("stubborn" in each for each in belonging_to(folder)), lambda: "stubborn is gone"
    )
    again.process.terminate()
    assert again.ends() == 0
    nothing_left(folder)


def test_two_on_one_folder_are_refused(up: Callable[..., Up], folder: Path, given: Servers) -> None:
    first = up("steady", given=given)
    first.pid("steady")
    second = up("steady", given=given)
    assert second.ends() == 1
    assert f"already runs on {folder} (process {first.process.pid})" in second.text
    assert len(second.lines) == 1
    first.process.terminate()
    assert first.ends() == 0
    # Servers that were given are neither doubled nor stopped.
    assert not (folder / "postgres").exists()
    assert servers.alive(given)


def test_a_port_in_use_is_refused_before_anything_starts(
    up: Callable[..., Up], folder: Path, port: int
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        run = up("steady")
        assert run.ends() == 1
    assert f"Port {port} cannot be used" in run.text
    assert len(run.lines) == 1
    assert not (folder / "postgres").exists()


def test_a_child_that_cannot_start_is_tried_less_and_less_often(
    up: Callable[..., Up], given: Servers
) -> None:
    run = up("missing", given=given)
    run.says("cannot run /nowhere/to/be/found")
    for pause in ("0.5", "1", "2"):
        run.says(rf"missing ended with code 126; starting it again in {pause} s")
    run.process.terminate()
    assert run.ends() == 0


def test_the_pause_doubles_to_a_limit_and_starts_over_after_a_healthy_run() -> None:
    backoff = supervisor._Backoff()
    assert [backoff.next(0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.next(supervisor.HEALTHY_AFTER_S) == 0.5


def test_the_plan_without_demo_has_no_demo_in_it() -> None:
    names = [child.name for child in supervisor.plan(Path("data"), 8501, demo=True).children]
    assert names == ["dispatch", "jobs", "dashboard", "life", "history"]
    real = supervisor.plan(Path("data"), 8501, demo=False)
    assert [child.name for child in real.children] == ["dispatch", "jobs", "dashboard"]
    assert real.load is None
    assert "demo" not in supervisor.welcome(8501, demo=False)
    assert "445300" not in supervisor.welcome(8501, demo=False)
    assert "load-city" in supervisor.welcome(8501, demo=False)


@pytest.mark.parametrize("command", [command.name for command in commands.COMMANDS])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        commands.main([command, "--help"])
    assert left.value.code == 0
    assert "usage: python -m dispatch" in capsys.readouterr().out


def test_a_port_that_is_none_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["up", "--port", "http"]) == 1
    assert "PORT must be a number" in capsys.readouterr().err

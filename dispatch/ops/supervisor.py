"""Keeps a whole Gridwhistle running on one machine: the servers, the schema, the demo city and every process.

Only this process hears Ctrl-C; each child has a session of its own and is told in order. A child that ends is
started again after a pause that doubles. If this process is killed, the kernel ends its children.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

import psycopg

from dispatch.accounts import sessions
from models.migrations import migrate
from models.servers import servers, tied_process
from models.servers.database import Servers, ServersError, psycopg_dsn

TICK_S = 0.1
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
HEALTHY_AFTER_S = 60.0  # a child or server that has run this long starts again from the first pause
STOP_PATIENCE_S = 10.0  # between asking the children to end and killing them
WATCH_EVERY_S = 2.0  # how often each server is asked whether it answers
HEALTH_EVERY_S = 0.5
HEALTH_TIMEOUT_S = 1.0
LINE_LIMIT_BYTES = 64_000  # a longer line of a child's output is broken, never held back
DRAIN_S = 1.0  # for the last lines of children that have ended

OWN_NAME = "gridwhistle"
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93)


@dataclass(frozen=True)
class Child:
    """Name a process to keep running, and its command; one that is done `once` it ends with code 0 stays ended.

    A `late` child waits until people can come in; an `early` one begins while the demo city is being loaded, since
    it takes seconds to begin and waits for the city by itself.
    """

    name: str
    command: tuple[str, ...]
    once: bool = False
    late: bool = False
    early: bool = False


@dataclass(frozen=True)
class Plan:
    """Say what to run: children to keep up, a command to run once before them, and the port that people open."""

    data_dir: Path
    port: int
    demo: bool = True
    load: tuple[str, ...] | None = None
    children: tuple[Child, ...] = ()
    wait_for_health: bool = True


def plan(data_dir: Path, port: int, demo: bool) -> Plan:
    """Return everything that `make run` runs."""
    python = (sys.executable, "-m")
    children = [
        Child("dispatch", (*python, "dispatch", "run")),
        Child("jobs", (*python, "jobs", "run-all")),
        Child("dashboard", (*python, "dashboard"), early=True),
    ]
    if demo:
        children.append(Child("life", (*python, "dispatch", "life"), late=True))
        children.append(Child("history", (*python, "dispatch", "history"), once=True, late=True))
    load = (*python, "models", "demo", "--if-empty") if demo else None
    return Plan(data_dir, port, demo, load, tuple(children))


def welcome(port: int, demo: bool) -> str:
    """Return what a newcomer reads once the dashboard answers: where to look and, in the demo, how to get in."""
    base = f"http://localhost:{port}"
    area = "445300" if demo else "CODE"
    lines = ["Gridwhistle 网格哨 is up.", "", f"  wall       {base}/wall?area={area}&embed=true"]
    lines.append(f"  incidents  {base}/incidents")
    if demo:
        lines += ["", "  This is the demo city. API key: demo"]
        lines += [f"  Sign in at {base}/login as dispatcher, team, worker, resident, county, city, leader,"]
        lines += [f"  duty, head, village, auditor or admin; the password of all is {sessions.DEMO_PASSWORD}"]
    else:
        lines += ["", "  CODE is the code of an area. A city is loaded with: python -m models load-city DIR"]
    return "\n".join([*lines, "", "  Ctrl-C stops everything; the data stays."])


def supervise(plan: Plan) -> int:
    """Run a plan until Ctrl-C, SIGTERM or SIGHUP; return 0, or 1 when it cannot start, having said why."""
    printer = _Printer([OWN_NAME, "demo", *(child.name for child in plan.children)])
    try:
        with _only_one(plan.data_dir):
            _require_free(plan.port)
            return _Run(plan, printer).run()
    except _Refusal as refusal:
        printer.say(str(refusal))
        return 1


class _Refusal(Exception):
    """It cannot start here; the message says why."""


class _Stopped(BaseException):
    """A signal asked to stop while starting."""


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(data_dir / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _Refusal(
            f"Cannot write to {data_dir}: {error.strerror}. Set DATA_DIR to a folder of yours."
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            raise _Refusal(
                f"Gridwhistle already runs on {data_dir} (process {holder}). Stop it, or set another DATA_DIR and PORT."
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As a web server does: connections that linger after an earlier run do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise _Refusal(
                f"Port {port} cannot be used ({error.strerror}). Set PORT to a free one."
            ) from None


class _Printer:
    """Write whole lines from several threads, each with the name of who said it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._out = sys.stdout.buffer
        width = max(len(name) for name in names)
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._prefixes = {}
        for index, name in enumerate(names):
            prefix = f"{name:<{width}} │ "
            if coloured:
                prefix = f"\x1b[{COLOURS[index % len(COLOURS)]}m{prefix}\x1b[0m"
            self._prefixes[name] = prefix.encode()

    def say(self, text: str, name: str = OWN_NAME) -> None:
        """Print a text of one or more lines."""
        for line in text.split("\n"):
            self._write(name, line.encode())

    def pump(self, name: str, stream: IO[bytes]) -> None:
        """Print what a child says until it ends."""
        with stream:
            while line := stream.readline(LINE_LIMIT_BYTES):
                self._write(name, line.rstrip(b"\r\n"))

    def _write(self, name: str, line: bytes) -> None:
        # A reader that went away (`make run | head`) must not bring the city down.
        with self._lock, suppress(OSError, ValueError):
            self._out.write(self._prefixes[name] + line + b"\n")
            self._out.flush()


@dataclass
class _Backoff:
    """Count the pause before the next attempt."""

    pause_s: float = FIRST_PAUSE_S
    due: float = 0.0

    def next(self, ran_s: float) -> float:
        """Return the pause in seconds after a run of `ran_s`, and double it for the next time."""
        if ran_s >= HEALTHY_AFTER_S:
            self.pause_s = FIRST_PAUSE_S
        pause_s, self.pause_s = self.pause_s, min(self.pause_s * 2, LONGEST_PAUSE_S)
        self.due = time.monotonic() + pause_s
        return pause_s


@dataclass
class _Running:
    """Follow one child through its lives."""

    child: Child
    process: subprocess.Popen[bytes] | None = None
    pump: threading.Thread | None = None
    began: float = 0.0
    backoff: _Backoff = field(default_factory=_Backoff)
    done: bool = False


class _Run:
    """Carry one plan from start to stop."""

    def __init__(self, plan: Plan, printer: _Printer) -> None:
        self._plan = plan
        self._printer = printer
        self._say = printer.say
        self._signals = 0
        self._interruptible = False
        self._environment = dict(os.environ)
        self._running = [_Running(child) for child in plan.children]
        self._loader: _Running | None = None
        self._backoff = _Backoff()
        self._servers_since = 0.0

    def run(self) -> int:
        """Start, keep running, stop; return the exit code."""
        handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in handled}
        try:
            self._start()
            self._keep()
        except _Stopped:
            pass
        except ServersError as error:
            self._say(str(error))
            return 1
        finally:
            self._interruptible = False
            self._stop()
            for number, handler in before.items():
                signal.signal(number, handler)
        return 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._interruptible:
            self._interruptible = False
            raise _Stopped

    @contextmanager
    def _can_be_interrupted(self) -> Iterator[None]:
        """Let a signal break off what runs inside, at once; elsewhere it is only noted."""
        self._interruptible = True
        if self._signals:
            self._raise_stopped()
        try:
            yield
        finally:
            self._interruptible = False

    def _raise_stopped(self) -> NoReturn:
        self._interruptible = False
        raise _Stopped

    def _start(self) -> None:
        plan = self._plan
        with self._can_be_interrupted():
            addresses = servers.start(plan.data_dir)
            self._servers_since = time.monotonic()
            self._await_servers(addresses)
            self._say(f"the servers answer; data is in {servers.place(plan.data_dir)}")
            migrate.upgrade(addresses.database_url, told=self._say)
        self._environment.update(
            DATABASE_URL=addresses.database_url,
            REDIS_URL=addresses.redis_url,
            DATA_DIR=str(plan.data_dir),
            PORT=str(plan.port),
            DEMO="1" if plan.demo else "0",
            PYTHONUNBUFFERED="1",
        )
        for each in self._running:
            if each.child.early:
                self._spawn(each)
        if plan.load:
            self._loader = _Running(Child("demo", plan.load))
            self._spawn(self._loader)
            while (code := self._ended(self._loader)) is None:
                time.sleep(TICK_S)
                if self._signals:
                    self._raise_stopped()
            if code:
                self._say(f"the demo city could not be loaded (exit code {code}); going on without it")
            with psycopg.connect(psycopg_dsn(addresses.database_url)) as connection:
                sessions.ensure_demo(connection)

    def _await_servers(self, addresses: Servers) -> None:
        """Wait for servers that are somebody else's and may be starting too; raise ServersError after a while."""
        deadline = time.monotonic() + servers.READY_TIMEOUT_S
        announced = False
        while not servers.alive(addresses):
            if not announced:
                self._say("waiting for the servers that DATABASE_URL and REDIS_URL name")
                announced = True
            if time.monotonic() > deadline:
                raise ServersError("The server that DATABASE_URL or REDIS_URL names does not answer.")
            time.sleep(TICK_S)

    def _keep(self) -> None:
        began = time.monotonic()
        welcomed = not self._plan.wait_for_health
        next_watch = next_health = 0.0
        while not self._signals:
            for each in self._running:
                if welcomed or not each.child.late:
                    self._tend(each)
            now = time.monotonic()
            if now >= next_watch:
                self._watch_servers()
                next_watch = time.monotonic() + WATCH_EVERY_S
            if not welcomed and now >= next_health:
                if welcomed := _healthy(self._plan.port):
                    self._say(f"ready after {time.monotonic() - began:.1f} s")
                    self._say(f"\n{welcome(self._plan.port, self._plan.demo)}\n")
                next_health = time.monotonic() + HEALTH_EVERY_S
            time.sleep(TICK_S)

    def _spawn(self, each: _Running) -> None:
        process = subprocess.Popen(
            # Killed, not asked: nobody would be left to insist, and all work is safe to lose and take up again.
            tied_process.wrap(list(each.child.command), signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )
        each.process, each.began = process, time.monotonic()
        assert process.stdout is not None
        each.pump = threading.Thread(
            target=self._printer.pump, args=(each.child.name, process.stdout), daemon=True
        )
        each.pump.start()

    def _ended(self, each: _Running) -> int | None:
        """Return the exit code of a child that has ended, after ending what it left behind; None while it runs."""
        process = each.process
        assert process is not None
        # Looked at before it is reaped: until then its number, and so its group's, belongs to nobody else.
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        _signal_group(process.pid, signal.SIGKILL)
        return process.wait()

    def _tend(self, each: _Running) -> None:
        if each.process is None:
            if not each.done and time.monotonic() >= each.backoff.due:
                self._spawn(each)
            return
        code = self._ended(each)
        if code is not None:
            each.process = None
            each.done = each.child.once and code == 0
            if each.done:
                return
            pause_s = each.backoff.next(time.monotonic() - each.began)
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            self._say(f"{each.child.name} {how}; starting it again in {pause_s:g} s")

    def _watch_servers(self) -> None:
        database_url, redis_url = self._environment["DATABASE_URL"], self._environment["REDIS_URL"]
        silent = []
        # A server named by the environment is somebody else's to start.
        if not os.environ.get("DATABASE_URL") and not servers.database_answers(database_url):
            silent.append("PostgreSQL")
        if not os.environ.get("REDIS_URL") and not servers.stream_answers(redis_url):
            silent.append("Valkey")
        if not silent or time.monotonic() < self._backoff.due:
            return
        pause_s = self._backoff.next(time.monotonic() - self._servers_since)
        self._say(f"{' and '.join(silent)} did not answer; starting again")
        try:
            with self._can_be_interrupted():
                servers.start(self._plan.data_dir)
            self._servers_since = time.monotonic()
            self._say(f"{' and '.join(silent)} answers again")
        except (ServersError, OSError) as error:
            self._say(f"{error}\ntrying again in {pause_s:g} s")

    def _stop(self) -> None:
        """End the children together, then the servers; a second signal stops the waiting, nothing is left."""
        everyone = [*self._running, *([self._loader] if self._loader else [])]
        left = [each for each in everyone if each.process is not None and each.process.returncode is None]
        if left:
            self._say(f"stopping {', '.join(each.child.name for each in left)}")
        for each in left:
            _signal_group(_pid(each), signal.SIGTERM)
        deadline, killed = time.monotonic() + STOP_PATIENCE_S, False
        while left := [each for each in left if self._ended(each) is None]:
            if not killed and (time.monotonic() > deadline or self._signals > 1):
                self._say(f"killing {', '.join(each.child.name for each in left)}")
                for each in left:
                    _signal_group(_pid(each), signal.SIGKILL)
                killed = True
            time.sleep(TICK_S)
        for each in everyone:
            if each.pump is not None:
                each.pump.join(DRAIN_S)
        try:
            servers.stop(self._plan.data_dir)
        except ServersError as error:
            self._say(str(error))
        self._say("stopped")


def _pid(each: _Running) -> int:
    assert each.process is not None
    return each.process.pid


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

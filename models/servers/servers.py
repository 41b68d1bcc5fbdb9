"""Runs the two servers everything rests on, PostgreSQL and Valkey, from their wheels and under one data folder.

A process started here lives no longer than the process that started it (see `models.servers.tied_process`), but where
the kernel cannot promise that. Given `DATABASE_URL` or `REDIS_URL`, that server is somebody else's: never started or
stopped here.

Started as root, both servers run as an account of their own, because PostgreSQL refuses to run as root. That
account must reach the data and the programs. Where a folder on the way is private, nobody's permissions are
changed: data and copies of the programs go to `places.SYSTEM_PLACE` instead.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import redis

from models.servers import places, programs, tied_process
from models.servers.database import (
    DATABASE,
    SUPERUSER,
    Servers,
    ServersError,
    addresses,
    local_database,
    local_stream,
    psycopg_dsn,
)  # fmt: skip

READY_TIMEOUT_S = 60.0  # to a server that answers, recovery after a crash included
STOP_TIMEOUT_S = 20.0  # for an orderly end; after that the server is killed, and recovers at the next start
PROBE_TIMEOUT_S = 2  # for one question to one server
POLL_S = 0.05
LOG_LIMIT_BYTES = 10_000_000  # a longer log is set aside at the next start, over the one set aside before
LOG_TAIL_LINES = 12

_POSTGRES_CONFIG = "gridwhistle.conf"
# Transient reasons for which PostgreSQL refuses to start: what a killed server left has not gone yet.
_POSTGRES_NOT_YET = ("is still in use", "another postmaster")
_POSTGRES_SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # pglz: the wheel is built without lz4.
    "wal_compression": "on",
    "synchronous_commit": "on",
    # Queries here take milliseconds; compiling them would take longer.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "1s",
    # Neither parameters nor the details of errors: they hold residents' names and numbers.
    "log_parameter_max_length": "0",
    "log_error_verbosity": "terse",
    "idle_in_transaction_session_timeout": "5min",
}
_VALKEY_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "save": '""',
    "maxmemory": "1gb",
    # A full stream refuses entries, so that their sender keeps them; it never drops what nobody has read.
    "maxmemory-policy": "noeviction",
    "set-proc-title": "no",
    "loglevel": "notice",
}


def start(data_dir: Path | None = None) -> Servers:
    """Start whichever server the environment does not name and that is not running; return when both answer.

    Takes about two seconds on an empty folder, up to `READY_TIMEOUT_S` after a crash; raises ServersError.
    """
    folder = places.data_dir(data_dir)
    _start_in(
        _settle(folder), database=not os.environ.get("DATABASE_URL"), stream=not os.environ.get("REDIS_URL")
    )
    return addresses(folder)


def stop(data_dir: Path | None = None) -> None:
    """Stop the servers of this data folder in order, stream first; do nothing where none runs."""
    _stop_in(places.home_of(places.data_dir(data_dir)))


def place(data_dir: Path | None = None) -> Path:
    """Return the folder in which the servers of `data_dir` keep their data: nearly always that folder itself."""
    return places.home_of(places.data_dir(data_dir))


def alive(servers: Servers) -> bool:
    """Tell whether both servers answer within `PROBE_TIMEOUT_S` each."""
    return database_answers(servers.database_url) and stream_answers(servers.redis_url)


def database_answers(database_url: str) -> bool:
    """Tell whether the database accepts a connection and answers within `PROBE_TIMEOUT_S`."""
    _reap()
    try:
        with psycopg.connect(psycopg_dsn(database_url), connect_timeout=PROBE_TIMEOUT_S) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def stream_answers(redis_url: str) -> bool:
    """Tell whether the stream server has loaded its data and answers within `PROBE_TIMEOUT_S`."""
    _reap()
    client = redis.Redis.from_url(
        redis_url, socket_timeout=PROBE_TIMEOUT_S, socket_connect_timeout=PROBE_TIMEOUT_S
    )
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()


@contextmanager
def temporary() -> Iterator[Servers]:
    """Start both servers in a folder of their own, whatever the environment says; stop and delete them at exit."""
    parents = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    parent = next((each for each in parents if os.geteuid() or places.open_to_all(each)), parents[0])
    home = Path(tempfile.mkdtemp(prefix="gridwhistle-", dir=parent)).resolve()
    try:
        if os.geteuid() == 0:
            home.chmod(0o711)
        _start_in(home, database=True, stream=True)
        yield Servers(local_database(home, DATABASE), local_stream(home))
    finally:
        _stop_in(home)
        shutil.rmtree(home, ignore_errors=True)


# --- where things are -------------------------------------------------------------------------------------------


def _settle(folder: Path) -> Path:
    """Create the folder and return its home, saying so in one line when that is elsewhere."""
    for each in reversed([folder, *folder.parents]):
        if not each.exists():
            each.mkdir(exist_ok=True)
            # A strict umask would close what is created here to the servers' account.
            each.chmod(0o755)
    home = places.home_of(folder)
    mark = folder / "place"
    if home != folder and not mark.exists():
        if home.exists():
            # Left by an earlier folder of this name, deleted since: a clean checkout starts clean, nothing is lost.
            _stop_in(home)
            shutil.rmtree(home.with_suffix(".old"), ignore_errors=True)
            home.rename(home.with_suffix(".old"))
        mark.write_text(f"{home}\n")
        print(
            f"{folder} is inside a private folder, closed to PostgreSQL's account: data is kept in {home}",
            flush=True,
        )
    home.mkdir(parents=True, exist_ok=True)
    return home


# --- starting and stopping --------------------------------------------------------------------------------------

# What this process started, by folder: it must be waited for, or a dead server would still look alive.
_started: dict[Path, subprocess.Popen[bytes]] = {}


def _reap() -> None:
    for process in _started.values():
        process.poll()


def _start_in(home: Path, *, database: bool, stream: bool) -> None:
    account = programs.account_for(home)
    with _locked(home):
        if database:
            _start_postgres(home, account)
        if stream:
            _start_valkey(home, account)


def _stop_in(home: Path) -> None:
    if not home.exists():
        return
    with _locked(home):
        _end(home / "valkey", _valkey_pid(home), signal.SIGTERM)
        # SIGINT is PostgreSQL's "fast": sessions are ended, everything committed is kept, no recovery is needed.
        _end(home / "postgres", _postgres_pid(home), signal.SIGINT)
        for folder in (home / "valkey", home / "postgres"):
            if places.socket_dir(folder) != folder:
                shutil.rmtree(places.socket_dir(folder), ignore_errors=True)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    descriptor = os.open(home / "servers.lock", os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _environment() -> dict[str, str]:
    # Nothing of the caller's own PostgreSQL or locale settings may leak into ours.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _launch(
    command: list[str], folder: Path, account: pwd.struct_passwd, death_signal: signal.Signals
) -> None:
    log = folder.with_suffix(".log")
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.old"))
    user = account.pw_name if os.geteuid() == 0 else None
    with log.open("ab") as output:
        programs.own(log, account)
        _started[folder] = subprocess.Popen(
            tied_process.wrap(command, death_signal, user),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )


def _await(
    name: str,
    folder: Path,
    launch: Callable[[], None],
    running: Callable[[], int | None],
    answers: Callable[[], bool],
    not_yet: tuple[str, ...] = (),
) -> None:
    """Launch a server unless one runs, and return when it answers; raise ServersError with the end of its log."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    launched = False
    while not answers():
        child = _started.get(folder)
        if child is None or child.poll() is not None:
            reason = _tail(folder) if launched else ""
            if launched and not any(each in reason for each in not_yet):
                raise ServersError(
                    f"{name} ended while starting; the end of {folder.with_suffix('.log')}:\n{reason}"
                )
            if running() is None:
                launch()
                launched = True
        if time.monotonic() > deadline:
            raise ServersError(
                f"{name} did not answer within {READY_TIMEOUT_S:.0f} s; "
                f"the end of {folder.with_suffix('.log')}:\n{_tail(folder)}"
            )
        time.sleep(POLL_S)


def _tail(folder: Path) -> str:
    log = folder.with_suffix(".log")
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])


def _end(folder: Path, pid: int | None, ask: signal.Signals) -> None:
    """Ask a server to end, then kill it after `STOP_TIMEOUT_S`; wait until it is gone."""
    child = _started.pop(folder, None)
    if pid is None and child is not None and child.poll() is None:
        pid = child.pid
    if pid is None:
        return
    for number, patience_s in ((ask, STOP_TIMEOUT_S), (signal.SIGKILL, STOP_TIMEOUT_S)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if child is not None:
                # Until it is reaped, it would keep its number and look alive to some.
                child.poll()
            if _is_gone(pid):
                return
            time.sleep(POLL_S)
    raise ServersError(f"the server in {folder} (process {pid}) does not end, not even when killed")


def _is_gone(pid: int) -> bool:
    """Tell whether a process has ended; one that only waits to be reaped has."""
    if sys.platform != "linux":
        return not _command_of(pid)
    # Its command line is empty as soon as it gives its memory back, which takes a while where that is much.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _command_of(pid: int) -> str:
    """Return a process's command line, empty for one that has ended or waits to be reaped."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    found = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, timeout=10
    )
    return found.stdout


def _pid_in(path: Path, program: str, folder: Path) -> int | None:
    """Return the process a pid file names if it is still that server; the number may be another program's by now."""
    try:
        pid = int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    command = _command_of(pid)
    return pid if program in command and str(folder) in command else None


# --- PostgreSQL -------------------------------------------------------------------------------------------------


def _postgres_pid(home: Path) -> int | None:
    folder = home / "postgres"
    return _pid_in(folder / "postmaster.pid", "postgres", folder)


def _start_postgres(home: Path, account: pwd.struct_passwd) -> None:
    folder = home / "postgres"
    url = local_database(home, "postgres")
    program = str(programs.postgres_program("postgres"))
    if not folder.exists():
        _initialise(home, account)
    programs.own(folder, account)
    sockets = (
        places.socket_dir(folder)
        if places.socket_dir(folder) == folder
        else programs.folder_of_its_own(places.socket_dir(folder), account)
    )

    def launch() -> None:
        settings = {**_POSTGRES_SETTINGS, "unix_socket_directories": _postgres_quoted(sockets)}
        (folder / _POSTGRES_CONFIG).write_text(
            "".join(f"{name} = {value}\n" for name, value in settings.items())
        )
        # A number left by a killed server may meanwhile be any process of this account, which would look like it.
        stale = folder / "postmaster.pid"
        with suppress(OSError, ValueError):
            pid = int(stale.read_text().split("\n", 1)[0])
            os.kill(pid, 0)
            if _postgres_pid(home) is None:
                stale.unlink()
        _launch([program, "-D", str(folder)], folder, account, signal.SIGINT)

    _await(
        "PostgreSQL",
        folder,
        launch,
        lambda: _postgres_pid(home),
        lambda: (folder / "postmaster.pid").exists() and database_answers(url),
        _POSTGRES_NOT_YET,
    )
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _initialise(home: Path, account: pwd.struct_passwd) -> None:
    """Make an empty cluster, under another name until it is whole."""
    fresh = home / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    programs.folder_of_its_own(fresh, account)
    # The built-in C.UTF-8 sorts by code point, alike on every machine, and needs no locale of the system's.
    command = [
        str(programs.postgres_program("initdb")),
        "-D",
        str(fresh),
        "-U",
        SUPERUSER,
        "--encoding=UTF8",
        "--locale=C",
    ]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # No password: the socket stands in a folder that only this account, and root, may enter.
    command += ["--auth=trust", "--text-search-config=simple"]
    done = subprocess.run(
        tied_process.wrap(command, signal.SIGKILL, account.pw_name if os.geteuid() == 0 else None),
        env=_environment(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=READY_TIMEOUT_S,
    )
    if done.returncode:
        raise ServersError(f"PostgreSQL cannot make its data folder {fresh}:\n{done.stdout}")
    with (fresh / "postgresql.conf").open("a") as config:
        config.write(f"include '{_POSTGRES_CONFIG}'\n")
    fresh.rename(home / "postgres")


def _postgres_quoted(folder: Path) -> str:
    """Quote one folder as an item of a list, and the list as a setting."""
    item = '"' + str(folder).replace('"', '""') + '"'
    return "'" + item.replace("\\", "\\\\").replace("'", "''") + "'"


# --- Valkey -----------------------------------------------------------------------------------------------------


def _valkey_pid(home: Path) -> int | None:
    folder = home / "valkey"
    return _pid_in(folder / "valkey.pid", "valkey-server", folder)


def _start_valkey(home: Path, account: pwd.struct_passwd) -> None:
    folder = programs.folder_of_its_own(home / "valkey", account)
    if places.socket_dir(folder) != folder:
        programs.folder_of_its_own(places.socket_dir(folder), account)
    program = str(programs.valkey_program())
    config = folder / "valkey.conf"

    def launch() -> None:
        paths = {"unixsocket": places.valkey_socket(home), "dir": folder, "pidfile": folder / "valkey.pid"}
        settings = {**_VALKEY_SETTINGS, **{name: _valkey_quoted(str(path)) for name, path in paths.items()}}
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        config.chmod(0o644)
        _launch([program, str(config)], folder, account, signal.SIGTERM)

    _await("Valkey", folder, launch, lambda: _valkey_pid(home), lambda: stream_answers(local_stream(home)))


def _valkey_quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

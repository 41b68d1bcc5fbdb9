"""What the administrator keeps and the auditor checks: accounts, keys, refused messages, jobs, policy and the record.

Every function asks first who wants it: the administrator keeps the configuration and sees no incident, the auditor
sees everything and changes nothing. Anybody else gets PermissionError.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import redis
from psycopg.rows import class_row

from dashboard.data.city import CityReads
from dispatch.accounts import keys, people, sessions
from dispatch.accounts.keys import Key, Kind, RefusedKey
from dispatch.accounts.people import PEOPLE, Account
from dispatch.accounts.sessions import AccountError, Viewer
from dispatch.checks import audit
from dispatch.checks.audit import Verdict
from dispatch.intake import dead_letters
from dispatch.intake.dead_letters import Letter, LetterError
from dispatch.record import publishing
from dispatch.record.publishing import PublishError
from dispatch.rules.measures import whatif
from dispatch.rules.policy import policy as policies
from jobs import health
from jobs.__main__ import Runner
from jobs.health import Health
from jobs.table import JOBS
from models.cities.city_files import read_city
from models.cities.loading import PROBLEMS_SHOWN, CityError, census
from models.servers.database import addresses

__all__ = ["PEOPLE", "AccountError", "CityError", "LetterError", "PublishError", "RefusedKey"]

ADMIN: Collection[str] = ("admin",)
AUDITOR: Collection[str] = ("auditor",)
BOTH: Collection[str] = ("admin", "auditor")
ROWS = 50  # of a page
PAGES_MOST = 200
SPAN_MOST = timedelta(days=31)  # events are looked for over a span of time, never over all of it
LETTERS_SHOWN = 200
STREAM_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Access:
    """One line of the access log; `login` is whose account it was, `by` who did it where it was another."""

    at: datetime
    what: str
    login: str | None
    by: str
    address: str
    about: str


@dataclass(frozen=True, slots=True)
class Line:
    """One event as the audit lists it."""

    at: datetime
    incident_id: int
    number: int
    seq: int
    verb: str
    actor: str
    cause: str
    policy_version: int


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the policy."""

    version: int
    valid_from: date
    note: str
    digest: str
    files: dict[str, str]


def _allow(who: Viewer, roles: Collection[str]) -> None:
    if who.role not in roles:
        raise PermissionError(f"{who.role} may not")


# --- accounts and keys --------------------------------------------------------------------------------------------


def listed(city: CityReads, who: Viewer) -> list[Account]:
    """Return every account."""
    _allow(who, BOTH)
    with city.look() as connection:
        return people.listed(connection, datetime.now(UTC))


def add(
    city: CityReads,
    who: Viewer,
    login: str,
    password: str,
    role: str,
    area: str,
    name: str,
    team_id: int | None,
) -> None:
    """Make an account; raise AccountError naming the field that is wrong."""
    _allow(who, ADMIN)
    with city.change() as connection:
        people.add(connection, login, password, role, area, datetime.now(UTC), name, team_id, by=who.login)


def change(
    city: CityReads, who: Viewer, login: str, what: Literal["disable", "enable", "reset"], password: str = ""
) -> None:
    """Shut or open an account, or set its password; raise AccountError naming what is wrong.

    One's own account one cannot shut: then nobody might be left to open it.
    """
    _allow(who, ADMIN)
    now = datetime.now(UTC)
    with city.change() as connection:
        match what:
            case "disable":
                if login == who.login:
                    raise AccountError("login: this is your own account")
                people.disable(connection, login, now, by=who.login)
            case "enable":
                people.enable(connection, login, now, by=who.login)
            case "reset":
                people.reset(connection, login, password, now, by=who.login)


def held_keys(city: CityReads, who: Viewer, kind: Kind) -> list[Key]:
    """Return every key of a kind, those in force first."""
    _allow(who, BOTH)
    with city.look() as connection:
        return keys.listed(connection, kind)


def new_key(city: CityReads, who: Viewer, kind: Kind, opens: str, note: str = "") -> str:
    """Make a key and return it, for this once; raise RefusedKey naming what is wrong."""
    _allow(who, ADMIN)
    with city.change() as connection:
        return keys.new(connection, kind, opens, datetime.now(UTC), note, by=who.login)


def revoke_key(city: CityReads, who: Viewer, kind: Kind, key_id: int) -> None:
    """Shut a key for good; raise RefusedKey where it is not in force."""
    _allow(who, ADMIN)
    with city.change() as connection:
        keys.revoke(connection, kind, key_id, datetime.now(UTC), by=who.login)


def log(city: CityReads, who: Viewer, page: int = 0, what: str = "") -> list[Access]:
    """Return a page of the access log, the newest first; `what` keeps one kind of line, or `failed` the refused."""
    _allow(who, BOTH)
    kinds = ["wrong", "locked"] if what == "failed" else [what]
    with city.look() as connection, connection.cursor(row_factory=class_row(Access)) as cursor:
        return cursor.execute(
            'select l.at, l.what, a.login, l."by", l.address, l.about from access_log l'
            " left join account a on a.id = l.account_id where (%(all)s or l.what = any(%(kinds)s))"
            " order by l.at desc, l.id desc limit %(rows)s offset %(skip)s",
            {"all": not what, "kinds": kinds, "rows": ROWS, "skip": _skipped(page)},
        ).fetchall()


def failed(city: CityReads, who: Viewer, now: datetime) -> tuple[int, int]:
    """Return how many sign-ins were refused in the last 24 hours, and in the last 7 days."""
    _allow(who, BOTH)
    with city.look() as connection:
        row = connection.execute(
            "select count(*) filter (where at > %s), count(*) from access_log"
            " where at > %s and what in ('wrong', 'locked')",
            (now - timedelta(days=1), now - timedelta(days=7)),
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


# --- the machine --------------------------------------------------------------------------------------------------


def _stream(text: bool = False) -> redis.Redis:
    return redis.Redis.from_url(
        addresses().redis_url, socket_timeout=STREAM_TIMEOUT_S, decode_responses=text, protocol=2
    )


def refused(who: Viewer, waiting_only: bool) -> tuple[int, list[Letter]]:
    """Return how many messages are kept as dead letters, and the newest; raise redis.RedisError."""
    _allow(who, ADMIN)
    with _stream() as stream:
        return dead_letters.count(stream), list(dead_letters.letters(stream, LETTERS_SHOWN, waiting_only))


def body(who: Viewer, letter: Letter) -> str:
    """Return the text of a dead letter without its contacts."""
    _allow(who, ADMIN)
    return dead_letters.without_contacts(letter.raw).decode(errors="replace")


def replay(city: CityReads, who: Viewer, letter_id: str, changes: Sequence[str]) -> str:
    """Put a letter, mended by `field=value` where given, back on the stream; return its new id.

    Raises LetterError where it was replayed before or cannot be, and redis.RedisError.
    """
    _allow(who, ADMIN)
    with _stream() as stream:
        one = dead_letters.letter(stream, letter_id)
        new = dead_letters.replay(stream, one, dead_letters.mend(one.raw, changes) if changes else None)
    with city.change() as connection:
        sessions.note(
            connection, "replayed", datetime.now(UTC), who.account_id, by=who.login,
            about=f"{letter_id} {' '.join(each.partition('=')[0] for each in changes)}",
        )  # fmt: skip
    return new


def jobs(who: Viewer, now: datetime) -> list[Health]:
    """Return every job with its last run; raise redis.RedisError."""
    _allow(who, BOTH)
    with _stream(text=True) as stream:
        return health.health(stream, now)


def run_job(city: CityReads, who: Viewer, name: str) -> int | None:
    """Run a job now; return its rows, or None where another process is at it.

    Raises LookupError where the job says why it cannot, psycopg.Error and redis.RedisError.
    """
    _allow(who, ADMIN)
    job = next(job for job in JOBS if job.name == name)
    with city.change() as connection:
        sessions.note(connection, "job", datetime.now(UTC), who.account_id, by=who.login, about=name)
    with Runner() as runner:
        return runner.run(job, datetime.now(UTC))


def counted(who: Viewer) -> dict[str, int | str | None]:
    """Return the census of the city."""
    _allow(who, BOTH)
    return census(addresses().database_url)


def tried(who: Viewer, files: Mapping[str, bytes]) -> tuple[dict[str, int], list[str]]:
    """Check the files of a city without loading anything; return its counts, or what is wrong with it."""
    _allow(who, ADMIN)
    with tempfile.TemporaryDirectory(prefix="gridwhistle-city-") as folder:
        for name, content in files.items():
            (Path(folder) / Path(name).name).write_bytes(content)
        try:
            city = read_city(Path(folder))
        except CityError as fault:
            return {}, str(fault).splitlines()[:PROBLEMS_SHOWN]
    return {"areas": len(city.areas), "shapes": len(city.shapes), "teams": len(city.teams)}, []


# --- the policy ---------------------------------------------------------------------------------------------------


def versions(city: CityReads, who: Viewer) -> list[Version]:
    """Return every version of the policy, the newest first."""
    _allow(who, BOTH)
    with city.look() as connection, connection.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(
            "select version, valid_from, note, digest, files from policy_version order by version desc"
        ).fetchall()


def wrong(who: Viewer, files: Mapping[str, str]) -> list[str]:
    """Return everything that is wrong with a policy's files, in sentences."""
    _allow(who, BOTH)
    return [str(fault) for fault in policies.problems(files)]


def differences(who: Viewer, held: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """Return what leads from the files held to those given, as lines of a unified diff."""
    _allow(who, BOTH)
    return list(publishing.differences(held, files))


def preview(city: CityReads, who: Viewer, files: Mapping[str, str], since: datetime) -> whatif.Verdict:
    """Return what the files would have made of the incidents reported since an instant: counts, no incident."""
    _allow(who, BOTH)
    policy = policies.parse(0, files)
    with city.look() as connection:
        return whatif.judge(publishing.cases(connection, since), policy, datetime.now(UTC))


def publish(city: CityReads, who: Viewer, files: Mapping[str, str], note: str, valid_from: date) -> int:
    """Publish the files as the next version and return its number; raise PublishError saying why not."""
    _allow(who, ADMIN)
    with city.change() as connection:
        version = publishing.publish(connection, files, note, valid_from)
        sessions.note(
            connection, "policy", datetime.now(UTC), who.account_id, by=who.login, about=f"version {version}"
        )
    return version


# --- the record ---------------------------------------------------------------------------------------------------


def search(
    city: CityReads,
    who: Viewer,
    since: datetime,
    until: datetime,
    number: int | None = None,
    verb: str = "",
    actor: str = "",
    page: int = 0,
) -> list[Line]:
    """Return a page of the record's events, the newest first: of one incident by its number, or of a span of time.

    The span is cut to the last `SPAN_MOST` before `until`, so that the search never reads the whole record.
    """
    _allow(who, AUDITOR)
    where = ["e.at < %(until)s"]
    if number is None:
        where.append("e.at >= %(since)s")
    else:
        where.append("e.incident_id = (select r.incident_id from receipt r where r.key = %(number)s)")
    if verb:
        where.append("e.verb = %(verb)s")
    if actor:
        where.append("starts_with(e.actor, %(actor)s)")
    with city.look() as connection, connection.cursor(row_factory=class_row(Line)) as cursor:
        return cursor.execute(
            "select e.at, e.incident_id, i.number, e.seq, e.verb, e.actor, e.cause, e.policy_version"
            " from (select e.at, e.incident_id, e.seq, e.verb, e.actor, e.cause, e.policy_version from event e"
            f" where {' and '.join(where)} order by e.at desc, e.incident_id desc, e.seq desc"
            " limit %(rows)s offset %(skip)s) e join incident i on i.id = e.incident_id"
            " order by e.at desc, e.incident_id desc, e.seq desc",
            {
                "since": max(since, until - SPAN_MOST), "until": until, "number": number, "verb": verb, "actor": actor,
                "rows": ROWS, "skip": _skipped(page),
            },
        ).fetchall()  # fmt: skip


def verify(
    city: CityReads, who: Viewer, number: int | None = None, progress: Callable[[float], None] | None = None
) -> Verdict | None:
    """Recompute every link of the record, or of one incident's by its number; None where there is no such one.

    `progress` hears the share that is done, as far as it can be estimated. The verdict names incidents by their ids and
    holds nothing of their content.
    """
    _allow(who, BOTH)
    with city.look(repeatable=True) as connection:
        one = None
        if number is not None:
            row = connection.execute("select incident_id from receipt where key = %s", (number,)).fetchone()
            if row is None:
                return None
            one = int(row[0])
        row = connection.execute(
            "select greatest(reltuples, 1) from pg_class where oid = 'event'::regclass"
        ).fetchone()
        assert row is not None
        whole = float(row[0])
        return audit.verify(
            connection, one, None if progress is None else lambda done: progress(min(done / whole, 0.99))
        )


def _skipped(page: int) -> int:
    return min(max(page, 0), PAGES_MOST) * ROWS

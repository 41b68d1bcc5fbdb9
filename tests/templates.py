"""Build every city that tests begin with once, as a database that is only ever copied, and lend the copies."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, date, datetime

import psycopg
from sqlalchemy import make_url

from dispatch.demo import history
from dispatch.figures import cohorts, published, rollup
from dispatch.scores import scoring
from models.cities import demo, loading
from models.migrations import migrate
from models.servers.database import Servers, psycopg_dsn
from tests import district, small_city

# Lends a city of one's own by the name of its template, or as a copy of another city to which nobody is connected.
CityOf = Callable[[str], AbstractContextManager[str]]

# Until when the city of `history` and `lived` lived, and how.
LIVED_UNTIL = datetime(2026, 6, 12, 4, tzinfo=UTC)
LIVED_DAYS, LIVED_PER_DAY, LIVED_SEED = 46, 20, 11
# The month that it lived from end to end: assessed as of `LIVED_UNTIL` in `assessed`, and frozen in `frozen`. And the
# month that it lives in: assessed beside the frozen one in `judged`.
LIVED_MONTH, LIVING_MONTH = date(2026, 5, 1), date(2026, 6, 1)


def _small(url: str) -> None:
    loading.store(url, small_city.build())


def _phones(url: str) -> None:
    # Imports the pages, which most tests can do without.
    from tests import phone_city

    phone_city.people(url)


def _demo(url: str) -> None:
    demo.load_demo(url)


def _history(url: str) -> None:
    for _ in history.write(url, LIVED_UNTIL, LIVED_DAYS, LIVED_PER_DAY, LIVED_SEED):
        pass


def _lived(url: str) -> None:
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        cohorts.rebuild(connection)
        published.enter(connection.cursor())


def _followed(url: str) -> None:
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        while rollup.follow(connection):
            pass


def _assessed(url: str) -> None:
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        assert scoring.assess_month(connection, LIVED_MONTH, LIVED_UNTIL) > 0


def _frozen(url: str) -> None:
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        assert scoring.freeze(connection, LIVED_MONTH, LIVED_UNTIL) > 0


def _judged(url: str) -> None:
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        assert scoring.assess_month(connection, LIVING_MONTH, LIVED_UNTIL) > 0


# Name -> the template that it begins with, and what is added: the empty schema; two villages; with people who carry
# phones; the city of `tests.small_law`; the demo city; six weeks of its life; the same, counted and published, or
# followed hour by hour, or with its whole month assessed, or frozen; the frozen one, with the month that runs assessed.
RECIPES: dict[str, tuple[str | None, Callable[[str], object]]] = {
    "migrated": (None, migrate.upgrade),
    "small": ("migrated", _small),
    "phones": ("small", _phones),
    "district": ("migrated", district.build),
    "demo": ("migrated", _demo),
    "history": ("demo", _history),
    "lived": ("history", _lived),
    "followed": ("history", _followed),
    "assessed": ("history", _assessed),
    "frozen": ("history", _frozen),
    "judged": ("frozen", _judged),
}


class Templates:
    """The templates on one pair of servers, each built when it is first asked for."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._built: set[str] = set()
        self._held: psycopg.Connection | None = None

    def close(self) -> None:
        """Let go of the server."""
        if self._held is not None:
            self._held.close()

    @contextmanager
    def city_of(self, what: str) -> Iterator[str]:
        """Lend a copy of a template, or of the city at an address; drop it at the end. Yield its address."""
        name = f"city_{uuid.uuid4().hex[:12]}"
        source = self._template(what) if what in RECIPES else make_url(what).database
        self._copy(name, source)
        yield self._address(name)
        self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _template(self, what: str) -> str:
        name, (base, fill) = f"template_{what}", RECIPES[what]
        if what not in self._built:
            self._copy(name, self._template(base) if base else None)
            fill(self._address(name))
            self._built.add(what)
        return name

    def _copy(self, name: str, source: str | None) -> None:
        begin = f" TEMPLATE {source} STRATEGY FILE_COPY" if source else ""
        self._administer(f"CREATE DATABASE {name}{begin}")

    def _address(self, database: str) -> str:
        return (
            make_url(self._servers.database_url).set(database=database).render_as_string(hide_password=False)
        )

    def _administer(self, statement: str) -> None:
        # One connection for all that is lent: a fresh one takes a third of the time of a copy.
        if self._held is not None:
            with suppress(psycopg.OperationalError):
                self._held.execute("select 1")
            if self._held.broken:
                # Some tests stop the server, and others end every connection to it.
                self._held.close()
                self._held = None
        if self._held is None:
            self._held = psycopg.connect(psycopg_dsn(self._address("postgres")), autocommit=True)
        self._held.execute(statement.encode())

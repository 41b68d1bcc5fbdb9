"""Turn raw messages into located reports, batch by batch, with a picture of the city that follows the database."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from dispatch.desk.desk import Desk
from dispatch.intake import contacts, locate
from dispatch.intake.faults import Away, is_systemic, message_of
from dispatch.intake.locate import Locator
from dispatch.intake.messages import OutcomeMessage, Problem, ReportMessage, number_of, parse
from dispatch.intake.suggest import Suggester
from dispatch.rules.incident.chain import Report
from dispatch.rules.policy.policy import Policy, PolicyError
from models.servers.database import psycopg_dsn

RELOAD_EVERY_S: Final = 5.0
RELOAD_AT_REFUSAL_S: Final = 1.0


@dataclass(slots=True)
class Batch:
    """Hold one batch on its way: stream ids with raw messages, and what was made of each by its place in them."""

    ids: list[bytes]
    raws: list[bytes]
    reports: list[Report] = field(default_factory=list)
    report_at: list[int] = field(default_factory=list)
    endings: list[OutcomeMessage] = field(default_factory=list)
    ending_at: list[int] = field(default_factory=list)
    problems: dict[int, Problem] = field(default_factory=dict)
    # Number and source of what was refused after it could be read.
    refused_numbers: dict[int, tuple[int, str]] = field(default_factory=dict)
    # Left pending: their fault may pass, and their deliveries are counted.
    held_back: set[int] = field(default_factory=set)


class Preparer:
    """Turn raw messages into located reports; keeps a picture of the city that follows the database."""

    def __init__(self, database_url: str, contact_key: bytes) -> None:
        self._dsn = psycopg_dsn(database_url)
        self._contact_key = contact_key
        self._default_points = locate.default_points()
        self._connection: psycopg.Connection[Any] | None = None
        self._desk = Desk(database_url)
        self._print: tuple[int, ...] = ()
        self._locator = Locator(())
        self._policy: Policy | None = None
        self._suggester = Suggester({}, "")
        self._checked_at = -RELOAD_EVERY_S

    def close(self) -> None:
        """Close the connections."""
        self._desk.close()
        if self._connection is not None:
            self._connection.close()

    def prepare(self, ids: list[bytes], raws: list[bytes]) -> Batch:
        """Parse and locate one batch; raise Away while there is no city to locate in."""
        now = datetime.now(UTC)
        self._follow(RELOAD_EVERY_S)
        batch = Batch(ids, raws)
        reports: list[ReportMessage] = []
        for at, raw in enumerate(raws):
            message = parse(raw, now)
            if isinstance(message, ReportMessage):
                reports.append(message)
                batch.report_at.append(at)
            elif isinstance(message, OutcomeMessage):
                batch.endings.append(message)
                batch.ending_at.append(at)
            else:
                batch.problems[at] = message
        places = self._locator.locate(reports)
        # Before a place is refused, a city that has just changed gets its say.
        if any(isinstance(each, Problem) for each in places) and self._follow(RELOAD_AT_REFUSAL_S):
            places = self._locator.locate(reports)
        located_at: list[int] = []
        for at, message, place in zip(batch.report_at, reports, places, strict=True):
            number = number_of(message.source, message.source_id)
            if isinstance(place, Problem):
                batch.problems[at] = place
                batch.refused_numbers[at] = (number, message.source)
                continue
            category, suggested = message.category, None
            if category is None:
                suggestion = self._suggester.suggest(message.text)
                category, suggested = suggestion.category, suggestion.words
            located_at.append(at)
            batch.reports.append(
                Report(
                    number,
                    message.source,
                    message.source_id,
                    category,
                    message.text,
                    message.address,
                    place.area_code,
                    place.lon,
                    place.lat,
                    place.located,
                    message.reported_at,
                    message.severity,
                    contacts.token(self._contact_key, message.reporter) if message.reporter else "",
                    message.photos,
                    message.target_at,
                    message.imported,
                    suggested,
                )
            )
        batch.report_at = located_at
        return batch

    def _follow(self, age_s: float) -> bool:
        """Look whether the city or its policy changed, if the last look is older than this; tell whether it did."""
        if len(self._locator) and time.monotonic() - self._checked_at < age_s:
            return False
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._dsn, connect_timeout=5, autocommit=True)
            print_now = locate.fingerprint(self._connection)
            changed = print_now != self._print
            if changed:
                self._locator = locate.load(self._connection, self._default_points)
                self._print = print_now
            policy = self._desk.in_force(datetime.now(UTC))
            if policy is not self._policy:
                self._policy = policy
                self._suggester = Suggester(policy.types, policy.fallback)
            self._checked_at = time.monotonic()
        except psycopg.Error as fault:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if len(self._locator):
                # The picture at hand serves until the database is back; the commit waits for it anyway.
                self._checked_at = time.monotonic()
                return False
            raise Away(message_of(fault)) from fault
        except (LookupError, PolicyError) as fault:
            if not is_systemic(fault):
                raise
            raise Away(str(fault)) from fault
        if not len(self._locator):
            raise Away("the database holds no areas: load a city first")
        return changed

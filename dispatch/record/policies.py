"""Read the city's policy: the version in force at an instant or on a day, or one by its number, each built once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from dispatch.rules.measures import assessment
from dispatch.rules.measures.assessment import Rules
from dispatch.rules.policy import policy as policies
from dispatch.rules.policy.policy import Policy

NO_CITY = "the database holds no policy in force: load a city first (python -m models demo)"


@dataclass(slots=True)
class PolicyCache:
    """Keep what was read of one database's policies, for whoever lives longer than one transaction.

    A version is never edited, so it is kept for good; which versions there are is read again after `listed_for_s`.
    """

    listed_for_s: float = 0.0
    policies: dict[int, Policy] = field(default_factory=dict)
    rules: dict[int, Rules | None] = field(default_factory=dict)
    # (version, its first day), the newest first; and until when, by the monotonic clock, that is believed.
    listed: tuple[tuple[int, date], ...] = ()
    listed_until: float = 0.0


class Policies:
    """Read the policies of one database through a cursor; shared by a `cache` beyond it where one is given.

    A version is in force from the first moment of its `valid_from` in its own zone until a later version is. Nothing
    here returns the newest: it may be of a day to come.
    """

    def __init__(self, cursor: psycopg.Cursor[Any], cache: PolicyCache | None = None) -> None:
        self._cursor = cursor
        self._cache = cache if cache is not None else PolicyCache()

    def in_force(self, at: datetime) -> Policy:
        """Return the policy in force at an instant; raise LookupError where none is."""
        utc = at.astimezone(UTC).date()
        for version, first in self._listed():
            # Midnight comes to the whole world within a day: only around it a version's own zone is needed.
            if first < utc or (
                first <= utc + timedelta(days=1) and first <= self.version(version).calendar.local(at).date()
            ):
                return self.version(version)
        raise LookupError(NO_CITY)

    def version(self, number: int) -> Policy:
        """Return a version; raise LookupError where the database does not hold it."""
        known = self._cache.policies
        if number not in known:
            row = self._cursor.execute(
                "select files from policy_version where version = %s", (number,)
            ).fetchone()
            if row is None:
                raise LookupError(f"the database holds no policy version {number}")
            known[number] = policies.parse(number, row[0])
        return known[number]

    def rules_on(self, day: date) -> Rules:
        """Return the rules of assessment in force on a day of the city's, of the latest version that has any.

        Raises LookupError where there are none, PolicyError where they are wrong.
        """
        for version, first in self._listed():
            if first <= day and (found := self._rules(version)) is not None:
                return found
        raise LookupError(f"no policy version in force on {day} holds an {assessment.FILE}")

    def rules(self, number: int) -> Rules:
        """Return the rules of assessment of a version; raise LookupError where it has none."""
        found = self._rules(number)
        if found is None:
            raise LookupError(f"policy version {number} holds no {assessment.FILE}")
        return found

    def _rules(self, number: int) -> Rules | None:
        known = self._cache.rules
        if number not in known:
            row = self._cursor.execute(
                "select files ->> %s from policy_version where version = %s", (assessment.FILE, number)
            ).fetchone()
            known[number] = None if row is None or row[0] is None else assessment.parse(number, row[0])
        return known[number]

    def _listed(self) -> Iterator[tuple[int, date]]:
        cache = self._cache
        if not cache.listed or time.monotonic() >= cache.listed_until:
            rows = self._cursor.execute(
                "select version, valid_from from policy_version order by version desc"
            ).fetchall()
            cache.listed = tuple(rows)
            cache.listed_until = time.monotonic() + cache.listed_for_s
        yield from cache.listed

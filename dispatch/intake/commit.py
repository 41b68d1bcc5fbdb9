"""Bring batches to the Desk, and note of each message whether it is done, was before, is refused or held back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from dispatch.desk import store
from dispatch.desk.desk import Desk, Outcome
from dispatch.intake.faults import Away, bisected, message_of
from dispatch.intake.messages import Problem, number_of
from dispatch.intake.prepare import Batch
from dispatch.rules.incident.chain import SYSTEM, Command, Report
from dispatch.rules.refusals import Refusal
from models.servers.database import psycopg_dsn

CAUSES_LIMIT: Final = 10_000
_FIELD_OF_REFUSAL: Final = {"unknown_category": "category", "number_taken": "source_id"}

log = logging.getLogger("gridwhistle.dispatch")


@dataclass(slots=True)
class Tally:
    """Count what this dispatcher has done since it began."""

    done: int = 0
    duplicates: int = 0
    refused: int = 0
    concluded: int = 0


class Committer:
    """Commit batches, one at a time; counts what came of them and remembers why a message was held back."""

    def __init__(self, desk: Desk, database_url: str) -> None:
        self.tally = Tally()
        self._desk = desk
        self._dsn = psycopg_dsn(database_url)
        self._receipts: psycopg.Connection[Any] | None = None
        self._causes: dict[bytes, str] = {}

    def close(self) -> None:
        """Close its connection; the Desk is whose it was."""
        if self._receipts is not None:
            self._receipts.close()

    def cause(self, key: bytes) -> str:
        """Return why the message with this stream id was held back last, and forget it; empty where nobody knows."""
        return self._causes.pop(key, "")

    def commit(self, batch: Batch) -> bool:
        """Bring the batch to the database; what was committed by an earlier attempt comes back as a duplicate."""
        now = datetime.now(UTC)
        batch.held_back.clear()
        tally = Tally()
        results = self._report(batch.reports, now)
        for at, report, result in zip(batch.report_at, batch.reports, results, strict=True):
            if isinstance(result, Outcome) and result.status == "done":
                tally.done += 1
            elif isinstance(result, Outcome) and result.status == "duplicate":
                tally.duplicates += 1
            else:
                self._refuse(batch, at, result, _FIELD_OF_REFUSAL)
                batch.refused_numbers[at] = (report.number, report.source)
        if batch.endings:
            self._conclude(batch, now, tally)
        tally.refused += len(batch.problems)
        self.tally = Tally(
            self.tally.done + tally.done,
            self.tally.duplicates + tally.duplicates,
            self.tally.refused + tally.refused,
            self.tally.concluded + tally.concluded,
        )
        return True

    def _report(self, reports: list[Report], now: datetime) -> list[Outcome | Exception]:
        results = bisected(lambda some: self._desk.report(some, now), reports)
        refused: dict[int, tuple[Report, Outcome]] = {}
        again: list[int] = []
        for at, (report, result) in enumerate(zip(reports, results, strict=True)):
            if not isinstance(result, Outcome):
                continue
            if result.status == "refused":
                refused.setdefault(report.number, (report, result))
            elif result.status == "duplicate" and report.number in refused:
                # Its likeness in this batch became no incident: a copy is refused like it, a mended one gets its turn.
                first, answer = refused[report.number]
                if report == first:
                    results[at] = answer
                else:
                    again.append(at)
        if again:
            for at, result in zip(again, self._report([reports[at] for at in again], now), strict=True):
                results[at] = result
        return results

    def _conclude(self, batch: Batch, now: datetime, tally: Tally) -> None:
        numbers = [number_of(each.source, each.source_id) for each in batch.endings]
        try:
            known = self._incidents(numbers)
        except psycopg.Error as fault:
            raise Away(message_of(fault)) from fault
        commands: list[Command] = []
        places: list[int] = []
        for at, number, ending in zip(batch.ending_at, numbers, batch.endings, strict=True):
            found = known.get(number)
            if found is None or found[1:] != (ending.source, ending.source_id):
                # Its report may still be with another dispatcher.
                batch.held_back.add(at)
                self._remember(batch.ids[at], "unknown_incident")
                continue
            args: dict[str, Any] = {"closed_at": ending.closed_at}
            if ending.note:
                args["note"] = ending.note
            # With its time: opened again and ended again, it has ended twice.
            key = f"{ending.source}:{ending.source_id}:{ending.closed_at.astimezone(UTC).isoformat()}"
            commands.append(Command("conclude", found[0], SYSTEM, key, args))
            places.append(at)
        results = bisected(lambda some: self._desk.act(some, now), commands)
        for at, result in zip(places, results, strict=True):
            if isinstance(result, Outcome) and result.status == "done":
                tally.concluded += 1
            elif isinstance(result, Outcome) and result.status == "duplicate":
                tally.duplicates += 1
            else:
                self._refuse(batch, at, result, {})

    def _incidents(self, numbers: list[int]) -> dict[int, tuple[int, str | None, str | None]]:
        if self._receipts is None or self._receipts.closed:
            self._receipts = psycopg.connect(self._dsn, connect_timeout=5, autocommit=True)
        try:
            with self._receipts.cursor() as cursor:
                return store.receipts(cursor, numbers)
        except psycopg.Error:
            self._receipts.close()
            raise

    def _refuse(self, batch: Batch, at: int, result: Outcome | Exception, fields: dict[str, str]) -> None:
        if isinstance(result, Outcome):
            refusal = result.refusal or Refusal("unknown_incident")
            code = refusal.code
            batch.problems[at] = Problem(fields.get(code, ""), code, refusal.words("zh"), refusal.words("en"))
        elif isinstance(result, psycopg.Error):
            what = result.diag.constraint_name or result.sqlstate or type(result).__name__
            batch.problems[at] = Problem(
                "", "not_storable", f"数据库不接受({what})", f"The database does not take it ({what})"
            )
        else:
            batch.held_back.add(at)
            self._remember(batch.ids[at], type(result).__name__)
            log.error("message %s failed: %s", batch.ids[at].decode(), type(result).__name__, exc_info=result)

    def _remember(self, key: bytes, cause: str) -> None:
        if len(self._causes) >= CAUSES_LIMIT:
            self._causes.pop(next(iter(self._causes)))
        self._causes[key] = cause

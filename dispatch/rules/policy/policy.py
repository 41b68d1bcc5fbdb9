"""Read the city's policy from its files' texts into one frozen value, or say in which file and key it is wrong."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, TypeVar

from dispatch.rules.policy import bursts, escalation, notices
from dispatch.rules.policy import weights as weighing
from dispatch.rules.policy.bursts import Bursts
from dispatch.rules.policy.escalation import Ladder
from dispatch.rules.policy.notices import Notices
from dispatch.rules.policy.tables import PolicyError as PolicyError
from dispatch.rules.policy.weights import Weights
from dispatch.rules.time.calendar import Calendar, Limit

# A version published before a file of `LATER_FILES` existed keeps what was in force without it.
LATER_FILES = (weighing.FILE, escalation.FILE, notices.FILE, bursts.FILE)
FILES = ("event_types.csv", "themes.csv", "trades.csv", "calendar.csv", "limits.toml")
# No promise is longer than this many days, working days counted as days and eight working hours as one.
LONGEST_DAYS = 1_000
PER_DAY = {"m": 1_440, "uh": 24, "ud": 1, "wh": 8, "wd": 1}
PARSED_KEPT = 8  # versions kept built in one process
MODES = ("one_grid", "joint", "whistle", "all_net")
SEVERITIES = (1, 2, 3, 4)
TRADE_LEVELS = ("village", "town", "county", "city")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of incident: who leads, how grave, how it is handled, and its limits."""

    code: str
    name: str
    name_en: str
    theme: str
    lead: str
    assist: tuple[str, ...]
    severity: int
    mode: str
    accept: Limit
    arrive: Limit | None
    dispose: Limit
    verify: Limit
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Hold one version of the city's law in figures; frozen onto each incident by its version number."""

    version: int
    calendar: Calendar
    types: Mapping[str, EventType]
    themes: Mapping[str, tuple[str, str]]
    trades: Mapping[str, tuple[str, str, str]]
    fallback: str
    dispatch: Mapping[int, Limit]
    pick_up: Mapping[int, Limit]
    close: Mapping[int, Limit]
    review: Limit
    answer: Limit
    report_in: Limit
    straight: frozenset[str]
    grid_trade: str
    weights: Weights
    ladder: Ladder
    notices: Notices
    bursts: Bursts | None
    # Until when a closed incident may be appealed, and until when its reviewers answer; None in policies before there
    # were such limits.
    appeal_ask: Limit | None
    appeal_answer: Limit | None

    def appeal_until(self, closed: datetime) -> datetime | None:
        """Return the last instant at which an incident closed then may be appealed; None where there is no limit."""
        return None if self.appeal_ask is None else self.calendar.due(closed, self.appeal_ask)

    def arrival(self, kind: EventType, whistle: bool) -> Limit | None:
        """Return the limit to be on site: a whistle's report-in, unless the type promises less time than that."""
        if not whistle:
            return kind.arrive
        if kind.arrive is None or _minutes(kind.arrive) is None:
            return self.report_in
        return min((self.report_in, kind.arrive), key=lambda limit: _minutes(limit) or 0)

    def trade_for(self, kind: EventType) -> str:
        """Return the trade that takes the lead: small matters stay with the people of the grid."""
        return self.grid_trade if kind.mode == "one_grid" and self.grid_trade else kind.lead


def _minutes(limit: Limit) -> int | None:
    """Return a limit around the clock in minutes; None for working time, which has no fixed length."""
    unit = {"m": 1, "uh": 60, "ud": 1_440}.get(limit.unit)
    return None if unit is None else limit.amount * unit


def parse(version: int, files: Mapping[str, str]) -> Policy:
    """Build a Policy from file name -> text; raise PolicyError at the first thing that is wrong.

    The same version with the same text is built once: every Desk that is opened asks for it.
    """
    return _parsed(version, tuple(sorted(files.items())))


@lru_cache(maxsize=PARSED_KEPT)
def _parsed(version: int, texts: tuple[tuple[str, str], ...]) -> Policy:
    files = dict(texts)
    for name in FILES:
        if name not in files:
            raise PolicyError(name, "file", "is missing")
    limits = _toml(files["limits.toml"])
    themes = {
        r["code"]: (r["name"], r["name_en"])
        for _, r in _rows("themes.csv", files, ("code", "name", "name_en"))
    }
    trades = _trades(files)
    types = dict(
        _event_type(line, row, themes, trades) for line, row in _rows("event_types.csv", files, _TYPE_COLUMNS)
    )
    if not types:
        raise PolicyError("event_types.csv", "rows", "expected at least one event type")
    fallback = _key(limits, "fallback", str)
    if fallback not in types:
        raise PolicyError("limits.toml", "fallback", f"no event type {fallback!r}")
    intake = _key(limits, "intake", dict)
    modes = intake.get("straight", [])
    straight = frozenset(str(mode) for mode in modes) if isinstance(modes, list) else frozenset({""})
    if not straight <= set(MODES):
        raise PolicyError("limits.toml", "intake.straight", f"expected some of {', '.join(MODES)}")
    grid_trade = str(intake.get("grid_trade", ""))
    if grid_trade and grid_trade not in trades:
        raise PolicyError("limits.toml", "intake.grid_trade", f"no trade {grid_trade!r}")
    whistle = _key(limits, "whistle", dict)
    ladder = _later(files, escalation.FILE, escalation.FORMER, escalation.read)
    notice_rules = _later(files, notices.FILE, notices.SILENT, notices.read)
    _same_channels(files, ladder, notice_rules)
    return Policy(
        version=version,
        calendar=_calendar(limits, files),
        types=types,
        themes=themes,
        trades=trades,
        fallback=fallback,
        dispatch=_by_severity(limits, "dispatch"),
        pick_up=_by_severity(limits, "pick_up"),
        close=_by_severity(limits, "close"),
        review=_limit("limits.toml", "whistle.review", whistle.get("review")),
        answer=_limit("limits.toml", "whistle.answer", whistle.get("answer")),
        report_in=_limit("limits.toml", "whistle.report_in", whistle.get("report_in")),
        straight=straight,
        grid_trade=grid_trade,
        weights=_later(
            files,
            weighing.FILE,
            weighing.FORMER,
            lambda text, faults: weighing.read(text, types, trades, faults),
        ),
        ladder=ladder,
        notices=notice_rules,
        bursts=_later(files, bursts.FILE, None, lambda text, faults: bursts.read(text, types, faults)),
        appeal_ask=_appeal(limits, "ask"),
        appeal_answer=_appeal(limits, "answer"),
    )


def _appeal(limits: Mapping[str, object], name: str) -> Limit | None:
    table = limits.get("appeal")
    if table is None:
        return None
    if not isinstance(table, dict):
        raise PolicyError("limits.toml", "appeal", "expected a table")
    return _limit("limits.toml", f"appeal.{name}", table.get(name))


def problems(files: Mapping[str, str]) -> list[PolicyError]:
    """Return everything that is wrong with a policy's files, in the order of the files; empty when `parse` takes them.

    What depends on a file that cannot be read itself is not complained about as well.
    """
    found: list[PolicyError] = []

    def attempt(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except PolicyError as fault:
            found.append(fault)
            return None

    for name in (*FILES, *LATER_FILES):
        if name not in files:
            found.append(PolicyError(name, "file", "is missing"))
    if any(name not in files for name in FILES):
        return found
    limits = attempt(lambda: _toml(files["limits.toml"]))
    themes = attempt(lambda: _rows("themes.csv", files, ("code", "name", "name_en")))
    trades = attempt(lambda: _trades(files))
    rows = attempt(lambda: _rows("event_types.csv", files, _TYPE_COLUMNS))
    types = set()
    if themes is not None and trades is not None:
        codes = {row["code"]: row for _, row in themes}
        for line, row in rows or ():
            types.add(row["code"])
            for column in ("accept", "arrive", "dispose", "verify"):
                if row[column] or column != "arrive":
                    key = f"line {line}, {column}"
                    attempt(lambda key=key, text=row[column]: _limit("event_types.csv", key, text))  # type: ignore[misc]
            # The limits are looked at one by one above; here a good one stands in for each.
            rest = row | dict.fromkeys(("accept", "dispose", "verify"), "1m") | {"arrive": ""}
            attempt(lambda line=line, rest=rest: _event_type(line, rest, codes, trades))  # type: ignore[misc]
    if limits is not None:
        attempt(lambda: _calendar(limits, files))
        for name in ("dispatch", "pick_up", "close"):
            table = attempt(lambda name=name: _key(limits, name, dict))  # type: ignore[misc]
            for severity in SEVERITIES if table is not None else ():
                key, text = f"{name}.{severity}", (table or {}).get(str(severity))
                attempt(lambda key=key, text=text: _limit("limits.toml", key, text))  # type: ignore[misc]
    known: dict[str, bool] = dict.fromkeys(types, True)
    if weighing.FILE in files and types and trades is not None:
        weighing.read(files[weighing.FILE], known, trades, found)
    if bursts.FILE in files and types:
        bursts.read(files[bursts.FILE], known, found)
    if escalation.FILE in files:
        escalation.read(files[escalation.FILE], found)
    if notices.FILE in files:
        notices.read(files[notices.FILE], found)
    if not found:
        # Whatever was not looked at one by one; so nothing that `parse` refuses passes here.
        attempt(lambda: parse(0, files))
    return found


def _same_channels(files: Mapping[str, str], ladder: Ladder, notice_rules: Notices) -> None:
    """Refuse a ladder that calls by a channel which notices.toml does not have."""
    if escalation.FILE not in files:
        return
    named = {
        f"severity {severity}, step {rung}": step
        for severity, steps in ladder.steps.items()
        for rung, step in enumerate(steps, 1)
    }
    if ladder.whistle is not None:
        named["whistle"] = ladder.whistle
    for place, step in named.items():
        for channel in step.channels:
            if channel != notices.APP and channel not in notice_rules.channels:
                raise PolicyError(
                    escalation.FILE, f"{place}, channels", f"{notices.FILE} has no channel {channel!r}"
                )


def _later(files: Mapping[str, str], name: str, former: T, read: Callable[[str, list[PolicyError]], T]) -> T:
    if name not in files:
        return former
    faults: list[PolicyError] = []
    value = read(files[name], faults)
    if faults:
        raise faults[0]
    return value


_TYPE_COLUMNS = (
    "code", "name", "name_en", "theme", "lead", "assist", "severity", "mode",
    "accept", "arrive", "dispose", "verify", "basis", "keywords",
)  # fmt: skip


def _event_type(
    line: int, row: Mapping[str, str], themes: Mapping[str, Any], trades: Mapping[str, Any]
) -> tuple[str, EventType]:
    file = "event_types.csv"

    def at(column: str) -> str:
        return f"line {line}, {column}"

    if not row["code"].isdigit() or not 1 <= len(row["code"]) <= 8:
        raise PolicyError(file, at("code"), f"expected 1 to 8 digits, not {row['code']!r}")
    if row["theme"] not in themes:
        raise PolicyError(file, at("theme"), f"no theme {row['theme']!r}")
    assist = tuple(row["assist"].split())
    for trade in (row["lead"], *assist):
        if trade not in trades:
            raise PolicyError(file, at("lead, assist"), f"no trade {trade!r}")
    if row["severity"] not in ("1", "2", "3", "4"):
        raise PolicyError(file, at("severity"), f"expected 1 to 4, not {row['severity']!r}")
    if row["mode"] not in MODES:
        raise PolicyError(file, at("mode"), f"expected one of {', '.join(MODES)}, not {row['mode']!r}")
    return row["code"], EventType(
        code=row["code"],
        name=row["name"],
        name_en=row["name_en"],
        theme=row["theme"],
        lead=row["lead"],
        assist=assist,
        severity=int(row["severity"]),
        mode=row["mode"],
        accept=_limit(file, at("accept"), row["accept"]),
        arrive=_limit(file, at("arrive"), row["arrive"]) if row["arrive"] else None,
        dispose=_limit(file, at("dispose"), row["dispose"]),
        verify=_limit(file, at("verify"), row["verify"]),
        keywords=tuple(word for word in row["keywords"].split("|") if word),
    )


def _trades(files: Mapping[str, str]) -> dict[str, tuple[str, str, str]]:
    trades = {}
    for line, row in _rows("trades.csv", files, ("trade", "name", "name_en", "level")):
        if row["level"] not in TRADE_LEVELS:
            raise PolicyError(
                "trades.csv", f"line {line}, level", f"expected one of {', '.join(TRADE_LEVELS)}"
            )
        trades[row["trade"]] = (row["name"], row["name_en"], row["level"])
    return trades


def _calendar(limits: Mapping[str, Any], files: Mapping[str, str]) -> Calendar:
    days: dict[str, set[date]] = {"holiday": set(), "workday": set()}
    for line, row in _rows("calendar.csv", files, ("date", "kind")):
        if row["kind"] not in days:
            raise PolicyError("calendar.csv", f"line {line}, kind", "expected holiday or workday")
        days[row["kind"]].add(_convert("calendar.csv", f"line {line}, date", row["date"], date.fromisoformat))
    sessions = _key(limits, "sessions", list)
    try:
        return Calendar(
            zone=_key(limits, "zone", str),
            sessions=tuple((time.fromisoformat(a), time.fromisoformat(b)) for a, b in sessions),
            holidays=frozenset(days["holiday"]),
            workdays=frozenset(days["workday"]),
        )
    except (ValueError, KeyError, TypeError, OSError) as fault:
        # A folder of zones is no zone: an OSError.
        raise PolicyError("limits.toml", "zone, sessions", str(fault)) from fault


def _rows(name: str, files: Mapping[str, str], columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(files[name], newline=""))
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise PolicyError(name, "header", f"missing column {', '.join(missing)}")
    rows: list[tuple[int, dict[str, str]]] = []
    seen: set[str] = set()
    while True:
        try:
            row = next(reader, None)
        except csv.Error as fault:
            raise PolicyError(name, f"line {reader.line_num}", str(fault)) from fault
        if row is None:
            return rows
        line = reader.line_num
        if None in row.values():
            raise PolicyError(name, f"line {line}", "has fewer fields than the header")
        if None in row:
            raise PolicyError(name, f"line {line}", "has more fields than the header")
        key = row[columns[0]].strip()
        if not key:
            raise PolicyError(name, f"line {line}, {columns[0]}", "is empty")
        if key in seen:
            raise PolicyError(name, f"line {line}, {columns[0]}", f"{key!r} stands twice")
        seen.add(key)
        rows.append((line, {column: row[column].strip() for column in columns}))


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise PolicyError("limits.toml", "text", str(fault)) from fault


def _key(table: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = table.get(key)
    if not isinstance(value, kind):
        raise PolicyError("limits.toml", key, f"expected {kind.__name__}, not {value!r}")
    return value


def _by_severity(limits: Mapping[str, Any], key: str) -> dict[int, Limit]:
    table = _key(limits, key, dict)
    return {s: _limit("limits.toml", f"{key}.{s}", table.get(str(s))) for s in SEVERITIES}


def _limit(file: str, key: str, text: object) -> Limit:
    limit = _convert(file, key, str(text or ""), Limit.parse)
    if limit.amount > LONGEST_DAYS * PER_DAY[limit.unit]:
        raise PolicyError(file, key, f"{limit} is longer than {LONGEST_DAYS} days")
    return limit


def _convert(file: str, key: str, text: str, read: Callable[[str], T]) -> T:
    try:
        return read(text)
    except ValueError as fault:
        raise PolicyError(file, key, str(fault)) from fault

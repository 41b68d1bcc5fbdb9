"""Name the columns of what happened once: the tables say which there are, a row's objects what stands in each.

A column holds the attribute of its own name of the first object that has one. Lists of names, COPY lines and the
typed rows of an update are derived from that when the module is loaded: to add a column is to add it to its table and
to the value that carries it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, DateTime, LargeBinary, Table, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSON, JSONB

from dispatch.rules.time.clocks import Clock

encode = msgspec.json.Encoder().encode
# Codes and words of the law: they hold nothing that COPY would read otherwise, and are not looked through.
WORDS = frozenset(
    {
        "category", "mode", "area_code", "located", "state", "holder", "awaits", "due_clocks", "verb", "last_verb",
        "role", "kind",
    }
)  # fmt: skip
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


class Pen:
    """Write values that recur within a batch only once: instants, and the clocks of incidents of one kind."""

    __slots__ = ("_clocks", "_kept", "_stamps")

    def __init__(self) -> None:
        self._stamps: dict[datetime | None, str] = {None: r"\N"}
        self._clocks: dict[tuple[tuple[str, int], ...], str] = {}
        self._kept: list[Clock] = []  # keeps the ids in `_clocks` from being given to other objects

    def at(self, instant: datetime | None) -> str:
        """Write an instant, or null."""
        text = self._stamps.get(instant)
        if text is None:
            text = self._stamps[instant] = str(instant)
        return text

    def clocks(self, held: dict[str, Clock]) -> str:
        """Write clocks as JSON."""
        key = tuple([(kind, id(clock)) for kind, clock in held.items()])
        text = self._clocks.get(key)
        if text is None:
            text = self._clocks[key] = encode(held).decode()
            self._kept.extend(held.values())
        return text


class Columns:
    """Hold the columns of one table that Python writes, in the table's order, and where their values stand.

    A row is a tuple of objects, `of` their names and classes: a column's value is the attribute of its own name of
    the first that has it; where its class is None, the object of that name is the value itself. `named` says of single
    columns which attribute holds them. `fixed` columns stay as they were first written. Columns that no object has are
    left out: the database fills them in. `insert` is the statement that writes new rows given as JSON, which `rows`
    makes of them.
    """

    def __init__(
        self, model: Any, of: Mapping[str, type | None], fixed: Iterable[str] = (), **named: str
    ) -> None:
        self.table: Table = model.__table__
        values = {c.name: v for c in self.table.columns if (v := named.get(c.name) or _value(c.name, of))}
        self.names = tuple(values)
        self.changing = tuple(name for name in self.names if name not in frozenset(fixed))
        names = ", ".join(self.names)
        self._copy = f"copy {self.table.name} ({names}) from stdin"
        # Both are compiled once from the names above, as dataclasses compile their own methods: a loop over columns
        # for every row would cost a third of all that is written.
        columns = self.table.columns
        line = r"\t".join(_written(columns[name], value) for name, value in values.items())
        self._lines: Callable[..., list[str]] = eval(
            f"lambda rows, at, clocks: [f'{line}\\n' for {', '.join(of)}, in rows]", dict(_WRITERS)
        )
        kept = {name: f"{name!r}: {_as_json(columns[name], value)}" for name, value in values.items()}
        self.changed: Callable[..., dict[str, Any]] = eval(
            f"lambda {', '.join(of)}: {{{', '.join(kept[name] for name in self.changing)}}}", dict(_WRITERS)
        )
        self.rows: Callable[..., list[dict[str, Any]]] = eval(
            f"lambda rows: [{{{', '.join(kept.values())}}} for {', '.join(of)}, in rows]", dict(_WRITERS)
        )
        # JSON that stays to the letter comes as a text within the JSON of its row.
        whole = {name for name in self.names if _to_the_letter(columns[name])}
        picked = ", ".join(f"{name}::json" if name in whole else name for name in self.names)
        typed = ", ".join(f"{name} text" if name in whole else self.typed([name]) for name in self.names)
        self.insert = (
            f"insert into {self.table.name} ({names})"
            f" select {picked} from jsonb_to_recordset(%s::jsonb) as r({typed})"
        )

    def typed(self, names: Iterable[str]) -> str:
        """Return columns with their types, as a row of JSON is read."""
        return ", ".join(f"{n} {self.table.columns[n].type.compile(dialect=_DIALECT)}" for n in names)

    def sets(self, row: str) -> str:
        """Return what an update sets: each column that may change, from the row of that name."""
        return ", ".join(f"{name} = {row}.{name}" for name in self.changing)

    def lines(self, rows: Sequence[tuple[Any, ...]], pen: Pen) -> list[str]:
        """Return rows as COPY reads them."""
        return self._lines(rows, pen.at, pen.clocks)

    def copy(self, connection: Any, rows: Sequence[tuple[Any, ...]], pen: Pen) -> None:
        """Write rows by COPY."""
        with connection.cursor() as cursor, cursor.copy(self._copy) as copy:
            copy.write("".join(self.lines(rows, pen)))


def _value(name: str, of: Mapping[str, type | None]) -> str | None:
    """Return the expression of a column's value, or None where nothing holds it."""
    if name in of and of[name] is None:
        return name
    return next((f"{one}.{name}" for one, kind in of.items() if name in getattr(kind, "__slots__", ())), None)


def _written(column: Column[Any], value: str) -> str:
    """Return the piece of a format string that writes a column's value for COPY."""
    kind = column.type
    if isinstance(kind, DateTime):
        return f"{{at({value})}}"
    if isinstance(kind, JSONB):
        return f"{{clocks({value})}}" if column.name == "clocks" else f"{{json({value})}}"
    if isinstance(kind, LargeBinary):
        return rf"\\\\x{{{value}.hex()}}"
    # An event's change is JSON, but its text is what the hash was taken over.
    if isinstance(kind, Text | JSON) and column.name not in WORDS:
        return f"{{text({value})}}" if column.nullable else f"{{escaped({value})}}"
    return f"{{null({value})}}" if column.nullable else f"{{{value}}}"


def _to_the_letter(column: Column[Any]) -> bool:
    """Tell whether a column holds JSON as it was written, and comes as text."""
    return isinstance(column.type, JSON) and not isinstance(column.type, JSONB)


def _as_json(column: Column[Any], value: str) -> str:
    """Return the expression of a column's value as a statement reads it from JSON."""
    return f"hexed({value})" if isinstance(column.type, LargeBinary) else value


def _null(value: object) -> object:
    return r"\N" if value is None else value


def _hexed(value: bytes) -> str:
    return f"\\x{value.hex()}"


def _text(value: str | None) -> str:
    return r"\N" if value is None else _escaped(value)


def _json(value: Mapping[str, object]) -> str:
    return _escaped(encode(value).decode()) if value else "{}"


def _escaped(text: str) -> str:
    """Escape a text for COPY; most need nothing, so look before replacing."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text or "\t" in text or "\r" in text:
        text = text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return text


_WRITERS = {"escaped": _escaped, "text": _text, "null": _null, "json": _json, "hexed": _hexed}


def shared(model: Any, kind: type, *left_out: str) -> tuple[str, ...]:
    """Return the columns of a table that are fields of a dataclass too, in the order of its fields."""
    columns = model.__table__.columns
    return tuple(f.name for f in fields(kind) if f.name in columns and f.name not in left_out)

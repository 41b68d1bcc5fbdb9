"""Proves that what the law speaks about and what is remembered agree column by column, and that each is named once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Column as Field
from sqlalchemy import Integer, MetaData, Table, Text

from dispatch.desk import store
from dispatch.desk.columns import WORDS, Columns, Pen, shared
from dispatch.rules.incident.values import Assignment, Event, Incident, Segment
from models.tables import incidents as tables

# What a value holds that is no column of its own row: parts and segments have tables, a change is written as `data`.
ELSEWHERE = {Incident: {"parts", "past"}, Event: {"change"}}
BY_THE_DATABASE = {"event": {"tx"}}


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        (store.INCIDENT, Incident),
        (store.ASSIGNMENT, Assignment),
        (store.SEGMENT, Segment),
        (store.EVENT, Event),
    ],
)
def test_fields_and_columns_agree(columns: Columns, kind: Any) -> None:
    """Every column is written from somewhere, and every field of the law's value has its column."""
    every = {column.name for column in columns.table.columns}
    assert every - set(columns.names) == BY_THE_DATABASE.get(columns.table.name, set())
    assert {f.name for f in fields(kind)} - every == ELSEWHERE.get(kind, set())


def test_what_is_read_makes_the_value_in_the_order_of_its_fields() -> None:
    """Assignments and events are made from a row's values by their places."""
    assert (*shared(tables.Assignment, Assignment, "clocks", "facts"), "clocks", "facts") == tuple(
        f.name for f in fields(Assignment)
    )
    assert (*shared(tables.Event, Event), "change") == tuple(f.name for f in fields(Event))


def test_what_never_changes_is_not_in_an_update() -> None:
    """Whatever is added to a table later is updated until somebody says that it is fixed."""
    assert set(store.FIXED) < set(store.INCIDENT.names)
    assert set(store.INCIDENT.changing) == set(store.INCIDENT.names) - set(store.FIXED)
    assert set(store.ASSIGNMENT.changing) == {"role", "state", "sent_at", "ended_at", "clocks", "facts"}


@dataclass(slots=True)
class Pile:
    """A value as the law might have one."""

    id: int
    name: str
    note: str | None


class Model:
    """A table as it might stand among the models."""

    __table__ = Table(
        "pile",
        MetaData(),
        Field("id", Integer, nullable=False),
        Field("name", Text, nullable=False),
        Field("note", Text, nullable=True),
        Field("owner", Integer, nullable=True),
        Field("tx", Integer, nullable=False),
    )


def test_a_column_is_added_by_its_table_and_the_value_that_carries_it() -> None:
    """Names, COPY lines, typed rows and updates follow; a column that nothing carries is left to the database."""
    columns = Columns(Model, {"pile": Pile, "owner": None}, fixed=("id",))
    assert columns.names == ("id", "name", "note", "owner")
    rows = [(Pile(1, "a\tb\\", None), 7), (Pile(2, "c\n", "d"), None)]
    assert columns.lines(rows, Pen()) == ["1\ta\\tb\\\\\t\\N\t7\n", "2\tc\\n\td\t\\N\n"]
    assert columns.changed(*rows[1]) == {"name": "c\n", "note": "d", "owner": None}
    assert columns.sets("r") == "name = r.name, note = r.note, owner = r.owner"
    assert columns.typed(columns.changing) == "name TEXT, note TEXT, owner INTEGER"


def test_no_word_of_the_law_holds_what_copy_would_read_otherwise() -> None:
    """Columns that are written as they stand are among those of the four tables, and all of them text."""
    every = {
        column.name: column
        for model in (tables.Incident, tables.Assignment, tables.Segment, tables.Event)
        for column in model.__table__.columns
    }
    assert every.keys() >= WORDS
    assert all(isinstance(every[name].type, Text) for name in WORDS)


def test_the_segment_that_stands_has_no_end() -> None:
    """It is what the incident's row says of its holder."""
    now = datetime(2026, 3, 2, tzinfo=UTC)
    incident = Incident(1, holder="team/3", awaits="pick_up", segment=2, held_since=now)
    assert store.standing(incident) == Segment(2, "team/3", "pick_up", None, now, None)  # type: ignore[arg-type]

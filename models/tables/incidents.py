"""Tables of what happened: incidents, their append-only events, assignments, responsibility segments, receipts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Sequence,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from models.tables import Base, Code

# Ids are taken in blocks: one round trip names a whole batch, and rows of one batch lie together on disk.
ID_BLOCK = 1_000
incident_block = Sequence("incident_block", metadata=Base.metadata)
assignment_block = Sequence("assignment_block", metadata=Base.metadata)


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id, by which readers follow events without a gap."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name in DDL."""
        return "xid8"


class Receipt(Base):
    """What was already taken in: the number of a report, or the id of a command. Its key decides, once.

    An incident's number is a hash of its source and source id, so a repeated report has the same key.
    """

    __tablename__ = "receipt"
    __table_args__ = (CheckConstraint("key between 0 and 9999999999999999", name="sixteen_digits"),)

    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    incident_id: Mapped[int] = mapped_column(BigInteger)


class Incident(Base):
    """The present state of one incident: the fold of its events, kept as a row for reading."""

    __tablename__ = "incident"
    __table_args__ = (
        CheckConstraint("severity between 1 and 4", name="severity"),
        CheckConstraint("located in ('point', 'code', 'address', 'default')", name="located"),
        CheckConstraint(
            "state in ('reported', 'checking', 'accepted', 'dispatched', 'in_hand', 'disposed', 'verified', 'closed',"
            " 'archived', 'rejected', 'void', 'merged')",
            name="state",
        ),
        CheckConstraint("(lon is null) = (lat is null)", name="point"),
        CheckConstraint("(due_at is null) = (due_clocks is null)", name="due"),
        CheckConstraint(
            "(ended_at is null) = (state not in ('closed', 'archived', 'rejected', 'void', 'merged'))",
            name="ended",
        ),
        # Open work by area; what is due next; what a place had lately; lists and a day's reports, ends and disposals.
        Index(
            "ix_incident_open",
            "area_code",
            "reported_at",
            postgresql_include=["id", "state"],
            postgresql_where=text("ended_at is null"),
        ),
        Index("ix_incident_due", "due_at", postgresql_where=text("due_at is not null")),
        Index("ix_incident_overdue", "overdue_since", postgresql_where=text("overdue_since is not null")),
        Index("ix_incident_place", "place", "reported_at", postgresql_where=text("place is not null")),
        Index("ix_incident_reported", "reported_at", "id", postgresql_include=["area_code", "place"]),
        Index("ix_incident_ended", "ended_at", "reported_at", postgresql_where=text("ended_at is not null")),
        # All that is asked of a disposal since an instant, of those that had a limit.
        Index(
            "ix_incident_disposed",
            "disposed_at",
            postgresql_include=["area_code", "category", "disposed_on_time"],
            postgresql_where=text("disposed_on_time is not null"),
        ),
        # Those past their limit, in the order of the list.
        Index("ix_incident_red", "reported_at", "id", postgresql_where=text("overdue_since is not null")),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(Text)
    source_id: Mapped[str] = mapped_column(Text)
    category: Mapped[Code] = mapped_column(ForeignKey("category.code"))
    severity: Mapped[int] = mapped_column(SmallInteger)
    mode: Mapped[str] = mapped_column(Text)  # one_grid | joint | whistle | all_net
    text: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    area_code: Mapped[Code] = mapped_column(ForeignKey("area.code"))
    lon: Mapped[float | None]
    lat: Mapped[float | None]
    located: Mapped[str] = mapped_column(Text)
    # Category and 200 m cell packed into one number: where suspected duplicates are looked up. Null without a point.
    place: Mapped[int | None] = mapped_column(BigInteger)
    reported_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    state: Mapped[str] = mapped_column(Text)
    level: Mapped[int] = mapped_column(SmallInteger)  # whose matter it is now: 1 city .. 4 village
    # The open responsibility segment, repeated here for lists: who holds it, since when, what is awaited.
    holder: Mapped[str] = mapped_column(Text)  # centre/<area code> | team/<id>
    held_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    awaits: Mapped[str | None] = mapped_column(Text)  # the awaited clock
    paused_why: Mapped[str | None] = mapped_column(Text)
    segment: Mapped[int] = mapped_column(SmallInteger)
    clocks: Mapped[dict[str, Any]] = mapped_column(JSONB)
    # The nearest limit that runs and has not been noted as passed; null when none runs.
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # The clocks whose limit that is: `kind` or `kind/assignment id`, sorted, with a space between.
    due_clocks: Mapped[str | None] = mapped_column(Text)
    # Since when some clock has been past its limit and is still awaited; null while none is: the red light.
    overdue_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disposed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disposed_on_time: Mapped[bool | None]
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_on_time: Mapped[bool | None]
    rating: Mapped[int | None] = mapped_column(SmallInteger)
    # Other facts of the fold that no list needs, each named in `dispatch.rules.incident.facts`.
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    policy_version: Mapped[int] = mapped_column(ForeignKey("policy_version.version"))
    seq: Mapped[int]  # events so far; the optimistic lock
    head: Mapped[bytes] = mapped_column(LargeBinary)  # hash of the last event
    last_verb: Mapped[str] = mapped_column(Text)
    last_actor: Mapped[str] = mapped_column(Text)
    last_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Event(Base):
    """One thing that happened to one incident. Append-only; each is hash-linked to the one before.

    `tx` orders them for followers: a reader that takes all below the oldest running transaction misses none.
    """

    __tablename__ = "event"
    # Looked for by time only over a span: a block-range index costs next to nothing to write.
    __table_args__ = (Index("ix_event_tx", "tx"), Index("ix_event_at", "at", postgresql_using="brin"))

    incident_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("incident.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    verb: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    cause: Mapped[str] = mapped_column(Text)  # id of the command that caused it
    policy_version: Mapped[int]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    tx: Mapped[int] = mapped_column(Xid8(), server_default=func.pg_current_xact_id())


class Assignment(Base):
    """One unit's part in one incident, with its own clocks and history; one live lead, any number assisting."""

    __tablename__ = "assignment"
    __table_args__ = (
        CheckConstraint("role in ('lead', 'assist')", name="role"),
        CheckConstraint("kind in ('ordinary', 'whistle')", name="kind"),
        CheckConstraint(
            "state in ('review', 'refused', 'sent', 'picked_up', 'on_site', 'done', 'ended', 'declined', 'recalled')",
            name="state",
        ),
        Index(
            "uq_assignment_live_lead",
            "incident_id",
            unique=True,
            postgresql_where=text("role = 'lead' and state in ('sent', 'picked_up', 'on_site')"),
        ),
        Index("ix_assignment_incident", "incident_id"),
        # Who has just come from a call; how cases fared lately (they are sent in the order in which rows lie).
        Index("ix_assignment_ended", "ended_at", postgresql_where=text("ended_at is not null")),
        Index("ix_assignment_sent", "sent_at", postgresql_using="brin"),
        Index(
            "ix_assignment_team_live",
            "team_id",
            postgresql_where=text("state in ('sent', 'picked_up', 'on_site')"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    incident_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("incident.id"))
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"))
    role: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    clocks: Mapped[dict[str, Any]] = mapped_column(JSONB)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")


class Segment(Base):
    """A stretch of responsibility: who held the incident, what was awaited, from when to when, paused and why.

    The segments of an incident follow each other without gap or overlap from report to end.
    """

    __tablename__ = "segment"
    __table_args__ = (CheckConstraint("ended_at >= began_at", name="order"),)

    incident_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("incident.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(Text)
    awaits: Mapped[str | None] = mapped_column(Text)
    paused_why: Mapped[str | None] = mapped_column(Text)
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Attachment(Base):
    """A file that belongs to an event: its place in the store, its kind and its content's hash."""

    __tablename__ = "attachment"
    __table_args__ = (
        ForeignKeyConstraint(["incident_id", "event_seq"], ["event.incident_id", "event.seq"]),
        UniqueConstraint("incident_id", "event_seq", "sha256"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    incident_id: Mapped[int] = mapped_column(BigInteger)
    event_seq: Mapped[int]
    kind: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    taken_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

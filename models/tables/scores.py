"""Tables of what was counted: hourly roll-up, monthly assessments, corrections, mismatches, figures entered by hand."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Mapped, mapped_column

from models.tables import Base, Code

# What one incident adds to the hour in which it happened, in the order of the columns.
COUNTS = (
    "reported",
    "rejected",
    "accepted",
    "dispatched",
    "returned",
    "disposed",
    "disposed_timed",
    "disposed_on_time",
    "overdue",
    "closed",
    "closed_timed",
    "closed_on_time",
    "reworked",
    "extended",
    "whistles",
    "answered",
    "on_site",
    "disputes",
    "settled",
    "in_grid",
    "rated",
    "rating_sum",
)

# What became of a day's reports, in the order of the columns; what each says stands in dispatch/figures/cohorts.py.
DAILY_COUNTS = (
    "reported",
    "rejected",
    "merged",
    "accepted",
    "dispatched",
    "picked_up",
    "arrived",
    "disposed",
    "verified",
    "closed",
    "due",
    "on_time",
    "overdue",
    "pending",
    "open",
    "close_due",
    "close_on_time",
    "whistled",
    "whistle_due",
    "on_site",
    "disputes",
    "settled",
    "reworked",
    "in_grid",
    "rated_1",
    "rated_2",
    "rated_3",
    "rated_4",
    "rated_5",
)


class Follower(Base):
    """How far a job has come that goes on where it stopped.

    For one that follows events, the transaction below which all are taken in; for a sweep, the last incident's id.
    """

    __tablename__ = "follower"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Hourly(Base):
    """What happened in one hour, in one town or in an area above that no town of it is known for, in one theme.

    Each incident counts under the hour of the fact as it stands now: a closing that is undone by a reopening is
    taken out of its hour again. `disposed_timed` and `closed_timed` are those that had a limit; `overdue` stands
    under the hour of the limit for as long as the disposal is awaited. Sums over areas are sums of the level below.
    """

    __tablename__ = "hourly"
    __table_args__ = (Index("ix_hourly_area", "area_code", "hour"),)

    hour: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    area_code: Mapped[Code] = mapped_column(primary_key=True)
    theme: Mapped[Code] = mapped_column(primary_key=True)
    reported: Mapped[int] = mapped_column(Integer, server_default="0")
    rejected: Mapped[int] = mapped_column(Integer, server_default="0")
    accepted: Mapped[int] = mapped_column(Integer, server_default="0")
    dispatched: Mapped[int] = mapped_column(Integer, server_default="0")
    returned: Mapped[int] = mapped_column(Integer, server_default="0")
    disposed: Mapped[int] = mapped_column(Integer, server_default="0")
    disposed_timed: Mapped[int] = mapped_column(Integer, server_default="0")
    disposed_on_time: Mapped[int] = mapped_column(Integer, server_default="0")
    overdue: Mapped[int] = mapped_column(Integer, server_default="0")
    closed: Mapped[int] = mapped_column(Integer, server_default="0")
    closed_timed: Mapped[int] = mapped_column(Integer, server_default="0")
    closed_on_time: Mapped[int] = mapped_column(Integer, server_default="0")
    reworked: Mapped[int] = mapped_column(Integer, server_default="0")
    extended: Mapped[int] = mapped_column(Integer, server_default="0")
    whistles: Mapped[int] = mapped_column(Integer, server_default="0")
    answered: Mapped[int] = mapped_column(Integer, server_default="0")
    on_site: Mapped[int] = mapped_column(Integer, server_default="0")
    disputes: Mapped[int] = mapped_column(Integer, server_default="0")
    settled: Mapped[int] = mapped_column(Integer, server_default="0")
    in_grid: Mapped[int] = mapped_column(Integer, server_default="0")
    rated: Mapped[int] = mapped_column(Integer, server_default="0")
    rating_sum: Mapped[int] = mapped_column(Integer, server_default="0")


class Daily(Base):
    """What became, until now, of what was reported in one day of the city's own, in one area and one theme.

    There is a row for each level an incident lies in, city, county, town and village: a figure of any area is read
    from its own rows alone.
    """

    __tablename__ = "daily"
    # A year's course and a month's ranking are read from the key alone.
    __table_args__ = (
        PrimaryKeyConstraint(
            "area_code", "day", "theme", postgresql_include=["reported", "due", "on_time", "overdue"]
        ),
        Index("ix_daily_day", "day"),
    )

    area_code: Mapped[Code]
    day: Mapped[date] = mapped_column(Date)
    theme: Mapped[Code]
    reported: Mapped[int] = mapped_column(Integer, server_default="0")
    rejected: Mapped[int] = mapped_column(Integer, server_default="0")
    merged: Mapped[int] = mapped_column(Integer, server_default="0")
    accepted: Mapped[int] = mapped_column(Integer, server_default="0")
    dispatched: Mapped[int] = mapped_column(Integer, server_default="0")
    picked_up: Mapped[int] = mapped_column(Integer, server_default="0")
    arrived: Mapped[int] = mapped_column(Integer, server_default="0")
    disposed: Mapped[int] = mapped_column(Integer, server_default="0")
    verified: Mapped[int] = mapped_column(Integer, server_default="0")
    closed: Mapped[int] = mapped_column(Integer, server_default="0")
    due: Mapped[int] = mapped_column(Integer, server_default="0")
    on_time: Mapped[int] = mapped_column(Integer, server_default="0")
    overdue: Mapped[int] = mapped_column(Integer, server_default="0")
    pending: Mapped[int] = mapped_column(Integer, server_default="0")
    open: Mapped[int] = mapped_column(Integer, server_default="0")
    close_due: Mapped[int] = mapped_column(Integer, server_default="0")
    close_on_time: Mapped[int] = mapped_column(Integer, server_default="0")
    whistled: Mapped[int] = mapped_column(Integer, server_default="0")
    whistle_due: Mapped[int] = mapped_column(Integer, server_default="0")
    on_site: Mapped[int] = mapped_column(Integer, server_default="0")
    disputes: Mapped[int] = mapped_column(Integer, server_default="0")
    settled: Mapped[int] = mapped_column(Integer, server_default="0")
    reworked: Mapped[int] = mapped_column(Integer, server_default="0")
    in_grid: Mapped[int] = mapped_column(Integer, server_default="0")
    rated_1: Mapped[int] = mapped_column(Integer, server_default="0")
    rated_2: Mapped[int] = mapped_column(Integer, server_default="0")
    rated_3: Mapped[int] = mapped_column(Integer, server_default="0")
    rated_4: Mapped[int] = mapped_column(Integer, server_default="0")
    rated_5: Mapped[int] = mapped_column(Integer, server_default="0")


class Experience(Base):
    """How cases of a type that were sent on one day of the city's own to teams of a trade fared until now.

    `returned` as not theirs, by the words of the policy; `settled` by the team.
    """

    __tablename__ = "experience"

    category: Mapped[Code] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    trade: Mapped[Code] = mapped_column(primary_key=True)
    sent: Mapped[int] = mapped_column(Integer)
    returned: Mapped[int] = mapped_column(Integer)
    settled: Mapped[int] = mapped_column(Integer)


class Replayed(Base):
    """How one source did whose requests another city's system promised and judged, as of the last it told of."""

    __tablename__ = "replayed"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    requests: Mapped[int] = mapped_column(Integer)
    first_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    as_of: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    on_time: Mapped[int] = mapped_column(Integer)
    with_target: Mapped[int] = mapped_column(Integer)
    without_target: Mapped[int] = mapped_column(Integer)


class AssessmentMonth(Base):
    """One month's assessment: by which rules, as of when, from which events, and the hash over all its rows.

    A frozen month is never touched again; the database refuses it.
    """

    __tablename__ = "assessment_month"
    __table_args__ = (CheckConstraint("state in ('provisional', 'frozen')", name="state"),)

    month: Mapped[date] = mapped_column(Date, primary_key=True)  # its first day
    state: Mapped[str] = mapped_column(Text)
    policy_version: Mapped[int] = mapped_column(ForeignKey("policy_version.version"))
    as_of: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    # Events of transactions below this one were known; later ones, and those dated after `as_of`, were not judged.
    horizon: Mapped[int] = mapped_column(BigInteger)
    incidents: Mapped[int] = mapped_column(Integer)
    hash: Mapped[str] = mapped_column(Text)
    computed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Assessment(Base):
    """One subject's card for one month: the score, and in `parts` every rate with the cases behind it."""

    __tablename__ = "assessment"
    __table_args__ = (Index("ix_assessment_subject", "kind", "subject", "month"),)

    month: Mapped[date] = mapped_column(ForeignKey("assessment_month.month"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    card: Mapped[str] = mapped_column(Text, primary_key=True)
    score: Mapped[float | None] = mapped_column(Double)  # for sorting; the exact value stands in `parts`
    band: Mapped[str] = mapped_column(Text)
    cases: Mapped[int] = mapped_column(Integer)
    # `json`, unlike `jsonb`, keeps the text to the byte that the hash was taken over.
    parts: Mapped[dict[str, Any]] = mapped_column(JSON)
    hash: Mapped[str] = mapped_column(Text)


class AssessmentSubject(Base):
    """Who a subject of a month was: its names, and the department of a team, as they stood when it was computed."""

    __tablename__ = "assessment_subject"

    month: Mapped[date] = mapped_column(ForeignKey("assessment_month.month"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    parent: Mapped[str] = mapped_column(Text)


class Correction(Base):
    """What an appeal granted after the freeze changes in a frozen card; entered beside it, never into it."""

    __tablename__ = "correction"
    __table_args__ = (UniqueConstraint("month", "kind", "subject", "card", "incident_id", "event_seq"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    month: Mapped[date] = mapped_column(ForeignKey("assessment_month.month"))
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text(collation="C"))
    card: Mapped[str] = mapped_column(Text)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    event_seq: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    # Exact scores as fractions, or empty for no data.
    score_before: Mapped[str] = mapped_column(Text)
    score_after: Mapped[str] = mapped_column(Text)
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Mismatch(Base):
    """Something stored that the events do not bear out; `gone_at` says when a later check found it right again."""

    __tablename__ = "mismatch"
    __table_args__ = (
        Index("uq_mismatch_open", "what", "subject", unique=True, postgresql_where=text("gone_at is null")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    what: Mapped[str] = mapped_column(Text)  # table and column
    subject: Mapped[str] = mapped_column(Text)  # whose: an incident's id, an hour's key, a card's key
    stored: Mapped[str] = mapped_column(Text)
    recomputed: Mapped[str] = mapped_column(Text)
    found_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    gone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Kpi(Base):
    """A figure for an area and a period. `published` ones were entered with their source and are shown as such."""

    __tablename__ = "kpi"

    metric: Mapped[str] = mapped_column(Text, primary_key=True)
    area_code: Mapped[Code] = mapped_column(ForeignKey("area.code"), primary_key=True)
    period: Mapped[str] = mapped_column(Text, primary_key=True)  # 2020, 2020-03 or 2020-03-31
    value: Mapped[Decimal] = mapped_column(Numeric)
    unit: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    published: Mapped[bool]
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

"""Tables of who is on duty: shifts, what teams say of themselves and where they are, and what was handed over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.tables import Base, Code
from models.tables.people import DUTY_ROLES

# What a team says of itself; that it is assigned, on the way or on scene follows from its assignments.
OWN_STATES = ("available", "resting", "off_duty")


class Shift(Base):
    """One person's turn of duty, for a team or at a centre, from an instant up to another."""

    __tablename__ = "shift"
    __table_args__ = (
        CheckConstraint("(team_id is null) <> (area_code is null)", name="team_or_centre"),
        CheckConstraint(f"role in {DUTY_ROLES}", name="role"),
        CheckConstraint("ends_at > begins_at and ends_at <= begins_at + interval '24 hours'", name="order"),
        Index("ix_shift_ends", "ends_at"),
        # Nobody begins two turns at once for the same team or centre.
        Index("uq_shift_begin", "person_id", "begins_at", unique=True),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"), index=True)
    area_code: Mapped[Code | None] = mapped_column(ForeignKey("area.code"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(Text)
    begins_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class TeamPlace(Base):
    """Where a team last was, and nothing before: kept while it is on duty, dropped after (DOMAIN P16)."""

    __tablename__ = "team_place"
    __table_args__ = (CheckConstraint("lon between -180 and 180 and lat between -90 and 90", name="degrees"),)

    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"), primary_key=True)
    lon: Mapped[float]
    lat: Mapped[float]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class TeamStatus(Base):
    """What a team said of itself, when, and who said it: one row a change."""

    __tablename__ = "team_status"
    __table_args__ = (
        CheckConstraint(f"state in {OWN_STATES}", name="state"),
        Index("ix_team_status_team", "team_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"))
    state: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, server_default="")


class Handover(Base):
    """What was open in a team's or centre's hands when its shift changed, as it was read then."""

    __tablename__ = "handover"

    holder: Mapped[str] = mapped_column(
        Text, primary_key=True
    )  # as incident.holder: team/<id> | centre/<area code>
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    open: Mapped[list[Any]] = mapped_column(JSONB)
    taken_by: Mapped[str | None] = mapped_column(Text)
    taken_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

"""Tables of who is told what: the outbox of messages, the health of each channel, and the notices inside."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables import Base

OUTBOX_STATES = ("waiting", "sending", "sent", "stale", "dead")


class Told(Base):
    """How far reminding people of limits has come: the time looked at. What happened is followed by `follower`."""

    __tablename__ = "told"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    tx: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Outbox(Base):
    """One message to one receiver by one channel. Its key makes it one, whatever is followed twice.

    `holds` says what must still be true of the incident when it is sent: see `dispatch.rules.policy.notices`.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint(f"state in {OUTBOX_STATES}", name="state"),
        CheckConstraint("severity between 1 and 4", name="severity"),
        Index(
            "ix_outbox_due", "channel", "next_at", postgresql_where=text("state in ('waiting', 'sending')")
        ),
        Index("ix_outbox_sent", "channel", "receiver", "sent_at", postgresql_where=text("state = 'sent'")),
        Index("ix_outbox_incident", "incident_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    incident_id: Mapped[int] = mapped_column(BigInteger)
    severity: Mapped[int] = mapped_column(SmallInteger)
    receiver: Mapped[str] = mapped_column(Text)  # team/<id> | <role>/<area code>
    area_code: Mapped[str] = mapped_column(Text)  # by which the channel's address is found
    channel: Mapped[str] = mapped_column(Text)
    holds: Mapped[str] = mapped_column(Text)
    holder: Mapped[str] = mapped_column(Text)
    zh: Mapped[str] = mapped_column(Text)
    en: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    next_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    cause: Mapped[str | None] = mapped_column(Text)


class ChannelHealth(Base):
    """How a channel fares: failures in a row, until when it is left alone, and why."""

    __tablename__ = "channel_health"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int] = mapped_column(server_default="0")
    closed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    cause: Mapped[str | None] = mapped_column(Text)
    last_sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Notice(Base):
    """One message inside the system, to a team or to a role in an area, read or unread."""

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint("severity between 1 and 4", name="severity"),
        Index("ix_notice_unread", "receiver", "at", postgresql_where=text("read_at is null")),
        Index("ix_notice_at", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    incident_id: Mapped[int | None] = mapped_column(BigInteger)
    severity: Mapped[int] = mapped_column(SmallInteger)
    receiver: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    zh: Mapped[str] = mapped_column(Text)
    en: Mapped[str] = mapped_column(Text)
    read_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    read_by: Mapped[str | None] = mapped_column(Text)

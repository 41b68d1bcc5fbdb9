"""Tables of what people send from their phones: photos, the incidents that carry them, and whose report is whose.

They stand apart from the events, which are never deleted: here a person can be forgotten.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables import Base


class Photo(Base):
    """A photo that was taken in: its name is the hash of its content, its file lies in the store of photos."""

    __tablename__ = "photo"
    __table_args__ = (
        CheckConstraint("name ~ '^[0-9a-f]{64}$'", name="hash"),
        Index("ix_photo_uploaded", "uploaded_at"),
    )

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    bytes: Mapped[int] = mapped_column(Integer)
    uploaded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PhotoOwner(Base):
    """Who sent a photo: the same picture may come from two people, and is kept once."""

    __tablename__ = "photo_owner"

    name: Mapped[str] = mapped_column(Text, ForeignKey("photo.name", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)


class PhotoUse(Base):
    """The number of an incident that carries a photo; the incident itself may still be on its way."""

    __tablename__ = "photo_use"
    __table_args__ = (Index("ix_photo_use_number", "number"),)

    name: Mapped[str] = mapped_column(Text, ForeignKey("photo.name", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class OwnReport(Base):
    """Which account sent the report with a number; deleted with the account, and by whoever asks to be forgotten."""

    __tablename__ = "own_report"
    __table_args__ = (Index("ix_own_report_account", "account_id", "sent_at"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

"""Tables of who may come in, and who did: accounts, sessions, keys, and the log of them. Secrets only as hashes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.tables import Base, Code

ROLES = (
    "resident", "grid_worker", "grid_head", "village", "dispatcher", "duty_leader", "team", "county", "city",
    "leader", "auditor", "admin", "system",
)  # fmt: skip


class Account(Base):
    """A person's way in: a role inside the subtree of one area."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint(f"role in {ROLES}", name="role"),
        Index("uq_account_subject", "subject", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(Text, unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    area_code: Mapped[Code] = mapped_column(ForeignKey("area.code"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    name: Mapped[str] = mapped_column(Text, server_default="")
    demo: Mapped[bool] = mapped_column(server_default="false")  # opens only where DEMO=1
    subject: Mapped[str | None] = mapped_column(Text)  # of the identity provider, where one is used


class Session(Base):
    """A browser that is signed in: the SHA-256 of what its cookie holds."""

    __tablename__ = "session"
    __table_args__ = (Index("ix_session_account", "account_id"), Index("ix_session_seen", "seen_at"))

    sha256: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Attempt(Base):
    """Wrong passwords in a row for one login, whether there is such an account or not; the login only as SHA-256.

    People type their password where the login belongs: what was typed is never kept.
    """

    __tablename__ = "attempt"

    login_sha256: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int] = mapped_column(SmallInteger)
    locked_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class AccessLog(Base):
    """Who came in or was refused, and who changed what of accounts, keys and configuration; half a year is kept."""

    __tablename__ = "access_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    what: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"), index=True)
    by: Mapped[str] = mapped_column(
        Text, server_default=""
    )  # the login of whoever did it, where it was another
    address: Mapped[str] = mapped_column(Text, server_default="")
    about: Mapped[str] = mapped_column(Text, server_default="")


class ApiKey(Base):
    """A bearer key of the HTTP door, stored as the SHA-256 of the key; bound to one `source` name."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class WallKey(Base):
    """A revocable read-only key that opens the wall of one area without a login."""

    __tablename__ = "wall_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    area_code: Mapped[Code] = mapped_column(ForeignKey("area.code"))
    sha256: Mapped[str] = mapped_column(Text, unique=True)
    note: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

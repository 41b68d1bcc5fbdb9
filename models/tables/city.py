"""Tables of the city itself: areas, their outlines, and the versions of its policy."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.tables import Base, Code, Json

MICRO_KINDS = (
    "block",
    "building",
    "hamlet",
    "enterprise",
    "school",
    "rental",
    "commerce",
    "outbound",
    "other",
)


class Area(Base):
    """One cell of the one grid: city, county, town (large), village (middle), small or micro."""

    __tablename__ = "area"
    __table_args__ = (
        CheckConstraint("level between 1 and 6", name="level"),
        CheckConstraint("(level = 1) = (parent is null)", name="only_city_is_root"),
        CheckConstraint(
            "length(code) = case level when 1 then 6 when 2 then 6 when 3 then 9 when 4 then 12"
            " when 5 then 14 else 17 end",
            name="code_length",
        ),
    )

    code: Mapped[Code] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(SmallInteger)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str | None] = mapped_column(Text)
    # town: street | town; village: community | rural | park; micro: one of MICRO_KINDS; others: ''
    kind: Mapped[str] = mapped_column(Text, server_default="")
    parent: Mapped[str | None] = mapped_column(
        Text(collation="C"), ForeignKey("area.code", deferrable=True, initially="DEFERRED"), index=True
    )
    # Focus area of the seed: urban | rural | fringe | rental; '' above village.
    focus: Mapped[str] = mapped_column(Text, server_default="")
    lon: Mapped[float | None]
    lat: Mapped[float | None]
    # Where the row comes from: 'NBS2023', 'assumed', 'generated', or the loaded file's name.
    origin: Mapped[str] = mapped_column(Text, server_default="")


class AreaShape(Base):
    """The outline of an area as WKB in WGS84; `schematic` ones are printed as 示意图."""

    __tablename__ = "area_shape"

    code: Mapped[Code] = mapped_column(ForeignKey("area.code", ondelete="CASCADE"), primary_key=True)
    wkb: Mapped[bytes] = mapped_column(LargeBinary)
    schematic: Mapped[bool]


class PolicyVersion(Base):
    """One published version of the policy files, kept whole; never edited, only followed by the next."""

    __tablename__ = "policy_version"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    published_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    valid_from: Mapped[date]
    files: Mapped[Json]  # file name -> text, as read from config/policy
    digest: Mapped[str] = mapped_column(Text, unique=True)
    note: Mapped[str] = mapped_column(Text, server_default="")


class Category(Base):
    """One event type of the policy in force, for keys and names; its limits live in the policy version."""

    __tablename__ = "category"
    __table_args__ = (Index("ix_category_theme", "theme"),)

    code: Mapped[Code] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    theme: Mapped[Code]  # one of the ten areas of work, 01..10
    severity: Mapped[int] = mapped_column(SmallInteger)
    mode: Mapped[str] = mapped_column(Text)
    retired: Mapped[bool] = mapped_column(server_default="false")


class Wartime(Base):
    """A stretch of wartime in one area: limits are halved for what is opened in it, until its end.

    Append-only: of a declaration only its end is written later, once.
    """

    __tablename__ = "wartime"
    __table_args__ = (
        CheckConstraint("level between 1 and 4", name="level"),
        CheckConstraint("until > since", name="order"),
        CheckConstraint("approved_by <> declared_by", name="two_persons"),
        CheckConstraint(
            "(ended_at is null) = (ended_by is null) and (ended_at is null) = (end_reason is null)",
            name="ended_by_somebody",
        ),
        Index("uq_wartime_open", "area_code", unique=True, postgresql_where=text("ended_at is null")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    area_code: Mapped[Code] = mapped_column(ForeignKey("area.code"))
    level: Mapped[int] = mapped_column(SmallInteger)  # 1 red, 2 orange, 3 yellow, 4 blue
    theme: Mapped[str] = mapped_column(Text)  # flood | forest_fire | epidemic | event
    reason: Mapped[str] = mapped_column(Text)
    commander: Mapped[str] = mapped_column(Text)
    declared_by: Mapped[str] = mapped_column(Text)
    approved_by: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_by: Mapped[str | None] = mapped_column(Text)  # system: its time had run out
    end_reason: Mapped[str | None] = mapped_column(Text)

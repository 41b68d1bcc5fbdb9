"""Tables of who serves the city: organisations, teams, the people in them and their duties."""

from __future__ import annotations

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.tables import Base, Code

TEAM_STATES = ("available", "assigned", "on_the_way", "on_scene", "resting", "off_duty")
DUTY_ROLES = (
    "grid_head",
    "grid_worker",
    "liaison",
    "dispatcher",
    "duty_leader",
    "team_member",
    "team_leader",
    "leader",
)
DUTY_KINDS = ("full_time", "part_time", "professional", "")


class Organisation(Base):
    """A unit: a command centre, a village station, a department or an enforcement team's home."""

    __tablename__ = "organisation"
    __table_args__ = (CheckConstraint("kind in ('centre', 'station', 'department')", name="kind"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text, server_default="")
    kind: Mapped[str] = mapped_column(Text)
    area_code: Mapped[Code] = mapped_column(ForeignKey("area.code"), index=True)


class Team(Base):
    """A unit that can be sent: its trade says what for, its area says where, its load how many it holds now."""

    __tablename__ = "team"
    __table_args__ = (
        CheckConstraint(f"state in {TEAM_STATES}", name="state"),
        CheckConstraint("load >= 0", name="load"),
        Index("ix_team_trade_area", "trade", "area_code"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text, server_default="")
    trade: Mapped[str] = mapped_column(Text)
    area_code: Mapped[Code] = mapped_column(ForeignKey("area.code"))
    capacity: Mapped[int] = mapped_column(SmallInteger)
    # Live assignments it holds. Kept by the Desk as the last write of its transaction; a job recounts it.
    load: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(Text, server_default="available")
    lon: Mapped[float | None]
    lat: Mapped[float | None]
    # Training of its own, beyond what every team of its trade has: slugs of config/policy/assignment.toml.
    skills: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")


class Person(Base):
    """A person who serves; never a resident, and no more of them than the work needs (DOMAIN: minimal fields)."""

    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    phone_masked: Mapped[str] = mapped_column(Text, server_default="")
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    invented: Mapped[bool] = mapped_column(server_default="false")  # 演示数据


class Duty(Base):
    """What one person does for one area or team, from a day to a day; a person may have several."""

    __tablename__ = "duty"
    __table_args__ = (
        CheckConstraint(f"role in {DUTY_ROLES}", name="role"),
        CheckConstraint(f"kind in {DUTY_KINDS}", name="kind"),
        CheckConstraint(
            "(kind = 'professional') = (cardinality(themes) = 1)", name="professional_has_one_theme"
        ),
        Index("ix_duty_area_role", "area_code", "role"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="")
    area_code: Mapped[Code] = mapped_column(ForeignKey("area.code"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"), index=True)
    themes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    since: Mapped[date]
    until: Mapped[date | None]

"""Add duty rosters and what is sent out: shifts, statuses, hand-overs, the outbox, notices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "channel_health",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("last_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channel_health")),
    )
    op.create_table(
        "handover",
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("holder", "at", name=op.f("pk_handover")),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=True),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_by", sa.Text(), nullable=True),
        sa.CheckConstraint("severity between 1 and 4", name=op.f("ck_notice_severity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("key", name=op.f("uq_notice_key")),
    )
    op.create_index("ix_notice_at", "notice", ["at"], unique=False)
    op.create_index(
        "ix_notice_unread",
        "notice",
        ["receiver", "at"],
        unique=False,
        postgresql_where=sa.text("read_at is null"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("holds", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('waiting', 'sending', 'sent', 'stale', 'dead')", name=op.f("ck_outbox_state")
        ),
        sa.CheckConstraint("severity between 1 and 4", name=op.f("ck_outbox_severity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["channel", "next_at"],
        unique=False,
        postgresql_where=sa.text("state in ('waiting', 'sending')"),
    )
    op.create_index("ix_outbox_incident", "outbox", ["incident_id"], unique=False)
    op.create_index(
        "ix_outbox_sent",
        "outbox",
        ["channel", "receiver", "sent_at"],
        unique=False,
        postgresql_where=sa.text("state = 'sent'"),
    )
    op.create_table(
        "shift",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("area_code", sa.Text(collation="C"), nullable=True),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "ends_at > begins_at and ends_at <= begins_at + interval '24 hours'", name=op.f("ck_shift_order")
        ),
        sa.CheckConstraint(
            "role in ('grid_head', 'grid_worker', 'liaison', 'dispatcher', 'duty_leader', 'team_member', 'team_leader', 'leader')",
            name=op.f("ck_shift_role"),
        ),
        sa.CheckConstraint("(team_id is null) <> (area_code is null)", name=op.f("ck_shift_team_or_centre")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_shift_area_code")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_shift_person_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_shift_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shift")),
    )
    op.create_index("ix_shift_ends", "shift", ["ends_at"], unique=False)
    op.create_index(op.f("ix_shift_team_id"), "shift", ["team_id"], unique=False)
    op.create_index("uq_shift_begin", "shift", ["person_id", "begins_at"], unique=True)
    op.create_table(
        "team_place",
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("lon", sa.Double(), nullable=False),
        sa.Column("lat", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "lon between -180 and 180 and lat between -90 and 90", name=op.f("ck_team_place_degrees")
        ),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_team_place_team_id")),
        sa.PrimaryKeyConstraint("team_id", name=op.f("pk_team_place")),
    )
    op.create_index(op.f("ix_team_place_at"), "team_place", ["at"], unique=False)
    op.create_table(
        "team_status",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "state in ('available', 'resting', 'off_duty')", name=op.f("ck_team_status_state")
        ),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_team_status_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team_status")),
    )
    op.create_index("ix_team_status_team", "team_status", ["team_id", "at"], unique=False)
    op.create_table(
        "told",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_told")),
    )
    op.add_column(
        "team", sa.Column("skills", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("team", "skills")
    op.drop_table("told")
    op.drop_index("ix_team_status_team", table_name="team_status")
    op.drop_table("team_status")
    op.drop_index(op.f("ix_team_place_at"), table_name="team_place")
    op.drop_table("team_place")
    op.drop_index("uq_shift_begin", table_name="shift")
    op.drop_index(op.f("ix_shift_team_id"), table_name="shift")
    op.drop_index("ix_shift_ends", table_name="shift")
    op.drop_table("shift")
    op.drop_index("ix_outbox_sent", table_name="outbox", postgresql_where=sa.text("state = 'sent'"))
    op.drop_index("ix_outbox_incident", table_name="outbox")
    op.drop_index(
        "ix_outbox_due", table_name="outbox", postgresql_where=sa.text("state in ('waiting', 'sending')")
    )
    op.drop_table("outbox")
    op.drop_index("ix_notice_unread", table_name="notice", postgresql_where=sa.text("read_at is null"))
    op.drop_index("ix_notice_at", table_name="notice")
    op.drop_table("notice")
    op.drop_table("handover")
    op.drop_table("channel_health")

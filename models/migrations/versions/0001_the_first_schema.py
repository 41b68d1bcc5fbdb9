"""Create the first schema: the city, its people, its incidents, and the guards around what was written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.tables.incidents import Xid8

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# What happened stays as it was written, whoever asks; corrections are further events.
APPEND_ONLY = """
create function append_only() returns trigger language plpgsql as $$
begin
    raise exception 'events are append-only: % of incident %, event % refused', tg_op, old.incident_id, old.seq;
end $$
"""


def upgrade() -> None:
    """Apply this step."""
    op.execute("create sequence incident_block")
    op.execute("create sequence assignment_block")
    op.create_table(
        "api_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_key_sha256")),
    )
    op.create_table(
        "area",
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("parent", sa.Text(collation="C"), nullable=True),
        sa.Column("focus", sa.Text(), server_default="", nullable=False),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("origin", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(level = 1) = (parent is null)", name=op.f("ck_area_only_city_is_root")),
        sa.CheckConstraint(
            "length(code) = case level when 1 then 6 when 2 then 6 when 3 then 9 when 4 then 12 when 5 then 14 else 17 end",
            name=op.f("ck_area_code_length"),
        ),
        sa.CheckConstraint("level between 1 and 6", name=op.f("ck_area_level")),
        sa.ForeignKeyConstraint(
            ["parent"], ["area.code"], name=op.f("fk_area_parent"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_area")),
    )
    op.create_index(op.f("ix_area_parent"), "area", ["parent"], unique=False)
    op.create_table(
        "category",
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("theme", sa.Text(collation="C"), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("retired", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_category")),
    )
    op.create_index("ix_category_theme", "category", ["theme"], unique=False)
    op.create_table(
        "policy_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "published_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("files", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_version")),
        sa.UniqueConstraint("digest", name=op.f("uq_policy_version_digest")),
    )
    op.create_table(
        "receipt",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("key between 0 and 9999999999999999", name=op.f("ck_receipt_sixteen_digits")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_receipt")),
    )
    op.create_table(
        "area_shape",
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("wkb", sa.LargeBinary(), nullable=False),
        sa.Column("schematic", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["code"], ["area.code"], name=op.f("fk_area_shape_code"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_area_shape")),
    )
    op.create_table(
        "wartime",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("theme", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("commander", sa.Text(), nullable=False),
        sa.Column("declared_by", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("level between 1 and 4", name=op.f("ck_wartime_level")),
        sa.CheckConstraint("until > since", name=op.f("ck_wartime_order")),
        sa.CheckConstraint("approved_by <> declared_by", name=op.f("ck_wartime_two_persons")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_wartime_area_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wartime")),
    )
    op.create_index(
        "ix_wartime_open",
        "wartime",
        ["area_code"],
        unique=False,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_table(
        "incident",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(collation="C"), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("located", sa.Text(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("held_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("awaits", sa.Text(), nullable=True),
        sa.Column("paused_why", sa.Text(), nullable=True),
        sa.Column("segment", sa.SmallInteger(), nullable=False),
        sa.Column("clocks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("overdue_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disposed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disposed_on_time", sa.Boolean(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_on_time", sa.Boolean(), nullable=True),
        sa.Column("rating", sa.SmallInteger(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("last_verb", sa.Text(), nullable=False),
        sa.Column("last_actor", sa.Text(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(ended_at is null) = (state not in ('closed', 'archived', 'rejected', 'void', 'merged'))",
            name=op.f("ck_incident_ended"),
        ),
        sa.CheckConstraint(
            "located in ('point', 'code', 'address', 'default')", name=op.f("ck_incident_located")
        ),
        sa.CheckConstraint(
            "state in ('reported', 'checking', 'accepted', 'dispatched', 'in_hand', 'disposed', 'verified', 'closed', 'archived', 'rejected', 'void', 'merged')",
            name=op.f("ck_incident_state"),
        ),
        sa.CheckConstraint("(lon is null) = (lat is null)", name=op.f("ck_incident_point")),
        sa.CheckConstraint("severity between 1 and 4", name=op.f("ck_incident_severity")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_incident_area_code")),
        sa.ForeignKeyConstraint(["category"], ["category.code"], name=op.f("fk_incident_category")),
        sa.ForeignKeyConstraint(
            ["policy_version"], ["policy_version.version"], name=op.f("fk_incident_policy_version")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
    op.create_index(
        "ix_incident_due",
        "incident",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at is not null"),
    )
    op.create_index(
        "ix_incident_ended",
        "incident",
        ["ended_at"],
        unique=False,
        postgresql_where=sa.text("ended_at is not null"),
    )
    op.create_index(
        "ix_incident_open",
        "incident",
        ["area_code"],
        unique=False,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index(
        "ix_incident_overdue",
        "incident",
        ["overdue_since"],
        unique=False,
        postgresql_where=sa.text("overdue_since is not null"),
    )
    op.create_index(
        "ix_incident_place",
        "incident",
        ["place", "reported_at"],
        unique=False,
        postgresql_where=sa.text("place is not null"),
    )
    op.create_index("ix_incident_reported", "incident", ["reported_at"], unique=False)
    op.create_table(
        "organisation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.CheckConstraint("kind in ('centre', 'station', 'department')", name=op.f("ck_organisation_kind")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_organisation_area_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
    )
    op.create_index(op.f("ix_organisation_area_code"), "organisation", ["area_code"], unique=False)
    op.create_table(
        "wall_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_wall_key_area_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wall_key")),
        sa.UniqueConstraint("sha256", name=op.f("uq_wall_key_sha256")),
    )
    op.create_table(
        "event",
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("data", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("tx", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_event_incident_id")),
        sa.PrimaryKeyConstraint("incident_id", "seq", name=op.f("pk_event")),
    )
    op.create_index("ix_event_tx", "event", ["tx"], unique=False)
    op.create_table(
        "person",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone_masked", sa.Text(), server_default="", nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=True),
        sa.Column("invented", sa.Boolean(), server_default="false", nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_person_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
    )
    op.create_index(op.f("ix_person_organisation_id"), "person", ["organisation_id"], unique=False)
    op.create_table(
        "segment",
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("awaits", sa.Text(), nullable=True),
        sa.Column("paused_why", sa.Text(), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("ended_at >= began_at", name=op.f("ck_segment_order")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_segment_incident_id")),
        sa.PrimaryKeyConstraint("incident_id", "seq", name=op.f("pk_segment")),
    )
    op.create_table(
        "team",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), server_default="", nullable=False),
        sa.Column("trade", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.Column("capacity", sa.SmallInteger(), nullable=False),
        sa.Column("load", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="available", nullable=False),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "state in ('available', 'assigned', 'on_the_way', 'on_scene', 'resting', 'off_duty')",
            name=op.f("ck_team_state"),
        ),
        sa.CheckConstraint("load >= 0", name=op.f("ck_team_load")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_team_area_code")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_team_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team")),
    )
    op.create_index(op.f("ix_team_organisation_id"), "team", ["organisation_id"], unique=False)
    op.create_index("ix_team_trade_area", "team", ["trade", "area_code"], unique=False)
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role in ('resident', 'grid_worker', 'grid_head', 'village', 'dispatcher', 'duty_leader', 'team', 'county', 'city', 'leader', 'auditor', 'admin', 'system')",
            name=op.f("ck_account_role"),
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_account_area_code")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_account_person_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_account_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )
    op.create_table(
        "assignment",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clocks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.CheckConstraint("kind in ('ordinary', 'whistle')", name=op.f("ck_assignment_kind")),
        sa.CheckConstraint("role in ('lead', 'assist')", name=op.f("ck_assignment_role")),
        sa.CheckConstraint(
            "state in ('review', 'refused', 'sent', 'picked_up', 'on_site', 'done', 'ended', 'declined', 'recalled')",
            name=op.f("ck_assignment_state"),
        ),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_assignment_incident_id")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_assignment_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
    )
    op.create_index("ix_assignment_incident", "assignment", ["incident_id"], unique=False)
    op.create_index(
        "ix_assignment_team_live",
        "assignment",
        ["team_id"],
        unique=False,
        postgresql_where=sa.text("state in ('sent', 'picked_up', 'on_site')"),
    )
    op.create_index(
        "uq_assignment_live_lead",
        "assignment",
        ["incident_id"],
        unique=True,
        postgresql_where=sa.text("role = 'lead' and state in ('sent', 'picked_up', 'on_site')"),
    )
    op.create_table(
        "attachment",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident_id", "event_seq"],
            ["event.incident_id", "event.seq"],
            name=op.f("fk_attachment_incident_id_event_seq"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachment")),
        sa.UniqueConstraint(
            "incident_id", "event_seq", "sha256", name=op.f("uq_attachment_incident_id_event_seq_sha256")
        ),
    )
    op.create_table(
        "duty",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("themes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'professional') = (cardinality(themes) = 1)",
            name=op.f("ck_duty_professional_has_one_theme"),
        ),
        sa.CheckConstraint(
            "kind in ('full_time', 'part_time', 'professional', '')", name=op.f("ck_duty_kind")
        ),
        sa.CheckConstraint(
            "role in ('grid_head', 'grid_worker', 'liaison', 'dispatcher', 'duty_leader', 'team_member', 'team_leader', 'leader')",
            name=op.f("ck_duty_role"),
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_duty_area_code")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_duty_person_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_duty_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duty")),
    )
    op.create_index("ix_duty_area_role", "duty", ["area_code", "role"], unique=False)
    op.create_index(op.f("ix_duty_person_id"), "duty", ["person_id"], unique=False)
    op.create_index(op.f("ix_duty_team_id"), "duty", ["team_id"], unique=False)
    op.execute(APPEND_ONLY)
    op.execute(
        "create trigger append_only before update or delete on event for each row execute function append_only()"
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("wartime")
    op.execute("drop sequence incident_block")
    op.execute("drop sequence assignment_block")
    op.drop_index(op.f("ix_duty_team_id"), table_name="duty")
    op.drop_index(op.f("ix_duty_person_id"), table_name="duty")
    op.drop_index("ix_duty_area_role", table_name="duty")
    op.drop_table("duty")
    op.drop_table("attachment")
    op.drop_index(
        "uq_assignment_live_lead",
        table_name="assignment",
        postgresql_where=sa.text("role = 'lead' and state in ('sent', 'picked_up', 'on_site')"),
    )
    op.drop_index(
        "ix_assignment_team_live",
        table_name="assignment",
        postgresql_where=sa.text("state in ('sent', 'picked_up', 'on_site')"),
    )
    op.drop_index("ix_assignment_incident", table_name="assignment")
    op.drop_table("assignment")
    op.drop_table("account")
    op.drop_index("ix_team_trade_area", table_name="team")
    op.drop_index(op.f("ix_team_organisation_id"), table_name="team")
    op.drop_table("team")
    op.drop_table("segment")
    op.drop_index(op.f("ix_person_organisation_id"), table_name="person")
    op.drop_table("person")
    op.drop_index("ix_event_tx", table_name="event")
    op.drop_table("event")
    op.drop_table("wall_key")
    op.drop_index(op.f("ix_organisation_area_code"), table_name="organisation")
    op.drop_table("organisation")
    op.drop_index("ix_incident_reported", table_name="incident")
    op.drop_index("ix_incident_overdue", table_name="incident")
    op.drop_index("ix_incident_place", table_name="incident", postgresql_where=sa.text("place is not null"))
    op.drop_index("ix_incident_open", table_name="incident", postgresql_where=sa.text("ended_at is null"))
    op.drop_index(
        "ix_incident_ended", table_name="incident", postgresql_where=sa.text("ended_at is not null")
    )
    op.drop_index("ix_incident_due", table_name="incident", postgresql_where=sa.text("due_at is not null"))
    op.drop_table("incident")
    op.drop_table("area_shape")
    op.drop_table("receipt")
    op.drop_table("policy_version")
    op.drop_index("ix_category_theme", table_name="category")
    op.drop_table("category")
    op.drop_index(op.f("ix_area_parent"), table_name="area")
    op.drop_table("area")
    op.drop_table("api_key")
    op.execute("drop function append_only")

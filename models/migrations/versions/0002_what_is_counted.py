"""Add what is counted: the hourly roll-up, assessments that freeze, corrections, mismatches, figures by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


# A frozen month stays as it was when people were told of it; what an appeal changes later is a correction.
FROZEN = """
create function frozen_stays() returns trigger language plpgsql as $$
declare
    one date := case tg_op when 'INSERT' then new.month else old.month end;
begin
    if exists (select from assessment_month where month = one and state = 'frozen') then
        raise exception 'the assessment of % is frozen: % on % refused', to_char(one, 'YYYY-MM'), tg_op, tg_table_name;
    end if;
    return case tg_op when 'DELETE' then old else new end;
end $$
"""
CORRECTIONS_STAY = """
create function corrections_stay() returns trigger language plpgsql as $$
begin
    raise exception 'corrections are append-only: % of correction % refused', tg_op, old.id;
end $$
"""


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "follower",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_follower")),
    )
    op.create_table(
        "hourly",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.Column("theme", sa.Text(collation="C"), nullable=False),
        sa.Column("reported", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("accepted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("dispatched", sa.Integer(), server_default="0", nullable=False),
        sa.Column("returned", sa.Integer(), server_default="0", nullable=False),
        sa.Column("disposed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("disposed_timed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("disposed_on_time", sa.Integer(), server_default="0", nullable=False),
        sa.Column("overdue", sa.Integer(), server_default="0", nullable=False),
        sa.Column("closed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("closed_timed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("closed_on_time", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reworked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("extended", sa.Integer(), server_default="0", nullable=False),
        sa.Column("whistles", sa.Integer(), server_default="0", nullable=False),
        sa.Column("answered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("on_site", sa.Integer(), server_default="0", nullable=False),
        sa.Column("disputes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("settled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("in_grid", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rated", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rating_sum", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("hour", "area_code", "theme", name=op.f("pk_hourly")),
    )
    op.create_index("ix_hourly_area", "hourly", ["area_code", "hour"], unique=False)
    op.create_table(
        "mismatch",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("stored", sa.Text(), nullable=False),
        sa.Column("recomputed", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mismatch")),
    )
    op.create_index(
        "uq_mismatch_open",
        "mismatch",
        ["what", "subject"],
        unique=True,
        postgresql_where=sa.text("gone_at is null"),
    )
    op.create_table(
        "assessment_month",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("horizon", sa.BigInteger(), nullable=False),
        sa.Column("incidents", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state in ('provisional', 'frozen')", name=op.f("ck_assessment_month_state")),
        sa.ForeignKeyConstraint(
            ["policy_version"], ["policy_version.version"], name=op.f("fk_assessment_month_policy_version")
        ),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_assessment_month")),
    )
    op.create_table(
        "kpi",
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("value", sa.Numeric(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_kpi_area_code")),
        sa.PrimaryKeyConstraint("metric", "area_code", "period", name=op.f("pk_kpi")),
    )
    op.create_table(
        "assessment",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("band", sa.Text(), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column("parts", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["month"], ["assessment_month.month"], name=op.f("fk_assessment_month")),
        sa.PrimaryKeyConstraint("month", "kind", "subject", "card", name=op.f("pk_assessment")),
    )
    op.create_index("ix_assessment_subject", "assessment", ["kind", "subject", "month"], unique=False)
    op.create_table(
        "correction",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("score_before", sa.Text(), nullable=False),
        sa.Column("score_after", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_correction_incident_id")),
        sa.ForeignKeyConstraint(["month"], ["assessment_month.month"], name=op.f("fk_correction_month")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
        sa.UniqueConstraint(
            "month",
            "kind",
            "subject",
            "card",
            "incident_id",
            "event_seq",
            name=op.f("uq_correction_month_kind_subject_card_incident_id_event_seq"),
        ),
    )
    op.execute(FROZEN)
    op.execute(
        "create trigger frozen_stays before insert or update or delete on assessment"
        " for each row execute function frozen_stays()"
    )
    op.execute(
        "create trigger frozen_stays before update or delete on assessment_month"
        " for each row execute function frozen_stays()"
    )
    op.execute(CORRECTIONS_STAY)
    op.execute(
        "create trigger append_only before update or delete on correction"
        " for each row execute function corrections_stay()"
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("correction")
    op.drop_index("ix_assessment_subject", table_name="assessment")
    op.drop_table("assessment")
    op.drop_table("kpi")
    op.drop_table("assessment_month")
    op.drop_index("uq_mismatch_open", table_name="mismatch", postgresql_where=sa.text("gone_at is null"))
    op.drop_table("mismatch")
    op.drop_index("ix_hourly_area", table_name="hourly")
    op.drop_table("hourly")
    op.drop_table("follower")
    op.execute("drop function corrections_stay")
    op.execute("drop function frozen_stays")

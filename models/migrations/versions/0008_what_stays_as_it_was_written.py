"""Guard what was written against being emptied as well, and keep wartime as it was declared, with who ended it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Row triggers do not see a truncation.
NOT_EMPTIED = """
create function not_emptied() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, tg_op;
end $$
"""
# Of a declaration only its end may be written, once.
WARTIME_STAYS = """
create function wartime_stays() returns trigger language plpgsql as $$
declare
    ending text[] := '{ended_at,ended_by,end_reason}';
begin
    if tg_op = 'UPDATE' and old.ended_at is null and new.ended_at is not null
        and to_jsonb(new) - ending = to_jsonb(old) - ending then
        return new;
    end if;
    raise exception 'wartime is append-only: % of declaration % refused', tg_op, old.id;
end $$
"""
GUARDED = ("event", "correction", "wartime")


def upgrade() -> None:
    """Apply this step."""
    op.add_column("wartime", sa.Column("ended_by", sa.Text()))
    op.add_column("wartime", sa.Column("end_reason", sa.Text()))
    # One that was declared before this step has no name to its end.
    op.execute("update wartime set ended_by = 'system', end_reason = '' where ended_at is not null")
    op.create_check_constraint(
        op.f("ck_wartime_ended_by_somebody"),
        "wartime",
        "(ended_at is null) = (ended_by is null) and (ended_at is null) = (end_reason is null)",
    )
    op.drop_index("ix_wartime_open", table_name="wartime")
    op.create_index(
        "uq_wartime_open", "wartime", ["area_code"], unique=True, postgresql_where=sa.text("ended_at is null")
    )
    op.execute(WARTIME_STAYS)
    op.execute(
        "create trigger append_only before update or delete on wartime for each row execute function wartime_stays()"
    )
    op.execute(NOT_EMPTIED)
    for table in GUARDED:
        op.execute(
            f"create trigger not_emptied before truncate on {table}"
            " for each statement execute function not_emptied()"
        )


def downgrade() -> None:
    """Take this step back."""
    for table in GUARDED:
        op.execute(f"drop trigger not_emptied on {table}")
    op.execute("drop function not_emptied")
    op.execute("drop trigger append_only on wartime")
    op.execute("drop function wartime_stays")
    op.drop_index("uq_wartime_open", table_name="wartime")
    op.create_index("ix_wartime_open", "wartime", ["area_code"], postgresql_where=sa.text("ended_at is null"))
    op.drop_constraint(op.f("ck_wartime_ended_by_somebody"), "wartime")
    op.drop_column("wartime", "end_reason")
    op.drop_column("wartime", "ended_by")

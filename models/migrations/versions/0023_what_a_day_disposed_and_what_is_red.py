"""Find what a day disposed of, what is red and what a past day saw by indexes that know all that is asked.

A case's area, type and verdict now stand beside the time of its disposal, of those that had a limit. Those whose limit
was noted as passed have an index in the order of the list. What was open on a past day is found by when it was
reported and when it ended, in one index each for the open and the ended.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLE = "incident"
OPEN, ENDED, DISPOSED, RED = (f"ix_incident_{name}" for name in ("open", "ended", "disposed", "red"))
IS_OPEN, HAS_ENDED = sa.text("ended_at is null"), sa.text("ended_at is not null")


def upgrade() -> None:
    """Bring the schema one step forward."""
    for name in (OPEN, ENDED, DISPOSED):
        op.drop_index(name, table_name=TABLE)
    op.create_index(
        OPEN,
        TABLE,
        ["area_code", "reported_at"],
        postgresql_include=["id", "state"],
        postgresql_where=IS_OPEN,
    )
    op.create_index(ENDED, TABLE, ["ended_at", "reported_at"], postgresql_where=HAS_ENDED)
    op.create_index(
        DISPOSED,
        TABLE,
        ["disposed_at"],
        postgresql_include=["area_code", "category", "disposed_on_time"],
        postgresql_where=sa.text("disposed_on_time is not null"),
    )
    op.create_index(RED, TABLE, ["reported_at", "id"], postgresql_where=sa.text("overdue_since is not null"))


def downgrade() -> None:
    """Take the step back."""
    for name in (RED, DISPOSED, ENDED, OPEN):
        op.drop_index(name, table_name=TABLE)
    op.create_index(OPEN, TABLE, ["area_code"], postgresql_where=IS_OPEN)
    op.create_index(ENDED, TABLE, ["ended_at"], postgresql_where=HAS_ENDED)
    op.create_index(DISPOSED, TABLE, ["disposed_at"], postgresql_where=sa.text("disposed_at is not null"))

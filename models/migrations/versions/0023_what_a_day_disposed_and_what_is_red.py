"""Answer from the index alone what was disposed of since an instant, and list red cases in the order of their reports.

A case's area, type and verdict now stand beside the time of its disposal, of those that had a limit. Those whose limit
was noted as passed have an index in the order of the list: the first page of them passes over no other open case.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0021"
branch_labels = None
depends_on = None

DISPOSED, RED, TABLE = "ix_incident_disposed", "ix_incident_red", "incident"


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.drop_index(DISPOSED, table_name=TABLE)
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
    op.drop_index(RED, table_name=TABLE)
    op.drop_index(DISPOSED, table_name=TABLE)
    op.create_index(DISPOSED, TABLE, ["disposed_at"], postgresql_where=sa.text("disposed_at is not null"))

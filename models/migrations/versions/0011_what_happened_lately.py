"""Find by an index what was disposed of, what ended and what was sent lately: such reads must not grow with the past."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.create_index(
        "ix_incident_disposed",
        "incident",
        ["disposed_at"],
        postgresql_where=sa.text("disposed_at is not null"),
    )
    op.create_index(
        "ix_assignment_ended", "assignment", ["ended_at"], postgresql_where=sa.text("ended_at is not null")
    )
    op.create_index("ix_assignment_sent", "assignment", ["sent_at"], postgresql_using="brin")


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_assignment_sent", table_name="assignment")
    op.drop_index("ix_assignment_ended", table_name="assignment")
    op.drop_index("ix_incident_disposed", table_name="incident")

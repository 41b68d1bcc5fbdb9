"""Find events by their time: a block-range index, since they are written in the order in which they happen."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.create_index("ix_event_at", "event", ["at"], postgresql_using="brin")


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_event_at", table_name="event")

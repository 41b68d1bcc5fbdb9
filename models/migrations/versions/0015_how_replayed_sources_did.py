"""Keep how each replayed source did: its page must not look through every incident."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.create_table(
        "replayed",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("on_time", sa.Integer(), nullable=False),
        sa.Column("with_target", sa.Integer(), nullable=False),
        sa.Column("without_target", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_replayed")),
    )


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("replayed")

"""Keep how cases of each type fared with each trade, by the day of sending: an offer must not count the past."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.create_table(
        "experience",
        sa.Column("category", sa.Text(collation="C"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("trade", sa.Text(collation="C"), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("returned", sa.Integer(), nullable=False),
        sa.Column("settled", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("category", "day", "trade", name=op.f("pk_experience")),
    )


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("experience")

"""Add the daily counts of what became of each day's reports, for every area from city to village."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COUNTS = (
    "reported",
    "rejected",
    "merged",
    "accepted",
    "dispatched",
    "picked_up",
    "arrived",
    "disposed",
    "verified",
    "closed",
    "due",
    "on_time",
    "overdue",
    "pending",
    "open",
    "close_due",
    "close_on_time",
    "whistled",
    "whistle_due",
    "on_site",
    "disputes",
    "settled",
    "reworked",
    "in_grid",
    "rated_1",
    "rated_2",
    "rated_3",
    "rated_4",
    "rated_5",
)


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.create_table(
        "daily",
        sa.Column("area_code", sa.Text(collation="C"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("theme", sa.Text(collation="C"), nullable=False),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint("area_code", "day", "theme", name=op.f("pk_daily")),
    )
    # Days are counted again one at a time, whatever the area.
    op.create_index("ix_daily_day", "daily", ["day"], unique=False)


def downgrade() -> None:
    """Take the step back."""
    op.drop_index("ix_daily_day", table_name="daily")
    op.drop_table("daily")

"""Take wrong passwords in a row from accounts: they are counted by login, whether there is such an account or not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.drop_column("account", "locked_until")
    op.drop_column("account", "failures")


def downgrade() -> None:
    """Take the step back."""
    op.add_column("account", sa.Column("failures", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("account", sa.Column("locked_until", sa.DateTime(timezone=True)))

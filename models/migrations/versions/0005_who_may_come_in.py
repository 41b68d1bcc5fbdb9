"""Add sessions, and to accounts what signing in needs: a shown name, failures in a row, a lock, a demo mark."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.add_column("account", sa.Column("name", sa.Text(), server_default="", nullable=False))
    op.add_column("account", sa.Column("failures", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("account", sa.Column("locked_until", sa.DateTime(timezone=True)))
    op.add_column("account", sa.Column("demo", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("account", sa.Column("subject", sa.Text()))
    op.create_index("uq_account_subject", "account", ["subject"], unique=True)
    op.create_table(
        "session",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_session_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_session")),
    )
    op.create_index("ix_session_account", "session", ["account_id"])
    op.create_index("ix_session_seen", "session", ["seen_at"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("session")
    op.drop_index("uq_account_subject", table_name="account")
    for column in ("subject", "demo", "locked_until", "failures", "name"):
        op.drop_column("account", column)

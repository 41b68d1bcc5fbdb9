"""Add photos, the incidents that carry them, and whose report is whose."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.create_table(
        "photo",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("name ~ '^[0-9a-f]{64}$'", name=op.f("ck_photo_hash")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_photo")),
    )
    op.create_index("ix_photo_uploaded", "photo", ["uploaded_at"])
    op.create_table(
        "photo_owner",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name"], ["photo.name"], name=op.f("fk_photo_owner_name"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_photo_owner_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", "account_id", name=op.f("pk_photo_owner")),
    )
    op.create_table(
        "photo_use",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["name"], ["photo.name"], name=op.f("fk_photo_use_name"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("name", "number", name=op.f("pk_photo_use")),
    )
    op.create_index("ix_photo_use_number", "photo_use", ["number"])
    op.create_table(
        "own_report",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_own_report_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_own_report")),
    )
    op.create_index("ix_own_report_account", "own_report", ["account_id", "sent_at"])


def downgrade() -> None:
    """Take this step back."""
    for table in ("own_report", "photo_use", "photo_owner", "photo"):
        op.drop_table(table)

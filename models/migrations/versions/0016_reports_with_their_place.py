"""Keep the place beside the time of reporting: which places reported most in a period is then in the index alone."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

NAME, TABLE, COLUMN = "ix_incident_reported", "incident", "reported_at"


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, [COLUMN], unique=False, postgresql_include=["area_code", "place"])


def downgrade() -> None:
    """Take the step back."""
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, [COLUMN], unique=False, postgresql_include=["area_code"])

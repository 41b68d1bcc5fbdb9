"""Read lists in the order of their index, and days from their key alone.

Lists go by the time of reporting and then by id, which now stand in one index: rows of one instant, as a storm or a
day's import brings them by the thousand, need no sorting. What a year's course and a month's ranking ask of a day is
in its key: their rows, scattered over all the days that wrote them, need not be visited.
"""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

REPORTED = "ix_incident_reported"
KEY = (
    "alter table daily drop constraint pk_daily, add constraint pk_daily primary key (area_code, day, theme)"
)


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.drop_index(REPORTED, table_name="incident")
    op.create_index(REPORTED, "incident", ["reported_at", "id"], postgresql_include=["area_code", "place"])
    op.execute(f"{KEY} include (reported, due, on_time, overdue)")


def downgrade() -> None:
    """Take the step back."""
    op.execute(KEY)
    op.drop_index(REPORTED, table_name="incident")
    op.create_index(REPORTED, "incident", ["reported_at"], postgresql_include=["area_code", "place"])

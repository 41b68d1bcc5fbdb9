"""Let what tells people keep its place in the log beside all others that follow it.

Only the row moves: what was followed before is not followed again.
"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.execute("set local lock_timeout = '10s'")
    op.execute(
        "insert into follower (name, position, at) select 'notices', tx, at from told where name = 'events'"
    )
    op.execute("delete from told where name = 'events'")


def downgrade() -> None:
    """Take this step back."""
    op.execute(
        "insert into told (name, tx, at) select 'events', position, at from follower where name = 'notices'"
    )
    op.execute("delete from follower where name = 'notices'")

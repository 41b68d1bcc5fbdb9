"""Name beside the nearest limit the clocks it is the limit of, so that finding what is due reads no clocks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The clocks of open incidents, and of their assignments in hand or under review, as the rows hold them.
NAMED = """
update incident i set due_clocks = named.clocks from (
    select id, string_agg(name, ' ' order by name collate "C") as clocks from (
        select n.id, c.kind as name, n.due_at, c.clock
        from incident n, jsonb_each(n.clocks) as c(kind, clock) where n.due_at is not null
        union all
        select n.id, c.kind || '/' || a.id, n.due_at, c.clock
        from incident n join assignment a on a.incident_id = n.id
            and a.state in ('review', 'sent', 'picked_up', 'on_site'), jsonb_each(a.clocks) as c(kind, clock)
        where n.due_at is not null
    ) every where clock ->> 'state' = 'running' and (clock ->> 'due')::timestamptz = due_at group by id
) named where named.id = i.id
"""


def upgrade() -> None:
    """Apply this step."""
    op.add_column("incident", sa.Column("due_clocks", sa.Text(), nullable=True))
    op.execute(NAMED)
    # A limit that no clock bears out is none: the sweep would find it for ever and could note nothing.
    op.execute("update incident set due_at = null where due_at is not null and due_clocks is null")
    op.create_check_constraint(op.f("ck_incident_due"), "incident", "(due_at is null) = (due_clocks is null)")


def downgrade() -> None:
    """Take this step back."""
    op.drop_constraint(op.f("ck_incident_due"), "incident", type_="check")
    op.drop_column("incident", "due_clocks")

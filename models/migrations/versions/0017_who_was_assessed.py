"""Keep who a month's subjects were: a department renamed or joined later changes nothing that was frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Months that are frozen already know no better than how things stand now.
NOW = """
insert into assessment_subject (month, kind, subject, name, name_en, parent)
select distinct a.month, a.kind, a.subject, coalesce(t.name, o.name, w.name), coalesce(t.name_en, o.name_en, w.name_en, ''),
  coalesce(t.organisation_id::text, '')
 from assessment a
 left join team t on a.kind = 'team' and t.id::text = a.subject
 left join organisation o on a.kind = 'department' and o.id::text = a.subject
 left join area w on a.kind in ('village', 'town', 'county', 'city') and w.code = a.subject
 where coalesce(t.name, o.name, w.name) is not null
"""


def upgrade() -> None:
    """Bring the schema one step forward."""
    op.create_table(
        "assessment_subject",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["month"], ["assessment_month.month"], name=op.f("fk_assessment_subject_month_assessment_month")
        ),
        sa.PrimaryKeyConstraint("month", "kind", "subject", name=op.f("pk_assessment_subject")),
    )
    op.execute(NOW)
    op.execute(
        "create trigger frozen_stays before insert or update or delete on assessment_subject"
        " for each row execute function frozen_stays()"
    )


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("assessment_subject")

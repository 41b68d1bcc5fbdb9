"""The assessment as it is shipped, and a plain working week in which what it counts can be worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, time

from dispatch.rules.measures.assessment import parse
from dispatch.rules.time.calendar import Calendar
from models.cities.loading import POLICY_DIR

TEXT = (POLICY_DIR / "assessment.toml").read_text(encoding="utf-8")
RULES = parse(1, TEXT)
CALENDAR = Calendar("Asia/Shanghai", ((time(8), time(12)), (time(14), time(18))), frozenset(), frozenset())
# A Monday morning in Yunfu, 09:00, an ordinary working week.
MONDAY = datetime(2026, 3, 9, 1, tzinfo=UTC)

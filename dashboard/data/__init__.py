"""The one door through which screens reach what is remembered: plain rows in, plain dataclasses out."""

from dashboard.data.city import CityReads, digest, reads
from dashboard.data.directory import Area, Directory, Team, Type
from dashboard.data.listing import PAGE_ROWS, Detail, Filter, ListRow, SegmentRow
from dashboard.data.live_rows import (
    CHANGES_LIMIT,
    Changes,
    InForce,
    LiveRow,
    Part,
    PastRow,
    Raised,
    Snapshot,
    Whistled,
)
from dashboard.data.people import (
    change_password,
    demo,
    sign_in,
    sign_in_as,
    sign_out,
    sign_out_everywhere,
    viewer_of,
)
from dashboard.data.submits import visible
from dispatch.accounts.sessions import NotIn, Viewer

__all__ = [
    "CHANGES_LIMIT",
    "PAGE_ROWS",
    "Area",
    "Changes",
    "CityReads",
    "Detail",
    "Directory",
    "Filter",
    "InForce",
    "ListRow",
    "LiveRow",
    "NotIn",
    "Part",
    "PastRow",
    "Raised",
    "SegmentRow",
    "Snapshot",
    "Team",
    "Type",
    "Viewer",
    "Whistled",
    "change_password",
    "demo",
    "digest",
    "reads",
    "sign_in",
    "sign_in_as",
    "sign_out",
    "sign_out_everywhere",
    "viewer_of",
    "visible",
]  # fmt: skip

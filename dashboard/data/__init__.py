"""The one door through which screens reach what is remembered: plain rows in, plain dataclasses out."""

from dashboard.data.city import (
    CHANGES_LIMIT,
    PAGE_ROWS,
    Area,
    Changes,
    Detail,
    Directory,
    Filter,
    ListRow,
    LiveRow,
    Part,
    PastRow,
    Raised,
    Reads,
    SegmentRow,
    Snapshot,
    Team,
    Type,
    digest,
    reads,
)

__all__ = [
    "CHANGES_LIMIT", "PAGE_ROWS", "Area", "Changes", "Detail", "Directory", "Filter", "ListRow", "LiveRow", "Part",
    "PastRow", "Raised", "Reads", "SegmentRow", "Snapshot", "Team", "Type", "digest", "reads",
]  # fmt: skip

"""One picture of the city in memory for each web process, and its push: folded once, encoded once, sent to all.

`picture` folds rows, `tiles` tells what a wall shows of an area, `push` keeps the picture fresh and sends it.
"""

from dashboard.live.picture import (
    CLOSED,
    DISPOSED,
    ESCALATED,
    ON_TIME,
    OPEN,
    RED,
    REPORTED,
    SUPERVISED,
    WHISTLES,
    WHISTLES_OVER,
    YELLOW,
    Picture,
    light_of,
)  # fmt: skip
from dashboard.live.push import Client, Live
from dashboard.live.tiles import TILES, Minute, tiles

__all__ = [
    "CLOSED", "DISPOSED", "ESCALATED", "ON_TIME", "OPEN", "RED", "REPORTED", "SUPERVISED", "TILES", "WHISTLES",
    "WHISTLES_OVER", "YELLOW", "Client", "Live", "Minute", "Picture", "light_of", "tiles",
]  # fmt: skip

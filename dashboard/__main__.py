"""Serves the dashboard: `python -m dashboard`, on `PORT` (8501) of `HOST` (0.0.0.0)."""

from __future__ import annotations

import logging
import os
import sys

import uvicorn

from dashboard.web import create_app

DRAIN_S = 3  # for open requests at the end; walls come back by themselves


class _WithoutQuery(logging.Filter):
    """Keep keys out of the access log: a line says which path was asked for, never with which query."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut the query off the path of one line."""
        if isinstance(record.args, tuple) and len(record.args) > 2 and isinstance(record.args[2], str):
            args = list(record.args)
            args[2] = record.args[2].partition("?")[0]
            record.args = tuple(args)
        return True


def main() -> int:
    """Serve until stopped; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.access").addFilter(_WithoutQuery())
    uvicorn.run(
        create_app(),
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ.get("PORT", "8501")),
        loop="uvloop",
        http="httptools",
        timeout_graceful_shutdown=DRAIN_S,
        backlog=4096,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Serves the dashboard: `python -m dashboard`, on `PORT` (8501) of `HOST` (0.0.0.0)."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from urllib.parse import quote

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.web import create_app

DRAIN_S = 3  # for open requests at the end; walls come back by themselves
SLOW_S = 1.0  # until an answer begins; a wall's stream goes on for days
PROBES = frozenset({"/healthz"})  # asked all day long, and whoever asks reads the answer

log = logging.getLogger("dashboard")


class Noted:
    """Write a line for each answer that is an error or late, and for no other.

    A line says which path was asked for, never with which query: keys stand there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and look at how each answer begins."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                spent = time.perf_counter() - begun
                if message["status"] >= 400 or spent > SLOW_S:
                    log.warning(
                        "%s %s: %d after %.1f s",
                        scope["method"],
                        quote(scope["path"]),
                        message["status"],
                        spent,
                    )
            await send(message)

        await self._app(scope, receive, noted)


def main() -> int:
    """Serve until stopped; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboard",
        description="Serve the pages, the walls and the HTTP door. PORT (8501) and HOST (0.0.0.0) say where;"
        " DATA_DIR, or DATABASE_URL and REDIS_URL, name the servers. FORWARDED_ALLOW_IPS names the proxies whose"
        " X-Forwarded-For and X-Forwarded-Proto are believed; none, unless it is set.",
    )
    parser.parse_args()
    port = os.environ.get("PORT") or "8501"
    if not port.isdecimal() or not 1 <= int(port) <= 65_535:
        print(f"PORT must be a number from 1 to 65535, not {port!r}", file=sys.stderr)
        return 1
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    uvicorn.run(
        Noted(create_app()),
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=DRAIN_S,
        backlog=4096,
        # Anybody may write these headers: they are read only from a proxy that is named.
        proxy_headers=bool(proxies := os.environ.get("FORWARDED_ALLOW_IPS", "")),
        forwarded_allow_ips=proxies,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Who stands behind a request: the session cookie, and proof that a change comes from our own page."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from dashboard.data import Reads, Viewer, viewer_of
from dispatch.accounts import ABSOLUTE

COOKIE = "gridwhistle"
# A change that a script of ours sends carries this header: a form of another site cannot.
OWN = "x-gridwhistle"


async def viewer(door: Reads, request: Request) -> Viewer | None:
    """Return who is signed in on the browser that sent the request, or None."""
    token = request.cookies.get(COOKIE, "")
    return await asyncio.to_thread(viewer_of, door, token) if token else None


def from_our_page(request: Request) -> bool:
    """Tell whether a change was sent by a page of ours, not by another site through the person's browser.

    A browser names the site that a request comes from (`Sec-Fetch-Site`, or `Origin` for older ones); a client that
    names neither is no browser, and holds no cookie that it was not given on purpose.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def keep(response: Response, token: str, request: Request) -> None:
    """Put a session's token into the cookie: out of reach of scripts, and of other sites' forms."""
    response.set_cookie(
        COOKIE, token, max_age=int(ABSOLUTE.total_seconds()), path="/", httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def drop(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")

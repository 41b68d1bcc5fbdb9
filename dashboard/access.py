"""Who stands behind a request: the session cookie, and proof that a change comes from our own page."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from dashboard.data import CityReads, Viewer, viewer_of
from dispatch.accounts.sessions import ABSOLUTE

COOKIE = "gridwhistle"
# Says to the page that a phone keeps that somebody signed in opened it; a script of the phone's page writes it.
PHONE_COOKIE = "gridwhistle_phone"
# A change that a script of ours sends carries this header: a form of another site cannot.
OWN = "x-gridwhistle"
PROVIDER_COOKIE = "_streamlit_user"  # Streamlit's own, after a sign-in through an identity provider
# Sign-ins that fail, from one address: so many at once, then one each so many seconds.
TRIES, TRY_EVERY_S = 30, 30.0
ADDRESSES_KEPT = 10_000


class Throttle:
    """Count what fails from each address, in bounded memory: one address cannot try ten thousand passwords.

    Whole offices stand behind one address, so that a sign-in that succeeds costs nothing. An IPv6 address counts with
    its /64, which is one household's. Where more addresses fail than are kept, the longest unseen is forgotten.
    """

    def __init__(self, tries: int = TRIES, every_s: float = TRY_EVERY_S, kept: int = ADDRESSES_KEPT) -> None:
        self._tries, self._every_s, self._kept = tries, every_s, kept
        self._free_at: OrderedDict[str, float] = OrderedDict()  # when all tries will be free again

    def wait_s(self, address: str, now: float | None = None) -> float:
        """Return how many seconds an address must wait before its next try; 0 where it need not."""
        now = time.monotonic() if now is None else now
        free_at = self._free_at.get(_network(address), now)
        return max(0.0, free_at - now - (self._tries - 1) * self._every_s)

    def failed(self, address: str, now: float | None = None) -> None:
        """Note that a try failed."""
        now = time.monotonic() if now is None else now
        key = _network(address)
        self._free_at[key] = max(self._free_at.pop(key, now), now) + self._every_s
        while len(self._free_at) > self._kept:
            self._free_at.popitem(last=False)


def address_of(request: Request) -> str:
    """Return the address that a request came from: the client's, or where a proxy is trusted the one it names."""
    return request.client.host if request.client is not None else ""


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


async def viewer(city: CityReads, request: Request) -> Viewer | None:
    """Return who is signed in on the browser that sent the request, or None."""
    token = request.cookies.get(COOKIE, "")
    return await asyncio.to_thread(viewer_of, city, token) if token else None


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
    response.delete_cookie(PHONE_COOKIE, path="/", samesite="lax")  # the phone kept another person's page


def drop(response: Response, request: Request) -> None:
    """Take the cookie back, and with it the identity provider's, where one brought the person in."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    response.delete_cookie(PHONE_COOKIE, path="/", samesite="lax")
    for name in request.cookies:
        if name.startswith(PROVIDER_COOKIE):
            response.delete_cookie(name, path="/")

"""The door for people: a page to sign in on, and the addresses that begin and end a session or change a password."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from math import ceil
from urllib.parse import parse_qs, urlencode

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.access import COOKIE, Throttle, address_of, drop, from_our_page, keep, viewer
from dashboard.data import (
    CityReads,
    NotIn,
    change_password,
    demo,
    sign_in,
    sign_out,
    sign_out_everywhere,
    viewer_of,
)
from dashboard.markup import Markup, html_response, joined, markup, raw
from dashboard.routes import provider
from dashboard.wording.catalogue import ROLES, chosen, other, translator
from dashboard.wording.names import zone_of
from dispatch.accounts.sessions import DEMO_PASSWORD

BODY_LIMIT_BYTES = 8_192
NEXT_LIMIT_CHARS = 2_000
AT_ONCE = 4  # passwords checked at a time: each takes 64 MiB and a core
log = logging.getLogger("dashboard")
DEMO_LOGINS = (
    "dispatcher", "duty", "team", "worker", "head", "village", "resident", "county", "city", "leader", "auditor",
    "admin",
)  # fmt: skip
# Logins of the demo whose name is not the role itself.
_ROLE_OF = {"worker": "grid_worker", "head": "grid_head", "duty": "duty_leader"}
_STYLE = (
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f3f5f6;color:#14191e;"
    "font:16px/1.5 'Source Han Sans SC','Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif}"
    "main{background:#fff;border:1px solid #d9dfe4;border-radius:8px;padding:32px;"
    "box-sizing:border-box;width:min(424px,calc(100vw - 32px));margin:24px 16px}"
    "h1{font-size:22px;margin:0 0 4px}p{margin:0 0 16px;color:#44515c;font-size:14px}"
    "label{display:block;font-size:14px;margin:12px 0 4px}input{width:100%;box-sizing:border-box;height:44px;"
    "font:inherit;padding:0 12px;border:1px solid #b3bec7;border-radius:6px}"
    "a{color:#1b4f8f}"
    "button{height:44px;font:inherit;padding:0 16px;border-radius:6px;border:1px solid #b3bec7;background:#fff;"
    "cursor:pointer}button.go{width:100%;margin-top:20px;background:#1b4f8f;border-color:#1b4f8f;color:#fff;"
    "font-weight:700}:focus-visible{outline:2px solid #1b4f8f;outline-offset:2px}"
    ".bad{background:#fdf0ee;color:#c4291f;padding:8px 12px;border-radius:6px}"
    ".demo{border-top:1px solid #d9dfe4;margin-top:24px;padding-top:16px;display:flex;flex-wrap:wrap;gap:8px}"
    ".demo p{width:100%;margin:0}.demo button{height:36px;font-size:14px;padding:0 12px}"
)


class Login:
    """Serve the sign-in page and begin and end sessions."""

    def __init__(self, city: CityReads) -> None:
        self._city = city
        self._throttle = Throttle()
        self._checking = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[Route]:
        """Return the routes, for a Starlette application."""
        return [
            Route("/login", self.page, methods=["GET"]),
            Route("/login", self.begin, methods=["POST"]),
            Route("/login/session", self.take, methods=["POST"]),
            Route("/logout", self.end, methods=["POST"]),
            Route("/password", self.change, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """Answer with the form; one who is signed in already is sent on."""
        lang = chosen(request.query_params.get("lang"))
        onward = _onward(request.query_params.get("next", ""), lang)
        try:
            if await viewer(self._city, request) is not None and request.query_params.get("as") != "other":
                return RedirectResponse(onward, 303)
        except psycopg.Error:
            return html_response(_form(lang, onward, _away(lang)), 503, _HEADERS)
        return html_response(_form(lang, onward), headers=_HEADERS)

    async def begin(self, request: Request) -> Response:
        """Begin a session for a right login and password; say plainly what is wrong otherwise."""
        lang = chosen(request.query_params.get("lang"))
        _ = translator(lang)
        if not from_our_page(request):
            return html_response(_form(lang, "/", _("This form came from another site.")), 403, _HEADERS)
        given = await _given(request)
        if given is None:
            return html_response(_form(lang, "/", _("What was sent is too large.")), 413, _HEADERS)
        onward = _onward(given.get("next", ""), lang)
        login = given.get("login", "").strip()
        address = address_of(request)
        try:
            async with self._checking:
                # Those who waited here in a crowd are looked at one after another.
                if (wait := self._throttle.wait_s(address)) > 0:
                    reason = await asyncio.to_thread(_too_many, self._city, lang, wait)
                    return html_response(_form(lang, onward, reason, login), 429, _HEADERS | _after(wait))
                answer = await asyncio.to_thread(
                    sign_in, self._city, login, given.get("password", ""), address
                )
                if isinstance(answer, NotIn):
                    self._throttle.failed(address)
                    reason = await asyncio.to_thread(_refused, self._city, lang, answer.until)
        except psycopg.Error:
            return html_response(_form(lang, onward, _away(lang), login), 503, _HEADERS)
        if isinstance(answer, NotIn):
            log.warning("a sign-in was refused: %s", answer.why)
            return html_response(_form(lang, onward, reason, login), 401, _HEADERS)
        if before := request.cookies.get(COOKIE, ""):
            await asyncio.to_thread(sign_out, self._city, before)
        response = RedirectResponse(onward, 303)
        keep(response, answer[0], request)
        return response

    async def take(self, request: Request) -> Response:
        """Put a session that was begun through the identity provider into the browser's cookie."""
        given = await _given(request) if from_our_page(request) else None
        token = (given or {}).get("token", "")
        lang = chosen(request.query_params.get("lang"))
        try:
            who = await asyncio.to_thread(viewer_of, self._city, token)
        except psycopg.Error:
            return html_response(_form(lang, "/", _away(lang)), 503, _HEADERS)
        if who is None:
            return Response(status_code=403)
        response = RedirectResponse("/", 303)
        keep(response, token, request)
        return response

    async def end(self, request: Request) -> Response:
        """End the session, or with `everywhere` in the form every session of the account."""
        if not from_our_page(request):
            return Response(status_code=403)
        given = await _given(request) or {}
        lang = chosen(given.get("lang") or request.query_params.get("lang"))
        token = request.cookies.get(COOKIE, "")
        try:
            who = await viewer(self._city, request)
            if who is not None and given.get("everywhere"):
                await asyncio.to_thread(sign_out_everywhere, self._city, who.account_id)
            elif token:
                await asyncio.to_thread(sign_out, self._city, token)
        except psycopg.Error:
            return html_response(_form(lang, "/", _away(lang)), 503, _HEADERS)
        response = RedirectResponse(f"/login?lang={lang}", 303)
        drop(response, request)
        return response

    async def change(self, request: Request) -> Response:
        """Change the password of whoever is signed in; answer 204, or JSON with the reason in their language."""
        lang = chosen(request.query_params.get("lang"))
        _ = translator(lang)
        if not from_our_page(request):
            return _said(403, _("This form came from another site."))
        given = await _given(request)
        if given is None:
            return _said(413, _("What was sent is too large."))
        address, token = address_of(request), request.cookies.get(COOKIE, "")
        try:
            who = await viewer(self._city, request)
            if who is None:
                return _said(401, _("Your session has ended. Sign in again."))
            old, new = given.get("old", ""), given.get("new", "")
            async with self._checking:
                if (wait := self._throttle.wait_s(address)) > 0:
                    return _said(429, await asyncio.to_thread(_too_many, self._city, lang, wait))
                why = await asyncio.to_thread(
                    change_password, self._city, who.account_id, old, new, token, address
                )
                if why in ("wrong", "locked"):
                    self._throttle.failed(address)
        except psycopg.Error:
            return _said(503, _away(lang))
        if why is None:
            return Response(status_code=204)
        reasons = {
            "length": _("A password has 10 to 128 characters."),
            "same": _("The new password is the present one."),
            "demo": _("Accounts of the demo keep their password."),
        }
        return _said(400, reasons.get(why, _("The present password is wrong.")))


_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'",
}


def _said(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status, {"Cache-Control": "no-store"})


def _after(wait_s: float) -> dict[str, str]:
    return {"Retry-After": str(ceil(wait_s))}


def _too_many(city: CityReads, lang: str, wait_s: float) -> str:
    at = datetime.now(zone_of(city)) + timedelta(seconds=wait_s)
    return translator(lang)("Too many attempts from this address. Try again after {at}.").format(
        at=f"{at:%H:%M:%S}"
    )


def _refused(city: CityReads, lang: str, locked_until: datetime | None) -> str:
    if locked_until is None:
        return translator(lang)("Login or password is wrong.")
    return translator(lang)("Too many wrong passwords. Try again after {at}.").format(
        at=f"{locked_until.astimezone(zone_of(city)):%H:%M:%S}"
    )


async def _given(request: Request) -> dict[str, str] | None:
    """Return the fields of a form, or None where it is larger than any form of ours."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            return None
    try:
        pairs = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        return None
    return {name: values[0] for name, values in pairs.items()}


def _onward(wish: str, lang: str) -> str:
    """Return the page to go on to: one of ours, never another site's."""
    plain = wish.isprintable() and "\\" not in wish and len(wish) <= NEXT_LIMIT_CHARS
    if plain and wish.startswith("/") and not wish.startswith(("//", "/login", "/logout")):
        return wish
    return "/" if lang == "zh" else f"/?{urlencode({'lang': lang})}"


def _form(lang: str, onward: str, problem: str = "", login: str = "") -> Markup:
    _ = translator(lang)
    hidden = markup('<input type="hidden" name="next" value="{onward}">', onward=onward)
    switched, language = other(lang)
    switch = f"/login?{urlencode({'lang': switched, 'next': onward})}"
    return markup(
        '<!doctype html><html lang="{lang}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<title>{sign_in}　{name}</title>{style}<main><h1>{name}</h1><p>{why}</p>{problem}"
        '<form method="post" action="/login?lang={lang}">{hidden}<label for="login">{login_label}</label>'
        '<input id="login" name="login" autocomplete="username" required maxlength="64" value="{login}"{first}>'
        '<label for="password">{password}</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required'
        ' maxlength="128"{second}><button class="go">{sign_in}</button></form>{provider}{demo}'
        '<p style="margin:16px 0 0"><a href="{switch}">{language}</a></p></main></html>',
        lang=lang, sign_in=_("Sign in"), name=_("Gridwhistle"), style=raw("style", _STYLE), why=_("Sign in to work."),
        problem=markup('<p class="bad" role="alert">{problem}</p>', problem=problem) if problem else "",
        hidden=hidden, login_label=_("Login"), login=login, first="" if login else " autofocus",
        password=_("Password"), second=" autofocus" if login else "", provider=_through_provider(lang),
        demo=_demo_people(lang, hidden), switch=switch, language=language,
    )  # fmt: skip


def _through_provider(lang: str) -> Markup:
    """Return the way to the identity provider, where one is configured."""
    if not provider.configured():
        return Markup("")
    label = translator(lang)("Sign in through the city's identity provider")
    return markup(
        '<p style="margin:16px 0 0"><a href="/provider?lang={lang}">{label}</a></p>', lang=lang, label=label
    )


def _demo_people(lang: str, hidden: Markup) -> Markup:
    """Return one button for each role of the demo city, where the demo is on."""
    if not demo():
        return Markup("")
    _ = translator(lang)
    buttons = joined(
        markup(
            '<form method="post" action="/login?lang={lang}">{hidden}<input type="hidden" name="login" value="{login}">'
            '<input type="hidden" name="password" value="{password}"><button>{role}</button></form>',
            lang=lang, hidden=hidden, login=login, password=DEMO_PASSWORD, role=_(ROLES[_ROLE_OF.get(login, login)]),
        )
        for login in DEMO_LOGINS
    )  # fmt: skip
    return markup(
        '<div class="demo"><p>{label}</p>{buttons}</div>', label=_("Demo city: come in as"), buttons=buttons
    )


def _away(lang: str) -> str:
    return translator(lang)("The database does not answer. Try again in a moment.")

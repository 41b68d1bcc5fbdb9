"""The page that a phone keeps for when it has no line, and the worker of the browser that opens it then."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import components
from dashboard.frame import style
from dashboard.markup import Markup, html_response, joined, markup, raw
from dashboard.wording.catalogue import LANGUAGES, translator

PAGE, WORKER = "/phone/page", "/phone/worker.js"


def routes() -> list[Route]:
    """Return the routes; both are the same for everybody, and hold nothing of anybody."""
    return [Route(PAGE, _page, methods=["GET"]), Route(WORKER, _worker, methods=["GET"])]


async def _page(request: Request) -> Response:
    body, script = page()
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return html_response(
        body,
        headers={
            "Cache-Control": "no-cache",
            "Content-Security-Policy": f"default-src 'none'; script-src 'sha256-{allowed}'; style-src 'unsafe-inline';"
            " img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; base-uri 'none'",
        },
    )


async def _worker(request: Request) -> Response:
    return Response(
        worker(),
        media_type="text/javascript",
        # Never from a cache: a new version takes the place of the old one when a page is next opened.
        headers={"Cache-Control": "no-cache", "Service-Worker-Allowed": "/"},
    )


@cache
def page() -> tuple[Markup, str]:
    """Return the page, and the script within: the component of the phone, without anything of Streamlit around it."""
    script = components.script("field/alone.js")
    whole = markup(
        '<!doctype html><html><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>{style}'
        '<body class="stApp"><div class="gw-host"></div>'
        '<main class="gwf gw-nobody" hidden><div class="bd">{nobody}</div></main>{script}</html>',
        title=translator(LANGUAGES[0])("Gridwhistle"),
        style=raw("style", "body{margin:0}" + style() + components.sheet("field/field.css")),
        nobody=joined(_nobody(lang) for lang in LANGUAGES), script=raw("script", script),
    )  # fmt: skip
    return whole, script


def _nobody(lang: str) -> Markup:
    """Return what the page says in one language where it may show nothing of anybody."""
    _ = translator(lang)
    text = _(
        "Nobody is signed in on this phone. What was written here is kept: sign in when the line is back."
    )
    return markup(
        '<p lang="{lang}"><b>{none}</b><br>{text}</p><p><a class="B o" href="/login?lang={lang}">{sign_in}</a></p>',
        lang=lang, none=_("There is no line."), text=text, sign_in=_("Sign in"),
    )  # fmt: skip


@cache
def worker() -> str:
    """Return the worker, which names the version of the page: another page is another worker."""
    version = hashlib.sha256(page()[0].encode()).hexdigest()[:12]
    file = components.COMPONENTS / "field" / "worker" / "worker.js"
    return file.read_text(encoding="utf-8").replace("@VERSION@", version)

"""Describe the HTTP door: its OpenAPI document, and the same as a page."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dashboard.markup import Markup, html_response, joined, markup
from dashboard.routes.refused import LIST_LIMIT
from dispatch.intake import messages


def _description() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the door."""
    report = messages.schema()
    schemas = report.pop("$defs", {})
    own = dict(schemas.get("ReportMessage", report))
    # The door fills both in; on the stream they must be there.
    own["required"] = [name for name in own.get("required", []) if name not in ("v", "source")]
    schemas["ReportMessage"] = own
    reference = {"$ref": "#/components/schemas/ReportMessage"}
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    schemas["Refusal"] = {
        "type": "object",
        "properties": {
            "reason": {"type": "string"},
            "zh": {"type": "string"},
            "en": {"type": "string"},
            "index": {"type": "integer"},
            "field": {"type": "string"},
        },
        "required": ["reason", "zh", "en"],
    }

    def answer(text: str, with_refusal: bool = True) -> dict[str, Any]:
        return {"description": text} | ({"content": refusal} if with_refusal else {})

    common = {"401": answer("Key missing or unknown"), "503": answer("Not available; see Retry-After")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gridwhistle intake", "version": str(messages.VERSION)},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
        "paths": {
            "/api/v1/incidents": {
                "post": {
                    "summary": "Send one report, or a list of up to 1,000: all are taken or none",
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {
                                    "oneOf": [
                                        reference,
                                        {
                                            "type": "array",
                                            "items": reference,
                                            "minItems": 1,
                                            "maxItems": LIST_LIMIT,
                                        },
                                    ]
                                }
                            }
                        },
                    },
                    "responses": {
                        "202": answer("On the stream, durably; the body holds the numbers", False),
                        "400": answer("A report is wrong: index, field and reason; none was taken"),
                        "413": answer("The body is larger than 2 MiB"),
                        "415": answer("Content-Type is not application/json"),
                        "429": answer("Too many reports with this key; see Retry-After"),
                        **common,
                    },
                }
            },
            "/api/v1/incidents/{number}": {
                "get": {
                    "summary": "Read the state and timeline of an incident of the key's source",
                    "parameters": [
                        {"name": "number", "in": "path", "required": True, "schema": {"type": "string"}},
                    ],
                    "responses": {
                        "200": answer("The incident, or why it was refused after it was received", False),
                        "202": answer("Received, not yet dispatched", False),
                        "400": answer("No number"),
                        "404": answer("No incident of this source has this number"),
                        **common,
                    },
                }
            },
            "/healthz": {
                "get": {
                    "summary": "Health of database, stream, dispatchers and jobs",
                    "security": [],
                    "responses": {"200": answer("Well", False), "503": answer("Not well", False)},
                }
            },
        },
    }


async def openapi(_: Request) -> Response:
    """Answer with the description, for machines."""
    return JSONResponse(_description())


async def page(_: Request) -> Response:
    """Answer with the description, for people."""
    rows: list[Markup] = []
    for path, verbs in _description()["paths"].items():
        for verb, what in verbs.items():
            answers = ", ".join(f"{code} {each['description']}" for code, each in what["responses"].items())
            rows.append(
                markup(
                    "<h2><code>{verb} {path}</code></h2><p>{summary}.</p><p>{answers}</p>",
                    verb=verb.upper(), path=path, summary=what["summary"], answers=answers,
                )
            )  # fmt: skip
    return html_response(
        markup(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Gridwhistle API</title>'
            "<body style='font:16px/1.5 sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem'>"
            "<h1>网格哨 Gridwhistle API</h1><p>Machine-readable: <a href='/openapi.json'>/openapi.json</a>."
            " Keys go in <code>Authorization: Bearer …</code>.</p>{rows}</body></html>",
            rows=joined(rows),
        )
    )

"""Proves what the web app's log says of requests: what went wrong or was slow, without queries, and nothing else."""

from __future__ import annotations

import logging
import time

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard import __main__ as serving


def answer(request: Request) -> Response:
    time.sleep(float(request.query_params.get("sleep", "0")))
    return Response(status_code=int(request.query_params.get("status", "200")))


@pytest.fixture
def client(caplog: pytest.LogCaptureFixture) -> TestClient:
    caplog.set_level(logging.INFO, logger="dashboard")
    return TestClient(serving.Noted(Starlette(routes=[Route("/{path:path}", answer)])))


def test_what_goes_well_and_every_probe_say_nothing(
    client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "SLOW_S", 3_600.0)
    client.get("/wall")
    client.get("/healthz?status=503")
    assert not [each for each in caplog.records if each.name == "dashboard"]


def test_errors_and_slow_answers_say_which_path_without_its_query(
    client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/live/445300?status=403&key=secret")
    client.get("/a%0Ab?status=404")
    monkeypatch.setattr(serving, "SLOW_S", 0.01)
    client.get("/wall?sleep=0.02")
    said = [each.getMessage() for each in caplog.records if each.name == "dashboard"]
    assert [line.split(" after ")[0] for line in said] == [
        "GET /live/445300: 403",
        "GET /a%0Ab: 404",
        "GET /wall: 200",
    ]

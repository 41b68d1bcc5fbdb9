"""Let people of the small city act on what is reported there, beside a real server that takes what they are told."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dispatch.desk.desk import Desk
from dispatch.intake.messages import number_of
from dispatch.rules.incident.chain import Actor, Command, Report
from tests.small_city import EAST, IN_EAST, TOWN

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)  # ten in the morning of a working Friday
MINUTE = timedelta(minutes=1)
CENTRE = Actor("dispatcher/1", "dispatcher", TOWN)
FRAUD, THEFT = "0102", "0101"  # severity 1, straight to the team; severity 3, through the dispatcher
SHUT_S = 0.01  # how often a server of ours looks whether it shall end


class Webhook:
    """A real HTTP server that takes what is posted, slowly or not at all if told so."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.delay_s = 0.0
        self.gate = threading.Event()  # closed, it takes the connection and says nothing
        self.gate.set()
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(hook.delay_s)
                hook.gate.wait(300)
                if hook.status == 200:
                    hook.got.append(json.loads(body)["message"])
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(SHUT_S,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/a-secret-token"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def rows(desk: Desk, query: str) -> list[tuple[Any, ...]]:
    return desk.ask(lambda cursor: cursor.execute(query.encode()).fetchall())


def opened(
    desk: Desk,
    serial: int,
    category: str,
    at: datetime = NOW,
    where: tuple[str, tuple[float, float]] = (EAST, IN_EAST),
) -> int:
    number = number_of("hotline", str(serial))
    area, (lon, lat) = where
    report = Report(
        number, "hotline", str(serial), category, "有人反映", f"{serial}号", area, lon, lat, "point", at
    )
    (outcome,) = desk.report([report], at)
    assert outcome.incident_id is not None
    return outcome.incident_id


def act(desk: Desk, incident: int, verb: str, actor: Actor, at: datetime, **args: Any) -> None:
    (outcome,) = desk.act([Command(verb, incident, actor, f"{verb}/{actor.id}/{at}", args)], at)
    assert outcome.status == "done", outcome.refusal and outcome.refusal.words("en")


def police(desk: Desk) -> Actor:
    (row,) = rows(desk, f"select id from team where trade = 'police' and area_code = '{TOWN}'")
    return Actor("crew", "team", TOWN, row[0])


def sent_to_police(
    desk: Desk, serial: int, at: datetime = NOW, where: tuple[str, tuple[float, float]] = (EAST, IN_EAST)
) -> int:
    incident = opened(desk, serial, THEFT, at, where)
    act(desk, incident, "accept", CENTRE, at)
    act(desk, incident, "dispatch", CENTRE, at, team_id=police(desk).team_id)
    return incident


def outbox(desk: Desk) -> list[tuple[Any, ...]]:
    return rows(desk, "select channel, state, cause from outbox order by id")

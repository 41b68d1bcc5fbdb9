"""Messages leave after the commit, once, only while they are true, and no channel waits for another."""

from __future__ import annotations

import email
import json
import logging
import re
import shutil
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import psycopg
import pytest

import jobs.notices
from dispatch.desk.desk import Desk
from dispatch.intake.messages import number_of
from dispatch.notices import inbox, sender
from dispatch.notices import outbox as notices
from dispatch.notices.addresses import addresses_of
from dispatch.notices.sender import Sender
from dispatch.rules.incident.chain import Actor, Command, Report
from dispatch.rules.policy import notices as rules
from jobs import clocks
from jobs.notices import tell
from models.cities import loading
from models.migrations import migrate
from models.servers import servers
from models.servers.database import psycopg_dsn
from tests import small_city
from tests.at_work import address_of, worked
from tests.conftest import open_folder
from tests.small_city import COUNTY, EAST, IN_EAST, IN_WEST, TOWN, WEST

pytestmark = pytest.mark.city("small")

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)  # ten in the morning of a working Friday
MINUTE = timedelta(minutes=1)
CENTRE = Actor("dispatcher/1", "dispatcher", TOWN)
FRAUD, THEFT = "0102", "0101"  # severity 1, straight to the team; severity 3, through the dispatcher
SHUT_S = 0.01  # how often a server of ours looks whether it shall end
UNLICENSED = "1008"  # severity 3, by whistle, with no arrival of its own: thirty minutes to report in


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a data folder that the servers' account can reach; nothing runs in it afterwards."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    parent = open_folder("gw-test-")
    yield parent / "data"
    servers.stop(parent / "data")
    shutil.rmtree(parent, ignore_errors=True)


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


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    one = Webhook()
    monkeypatch.setenv("GRIDWHISTLE_NOTIFY_GROUP", one.url)
    yield one
    one.close()


@pytest.fixture
def desk(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    # Whatever the machine has to do beside: what is looked at here is what was sent, not how soon.
    monkeypatch.setattr(jobs.notices, "PATIENCE_S", 60.0)
    with Desk(database) as opened:
        # What happened before the first look is nobody's news.
        worked(tell, opened, NOW - timedelta(hours=1))
        yield opened


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


def test_a_team_is_told_inside_and_outside_and_only_once(desk: Desk, hook: Webhook) -> None:
    sent_to_police(desk, 1)
    for seconds in range(3):
        worked(tell, desk, NOW + timedelta(seconds=seconds))
    team = police(desk).team_id
    inside = desk.ask(lambda cursor: inbox.unread(cursor, [f"team/{team}"]))
    assert [one.zh for one in inside] == ["新派件：盗窃扒窃线索（1号），请签收"]
    assert inside[0].en == "Sent to you: Leads on theft and pickpocketing (1号); please pick it up"
    assert hook.got == ["新派件：盗窃扒窃线索（1号），请签收"]
    assert outbox(desk) == [("group", "sent", None)]


def test_a_team_that_assists_is_told_too_and_whoever_it_is_taken_from(desk: Desk, hook: Webhook) -> None:
    incident = sent_to_police(desk, 1)
    lead = police(desk).team_id
    helper, other = (
        row[0] for row in rows(desk, "select id from team where trade <> 'police' order by id limit 2")
    )
    act(desk, incident, "add_assist", CENTRE, NOW, team_id=helper)
    worked(tell, desk, NOW + MINUTE)
    assert told(desk, helper) == ["请协办：盗窃扒窃线索（1号），请签收"]
    # What a team is told that has answered before it went out is no longer true.
    hook.status = 500
    act(desk, incident, "add_assist", CENTRE, NOW + 5 * MINUTE, team_id=other)
    worked(tell, desk, NOW + 6 * MINUTE)
    act(desk, incident, "pick_up", Actor("crew/2", "team", TOWN, other), NOW + 7 * MINUTE)
    hook.status = 200
    worked(tell, desk, NOW + 12 * MINUTE)
    last = rows(desk, "select receiver, state, cause from outbox order by id desc limit 1")
    assert last == [(f"team/{other}", "stale", "the team has answered")]
    act(desk, incident, "recall_assist", CENTRE, NOW + 13 * MINUTE, team_id=helper, reason="不需要了")
    act(desk, incident, "recall_assist", CENTRE, NOW + 12 * MINUTE, team_id=other, reason="不需要了")
    act(desk, incident, "reassign", CENTRE, NOW + 14 * MINUTE, team_id=helper, reason="就近")
    worked(tell, desk, NOW + 20 * MINUTE)
    gone = "已撤回，不用再去：盗窃扒窃线索（1号）"
    assert lead is not None
    assert told(desk, lead)[-1] == told(desk, other)[-1] == gone
    assert told(desk, helper)[1:] == [gone, "新派件：盗窃扒窃线索（1号），请签收"]


def told(desk: Desk, team_id: int) -> list[str]:
    """Return what a team reads in the system, oldest first."""
    return [one.zh for one in reversed(desk.ask(lambda cursor: inbox.unread(cursor, [f"team/{team_id}"])))]


def test_read_is_read_for_its_receivers_only(desk: Desk) -> None:
    sent_to_police(desk, 1)
    worked(tell, desk, NOW)
    mine = f"team/{police(desk).team_id}"
    (one,) = desk.ask(lambda cursor: inbox.unread(cursor, [mine]))
    assert desk.ask(lambda cursor: inbox.mark_read(cursor, [one.id], ["team/999"], "x", NOW)) == 0
    assert desk.ask(lambda cursor: inbox.mark_read(cursor, [one.id], [mine], "crew", NOW)) == 1
    assert desk.ask(lambda cursor: inbox.mark_read(cursor, [one.id], [mine], "other", NOW)) == 0
    assert desk.ask(lambda cursor: inbox.unread(cursor, [mine])) == []
    assert rows(desk, "select read_by from notice where read_at is not null") == [("crew",)]


def test_without_an_address_a_channel_is_silent_and_the_system_still_tells(desk: Desk) -> None:
    sent_to_police(desk, 1)
    worked(tell, desk, NOW)
    assert outbox(desk) == []
    assert len(rows(desk, "select from notice")) == 1


def test_what_has_been_answered_before_it_went_out_is_dropped(desk: Desk, hook: Webhook) -> None:
    hook.status = 500
    incident = sent_to_police(desk, 1)
    worked(tell, desk, NOW)
    assert outbox(desk) == [("group", "waiting", "HTTP 500")]
    act(desk, incident, "pick_up", police(desk), NOW + MINUTE)
    hook.status = 200
    worked(tell, desk, NOW + 2 * MINUTE)
    assert hook.got == []
    assert outbox(desk) == [("group", "stale", "what was awaited has come")]


def test_what_is_still_true_is_told_though_something_later_no_longer_is(desk: Desk, hook: Webhook) -> None:
    """Supervised, then reminded to pick up, then picked up: that it is supervised is still news."""
    hook.status = 500
    incident = sent_to_police(desk, 1)
    act(desk, incident, "supervise", Actor("leader/1", "leader", COUNTY), NOW + MINUTE, reason="群众关注")
    worked(tell, desk, NOW + 2 * MINUTE)
    worked(tell, desk, NOW + 16 * MINUTE)
    assert len(outbox(desk)) == 3
    act(desk, incident, "pick_up", police(desk), NOW + 17 * MINUTE)
    hook.status = 200
    worked(tell, desk, NOW + 20 * MINUTE)
    assert hook.got == ["被督办：盗窃扒窃线索（1号），还须签收"]


def test_a_reminder_counts_what_an_extension_has_added(desk: Desk) -> None:
    """At four fifths of the first limit, with as much again added, two fifths are gone."""
    incident = sent_to_police(desk, 1)
    crew = police(desk)
    act(desk, incident, "pick_up", crew, NOW)
    act(desk, incident, "arrive", crew, NOW, reason="没有信号")
    [(since, due)] = rows(
        desk,
        "select (clocks -> 'dispose' ->> 'since')::timestamptz, (clocks -> 'dispose' ->> 'due')::timestamptz"
        " from assignment where role = 'lead'",
    )
    policy = desk.in_force(NOW)
    hours = round(policy.calendar.elapsed(since, due, working=True) / 3600)
    act(desk, incident, "ask_extension", crew, NOW, limit=f"{hours}wh", reason="等配件")
    act(desk, incident, "grant_extension", CENTRE, NOW)
    assert crew.team_id is not None
    before = len(told(desk, crew.team_id))
    worked(tell, desk, policy.calendar.after(since, 0.8 * hours * 3600, working=True))
    assert len(told(desk, crew.team_id)) == before
    worked(tell, desk, policy.calendar.after(since, hours * 3600, working=True) + MINUTE)
    assert told(desk, crew.team_id)[-1] == "盗窃扒窃线索（1号）时限已过 50%，还须反馈结果"


def test_a_channel_that_is_down_is_left_alone_and_tried_again_until_it_is_dead(
    desk: Desk, hook: Webhook
) -> None:
    hook.close()
    sent_to_police(desk, 1)
    worked(tell, desk, NOW)
    (health,) = rows(desk, "select failures, closed_until, cause from channel_health")
    assert health == (1, NOW + rules.wait(1), "no answer")
    worked(tell, desk, NOW + timedelta(seconds=5))
    assert rows(desk, "select attempts from outbox") == [(1,)]
    at = NOW
    for attempt in range(2, rules.ATTEMPTS_LIMIT + 1):
        at += rules.wait(attempt - 1)
        _send(desk, at)
    assert rows(desk, "select attempts, state, cause from outbox") == [
        (rules.ATTEMPTS_LIMIT, "dead", "no answer")
    ]
    _send(desk, at + timedelta(days=1))
    assert rows(desk, "select attempts from outbox") == [(rules.ATTEMPTS_LIMIT,)]


def _send(desk: Desk, at: datetime) -> None:
    assert Sender(address_of(desk)).send(desk.in_force(NOW), at, 120.0) == []


def test_a_slow_channel_delays_no_other(desk: Desk, hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast = Webhook(), hook
    slow.gate.clear()
    monkeypatch.setattr(jobs.notices, "PATIENCE_S", 0.5)
    monkeypatch.setenv("GRIDWHISTLE_NOTIFY_SMS", slow.url)
    opened(desk, 1, FRAUD)  # most urgent: the county by text message, the team in its group
    worked(tell, desk, NOW)
    until(lambda: len(fast.got) == 2)  # the lead, and the grid team that assists
    assert slow.got == []
    # The next run does not wait for it either, nor start it twice.
    opened(desk, 2, FRAUD)
    worked(tell, desk, NOW + timedelta(minutes=3))
    until(lambda: len(fast.got) == 4)
    assert slow.got == []
    slow.gate.set()
    at = iter(chain(range(30, 600, 15), repeat(600)))
    until(
        lambda: (
            worked(tell, desk, NOW + timedelta(minutes=next(at))) >= 0
            and len("".join(slow.got).split("特急件")) == 3
        )
    )
    lines = sorted(line for text in slow.got for line in text.split("\n"))
    assert lines == [f"特急件：电信网络诈骗正在发生（{n}号）" for n in (1, 2)]
    slow.close()


def until(happened: Callable[[], bool]) -> None:
    """Wait for what must come, however busy the machine is."""
    deadline = time.monotonic() + 180
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def test_one_areas_address_that_is_down_or_slow_holds_up_no_other_areas(
    desk: Desk, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two villages with a chat group each on one channel: the one hangs, then refuses, the other hears at once."""
    other, group = Webhook(), "GRIDWHISTLE_NOTIFY_GROUP"
    monkeypatch.setenv(f"{group}_{EAST}", hook.url)
    monkeypatch.setenv(f"{group}_{WEST}", other.url)
    hook.gate.clear()
    sent_to_police(desk, 1)
    sent_to_police(desk, 2, where=(WEST, IN_WEST))
    with monkeypatch.context() as hasty:
        hasty.setattr(jobs.notices, "PATIENCE_S", 0.5)
        worked(tell, desk, NOW)
        until(lambda: len(other.got) == 1)
    assert hook.got == []
    assert {channel for channel, _, _ in outbox(desk)} == {f"group/{EAST}", f"group/{WEST}"}
    hook.status = 503
    hook.gate.set()
    for minute in range(3, 40, 3):
        sent_to_police(desk, 10 + minute, NOW + minute * MINUTE)
        sent_to_police(desk, 60 + minute, NOW + minute * MINUTE, (WEST, IN_WEST))
        worked(tell, desk, NOW + minute * MINUTE)
        assert f"{60 + minute}号" in other.got[-1], "a neighbour's dead address held it up"
    health = dict(rows(desk, "select name, failures from channel_health"))
    assert health[f"group/{EAST}"] > 1
    assert health[f"group/{WEST}"] == 0
    other.close()


def test_a_role_is_reached_by_the_addresses_of_its_own_area(
    desk: Desk, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the county is told goes to the county's telephone, whatever the town has of its own."""
    of_county = Webhook()
    monkeypatch.setenv(f"GRIDWHISTLE_NOTIFY_SMS_{TOWN}", hook.url)
    monkeypatch.setenv(f"GRIDWHISTLE_NOTIFY_SMS_{COUNTY}", of_county.url)
    opened(desk, 1, FRAUD)
    worked(tell, desk, NOW)
    assert of_county.got == ["特急件：电信网络诈骗正在发生（1号）"]
    _hour(desk, NOW + 8 * MINUTE)  # the town's duty leader is called by text message
    # The same server is the chat group as well: both lines go out side by side.
    assert any("电信网络诈骗正在发生（1号）超时无人签收，请督促" in text for text in hook.got)
    assert len(of_county.got) == 1
    of_county.close()


def test_a_message_goes_in_the_language_that_is_read_at_its_address(
    desk: Desk, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The county reads English, the town what the policy says: Chinese, where it says nothing."""
    of_county, sms = Webhook(), "GRIDWHISTLE_NOTIFY_SMS"
    monkeypatch.setenv(f"{sms}_{TOWN}", hook.url)
    monkeypatch.setenv(f"{sms}_{COUNTY}", of_county.url)
    monkeypatch.setenv(f"{sms}_{COUNTY}_LANG", "en")
    opened(desk, 1, FRAUD)
    worked(tell, desk, NOW)
    (said,) = of_county.got
    assert not re.search("[\u4e00-\u9fff]", said.replace("1号", ""))
    assert said.startswith("Most urgent: ")
    _hour(desk, NOW + 8 * MINUTE)
    assert any("超时无人签收，请督促" in text for text in hook.got)
    of_county.close()


def test_an_assisting_teams_silence_is_told_to_it_and_not_to_the_lead(desk: Desk) -> None:
    """The lead came in time: what is late is the helper's answer, by name."""
    incident = sent_to_police(desk, 1)
    lead = police(desk)
    assert lead.team_id is not None
    (helper,) = (
        row[0] for row in rows(desk, "select id from team where trade <> 'police' order by id limit 1")
    )
    act(desk, incident, "pick_up", lead, NOW + MINUTE)
    act(desk, incident, "arrive", lead, NOW + 2 * MINUTE, position=list(IN_EAST))
    act(desk, incident, "add_assist", CENTRE, NOW + 3 * MINUTE, team_id=helper)
    _hour(desk, NOW + 40 * MINUTE)
    late = "select receiver, zh from notice where key like 'late/%'"
    assert rows(desk, late) == [(f"team/{helper}", "已超时：盗窃扒窃线索（1号），还须签收")]


class Mailbox:
    """A real SMTP server, as much of it as a letter needs."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    match line[:4].upper():
                        case b"DATA":
                            self.wfile.write(b"354 go on\r\n")
                            text = b""
                            while (part := self.rfile.readline()) not in (b".\r\n", b""):
                                text += part
                            box.letters.append(text.decode())
                            self.wfile.write(b"250 taken\r\n")
                        case b"QUIT":
                            self.wfile.write(b"221 bye\r\n")
                            return
                        case _:
                            self.wfile.write(b"250 fine\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(SHUT_S,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_letter_goes_out_by_a_real_mail_server(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Mailbox()
    monkeypatch.setenv(
        "GRIDWHISTLE_NOTIFY_MAIL",
        f"mailto://127.0.0.1:{box.port}?from=desk@city.example&to=county@city.example&mode=insecure&format=text",
    )
    policy = desk.in_force(NOW)
    rule = replace(policy.notices.rules[0], channels=("mail",))
    mailed = replace(policy, notices=replace(policy.notices, rules=(rule,)))
    sent_to_police(desk, 1)
    desk.ask(lambda cursor: notices.follow(cursor, mailed, NOW))
    assert Sender(address_of(desk)).send(mailed, NOW, 120.0) == []
    assert outbox(desk) == [("mail", "sent", None)]
    letter = email.message_from_string(box.letters[0])
    assert str(make_header(decode_header(letter["Subject"]))) == "网格哨：1 条提醒"
    text = next(part for part in letter.walk() if part.get_content_type() == "text/plain")
    body = text.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert "新派件：盗窃扒窃线索（1号），请签收" in body.decode()
    box.close()


def test_every_kind_of_address_that_the_documents_name_is_one_that_can_be_sent_to() -> None:
    """WeCom, DingTalk, Feishu, a text message gateway, e-mail and a plain webhook, with our patience added."""
    import apprise

    text = Path(__file__).parents[2].joinpath("docs", "assignment.md").read_text("utf-8")
    table = text.partition("| to reach |")[2].partition("\n\n")[0]
    examples = re.findall(r"`(\w+://[^`]+)`", table)
    kinds = [
        type(apprise.Apprise.instantiate(f"{one}{'&' if '?' in one else '?'}cto=3&rto=5")) for one in examples
    ]
    assert [kind.__name__ for kind in kinds] == [
        "NotifyWeComBot", "NotifyDingTalk", "NotifyFeishu", "NotifyForm", "NotifyEmail", "NotifyJSON",
    ]  # fmt: skip


def test_messages_to_one_receiver_are_bundled_and_spaced(desk: Desk, hook: Webhook) -> None:
    for serial in range(1, 4):
        sent_to_police(desk, serial)
    worked(tell, desk, NOW)
    assert [text.count("\n") for text in hook.got] == [2]
    sent_to_police(desk, 4)
    worked(tell, desk, NOW + timedelta(seconds=10))
    sent_to_police(desk, 5, NOW + timedelta(seconds=20))
    worked(tell, desk, NOW + timedelta(seconds=30))
    assert len(hook.got) == 1
    worked(tell, desk, NOW + timedelta(minutes=2))
    assert len(hook.got) == 2
    assert "4号" in hook.got[1]
    assert "5号" in hook.got[1]


def test_small_matters_wait_through_the_night_outside_but_not_inside(desk: Desk, hook: Webhook) -> None:
    night = NOW + timedelta(hours=13)  # eleven in the evening
    sent_to_police(desk, 1, night)
    worked(tell, desk, night)
    assert hook.got == []
    assert len(rows(desk, "select from notice")) == 1
    worked(tell, desk, NOW + timedelta(hours=21, seconds=-1))
    assert hook.got == []
    act_free = rows(desk, "select next_at from outbox where channel = 'group' order by id limit 1")
    assert act_free == [(NOW + timedelta(hours=21),)]  # seven in the morning


def test_what_a_dead_process_had_taken_is_taken_again_when_its_lease_ends(desk: Desk, hook: Webhook) -> None:
    hook.status = 500
    sent_to_police(desk, 1)
    worked(tell, desk, NOW)
    hook.status = 200
    lost = NOW + sender.LEASE
    desk.ask(lambda cursor: cursor.execute("update outbox set state = 'sending', next_at = %s", (lost,)))
    _send(desk, lost - timedelta(seconds=1))
    assert hook.got == []
    _send(desk, lost)
    assert len(hook.got) == 1


def test_two_processes_that_drain_one_channel_send_each_message_once(desk: Desk, hook: Webhook) -> None:
    hook.status = 500
    for serial in range(1, 6):
        sent_to_police(desk, serial)
    worked(tell, desk, NOW)
    hook.status, hook.delay_s = 200, 0.2
    later = NOW + timedelta(minutes=1)
    senders = [Sender(address_of(desk)) for _ in range(4)]
    policy = desk.in_force(NOW)
    threads = [threading.Thread(target=one.send, args=(policy, later, 120.0)) for one in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [line for text in hook.got for line in text.split("\n")]
    assert sorted(lines) == [f"新派件：盗窃扒窃线索（{n}号），请签收" for n in range(1, 6)]


def test_addresses_never_reach_a_log_or_the_database(
    desk: Desk, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.status = 403
    sent_to_police(desk, 1)
    worked(tell, desk, NOW)
    (row,) = rows(desk, "select cause, (select cause from channel_health) from outbox")
    assert row == ("HTTP 403", "HTTP 403")
    logged = [record.getMessage() for record in caplog.records]
    assert any("group failed: HTTP 403" in text for text in logged)
    assert not any("a-secret-token" in text for text in logged)


def test_an_area_may_have_an_address_of_its_own() -> None:
    held = {"N": "json://all", f"N_{TOWN}": "json://town json://second", f"N_{COUNTY}": "json://county"}
    assert addresses_of("N", EAST, held) == ["json://town", "json://second"]
    assert addresses_of("N", f"{COUNTY}002", held) == ["json://county"]
    assert addresses_of("N", "990902001", held) == ["json://all"]
    assert addresses_of("M", EAST, held) == []


def test_a_change_that_is_not_committed_is_told_after_it_is(desk: Desk, database: str) -> None:
    """Two transactions cross: the earlier one commits last, and the follower misses neither."""
    first = sent_to_police(desk, 1)
    worked(tell, desk, NOW)
    with psycopg.connect(psycopg_dsn(database)) as slow:
        # An older transaction id that is still running while a younger one commits.
        slow.execute("select pg_current_xact_id()")
        act(desk, first, "decline", police(desk), NOW + MINUTE, return_kind="not_ours", reason="不属于本单位")
        worked(tell, desk, NOW + MINUTE)
        assert rows(desk, "select key from notice where key like 'returned/%'") == []
        slow.commit()
    worked(tell, desk, NOW + MINUTE)
    assert len(rows(desk, "select key from notice where key like 'returned/%'")) == 1


def test_the_holder_is_reminded_at_each_share_once_and_not_of_what_is_done(desk: Desk) -> None:
    sent_to_police(desk, 1)  # thirty minutes to pick up
    reminded = "select split_part(key, '/', 5) from notice where key like 'reminder/%' order by id"
    for minute in range(0, 24):
        worked(tell, desk, NOW + minute * MINUTE)
    assert rows(desk, reminded) == [("50",)]
    worked(tell, desk, NOW + 25 * MINUTE)
    worked(tell, desk, NOW + 26 * MINUTE)
    assert rows(desk, reminded) == [("50",), ("80",)]
    other = sent_to_police(desk, 2, NOW + 26 * MINUTE)
    act(desk, other, "pick_up", police(desk), NOW + 27 * MINUTE)
    worked(tell, desk, NOW + 50 * MINUTE)
    assert len(rows(desk, reminded)) == 2


def _hour(desk: Desk, at: datetime) -> None:
    """Let everything happen that happens when time has come to `at`."""
    clocks.sweep(desk, at)
    clocks.escalate(desk, at)
    worked(tell, desk, at)


def test_acknowledged_and_then_silent_is_called_again(desk: Desk) -> None:
    incident = opened(desk, 1, FRAUD)  # severity 1: pick up in five minutes, dispose in two hours
    calls = "select receiver from notice where key like 'call/%' order by id"
    for minute in range(0, 9):
        _hour(desk, NOW + minute * MINUTE)
    assert {row[0] for row in rows(desk, calls)} == {f"duty_leader/{TOWN}"}
    for crew in crews(desk, incident):
        act(desk, incident, "pick_up", crew, NOW + 9 * MINUTE)
        act(desk, incident, "arrive", crew, NOW + 9 * MINUTE, position=list(IN_EAST))
    before = len(rows(desk, calls))
    for minute in range(10, 120, 10):
        _hour(desk, NOW + minute * MINUTE)
    assert len(rows(desk, calls)) == before
    _hour(desk, NOW + 121 * MINUTE)
    _hour(desk, NOW + 124 * MINUTE)
    assert len(rows(desk, calls)) > before


def test_the_county_is_called_for_a_whistle_that_nobody_reported_in_for(desk: Desk) -> None:
    blower = Actor("head/1", "grid_head", EAST)
    unreported = "select receiver, zh from notice where key like 'unreported/%' order by id"
    late, on_site = (opened(desk, serial, UNLICENSED) for serial in (1, 2))
    for incident in (late, on_site):
        act(desk, incident, "accept", CENTRE, NOW)
        crew = police(desk)
        act(desk, incident, "whistle", blower, NOW, whistle_kind="hard", reason="难", team_id=crew.team_id)
        act(desk, incident, "send_whistle", CENTRE, NOW)
        act(desk, incident, "pick_up", crew, NOW + MINUTE)
    act(desk, on_site, "arrive", police(desk), NOW + 20 * MINUTE, position=list(IN_EAST))
    for minute in range(21, 45):
        _hour(desk, NOW + minute * MINUTE)
    assert rows(desk, unreported) == []
    _hour(desk, NOW + 46 * MINUTE)
    _hour(desk, NOW + 47 * MINUTE)
    told_once = [(f"county/{COUNTY}", "无证经营、假冒伪劣（1号）超时无人到场签到，请督促")]
    assert rows(desk, unreported) == told_once
    assert rows(desk, "select level from incident order by id") == [(2,), (3,)]
    _hour(desk, NOW + 76 * MINUTE)
    assert rows(desk, unreported) == told_once * 2
    for minute in (107, 140, 200):
        _hour(desk, NOW + minute * MINUTE)
    assert rows(desk, unreported) == told_once * 2


@pytest.mark.processes
def test_after_an_outage_of_an_hour_everybody_is_told_what_is_true_now_once(
    data_dir: Path, hook: Webhook
) -> None:
    """Stop the servers, let an hour pass, start them: one call each at the highest rung, nothing of what is over."""
    folder = data_dir
    where = servers.start(folder)
    migrate.upgrade(where.database_url)
    loading.store(where.database_url, small_city.build())
    with Desk(where.database_url) as desk:
        worked(tell, desk, NOW - MINUTE)
        silent = opened(desk, 1, FRAUD)
        answered = opened(desk, 2, FRAUD)
        theft = sent_to_police(desk, 3)
        _hour(desk, NOW)
        told = len(hook.got)
    servers.stop(folder)
    where = servers.start(folder)
    back = NOW + timedelta(hours=1, minutes=5)
    with Desk(where.database_url) as desk:
        # The first thing after the outage: a team acts on one of them before the jobs are up.
        for crew in crews(desk, answered):
            act(desk, answered, "pick_up", crew, back)
            act(desk, answered, "arrive", crew, back, position=list(IN_EAST))
        began = time.monotonic()
        for seconds in (1, 6, 11, 40, 75, 130):
            _hour(desk, back + timedelta(seconds=seconds))
        spent = time.monotonic() - began
        calls = rows(desk, "select incident_id, receiver from notice where key like 'call/%' order by id")
        lates = rows(desk, "select incident_id, count(*) from notice where key like 'late/%' group by 1")
        dead = rows(desk, "select from outbox where state not in ('sent', 'stale')")
        level = rows(desk, f"select level from incident where id = {silent}")
        after = hook.got[told:]
    assert [c for c in calls if c[0] == silent] == [(silent, "city/990900")]
    assert [c for c in calls if c[0] == answered] == []
    assert [c for c in calls if c[0] == theft] == [(theft, f"duty_leader/{TOWN}")]
    assert level == [(1,)]
    assert dict(lates).get(answered) is None
    assert dead == []
    lines = [line for text in after for line in text.split("\n")]
    # Of the one that was answered only what is still to come; of its missed pick-up nothing.
    assert [line for line in lines if "2号" in line] == [
        "电信网络诈骗正在发生（2号）时限已过 50%，还须反馈结果"
    ]
    assert len(lines) == len(set(lines)), lines
    assert spent < 120, "bounded: in a moment on a machine of its own"


def crews(desk: Desk, incident: int) -> list[Actor]:
    """Return somebody of every team that has a part in the incident."""
    teams = rows(desk, f"select team_id from assignment where incident_id = {incident} order by id")
    return [Actor(f"crew/{team}", "team", TOWN, team) for (team,) in teams]

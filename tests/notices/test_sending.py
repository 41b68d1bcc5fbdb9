"""Messages leave once, by every channel and to every address, and none that is down or slow holds up another."""

from __future__ import annotations

import email
import logging
import re
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.header import decode_header, make_header
from itertools import chain, repeat
from pathlib import Path

import pytest

import jobs.notices
from dispatch.desk.desk import Desk
from dispatch.notices import outbox as notices
from dispatch.notices import sender
from dispatch.notices.addresses import addresses_of
from dispatch.notices.sender import Sender
from dispatch.rules.policy import notices as rules
from jobs.notices import tell
from tests.at_work import address_of, worked
from tests.notified import FRAUD, MINUTE, NOW, SHUT_S, Webhook, opened, outbox, rows, sent_to_police
from tests.small_city import COUNTY, EAST, IN_WEST, TOWN, WEST

pytestmark = pytest.mark.city("small")


def test_without_an_address_a_channel_is_silent_and_the_system_still_tells(desk: Desk) -> None:
    sent_to_police(desk, 1)
    worked(tell, desk, NOW)
    assert outbox(desk) == []
    assert len(rows(desk, "select from notice")) == 1


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

"""Whom it concerns is told after the commit, once, in their language, and only what is still true."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from dispatch.desk.desk import Desk
from dispatch.notices import inbox
from dispatch.rules.incident.chain import Actor
from jobs import clocks
from jobs.notices import tell
from models.cities import loading
from models.migrations import migrate
from models.servers import servers
from models.servers.database import psycopg_dsn
from tests import small_city
from tests.at_work import worked
from tests.conftest import open_folder
from tests.notified import (
    CENTRE,
    FRAUD,
    MINUTE,
    NOW,
    Webhook,
    act,
    opened,
    outbox,
    police,
    rows,
    sent_to_police,
)
from tests.small_city import COUNTY, EAST, IN_EAST, TOWN

pytestmark = pytest.mark.city("small")

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

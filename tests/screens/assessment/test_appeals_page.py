"""Proves what is said of an appeal: what it promises it brings, until when one may ask, and by when one answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import CityReads, judged
from dashboard.data import assessment as reading
from dashboard.widgets import scorecard
from dashboard.widgets.assessment import cases
from dashboard.wording import amounts, names
from dashboard.wording.catalogue import translator
from dispatch.rules.incident.chain import Actor
from dispatch.scores import scoring
from models.servers.database import psycopg_dsn
from tests.conftest import CITY_ZONE
from tests.judged_city import BOSS, CITY, COUNTY, TOWN, area_of, card, late
from tests.templates import LIVING_MONTH as JUNE

ZH = translator("zh")


def test_what_an_appeal_promises_is_what_granting_it_brings(
    city: str, reads: CityReads, open_page: Callable[..., AppTest]
) -> None:
    # Appeals are of today, so the month is judged as of today before and after.
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        scoring.assess_month(connection, JUNE, datetime.now(UTC))
    before, case = late(reads, JUNE)
    promised = judged.if_granted(before, reading.bundles(reads, before), case)
    assert promised is not None
    assert before.score is not None
    assert promised > before.score  # an exemption never costs
    area = area_of(reads, case)
    team = Actor(f"team:{before.subject}", "team", area[:9], int(before.subject))
    county, top = Actor("county:c", "county", area[:6]), Actor("city:top", "city", CITY)
    assert judged.submit(reads, team, "appeal", case, "a", {"reason": ""}).refusal is not None
    assert judged.submit(reads, team, "appeal", case, "b", {"reason": "道路中断"}).refusal is None
    again = judged.submit(reads, team, "appeal", case, "c", {"reason": "再申诉"}).refusal
    assert again is not None
    assert again.code == "appealed"
    (appeal,) = judged.appeals(reads, BOSS, [case])
    assert appeal.granted is None
    verdict = {"granted": True, "reason": "属实"}
    assert judged.submit(reads, county, "judge_appeal", case, "d", verdict).refusal is None
    assert judged.submit(reads, county, "judge_appeal", case, "e", verdict).refusal is not None  # two persons
    assert judged.submit(reads, top, "judge_appeal", case, "f", verdict).refusal is None
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        scoring.assess_month(connection, JUNE, datetime.now(UTC))
    after = card(reads, "team", before.subject, JUNE)
    line = after.line("on_time_disposal")
    assert line is not None
    assert case in line.numerator
    assert (case, "道路中断") in line.exempt
    assert after.score == promised
    # And beside it stands what it was without, with the bare facts of the case.
    bare = judged.bare(reads, BOSS, after)
    assert bare is not None
    assert bare.score is not None
    assert bare.score.value == before.score
    raw = bare.rate(line)
    assert raw is not None
    assert (raw.n, raw.d) == (line.n - 1, line.d)
    html = cases.exempt(after, bare, reads.directory(), "zh", ZH)
    assert "道路中断" in html
    assert "<b>超 " in html
    assert "涉及：按期处置率" in html
    page = open_page("leader", subject=f"team/{after.subject}", month="2026-06")
    assert not page.error
    foot = scorecard.table(after, "", judged.every_set(reads, after), "zh", ZH, bare)
    gain = amounts.signed(promised - before.score, 2)
    assert gain.startswith("+")
    assert f"不豁免是 {amounts.score(before.score, ZH)}，豁免 {gain}" in foot
    assert f"不豁免 {raw.n} / {raw.d:,}" in foot
    # Who may not see the case reads that there is one, and nothing of it.
    far = judged.bare(reads, Actor("far", "county", "445381" if area[:6] != "445381" else COUNTY), after)
    assert far is not None
    assert "超 " not in cases.exempt(after, far, reads.directory(), "zh", ZH)


def test_an_appeal_of_a_dispatcher_brings_what_it_promises_too(city: str, reads: CityReads) -> None:
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        scoring.assess_month(connection, JUNE, datetime.now(UTC))
    before, case = late(reads, JUNE, "dispatcher", "on_time_dispatch", "missed")
    promised = judged.if_granted(before, reading.bundles(reads, before), case)
    assert promised is not None
    assert before.score is not None
    assert promised > before.score
    area = area_of(reads, case)
    dispatcher = Actor("dispatcher:d", "dispatcher", area[:9])
    assert judged.submit(reads, dispatcher, "appeal", case, "a", {"reason": "系统停电"}).refusal is None
    for judge in (Actor("county:c", "county", area[:6]), Actor("city:top", "city", CITY)):
        verdict = {"granted": True, "reason": "属实"}
        assert judged.submit(reads, judge, "judge_appeal", case, judge.role, verdict).refusal is None
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        scoring.assess_month(connection, JUNE, datetime.now(UTC))
    after = card(reads, "dispatcher", before.subject, JUNE)
    assert after.score == promised
    bare = judged.bare(reads, BOSS, after)
    assert bare is not None
    assert bare.score is not None
    assert bare.score.value == before.score
    (moved,) = [each for each in bare.cases if each.id == case]
    assert (moved.why, moved.parts, moved.fared) == ("系统停电", ("on_time_dispatch",), "")


def test_a_reviewer_gives_stretches_of_time_and_the_next_sees_them(
    reads: CityReads, open_page: Callable[..., AppTest]
) -> None:
    with reads.look() as connection:
        row = connection.execute(
            "select a.incident_id, a.team_id, i.area_code, i.reported_at from assignment a join incident i on i.id ="
            " a.incident_id where i.state = 'closed' and a.role = 'lead' and i.facts -> 'appeal' is null"
            " and i.area_code like %s order by a.id limit 1",
            (f"{COUNTY}%",),
        ).fetchone()
    assert row is not None
    case, team, area, reported_at = row
    team = Actor(f"team:{team}", "team", area[:9], team)
    assert judged.submit(reads, team, "appeal", case, "s", {"reason": "道路中断"}).refusal is None
    page = open_page("county", lang="en", month="2026-05")
    page.session_state["asked"] = (scorecard.JUDGE.rstrip("~"), case, "p")
    page.run()
    next(box for box in page.radio if box.key == "whole-p").set_value(False).run()
    ends = next(box for box in page.datetime_input if box.key == "until-p-0")
    local = (reported_at + timedelta(hours=3)).astimezone(names.zone()).replace(second=0, tzinfo=None)
    ends.set_value(local.replace(microsecond=0))
    next(box for box in page.text_area if box.key == "reason-p").set_value("属实")
    next(box for box in page.button if box.key == "send-p").click()
    page.run()
    assert not page.exception, [each.message for each in page.exception]
    about = judged.asked(reads, BOSS, case)
    assert about is not None
    ((since, until),) = about.spans
    assert since == reported_at  # never before the report, whatever its seconds
    assert timedelta(hours=2, minutes=59) < until - since <= timedelta(hours=3)
    assert judged.asked(reads, Actor("far", "county", "445381"), case) is None
    # The next reviewer begins from what the first gave.
    page = open_page("city", lang="en", month="2026-05")
    page.session_state["asked"] = (scorecard.JUDGE.rstrip("~"), case, "q")
    page.run()
    assert any("The first reviewer gave" in each.value for each in page.caption)
    assert next(box for box in page.radio if box.key == "whole-q").value is False


def test_until_when_one_may_appeal_stands_at_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "zone", lambda: CITY_ZONE)
    now = datetime.now(UTC)
    zh = translator("zh")

    def shown(until: datetime | None, appealable: bool = True) -> str:
        case = judged.CaseLine(7, 1, "0101", TOWN, "closed", "", None, None, (), None, until)
        return cases._appeal_of(case, frozenset({7} if appealable else ()), zh)

    later = now + timedelta(days=2)
    assert f"到 {later.astimezone(names.zone()):%m-%d}" in shown(later)
    assert f"{scorecard.APPEAL}7" in shown(later)
    assert "已过期" in shown(now - timedelta(seconds=1))
    assert scorecard.APPEAL not in shown(now - timedelta(seconds=1))
    assert "到" not in shown(None)
    assert scorecard.APPEAL not in shown(later, appealable=False)


def test_reviewers_who_are_late_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "zone", lambda: CITY_ZONE)
    now = datetime.now(UTC)
    for by, words, tone in (
        (now + timedelta(hours=1), "须在", "m2"), (now - timedelta(hours=1), "已超时", "red"),
    ):  # fmt: skip
        appeal = judged.Appeal(7, 1, "team:1", "道路中断", (), None, by)
        html = cases._answer_due(appeal, translator("zh"))
        assert words in html
        assert f'class="{tone} nw"' in html
    assert cases._answer_due(judged.Appeal(7, 1, "team:1", "x", (), None), translator("zh")) == ""

"""Prove what an exemption does: it raises before the freeze, corrects after it, and excuses as much as was granted."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import msgspec
import psycopg
import pytest

from dispatch.checks import recheck
from dispatch.demo import history
from dispatch.desk.desk import Desk
from dispatch.record.policies import Policies
from dispatch.rules.incident.chain import Actor, Command
from dispatch.rules.measures.assessment import Counted, Exempted, without_exemptions
from dispatch.scores import month_cases, scoring
from models.servers.database import psycopg_dsn
from tests.lived_city import CITY, LATER, Connection, closed_case, one, parts_of
from tests.templates import LIVED_MONTH as MAY
from tests.templates import LIVED_UNTIL as UNTIL


@pytest.mark.city("frozen")
def test_an_appeal_after_the_freeze_is_a_correction_and_leaves_the_frozen_untouched(
    url: str, connection: Connection
) -> None:
    frozen = connection.execute("select * from assessment order by kind, subject, card").fetchall()
    assert scoring.follow_appeals(connection) == 0
    key, _, area = closed_case(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    _appeal(url, key, team, area)
    assert scoring.follow_appeals(connection) > 0
    assert connection.execute("select * from assessment order by kind, subject, card").fetchall() == frozen
    rows = connection.execute(
        "select kind, subject, reason, score_before, score_after from correction where card = 'unit' order by kind"
    ).fetchall()
    # Everybody who answers for it, up to the city; nobody is worse off.
    assert {row[0] for row in rows} == {"village", "town", "county", "city", "team", "department"}
    for kind, subject, reason, before, after in rows:
        assert reason == "台风期间道路中断"
        assert Fraction(before) < Fraction(after), (kind, subject)
        assert before == one(
            connection,
            "select parts ->> 'score' from assessment where kind = %s and subject = %s and card = 'unit'",
            kind,
            subject,
        )
    assert ("team", str(team)) in {row[:2] for row in rows}
    # The next run, and one that begins anew, enter nothing twice.
    assert scoring.follow_appeals(connection) == 0
    connection.execute("update follower set position = 0 where name = 'appeals'")
    assert scoring.follow_appeals(connection) == 0
    with pytest.raises(psycopg.errors.RaiseException, match="corrections are append-only"):
        connection.execute("delete from correction")
    assert recheck.months(connection, UNTIL, [MAY]) == len(frozen)
    with connection.cursor() as cursor:
        assert recheck.open_mismatches(cursor) == []


def _appeal(url: str, key: int, team: int, area: str, at: datetime = LATER, **more: Any) -> None:
    granted = {"granted": True, "reason": "属实", **more}
    with Desk(url) as desk:
        outcomes = desk.act(
            [
                Command(
                    "appeal",
                    key,
                    Actor(f"team/{team}", "team", area[:9], team),
                    f"a{key}",
                    {"reason": "台风期间道路中断"},
                ),
                Command("judge_appeal", key, Actor("county/1", "county", area[:6]), f"j1{key}", granted),
                Command("judge_appeal", key, Actor("city/1", "city", CITY), f"j2{key}", granted),
            ],
            at,
        )
    assert [o.status for o in outcomes] == ["done"] * 3, outcomes


def test_without_exemptions_every_card_of_a_frozen_month_is_what_it_was_before_them(
    url: str, connection: Connection
) -> None:
    """Exempt as a whole, for a stretch of time, and as never theirs: each card to the fraction, none sealed anew."""
    with connection.cursor() as cursor:
        freeze = scoring.freezes_at(MAY, *scoring.rules_of(Policies(cursor), MAY, UNTIL))
    stored = "select kind, subject, card, parts::text, hash from assessment order by kind, subject, card"
    scoring.assess_month(connection, MAY, freeze)
    before = {row[:3]: msgspec.json.decode(row[3]) for row in connection.execute(stored).fetchall()}
    assert scoring.exemptions(connection, MAY) == month_cases.Exemptions({}, {})
    late = connection.execute(
        "select id, (facts ->> 'disposer_team')::int, area_code, reported_at from incident where state = 'closed'"
        " and disposed_on_time is false and facts ->> 'disposer_team' is not null"
        " and reported_at between '2026-05-02' and '2026-05-20' and last_at < %s order by id limit 3",
        (freeze - timedelta(hours=2),),
    ).fetchall()
    given: list[dict[str, Any]] = [{}, {"spans": []}, {"never_theirs": True}]
    given[1]["spans"] = [[late[1][3].isoformat(), (late[1][3] + timedelta(days=9)).isoformat()]]
    for (key, team, area, _), more in zip(late, given, strict=True):
        _appeal(url, key, team, area, freeze - timedelta(hours=1), **more)
    scoring.freeze(connection, MAY, UNTIL)
    frozen = connection.execute(stored).fetchall()
    found = scoring.exemptions(connection, MAY)
    assert found is not None
    assert found.why == dict.fromkeys((row[0] for row in late), "台风期间道路中断")
    rules, _ = scoring.rules_of(Policies(connection.cursor()), MAY, UNTIL)
    none, raised = Exempted((), ()), set()
    for kind, subject, name, text, _hash in frozen:
        parts = msgspec.json.decode(text)
        counted = {
            p["indicator"]: Counted(Fraction(p["n"]), p["d"], tuple(i for i, _ in p.get("left_out", ())))
            for p in parts["parts"]
        }
        bare = without_exemptions(rules, name, counted, found.of.get((kind, subject), none))
        old = before[kind, subject, name]
        assert [(str(p.rate.n), p.rate.d) for p in bare.parts] == [(p["n"], p["d"]) for p in old["parts"]]
        assert ("" if bare.value is None else str(bare.value)) == old["score"], (kind, subject)
        if parts["score"] != old["score"]:
            assert Fraction(parts["score"]) > Fraction(old["score"]), (kind, subject)
            raised.add(kind)
    assert raised >= {"village", "town", "county", "city", "team", "department"}
    assert connection.execute(stored).fetchall() == frozen
    assert [
        (c.kind, c.subject, c.card, c.parts, c.hash) for c in scoring.again(connection, MAY).cards
    ] == frozen


def test_a_team_of_the_demo_has_exemptions_to_show_by_the_law_and_has_them_once(
    url: str, connection: Connection
) -> None:
    town = connection.execute(
        "select t.area_code, t.id from incident i join team t on t.id = (i.facts ->> 'disposer_team')::int"
        " where i.state = 'closed' and i.disposed_on_time is false and length(t.area_code) = 9"
        " and i.reported_at between '2026-05-02' and '2026-05-20' group by 1, 2 order by count(*) desc, 2 limit 1"
    ).fetchone()
    assert town is not None
    steps = history.object_to_lateness(url, UNTIL, town)
    granted = int(one(connection, "select count(*) from incident where facts ? 'exempt'"))
    assert 0 < granted <= 2 * len(history.GROUNDS)
    assert steps - 3 * granted in (0, 1)  # an appeal and two judgements each; the newest is still open
    assert one(connection, "select max(at) from event where verb in ('appeal', 'judge_appeal')") <= UNTIL
    # Before the month was frozen: what is exempt stands on the frozen card itself.
    assert scoring.freeze(connection, MAY, UNTIL)
    found = scoring.exemptions(connection, MAY)
    assert found is not None
    assert ("team", str(town[1])) in found.of
    # A run that was cut short does nothing twice.
    history.object_to_lateness(url, UNTIL, town)
    assert one(connection, "select count(*) from event where verb in ('appeal', 'judge_appeal')") == steps


@pytest.mark.city("assessed")
def test_an_appeal_before_the_freeze_raises_the_score_and_is_shown_with_its_reason(
    url: str, connection: Connection
) -> None:
    key, _, area = closed_case(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    before = Fraction(parts_of(connection, "team")[str(team)]["score"])
    _appeal(url, key, team, area)
    scoring.assess_month(connection, MAY, LATER + timedelta(minutes=1))
    after = parts_of(connection, "team")[str(team)]
    assert Fraction(after["score"]) > before
    on_time = next(p for p in after["parts"] if p["indicator"] == "on_time_disposal")
    assert [key, "台风期间道路中断"] in on_time["exempt"]
    assert key in on_time["numerator"]


def _again(url: str, key: int, area: str, team: int, reopened: datetime, disposed: datetime) -> None:
    """Let a closed case be opened again, done by a team, checked and closed."""
    centre, crew = Actor("duty_leader/x", "duty_leader", area[:9]), Actor("team/x", "team", area[:9], team)
    steps: list[tuple[datetime, str, Actor, dict[str, Any]]] = [
        (reopened, "reopen", centre, {"reason": "仍未解决"}),
        (reopened + timedelta(minutes=1), "dispatch", centre, {"team_id": team}),
        (reopened + timedelta(minutes=2), "pick_up", crew, {}),
        (disposed, "dispose", crew, {"result": "好了", "photos": ["前", "后"]}),
        (disposed + timedelta(minutes=1), "verify", centre, {}),
        (disposed + timedelta(minutes=2), "close", centre, {"standard": True}),
    ]
    with Desk(url) as desk:
        for at, verb, actor, args in steps:
            [outcome] = desk.act([Command(verb, key, actor, f"{verb}{at}", args)], at)
            assert outcome.status == "done", (verb, outcome.refusal)


def _sets(connection: Connection, kind: str, subject: str) -> tuple[list[int], list[int]]:
    """Return the numerator and denominator of what was disposed of in time."""
    parts = parts_of(connection, kind)[subject]["parts"]
    part = next(p for p in parts if p["indicator"] == "on_time_disposal")
    return part["numerator"], part["denominator"]


def test_an_exemption_excuses_the_life_that_was_appealed_and_not_what_is_late_in_the_next(
    url: str, connection: Connection
) -> None:
    key, _, area = closed_case(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    other = int(
        one(
            connection,
            "select o.id from team o join team t on t.id = %s and o.trade = t.trade and o.id <> t.id order by 1"
            " limit 1",
            team,
        )
    )
    village = area[:12]
    _appeal(url, key, team, area)
    scoring.assess_month(connection, MAY, LATER + timedelta(minutes=1))
    assert key in _sets(connection, "village", village)[0]
    late = LATER + timedelta(days=100)
    _again(url, key, area, other, LATER + timedelta(days=1), late)
    scoring.assess_month(connection, MAY, late + timedelta(days=1))
    on_time, base = _sets(connection, "village", village)
    assert key in base
    assert key not in on_time
    # Who was excused stays excused, and the reason stays in sight.
    assert key in _sets(connection, "team", str(team))[0]
    part = parts_of(connection, "team")[str(team)]["parts"][1]
    assert [key, "台风期间道路中断"] in part["exempt"]


def test_a_minute_that_is_exempt_in_the_next_life_does_not_excuse_the_late_one_before(
    url: str, connection: Connection
) -> None:
    """In time when it was opened again, it was late before all the same: for its village and for its team."""
    key, _, area = closed_case(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    soon = LATER + timedelta(minutes=10)
    _again(url, key, area, team, LATER + timedelta(minutes=5), soon)
    span = [[(soon - timedelta(minutes=1)).isoformat(), soon.isoformat()]]
    _appeal(url, key, team, area, soon + timedelta(minutes=5), spans=span)
    scoring.assess_month(connection, MAY, soon + timedelta(hours=1))
    for kind, subject in (("village", area[:12]), ("team", str(team))):
        on_time, base = _sets(connection, kind, subject)
        assert key in base
        assert key not in on_time
    # As the definitions before said of a team; of the village they said it already.
    connection.execute(
        "update policy_version set files = jsonb_set(files, '{assessment.toml}',"
        " to_jsonb(replace(files ->> 'assessment.toml', 'definitions = 4', 'definitions = 3')))"
    )
    scoring.assess_month(connection, MAY, soon + timedelta(hours=1))
    assert key in _sets(connection, "team", str(team))[0]


def test_an_appeal_that_is_granted_while_its_month_is_being_frozen_is_corrected_afterwards(
    url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower of appeals passes over none: neither has the month seen it, nor is it frozen yet."""
    assert scoring.follow_appeals(connection) == 0
    key, _, area = closed_case(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    assess = scoring.assess

    def interrupted(*args: Any) -> scoring.Month:
        month = assess(*args)
        _appeal(url, key, team, area)
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as beside:
            assert scoring.follow_appeals(beside) == 0
        return month

    monkeypatch.setattr(scoring, "assess", interrupted)
    assert scoring.freeze(connection, MAY, UNTIL) > 0
    assert scoring.follow_appeals(connection) > 0
    assert str(team) in [
        s for (s,) in connection.execute("select subject from correction where kind = 'team'")
    ]


@pytest.mark.city("frozen")
def test_an_appeal_of_a_former_life_judged_after_the_freeze_corrects_that_life(
    url: str, connection: Connection
) -> None:
    """Frozen, appealed, opened again, and only then judged: the month had the former life alone."""
    assert scoring.follow_appeals(connection) == 0
    key, _, area = closed_case(connection)
    team = int(one(connection, "select (facts ->> 'disposer_team')::int from incident where id = %s", key))
    crew = Actor(f"team/{team}", "team", area[:9], team)
    with Desk(url) as desk:
        [asked] = desk.act([Command("appeal", key, crew, "a", {"reason": "道路中断"})], LATER)
        assert asked.status == "done", asked
    soon = LATER + timedelta(minutes=10)
    _again(url, key, area, team, LATER + timedelta(minutes=5), soon)
    judged = {"granted": True, "reason": "属实"}
    with Desk(url) as desk:
        for who in (Actor("county/1", "county", area[:6]), Actor("city/1", "city", CITY)):
            [outcome] = desk.act(
                [Command("judge_appeal", key, who, who.id, judged)], soon + timedelta(hours=1)
            )
            assert outcome.status == "done", outcome
    assert scoring.follow_appeals(connection) > 0
    raised = connection.execute(
        "select score_before, score_after from correction where kind = 'team' and subject = %s and card = 'unit'",
        (str(team),),
    ).fetchall()
    assert [Fraction(before) < Fraction(after) for before, after in raised] == [True]
    assert scoring.exemptions(connection, MAY) == month_cases.Exemptions({}, {})


def _late(connection: Connection) -> tuple[int, int, str, datetime, timedelta]:
    """Return (id, team, area, beginning, delay) of the clock of the case of May that was disposed of least late."""
    row = connection.execute(
        "select i.id, a.team_id, i.area_code, (a.clocks -> 'dispose' ->> 'since')::timestamptz,"
        " i.disposed_at - (a.clocks -> 'dispose' ->> 'due')::timestamptz"
        " from incident i join assignment a on a.incident_id = i.id and a.role = 'lead' and a.state = 'done'"
        " where i.state = 'closed' and i.disposed_on_time is false and i.disposed_at is not null"
        " and i.reported_at between '2026-05-02' and '2026-05-25'"
        " and not i.facts ? 'reworks' and not i.facts ? 'former'"
        " and a.team_id = (i.facts ->> 'disposer_team')::int and a.clocks -> 'dispose' ->> 'due' is not null"
        " and a.clocks -> 'dispose' ->> 'limit' like '%uh'"
        " order by i.disposed_at - (a.clocks -> 'dispose' ->> 'due')::timestamptz, i.id limit 1"
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2], row[3], row[4]


@pytest.mark.parametrize(
    "frozen", [pytest.param(n == "frozen", marks=pytest.mark.city(n)) for n in ("assessed", "frozen")]
)
def test_exempt_stretches_are_taken_out_of_the_clock_and_only_as_much_as_they_are(
    url: str, connection: Connection, frozen: bool
) -> None:
    """A stretch too short leaves the verdict as it was, one as long as the delay turns it; frozen or not, alike."""
    key, team, area, begun, late = _late(connection)
    before = parts_of(connection, "team")[str(team)]
    enough = [[begun.isoformat(), (begun + late).isoformat()]]
    if frozen:
        _appeal(url, key, team, area, spans=enough)
        assert scoring.follow_appeals(connection) > 0
        after = one(
            connection,
            "select score_after from correction where kind = 'team' and subject = %s and card = 'unit'",
            str(team),
        )
        assert Fraction(after) > Fraction(before["score"])
        return
    _appeal(url, key, team, area, spans=enough)
    scoring.assess_month(connection, MAY, LATER + timedelta(minutes=1))
    after = parts_of(connection, "team")[str(team)]
    assert Fraction(after["score"]) > Fraction(before["score"])
    on_time = next(p for p in after["parts"] if p["indicator"] == "on_time_disposal")
    assert key in on_time["numerator"]
    assert [key, "台风期间道路中断"] in on_time["exempt"]


def test_exempt_stretches_that_are_too_short_cost_nothing_and_give_nothing(
    url: str, connection: Connection
) -> None:
    """One microsecond less than the delay: still late, and no card of anybody is lower than before."""
    key, team, area, begun, late = _late(connection)
    scores = "select kind, subject, card, parts ->> 'score' from assessment"
    scoring.assess_month(connection, MAY, LATER)
    before = {row[:3]: row[3] for row in connection.execute(scores).fetchall()}
    short = [[begun.isoformat(), (begun + late - timedelta(microseconds=1)).isoformat()]]
    _appeal(url, key, team, area, spans=short)
    scoring.assess_month(connection, MAY, LATER)
    after = {row[:3]: row[3] for row in connection.execute(scores).fetchall()}
    on_time = next(
        p for p in parts_of(connection, "team")[str(team)]["parts"] if p["indicator"] == "on_time_disposal"
    )
    assert key not in on_time["numerator"]
    assert key in on_time["denominator"]
    assert before.keys() <= after.keys()
    lower = [name for name, score in before.items() if score and Fraction(after[name]) < Fraction(score)]
    assert lower == []

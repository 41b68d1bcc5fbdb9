"""Walk incidents at random through the law, and say what must hold of one at every moment."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import msgspec

from dispatch.desk import store
from dispatch.rules.incident.chain import (
    ASSIGNMENT_STATES,
    ENDED,
    LIVE,
    STATES,
    SYSTEM,
    Actor,
    Change,
    Event,
    Incident,
    lawful,
    replay,
)
from dispatch.rules.refusals import Refusal
from dispatch.rules.time import clocks
from tests.small_law import (
    ADMIN,
    AUDITOR,
    CITY_DESK,
    COUNTY_DESK,
    CREW,
    DISPATCHER,
    DUTY,
    GRID_CREW,
    HEAD,
    JOINT,
    LEADER,
    MAJOR,
    MICRO,
    MONDAY,
    OTHER_CREW,
    OTHER_POLICE,
    POLICE,
    RESIDENT,
    SMALL,
    VILLAGE_DESK,
    WHISTLE,
    WORKER,
    Case,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WATER = 7
EVERYBODY = (
    DISPATCHER, DUTY, COUNTY_DESK, CITY_DESK, VILLAGE_DESK, WORKER, HEAD, CREW, LEADER, RESIDENT, AUDITOR, ADMIN,
    SYSTEM,
)  # fmt: skip

_OWN_WORDS = re.compile(
    r"(person|team|duty|dispatcher|resident|head)[/@]\w+|\w+队\d*|\b(4wh|2wd|12uh|1ud)\b|（(等法院|台风)）|\((等法院|台风)\)"
    r"|hotline|system|flood|forest_fire|epidemic|event"
)
# Who presses each button in these tests, and what they give.
BUTTONS: dict[str, tuple[Actor, dict[str, Any]]] = {
    "accept": (DISPATCHER, {}),
    "reject": (DUTY, {"reason": "不属实"}),
    "send_check": (DISPATCHER, {}),
    "check": (HEAD, {"real": True, "result": "属实"}),
    "void": (DUTY, {"reason": "误报"}),
    "merge": (DISPATCHER, {"into": 102}),
    "absorb": (SYSTEM, {"merged": 5}),
    "recode": (DISPATCHER, {"category": WHISTLE, "reason": "类别有误"}),
    "dispatch": (DISPATCHER, {"team_id": POLICE}),
    "reassign": (DISPATCHER, {"team_id": OTHER_POLICE, "reason": "就近"}),
    "add_assist": (DISPATCHER, {"team_id": WATER}),
    "recall_assist": (DISPATCHER, {"team_id": WATER, "reason": "不需要了"}),
    "name_commander": (DUTY, {"commander": "person/11"}),
    "whistle": (HEAD, {"whistle_kind": "hard", "reason": "一家办不了", "team_id": WATER}),
    "send_whistle": (DISPATCHER, {}),
    "refuse_whistle": (DISPATCHER, {"reason": "可以自办"}),
    "end_whistle": (HEAD, {}),
    "rate_whistle": (HEAD, {"rating": 5}),
    "pick_up": (CREW, {}),
    "decline": (CREW, {"return_kind": "not_ours", "reason": "不是我们的事"}),
    "arrive": (CREW, {}),
    "ask_extension": (CREW, {"limit": "4wh", "reason": "等配件"}),
    "grant_extension": (DUTY, {}),
    "refuse_extension": (DUTY, {"reason": "不予"}),
    "dispose": (CREW, {"result": "已处置"}),
    "solve": (WORKER, {"result": "当场解决"}),
    "verify": (HEAD, {}),
    "rework": (HEAD, {"reason": "还有问题"}),
    "close": (DUTY, {"standard": True}),
    "rate": (RESIDENT, {"rating": 4}),
    "reopen": (DUTY, {"reason": "问题又来了"}),
    "appeal": (CREW, {"reason": "不是我们的责任"}),
    "judge_appeal": (COUNTY_DESK, {"granted": True, "reason": "属实"}),
    "archive": (SYSTEM, {}),
    "suspend": (DUTY, {"reason": "等法院", "until": (MONDAY + 30 * DAY).isoformat()}),
    "resume": (DUTY, {}),
    "note": (RESIDENT, {"note": "补充一点"}),
    "remind": (LEADER, {}),
    "supervise": (LEADER, {"reason": "领导关注"}),
    "escalate": (DUTY, {"reason": "协调不动"}),
    "hand_down": (COUNTY_DESK, {"reason": "镇街自办"}),
    "take_over": (COUNTY_DESK, {"reason": "县里来办"}),
    "breach": (SYSTEM, {"clock": "close"}),
    "conclude": (SYSTEM, {"closed_at": MONDAY + HOUR}),
}


# Where each verb leads, told by hand; what is not here stays where it is.
LEADS_TO = {
    "accept": "accepted", "reject": "rejected", "send_check": "checking", "check": "reported", "void": "void",
    "merge": "merged", "dispatch": "dispatched", "reassign": "dispatched", "pick_up": "in_hand",
    "decline": "accepted", "dispose": "disposed", "solve": "disposed", "verify": "verified", "rework": "dispatched",
    "close": "closed", "reopen": "accepted", "archive": "archived", "conclude": "closed",
}  # fmt: skip


def walk(rnd: Random, category: str, imported: bool = False) -> Iterator[Case]:
    """Let many hands act on one incident, wishes good and bad, waits long and short; yield it after every act.

    A refused act must say why in words and must have changed nothing.
    """
    case = Case(category, imported=imported, target_at=MONDAY + DAY if imported else None)
    case.beside(Incident(102, number=77, state="reported", area_code=MICRO))
    yield case
    for _ in range(rnd.randint(5, 30)):
        case.now += timedelta(seconds=rnd.choice((0, 1, 60, 3_600, 86_400, 400_000)))
        actor = rnd.choice(_people(case))
        offered = [step.verb for step in lawful(case.incident, actor)]
        # Ends come last: a walk that is over at once proves little.
        lively = [v for v in offered if LEADS_TO.get(v) not in ENDED] or offered
        verb = rnd.choice(lively if lively and rnd.random() < 0.9 else sorted(BUTTONS))
        before, held = copy.deepcopy(case.incident), loads(case)
        refusal = case.ask(verb, actor, **_given(verb, case, rnd))
        if refusal is not None:
            check_words(refusal)
            assert (case.incident, loads(case)) == (before, held), f"{verb} was refused and changed something"
        yield case


def loads(case: Case) -> dict[int, int]:
    """Return what each team is believed to hold."""
    return {n: team.load for n in range(1, 9) if (team := case.context.roster.team(n)) is not None}


def read_back(case: Case) -> Incident:
    """Fold the events as they would be read from the database, every change through its JSON."""
    decode = msgspec.json.Decoder(Change).decode
    return replay(
        Event(
            e.incident_id, e.seq, e.at, e.verb, e.actor, e.cause, e.policy_version,
            decode(store.written(e.change).encode()),
        )
        for e in case.events
    )  # fmt: skip


def check_words(refusal: Refusal) -> None:
    """A refusal speaks both languages, with every blank filled in."""
    zh, en = refusal.words("zh"), refusal.words("en")
    assert re.search(r"[\u4e00-\u9fff]", zh)
    assert re.fullmatch(r"\S.*[a-z0-9)].*", en)
    assert not {"{", "}"} & {*zh, *en}
    # No code stands in for a word: people's ids, names of teams, what was typed and units of time are no codes.
    told = _OWN_WORDS.sub("", zh)
    assert not re.search(r"[a-z_]{2,}", told), told
    assert not re.search(r"[\u4e00-\u9fff]", _OWN_WORDS.sub("", en)), en


def check_segments(case: Case) -> None:
    """Segments follow each other without gap or overlap from report to end, of each life of the incident."""
    i = case.incident
    spans = [(s.began_at, s.ended_at, s.holder) for s in i.past]
    assert [s.seq for s in i.past] == list(range(1, len(i.past) + 1))
    if i.ended_at is None:
        assert i.segment == len(i.past) + 1
        spans.append((i.held_since, case.now, i.holder))
    lives: list[tuple[Any, Any]] = []
    for event in case.events:
        if event.verb in ("report", "reopen"):
            lives.append((event.at, None))
        elif event.change.to in ENDED and lives[-1][1] is None:
            lives[-1] = (lives[-1][0], event.at)
    total = sum(((end or case.now) - begin for begin, end in lives), timedelta())
    assert sum((end - begin for begin, end, _ in spans), timedelta()) == total
    assert all(begin <= end and holder for begin, end, holder in spans)
    gaps = [(a[1], b[0]) for a, b in pairwise(spans) if a[1] != b[0]]
    assert gaps == [(a[1], b[0]) for a, b in pairwise(lives) if a[1] != b[0]]


def check_leads(case: Case) -> None:
    """At most one lead assignment is alive."""
    assert sum(p.role == "lead" and p.state in LIVE for p in case.incident.parts.values()) <= 1


def check_owner(case: Case) -> None:
    """An open incident is somebody's, and an ended one nobody's any more."""
    i = case.incident
    assert i.ended_at is not None or re.fullmatch(r"(team/\d+|centre/\d{6,9})", i.holder)


def check(case: Case) -> None:
    """All that must hold of every incident at every moment."""
    i = case.incident
    live = [p for p in i.parts.values() if p.state in LIVE]
    assert read_back(case) == i
    check_segments(case)
    check_leads(case)
    assert len({p.team_id for p in live}) == len(live), "a team has two live parts"
    held = loads(case)
    assert held == {n: sum(p.team_id == n for p in live) for n in held}
    if i.ended_at is not None:
        assert i.state in ENDED
        assert not live
        assert not any(p.state == "review" for p in i.parts.values())
        assert not i.running()
    else:
        assert i.state in STATES.keys() - ENDED
        check_owner(case)
        with_team = i.state in ("dispatched", "in_hand")
        assert (i.lead is not None) == with_team
        assert i.holder.startswith("team/") == with_team
        if i.lead is not None:
            assert i.holder == f"team/{i.lead.team_id}"
            assert (i.lead.state == "sent") == (i.state == "dispatched")
    for clock in [*i.clocks.values(), *(c for p in i.parts.values() for c in p.clocks.values())]:
        if clock.awaited:
            assert (clock.due is None) == (clock.state == "paused") == (clock.left is not None)
    for part in i.parts.values():
        assert part.state in ASSIGNMENT_STATES
        assert (part.ended_at is None) == (part.state in LIVE or part.state == "review")


def _given(verb: str, case: Case, rnd: Random) -> dict[str, Any]:
    args = dict(BUTTONS[verb][1])
    if "team_id" in args:
        args["team_id"] = rnd.randint(1, 8)
    if verb == "suspend":
        args["until"] = case.now + rnd.randint(1, 80) * DAY
    if verb == "conclude":
        args["closed_at"] = case.now
    if verb == "breach":
        args["clock"] = rnd.choice(clocks.KINDS)
    if verb in ("dispose", "solve"):
        args["photos"] = ["https://x/1.jpg", "https://x/2.jpg"]
    if verb in ("rate", "rate_whistle"):
        args["rating"] = rnd.randint(1, 5)
    if verb == "recode":
        args["category"] = rnd.choice((JOINT, MAJOR, SMALL, WHISTLE))
    return args


def _people(case: Case) -> list[Actor]:
    crews = [
        Actor(f"team/{n}", "team", "445300", n) for n in {p.team_id for p in case.incident.parts.values()}
    ]
    return [*EVERYBODY, OTHER_CREW, GRID_CREW, *crews, *crews]

"""Every step of the chain does what the table says, every other is refused in words and changes nothing."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.rules.incident.chain import (
    LIVE,
    STATES,
    STEPS,
    SYSTEM,
    UNASKED,
    Actor,
    Command,
    Done,
    Incident,
    lawful,
    overtaken,
    replay,
    reporter_of,
)
from dispatch.rules.incident.effects import sampled
from dispatch.rules.refusals import FIELDS, SENTENCES
from dispatch.rules.time import clocks
from dispatch.scores.attribution import not_ours
from tests.small_law import (
    CITY,
    COUNTY,
    COUNTY_DESK,
    CREW,
    DISPATCHER,
    DUTY,
    FAR_TOWN,
    GRID_TEAM,
    HEAD,
    JOINT,
    LEADER,
    MAJOR,
    MONDAY,
    OTHER_CREW,
    OTHER_POLICE,
    POLICE,
    RESIDENT,
    SMALL,
    TOWN,
    VILLAGE,
    VILLAGE_DESK,
    WHISTLE,
    WORKER,
    Case,
    context,
    local,
    small_policy,
    teams,
)
from tests.walks import BUTTONS, EVERYBODY, LEADS_TO, WATER, check, check_words, loads, walk

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STRANGER = Actor("resident@0000000000000009", "resident", CITY)

# The way there: what was done, in this order, to stand in each state.
WAY = ("accept", "dispatch", "pick_up", "dispose", "verify", "close", "archive")
PATHS = {
    "reported": (),
    "checking": ("send_check",),
    "accepted": WAY[:1],
    "dispatched": WAY[:2],
    "in_hand": WAY[:3],
    "disposed": WAY[:4],
    "verified": WAY[:5],
    "closed": WAY[:6],
    "archived": WAY,
    "rejected": ("reject",),
    "void": ("void",),
    "merged": ("merge",),
}

# Steps whose state is right, but of which something else is missing on the plain way.
MISSING: dict[str | tuple[str, str], str] = {
    "send_whistle": "not_now", "refuse_whistle": "not_now", "end_whistle": "not_now", "rate_whistle": "not_now",
    "recall_assist": "no_part", "grant_extension": "not_asked", "refuse_extension": "not_asked",
    "resume": "not_suspended", "hand_down": "at_bottom", "breach": "no_clock", "judge_appeal": "not_appealed",
    "name_commander": "not_mode",
    ("dispatched", "arrive"): "not_now", ("dispatched", "dispose"): "not_now", ("in_hand", "pick_up"): "not_now",
    **{(s, v): "not_team" for s in ("disposed", "verified") for v in ("pick_up", "decline", "arrive", "dispose")},
}  # fmt: skip

# Clocks that an allowed step ends (-) and begins (+); `part` ones are the team's own.
CLOCKS = {
    "accept": "-accept +dispatch",
    "reject": "-accept",
    "dispatch": "-dispatch +part.pick_up +part.arrive +part.dispose",
    "reassign": "+part.pick_up +part.arrive +part.dispose",
    "pick_up": "-part.pick_up",
    "arrive": "-part.arrive",
    "decline": "+dispatch",
    "dispose": "-part.dispose +verify",
    "solve": "-accept -dispatch +verify",
    "verify": "-verify",
    "rework": "-verify +part.pick_up +part.arrive +part.dispose",
    "close": "-close",
    "reopen": "+dispatch +close",
    "conclude": "-close",
}


def standing(state: str) -> Case:
    """Lead an ordinary incident to a state, a minute a step."""
    case = Case(JOINT)
    case.beside(Incident(102, number=77, state="reported", area_code=VILLAGE))
    for verb in PATHS[state]:
        actor, args = BUTTONS[verb]
        case.do(verb, actor, case.now + MINUTE, **args)
    assert case.incident.state == state
    case.now += MINUTE
    return case


def test_every_button_of_the_table_is_pressed_here() -> None:
    """A verb that is added to the law must be added to these tests."""
    assert BUTTONS.keys() == STEPS.keys() - UNASKED
    assert PATHS.keys() == STATES.keys()
    for verb, step in STEPS.items():
        if verb not in UNASKED:
            assert step.target == LEADS_TO.get(verb, "dispatched" if verb == "send_whistle" else None)


@pytest.mark.parametrize("state", STATES)
def test_from_every_state_every_verb_does_what_is_written_or_nothing_at_all(state: str) -> None:
    """All pairs: the allowed change state, clocks and events as told by hand, the others are refused in words."""
    for verb, (actor, args) in BUTTONS.items():
        case = standing(state)
        before, held, events = copy.deepcopy(case.incident), loads(case), len(case.events)
        refusal = case.ask(verb, actor, **(args if verb != "conclude" else {"closed_at": case.now}))
        told = None if state in STEPS[verb].sources else "not_now"
        told = told or MISSING.get((state, verb)) or MISSING.get(verb)
        assert (refusal.code if refusal else None) == told, f"{state}, {verb}"
        if refusal is not None:
            check_words(refusal)
            assert (case.incident, loads(case), len(case.events)) == (before, held, events), (
                f"{state}, {verb}"
            )
            continue
        assert case.incident.state == LEADS_TO.get(verb, state), f"{state}, {verb}"
        assert [e.verb for e in case.events[events:]] == [verb]
        assert (case.incident.last_verb, case.incident.last_actor) == (verb, actor.id)
        check_clocks(before, case, CLOCKS.get(verb, ""))
        check(case)


def check_clocks(before: Incident, case: Case, told: str) -> None:
    """Each clock told to end has ended now, each told to begin runs from now, and no other has changed its limit."""
    i, now = case.incident, case.now
    for word in told.split():
        kind = word[1:].removeprefix("part.")
        if "part." in word:
            clock = list(i.parts.values())[-1].clocks[kind]
        else:
            if word[0] == "-" and (kind not in before.clocks or not before.clocks[kind].awaited):
                continue
            clock = i.clocks[kind]
        assert (clock.ended if word[0] == "-" else clock.since) == now, f"{case.events[-1].verb}: {word}"
        assert (clock.state == "running") == (word[0] == "+")
    begun = {kind for kind, clock in i.clocks.items() if clock.since == now}
    assert begun == {w[1:] for w in told.split() if w[0] == "+" and "part." not in w}


WATER_CREW = Actor("person/70", "team", COUNTY, WATER)
Press = tuple[str, Actor, dict[str, Any]]


def button(verb: str, who: Actor | None = None, **args: Any) -> Press:
    """Return a press as `BUTTONS` has it, by another hand or with other words where told."""
    actor, given = BUTTONS[verb]
    return verb, who or actor, given | args


BLOWN = [button("whistle")]
ANSWERED = [*BLOWN, button("send_whistle"), button("pick_up", WATER_CREW)]
FINISHED = [*ANSWERED, button("dispose", WATER_CREW)]
HELPED = [button("add_assist")]
# What plain standing in a state does not allow: what is done beside the way first, from which state on, and the press.
# The clocks that begin and end are those of the part that the press is about, told in `PART_CLOCKS`.
PREPARED: list[tuple[str, list[Press], Press]] = [
    ("reported", BLOWN, button("send_whistle")),
    ("reported", BLOWN, button("refuse_whistle")),
    ("dispatched", FINISHED, button("end_whistle")),
    ("dispatched", [*FINISHED, button("end_whistle")], button("rate_whistle")),
    ("dispatched", HELPED, button("recall_assist")),
    ("dispatched", HELPED, button("pick_up", WATER_CREW)),
    ("dispatched", HELPED, button("decline", WATER_CREW)),
    ("dispatched", [*HELPED, button("pick_up", WATER_CREW)], button("arrive", WATER_CREW)),
    ("dispatched", [*HELPED, button("pick_up", WATER_CREW)], button("dispose", WATER_CREW)),
    ("in_hand", [button("ask_extension")], button("grant_extension")),
    ("in_hand", [button("ask_extension")], button("refuse_extension")),
    ("reported", [button("escalate")], button("hand_down")),
    ("reported", [button("suspend")], button("resume")),
    ("closed", [button("appeal")], button("judge_appeal")),
]
# The part after the press: its state, the clocks ended by it (-), begun by it (+), stopped by it (=).
PART_CLOCKS = {
    "send_whistle": ("sent", "-accept +pick_up +arrive +dispose"),
    "refuse_whistle": ("refused", "=accept"),
    "end_whistle": ("ended", ""),
    "rate_whistle": ("ended", ""),
    "recall_assist": ("recalled", "=pick_up =arrive =dispose"),
    "pick_up": ("picked_up", "-pick_up"),
    "decline": ("declined", "=pick_up =arrive =dispose"),
    "arrive": ("on_site", "-arrive"),
    "dispose": ("done", "-dispose"),
}
ENDS = {
    "end_whistle",
    "rate_whistle",
}  # after disposal only: its preparation lies further back than its begin


def prepared(state: str, since: str, beside: list[Press], press: str) -> Case | None:
    """Lead an incident to a state with things done beside the way as soon as they could be; None where they cannot."""
    case = Case(JOINT)
    case.beside(Incident(102, number=77, state="reported", area_code=VILLAGE))
    way = [*PATHS[state]]
    left = list(beside)
    late = press in ("hand_down", "resume")  # these stop the way: they are prepared where it has led
    passed = False
    while True:
        ready = case.incident.state == state if late else True
        passed = passed or since in ("reported", case.incident.state)
        while left and ready and passed:
            # The end of a whistle waits for the lead's disposal.
            if left[0][0] in ENDS and case.incident.state not in ("disposed", "verified", "closed"):
                break
            verb, actor, args = left[0]
            if case.ask(verb, actor, **args) is not None:
                break
            left.pop(0)
            case.now += MINUTE
        if not way:
            break
        actor, args = BUTTONS[way[0]]
        case.do(way.pop(0), actor, case.now + MINUTE, **args)
    case.now += MINUTE
    return case if not left and case.incident.state == state else None


@pytest.mark.parametrize(
    ("since", "beside", "press"), PREPARED, ids=[each[2][0] + "/" + each[0] for each in PREPARED]
)
def test_what_needs_something_done_before_is_allowed_in_every_state_of_its_row(
    since: str, beside: list[Press], press: Press
) -> None:
    """The pairs that stand in no plain way: whistles, assisting teams, extensions, pauses, hand-downs and appeals."""
    verb, actor, args = press
    tried = set()
    for state in sorted(STEPS[verb].sources):
        case = prepared(state, since, beside, verb)
        if case is None:
            continue
        tried.add(state)
        before, events = copy.deepcopy(case.incident), len(case.events)
        parts = {p.team_id: p for p in before.parts.values()}
        refusal = case.ask(verb, actor, **args)
        assert refusal is None, f"{state}, {verb}: {refusal.words('en')}"
        leads = verb == "send_whistle" and state in ("reported", "accepted")
        assert case.incident.state == ("dispatched" if leads else state), f"{state}, {verb}"
        assert [e.verb for e in case.events[events:]] == [verb]
        check(case)
        if verb in PART_CLOCKS:
            told_state, told = PART_CLOCKS[verb]
            [mine] = [p for p in case.incident.parts.values() if p.team_id == WATER]
            assert mine.state == told_state
            for word in told.split():
                clock = mine.clocks[word[1:]]
                if word[0] == "=":
                    was = parts[WATER].clocks[word[1:]]
                    assert clock == (clocks.pause(was, case.now, case.policy.calendar)), (
                        f"{state}, {verb}: {word}"
                    )
                    assert was.ended is not None or clock.state == "paused"
                else:
                    assert (clock.ended if word[0] == "-" else clock.since) == case.now, (
                        f"{state}, {verb}: {word}"
                    )
            # Nobody else's part has moved, and of the incident's clocks only those that a new lead answers.
            rest = {p.id: p for p in case.incident.parts.values() if p.team_id != WATER}
            assert rest == {p.id: p for p in before.parts.values() if p.team_id != WATER}
            answered = (
                {"accept", "dispatch"} & {k for k, c in before.clocks.items() if c.awaited}
                if leads
                else set()
            )
            assert {k for k, c in case.incident.clocks.items() if c != before.clocks[k]} == answered
        elif verb == "grant_extension":
            [mine], [old] = case.incident.parts.values(), before.parts.values()
            assert old.clocks["dispose"].due is not None
            later = case.policy.calendar.after(old.clocks["dispose"].due, 4 * 3600, True)
            assert mine.clocks == old.clocks | {"dispose": replace(old.clocks["dispose"], due=later)}
        elif verb == "resume":
            running = [c for c in case.incident.running() if c.awaited]
            assert running
            assert {c.state for c in running} == {"running"}
        else:
            assert (case.incident.clocks, case.incident.parts) == (before.clocks, before.parts), (
                f"{state}, {verb}"
            )
    assert tried == STEPS[verb].sources, f"{verb} was never allowed in {STEPS[verb].sources - tried}"


@pytest.mark.parametrize("state", sorted(STEPS["breach"].sources))
def test_in_every_open_state_a_passed_limit_is_noted_and_nothing_else_moves(state: str) -> None:
    case = standing(state)
    before = copy.deepcopy(case.incident)
    assert before.clocks["close"].due is not None
    case.now = before.clocks["close"].due
    assert case.refused("breach", SYSTEM, clock="close") == "no_clock"
    case.do("breach", SYSTEM, case.now + MINUTE, clock="close")
    assert case.incident.clocks == before.clocks | {"close": clocks.breach(before.clocks["close"])}
    assert (case.incident.state, case.incident.parts) == (before.state, before.parts)
    assert case.refused("breach", SYSTEM, clock="close") == "no_clock"
    check(case)


@pytest.mark.parametrize("state", sorted(STEPS["name_commander"].sources))
def test_in_every_state_before_disposal_a_major_matter_gets_its_commander(state: str) -> None:
    case = Case(MAJOR, routed=False)
    for verb in PATHS[state]:
        case.do(verb, BUTTONS[verb][0], case.now + MINUTE, **BUTTONS[verb][1])
    before = copy.deepcopy(case.incident)
    case.do("name_commander", DUTY, case.now + MINUTE, commander="person/11")
    assert case.incident.facts["commander"] == "person/11"
    assert (case.incident.state, case.incident.clocks) == (before.state, before.clocks)
    check(case)


@pytest.mark.parametrize("verb", sorted(BUTTONS))
def test_whoever_the_table_does_not_name_is_refused(verb: str) -> None:
    """Every other role, in every state from which the step begins."""
    step = STEPS[verb]
    for actor in EVERYBODY:
        if actor.role in step.roles:
            continue
        for state in sorted(step.sources):
            case = standing(state)
            before = copy.deepcopy(case.incident)
            refusal = case.ask(verb, actor, **BUTTONS[verb][1])
            assert refusal is not None
            assert refusal.code == "not_role", f"{actor.role}, {state}"
            assert case.incident == before
            check_words(refusal)


@pytest.mark.parametrize("verb", sorted(set(BUTTONS) - {"absorb", "breach", "conclude", "archive"}))
def test_nobody_acts_outside_their_area_or_for_another_team(verb: str) -> None:
    """A role that may does so in its own subtree only; no area at all is no key to everything."""
    actor, args = BUTTONS[verb]
    moves_a_part = (STEPS[verb].part or frozenset()) & LIVE
    for state in sorted(STEPS[verb].sources):
        for area in (FAR_TOWN, "445302002", "445302001002", ""):
            if actor.role == "team":
                stranger = Actor("person/99", actor.role, area, 4)
                told = {"not_team"} if moves_a_part else {"not_area"}
            else:
                stranger = Actor("person/99", actor.role, area, None)
                told = {"not_yours" if actor.role == "resident" else "not_area"}
            if area == FAR_TOWN[:6] or (area == "445302002" and actor.role == "county"):
                continue
            case = standing(state)
            refusal = case.ask(verb, stranger, **args)
            assert refusal is not None
            assert refusal.code in told, f"{state}, {verb}, {area!r}"
            check_words(refusal)


@pytest.mark.parametrize("verb", sorted(verb for verb in BUTTONS if STEPS[verb].needs))
def test_what_must_be_given_must_be_given(verb: str) -> None:
    """Missing, empty and blank are all the same nothing, and the refusal names the field."""
    actor, args = BUTTONS[verb]
    for need in STEPS[verb].needs:
        for nothing in (None, "", "  \n", ()):
            case = standing(min(STEPS[verb].sources))
            case.incident.mode = (*STEPS[verb].modes, case.incident.mode)[0]
            refusal = case.ask(verb, actor, **{**args, need: nothing})
            assert refusal is not None
            assert refusal.code == "needs"
            assert FIELDS[need][0] in refusal.words("zh")
            assert FIELDS[need][1] in refusal.words("en")


def test_the_buttons_shown_are_those_that_work() -> None:
    """What `lawful` offers to anybody is never refused for role, area, team or state; what it hides always is."""
    hard = {"not_role", "not_area", "not_team", "not_now", "not_mode", "not_yours"}
    for state in STATES:
        for actor in (*EVERYBODY, OTHER_CREW, Actor("person/99", "dispatcher", FAR_TOWN), STRANGER):
            shown = {step.verb for step in lawful(standing(state).incident, actor)}
            for verb in BUTTONS:
                refusal = standing(state).ask(verb, actor, **BUTTONS[verb][1])
                code = refusal.code if refusal else None
                if verb == "appeal" and code == "not_team":
                    continue  # whether a team ever had a part in it is looked at when it appeals
                assert (code in hard) == (verb not in shown), f"{state}, {verb}, {actor.role}: {code}"


@pytest.mark.parametrize("verb", ["report", "route", "fly"])
def test_reports_and_routes_are_not_commands(verb: str) -> None:
    """Asked for as a command they would leave an incident with nobody."""
    assert standing("reported").refused(verb, SYSTEM) == "unknown_verb"


def test_every_sentence_is_said_somewhere_and_every_code_has_one() -> None:
    """Sentences nobody says and codes without a sentence are both mistakes."""
    said: set[str] = set()
    for path in Path(__file__).parents[2].joinpath("dispatch").rglob("*.py"):
        said |= set(re.findall(r'Refusal\(\s*"(\w+)"', path.read_text("utf-8")))
    assert said == SENTENCES.keys()
    assert {need for step in STEPS.values() for need in step.needs} <= FIELDS.keys()


def test_an_act_before_the_last_step_is_refused_with_its_time() -> None:
    """Time on an incident never runs backwards."""
    case = standing("accepted")
    case.now = case.incident.last_at - timedelta(seconds=1)
    refusal = case.ask("dispatch", DISPATCHER, team_id=POLICE)
    assert refusal is not None
    assert refusal.code == "before"
    assert "09:01:00" in refusal.words("en")


def test_the_second_hand_reads_who_did_what_and_when() -> None:
    """Never an overwrite: X already did Y at hh:mm, on the city's own clock."""
    case = standing("accepted")
    refusal = case.ask("accept", DUTY)
    assert refusal is not None
    assert refusal.words("zh") == "现在是“待派遣”，不能受理：person/10 已于 09:01 受理"
    assert (
        refusal.words("en")
        == "It is accepted now, which leaves no step to accept: person/10 already did accept at 09:01"
    )


def test_whoever_presses_on_what_they_have_not_seen_reads_who_was_quicker() -> None:
    """Also where the step would still be lawful: a second reassignment, a second raise, another commander."""

    def stopped(verb: str, actor: Actor, seen: int | None, *done: tuple[int, str, str]) -> str | None:
        since = [Done(seq, did, who, MONDAY) for seq, did, who in done]
        refusal = overtaken(Command(verb, 101, actor, "x", {}, seen), since, small_policy())
        if refusal is None:
            return None
        assert refusal.code == "overtaken"
        check_words(refusal)
        return refusal.words("en")

    quicker = "person/11 already did reassign at 09:00: look at it before you reassign"
    assert stopped("reassign", DISPATCHER, 3, (4, "reassign", DUTY.id)) == quicker
    assert stopped("reassign", DISPATCHER, 3, (4, "reassign", DUTY.id), (5, "breach", "system")) == quicker
    assert stopped("reassign", DISPATCHER, 3, (4, "pick_up", CREW.id), (5, "note", DUTY.id)) is not None
    for same in ("escalate", "name_commander", "hand_down", "arrive"):
        assert stopped(same, DISPATCHER, 3, (4, same, DUTY.id)) is not None
    # What was seen, one's own step, the machine's, and what happens beside take nothing from anybody.
    assert stopped("reassign", DISPATCHER, 4, (4, "reassign", DUTY.id)) is None
    assert stopped("reassign", DISPATCHER, None, (4, "reassign", DUTY.id)) is None
    assert (
        stopped("reassign", DISPATCHER, 3, (4, "add_assist", DISPATCHER.id), (5, "escalate", "system"))
        is None
    )
    assert stopped("reassign", DISPATCHER, 3, (4, "note", DUTY.id), (5, "supervise", LEADER.id)) is None
    assert stopped("escalate", DISPATCHER, 3, (4, "reassign", DUTY.id)) is None
    for added in ("note", "remind", "supervise"):
        assert stopped(added, DISPATCHER, 3, (4, added, DUTY.id)) is None


# --- the rules that other systems got wrong


def test_a_resident_acts_on_no_report_but_their_own() -> None:
    """With a contact its token proves it, without one the receipt; a number never stands in for a contact."""
    for token, own in (("a1b2c3d4e5f60718", "resident@a1b2c3d4e5f60718"), ("", RESIDENT.id)):
        case = Case(JOINT, reporter=token)
        assert reporter_of(case.incident) == own
        for wrong in ("resident@", "resident@0000000000000002", "a1b2c3d4e5f60718", f"resident@{VILLAGE}"):
            stranger = Actor(wrong, "resident", CITY)
            assert case.refused("note", stranger, note="补充") == "not_yours"
            assert lawful(case.incident, stranger) == []
        if token:
            assert case.refused("note", RESIDENT, note="补充") == "not_yours"
        case.do("note", Actor(own, "resident", FAR_TOWN), note="补充")
        assert case.incident.facts.get("reporter", "") == token
    closed = standing("closed")
    for verb, args in (("rate", {"rating": 1}), ("reopen", {"reason": "没解决"})):
        assert closed.refused(verb, STRANGER, **args) == "not_yours"
    check(case)


def test_a_commander_is_named_for_major_matters_before_disposal_and_once() -> None:
    """The record says whom; another may follow, the same one again is refused."""
    assert standing("accepted").refused("name_commander", DUTY, commander="person/11") == "not_mode"
    case = Case(MAJOR)
    first = case.events[-1].change.said["commander"]
    assert first == case.incident.facts["commander"] == f"duty/{TOWN}"
    refusal = case.ask("name_commander", DUTY, commander=first)
    assert refusal is not None
    assert refusal.code == "same_commander"
    check_words(refusal)
    case.do("name_commander", DUTY, commander="person/30")
    assert case.events[-1].change.said["commander"] == case.incident.facts["commander"] == "person/30"
    assert case.refused("name_commander", DUTY, commander="person/30") == "same_commander"
    case.do("pick_up", CREW).do("dispose", CREW, result="已处置")
    assert case.refused("name_commander", DUTY, commander="person/31") == "not_now"
    check(case)


def test_an_end_at_the_source_from_before_reopening_does_not_end_the_new_life() -> None:
    """What the source told of the former life is over; a later end is judged by itself."""
    case = Case(JOINT, imported=True, target_at=MONDAY + 3 * DAY)
    case.do("conclude", SYSTEM, MONDAY + DAY, closed_at=MONDAY + DAY)
    case.do("reopen", DUTY, MONDAY + 2 * DAY, reason="又来了")
    for early in (MONDAY + HOUR, MONDAY + DAY):
        assert case.refused("conclude", SYSTEM, closed_at=early) == "before"
    case.do("conclude", SYSTEM, MONDAY + 4 * DAY, closed_at=MONDAY + 4 * DAY)
    assert case.incident.state == "closed"
    check(case)


def test_what_was_gathered_as_silent_is_not_raised_when_it_was_heard_or_raised_meanwhile() -> None:
    """Between looking and acting a team may pick up, and another hand may have raised it."""
    case = Case(JOINT).do("accept", DISPATCHER)
    case.now = MONDAY + 2 * HOUR
    assert case.refused("escalate", SYSTEM, reason="silence", silent_at=3) == "moved_on"
    case.do("breach", SYSTEM, clock="dispatch")
    assert case.refused("escalate", SYSTEM, reason="silence", silent_at=2) == "moved_on"
    case.do("escalate", SYSTEM, reason="silence", silent_at=3)
    assert case.incident.level == 2
    case.do("hand_down", COUNTY_DESK, MONDAY + 3 * HOUR, reason="镇街自办")
    assert datetime.fromisoformat(case.incident.facts["handed_down_at"]) == case.now
    case.do("dispatch", DISPATCHER, team_id=POLICE)
    assert case.refused("escalate", SYSTEM, reason="silence", silent_at=3) == "moved_on"
    check(case)


def test_nobody_verifies_or_returns_their_own_disposal() -> None:
    """Neither the one who disposed of it, nor a colleague of the same team, also after a rework."""
    same_person = Actor(CREW.id, "grid_head", TOWN)
    colleague = Actor("person/55", "grid_worker", TOWN, POLICE)
    case = standing("disposed")
    for _ in range(2):
        for actor in (same_person, colleague):
            assert case.refused("verify", actor) == "same_hand"
            assert case.refused("rework", actor, reason="自己返工") == "same_hand"
        case.do("rework", HEAD, reason="还有问题")
        assert case.incident.disposed_at is None, "what must be done again is not disposed of"
        case.do("pick_up", CREW).do("dispose", CREW, result="再次处置")
    assert case.incident.facts["reworks"] == 2
    case.do("verify", HEAD)
    check(case)


def test_whoever_disposed_last_is_the_one_who_may_not_verify() -> None:
    """After a rework by another hand, the first hand is independent again."""
    case = standing("reported")
    case.do("solve", WORKER, result="当场解决")
    colleague = Actor("person/56", "grid_worker", WORKER.area_code, GRID_TEAM)
    assert case.refused("verify", WORKER) == case.refused("verify", colleague) == "same_hand"
    case.do("rework", DISPATCHER, reason="没解决")
    assert case.incident.state == "accepted", "a grid worker's own work goes back to the dispatcher"
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW).do("dispose", CREW, result="已处置")
    assert case.incident.facts["solved_in_grid"] is False
    case.do("verify", WORKER)
    check(case)


def test_a_rework_goes_back_to_the_hand_that_did_it_last() -> None:
    """A team that disposed of it once gets nothing back that a grid worker solved since."""
    case = standing("disposed")
    case.do("rework", HEAD, reason="还有问题").do("decline", CREW, return_kind="not_ours", reason="不归我们")
    case.do("solve", WORKER, result="网格解决").do("rework", DISPATCHER, reason="没解决")
    assert (case.incident.state, case.incident.holder) == ("accepted", f"centre/{TOWN}")
    check(case)


def test_a_team_that_returned_it_goes_on_with_what_was_left_and_another_begins_anew() -> None:
    """Three working days, two hours used, a day away: 22 hours are left; another team gets all 24."""
    case = Case(JOINT, at=local("2026-03-02 08:00")).do("accept", DISPATCHER)
    case.do("dispatch", DISPATCHER, team_id=POLICE)
    case.do("decline", CREW, local("2026-03-02 10:00"), return_kind="not_ours", reason="不是我们的事")
    assert case.incident.awaits == "dispatch"
    assert case.incident.clocks["dispatch"].due == local("2026-03-02 10:30")
    for road in ("dispatch", "reassign"):
        other = Case(JOINT, at=local("2026-03-02 08:00")).do("accept", DISPATCHER)
        other.do("dispatch", DISPATCHER, team_id=POLICE)
        other.do("decline", CREW, local("2026-03-02 10:00"), return_kind="not_ours", reason="不是我们的事")
        other.now = local("2026-03-03 08:00")
        if road == "reassign":
            other.do("dispatch", DISPATCHER, team_id=OTHER_POLICE)
            assert other.incident.lead is not None
            assert other.incident.lead.clocks["dispose"].due == local("2026-03-05 18:00")
        other.do(road, DISPATCHER, team_id=POLICE, reason="还是你们")
        assert other.incident.lead is not None
        clock = other.incident.lead.clocks["dispose"]
        assert (clock.due, clock.state) == (local("2026-03-05 16:00"), "running")
        check(other)


def test_the_remainder_counts_from_the_latest_return_whatever_the_ids() -> None:
    """Two desks number assignments from different blocks: an earlier part may have the higher id."""
    numbers = iter((2_000, 1_000, 1_001))
    own = replace(context(), new_id=lambda: next(numbers))
    case = Case(JOINT, own=own, at=local("2026-03-02 08:00")).do("accept", DISPATCHER)
    for hour in (10, 12):
        case.do("dispatch", DISPATCHER, team_id=POLICE)
        case.do("decline", CREW, local(f"2026-03-02 {hour}:00"), return_kind="not_ours", reason="不归我们")
    case.incident.parts = dict(sorted(case.incident.parts.items()))
    case.do("dispatch", DISPATCHER, local("2026-03-03 08:00"), team_id=POLICE)
    assert case.incident.lead is not None
    # 24 hours less the two and the two that ran before each return.
    assert case.incident.lead.clocks["dispose"].due == local("2026-03-05 14:00") - 2 * HOUR


def test_reassigning_takes_it_from_the_old_team_at_once_and_leaves_its_time_with_it() -> None:
    """Two segments, one of each team, and no trace of it among the old team's live parts."""
    case = standing("in_hand")
    case.do("reassign", DISPATCHER, case.now + HOUR, team_id=OTHER_POLICE, reason="就近")
    assert case.refused("dispose", CREW, result="已处置") == "not_team"
    held = [s.holder for s in case.incident.past if s.holder.startswith("team/")]
    assert set(held) == {f"team/{POLICE}"}
    assert case.incident.holder == f"team/{OTHER_POLICE}"
    assert case.refused("reassign", DISPATCHER, team_id=OTHER_POLICE, reason="再派") == "same_team"
    check(case)


def test_reassigning_never_makes_a_second_lead_of_an_assisting_part() -> None:
    """Whatever part is named, it is the lead that changes hands."""
    case = standing("in_hand")
    case.do("add_assist", DISPATCHER, team_id=WATER)
    assist = next(p for p in case.incident.parts.values() if p.role == "assist")
    case.do("reassign", DISPATCHER, team_id=OTHER_POLICE, reason="换队", assignment_id=assist.id)
    check(case)
    assert case.incident.parts[assist.id].state == "sent"


def test_a_dispatcher_may_not_put_an_end_to_what_a_department_returned() -> None:
    """Neither by voiding it nor by closing; a higher desk may."""
    case = standing("dispatched")
    case.do("decline", CREW, return_kind="not_ours", reason="不归我们")
    assert case.refused("void", DISPATCHER, reason="算了") == "returned_not_closed"
    case.do("void", COUNTY_DESK, reason="重复件")
    check(case)


@pytest.mark.parametrize("rating", [0, 6, 4.5, "5", True, [5]])
def test_a_rating_is_a_whole_number_from_one_to_five(rating: object) -> None:
    """A truth value is no rating."""
    assert standing("closed").refused("rate", RESIDENT, rating=rating) == "rating"


def test_a_rating_after_closing_touches_no_segment() -> None:
    """The last one ended with the case."""
    case = standing("closed")
    past, ended = copy.deepcopy(case.incident.past), case.incident.ended_at
    case.do("rate", RESIDENT, case.now + DAY, rating=2)
    assert (case.incident.past, case.incident.ended_at, case.incident.rating) == (past, ended, 2)
    check(case)


@pytest.mark.parametrize("ticked", [False, "yes", 1])
def test_closing_needs_the_standard_ticked_and_nothing_like_it(ticked: object) -> None:
    """Only true is true."""
    assert standing("verified").refused("close", DUTY, standard=ticked) == "standard"


@pytest.mark.parametrize("team_id", [99, "3", True, 3.0, [3]])
def test_an_unknown_team_is_refused_and_never_a_crash(team_id: object) -> None:
    """Whatever is sent in its place."""
    assert standing("accepted").refused("dispatch", DISPATCHER, team_id=team_id) == "unknown_team"


def test_an_acknowledged_incident_goes_on_counting() -> None:
    """Picking up ends the pick-up clock and no other: silence after it breaches again."""
    case = standing("in_hand")
    assert case.incident.lead is not None
    due = case.incident.lead.clocks["dispose"].due
    assert due is not None
    assert clocks.nearest(case.incident.running()) is not None
    case.do("breach", SYSTEM, due + MINUTE, clock="dispose")
    assert clocks.overdue_since(case.incident.running()) == due
    assert case.refused("breach", SYSTEM, clock="dispose") == "no_clock"
    case.do("dispose", CREW, result="晚了")
    assert case.incident.disposed_on_time is False
    check(case)


def test_what_comes_exactly_at_the_limit_is_on_time() -> None:
    """And cannot be breached at that instant."""
    case = standing("in_hand")
    assert case.incident.lead is not None
    due = case.incident.lead.clocks["dispose"].due
    assert due is not None
    case.now = due
    assert case.refused("breach", SYSTEM, clock="dispose") == "no_clock"
    case.do("dispose", CREW, result="正好")
    assert case.incident.disposed_on_time is True


def test_a_source_that_ends_its_case_in_time_kept_its_promise_however_late_we_hear() -> None:
    """The promise is judged by the end at the source, though a breach was noted meanwhile."""
    for ended, kept in ((2 * HOUR, True), (2 * HOUR + MINUTE, False)):
        case = Case(JOINT, imported=True, target_at=MONDAY + 2 * HOUR, routed=False)
        assert case.incident.clocks.keys() == {"dispose"}
        case.do("breach", SYSTEM, MONDAY + 3 * HOUR, clock="dispose")
        case.do("conclude", SYSTEM, MONDAY + 4 * HOUR, closed_at=MONDAY + ended)
        assert (case.incident.state, case.incident.disposed_on_time) == ("closed", kept)
        assert case.incident.disposed_at == MONDAY + ended
        check(case)


def test_a_source_cannot_end_what_was_not_yet_reported_nor_with_no_time_at_all() -> None:
    """Both are refused, not written."""
    case = Case(JOINT, imported=True, routed=False)
    assert case.refused("conclude", SYSTEM, closed_at=MONDAY - MINUTE) == "before"
    assert case.refused("conclude", SYSTEM) == "needs"
    assert case.refused("conclude", SYSTEM, closed_at="yesterday") == "needs"
    assert case.refused("conclude", SYSTEM, closed_at=MONDAY.replace(tzinfo=None)) == "needs"


def test_an_end_at_the_source_keeps_the_verdict_of_a_disposal_before_it() -> None:
    """What our team did in time was done in time."""
    case = standing("disposed")
    at = case.incident.disposed_at
    case.do("conclude", SYSTEM, MONDAY + 60 * DAY, closed_at=MONDAY + 60 * DAY)
    assert (case.incident.disposed_at, case.incident.disposed_on_time) == (at, True)
    assert case.incident.closed_on_time is False


def test_our_clocks_do_not_judge_what_another_system_runs() -> None:
    """However old it is and whatever is done with it here."""
    case = Case(JOINT, imported=True, at=local("2010-03-01 09:00"), routed=False)
    case.do("accept", DISPATCHER).do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    case.do("dispose", CREW, result="已处置").do("verify", HEAD).do("close", DUTY, standard=True)
    assert not case.incident.clocks
    assert not any(part.clocks for part in case.incident.parts.values())
    assert (case.incident.disposed_on_time, case.incident.closed_on_time) == (None, None)
    check(case)


def test_a_promise_of_the_source_is_judged_when_our_own_people_keep_it() -> None:
    """By a team's result and by a grid worker's alike."""
    for late in (False, True):
        for road in ("dispose", "solve"):
            case = Case(JOINT, imported=True, target_at=MONDAY + HOUR, routed=False)
            if road == "dispose":
                case.do("accept", DISPATCHER).do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
            actor = CREW if road == "dispose" else WORKER
            case.do(road, actor, MONDAY + (2 if late else 1) * HOUR, result="已处置")
            assert case.incident.disposed_on_time is not late
            check(case)


def test_no_timer_of_a_former_life_fires_after_reopening() -> None:
    """Concluded while our own clocks still ran, reopened months later: only the new clocks count."""
    case = standing("reported")
    case.do("conclude", SYSTEM, case.now, closed_at=case.now)
    case.do("reopen", DUTY, MONDAY + 100 * DAY, reason="又来了")
    running = [clock for clock in case.incident.running() if clock.awaited]
    assert {clock.since for clock in running} == {case.now}
    assert case.refused("breach", SYSTEM, clock="accept") == "no_clock"
    assert case.incident.facts["former"][0]["closed_on_time"] is True
    check(case)


def test_no_part_outlives_its_incident() -> None:
    """A lead returns it, an assisting team still works on it, and it is voided: nobody keeps it in hand."""
    case = standing("in_hand")
    case.do("add_assist", DISPATCHER, team_id=WATER).do(
        "decline", CREW, return_kind="not_ours", reason="不归我们"
    )
    case.do("void", DUTY, reason="误报")
    check(case)


def test_a_whistle_that_nobody_reviewed_ends_with_its_incident() -> None:
    """Its clock does not fire when the incident is reopened, and nobody can send it any more."""
    case = standing("in_hand")
    case.do("whistle", HEAD, whistle_kind="hard", reason="一家办不了", team_id=WATER)
    case.do("dispose", CREW, result="已处置").do("verify", HEAD).do("close", DUTY, standard=True)
    check(case)
    case.do("reopen", DUTY, MONDAY + 5 * DAY, reason="又来了")
    assert case.refused("breach", SYSTEM, clock="accept") == "no_clock"
    assert case.refused("send_whistle", DISPATCHER) == "not_now"
    check(case)


@pytest.mark.parametrize("road", ["dispatch", "add_assist"])
def test_a_whistle_is_not_sent_to_a_team_that_got_its_part_by_another_road(road: str) -> None:
    """Blown for, then dispatched or asked to assist while it was under review: one part, and the whistle is refused."""
    case = standing("accepted" if road == "dispatch" else "dispatched")
    case.do("whistle", HEAD, whistle_kind="hard", reason="一家办不了", team_id=WATER)
    case.do(road, DISPATCHER, team_id=WATER)
    refusal = case.ask("send_whistle", DISPATCHER)
    assert refusal is not None
    assert refusal.code == "has_part"
    check_words(refusal)
    check(case)
    case.do("refuse_whistle", DISPATCHER, reason="已派")
    check(case)


def test_an_assisting_team_may_finish_after_the_lead_has() -> None:
    """And moves nothing but its own part."""
    case = standing("in_hand")
    case.do("add_assist", DISPATCHER, team_id=WATER)
    water = Actor("person/70", "team", COUNTY, WATER)
    case.do("dispose", CREW, result="已处置")
    verdict = case.incident.disposed_at
    case.now += MINUTE
    case.do("pick_up", water).do("dispose", water, result="配合完毕")
    assert (case.incident.state, case.incident.disposed_at) == ("disposed", verdict)
    check(case)


def test_a_small_matter_that_nobody_checked_is_closed_by_another_hand() -> None:
    """The village that solved it does not close it."""
    photos = ("https://x/1.jpg", "https://x/2.jpg")
    number = next(n for n in range(1, 1000) if not sampled(n))
    case = Case(SMALL, number=number, routed=False)
    assert case.refused("solve", VILLAGE_DESK, result="好了", photos=photos[:1]) == "two_photos"
    case.do("solve", VILLAGE_DESK, result="好了", photos=photos)
    assert case.incident.state == "verified"
    assert case.refused("close", VILLAGE_DESK, standard=True) == "same_hand"
    case.do("close", DISPATCHER, standard=True)
    check(case)


def test_one_small_matter_in_twenty_is_drawn_for_a_check() -> None:
    """By its number alone, so that nobody knows before and everybody can check after."""
    share = sum(sampled(n) for n in range(20_000)) / 20_000
    assert 0.045 < share < 0.055
    number = next(n for n in range(1, 1000) if sampled(n))
    case = Case(SMALL, number=number, routed=False)
    case.do("solve", WORKER, result="好了", photos=("https://x/1.jpg", "https://x/2.jpg"))
    assert case.incident.state == "disposed"


def test_a_refused_result_leaves_the_teams_load_as_it_was() -> None:
    """A major matter without a second unit is refused, and the team still has it."""
    case = Case(MAJOR, own=context([t for t in teams() if t.trade == "police"]))
    assert case.incident.lead is not None
    crew = Actor("person/71", "team", TOWN, case.incident.lead.team_id)
    case.do("pick_up", crew)
    assert case.refused("dispose", crew, result="好了") == "major"
    held = case.context.roster.team(case.incident.lead.team_id)
    assert held is not None
    assert held.load == 1


@pytest.mark.parametrize("limit", ["9999wd", "0m", "soon", "91ud", ""])
def test_an_extension_is_a_limit_of_at_most_ninety_days(limit: str) -> None:
    """What cannot be counted is refused when asked, not found out when granted."""
    code = standing("in_hand").refused("ask_extension", CREW, limit=limit, reason="等")
    assert code == ("limit" if limit else "needs")


def test_an_extension_moves_the_limit_and_no_third_is_granted() -> None:
    """Each adds its own time to the due time that stood."""
    case = standing("in_hand")
    assert case.incident.lead is not None
    due = case.incident.lead.clocks["dispose"].due
    assert due is not None
    for _ in range(2):
        case.do("ask_extension", CREW, limit="2ud", reason="等").do("grant_extension", DUTY)
    assert case.incident.lead is not None
    assert case.incident.lead.clocks["dispose"].due == due + 4 * DAY
    assert case.refused("ask_extension", CREW, limit="2ud", reason="等") == "extended_twice"
    check(case)


def test_a_suspended_incident_counts_nothing_and_raises_no_alarm() -> None:
    """Its clocks stop, its buttons rest, its segment says why; what was left runs on afterwards."""
    case = Case(JOINT, at=local("2026-03-02 08:00")).do("accept", DISPATCHER)
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    case.do("suspend", DUTY, local("2026-03-02 10:00"), reason="等法院", until=local("2026-03-20 08:00"))
    case.now = local("2026-03-10 08:00")
    assert clocks.nearest(case.incident.running()) is None
    assert case.refused("dispose", CREW, result="已处置") == "suspended"
    assert case.refused("breach", SYSTEM, clock="dispose") == "suspended"
    assert case.incident.paused_why == "等法院"
    check(case)
    case.do("resume", SYSTEM)
    assert case.incident.lead is not None
    assert case.incident.lead.clocks["dispose"].due == local("2026-03-12 16:00")
    check(case)


def test_a_position_that_is_no_position_is_refused_with_a_sentence() -> None:
    """Words, too few numbers and far away, where the incident has a point."""
    case = Case(JOINT, lon=112.0, lat=22.9, located="point").do("accept", DISPATCHER)
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    for position in (None, "here", ["a", "b"], [112.0], [None, None]):
        assert case.refused("arrive", CREW, position=position) == "no_position"
    for position in ([113.0, 22.9], [float("nan"), 22.9]):
        refusal = case.ask("arrive", CREW, position=position)
        assert refusal is not None
        assert refusal.code == "not_near"
        check_words(refusal)
    case.do("arrive", CREW, position=[112.001, 22.9])
    check(case)


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([JOINT, MAJOR, SMALL, WHISTLE]), st.booleans())
def test_whatever_anybody_does_the_incident_stays_whole(rnd: Random, category: str, imported: bool) -> None:
    """Many hands, good wishes and bad, long waits and short: replay, segments, holder, lead and loads hold."""
    for case in walk(rnd, category, imported):
        check(case)


def test_an_incident_without_events_is_no_incident() -> None:
    """Nothing folds to nothing."""
    with pytest.raises(ValueError, match="at least one event"):
        replay([])
    assert small_policy().version == 7


def test_a_return_counts_as_not_ours_by_its_tick_and_an_old_one_by_its_words() -> None:
    words = ("非本单位", "not our unit")

    def returned(**said: str) -> bool:
        case = standing("dispatched")
        args: dict[str, Any] = {"return_kind": "other", **said}
        case.do("decline", CREW, **args)
        if "return_kind" not in said:
            # As before it was asked for.
            last = case.events[-1]
            said = {name: value for name, value in last.change.said.items() if name != "return_kind"}
            last.change = replace(last.change, said=said)
        lead = case.events[-1].change.assignments[0].id
        return lead in not_ours(case.events, words)

    assert returned(return_kind="not_ours", reason="该由水利办")
    assert not returned(return_kind="no_means", reason="非本单位能办的量")
    assert returned(reason="Not our unit, sorry")
    assert not returned(reason="人手不够")

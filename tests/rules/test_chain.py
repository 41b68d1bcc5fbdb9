"""Every step of the chain does what the table says, every other is refused in words and changes nothing."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

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
)
from dispatch.rules.refusals import FIELDS, SENTENCES
from dispatch.rules.time import clocks
from tests.small_law import (
    CREW,
    DISPATCHER,
    DUTY,
    FAR_TOWN,
    JOINT,
    LEADER,
    MAJOR,
    MONDAY,
    OTHER_CREW,
    POLICE,
    SMALL,
    WHISTLE,
    Case,
    small_policy,
)
from tests.walks import BUTTONS, EVERYBODY, LEADS_TO, WATER, check, check_words, loads, walk
from tests.ways import MINUTE, PATHS, PREPARED, STRANGER, Press, prepared, standing

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

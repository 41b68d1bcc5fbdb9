"""Proves that deciding is a pure function: what it is given is as it was, and what it answers never changes after."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import datetime
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.desk import store
from dispatch.rules.incident import appeals, effects, sending
from dispatch.rules.incident.chain import Change, Command, Context, decide, route
from dispatch.rules.incident.values import Incident, Transition
from dispatch.rules.law import STATES, STEPS
from dispatch.rules.policy.policy import Policy
from dispatch.rules.refusals import Refusal
from tests import small_law
from tests.small_law import JOINT, MAJOR, MONDAY, SMALL, WHISTLE, Case, small_policy
from tests.walks import BUTTONS, DAY, EVERYBODY, HOUR, walk
from tests.ways import PREPARED, prepared, standing

walks = given(
    st.randoms(use_true_random=False), st.sampled_from([JOINT, MAJOR, SMALL, WHISTLE]), st.booleans()
)


def held_against_copies(
    incident: Incident, command: Command, policy: Policy, context: Context, now: datetime
) -> Change | Refusal:
    """Decide a command, and hold everything that was given against copies made before."""
    teams = [context.roster.team(n) for n in range(1, 9)]
    given = (incident, command, context.other, teams)
    before = copy.deepcopy(given)
    answer = decide(incident, command, policy, context, now)
    assert given == before, f"{command.verb} changed what it was given"
    return answer


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Watch every decision of a case; return the verbs that were done."""
    done: set[str] = set()

    def decided(incident: Incident, command: Command, *rest: Any) -> Change | Refusal:
        answer = held_against_copies(incident, command, *rest)
        if not isinstance(answer, Refusal):
            done.add(command.verb)
        return answer

    monkeypatch.setattr(small_law, "decide", decided)
    yield done
    assert small_policy() == small_policy.__wrapped__(), "the policy is no longer what its files say"


def test_deciding_changes_nothing_that_it_was_given(watched: set[str]) -> None:
    """Neither incident nor command, neither the other incident of a merge, nor teams and policy: done or refused."""
    for state in STATES:
        for verb, (actor, args) in BUTTONS.items():
            case = standing(state)
            case.ask(verb, actor, **(args if verb != "conclude" else {"closed_at": case.now}))
    for seed in range(60):
        for _ in walk(Random(seed), (JOINT, MAJOR, SMALL, WHISTLE)[seed % 4], imported=seed % 5 == 0):
            pass
    for since, beside, (verb, actor, args) in PREPARED:
        for state in sorted(STEPS[verb].sources):
            if (ready := prepared(state, since, beside, verb)) is not None:
                ready.do(verb, actor, **args)
    case = standing("in_hand")
    case.now += 400 * DAY
    case.do("breach", BUTTONS["breach"][0], clock="close")
    assert BUTTONS.keys() == watched


@settings(max_examples=30, deadline=None)
@walks
def test_what_happened_later_never_changes_what_was_answered(
    rnd: Random, category: str, imported: bool
) -> None:
    """Events are folded in place: no part of an answer may be the incident's own."""
    written: list[str] = []
    case = None
    for case in walk(rnd, category, imported):
        written += [store.written(event.change) for event in case.events[len(written) :]]
    assert case is not None
    assert [store.written(event.change) for event in case.events] == written


def test_routing_a_report_changes_nothing_either() -> None:
    """A major matter calls several units, and nobody counts as sent before it happened."""
    case = Case(MAJOR, routed=False)
    before = copy.deepcopy((case.incident, [case.context.roster.team(n) for n in range(1, 9)]))
    routed = route(case.incident, case.policy, case.context, case.now)
    assert routed is not None
    assert len(routed.assignments) > 1
    assert (case.incident, [case.context.roster.team(n) for n in range(1, 9)]) == before


@pytest.mark.parametrize("name", ["incident", "command", "change", "policy", "context", "now"])
def test_what_an_effect_is_given_is_frozen(name: str) -> None:
    """An effect cannot put anything in the place of what it was given."""
    case = Case()
    command = Command("accept", 101, EVERYBODY[0], "press")
    given = Transition(case.incident, command, Change(), case.policy, case.context, MONDAY + HOUR)
    with pytest.raises(FrozenInstanceError):
        setattr(given, name, None)


def assigned(source: str) -> list[str]:
    """Return what a module puts into something that it has not just made: attributes, and items of attributes."""
    targets: list[ast.expr] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign | ast.Delete):
            targets += node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets.append(node.target)
    inner = [t.value if isinstance(t, ast.Subscript) else t for t in targets]
    return [ast.unparse(t) for t in inner if isinstance(t, ast.Attribute)]


@pytest.mark.parametrize("module", [effects, sending, appeals])
def test_no_effect_puts_anything_into_what_it_was_given(module: ModuleType) -> None:
    """A change and an assignment are not frozen, for making them is most of a report's way: nobody alters one."""
    assert assigned(Path(str(module.__file__)).read_text()) == []
    assert assigned("t.change.to = 'closed'\nt.change.facts['level'] = 1\nown['close'] = 2") == [
        "t.change.to", "t.change.facts",
    ]  # fmt: skip


def test_an_effect_that_alters_the_incident_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail."""

    def greedy(t: Transition) -> Change | Refusal:
        t.incident.facts["commander"] = "person/1"
        return t.change

    monkeypatch.setitem(effects.EFFECTS, "accept", greedy)
    case = Case(JOINT, routed=False)
    command = Command("accept", 101, BUTTONS["accept"][0], "press")
    with pytest.raises(AssertionError, match="accept changed what it was given"):
        held_against_copies(case.incident, command, case.policy, case.context, case.now)


def test_every_effect_belongs_to_a_step() -> None:
    """An effect under a misspelt verb would never be asked."""
    assert effects.EFFECTS.keys() <= STEPS.keys()

"""Lead an ordinary incident to any state by the plain way, and to what must be done beside the way first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dispatch.rules.incident.chain import Actor, Incident
from tests.small_law import CITY, COUNTY, JOINT, VILLAGE, Case
from tests.walks import BUTTONS, WATER

MINUTE = timedelta(minutes=1)
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
# The clocks that begin and end are those of the part that the press is about, told in `PART_CLOCKS` of
# tests/rules/test_chain.py.
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

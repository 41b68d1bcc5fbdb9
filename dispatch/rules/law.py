"""The law as a table: from each state by each verb to the next, who may, and what must be given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dispatch.rules.refusals import Refusal

STATES: dict[str, tuple[str, str]] = {
    "reported": ("待受理", "reported"),
    "checking": ("待核实", "field check requested"),
    "accepted": ("待派遣", "accepted"),
    "dispatched": ("待签收", "awaiting pick-up"),
    "in_hand": ("处置中", "in hand"),
    "disposed": ("待核查", "awaiting check"),
    "verified": ("待结案", "awaiting closing"),
    "closed": ("已结案", "closed"),
    "archived": ("已归档", "archived"),
    "rejected": ("不予受理", "rejected"),
    "void": ("作废", "void"),
    "merged": ("已并案", "merged"),
}
ENDED = frozenset({"closed", "archived", "rejected", "void", "merged"})
ASSIGNMENT_STATES: dict[str, tuple[str, str]] = {
    "review": ("待核哨", "whistle under review"),
    "refused": ("不予吹哨", "whistle refused"),
    "sent": ("待签收", "sent"),
    "picked_up": ("已签收", "picked up"),
    "on_site": ("已到场", "on site"),
    "done": ("已处置", "done"),
    "ended": ("已销哨", "whistle ended"),
    "declined": ("已退回", "returned"),
    "recalled": ("已撤回", "recalled"),
}
LIVE = frozenset({"sent", "picked_up", "on_site"})  # states in which a team has something to do

MODE_NAMES: dict[str, tuple[str, str]] = {
    "one_grid": ("一格解决", "in one grid"),
    "joint": ("联动", "jointly"),
    "whistle": ("吹哨", "by whistle"),
    "all_net": ("全网联动", "by the whole net"),
}

ROLE_NAMES: dict[str, tuple[str, str]] = {
    "resident": ("群众", "resident"),
    "grid_worker": ("网格员", "grid worker"),
    "grid_head": ("网格长", "grid head"),
    "village": ("村(社区)", "village station"),
    "team": ("队伍", "team"),
    "dispatcher": ("派遣员", "dispatcher"),
    "duty_leader": ("值班长", "duty leader"),
    "county": ("县级中心", "county centre"),
    "city": ("市级中心", "city centre"),
    "leader": ("领导", "leader"),
    "system": ("系统", "the system"),
    # These look and change no incident; a refusal names them all the same.
    "auditor": ("审计", "auditor"),
    "admin": ("管理员", "administrator"),
}

CENTRE = frozenset({"dispatcher", "duty_leader", "county", "city", "system"})
ABOVE = frozenset({"county", "city"})
# A suspension needs somebody above the one who would be late.
APPROVER = frozenset({"duty_leader", "county", "city"})
GRID = frozenset({"grid_worker", "grid_head", "village"})
TEAM = frozenset({"team"})
SYSTEM_ONLY = frozenset({"system"})
EVERYONE = CENTRE | GRID | TEAM | {"resident", "leader"}


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the law: `verb` leads from any of `sources` to `target` (None: stays), by `roles`, given `needs`.

    `part` lists the states of the assignment that the verb moves, and `part_target` where it moves to.
    `meets` are the clocks that the verb ends. `while_suspended` steps are allowed while the incident is suspended.
    `may` be given what the step looks at where it is there: a form asks for it too. `modes` are the ways of handling
    that know the step; none named, all do. `once` is the fact that the step leaves with its assignment: where it is
    there the step has been taken. `blowers` steps are of whoever blew the whistle, of any centre where nobody did.
    """

    verb: str
    zh: str
    en: str
    sources: frozenset[str]
    target: str | None
    roles: frozenset[str]
    needs: tuple[str, ...] = ()
    meets: tuple[str, ...] = ()
    part: frozenset[str] | None = None
    part_target: str | None = None
    while_suspended: bool = False
    may: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    once: str | None = None
    initiator_only: bool = False


def _step(
    verb: str, zh: str, en: str, sources: str, target: str | None, roles: frozenset[str], **rest: Any
) -> Step:
    return Step(verb, zh, en, frozenset(sources.split()), target, roles, **rest)


# What happens beside a person without taking their step from them; and of these, what two may do one after the other.
BESIDE = frozenset(
    {"note", "remind", "breach", "absorb", "supervise", "escalate", "arrive", "name_commander"}
)
ADDS = frozenset({"note", "remind", "supervise"})

# Not for commands: `open_report` and `route` answer these.
UNASKED = frozenset({"report", "route"})
_OPEN = " ".join(state for state in STATES if state not in ENDED)
_BEFORE = "reported checking accepted"
_WITH_TEAM = "dispatched in_hand"
# An assisting team may still be at work when the lead has reported its result; the incident does not wait for it.
_AT_WORK = "dispatched in_hand disposed verified"

STEPS: dict[str, Step] = {
    step.verb: step
    for step in (
        # --- taking in
        _step("report", "上报", "report", "", "reported", EVERYONE),
        _step("accept", "受理", "accept", "reported checking", "accepted", CENTRE | {"village"}, meets=("accept",)),
        _step("reject", "不予受理", "reject", "reported checking", "rejected", CENTRE, needs=("reason",),
              meets=("accept",)),
        _step("send_check", "发核实", "send for a field check", "reported", "checking", CENTRE),
        _step("check", "反馈核实", "report the field check", "checking", "reported", GRID, needs=("real", "result")),
        _step("void", "作废", "void", _BEFORE, "void", CENTRE, needs=("reason",)),
        _step("merge", "并案", "merge", _BEFORE, "merged", CENTRE, needs=("into",)),
        _step("absorb", "并入", "take in a merged incident", _OPEN, None, SYSTEM_ONLY, needs=("merged",),
              while_suspended=True),
        _step("recode", "改类", "change the type", _BEFORE, None, CENTRE, needs=("category", "reason")),
        # --- sending
        _step("route", "自动分派", "route", "reported", "dispatched", SYSTEM_ONLY, meets=("accept",)),
        _step("dispatch", "派遣", "dispatch", "accepted", "dispatched", CENTRE, needs=("team_id",),
              meets=("dispatch",)),
        _step("reassign", "改派", "reassign", _WITH_TEAM, "dispatched", CENTRE, needs=("team_id", "reason"),
              part=LIVE, part_target="recalled"),
        _step("add_assist", "加派协办", "add an assisting team", _WITH_TEAM, None, CENTRE, needs=("team_id",)),
        _step("recall_assist", "撤回协办", "recall an assisting team", _WITH_TEAM, None, CENTRE,
              needs=("team_id", "reason")),
        _step("name_commander", "指定指挥长", "name the commander", f"{_BEFORE} {_WITH_TEAM}", None, CENTRE,
              needs=("commander",), modes=("all_net",)),
        # --- the whistle: an assignment with steps of its own before and after
        _step("whistle", "吹哨", "blow the whistle", "reported accepted dispatched in_hand", None, GRID | CENTRE,
              needs=("whistle_kind", "reason"), may=("team_id",)),
        _step("send_whistle", "核哨派哨", "send the whistle", "reported accepted dispatched in_hand", "dispatched",
              CENTRE, part=frozenset({"review"}), part_target="sent"),
        _step("refuse_whistle", "不予吹哨", "refuse the whistle", _OPEN, None, CENTRE, needs=("reason",),
              part=frozenset({"review"}), part_target="refused"),
        _step("end_whistle", "销哨", "end the whistle", "disposed verified closed", None, GRID | CENTRE,
              part=frozenset({"done"}), part_target="ended", initiator_only=True),
        _step("rate_whistle", "评哨", "rate the whistle", "disposed verified closed", None, GRID | CENTRE,
              needs=("rating",), part=frozenset({"ended"}), part_target="ended", once="rating", initiator_only=True),
        # --- in the hands of a team
        _step("pick_up", "签收", "pick up", _AT_WORK, "in_hand", TEAM | GRID | {"system"},
              meets=("pick_up",), part=frozenset({"sent"}), part_target="picked_up"),
        _step("decline", "退回", "return", _AT_WORK, "accepted", TEAM | GRID, needs=("return_kind", "reason"),
              part=LIVE, part_target="declined"),
        _step("arrive", "到场签到", "check in on site", _AT_WORK, None, TEAM | GRID, meets=("arrive",),
              part=frozenset({"picked_up"}), part_target="on_site", may=("position", "reason")),
        _step("ask_extension", "申请延期", "ask for an extension", "in_hand", None, TEAM | GRID,
              needs=("limit", "reason"), part=frozenset({"picked_up", "on_site"})),
        _step("grant_extension", "批准延期", "grant the extension", "in_hand", None, CENTRE),
        _step("refuse_extension", "不予延期", "refuse the extension", "in_hand", None, CENTRE, needs=("reason",)),
        _step("dispose", "反馈结果", "report the result", _AT_WORK, "disposed", TEAM | GRID,
              needs=("result",), meets=("dispose",), part=frozenset({"picked_up", "on_site"}), part_target="done",
              may=("photos", "settled")),
        _step("solve", "一格解决", "solve in the grid", "reported accepted", "disposed", GRID, needs=("result",),
              meets=("accept", "dispatch", "dispose"), may=("photos", "settled")),
        # --- afterwards
        _step("verify", "核查通过", "pass the check", "disposed", "verified", CENTRE | GRID, meets=("verify",)),
        _step("rework", "返工", "send back for rework", "disposed", "dispatched", CENTRE | GRID, needs=("reason",),
              meets=("verify",)),
        _step("close", "结案", "close", "verified", "closed", CENTRE | {"village"}, needs=("standard",),
              meets=("close",)),
        _step("rate", "评价", "rate", "closed", None, frozenset({"resident", "system"}) | GRID, needs=("rating",)),
        _step("reopen", "重新办理", "reopen", "closed", "accepted", CENTRE | GRID | {"resident"}, needs=("reason",)),
        _step("appeal", "申诉", "appeal", "closed", None, TEAM | {"dispatcher", "duty_leader"}, needs=("reason",)),
        _step("judge_appeal", "审理申诉", "judge the appeal", "closed", None, ABOVE,
              needs=("granted", "reason"), may=("never_theirs",)),
        _step("archive", "归档", "archive", "closed", "archived", SYSTEM_ONLY | {"city"}),
        # --- beside the way
        _step("suspend", "挂起", "suspend", _OPEN, None, APPROVER, needs=("reason", "until")),
        _step("resume", "恢复", "resume", _OPEN, None, CENTRE, while_suspended=True),
        _step("note", "备注", "note", _OPEN, None, EVERYONE, needs=("note",), while_suspended=True),
        _step("remind", "催办", "remind", _OPEN, None, CENTRE | {"leader"}),
        _step("supervise", "督办", "supervise", _OPEN, None, ABOVE | {"leader"}, needs=("reason",),
              while_suspended=True),
        _step("escalate", "提级", "escalate", _OPEN, None, CENTRE, needs=("reason",)),
        _step("hand_down", "下交", "hand down", _OPEN, None, ABOVE, needs=("reason",)),
        _step("take_over", "接管", "take over", "reported checking accepted disposed verified", None, ABOVE,
              needs=("reason",)),
        _step("breach", "超时", "pass the limit", _OPEN, None, SYSTEM_ONLY, needs=("clock",)),
        _step("conclude", "来源办结", "close at the source", _OPEN, "closed", SYSTEM_ONLY, needs=("closed_at",),
              while_suspended=True),
    )
}  # fmt: skip


def not_role(role: str, verb_zh: str, verb_en: str) -> Refusal:
    """Refuse a step to a role, by its name."""
    zh, en = ROLE_NAMES.get(role, (role, role))
    return Refusal("not_role", {"role_zh": zh, "role_en": en, "verb_zh": verb_zh, "verb_en": verb_en})

"""Draw the chain from its own table as Markdown: a diagram of the states, and from each state who may do what."""

from __future__ import annotations

from dispatch.rules.law import ASSIGNMENT_STATES, ENDED, MODE_NAMES, ROLE_NAMES, STATES, STEPS, Step
from dispatch.rules.refusals import FIELDS

ROLES = {
    role: name for role, name in ROLE_NAMES.items() if any(role in step.roles for step in STEPS.values())
}

HEAD = """\
# 事件处置链 / The chain of an incident

Generated from `dispatch/rules/law.py` by `python -m dispatch chain --write docs/chain.md`; a test fails when it is
stale. What a step does beyond its row (clocks, holders, checks) stands in `dispatch/rules/incident/effects.py`,
beside it `sending.py` and `appeals.py`.

"""


def markdown() -> str:
    """Return the whole document."""
    parts = [HEAD, _diagram()]
    for state, (zh, en) in STATES.items():
        steps = [step for step in STEPS.values() if state in step.sources]
        parts.append(f"\n## {zh} / {en} (`{state}`)\n\n")
        parts.append(_table(state, steps) if steps else "没有下一步。 / Nothing follows.\n")
    parts.append("\n## 任务的状态 / States of an assignment\n\n| 中文 | English | code |\n|---|---|---|\n")
    parts += [f"| {zh} | {en} | `{code}` |\n" for code, (zh, en) in ASSIGNMENT_STATES.items()]
    return "".join(parts)


def _diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{zh} {en}" as {state}' for state, (zh, en) in STATES.items()]
    lines.append("    [*] --> reported: 上报 report")
    for step in STEPS.values():
        for state in STATES:
            if state in step.sources and step.target not in (None, state) and not _only_assists(step, state):
                lines.append(f"    {state} --> {step.target}: {step.zh} {step.en}")
    lines += [f"    {state} --> [*]" for state in STATES if state in ENDED - {"closed"}]
    return "\n".join([*lines, "```", ""])


def _only_assists(step: Step, state: str) -> bool:
    """Tell whether from this state the step can move an assisting team's part alone, since of the lead's the law says:

    it is not picked up yet, it holds the incident already, or it has handed in its result.
    """
    return (
        (state == "dispatched" and step.verb in ("arrive", "dispose"))
        or (state in ("dispatched", "in_hand") and step.verb == "send_whistle")
        or (state == "in_hand" and step.verb == "pick_up")
        or (state in ("disposed", "verified") and step.verb in ("pick_up", "arrive", "dispose", "decline"))
    )


def _table(state: str, steps: list[Step]) -> str:
    lines = [
        "| 动作 | step | 谁 / who | 必填 / needs | 下一状态 / next |",
        "|---|---|---|---|---|",
    ]
    for step in steps:
        who = "、".join(zh for role, (zh, _) in ROLES.items() if role in step.roles)
        who_en = ", ".join(en for role, (_, en) in ROLES.items() if role in step.roles)
        needs = "、".join(FIELDS[need][0] for need in step.needs)
        needs_en = ", ".join(FIELDS[need][1] for need in step.needs)
        given = f"{needs} / {needs_en}" if step.needs else ""
        target = state if step.target is None or _only_assists(step, state) else step.target
        after = "不变 / stays" if target == state else " / ".join(STATES[target])
        zh = "、".join(MODE_NAMES[mode][0] for mode in step.modes)
        en = " or ".join(MODE_NAMES[mode][1] for mode in step.modes)
        only = (f"（限{zh}）", f", only where handled {en}") if step.modes else ("", "")
        lines.append(
            f"| {step.zh}{only[0]} | {step.en}{only[1]} (`{step.verb}`) | {who} / {who_en} | {given} | {after} |"
        )
    return "\n".join([*lines, ""])

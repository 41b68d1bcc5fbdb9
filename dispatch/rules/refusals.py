"""Say no in words: every typed refusal with the sentence that an operator reads, in Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SENTENCES: dict[str, tuple[str, str]] = {
    "unknown_incident": ("没有这个件", "There is no such incident"),
    "unknown_category": ("没有 {category} 这个事项类别", "There is no event type {category}"),
    "unknown_team": ("没有编号 {team} 的队伍", "There is no team {team}"),
    "unknown_verb": ("没有“{verb}”这个动作", "There is no action {verb!r}"),
    "not_now": (
        "现在是“{state_zh}”，不能{verb_zh}：{actor} 已于 {at} {last_zh}",
        "It is {state_en} now and cannot be {verb_en}: {actor} already did {last_en} at {at}",
    ),
    "not_role": ("{role} 无权{verb_zh}", "The role {role} may not {verb_en}"),
    "not_area": ("这个件不在您的辖区内", "This incident lies outside your area"),
    "not_team": ("这个件没有派给您的队伍", "This incident is not assigned to your team"),
    "needs": ("{verb_zh}必须填写：{field_zh}", "To {verb_en}, {field_en} must be given"),
    "same_hand": ("不能核查自己处置的件", "Nobody verifies their own disposal"),
    "same_team": ("已经在 {team} 手里", "It is with {team} already"),
    "returned_not_closed": (
        "部门退回过的件，派遣员不能直接结案",
        "After a department returned it, a dispatcher may not close it directly",
    ),
    "standard": ("结案标准未勾选", "The closing standard is not ticked"),
    "rating": ("评价须为 1 到 5 分", "A rating is a whole number from 1 to 5"),
    "before": ("时间早于上一步（{at}）", "The time lies before the last step ({at})"),
    "number_taken": (
        "编号与另一件相同，请换一个来源编号",
        "The number is taken by another report; use another source id",
    ),
    "no_clock": ("没有正在计时的“{clock}”", "No {clock} clock is running"),
}

FIELDS: dict[str, tuple[str, str]] = {
    "team_id": ("队伍", "a team"),
    "reason": ("理由", "a reason"),
    "result": ("处置结果", "the result"),
    "standard": ("结案标准", "the closing standard"),
    "rating": ("评分", "a rating"),
    "note": ("备注", "a note"),
    "clock": ("时钟", "a clock"),
    "closed_at": ("结束时间", "the end time"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A typed no: its code and the values its sentence needs."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)

    def words(self, lang: str = "zh") -> str:
        """Return the sentence in `zh` or `en`."""
        return SENTENCES[self.code][0 if lang == "zh" else 1].format(**self.values)

"""Say no in words: every typed refusal with the sentence that an operator reads, in Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dispatch.rules.words import say

SENTENCES: dict[str, tuple[str, str]] = {
    "unknown_incident": ("没有这个件", "There is no such incident"),
    "unknown_category": ("没有 {category} 这个事项类别", "There is no event type {category}"),
    "unknown_team": ("没有编号 {team} 的队伍", "There is no team {team}"),
    "unknown_verb": ("没有“{verb}”这个动作", "There is no action {verb!r}"),
    "not_now": (
        "现在是“{state}”，不能{verb}：{actor} 已于 {at} {last}",
        "It is {state} now, which leaves no step to {verb}: {actor} already did {last} at {at}",
    ),
    "overtaken": (
        "{actor} 已于 {at} {last}，看过再{verb}",
        "{actor} already did {last} at {at}: look at it before you {verb}",
    ),
    "not_role": ("{role}无权{verb}", "The role {role} may not {verb}"),
    "not_area": ("这个件不在您的辖区内", "This incident lies outside your area"),
    "not_team": ("这个件没有派给您的队伍", "This incident is not assigned to your team"),
    "not_yours": ("这不是您上报的件", "This is not your own report"),
    "not_mode": (
        "只有{mode}的件才能{verb}",
        "Only an incident handled {mode} has a step to {verb}",
    ),
    "needs": ("{verb}必须填写：{field}", "To {verb}, {field} must be given"),
    "same_hand": ("不能核查自己处置的件", "Nobody verifies their own disposal"),
    "own_work": ("不能评价自己处置的件", "Nobody rates their own work"),
    "rated": ("群众已经评价，别人不能改", "Its reporter has rated it: nobody else changes that"),
    "held_above": (
        "这个件在上级手里，由上级下交",
        "It is with a higher centre, which alone hands it down",
    ),
    "same_commander": ("指挥长已经是 {commander}", "{commander} is the commander already"),
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
    "at_top": ("已在市级，无法再提级", "It is with the city already: there is no higher level"),
    "moved_on": ("情况已变，不必再提级", "It has moved on: there is no silence left to raise"),
    "suspended": ("已挂起（{why}），先恢复再办", "It is suspended ({why}): resume it first"),
    "not_suspended": ("这个件没有挂起", "This incident is not suspended"),
    "until": (
        "挂起须有结束时间：现在之后、90 天之内",
        "A suspension needs an end: after now and within 90 days",
    ),
    "two_photos": (
        "一格解决须有处置前后两张照片",
        "A matter solved in one grid needs two photos, before and after",
    ),
    "major": (
        "重大事项须有指挥长和至少两支队伍",
        "A major matter needs a named commander and at least two units",
    ),
    "not_near": (
        "签到位置距事发地 {metres} 米，超过 {limit} 米，请写明原因",
        "The position is {metres} m from the incident, more than {limit} m: give a reason",
    ),
    "no_position": ("没有签到位置，请写明原因", "There is no position: give a reason"),
    "whistle_kind": (
        "哨别须为攻坚哨、执法哨或应急哨",
        "The kind of whistle is hard, joint or emergency",
    ),
    "return_kind": (
        "请选退回种类：不归本单位、暂无人手或装备、其他原因",
        "A return is not our unit's, for want of hands or means, or for another reason",
    ),
    "no_team": ("没有可派的队伍：{trade}", "There is no team that could be sent: {trade}"),
    "has_part": ("{team} 已在办这个件", "{team} already has a part in this incident"),
    "no_part": ("{team} 没有在协办这个件", "{team} has no assisting part in this incident"),
    "too_many": ("协办队伍最多 {limit} 支", "There are at most {limit} assisting teams"),
    "once": ("已经{verb}，不再重复", "It is done already: {verb}"),
    "not_blower": ("由吹哨人销哨、评哨", "The one who blew the whistle ends and rates it"),
    "extended_twice": ("最多批准两次延期", "At most two extensions are granted"),
    "extension_late": ("已经超时，不能再延期", "It is past its limit: no extension any more"),
    "not_asked": ("没有待批的延期申请", "No extension was asked for"),
    "limit": (
        "延期时长写作 4wh（工作时）、2wd（工作日）、12uh（紧急工作时）或 1ud（紧急工作日），至多 {days} 天",
        "An extension is written 4wh or 2wd (working time), 12uh or 1ud (around the clock), and is at most {days} days",
    ),
    "no_other": (
        "并入的件不存在、已结束或就是它自己",
        "The incident to merge into is unknown, ended or the same",
    ),
    "recoded": ("改类只能一次，原类别 {category}", "The type is changed once only; it was {category}"),
    "reopen": (
        "评价不满意且在结案后十天内，群众可要求重新办理",
        "A resident may reopen within ten days of closing, when dissatisfied",
    ),
    "appealed": ("这个件已申诉过一次", "This incident was appealed once already"),
    "appeal_late": ("申诉期已过，本件只能申诉到 {until}", "The time to appeal is over: it ended at {until}"),
    "not_appealed": ("这个件没有待审的申诉", "There is no appeal to judge"),
    "appeal_waits": (
        "申诉还没有审完，不能归档",
        "An appeal waits for its answer: it is not archived yet",
    ),
    "own_appeal": (
        "两名审理人须不同，且不是申诉人",
        "Two different reviewers judge, neither of them the appellant",
    ),
    "spans": (
        "豁免时段须为上报之后、现在之前的起止时间，至多{limit}段",
        "Exempt time is given as up to {limit} stretches, each with begin and end, after the report and before now",
    ),
    "spans_differ": (
        "两名审理人给出的豁免时段没有重合",
        "The two reviewers' stretches of exempt time have nothing in common",
    ),
    "at_bottom": ("已在镇街级，无法再下交", "It is with the town already: there is no lower level"),
    "one_person": ("宣布与批准须为两人", "One person declares and another approves"),
    "wartime_area": ("{area} 不在 {actor} 的辖区内", "{area} lies outside the area of {actor}"),
    "wartime_level": ("战时级别须为 1 到 4", "The level of wartime is a whole number from 1 to 4"),
    "wartime_kind": ("战时类别须为其中之一：{kinds}", "The kind of wartime is one of {kinds}"),
    "wartime_red": ("一级战时须由市级批准", "Wartime of level I is approved by the city"),
    "wartime_until": (
        "战时须有结束时间：现在之后、{days} 天之内",
        "Wartime needs an end: after now and within {days} days",
    ),
    "in_wartime": (
        "{area} 已由 {by} 宣布进入战时",
        "{area} is in wartime already, declared by {by}",
    ),
    "not_in_wartime": ("这里现在不是战时", "It is not wartime here now"),
    "unknown_area": ("没有 {area} 这个区域", "There is no area {area}"),
    "no_clock": ("没有已到限的“{clock}”时限", "No limit for {clock} has been passed"),
}

FIELDS: dict[str, tuple[str, str]] = {
    "team_id": ("队伍", "a team"),
    "reason": ("理由", "a reason"),
    "result": ("处置结果", "the result"),
    "standard": ("结案标准", "the closing standard"),
    "rating": ("评分", "a rating"),
    "note": ("备注", "a note"),
    "clock": ("时钟", "a clock"),
    "real": ("是否属实", "whether it is real"),
    "into": ("并入哪个件", "the incident to merge into"),
    "merged": ("被并的件", "the merged incident"),
    "category": ("事项类别", "an event type"),
    "commander": ("指挥长", "a commander"),
    "whistle_kind": ("哨别", "the kind of whistle"),
    "return_kind": ("退回种类", "the kind of return"),
    "limit": ("延期时长", "the extension"),
    "granted": ("是否准许", "whether it is granted"),
    "until": ("结束时间", "the end"),
    "closed_at": ("结束时间", "the end time"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A typed no: its code and the values its sentence needs; one that each language names itself is a pair."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)

    def words(self, lang: str = "zh") -> str:
        """Return the sentence in `zh` or `en`."""
        return say(SENTENCES[self.code], lang, **self.values)

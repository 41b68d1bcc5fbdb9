"""Say in words what speaks for a team and against it, and why nobody goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dispatch.rules.words import say

STATES: dict[str, tuple[str, str]] = {
    "available": ("待命", "available"),
    "assigned": ("已派单", "assigned"),
    "on_the_way": ("赶赴途中", "on the way"),
    "on_scene": ("在现场", "on scene"),
    "resting": ("休整", "resting"),
    "off_duty": ("下班", "off duty"),
}
SENTENCES: dict[str, tuple[str, str]] = {
    "trade": ("此类事项由{trade}负责", "{trade} takes this event type"),
    "other_trade": (
        "事项清单未列{trade}，但它办结过 {settled} 件此类事项",
        "The list of event types does not name {trade}, but it has settled {settled} of these",
    ),
    "area": ("本辖区最近一级的队伍", "Of the nearest area that has such a team"),
    "farther_area": (
        "属上 {levels} 级辖区，非最近一级",
        "Of an area {levels} level(s) above the nearest one",
    ),
    "on_shift": ("当班 {people} 人", "{people} on shift"),
    "off_shift": ("排班表上此刻无人当班", "Nobody is on its roster now"),
    "no_roster": ("未排班，按可联系处理", "No roster is kept for it; taken as reachable"),
    "ready": ("状态：{state}", "State: {state}"),
    "not_ready": ("状态：{state}，不派单", "State: {state}; it is not sent"),
    "near": (
        "距现场 {km:.1f} 公里（{age:.0f} 分钟前的位置）",
        "{km:.1f} km away (its position {age:.0f} min ago)",
    ),
    "near_station": (
        "驻地距现场 {km:.1f} 公里（无最新位置）",
        "Its station is {km:.1f} km away (no fresh position)",
    ),
    "unknown_place": ("距离未知", "The distance is not known"),
    "has_room": ("在手 {load}/{capacity} 件", "Holds {load} of {capacity}"),
    "full": ("已满：在手 {load}/{capacity} 件", "Full: holds {load} of {capacity}"),
    "rested": ("上次出警已过 {rest:.0f} 分钟", "{rest:.0f} min since its last call"),
    "tired": (
        "上次出警才过 {rest:.0f} 分钟，应休息 {due:.0f} 分钟",
        "Only {rest:.0f} min since its last call, {due:.0f} are due",
    ),
    "skilled": ("具备：{skills}", "Trained in {skills}"),
    "no_skill": ("缺少：{skills}", "Not trained in {skills}"),
    "misdispatch": (
        "近 {days} 天此类事项派{trade} {sent} 件，退回非本单位 {returned} 件",
        "Of {sent} such cases sent to {trade} in {days} days, {returned} came back as not theirs",
    ),
    "no_team": ("辖区内没有{trade}", "There is no {trade} for this area"),
    "none_ready": ("{count} 支{trade}队伍都不在岗", "None of {count} {trade} team(s) is ready"),
    "all_full": ("{count} 支{trade}队伍都已满", "All {count} ready {trade} team(s) are full"),
    "outbid": ("空位已让给更急的件", "The room left went to graver incidents"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Because:
    """One reason or shortfall: its code, its cost in minutes, and the values of its sentence, some of them pairs."""

    code: str
    minutes: float = 0.0
    values: Mapping[str, Any] = field(default_factory=dict)

    def words(self, lang: str = "zh") -> str:
        """Return the sentence in `zh` or `en`."""
        return say(SENTENCES[self.code], lang, **self.values)

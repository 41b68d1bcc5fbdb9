"""Say why a message is refused: a field, a code and the values of its sentence, read in Chinese or in English."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

from dispatch.rules import refusals
from dispatch.rules.words import LANGUAGES, say

# Reason codes and their sentences; {field}, {limit} and {what} are filled in, never anything that the sender wrote.
REASONS: Final[dict[str, tuple[str, str]]] = {
    # of the message itself
    "too_large": ("消息超过 {limit} 字节", "The message is larger than {limit} bytes"),
    "not_json": ("消息不是合法的 UTF-8 JSON", "The message is not valid UTF-8 JSON"),
    "not_object": ("消息应为一个 JSON 对象", "The message must be one JSON object"),
    "version": ("不支持该版本:v 应为 {limit}", "This version is not known: v must be {limit}"),
    "missing": ("缺少字段 {field}", "Field {field} is missing"),
    "unknown_field": ("不认识的字段 {field}", "Field {field} is not known"),
    "wrong_type": ("字段 {field} 的类型不对", "Field {field} is of the wrong type"),
    "bad_choice": ("字段 {field} 不是允许的值", "Field {field} is not one of the allowed values"),
    "blank": ("字段 {field} 为空", "Field {field} is blank"),
    "too_short": ("字段 {field} 太短,至少 {limit}", "Field {field} is too short: at least {limit}"),
    "too_long": ("字段 {field} 太长,最多 {limit}", "Field {field} is too long: at most {limit}"),
    "out_of_range": ("字段 {field} 超出范围", "Field {field} is out of range"),
    "bad_time": (
        "字段 {field} 应为带时区的 ISO 8601 时间",
        "Field {field} must be an ISO 8601 time with its offset",
    ),
    "too_early": ("字段 {field} 早于 {limit}", "Field {field} is before {limit}"),
    "in_future": (
        "字段 {field} 比现在晚了 {limit} 分钟以上",
        "Field {field} is more than {limit} minutes in the future",
    ),
    "control_character": ("字段 {field} 含有控制字符", "Field {field} contains control characters"),
    "no_subject": ("category 与 text 至少给一个", "Give category or text, or both"),
    "half_point": ("lon 与 lat 必须同时给出", "Give lon and lat together"),
    "no_place": ("请给出 lon 和 lat、area 或 address", "Give lon and lat, or area, or address"),
    "bad_url": ("字段 {field} 不是 http(s) 网址", "Field {field} is not an http(s) address"),
    # of its sender
    "source_mismatch": ("source 与密钥不符", "The source is not the one that the key is bound to"),
    # of its place
    "outside_city": ("该点不在本市范围内", "The point lies outside this city"),
    "unknown_area": ("没有这个网格或区划代码", "There is no area with this code"),
    "unknown_address": (
        "地址中没有认出本市的镇街或村(社区)",
        "The address names no town or village of this city",
    ),
    "ambiguous_address": (
        "地址中的村(社区)名在多个镇街重复,请写明镇街",
        "The address names a village that several towns have: name the town too",
    ),
    # of what became of it; what the law itself refuses says `dispatch.rules.refusals`
    "not_storable": ("数据库不接受({what})", "The database does not take it ({what})"),
    "fault": ("处理 {limit} 次均失败{what}", "Failed {limit} times {what}"),
}
_UNKNOWN: Final = ("原因未知", "The reason is not known")


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Why a message is refused: its field or empty text, a code for machines, and what its sentence is filled with."""

    field: str
    reason: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def zh(self) -> str:
        """Return the sentence in Chinese."""
        return self.words("zh")

    @property
    def en(self) -> str:
        """Return the sentence in English."""
        return self.words("en")

    def words(self, lang: str) -> str:
        """Return the sentence in `zh` or `en`; of a code without one, as a later version may store it, the code."""
        if self.reason in REASONS:
            return say(REASONS[self.reason], lang, **{"field": self.field, **self.values}).rstrip()
        if self.reason in refusals.SENTENCES:
            return refusals.Refusal(self.reason, dict(self.values)).words(lang)
        return self.reason


@dataclasses.dataclass(frozen=True, slots=True)
class Written(Problem):
    """A refusal as an earlier version stored it: with its sentences instead of their values."""

    def words(self, lang: str) -> str:
        """Return the sentence as it was written."""
        return str(self.values[lang])


def problem(field: str, reason: str, limit: object = "") -> Problem:
    """Return the Problem of a reason code of `REASONS`; raise KeyError for another."""
    REASONS[reason]
    return Problem(field, reason, {} if limit == "" else {"limit": limit})


def stored(found: Problem) -> dict[str, Any]:
    """Return a Problem as fields of JSON, for `read`: its code and values, and no sentence."""
    return {"field": found.field, "reason": found.reason, "values": dict(found.values)}


def read(kept: Mapping[str, Any]) -> Problem:
    """Return the Problem that `stored` made fields of, or that an earlier version stored with its sentences."""
    field, reason = str(kept.get("field", "")), str(kept.get("reason", ""))
    values = kept.get("values")
    if values is None:
        zh, en = (str(kept.get(lang) or unknown) for lang, unknown in zip(LANGUAGES, _UNKNOWN, strict=True))
        return Written(field, reason or "unknown", {"zh": zh, "en": en})
    return Problem(field, reason, json.loads(values) if isinstance(values, str | bytes) else values)

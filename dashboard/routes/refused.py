"""Say why a request to the HTTP door is refused, in Chinese and in English."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, Response

LIST_LIMIT: Final = 1_000

# What goes wrong at the door itself; what is wrong with a message says `dispatch.intake.messages`.
REASONS: Final[dict[str, tuple[str, str]]] = {
    "no_key": ("缺少或不认识的密钥", "The bearer key is missing or not known"),
    "not_json_type": ("Content-Type 应为 application/json", "Content-Type must be application/json"),
    "too_large": ("请求体超过 2 MiB", "The body is larger than 2 MiB"),
    "too_many": (f"一次最多 {LIST_LIMIT} 条", f"At most {LIST_LIMIT} reports at once"),
    "empty": ("列表为空", "The list is empty"),
    "too_fast": ("发送过快,请稍后重试", "Too many reports: try again later"),
    "unavailable": ("服务暂不可用,请稍后重试", "The service is not available now: try again later"),
    "bad_number": ("编号应为 16 位数字", "A number has sixteen digits"),
    "unknown": ("没有这个编号的件", "There is no incident with this number"),
    "no_address": ("没有这个接口，请看 /api", "There is nothing at this address: see /api"),
    "wrong_method": ("这个接口不接受该方法，请看 /api", "This address does not take this method: see /api"),
}


class Refused(Exception):
    """A request is refused: HTTP status, reason code of `REASONS` or a Problem, and headers."""

    def __init__(
        self,
        status: int,
        reason: str,
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers, self.more = status, reason, headers or {}, more or {}

    def response(self) -> Response:
        """Return the refusal as JSON, with its sentence in Chinese and in English."""
        body: dict[str, Any] = {"reason": self.reason}
        if self.reason in REASONS:
            body["zh"], body["en"] = REASONS[self.reason]
        return JSONResponse(body | self.more, self.status, self.headers)

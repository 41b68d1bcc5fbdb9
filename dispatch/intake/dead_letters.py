"""Keep refused messages as dead letters with their cause, show them, and put mended ones back on the stream once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, cast

import redis

from dispatch.intake import problems
from dispatch.intake.messages import MESSAGE_LIMIT_BYTES
from dispatch.intake.problems import Problem
from dispatch.rules.words import LANGUAGES, Pair, say

STREAM: Final = "incidents"
FIELD: Final = "m"
DEAD_STREAM: Final = "incidents:dead"
# Letters older than `PLAIN_FOR`, their contacts taken out, under the ids they always had.
OLD_STREAM: Final = "incidents:dead:old"
REPLAYED: Final = "incidents:dead:replayed"  # hash: letter -> the id its message has on the stream since
# How long a letter keeps the contacts of its message, how long it is kept at all, and how many are kept of each kind.
PLAIN_FOR: Final = timedelta(days=1)
KEPT: Final = timedelta(days=30)
LETTERS_LIMIT: Final = 100_000
SHOWN_LIMIT: Final = 100
PAGE: Final = 500

# In one step: whoever presses twice, or two people at once, send one message.
_REPLAY = """
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
  return nil
end
local id = redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], id)
return {id}
"""

# In one step: a letter is in one of the two streams, whenever the one who moves it is killed.
_AGE = """
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], ARGV[1], unpack(ARGV, 2))
return redis.call('XDEL', KEYS[1], ARGV[1])
"""

# Runs of digits that may be a telephone or identity number, spaced or not, and addresses of electronic mail.
_CONTACT = re.compile(r"\+?\d(?:[ -]?\d){6,}|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}")
_MASK: Final = "***"
# Fields of a message in which no people write, so that a letter without contacts can still be mended and replayed.
_PLAIN: Final = frozenset(
    {"v", "kind", "source", "source_id", "category", "area", "lon", "lat", "datum", "approximate", "severity", "photos",
     "imported", "reported_at", "target_at", "closed_at"}
)  # fmt: skip

# Fields of a message whose value is JSON; a category 2101 stays the text that it is.
_NOT_TEXT: Final = frozenset({"v", "lon", "lat", "approximate", "imported", "photos", "severity"})

# What a letter keeps of its reason; those of earlier versions have the sentences.
_WHY: Final = (b"field", b"reason", b"values", b"zh", b"en")

Fields = dict[bytes, bytes]
Entry = tuple[bytes, Fields]


@dataclass(frozen=True, slots=True)
class Letter:
    """Hold one dead letter: `id` in its own stream, `first_seen` on the stream it came by, `at` in ISO 8601 UTC.

    `zh` and `en` say why it is one; what is stored is the reason's code with the values of its sentence.
    """

    id: str
    raw: bytes
    size: int
    sha256: str
    reason: str
    field: str
    zh: str
    en: str
    first_seen: str
    at: str
    replayed_as: str | None = None

    @property
    def whole(self) -> bool:
        """Tell whether the raw message was kept whole: longer ones than `MESSAGE_LIMIT_BYTES` are cut."""
        return len(self.raw) == self.size


ERRORS: Final[dict[str, Pair]] = {
    "unknown": ("没有死信 {id}", "there is no dead letter {id}"),
    "cut": ("{id}:原文过长未完整保存,请用 --with 提供", "{id}: too long to be kept whole: give it by --with"),
    "replayed": ("{id}:已重放过", "{id}: was replayed before"),
    "no_json": ("原文不是 JSON,请用 --with 提供", "no JSON: give a new one by --with"),
    "no_object": ("原文不是 JSON 对象", "the message is no JSON object"),
    "no_change": ("--set {change}:应为 字段=值", "--set {change}: expected field=value"),
    "many": ("--with 只用于一封死信", "--with goes with exactly one letter"),
}


class LetterError(Exception):
    """A letter cannot be replayed: a code of `ERRORS` and its values; as a text it is said in both languages."""

    def __init__(self, code: str, **values: str) -> None:
        self.code, self.values = code, values
        super().__init__(" / ".join(self.words(lang) for lang in LANGUAGES))

    def words(self, lang: str) -> str:
        """Return why in `zh` or `en`, for whoever asked."""
        return say(ERRORS[self.code], lang, **self.values)


def written(raw: bytes, problem: Problem, first_seen: bytes, at: datetime) -> dict[Any, Any]:
    """Return the stream fields of a dead letter."""
    return {
        "raw": raw[:MESSAGE_LIMIT_BYTES],
        "size": len(raw),
        "sha256": sha256(raw).hexdigest(),
        "reason": problem.reason,
        "field": problem.field,
        "values": json.dumps(dict(problem.values), ensure_ascii=False),
        "first_seen": first_seen,
        "at": at.isoformat(timespec="seconds"),
    }


def letters(stream: redis.Redis, limit: int = SHOWN_LIMIT, waiting_only: bool = False) -> Iterator[Letter]:
    """Yield dead letters, the newest first, at most `limit`; `waiting_only` leaves out the replayed ones."""
    for of_one in (DEAD_STREAM, OLD_STREAM):
        before = "+"
        while limit > 0:
            entries = cast(list[Entry], stream.xrevrange(of_one, max=before, count=PAGE))
            if not entries:
                break
            before = f"({entries[-1][0].decode()}"
            marks = cast(list[bytes | None], stream.hmget(REPLAYED, [key for key, _ in entries]))
            for (key, fields), mark in zip(entries, marks, strict=True):
                if mark is not None and waiting_only:
                    continue
                yield _letter(key, fields, mark)
                limit -= 1
                if limit == 0:
                    return


def age(stream: redis.Redis, now: datetime) -> int:
    """Take the contacts out of letters older than `PLAIN_FOR`, and drop those beyond `KEPT`; return how many of both.

    A letter stays under its id and keeps its cause, its size where it was cut, and the hash of what came.
    """
    last = _id_at(now - PLAIN_FOR)
    done = 0
    while entries := cast(list[Entry], stream.xrange(DEAD_STREAM, max=last, count=PAGE)):
        for key, fields in entries:
            pairs = [part for pair in _without_contacts(fields).items() for part in pair]
            done += int(cast(Any, stream.eval(_AGE, 2, DEAD_STREAM, OLD_STREAM, key, *pairs)))
    done += int(cast(Any, stream.xtrim(OLD_STREAM, minid=_id_at(now - KEPT), approximate=False)))
    for of_one in (OLD_STREAM, DEAD_STREAM):
        done += int(cast(Any, stream.xtrim(of_one, maxlen=LETTERS_LIMIT, approximate=False)))
    _drop_marks(stream)
    return done


def count(stream: redis.Redis) -> int:
    """Return how many dead letters are kept, replayed ones included."""
    return int(cast(Any, stream.xlen(DEAD_STREAM))) + int(cast(Any, stream.xlen(OLD_STREAM)))


def letter(stream: redis.Redis, key: str) -> Letter:
    """Return the letter with this id; raise LetterError when there is none."""
    try:
        for of_one in (DEAD_STREAM, OLD_STREAM):
            if entries := cast(list[Entry], stream.xrange(of_one, min=key, max=key, count=1)):
                return _letter(*entries[0], cast("bytes | None", stream.hget(REPLAYED, key)))
    except redis.ResponseError as error:
        raise LetterError("unknown", id=key) from error
    raise LetterError("unknown", id=key)


def replay(stream: redis.Redis, one: Letter, mended: bytes | None = None) -> str:
    """Put a letter's message, or its mended form, back on the stream and mark the letter; return the new id.

    Happens once a letter: raises LetterError when it was replayed before, or when the message was cut.
    """
    if mended is None and not one.whole:
        raise LetterError("cut", id=one.id)
    answer = stream.eval(_REPLAY, 2, STREAM, REPLAYED, one.id, FIELD, one.raw if mended is None else mended)
    if isinstance(answer, list):
        return str(answer[0].decode())
    raise LetterError("replayed", id=one.id)


def mend(raw: bytes, changes: Sequence[str]) -> bytes:
    """Return the message with fields set by `field=value`, or taken out by `field=`.

    Raises LetterError when the message is no JSON object or a change has no `=`.
    """
    try:
        message = json.loads(raw)
    except ValueError as error:
        raise LetterError("no_json") from error
    if not isinstance(message, dict):
        raise LetterError("no_object")
    for change in changes:
        field, separator, value = change.partition("=")
        if not separator:
            raise LetterError("no_change", change=field[:40])
        if value == "":
            message.pop(field, None)
            continue
        try:
            message[field] = json.loads(value) if field in _NOT_TEXT else value
        except ValueError:
            message[field] = value
    return json.dumps(message, ensure_ascii=False).encode()


def without_contacts(raw: bytes) -> bytes:
    """Return a message without its reporter's contact, and with what looks like one masked where people write.

    Fields that no message has count among those; of what is no JSON object everything does.
    """
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        return _CONTACT.sub(_MASK, raw.decode(errors="replace")).encode()
    message.pop("reporter", None)
    for name in message.keys() - _PLAIN:
        value = message[name]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if (masked := _CONTACT.sub(_MASK, text)) != text:
            message[name] = masked
    return json.dumps(message, ensure_ascii=False).encode(errors="replace")


def _without_contacts(fields: Fields) -> Fields:
    raw = fields.get(b"raw", b"")
    masked = without_contacts(raw)[:MESSAGE_LIMIT_BYTES]
    # Whole stays whole and cut stays cut: only what is whole can be replayed as it is.
    size = (
        len(masked)
        if int(fields.get(b"size", b"0")) == len(raw)
        else max(len(masked) + 1, int(fields[b"size"]))
    )
    return fields | {b"raw": masked, b"size": str(size).encode()}


def _id_at(at: datetime) -> str:
    """Return the lowest id that a stream gives at an instant."""
    return str(int(at.timestamp() * 1000))


def _drop_marks(stream: redis.Redis) -> None:
    """Forget which letters were replayed that are there no more."""
    oldest: list[tuple[int, ...]] = []
    for of_one in (OLD_STREAM, DEAD_STREAM):
        if entries := cast(list[Entry], stream.xrange(of_one, count=1)):
            oldest.append(_order(entries[0][0]))
    gone = [
        key
        for key, _ in cast(Any, stream.hscan_iter(REPLAYED, count=PAGE))
        if not oldest or _order(key) < min(oldest)
    ]
    for first in range(0, len(gone), PAGE):
        stream.hdel(REPLAYED, *gone[first : first + PAGE])


def _order(key: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in key.split(b"-"))


def _letter(key: bytes, fields: Fields, mark: bytes | None) -> Letter:
    def text(name: bytes) -> str:
        return fields.get(name, b"").decode(errors="replace")

    why = problems.read({name.decode(): text(name) for name in _WHY if name in fields})
    return Letter(
        id=key.decode(),
        raw=fields.get(b"raw", b""),
        size=int(fields.get(b"size", b"0")),
        sha256=text(b"sha256"),
        reason=text(b"reason"),
        field=text(b"field"),
        zh=why.zh,
        en=why.en,
        first_seen=text(b"first_seen"),
        at=text(b"at"),
        replayed_as=mark.decode() if mark is not None else None,
    )

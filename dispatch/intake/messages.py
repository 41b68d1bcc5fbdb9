"""Define what may come in from outside: one versioned message schema, read strictly and refused in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from dispatch.intake.problems import Problem, problem

VERSION: Final = 1
MESSAGE_LIMIT_BYTES: Final = 64 * 1024
SOURCE_LIMIT_CHARS: Final = 40
SOURCE_ID_LIMIT_CHARS: Final = 120
CATEGORY_LIMIT_CHARS: Final = 40
TEXT_LIMIT_CHARS: Final = 2_000
ADDRESS_LIMIT_CHARS: Final = 200
REPORTER_LIMIT_CHARS: Final = 120
PHOTO_LIMIT_CHARS: Final = 500
PHOTOS_LIMIT: Final = 9
AREA_LIMIT_DIGITS: Final = 17
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST_TARGET: Final = datetime(2100, 1, 1, tzinfo=UTC)
# Clocks of phones and hotlines run ahead; more than this is a wrong clock, not a slow message.
FUTURE_TOLERANCE: Final = timedelta(minutes=10)
NUMBERS: Final = 10**16
FIELD_SHOWN_CHARS: Final = 60

_Instant = Annotated[datetime, Meta(tz=True)]


class ReportMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """Hold one report as its source sent it: times in UTC once parsed, degrees of `datum`."""

    v: Literal[1]
    kind: Literal["report"] = "report"
    source: Annotated[str, Meta(min_length=1, max_length=SOURCE_LIMIT_CHARS)]
    source_id: Annotated[str, Meta(min_length=1, max_length=SOURCE_ID_LIMIT_CHARS)]
    category: Annotated[str, Meta(min_length=1, max_length=CATEGORY_LIMIT_CHARS)] | None = None
    text: Annotated[str, Meta(max_length=TEXT_LIMIT_CHARS)] = ""
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    datum: Literal["wgs84", "gcj02"] = "wgs84"
    # The source knows that its point is only a default or the centre of something.
    approximate: bool = False
    area: Annotated[str, Meta(min_length=6, max_length=AREA_LIMIT_DIGITS)] | None = None
    address: Annotated[str, Meta(max_length=ADDRESS_LIMIT_CHARS)] = ""
    reported_at: _Instant
    reporter: Annotated[str, Meta(max_length=REPORTER_LIMIT_CHARS)] = ""
    photos: Annotated[
        tuple[Annotated[str, Meta(max_length=PHOTO_LIMIT_CHARS)], ...],
        Meta(max_length=PHOTOS_LIMIT),
    ] = ()
    severity: Annotated[int, Meta(ge=1, le=4)] | None = None
    target_at: _Instant | None = None
    # Another system works this request: its promise and its end are taken over, our clocks do not judge it.
    imported: bool = False


class OutcomeMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """Hold the end of an incident as its source tells it: when it was closed there, and in what words."""

    v: Literal[1]
    kind: Literal["outcome"]
    source: Annotated[str, Meta(min_length=1, max_length=SOURCE_LIMIT_CHARS)]
    source_id: Annotated[str, Meta(min_length=1, max_length=SOURCE_ID_LIMIT_CHARS)]
    closed_at: _Instant
    note: Annotated[str, Meta(max_length=TEXT_LIMIT_CHARS)] = ""


Message = ReportMessage | OutcomeMessage


class _Kind(msgspec.Struct):
    kind: Any = "report"


_decode_report = msgspec.json.Decoder(ReportMessage).decode
_decode_outcome = msgspec.json.Decoder(OutcomeMessage).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode

# msgspec words its errors in these few ways; a test provokes each one, so that a new wording is noticed.
_PATH = re.compile(r" - at `\$\.?([a-z0-9_]*)(?:\[[0-9.]+\])?`$")
_WORDINGS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"^Object missing required field `(?P<field>\w+)`"), "missing"),
    (re.compile(r"^Object contains unknown field `(?P<field>.*?)`", re.DOTALL), "unknown_field"),
    (re.compile(r"^Expected `object`, got"), "not_object"),
    (re.compile(r"^Expected `(?:str|array)` of length <= (?P<limit>\d+)"), "too_long"),
    (re.compile(r"^Expected `(?:str|array)` of length >= (?P<limit>\d+)"), "too_short"),
    (re.compile(r"^Expected `(?:int|float)` [<>]=? |^Number out of|^Integer value out of"), "out_of_range"),
    (re.compile(r"^Invalid enum value"), "bad_choice"),
    (re.compile(r"^Expected `datetime|^Invalid RFC3339|^Timestamp is out of range"), "bad_time"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# As numbers: a byte is found faster than a string of one byte.
_BACKSLASH, _DELETE, _C1_LEAD = 0x5C, 0x7F, 0xC2
_TEXT_FIELDS: Final = ("text", "note")
_SCHEMES: Final = ("https://", "http://")
_URL = re.compile(r"https?://[^\s/]\S*")
_OWN_PHOTO = re.compile(r"photo:[0-9a-f]{64}")  # one that came through our own pages, by its content
_DAY_ONE: Final = f"{EARLIEST:%Y-%m-%d}"


def parse(raw: bytes, now: datetime) -> Message | Problem:
    """Read one message as JSON bytes; return it, or the Problem for which it is refused, and never raise.

    `now` is an instant in UTC. Times in the result are in UTC.
    """
    if len(raw) > MESSAGE_LIMIT_BYTES:
        return problem("", "too_large", MESSAGE_LIMIT_BYTES)
    try:
        message = _decode_report(raw)
    except msgspec.ValidationError as error:
        return _parse_other(raw, now, error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return problem("", "not_json")
    # Raw control characters are no JSON: the others hide behind a backslash, in 7F, or in C2 80 to C2 9F.
    if (_BACKSLASH in raw or _DELETE in raw or _C1_LEAD in raw) and (found := _control_character(message)):
        return found
    if message.source.isspace() or message.source_id.isspace():
        return problem("source" if message.source.isspace() else "source_id", "blank")
    if message.category is None and not message.text.strip():
        return problem("text", "no_subject")
    if message.lon is None or message.lat is None:
        if message.lon is not message.lat:
            return problem("lat" if message.lat is None else "lon", "half_point")
        if message.area is None and not message.address.strip():
            return problem("lon", "no_place")
    try:
        # First to one zone: instants of different zones compare five times slower.
        message.reported_at = reported_at = message.reported_at.astimezone(UTC)
        if message.target_at is not None:
            message.target_at = message.target_at.astimezone(UTC)
            if not EARLIEST <= message.target_at < LATEST_TARGET:
                early = message.target_at < EARLIEST
                return problem("target_at", "too_early" if early else "out_of_range", _DAY_ONE)
    except OverflowError:
        return problem("reported_at", "bad_time")
    if not EARLIEST <= reported_at <= now + FUTURE_TOLERANCE:
        return _wrong_time("reported_at", reported_at)
    for photo in message.photos:
        if not (photo.startswith(_SCHEMES) and _URL.fullmatch(photo)) and not _OWN_PHOTO.fullmatch(photo):
            return problem("photos", "bad_url")
    return message


def _parse_other(raw: bytes, now: datetime, error: msgspec.ValidationError) -> OutcomeMessage | Problem:
    try:
        kind = _decode_kind(raw).kind
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as other:
        wrong_shape = isinstance(other, msgspec.ValidationError)
        return _problem_of(error) if wrong_shape else problem("", "not_json")
    if kind != "outcome":
        return _problem_of(error)
    try:
        message = _decode_outcome(raw)
    except msgspec.ValidationError as other:
        return _problem_of(other)
    if found := _control_character(message):
        return found
    if message.source.isspace() or message.source_id.isspace():
        return problem("source" if message.source.isspace() else "source_id", "blank")
    try:
        message.closed_at = message.closed_at.astimezone(UTC)
    except OverflowError:
        return problem("closed_at", "bad_time")
    if not EARLIEST <= message.closed_at <= now + FUTURE_TOLERANCE:
        return _wrong_time("closed_at", message.closed_at)
    return message


def _wrong_time(field: str, moment: datetime) -> Problem:
    if moment < EARLIEST:
        return problem(field, "too_early", _DAY_ONE)
    return problem(field, "in_future", int(FUTURE_TOLERANCE.total_seconds() // 60))


def _control_character(message: Message) -> Problem | None:
    for name in message.__struct_fields__:
        value = getattr(message, name)
        pattern = _CONTROL_IN_TEXT if name in _TEXT_FIELDS else _CONTROL
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, str) and pattern.search(each):
                return problem(name, "control_character")
    return None


def _problem_of(error: msgspec.ValidationError) -> Problem:
    words = str(error)
    path = _PATH.search(words)
    field = path[1] if path else ""
    for pattern, reason in _WORDINGS:
        if found := pattern.search(words):
            parts = found.groupdict()
            if "field" in parts:
                # The name of an unknown field is the sender's: shown only where it is a plain word.
                field = parts["field"] if re.fullmatch(r"\w+", parts["field"]) else "?"
            if reason == "not_object" and field:
                reason = "wrong_type"
            if reason == "too_short" and parts["limit"] == "1":
                reason = "blank"
            if field == "v" and reason == "bad_choice":
                return problem("v", "version", VERSION)
            return problem(field[:FIELD_SHOWN_CHARS], reason, parts.get("limit", ""))
    return problem(field[:FIELD_SHOWN_CHARS], "wrong_type")


def number_of(source: str, source_id: str) -> int:
    """Return the number of an incident, 0 to 10**16 - 1, the same whenever the same report comes again."""
    # The separator is a control character, which neither part may contain: no two pairs read alike.
    digest = blake2b(f"{source}\x1f{source_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % NUMBERS


def show_number(number: int) -> str:
    """Return a number in four groups of four digits, as people read it aloud: ``1234-5678-9012-3456``."""
    digits = f"{number:016d}"
    return f"{digits[:4]}-{digits[4:8]}-{digits[8:12]}-{digits[12:]}"


def parse_number(text: str) -> int:
    """Read a number with or without its hyphens or spaces; raise ValueError when it is not sixteen digits."""
    digits = re.sub(r"[-\s]", "", text.strip())
    if len(digits) != 16 or not (digits.isascii() and digits.isdigit()):
        raise ValueError("expected sixteen digits, as in 1234-5678-9012-3456")
    return int(digits)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a report, for the OpenAPI document."""
    return msgspec.json.schema(ReportMessage)

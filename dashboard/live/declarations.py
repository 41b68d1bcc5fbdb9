"""The types of the messages of the wire for the scripts: `python -m dashboard.live.declarations --write`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from dashboard.live import messages

FILE = Path(__file__).resolve().parents[1] / "components" / "shared" / "messages.d.ts"
_PLAIN = {
    "integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null",
}  # fmt: skip


def declarations() -> str:
    """Return the types of all messages for the scripts, made from their JSON schemas."""
    _, schemas = msgspec.json.schema_components(messages.MESSAGES, ref_template="{name}")
    fields = {each.__name__: each.__struct_fields__ for each in _structs(Struct)}
    parts = [
        "// What the server sends: written by `python -m dashboard.live.declarations --write`, never by hand.\n",
        *(_declared(name, schema, fields[name]) for name, schema in schemas.items()),
    ]
    return "\n".join(parts)


def _structs(base: type[Struct]) -> Iterable[type[Struct]]:
    below: Sequence[type[Struct]] = base.__subclasses__()
    for each in below:
        if each.__module__ == messages.__name__:
            yield each
            yield from _structs(each)


def _declared(name: str, schema: dict[str, Any], fields: tuple[str, ...]) -> str:
    text = f"/** {schema['description']} */\nexport "
    if schema["type"] == "array":
        inner = ", ".join(
            f"{field}: {_type(part)}" for field, part in zip(fields, schema["prefixItems"], strict=True)
        )
        return f"{text}type {name} = [{inner}];\n"
    needed = set(schema["required"]) if "required" in schema else set()
    lines = "".join(
        f"  {field}{'' if field in needed else '?'}: {_type(part)};\n"
        for field, part in schema["properties"].items()
    )
    return f"{text}interface {name} {{\n{lines}}}\n"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"])
    if "anyOf" in schema:
        return " | ".join(_type(each) for each in schema["anyOf"])
    if schema["type"] != "array":
        return _PLAIN[schema["type"]]
    if "prefixItems" in schema:
        return f"[{', '.join(_type(each) for each in schema['prefixItems'])}]"
    item = _type(schema["items"])
    return f"({item})[]" if "|" in item else f"{item}[]"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m dashboard.live.declarations --write")
    FILE.write_text(declarations(), encoding="utf-8")

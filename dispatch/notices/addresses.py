"""Know by which addresses a channel reaches an area, and in which language it is read there.

Addresses are Apprise URLs from the environment and are never written anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from dispatch.rules.areas import ancestors
from dispatch.rules.policy import notices as rules


def addresses_of(env: str, area_code: str, held: Mapping[str, str] = os.environ) -> list[str]:
    """Return a channel's addresses for an area: those of the nearest area that has its own, else everybody's."""
    own = _own(env, area_code, held)
    return held.get(f"{env}_{own}" if own else env, "").split()


def line_of(slug: str, env: str, area_code: str, held: Mapping[str, str] = os.environ) -> str:
    """Return the line by which a channel reaches an area: `slug`, or `slug/<code>` for an area with its own addresses.

    What goes out by one line waits for nothing that goes by another.
    """
    own = _own(env, area_code, held)
    return f"{slug}/{own}" if own else slug


def language_of(channel: rules.Channel, area_code: str, held: Mapping[str, str] = os.environ) -> str:
    """Return the language that is read at a channel's addresses for an area.

    Addresses say it themselves in a variable beside them (`<env>_<code>_LANG`, `<env>_LANG`), else the policy does.
    """
    own = _own(channel.env, area_code, held)
    lang = held.get(f"{channel.env}_{own}_LANG" if own else f"{channel.env}_LANG", "").strip()
    return lang if lang in rules.LANGUAGES else channel.lang


def _own(env: str, area_code: str, held: Mapping[str, str]) -> str:
    return next((code for code in ancestors(area_code) if held.get(f"{env}_{code}", "").strip()), "")


def slug_of(line: str) -> str:
    """Return the channel of a line."""
    return line.partition("/")[0]

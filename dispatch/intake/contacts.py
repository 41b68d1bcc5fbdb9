"""Turn a contact into a keyed token: it tells whose report is whose, and nothing about who that is."""

from __future__ import annotations

import hmac
import os
import secrets
from typing import Any, Final, cast

import redis

CONTACT_KEY: Final = "gridwhistle:contact-key"
KEY_BYTES: Final = 32
TOKEN_BYTES: Final = 16


def key_of(stream: redis.Redis) -> bytes:
    """Return the key of the environment (`CONTACT_KEY`), else the one that the stream's server keeps, made once."""
    if (given := os.environ.get("CONTACT_KEY")) is not None:
        return given.encode()
    stream.set(CONTACT_KEY, secrets.token_bytes(KEY_BYTES), nx=True)
    return cast(bytes, cast(Any, stream.get(CONTACT_KEY)))


def token(key: bytes, contact: str) -> str:
    """Return a contact's token: whoever sees only tokens cannot find a telephone number by trying them all."""
    # Not `hmac.digest`: that lets go of the interpreter for each, and waits until the Desk's thread gives it back.
    return hmac.new(key, contact.encode(), "sha256").digest()[:TOKEN_BYTES].hex()


def of_account(login: str) -> str:
    """Return the contact under which a person who is signed in reports."""
    return f"account:{login}"

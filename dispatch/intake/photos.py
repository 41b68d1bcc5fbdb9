"""Keep photos: each checked by its content, freed of what a camera adds, and named by what it shows."""

from __future__ import annotations

import io
import os
import re
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import fsspec
import psycopg
from PIL import Image, ImageOps, UnidentifiedImageError

from models.servers import servers

UPLOAD_LIMIT_BYTES: Final = 12 * 1024 * 1024
PIXELS_LIMIT: Final = 50_000_000  # a phone's largest; decoded it takes 150 MB for a moment
LONGEST_PX: Final = 1_600
THUMBNAIL_PX: Final = 320
QUALITY: Final = 82
FORMATS: Final = ("JPEG", "PNG", "WEBP")
DECODED_AT_ONCE: Final = 2
SCHEME: Final = "photo:"  # how an incident names a photo of ours: `photo:` and its name
NAME = re.compile(r"[0-9a-f]{64}")

REASONS: Final[dict[str, tuple[str, str]]] = {
    "empty": ("照片是空的", "The photo is empty"),
    "too_large": ("照片超过 12 MiB", "The photo is larger than 12 MiB"),
    "not_a_photo": ("不是 JPEG、PNG 或 WebP 照片", "This is no JPEG, PNG or WebP photo"),
    "too_many_pixels": ("照片像素过多，最多 5000 万", "The photo has too many pixels: at most 50 million"),
    "broken": ("照片已损坏，打不开", "The photo is broken and cannot be opened"),
}

_decoding = threading.BoundedSemaphore(DECODED_AT_ONCE)


class NotAPhoto(ValueError):
    """What was sent is refused: `reason` is a code of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as it is kept: `name` is the SHA-256 (hex) of `whole`; both are JPEG without metadata."""

    name: str
    whole: bytes
    thumbnail: bytes
    width: int
    height: int


def developed(raw: bytes) -> Photo:
    """Return what is kept of an uploaded file; raise NotAPhoto where it is none, or too large.

    The picture is decoded and written anew, upright and at most 1600 px long: nothing that a camera or a sender put
    beside the picture survives, no place and no serial number.
    """
    if not raw:
        raise NotAPhoto("empty")
    if len(raw) > UPLOAD_LIMIT_BYTES:
        raise NotAPhoto("too_large")
    try:
        with warnings.catch_warnings():
            # The size is checked here, before anything is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(raw), formats=FORMATS) as opened:
                if opened.width * opened.height > PIXELS_LIMIT:
                    raise NotAPhoto("too_many_pixels")
                with _decoding:
                    return _developed(opened)
    except UnidentifiedImageError as fault:
        raise NotAPhoto("not_a_photo") from fault
    except Image.DecompressionBombError as fault:
        raise NotAPhoto("too_many_pixels") from fault
    except (OSError, SyntaxError, ValueError, EOFError) as fault:
        if isinstance(fault, NotAPhoto):
            raise
        raise NotAPhoto("broken") from fault


def _developed(opened: Image.Image) -> Photo:
    if opened.format == "JPEG":
        # Decoded at a fraction of its size where it is much larger than what is kept.
        opened.draft("RGB", (LONGEST_PX, LONGEST_PX))
    turn = opened.getexif().get(0x0112)
    small: Image.Image = opened.copy()
    small.thumbnail((LONGEST_PX, LONGEST_PX), Image.Resampling.LANCZOS)
    if turn:
        small.getexif()[0x0112] = turn
        small = ImageOps.exif_transpose(small)
    if small.mode in ("RGBA", "LA", "PA", "P"):
        layered = small.convert("RGBA")
        small = Image.new("RGB", layered.size, "white")
        small.paste(layered, mask=layered.getchannel("A"))
    plain = small.convert("RGB")
    whole = _jpeg(plain)
    least = plain.copy()
    least.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    return Photo(sha256(whole).hexdigest(), whole, _jpeg(least), plain.width, plain.height)


def _jpeg(picture: Image.Image) -> bytes:
    picture.info.clear()
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()


class Store:
    """Keep photos under one address of `fsspec`: a folder, or `s3://…` and others once their package is there."""

    def __init__(self, url: str) -> None:
        self._fs: Any
        self._fs, self._root = fsspec.core.url_to_fs(
            url, **({"auto_mkdir": True} if "://" not in url else {})
        )
        self._local = "file" in (
            self._fs.protocol if not isinstance(self._fs.protocol, str) else (self._fs.protocol,)
        )

    def put(self, photo: Photo) -> None:
        """Keep a photo and its thumbnail; each appears whole or not at all. The same photo twice is one."""
        for small, content in ((True, photo.thumbnail), (False, photo.whole)):
            path = self._path(photo.name, small)
            if self._fs.exists(path):
                continue
            if not self._local:
                self._fs.pipe_file(path, content)
                continue
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            unfinished = f"{path}.{uuid4().hex}"
            self._fs.pipe_file(unfinished, content)
            os.replace(unfinished, path)

    def get(self, name: str, small: bool = False) -> bytes | None:
        """Return a photo's JPEG, or its thumbnail's; None where it is not kept. Raises ValueError for no name."""
        try:
            content: bytes = self._fs.cat_file(self._path(name, small))
        except FileNotFoundError:
            return None
        return content

    def drop(self, name: str) -> None:
        """Let go of a photo and its thumbnail."""
        for small in (True, False):
            path = self._path(name, small)
            if self._fs.exists(path):
                self._fs.rm_file(path)

    def _path(self, name: str, small: bool) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("a photo's name is 64 hexadecimal digits")
        return f"{self._root}/{name[:2]}/{name}{f'-{THUMBNAIL_PX}' if small else ''}.jpg"


@cache
def store() -> Store:
    """Return the store that `PHOTOS_URL` names, else the folder `photos` of the data folder."""
    given = os.environ.get("PHOTOS_URL", "")
    if given:
        return Store(given)
    folder = servers.place() / "photos"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Store(str(folder))


def note(connection: psycopg.Connection[Any], photo: Photo, now: datetime) -> None:
    """Note that a photo was taken in; what no incident carries later is let go of by a job."""
    connection.execute(
        "insert into photo (name, bytes, uploaded_at) values (%s, %s, %s)"
        " on conflict (name) do update set uploaded_at = excluded.uploaded_at",
        (photo.name, len(photo.whole), now),
    )


def attach(connection: psycopg.Connection[Any], names: Sequence[str], number: int) -> None:
    """Note that the incident of a number carries photos; again is no harm, and it may still be on its way."""
    connection.cursor().executemany(
        "insert into photo_use (name, number) values (%s, %s) on conflict do nothing",
        [(name, number) for name in names],
    )


def name_of(address: str) -> str | None:
    """Return the name of a photo of ours from how an incident names it, or None for any other address."""
    name = address.removeprefix(SCHEME)
    return name if address.startswith(SCHEME) and NAME.fullmatch(name) else None

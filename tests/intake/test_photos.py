"""Proves what becomes of a photo: checked by its content, freed of its place, kept once, and shown to few."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from dispatch.intake import photos
from dispatch.intake.photos import NotAPhoto, Store, developed


def picture(
    width: int = 60, height: int = 40, form: str = "JPEG", colour: str = "teal", **more: object
) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, form, **more)
    return out.getvalue()


def placed() -> bytes:
    """Return a photo that carries a camera's name, a place and a turn, as phones write them."""
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    exif[0x0112] = 6  # turned by a quarter
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (22.0, 55.0, 12.0)
    return picture(80, 40, exif=exif)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_of_phones_are_kept_as_jpeg(form: str) -> None:
    kept = developed(picture(form=form))
    assert Image.open(io.BytesIO(kept.whole)).format == "JPEG"
    assert (kept.width, kept.height) == (60, 40)


def test_place_and_camera_do_not_survive_and_the_picture_stands_upright() -> None:
    raw = placed()
    assert b"Secret Camera" in raw
    kept = developed(raw)
    for content in (kept.whole, kept.thumbnail):
        again = Image.open(io.BytesIO(content))
        assert not again.getexif()
        assert b"Secret Camera" not in content
        assert again.height > again.width


def test_a_comment_inside_the_file_does_not_survive() -> None:
    raw = picture(comment=b"telephone 13800000000")
    assert b"13800000000" in raw
    assert b"13800000000" not in developed(raw).whole


def test_a_large_photo_is_made_small() -> None:
    kept = developed(picture(4000, 3000))
    assert (kept.width, kept.height) == (1600, 1200)
    assert max(Image.open(io.BytesIO(kept.thumbnail)).size) == 320


def test_what_is_transparent_becomes_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(out, "PNG")
    assert Image.open(io.BytesIO(developed(out.getvalue()).whole)).getpixel((4, 4)) == (255, 255, 255)


def bomb() -> bytes:
    """Return a PNG that says it is 60,000 pixels square in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"<svg onload='alert(1)'/>", "not_a_photo"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 40, "not_a_photo"),
        (picture(form="GIF"), "not_a_photo"),
        (picture(400, 300, form="PNG")[:300], "broken"),
        (bomb(), "too_many_pixels"),
        (b"\xff" * (photos.UPLOAD_LIMIT_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_photo_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(NotAPhoto) as refused:
        developed(raw)
    assert refused.value.reason == reason
    assert all(photos.REASONS[reason])


def test_the_same_picture_has_the_same_name_and_another_has_another() -> None:
    assert developed(picture()).name == developed(picture()).name
    assert developed(picture()).name != developed(picture(colour="red")).name


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_photo_is_kept_once_given_back_whole_and_let_go(tmp_path: Path, scheme: str) -> None:
    kept = developed(picture())
    store = Store(scheme + (str(tmp_path / "deep" / "photos") if not scheme else "photos-test"))
    store.put(kept)
    store.put(kept)
    assert store.get(kept.name) == kept.whole
    assert store.get(kept.name, small=True) == kept.thumbnail
    if not scheme:
        assert len([f for f in tmp_path.rglob("*") if f.is_file()]) == 2
    store.drop(kept.name)
    store.drop(kept.name)
    assert store.get(kept.name) is None


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_a_name_that_is_no_hash_never_reaches_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError):
        Store(str(tmp_path)).get(name)


def test_only_our_own_addresses_name_a_photo() -> None:
    name = "ab" * 32
    assert photos.name_of(f"photo:{name}") == name
    for other in (name, f"https://example.org/{name}", "photo:../x", "demo/1/before.jpg"):
        assert photos.name_of(other) is None

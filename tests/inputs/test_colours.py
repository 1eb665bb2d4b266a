"""Whatever colours a file holds: its profile is obeyed, and what is transparent is seen."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from dream.inputs import measure_image, open_picture
from dream.inputs.color_profiles import convert_to_srgb
from tests.inputs import profiles

WIDE = profiles.rgb(profiles.ADOBE, 2.2, "wide")


def ramp() -> Image.Image:
    """32x8: red and green rise, blue is 60."""
    values = np.zeros((8, 32, 3), np.uint8)
    values[..., 0], values[..., 1] = np.arange(32) * 8, np.arange(8)[:, None] * 30
    values[..., 2] = 60
    return Image.fromarray(values)


def converted(image: Image.Image, profile: bytes) -> np.ndarray:  # type: ignore[type-arg]
    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    made = ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
    assert made is not None
    return np.asarray(made, int)


def read(path: Path) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(open_picture(path).image, int)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "P", "PA", "YCbCr"])
def test_a_profile_of_rgb_is_obeyed_in_every_mode_of_colours(tmp_path: Path, mode: str) -> None:
    image = ramp().quantize(64) if mode in ("P", "PA") else ramp()
    image = image.convert(mode)
    image.info["icc_profile"] = WIDE
    seen, alpha = convert_to_srgb(tmp_path, image)
    assert (alpha, seen.mode, seen.info) == (None, "RGB", {})
    apart = abs(np.asarray(seen, int) - converted(image.convert("RGB"), WIDE))
    assert apart.max() <= 1
    untouched = abs(np.asarray(seen, int) - np.asarray(image.convert("RGB"), int))
    assert untouched.max() > 20, "the profile matters"


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_a_palette_in_a_file_has_its_profile(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"palette.{ending}"
    flat = ramp().quantize(32)
    flat.save(path, icc_profile=WIDE)
    if ending == "png":
        assert abs(read(path) - converted(flat.convert("RGB"), WIDE)).max() <= 1
    else:
        assert open_picture(path).image.size == (32, 8)


@pytest.mark.parametrize("depth", [1, 8, 16])
@pytest.mark.parametrize("space", ["grey", "rgb"])
def test_grey_of_every_depth_has_its_profile(tmp_path: Path, depth: int, space: str) -> None:
    levels = np.tile(np.arange(16, dtype=np.uint8) * 17, (4, 1))
    image = Image.fromarray(levels)
    if depth == 1:
        image = image.convert("1", dither=Image.Dither.NONE)
    elif depth == 16:
        image = Image.fromarray(levels.astype(np.uint16) * 257)
    profile = profiles.grey(1.0) if space == "grey" else profiles.rgb(profiles.SRGB, 1.0, "even")
    image.save(tmp_path / "grey.png", icc_profile=profile)
    seen = read(tmp_path / "grey.png")
    assert (seen.max(-1) - seen.min(-1)).max() <= 1
    if depth == 1:
        assert set(seen.flatten()) == {0, 255}
    else:
        assert seen[0, 3, 0] == pytest.approx(255 * 0.2 ** (1 / 2.4) * 1.055 - 14, abs=3)


def test_a_press_has_its_inks(tmp_path: Path) -> None:
    black, press = Image.new("CMYK", (4, 4), (0, 0, 0, 255)), profiles.cmyk(60)
    black.save(tmp_path / "ink.tiff", icc_profile=press)
    seen = read(tmp_path / "ink.tiff")
    assert (seen == converted(black, press)).all() and seen.min() > 80, "it is but a grey there"


def test_a_profile_of_other_colours_is_as_good_as_none(tmp_path: Path) -> None:
    for name, profile in (("a", profiles.cmyk(60)), ("b", profiles.grey(1)), ("c", WIDE[:200])):
        ramp().save(tmp_path / f"{name}.png", icc_profile=profile)
        assert (read(tmp_path / f"{name}.png") == np.asarray(ramp())).all()


def test_what_calls_itself_srgb_and_is_not_is_converted(tmp_path: Path) -> None:
    even = profiles.rgb(profiles.SRGB, 1.0, "built-in linear sRGB")
    ramp().save(tmp_path / "even.png", icc_profile=even)
    assert abs(read(tmp_path / "even.png") - converted(ramp(), even)).max() <= 1
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    ramp().save(tmp_path / "own.png", icc_profile=own)
    assert (read(tmp_path / "own.png") == np.asarray(ramp())).all()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(depth: int, colour: int, row: bytes, width: int, *, ahead: bytes = b"") -> bytes:
    head = struct.pack(">2I5B", width, 1, depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" + row))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    return start + ahead + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("depth", "colour", "row", "clear"),
    [
        (1, 0, bytes([0b01000000]), struct.pack(">H", 1)),
        (2, 0, bytes([0b00100000]), struct.pack(">H", 2)),
        (4, 0, bytes([0x0A, 0x00]), struct.pack(">H", 0xA)),
        (8, 0, bytes([0, 200, 0]), struct.pack(">H", 200)),
        (16, 0, struct.pack(">3H", 0, 51234, 51235), struct.pack(">H", 51234)),
        (8, 2, bytes([0, 0, 0, 9, 8, 7, 0, 0, 0]), struct.pack(">3H", 9, 8, 7)),
        (16, 2, struct.pack(">9H", 0, 0, 0, 65535, 257, 0, 0, 0, 0), b"\xff\xff\1\1\0\0"),
    ],
)
def test_the_one_transparent_colour_is_seen_in_every_depth(
    tmp_path: Path, depth: int, colour: int, row: bytes, clear: bytes
) -> None:
    path = tmp_path / "hole.png"
    path.write_bytes(png(depth, colour, row, 3, ahead=chunk(b"tRNS", clear)))
    alpha = open_picture(path).alpha
    assert alpha is not None and alpha.tobytes() == bytes([255, 0, 255])


def test_a_transparent_colour_that_is_nowhere_is_none(tmp_path: Path) -> None:
    for depth, row in ((8, bytes(3)), (16, bytes(6))):
        path = tmp_path / "whole.png"
        path.write_bytes(png(depth, 0, row, 3, ahead=chunk(b"tRNS", struct.pack(">H", 5))))
        assert open_picture(path).alpha is None


def after_the_pixels(path: Path, *chunks: bytes) -> None:
    """A lying PNG, 24x40, that stands upright at 40x24; told behind its pixels."""
    Image.new("RGB", (24, 40), "red").save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-12] + b"".join(chunks) + whole[-12:])


def test_an_orientation_behind_the_pixels_is_obeyed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    text = exif.tobytes().removeprefix(b"Exif\0\0")
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:tiff='
        b'"http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    raw = f"\nexif\n{len(exif.tobytes()):8}\n{exif.tobytes().hex()}\n".encode()
    for kinds in (
        (chunk(b"eXIf", text),),
        (chunk(b"tEXt", b"Comment\0hello"), chunk(b"eXIf", text)),
        (chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),),
        (chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)),),
    ):
        path = tmp_path / "late.png"
        after_the_pixels(path, *kinds)
        assert measure_image(path) == (40, 24) == open_picture(path).image.size


def test_nonsense_behind_the_pixels_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "late.png"
    for nonsense in (b"", b"II*\0", b"\xff" * 40, b"MM\0*\0\0\0\x08\xff\xff"):
        after_the_pixels(path, chunk(b"eXIf", nonsense))
        assert measure_image(path) == (24, 40) == open_picture(path).image.size
        Image.new("RGB", (24, 40)).save(path.with_suffix(".jpg"), exif=b"Exif\0\0" + nonsense)
        assert open_picture(path.with_suffix(".jpg")).image.size == (24, 40)
    after_the_pixels(path, struct.pack(">I4s", 2**31 - 1, b"eXIf") + b"short")
    assert measure_image(path) == (24, 40)

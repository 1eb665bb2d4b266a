"""Every kind of picture is read rightly, or refused in one line."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from dream.core.errors import InputError
from dream.gallery.containers import read_image_text
from dream.inputs import hash_file, measure_image, open_picture

RED, GREEN = (250, 10, 20), (10, 240, 30)


def quarters() -> Image.Image:
    """40x24, red but for the green top left quarter."""
    image = Image.new("RGB", (40, 24), RED)
    image.paste(GREEN, (0, 0, 20, 12))
    return image


def near(pixel: object, wanted: tuple[int, ...], by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(np.array(pixel).tolist(), wanted, strict=True))


@pytest.mark.parametrize(
    "ending", ["png", "jpg", "webp", "tiff", "bmp", "gif", "ppm", "avif", "jp2", "tga", "ico"]
)
def test_every_format_is_the_same_picture(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    if ending == "ico":
        quarters().save(path, sizes=[(40, 24)])
    else:
        quarters().save(path)
    opened = open_picture(path)
    assert (opened.image.mode, opened.image.size, opened.alpha) == ("RGB", (40, 24), None)
    assert near(opened.image.getpixel((4, 4)), GREEN, 40)
    assert near(opened.image.getpixel((36, 20)), RED, 40)
    assert measure_image(path) == (40, 24)
    assert opened.sha256 == hash_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert opened.notes == ()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.tiff"
    image = Image.new("RGB", (9, 7), "white")
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        converted = ImageCms.applyTransform(image, to_lab)
        assert converted is not None
    else:
        converted = image.convert(mode)
    if mode == "LA":
        path = path.with_suffix(".png")
    converted.save(path)
    opened = open_picture(path)
    assert opened.image.mode == "RGB" and opened.alpha is None
    assert near(opened.image.getpixel((3, 3)), (255, 255, 255), 3)


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_grey_of_16_bits_is_divided_and_not_clipped(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"grey.{ending}"
    Image.fromarray(np.array([[0, 0x7FFF, 0xFFFF]], np.uint16)).save(path)
    assert open_picture(path).image.tobytes() == bytes([0, 0, 0, 127, 127, 127, 255, 255, 255])


def test_colour_of_16_bits(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    row = b"\0" + struct.pack(">6H", 0xFFFF, 0, 0x8080, 0x4040, 0xFFFF, 0)
    head = struct.pack(">2I5B", 2, 1, 16, 2, 0, 0, 0)
    path = tmp_path / "colour.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )
    assert open_picture(path).image.tobytes() == bytes([255, 0, 128, 64, 255, 0])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_told(tmp_path: Path, mode: str) -> None:
    image = quarters().convert("RGBA")
    image.putalpha(Image.new("L", (40, 24), 255))
    image.paste((*GREEN, 0), (0, 0, 20, 12))
    path = tmp_path / "hole.png"
    image.convert(mode).save(path)
    alpha = open_picture(path).alpha
    assert alpha is not None and alpha.mode == "L"
    assert (alpha.getpixel((4, 4)), alpha.getpixel((36, 20))) == (0, 255)


def test_the_colour_below_what_is_transparent_stays(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (*RED, 0))
    image.save(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png").image.getpixel((0, 0)) == RED


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
def test_a_photo_stands_upright(tmp_path: Path, orientation: int, ending: str) -> None:
    turned = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = quarters() if turned is None else quarters().transpose(turned)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{ending}"
    stored.save(path, exif=exif, quality=95)
    assert measure_image(path) == (40, 24)
    image = open_picture(path).image
    assert image.size == (40, 24)
    assert near(image.getpixel((4, 4)), GREEN, 40) and near(image.getpixel((36, 20)), RED, 40)


@pytest.mark.parametrize(
    ("ending", "message"),
    [("gif", "frames"), ("webp", "frames"), ("png", "frames"), ("tiff", "pages")],
)
def test_of_what_moves_the_first_frame_is_taken(tmp_path: Path, ending: str, message: str) -> None:
    path = tmp_path / f"film.{ending}"
    others = [Image.new("RGB", (8, 8), colour) for colour in ("blue", "black")]
    Image.new("RGB", (8, 8), RED).save(path, save_all=True, append_images=others)
    opened = open_picture(path)
    assert near(opened.image.getpixel((4, 4)), RED)
    (note,) = opened.notes
    assert f"3 {message}" in note and str(path) in note


def test_a_wide_profile_becomes_srgb(tmp_path: Path) -> None:
    lab = ImageCms.createProfile("LAB")
    strange = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    image = quarters()
    image.save(tmp_path / "s.png", icc_profile=strange.tobytes())
    assert open_picture(tmp_path / "s.png").image.tobytes() == image.tobytes(), "sRGB stays"
    broken = ImageCms.ImageCmsProfile(lab).tobytes()
    image.save(tmp_path / "b.png", icc_profile=broken)
    assert open_picture(tmp_path / "b.png").image.tobytes() == image.tobytes(), "not for RGB"


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (8000, 8000)])
def test_from_one_pixel_to_8000_squared(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "picture.png"
    Image.new("1", size).save(path)
    assert measure_image(path) == size
    assert open_picture(path).image.size == size


def test_measuring_decodes_no_pixel(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (4000, 4000)).save(path)
    path.write_bytes(path.read_bytes()[:200])
    assert measure_image(path) == (4000, 4000)
    with pytest.raises(InputError, match="truncated"):
        open_picture(path)


def bomb() -> bytes:
    """A PNG's head that promises 100,000 x 100,000 pixels."""
    png = io.BytesIO()
    Image.new("1", (1, 1)).save(png, "PNG")
    data = bytearray(png.getvalue())
    data[16:24] = struct.pack(">2I", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_what_is_no_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    png = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(png, "PNG")
    jpeg = io.BytesIO()
    Image.fromarray(noise).save(jpeg, "JPEG")
    cases = {
        "empty.png": (b"", "is empty"),
        "text.png": (b"a red circle on blue\n" * 9, "not an image"),
        "page.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not a"),
        "cut.png": (png.getvalue()[:2000], "truncated"),
        "cut.jpg": (jpeg.getvalue()[:1500], "truncated"),
        "head.png": (png.getvalue()[:20], "head.png"),
        "bomb.png": (bomb(), "million pixels"),
    }
    for name, (data, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            open_picture(path)
        text = str(caught.value)
        assert message in text and name in text and len(text.splitlines()) == 1, text
    with pytest.raises(InputError, match="million pixels"):
        measure_image(tmp_path / "bomb.png")


def test_bytes_that_rot_never_raise_anything_else(tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    path = tmp_path / "rotten"
    for ending in ("png", "jpeg", "webp", "tiff", "gif", "bmp"):
        whole = io.BytesIO()
        quarters().save(whole, ending)
        for _ in range(40):
            data = np.frombuffer(whole.getvalue(), np.uint8).copy()
            data[chance.integers(0, len(data), 6)] = chance.integers(0, 256, 6)
            path.write_bytes(data.tobytes())
            for look in (open_picture, measure_image):
                try:
                    look(path)
                except InputError as error:
                    assert len(str(error).splitlines()) == 1


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"there is no .*did you mean photo\.png"):
        open_picture(tmp_path / "foto.png")
    with pytest.raises(InputError, match="is a folder"):
        open_picture(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        measure_image(tmp_path / "pipe")
    with pytest.raises(InputError):
        open_picture(Path("a\0b"))


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.new("F", (4, 4), 0.5).save(tmp_path / "f.tiff")
    with pytest.raises(InputError, match="floating-point"):
        open_picture(tmp_path / "f.tiff")


def test_heic_is_read(tmp_path: Path) -> None:
    drawn = Image.new("RGB", (64, 48), (200, 40, 40))
    pillow_heif.from_pillow(drawn).save(tmp_path / "photo.heic")
    opened = open_picture(tmp_path / "photo.heic")
    assert (opened.image.size, opened.image.mode, opened.alpha) == ((64, 48), "RGB", None)
    assert near(opened.image.getpixel((30, 20)), (200, 40, 40))
    assert measure_image(tmp_path / "photo.heic") == (64, 48)


def test_heic_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "photo.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64)
    with pytest.raises(InputError, match="pillow-heif"):
        open_picture(path)


def test_what_pillow_logs_of_a_damaged_file_is_not_printed(tmp_path: Path) -> None:
    """In a process without a test's own logging."""
    path = tmp_path / "a.tiff"
    quarters().save(path)
    samples = b"\x15\x01\x03\x00\x01\x00\x00\x00"
    data = path.read_bytes()
    assert samples + b"\x03" in data
    path.write_bytes(data.replace(samples + b"\x03", samples + b"\x7f"))
    program = (
        "import sys; from pathlib import Path; from dream.inputs import open_picture\n"
        "from dream.core.errors import InputError\n"
        "try: open_picture(Path(sys.argv[1]))\n"
        "except InputError: print('refused')"
    )
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_a_few_bytes_that_claim_many_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tall.tif"
    Image.new("L", (8, 8)).save(path)
    tag = struct.pack("<HHI", 257, 3, 1)  # the height, as a 16-bit number
    data = path.read_bytes()
    assert tag in data or struct.pack("<HHI", 257, 4, 1) in data
    for kind in (3, 4):
        head = struct.pack("<HHI", 257, kind, 1)
        if head in data:
            at = data.index(head)
            data = data[:at] + struct.pack("<HHII", 257, 4, 1, 8_323_080) + data[at + 12 :]
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"claims 66 million pixels in [\d,]+ bytes"):
        open_picture(path)
    Image.new("L", (8192, 8192), 255).save(tmp_path / "mask.png")
    assert open_picture(tmp_path / "mask.png").image.size == (8192, 8192)


@pytest.mark.parametrize("between", [b"\xff", b"\0", b"\xff\0", b"\xff\xe0\0\2", b"\xff\xd0"])
def test_much_before_the_pixels_of_a_jpeg_is_refused(tmp_path: Path, between: bytes) -> None:
    """Pillow would look at each byte, and at each segment."""
    file = io.BytesIO()
    quarters().save(file, "JPEG")
    data, path = file.getvalue(), tmp_path / "filled.jpg"
    for count in (3, 2000):
        path.write_bytes(data[:20] + between * count + data[20:])
        assert near(open_picture(path).image.getpixel((0, 0)), GREEN)
        assert read_image_text(path).width == 40
    path.write_bytes(data[:20] + between * 70_000 + data[20:])
    for read in (open_picture, measure_image):
        with pytest.raises(InputError, match="is damaged: it has too much before its pixels"):
            read(path)
    with pytest.raises(ValueError, match="too much"):
        read_image_text(path)

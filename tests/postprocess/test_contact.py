from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dream.core.errors import FinishError
from dream.postprocess.contact_sheet import make_contact_sheet
from dream.postprocess.image_grid import MAX_SIDE

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


@pytest.fixture
def red(tmp_path: Path) -> Path:
    Image.new("RGB", (100, 60), RED).save(tmp_path / "red.png")
    return tmp_path / "red.png"


@pytest.fixture
def green(tmp_path: Path) -> Path:
    Image.new("RGB", (100, 60), GREEN).save(tmp_path / "green.png")
    return tmp_path / "green.png"


def is_written_on(page: Image.Image, box: tuple[int, int, int, int]) -> bool:
    part = page.crop(box).convert("L")
    return part.getextrema() != (255, 255)


def test_each_picture_stands_above_its_label(red: Path, green: Path) -> None:
    page = make_contact_sheet([red, green], ["-C5", "-C7.5"])
    half = page.width // 2
    assert page.getpixel((half // 2, 30)) == RED
    assert page.getpixel((half + half // 2, 30)) == GREEN
    assert is_written_on(page, (0, 68, half, page.height))
    assert is_written_on(page, (half, 68, page.width, page.height))
    assert page.getpixel((0, 0)) == page.getpixel((page.width - 1, page.height - 1)) == WHITE


def test_rows_are_as_asked_and_what_is_missing_leaves_a_gap(red: Path, green: Path) -> None:
    page = make_contact_sheet([red, None, green], ["a", "b", "c"], columns=1)
    third = page.height // 3
    middle = page.width // 2
    assert page.getpixel((middle, third // 2)) == RED
    assert page.getpixel((middle, third + third // 2)) == WHITE
    assert is_written_on(page, (0, third + 60, page.width, 2 * third))
    assert page.getpixel((middle, 2 * third + third // 2)) == GREEN


def test_long_labels_are_broken_between_words_and_never_cut(red: Path) -> None:
    short = make_contact_sheet([red], ["-s5"])
    long = make_contact_sheet([red], ["-s5 -C7.5 -Ak_euler -S1234567890 -W512"])
    wide = make_contact_sheet([red], ["-A" + "k" * 60])
    assert long.width == short.width
    assert long.height > short.height
    assert wide.width > short.width
    margins = ((0, 0, 3, wide.height), (wide.width - 3, 0, wide.width, wide.height))
    assert not any(is_written_on(wide, margin) for margin in margins)


def test_a_sheet_of_many_is_bounded(red: Path) -> None:
    page = make_contact_sheet([red] * 600, ["-S1"] * 600, columns=2)
    assert max(page.size) <= MAX_SIDE


def test_what_cannot_be_drawn_is_said(tmp_path: Path, red: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(FinishError, match=r"image grid failed.*broken\.png is not an image"):
        make_contact_sheet([red, tmp_path / "broken.png"], ["", ""])
    with pytest.raises(ValueError, match="needs at least one image"):
        make_contact_sheet([None], [""])

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dream.core.errors import FinishError
from dream.postprocess.image_grid import MAX_SIDE, make_image_grid

RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)


def plain(colour: tuple[int, int, int], width: int = 8, height: int = 6) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


@pytest.mark.parametrize(
    ("count", "across", "down"),
    [(1, 1, 1), (2, 2, 1), (3, 2, 2), (4, 2, 2), (5, 3, 2), (9, 3, 3), (10, 4, 3)],
)
def test_a_sheet_is_near_square(count: int, across: int, down: int) -> None:
    assert make_image_grid([plain(RED)] * count).size == (8 * across, 6 * down)


def test_pictures_stand_in_reading_order_without_gaps() -> None:
    page = make_image_grid([plain(RED), plain(GREEN), plain(BLUE)])
    assert [page.getpixel(at) for at in ((7, 5), (8, 0), (0, 6), (8, 6))] == [
        RED,
        GREEN,
        BLUE,
        BLACK,
    ]


def test_columns_are_as_asked_but_never_empty() -> None:
    assert make_image_grid([plain(RED)] * 4, columns=4).size == (32, 6)
    assert make_image_grid([plain(RED)] * 3, columns=7).size == (24, 6)


def test_different_shapes_are_fitted_whole_and_centred() -> None:
    page = make_image_grid([plain(RED, 10, 10), plain(GREEN, 10, 5)])
    assert page.size == (20, 10)
    column = [page.getpixel((15, y)) for y in range(10)]
    assert column == [BLACK] * 2 + [GREEN] * 5 + [BLACK] * 3


def test_every_mode_comes_out_as_rgb() -> None:
    page = make_image_grid(
        [Image.new("L", (4, 4), 200), Image.new("P", (4, 4)), Image.new("RGBA", (4, 4))]
    )
    assert page.mode == "RGB"
    assert page.getpixel((1, 1)) == (200, 200, 200)


def test_a_sheet_of_9999_pictures_is_bounded() -> None:
    page = make_image_grid([plain(RED, 96, 32)] * 9999)
    assert page.width <= MAX_SIDE
    assert page.size == (100 * 81, 100 * 27)
    assert page.getpixel((0, 0)) == RED


def test_files_are_as_good_as_pictures(tmp_path: Path) -> None:
    pictures = [plain(RED), plain(GREEN)]
    paths = [tmp_path / "red.png", tmp_path / "green.png"]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    assert make_image_grid(paths).tobytes() == make_image_grid(pictures).tobytes()


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(FinishError, match=r"image grid failed.*broken\.png is not an image"):
        make_image_grid([plain(RED), broken])


def test_a_sheet_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs at least one image"):
        make_image_grid([])


def test_importing_the_grid_loads_nothing_heavy() -> None:
    code = (
        "import sys, dream.postprocess.image_grid; "
        "print([m for m in ('torch', 'numpy', 'cv2', 'basicsr') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Maps for control models, made by OpenCV: what they show, and that they are always the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from dream.engine.vision.control_maps.make_map import (
    LONGEST_SIDE,
    UNCHANGED_KINDS,
    limit_map_size,
    make_plain_map,
)
from dream.options.control import CONTROL_KINDS

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
EDGE_KINDS = ("canny", "scribble", "lineart", "softedge")
PLAIN_KINDS = (*EDGE_KINDS, "tile", *UNCHANGED_KINDS)
RED, BLUE = (200, 40, 40), (40, 40, 200)
"""Of nearly the same lightness, so that a gray image would not show the border between them."""


@pytest.fixture(scope="module")
def drawing() -> Image.Image:
    image = Image.new("RGB", (192, 160), BLUE)
    ImageDraw.Draw(image).rectangle((60, 50, 131, 109), fill=RED)
    return image


def map_levels(kind: str, image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(h, w) of a gray map."""
    made = make_plain_map(kind, image, size)
    assert made is not None and made.mode == "RGB" and made.size == size
    levels = np.asarray(made)
    assert (levels == levels[..., :1]).all(), "a map of edges is gray"
    return levels[..., 0]


@pytest.mark.parametrize("kind", EDGE_KINDS)
def test_edges_are_where_the_colour_changes(kind: str, drawing: Image.Image) -> None:
    levels = map_levels(kind, drawing, drawing.size)
    near = np.zeros(levels.shape, bool)
    near[44:116, 54:138] = True
    near[58:102, 68:124] = False  # inside, away from the border
    assert levels[~near].max() < 90, "flat areas are black"
    rows = levels[60:100]
    assert (rows[:, 54:66].max(1) > 120).all() and (rows[:, 126:138].max(1) > 120).all()
    columns = levels[:, 70:120]
    assert (columns[44:56].max(0) > 120).all() and (columns[104:116].max(0) > 120).all()


def test_canny_is_one_pixel_wide_and_scribbles_are_wider(drawing: Image.Image) -> None:
    canny, scribble = (
        (map_levels(kind, drawing, drawing.size) > 127).sum() for kind in ("canny", "scribble")
    )
    outline = 2 * (72 + 60)
    assert 0.9 * outline < canny < 1.2 * outline
    assert scribble > 2 * canny


def soft_disc(blur: float) -> Image.Image:
    """Of radius 60 in the middle of 256 x 256 pixels."""
    image = Image.new("RGB", (256, 256), BLUE)
    ImageDraw.Draw(image).ellipse((68, 68, 188, 188), fill=RED)
    return image.filter(ImageFilter.GaussianBlur(blur))


def count_strokes(levels: NDArray[np.uint8]) -> int:
    return int(cv2.connectedComponents((levels > 127).astype(np.uint8))[0]) - 1


@pytest.mark.parametrize("blur", [0, 2, 6, 12])
def test_a_scribble_of_a_soft_shape_is_one_closed_stroke(blur: float) -> None:
    levels = map_levels("scribble", soft_disc(blur), (256, 256))
    assert count_strokes(levels) == 1
    assert count_strokes(255 - levels) == 2, "inside and outside"
    ys, xs = np.nonzero(levels)
    distances = np.hypot(ys - 128, xs - 128)
    assert distances.min() > 60 - 6 and distances.max() < 60 + 6


def test_a_scribble_leaves_out_textures_noise_and_slow_changes() -> None:
    drawn = np.random.default_rng(0).normal(128, 15, (256, 256, 3))
    noise = Image.fromarray(drawn.clip(0, 255).astype(np.uint8))
    assert not map_levels("scribble", noise, (256, 256)).any()
    levels = map_levels("scribble", Image.blend(soft_disc(2), noise, 0.4), (256, 256))
    assert count_strokes(levels) == 1
    slow = Image.linear_gradient("L").convert("RGB")
    assert not map_levels("scribble", slow, (256, 256)).any()
    assert map_levels("softedge", slow, (256, 256)).max() < 80


@pytest.mark.parametrize(("name", "strokes"), [("pair", 2), ("stars", 5), ("smiley", 4)])
def test_a_scribble_of_a_drawing_has_few_strokes(name: str, strokes: int) -> None:
    with Image.open(PICTURES / f"{name}.png") as image:
        levels = map_levels("scribble", image.convert("RGB"), image.size)
    assert count_strokes(levels) == strokes
    assert not levels[[0, -1]].any() and not levels[:, [0, -1]].any(), "no frame"


@pytest.mark.parametrize("kind", EDGE_KINDS)
def test_an_image_of_one_colour_has_no_edges(kind: str) -> None:
    assert map_levels(kind, Image.new("RGB", (64, 64), RED), (64, 64)).max() == 0


@pytest.mark.parametrize("kind", PLAIN_KINDS)
def test_a_map_has_the_size_asked_for_and_is_always_the_same(
    kind: str, drawing: Image.Image
) -> None:
    before = drawing.tobytes()
    first, again = (make_plain_map(kind, drawing, (128, 64)) for _ in range(2))
    assert first is not None and again is not None
    assert first.size == (128, 64) and first.tobytes() == again.tobytes()
    assert drawing.tobytes() == before


@pytest.mark.parametrize("kind", PLAIN_KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (8, 8)])
def test_the_smallest_images_have_maps(kind: str, size: tuple[int, int]) -> None:
    for image in (Image.new("RGB", (1, 1), RED), Image.effect_noise((16, 9), 80).convert("RGB")):
        made = make_plain_map(kind, image, size)
        assert made is not None and made.size == size


def test_lines_of_lineart_have_the_same_strength_in_faint_images() -> None:
    faint, strong = (Image.new("RGB", (96, 96), (120,) * 3) for _ in range(2))
    ImageDraw.Draw(faint).line((10, 48, 86, 48), fill=(60,) * 3, width=2)
    ImageDraw.Draw(strong).line((10, 48, 86, 48), fill=(0,) * 3, width=2)
    assert map_levels("lineart", faint, (96, 96))[47:50].max() > 150
    assert map_levels("lineart", strong, (96, 96))[47:50].max() > 150


def test_a_tile_keeps_the_content_without_its_details(drawing: Image.Image) -> None:
    noisy = Image.blend(drawing, Image.effect_noise(drawing.size, 120).convert("RGB"), 0.3)
    made = make_plain_map("tile", noisy, noisy.size)
    assert made is not None
    details = np.abs(np.diff(np.asarray(noisy, float), axis=1)).mean()
    assert np.abs(np.diff(np.asarray(made, float), axis=1)).mean() < 0.5 * details
    assert np.abs(np.asarray(made, float).mean((0, 1)) - np.asarray(noisy).mean((0, 1))).max() < 1


@pytest.mark.parametrize("kind", UNCHANGED_KINDS)
def test_some_kinds_use_the_image_itself(kind: str, drawing: Image.Image) -> None:
    assert make_plain_map(kind, drawing, drawing.size) == drawing


def test_the_image_is_cropped_and_never_distorted() -> None:
    wide = Image.new("RGB", (300, 100), BLUE)
    ImageDraw.Draw(wide).ellipse((120, 20, 180, 80), fill=RED)
    ys, xs = np.nonzero(map_levels("canny", wide, (100, 100)) > 127)
    assert abs(np.ptp(xs) - np.ptp(ys)) <= 1 and abs(np.ptp(xs) - 61) <= 2


def test_sizes_are_bounded() -> None:
    assert limit_map_size((640, 480)) == (640, 480)
    assert limit_map_size((LONGEST_SIDE * 4, LONGEST_SIDE)) == (LONGEST_SIDE, LONGEST_SIDE // 4)
    assert limit_map_size((100_000, 1)) == (LONGEST_SIDE, 1)
    made = make_plain_map("qr", Image.new("RGB", (4, 4)), (LONGEST_SIDE * 3, 3))
    assert made is not None and made.size == (LONGEST_SIDE, 1)


def test_the_other_kinds_need_a_network(drawing: Image.Image) -> None:
    others = set(CONTROL_KINDS) - set(PLAIN_KINDS)
    assert others == {"depth", "normal", "pose", "seg"}
    assert all(make_plain_map(kind, drawing, (64, 64)) is None for kind in others)


def test_only_the_maps_of_edges_import_opencv() -> None:
    importers = [
        path.name for path in Path("dream/engine").rglob("*.py") if "import cv2" in path.read_text()
    ]
    assert importers == ["edges.py"]


@pytest.mark.parametrize("kind", EDGE_KINDS)
def test_the_maps_in_the_documentation_are_what_is_computed(kind: str) -> None:
    with (
        Image.open(PICTURES / "pair.png") as image,
        Image.open(PICTURES / f"pair.{kind}.png") as shown,
    ):
        levels = map_levels(kind, image.convert("RGB"), image.size).astype(int)
        # The lowest bits depend on the processor.
        assert np.abs(levels - np.asarray(shown.convert("L"))).mean() < 0.5, (
            f"!control {kind} pair.png"
        )

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dream
from dream.catalogue import ModelRegistry
from dream.catalogue.upscalers import KNOWN_UPSCALERS
from dream.core.errors import FetchError, FinishError, ModelError
from dream.core.picture import Picture
from dream.core.stages import scale_size
from dream.postprocess import basicsr_compat as shim
from dream.postprocess import upscale
from dream.postprocess.upscale import Upscaler
from tests.postprocess.conftest import Enlarge, compact, noise, recipe, save

LANCZOS = Image.Resampling.LANCZOS


def values(picture: Picture) -> Any:
    return np.asarray(picture.image).astype(int)


# ── size and strength ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["nearest", "nearest2", "rrdb1"])
@pytest.mark.parametrize("factor", [1, 1.5, 2, 3.5, 4, 8])
def test_sides_are_exactly_the_factor(enlarge: Enlarge, name: str, factor: float) -> None:
    made = enlarge(noise(19, 13), factor, 0.5, name)
    assert (
        made.image.size == (round(19 * factor), round(13 * factor)) == scale_size((19, 13), factor)
    )
    assert made.image.mode == "RGB"


def test_at_the_networks_scale_its_picture_is_kept_as_it_is(enlarge: Enlarge) -> None:
    image = noise(20, 30)
    assert enlarge(image, 4).image.tobytes() == image.resize((80, 120), 0).tobytes()
    assert enlarge(image, 2, name="nearest2").image.tobytes() == image.resize((40, 60), 0).tobytes()


def test_below_the_networks_scale_shrinking_is_antialiased(enlarge: Enlarge) -> None:
    # Light and dark columns of the network's picture, four to a pixel, must come out as grey;
    # OpenCV's Lanczos, which Real-ESRGAN uses, looks at the dark ones alone.
    grey = Image.new("RGB", (20, 20), (128, 128, 128))
    full = values(enlarge(grey, 4, name="striped"))
    assert full.min() < 30 and full.max() > 225
    for factor in (1, 2):
        assert np.abs(values(enlarge(grey, factor, name="striped"))[4:-4, 4:-4] - 128).max() <= 3


def test_strength_0_is_a_plain_resize_and_asks_for_no_network(enlarge: Enlarge) -> None:
    image = noise(20, 30)
    made = enlarge(image, 3, 0, name="no such upscaler")
    assert made.image.tobytes() == image.resize((60, 90), LANCZOS).tobytes()
    assert "upscaler_weights" not in made.facts


def test_strength_blends_with_the_resized_original(enlarge: Enlarge) -> None:
    image = noise(20, 30)
    none, half, full = (values(enlarge(image, 4, strength)) for strength in (0, 0.5, 1))
    assert np.abs(half - (none + full) / 2).max() <= 0.5
    assert np.abs(full - none).max() > 50


def test_facts_name_the_networks_file_and_the_picture_is_not_changed(
    enlarge: Enlarge, models: Path
) -> None:
    image = noise(9, 9)
    before = image.tobytes()
    made = enlarge(image)
    digest = hashlib.sha256((models / "upscalers" / "nearest.pth").read_bytes()).hexdigest()
    assert made.facts == {"weights": "abc", "upscaler_weights": digest}
    assert image.tobytes() == before


def test_the_same_picture_gives_the_same_bits(enlarge: Enlarge) -> None:
    first, again = (enlarge(noise(40, 30), 2, name="rrdb", tile=32).sha256 for _ in range(2))
    assert first == again


def test_a_recipe_without_upscaling_changes_nothing(upscaler: Upscaler) -> None:
    from dataclasses import replace

    picture = Picture(noise(9, 9), replace(recipe(2, 1, "x"), upscale=None, upscaler=None))
    assert upscaler.upscale(picture, on_tile=print, on_note=print) is picture


# ── every kind of picture ──────────────────────────────────────────────────────────────────────


def test_colours_stay_the_colours_they_are(enlarge: Enlarge) -> None:
    made = enlarge(Image.new("RGB", (12, 12), (250, 40, 10)))
    assert made.image.getcolors() == [(24 * 24, (250, 40, 10))]


def test_grey_stays_grey(enlarge: Enlarge) -> None:
    image = noise(20, 20, "L")
    assert enlarge(image, 4).image.tobytes() == image.resize((80, 80), 0).tobytes()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_enlarged_with_the_colours(enlarge: Enlarge, mode: str) -> None:
    image, tiles = noise(20, 20, mode), []
    made = enlarge(image, 4, tiles=tiles)
    assert made.image.mode == mode
    assert made.image.tobytes() == image.resize((80, 80), 0).tobytes()
    assert tiles == [(1, 2), (2, 2)]


def test_even_transparency_takes_no_second_run(enlarge: Enlarge) -> None:
    image, tiles = noise(20, 20), []
    image.putalpha(77)
    made = enlarge(image, 4, 0.5, tiles=tiles)
    assert made.image.getchannel("A").getextrema() == (77, 77)
    assert tiles == [(1, 1)]


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
@pytest.mark.parametrize("value", [7, 300, 12345, 65535])
def test_sixteen_bits_stay_sixteen_bits(enlarge: Enlarge, mode: str, value: int) -> None:
    image = Image.new(mode, (12, 12), value)
    for strength in (0, 0.6, 1):
        made = enlarge(image, 2, strength)
        assert made.image.mode == "I;16"
        assert set(np.asarray(made.image).ravel().tolist()) == {value}


@pytest.mark.parametrize(
    ("mode", "becomes"), [("1", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("HSV", "RGB"), ("PA", "RGBA")]
)
def test_other_modes_become_the_nearest(enlarge: Enlarge, mode: str, becomes: str) -> None:
    image = (
        noise(12, 12, "L").convert("P").convert("PA")
        if mode == "PA"
        else noise(12, 12).convert(mode)
    )
    made = enlarge(image, 2, 0.5)
    assert (made.image.mode, made.image.size) == (becomes, (24, 24))


def test_a_palette_keeps_its_transparency(enlarge: Enlarge) -> None:
    image = Image.new("P", (12, 12), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.info["transparency"] = bytes([255, 128])
    made = values(enlarge(image))
    assert np.abs(made - (200, 100, 50, 128)).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (8, 8), (10, 3)])
@pytest.mark.parametrize("name", ["nearest", "rrdb2"])
def test_tiny_pictures(enlarge: Enlarge, name: str, size: tuple[int, int]) -> None:
    assert enlarge(noise(*size), 3, 0.5, name).image.size == (3 * size[0], 3 * size[1])


# ── the network in memory ──────────────────────────────────────────────────────────────────────


def test_the_last_network_stays_in_memory_until_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Path] = []
    load = upscale.load_network
    monkeypatch.setattr(upscale, "load_network", lambda path: (loads.append(path), load(path))[1])
    path = save(compact(seed=1), tmp_path / "upscalers" / "mine.pth")
    upscaler = Upscaler(ModelRegistry((tmp_path,)), "cpu")
    picture = Picture(noise(9, 9), recipe(4, 1, "mine"))

    def run() -> str:
        return upscaler.upscale(picture, on_tile=lambda *at: None, on_note=pytest.fail).sha256

    first = run()
    assert run() == first and loads == [path]
    save(compact(seed=2), path)
    os.utime(path, ns=(1, 1))
    assert run() != first and loads == [path, path]


def test_an_upscaler_that_is_not_here_is_fetched_first(tmp_path: Path, models: Path) -> None:
    calls: list[Any] = []

    def fetch(url: str, target: Path, **details: Any) -> None:
        calls.append((url, target, details["size"], details["sha256"]))
        details["on_progress"](5, 10)
        target.parent.mkdir(parents=True)
        shutil.copy(models / "upscalers" / "nearest.pth", target)

    upscaler = Upscaler(ModelRegistry((tmp_path,)), "cpu", fetch=fetch)
    notes: list[str] = []
    progress: list[tuple[int, int]] = []
    for _ in range(2):
        made = upscaler.upscale(
            Picture(noise(9, 9), recipe(4, 1, "realesr-general-x4v3")),
            on_tile=lambda *at: None,
            on_note=notes.append,
            on_fetch=lambda *at: progress.append(at),
        )
    row = next(row for row in KNOWN_UPSCALERS if row.name == "realesr-general-x4v3")
    info = row.info_at(tmp_path / "upscalers" / "realesr-general-x4v3.pth")
    assert calls == [(info.url, info.path, info.size, info.sha256)]
    assert notes == ["downloading realesr-general-x4v3 (4.9 MB) from github.com"]
    assert progress == [(5, 10)]
    assert made.image.size == (36, 36)


def test_a_fetch_that_fails_is_passed_on(tmp_path: Path) -> None:
    def fetch(*args: Any, **details: Any) -> None:
        raise FetchError("no network")

    upscaler = Upscaler(ModelRegistry((tmp_path,)), "cpu", fetch=fetch)
    picture = Picture(noise(9, 9), recipe(4, 1, "RealESRGAN_x4plus"))
    with pytest.raises(FetchError, match="no network"):
        upscaler.upscale(picture, on_tile=lambda *at: None, on_note=lambda text: None)


def test_an_unknown_upscaler_is_a_model_error(enlarge: Enlarge) -> None:
    with pytest.raises(ModelError, match="did you mean nearest"):
        enlarge(noise(9, 9), name="nearst")


# ── memory ─────────────────────────────────────────────────────────────────────────────────────

SHORT = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


def failing(monkeypatch: pytest.MonkeyPatch, times: int, error: Exception) -> list[int]:
    """Let the first runs of the network fail; the tile sizes that were tried are noted."""
    tried: list[int] = []
    honest = upscale.TiledUpscaler.upscale

    def enlarge(self: Any, rgb: Any, tile: int, on_tile: Any) -> Any:
        tried.append(tile)
        if len(tried) <= times:
            raise error
        return honest(self, rgb, tile, on_tile)

    monkeypatch.setattr(upscale.TiledUpscaler, "upscale", enlarge)
    return tried


def test_bfloat16_is_chosen_by_the_line_and_close(upscaler: Upscaler) -> None:
    """The network that was in memory for float32 is not used for bfloat16, nor the other way."""
    image = noise(70, 50)

    def run(precision: str | None, name: str = "rrdb1") -> Picture:
        asked = dataclasses.replace(recipe(4, 1, name, 32), upscale_precision=precision)
        return upscaler.upscale(
            Picture(image, asked, {}), on_tile=lambda *_: None, on_note=lambda _: None
        )

    plain, fast = run(None), run("bfloat16")
    apart = np.abs(values(plain) - values(fast))
    assert 0 < apart.max() < 16 and apart.mean() < 1
    assert run("bfloat16").sha256 == fast.sha256
    assert run(None).sha256 == plain.sha256


@pytest.mark.parametrize("error", [SHORT, MemoryError()], ids=["torch", "python"])
@pytest.mark.parametrize(("tile", "smaller"), [(64, 32), (0, 50), (400, 50)])
def test_short_memory_is_answered_with_smaller_tiles_and_said(
    enlarge: Enlarge, monkeypatch: pytest.MonkeyPatch, error: Exception, tile: int, smaller: int
) -> None:
    notes: list[str] = []
    tried = failing(monkeypatch, 1, error)
    made = enlarge(noise(100, 60), 2, tile=tile, notes=notes)
    assert made.image.size == (200, 120)
    assert tried == [tile, smaller]
    assert made.recipe.upscale_tile == smaller  # so that the log's line makes it again
    assert notes == [f"out of memory while upscaling; retrying with --upscale_tile {smaller}"]


def test_memory_that_stays_short_is_a_finish_error(
    enlarge: Enlarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, 2, SHORT)
    with pytest.raises(FinishError, match="out of memory while upscaling 100x60 pixels"):
        enlarge(noise(100, 60))


def test_a_bug_is_not_mistaken_for_short_memory(
    enlarge: Enlarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, 1, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        enlarge(noise(9, 9))


# ── the shim ───────────────────────────────────────────────────────────────────────────────────


def test_a_missing_library_is_said_with_what_to_install() -> None:
    program = (
        "import sys, builtins\n"
        "honest = builtins.__import__\n"
        "def refuse(name, *rest):\n"
        "    if name == 'cv2':\n"
        "        raise ImportError('libGL.so.1: cannot open shared object file')\n"
        "    return honest(name, *rest)\n"
        "builtins.__import__ = refuse\n"
        "from dream.core.errors import SetupError\n"
        "try:\n"
        "    import dream.postprocess.basicsr_compat\n"
        "except SetupError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(dream.__file__).parents[1])},
    )
    assert "libGL.so.1" in done.stdout
    assert "replace opencv-python with opencv-python-headless" in done.stdout


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            RuntimeError("operator torchvision::nms does not exist"),
            "torch and torchvision together",
        ),
        (ModuleNotFoundError("No module named 'basicsr'"), "reinstall realesrgan and basicsr"),
    ],
)
def test_other_mishaps_have_their_advice(error: Exception, advice: str) -> None:
    assert advice in str(shim._explain_import(error))

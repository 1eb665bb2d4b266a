from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dream.core.errors import FinishError
from dream.postprocess import tiled_upscaler as tiles
from dream.postprocess.basicsr_compat import RealESRGANer
from dream.postprocess.network import UpscalerNetwork
from dream.postprocess.tiled_upscaler import TiledUpscaler, split_evenly
from tests.postprocess.conftest import compact, noise, rrdb

CPU = torch.device("cpu")


def planes(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(noise(width, height)).astype(np.float32) / 255


def ignore(number: int, count: int) -> None:
    pass


class Watched(nn.Module):
    """A network that notes the sizes it is given, and fails at one of its calls."""

    def __init__(self, inner: nn.Module, fails_at: int = 0, error: Exception | None = None) -> None:
        super().__init__()
        self.inner, self.fails_at, self.error = inner, fails_at, error
        self.sizes: list[tuple[int, int]] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.sizes.append((pixels.shape[2], pixels.shape[3]))
        if len(self.sizes) == self.fails_at and self.error:
            raise self.error
        made: Tensor = self.inner(pixels)
        return made


# ── where it is cut ────────────────────────────────────────────────────────────────────────────


@given(
    units=st.integers(1, 9000),
    most=st.integers(4, 9000) | st.just(0),
    step=st.sampled_from([1, 2, 4]),
)
def test_pieces_are_even_and_none_is_a_sliver(units: int, most: int, step: int) -> None:
    side = units * step
    cuts = split_evenly(side, most, step)
    pieces = [after - before for before, after in pairwise(cuts)]
    assert cuts[0] == 0 and cuts[-1] == side
    assert all(cut % step == 0 for cut in cuts)
    assert max(pieces) - min(pieces) <= step
    if most:
        assert max(pieces) <= most
        assert len(pieces) == -(-units // (most // step))  # as few as can be
    else:
        assert pieces == [side]


def test_a_picture_a_little_larger_than_a_tile_has_no_slivers() -> None:
    # Real-ESRGAN's own tiling: 118 + 10 pixels in tiles of 60 is 3 x 3, five of them slivers.
    module = Watched(compact())
    TiledUpscaler(UpscalerNetwork(module, 4, 4), CPU).upscale(planes(118, 118), 64, ignore)
    assert module.sizes == [(68, 68)] * 4


# ── what comes out ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("module", "scale", "reach"),
    [
        (compact(), 4, 4),
        (compact(8, 2, 2), 2, 4),
        (rrdb(4), 4, 32),
        (rrdb(2), 2, 32),
        (rrdb(1), 1, 32),
    ],
)
@pytest.mark.parametrize("size", [(47, 37), (70, 21)])
def test_tiles_make_the_same_picture_as_the_whole(
    module: nn.Module, scale: int, reach: int, size: tuple[int, int]
) -> None:
    enlarger = TiledUpscaler(UpscalerNetwork(module, scale, reach), CPU)
    whole = enlarger.upscale(planes(*size), 0, ignore)
    tiled = enlarger.upscale(planes(*size), 32, ignore)
    assert whole.shape == (size[1] * scale, size[0] * scale, 3)
    assert whole.std() > 0.01
    assert np.abs(whole - tiled).max() <= 1 / 255


@pytest.mark.parametrize(("module", "scale"), [(compact(), 4), (rrdb(4), 4), (rrdb(2), 2)])
def test_the_whole_is_what_the_original_makes(
    tmp_path_factory: pytest.TempPathFactory, module: nn.Module, scale: int
) -> None:
    path = tmp_path_factory.mktemp("original") / "net.pth"
    torch.save({"params": module.state_dict()}, path)
    original = RealESRGANer(scale, str(path), model=module, device=CPU)
    image = noise(45, 33)
    theirs, _ = original.enhance(np.asarray(image)[..., ::-1])  # it wants blue first
    ours = TiledUpscaler(UpscalerNetwork(module, scale, 4), CPU).upscale(planes(45, 33), 0, ignore)
    difference = np.rint(ours * 255) - theirs[..., ::-1].astype(np.float32)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("tile", [0, 32, 64])
@pytest.mark.parametrize("size", [(64, 64), (47, 37), (5, 70)])
def test_what_is_mirrored_beyond_the_border_is_no_tile_where_that_changes_no_bit(
    size: tuple[int, int], tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    enlarger = TiledUpscaler(UpscalerNetwork(compact(16, 14), 4, 16), CPU)
    cut: list[int] = []
    found = enlarger.upscale(planes(*size), tile, lambda number, of: cut.append(of))
    assert cut[0] == (-(-size[0] // tile) * -(-size[1] // tile) if tile else 1)
    monkeypatch.setattr(tiles, "has_exact_field", lambda network, device: False)
    assert (found == enlarger.upscale(planes(*size), tile, ignore)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (10, 11), (300, 1)])
@pytest.mark.parametrize(("module", "scale"), [(compact(), 4), (rrdb(2), 2), (rrdb(1), 1)])
def test_pictures_may_be_as_small_as_one_pixel(
    module: nn.Module, scale: int, size: tuple[int, int]
) -> None:
    made = TiledUpscaler(UpscalerNetwork(module, scale, 4), CPU).upscale(planes(*size), 64, ignore)
    assert made.shape == (size[1] * scale, size[0] * scale, 3)
    assert 0 <= made.min() <= made.max() <= 1


def test_tiles_are_counted_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[tuple[int, int]] = []
    TiledUpscaler(UpscalerNetwork(compact(), 4, 4), CPU).upscale(
        planes(60, 20), 40, lambda *at: heard.append(at)
    )
    assert heard == [(1, 2), (2, 2)]
    assert capfd.readouterr() == ("", "")


def test_a_tile_is_never_smaller_than_its_overlap() -> None:
    module = Watched(compact())
    TiledUpscaler(UpscalerNetwork(module, 4, 4), CPU).upscale(planes(54, 54), 1, ignore)
    assert len(module.sizes) == 4


# ── what goes wrong ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_failing_tile_raises(fails_at: int) -> None:
    module = Watched(compact(), fails_at, RuntimeError("conv2d said no"))
    enlarger = TiledUpscaler(UpscalerNetwork(module, 4, 4), CPU)
    with pytest.raises(FinishError, match=f"tile {fails_at} of 4 failed: conv2d said no"):
        enlarger.upscale(planes(54, 54), 32, ignore)


def test_memory_that_is_short_is_left_to_the_caller() -> None:
    module = Watched(compact(), 2, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        TiledUpscaler(UpscalerNetwork(module, 4, 4), CPU).upscale(planes(54, 54), 32, ignore)


def test_what_has_no_room_is_refused_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Short:
        available = 50_000

    monkeypatch.setattr(tiles.psutil, "virtual_memory", Short)
    enlarger = TiledUpscaler(UpscalerNetwork(compact(), 4, 0), CPU)
    assert enlarger.upscale(planes(8, 8), 0, ignore).shape == (32, 32, 3)
    with pytest.raises(FinishError, match=r"turns 20x10 pixels into 80x40: .* 0.0 are free"):
        enlarger.upscale(planes(20, 10), 0, ignore)


def test_raising_between_tiles_cancels() -> None:
    module = Watched(compact())

    def cancel(number: int, count: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    enlarger = TiledUpscaler(UpscalerNetwork(module, 4, 4), CPU)
    with pytest.raises(KeyboardInterrupt):
        enlarger.upscale(planes(54, 54), 32, cancel)
    assert len(module.sizes) == 2
    assert enlarger.upscale(planes(9, 9), 0, ignore).shape == (36, 36, 3)


def test_numbers_that_are_no_colours_raise() -> None:
    module = compact()
    next(module.parameters()).data.fill_(float("nan"))
    with pytest.raises(FinishError, match="NaN or infinite"):
        TiledUpscaler(UpscalerNetwork(module, 4, 4), CPU).upscale(planes(9, 9), 0, ignore)

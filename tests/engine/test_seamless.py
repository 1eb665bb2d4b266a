"""Convolutions that see, beyond an edge, the opposite one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.memory import low_memory as memory
from dream.engine.sampling.seamless import make_seamless
from tests.recipes import recipe

SHIPPED = Path(__file__).parents[2] / "models"


class Convolved(nn.Module):
    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 4, kernel, padding=kernel // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


class Pipe:
    def __init__(self, unet: nn.Module | None) -> None:
        self.unet = unet
        self.vae = None


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("axes", [None, "x", "y"])
@torch.no_grad()
def test_rolled_before_is_rolled_behind(axes: str | None, axis: int) -> None:
    unet, x = Convolved(), torch.rand(1, 4, 6, 10)
    with make_seamless(Pipe(unet), recipe(seamless=True, seamless_axes=axes)):
        rendered, rolled = unet(x), unet(x.roll(3, axis))
    wraps = axes is None or axes == {-1: "x", -2: "y"}[axis]
    assert torch.allclose(rolled, rendered.roll(3, axis), atol=1e-6) == wraps


@torch.no_grad()
def test_a_side_shorter_than_the_padding_still_has_its_size() -> None:
    unet = Convolved(kernel=7)
    with make_seamless(Pipe(unet), recipe(seamless=True)):
        assert unet(torch.rand(1, 4, 2, 9)).shape == (1, 4, 2, 9)


def test_a_model_without_a_unet_is_refused() -> None:
    with (
        pytest.raises(ModelError, match="seamless"),
        make_seamless(Pipe(None), recipe(seamless=True)),
    ):
        pass
    with make_seamless(Pipe(None), recipe()):
        pass


def pixels(
    generator: ImageGenerator, **changes: object
) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    picture = generator.generate(recipe(sampler="k_euler", **changes), lambda reported: None)
    return np.asarray(picture.image, np.int16)


@pytest.fixture
def plain_before(generator: ImageGenerator) -> Iterator[None]:
    """Whatever the test does: a plain image is the same before and after it."""
    before = pixels(generator)
    yield
    assert (pixels(generator) == before).all()


@pytest.mark.usefixtures("plain_before")
def test_it_is_undone_behind_a_line_and_behind_a_failure(generator: ImageGenerator) -> None:
    plain, tiled = pixels(generator), pixels(generator, seamless=True)
    assert (plain != tiled).any()

    class Hell(Exception): ...

    def fail(reported: object) -> None:
        raise Hell

    with pytest.raises(Hell):
        generator.generate(recipe(seamless=True), fail)


@torch.no_grad()
@pytest.mark.parametrize("axes", [None, "x", "y"])
def test_a_picture_is_encoded_without_a_seam(generator: ImageGenerator, axes: str | None) -> None:
    pipe = generator.load("random", lambda reported: None).pipe
    factor = pipe.vae_scale_factor
    x = torch.rand(1, 3, 12 * factor, 16 * factor, generator=torch.Generator().manual_seed(0))
    for axis, name in ((-1, "x"), (-2, "y")):
        with make_seamless(pipe, recipe(seamless=True, seamless_axes=axes)):
            encoded = pipe.vae.encode(x).latent_dist.mean
            rolled = pipe.vae.encode(x.roll(5 * factor, axis)).latent_dist.mean
        alike = torch.allclose(rolled, encoded.roll(5, axis), atol=1e-4)
        assert alike == (axes is None or axes == name)


@torch.no_grad()
def test_it_is_encoded_in_tiles_without_a_seam_too() -> None:
    generator = create_generator(ModelRegistry([SHIPPED]).get_model)
    pipe = generator.load("tiny", lambda reported: None).pipe
    vae, factor = pipe.vae, pipe.vae_scale_factor
    down, across = torch.meshgrid(torch.arange(256), torch.arange(512), indexing="ij")
    turn = torch.pi / 256  # no tile of 256 pixels is a period of it
    wave = torch.sin(across * turn) * torch.cos(down * 2 * turn) + torch.sin(across * 5 * turn) / 2
    x = torch.stack((wave, -wave, wave / 2))[None]
    with make_seamless(pipe, recipe(seamless=True)):
        whole = vae.encode(x).latent_dist.mean
        vae.enable_tiling()
        try:
            tiled = vae.encode(x).latent_dist.mean
        finally:
            vae.disable_tiling()
    assert tiled.shape == whole.shape == (1, whole.shape[1], 256 // factor, 512 // factor)
    apart = (tiled - whole).abs()
    for edge in (apart[..., [0, -1]], apart[..., [0, -1], :]):
        assert edge.mean() < 0.3, "1.2 and 0.8 where each tile wraps around into itself"


def test_where_memory_is_short_the_tiles_fit_as_well() -> None:
    """With the shipped model: random ones see every tile with another eye."""
    generator = create_generator(ModelRegistry([SHIPPED]).get_model)
    wanted = {
        "model": "tiny",
        "prompt": "an orange sunset over the sea",
        "width": 512,
        "height": 256,
    }
    whole = pixels(generator, seamless=True, **wanted)
    with memory.use_less_memory(generator.load("tiny", lambda reported: None).pipe):
        tiled = pixels(generator, seamless=True, **wanted)
    assert 0 < abs(whole - tiled).mean() < 3
    for axis in (0, 1):
        leaps = abs(tiled - np.roll(tiled, 1, axis)).mean((1 - axis, 2))
        assert leaps[0] < 1.5 * leaps[1:].max(), "ten times that without --seamless"

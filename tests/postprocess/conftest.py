"""Upscalers of the known architectures that have learnt nothing, and pictures to enlarge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from dream.catalogue import ModelRegistry
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.options.option_type import Upscale
from dream.postprocess.basicsr_compat import RRDBNet, SRVGGNetCompact
from dream.postprocess.upscale import Upscaler
from tests import recipes


def compact(features: int = 8, depth: int = 2, scale: int = 4, seed: int = 0) -> nn.Module:
    """A SRVGGNetCompact with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made: nn.Module = SRVGGNetCompact(3, 3, features, depth, scale, "prelu")
    return made


def rrdb(scale: int = 4, blocks: int = 1, features: int = 4, growth: int = 2) -> nn.Module:
    """An RRDBNet with random weights, tuned so that its picture of noise is mostly in 0..1."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made: nn.Module = RRDBNet(3, 3, scale, features, blocks, growth)
        for parameter in made.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
        with torch.no_grad():
            seen = made(torch.rand(1, 3, 16, 16))
    last = made.get_submodule("conv_last")
    last.weight.data /= 5 * seen.std()
    last.bias.data = (last.bias.data - seen.mean()) / (5 * seen.std()) + 0.5
    return made


def nearest(scale: int = 4) -> nn.Module:
    """A network that repeats every pixel: all its weights are zero, and the rest is a shortcut."""
    made = compact(4, 1, scale)
    for parameter in made.parameters():
        parameter.data.zero_()
    return made


def striped() -> nn.Module:
    """For x4: every pixel becomes columns of which the outer ones are lighter, the inner darker."""
    made = nearest()
    columns = torch.tensor([0.4, -0.4, -0.4, 0.4])  # the order of sub-pixels is (channel, y, x)
    made.get_submodule("body.4").bias.data = columns.repeat(3 * 4)
    return made


def save(module: nn.Module, path: Path, key: str = "params") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({key: module.state_dict()} if key else module.state_dict(), path)
    return path


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are so small that threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with upscalers: nearest, nearest2, striped, compact, rrdb, rrdb2, rrdb1."""
    folder = tmp_path_factory.mktemp("models")
    files = folder / "upscalers"
    save(nearest(), files / "nearest.pth")
    save(nearest(2), files / "nearest2.pth")
    save(striped(), files / "striped.pth")
    save(compact(), files / "compact.pth")
    for scale, name in ((4, "rrdb"), (2, "rrdb2"), (1, "rrdb1")):
        save(rrdb(scale), files / f"{name}.pth", "params_ema")
    return folder


@pytest.fixture
def upscaler(models: Path) -> Upscaler:
    return Upscaler(ModelRegistry((models,)), "cpu")


Enlarge = Callable[..., Picture]


@pytest.fixture
def enlarge(upscaler: Upscaler) -> Enlarge:
    """Enlarges a picture; what is said on the way goes to the lists handed in."""

    def run(
        image: Image.Image,
        factor: float = 2,
        strength: float = 1,
        name: str = "nearest",
        tile: int = 400,
        tiles: list[tuple[int, int]] | None = None,
        notes: list[str] | None = None,
    ) -> Picture:
        picture = Picture(image, recipe(factor, strength, name, tile), {"weights": "abc"})
        heard_tiles = [] if tiles is None else tiles
        heard_notes = [] if notes is None else notes
        return upscaler.upscale(
            picture, on_tile=lambda *at: heard_tiles.append(at), on_note=heard_notes.append
        )

    return run


def recipe(factor: float, strength: float, name: str, tile: int = 400) -> Recipe:
    """One that asks for upscaling."""
    return recipes.recipe(upscale=Upscale(factor, strength), upscaler=name, upscale_tile=tile)


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A picture of pure noise, the same every time."""
    generator = torch.Generator().manual_seed(seed)
    bands = len(mode) if mode.isupper() else 1
    values = torch.randint(0, 256, (height, width, bands), generator=generator, dtype=torch.uint8)
    return Image.fromarray(values.numpy() if bands > 1 else values[..., 0].numpy())

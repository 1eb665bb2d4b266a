"""One half is the other's reflection."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from dream.core.errors import ModelError
from dream.engine.image_generator import ImageGenerator
from dream.engine.sampling.symmetry import Symmetry
from tests.recipes import recipe


def test_latents_are_mirrored_from_their_share_on() -> None:
    latents = torch.arange(30.0).reshape(1, 1, 5, 6)
    symmetry = Symmetry(left_right=0.5, top_bottom=0.3)
    assert torch.equal(symmetry.after_step(latents, 2, 10), latents)
    third = symmetry.after_step(latents, 3, 10)
    assert torch.equal(third, third.flip(-2)) and not torch.equal(third, third.flip(-1))
    assert torch.equal(third[..., :3, :], latents[..., :3, :]), "the first half and the middle stay"
    last = symmetry.after_step(latents, 10, 10)
    assert torch.equal(last, last.flip(-1)) and torch.equal(last, last.flip(-2))


def test_a_share_of_one_is_the_last_step_alone() -> None:
    latents = torch.rand(1, 4, 8, 8)
    assert torch.equal(Symmetry(1.0, 0.0).after_step(latents, 9, 10), latents)
    assert not torch.equal(Symmetry(1.0, 0.0).after_step(latents, 10, 10), latents)


def test_latents_in_patches_are_refused() -> None:
    with pytest.raises(ModelError, match="symmetry is not supported"):
        Symmetry(0.5, 0.0).after_step(torch.rand(1, 16, 64), 1, 10)
    Symmetry().after_step(torch.rand(1, 16, 64), 1, 10)


@pytest.mark.parametrize("size", [(7, 5), (8, 6)])
def test_a_picture_is_mirrored_to_the_pixel(size: tuple[int, int]) -> None:
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    before = Image.fromarray(pixels)
    after = np.asarray(Symmetry(0.5, 0.5).apply_to_image(before))
    assert (after == after[:, ::-1]).all() and (after == after[::-1]).all()
    assert (after[: height // 2, : width // 2] == pixels[: height // 2, : width // 2]).all()
    assert (np.asarray(before) == pixels).all(), "the picture itself is not changed"


@pytest.mark.parametrize("sampler", ["k_heun", "plms", "dpmpp_sde"])
def test_it_is_symmetric_with_every_kind_of_sampler(
    generator: ImageGenerator, sampler: str
) -> None:
    wanted = recipe(sampler=sampler, steps=4, h_symmetry_time_pct=0.4)
    pixels = np.asarray(generator.generate(wanted, lambda reported: None).image)
    assert (pixels == pixels[:, ::-1]).all() and (pixels != pixels[::-1]).any()

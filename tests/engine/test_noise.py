"""The noise that images start from."""

from __future__ import annotations

import itertools

import pytest
import torch

from dream.engine.image_generator import ImageGenerator
from dream.engine.sampling import noise
from dream.options.variations import Variation
from tests.recipes import recipe

SHAPE = (1, 4, 24, 40)


def drawn(**changes: object) -> torch.Tensor:
    wanted = recipe(**changes)
    return noise.draw_noise(wanted, noise.make_generator(wanted.seed), SHAPE)


def test_a_plain_recipe_is_plain_noise() -> None:
    plain = torch.randn(SHAPE, generator=torch.Generator().manual_seed(42))
    assert torch.equal(drawn(), plain)
    assert torch.equal(drawn(with_variations=(Variation(7, 0),)), plain)
    assert torch.equal(drawn(perlin=0.0), plain)


def test_a_variation_goes_from_one_noise_to_the_other() -> None:
    weights = (0.0, 0.1, 0.3, 0.6, 1.0)
    way = [drawn(with_variations=(Variation(7, weight),)) for weight in weights]
    away = [float((noise - way[0]).norm()) for noise in way]
    assert away == sorted(away) and len(set(away)) == len(away)
    assert torch.allclose(way[-1], drawn(seed=7))
    assert all(0.9 < float(noise.std()) < 1.1 for noise in way), "noise stays noise"


def test_variations_are_taken_one_after_the_other() -> None:
    a, b = Variation(7, 0.3), Variation(8, 0.4)
    first = drawn(with_variations=(a,))
    assert torch.equal(
        drawn(with_variations=(a, b)), noise.interpolate_spherically(first, drawn(seed=8), 0.4)
    )


def test_the_same_noise_and_its_opposite_have_no_arc_between_them() -> None:
    one = drawn()
    assert torch.allclose(noise.interpolate_spherically(one, one, 0.5), one)
    assert torch.isfinite(noise.interpolate_spherically(one, -one, 0.5)).all()


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_perlin_keeps_mean_and_variance(share: float) -> None:
    mixed = torch.cat([drawn(seed=seed, perlin=share) for seed in range(8)])
    assert abs(float(mixed.mean())) < 0.05
    assert 0.95 < float(mixed.std()) < 1.05


def test_perlin_is_smooth_and_goes_around_the_edges() -> None:
    field = noise.draw_perlin(noise.make_generator(1), (1, 4, 64, 96))
    for axis in (-1, -2):
        steps = (field - field.roll(1, axis)).abs().amax((0, 1, -3 - axis))
        assert float(steps.max()) < 1.5, "white noise would leap four times as far"
        assert float(steps[0]) <= float(steps.max()), "the seam is no larger a step than others"
        assert float(steps[0]) < 2 * float(steps.mean())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (5, 13)])
def test_perlin_of_any_size_is_finite(height: int, width: int) -> None:
    assert torch.isfinite(noise.draw_perlin(noise.make_generator(1), (1, 4, height, width))).all()


@pytest.mark.parametrize("height", range(1, 17))
@pytest.mark.parametrize("width", range(2, 17))
def test_perlin_of_any_size_is_there(height: int, width: int) -> None:
    field = noise.draw_perlin(noise.make_generator(1), (1, 4, height, width))
    assert field.std((-2, -1), correction=0).allclose(torch.ones(1, 4), atol=1e-3)


def test_variations_and_perlin_change_what_the_same_seed_paints(generator: ImageGenerator) -> None:
    def sha256(**changes: object) -> str:
        return generator.generate(
            recipe(sampler="k_euler_a", **changes), lambda reported: None
        ).sha256

    wanted = ({}, {"perlin": 0.2}, {"with_variations": (Variation(7, 0.2),)})
    pictures = [sha256(**changes) for changes in wanted]
    for one, other in itertools.combinations(pictures, 2):
        assert one != other
    assert sha256(with_variations=(Variation(7, 0.0),)) == pictures[0]

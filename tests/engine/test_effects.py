"""Effects with families of models: what each can do it does, what not it refuses by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, Progress
from dream.engine.sampling.guidance_rescale import compute_factor, rescale_guidance
from dream.engine.tasks import TaskInputs
from dream.options.variations import Variation
from tests.random_layouts import make_consistency, make_layout, make_sd3
from tests.recipes import recipe

EFFECTS: tuple[dict[str, Any], ...] = (
    {"with_variations": (Variation(7, 0.3),)},
    {"perlin": 0.3},
    {"threshold": 0.2},
    {"seamless": True},
    {"h_symmetry_time_pct": 0.5},
)


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> ImageGenerator:
    folder = tmp_path_factory.mktemp("families")
    make_layout("sdxl").save_pretrained(folder / "sdxl")
    make_consistency().save_pretrained(folder / "consistency")
    make_sd3().save_pretrained(folder / "sd3")
    return create_generator(
        ModelRegistry([folder]).get_model, DeviceConfig(max_loaded_models=3, previews=True)
    )


def render(
    generator: ImageGenerator, every: int = 0, **changes: Any
) -> tuple[Picture, list[Image.Image]]:
    reported: list[Any] = []
    picture = generator.generate(recipe(steps=4, **changes), reported.append, every=every)
    shown = [event.image for event in reported if isinstance(event, Progress)]
    return picture, [image for image in shown if image is not None]


@pytest.mark.parametrize("model", ["sdxl", "consistency"])
def test_models_with_a_unet_can_do_all(families: ImageGenerator, model: str) -> None:
    made = [render(families, model=model, **changes)[0].sha256 for changes in ({}, *EFFECTS)]
    assert len(set(made)) == len(made)
    assert render(families, model=model)[0].sha256 == made[0], "all of it is undone"


@pytest.mark.parametrize("effect", EFFECTS[:4], ids=lambda effect: next(iter(effect)))
def test_others_refuse_what_they_cannot(families: ImageGenerator, effect: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="sd3") as caught:
        render(families, model="sd3", **effect)
    assert caught.value.hint


def test_stable_diffusion_3_is_symmetric(families: ImageGenerator) -> None:
    pixels = np.asarray(render(families, model="sd3", h_symmetry_time_pct=0.5)[0].image)
    assert (pixels == pixels[:, ::-1]).all()


@pytest.mark.parametrize("model", ["sdxl", "consistency", "sd3"])
def test_each_is_seen_in_the_making(families: ImageGenerator, model: str) -> None:
    plain, _ = render(families, model=model)
    picture, shown = render(families, every=1, model=model)
    assert picture.sha256 == plain.sha256
    assert [image.size for image in shown] == [(64, 64)] * 3


def test_with_a_picture_to_start_from_they_act_too(
    families: ImageGenerator, tmp_path: Path
) -> None:
    path = tmp_path / "start.png"
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(path)
    start = {"model": "sdxl", "init_img": str(path), "strength": 0.6}
    made = [render(families, **start, **changes)[0].sha256 for changes in ({}, *EFFECTS)]
    assert len(set(made)) == len(made)
    near = {"with_variations": (Variation(7, 0.0),)}
    assert render(families, **start, **near)[0].sha256 == made[0]


def test_another_pictures_colours(families: ImageGenerator, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (9, 9), (200, 30, 20)).save(path)
    picture, _ = render(families, model="sdxl", init_color=str(path))
    assert abs(np.asarray(picture.image, int) - (200, 30, 20)).max() <= 1
    assert len(picture.facts["init_color"]) == 64


# ── guidance rescale ───────────────────────────────────────────────────────────────────────────


def test_guidance_is_rescaled_as_the_paper_has_it() -> None:
    """Lin et al. 2023, arXiv:2305.08891, equations 14 to 16."""
    outputs = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    without, positive = outputs.chunk(2)
    guided = without + 7.5 * (positive - without)
    rescaled = guided * positive.std() / guided.std()
    expected = 0.7 * rescaled + 0.3 * guided
    made = compute_factor(outputs, 0.7, 7.5) * guided
    assert torch.allclose(made, expected, atol=1e-6)
    assert float(compute_factor(outputs, 1.0, 7.5) * guided.std()) == pytest.approx(
        float(positive.std()), rel=1e-5
    )


def test_it_is_what_a_pipeline_makes_that_can_rescale_itself() -> None:
    pipe = make_layout("sd1")
    pipe.set_progress_bar_config(disable=True)

    def latents(**more: Any) -> torch.Tensor:
        noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
        wanted = {"num_inference_steps": 4, "guidance_scale": 9.0, "output_type": "latent"}
        made: torch.Tensor = pipe("a cat", latents=noise, **wanted, **more).images
        return made

    theirs = latents(guidance_rescale=0.7)
    with rescale_guidance(pipe, 0.7, 9.0):
        ours = latents()
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert not torch.allclose(latents(), theirs, atol=1e-2), "and it is undone"


@pytest.mark.parametrize("model", ["sdxl", "random"])
@pytest.mark.parametrize("start", ["words", "picture", "mask"])
def test_guidance_is_rescaled_from_any_start(
    families: ImageGenerator, generator: ImageGenerator, model: str, start: str
) -> None:
    mask = Image.linear_gradient("L").resize((64, 64))
    picture = Image.new("RGB", (64, 64), "orange")
    inputs = TaskInputs(
        image=None if start == "words" else picture, mask=mask if start == "mask" else None
    )

    def made(**changes: Any) -> str:
        wanted = recipe(model=model, strength=None if start == "words" else 0.7, **changes)
        engine = families if model == "sdxl" else generator
        return engine.generate(wanted, lambda event: None, inputs).sha256

    assert made() == made(cfg_rescale=0.0)
    assert len({made(), made(cfg_rescale=0.7), made(cfg_rescale=1.0)}) == 3
    assert made(cfg_scale=1.0) == made(cfg_scale=1.0, cfg_rescale=0.7), "there is no guidance"


def test_that_guidance_is_not_rescaled_is_said(families: ImageGenerator) -> None:
    for model in ("sd3", "consistency"):
        reported: list[Any] = []
        made = families.generate(recipe(model=model, cfg_rescale=0.7), reported.append)
        notes = [note.text for note in reported if isinstance(note, Note)]
        assert f"{model} does not support --cfg_rescale; ignored" in notes
        assert made.sha256 == families.generate(recipe(model=model), reported.append).sha256

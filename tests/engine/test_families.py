"""The families that came after Stable Diffusion's, with random weights, from folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError, OutOfMemory
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, GenerationCancelled, Progress
from dream.engine.silence_libraries import silence_libraries
from dream.options.family_table import get_family
from tests.random_families import FAMILIES, write_models
from tests.random_layouts import make_sd3
from tests.random_newest import NEWEST
from tests.random_others import OTHERS
from tests.recipes import recipe


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    folder = tmp_path_factory.mktemp("families")
    models = {**FAMILIES, "sd3": lambda _: make_sd3()}
    write_models(folder, models, tmp_path_factory.mktemp)
    return ModelRegistry([folder])


@pytest.fixture(scope="module")
def families(registry: ModelRegistry) -> ImageGenerator:
    return create_generator(registry.get_model, DeviceConfig(max_loaded_models=len(FAMILIES)))


def render(generator: ImageGenerator, model: str, **changes: Any) -> tuple[Picture, list[Any]]:
    reported: list[Any] = []
    small = {"width": 80, "height": 64, "steps": 3, "cfg_scale": 4.0}
    return generator.generate(recipe(model=model, **small | changes), reported.append), reported


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_paints_step_by_step_and_the_same_again(
    registry: ModelRegistry, model: str, precision: str
) -> None:
    generator = create_generator(registry.get_model, DeviceConfig(precision=precision))
    picture, reported = render(generator, model)
    assert picture.image.size == (80, 64)
    assert np.asarray(picture.image).std() > 1
    assert [reported.step for reported in reported if isinstance(reported, Progress)] == [1, 2, 3]
    assert render(generator, model)[0].sha256 == picture.sha256
    assert render(generator, model, seed=2)[0].sha256 != picture.sha256


@pytest.mark.parametrize("model", FAMILIES)
def test_it_can_be_stopped(families: ImageGenerator, model: str) -> None:
    def stop(event: object) -> None:
        if isinstance(event, Progress):
            raise GenerationCancelled

    with pytest.raises(GenerationCancelled):
        families.generate(recipe(model=model, width=64, height=64, steps=3), stop)


@pytest.mark.parametrize("model", FAMILIES)
def test_negative_words_are_heard_or_it_is_said(families: ImageGenerator, model: str) -> None:
    plain, _ = render(families, model, negative="")
    other, reported = render(families, model, negative="blue")
    deaf = f"{model} does not support negative prompts; ignored: blue"
    assert (plain.sha256 == other.sha256) == (model == "flux")
    assert (Note(text=deaf) in reported) == (model == "flux")


@pytest.mark.parametrize("model", FAMILIES)
def test_guidance_is_heard(families: ImageGenerator, model: str) -> None:
    one, two = (render(families, model, cfg_scale=scale)[0] for scale in (2.0, 9.0))
    assert one.sha256 != two.sha256


def test_their_cards_say_what_they_want(registry: ModelRegistry) -> None:
    guidance = {"flux": 3.5, "pixart": 4.5, "z-image": 5.0, "qwen-image": 4.0, "sd3": 7.0}
    for name, scale in guidance.items():
        info = registry.get_model(name)
        assert info.multiple == 16, "two latents to the word, eight pixels to the latent"
        assert info.cfg_scale == scale
        trained = {"pixart": 256, "sd3": 256}
        assert (info.width, info.height) == (trained.get(name, 1024),) * 2


def count_questions(generator: ImageGenerator, model: str, cfg_scale: float) -> int:
    """How often the denoiser is asked in three steps; two rows of a batch are two questions."""
    pipe = generator.load(model, lambda event: None).pipe
    denoiser = getattr(pipe, "transformer", None) or pipe.unet
    rows: list[int] = []

    def count(_: object, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        rows.append(len(named["hidden_states"] if "hidden_states" in named else args[0]))

    hook = denoiser.register_forward_pre_hook(count, with_kwargs=True)
    try:
        multiple = max(16, get_family(generator.load(model, print).info.family).multiple)
        size = {"width": 80 if multiple == 16 else 2 * multiple, "height": 2 * multiple}
        render(generator, model, cfg_scale=cfg_scale, **size)
    finally:
        hook.remove()
    return sum(rows)


@pytest.mark.parametrize("model", FAMILIES)
def test_guidance_of_one_is_off(families: ImageGenerator, model: str) -> None:
    """-C1, whatever the number is that says so to a pipeline."""
    assert count_questions(families, model, 1.0) == 3
    assert count_questions(families, model, 4.0) == (3 if model == "flux" else 6)


# ── the others that diffusers knows ────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    folder = tmp_path_factory.mktemp("others")
    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        for name, make in {**OTHERS, **NEWEST, "qwen-image": FAMILIES["qwen-image"]}.items():
            make(tmp_path_factory.mktemp(name)).save_pretrained(folder / name)
    return ModelRegistry([folder])


@pytest.mark.parametrize("model", [*OTHERS, *NEWEST, "qwen-image"])
def test_every_pipeline_paints_what_is_asked_and_is_seen_in_the_making(
    others: ModelRegistry, model: str
) -> None:
    generator = create_generator(others.get_model, DeviceConfig(previews=True))
    size = {"width": 96, "height": 64, "steps": 3, "cfg_scale": 4.0}
    reported: list[Any] = []
    picture = generator.generate(recipe(model=model, **size), reported.append, every=1)
    assert picture.image.size == (96, 64), "the pipeline knows no better"
    steps = [event for event in reported if isinstance(event, Progress)]
    shown = [step.image.size for step in steps if step.image is not None]
    assert shown == [(96, 64)] * 2
    assert steps[0].preview is not None, "a matrix is fitted where none is published"
    quietly = create_generator(others.get_model, DeviceConfig())
    assert quietly.generate(recipe(model=model, **size), reported.append).sha256 == picture.sha256


@pytest.mark.parametrize(
    "model", ["krea-2", "lumina-2", "aura-flow", "sana", "cogview-4", "flux-2-klein"]
)
def test_guidance_of_one_is_off_for_them_too(others: ModelRegistry, model: str) -> None:
    generator = create_generator(others.get_model, DeviceConfig(max_loaded_models=1))
    assert count_questions(generator, model, 1.0) == 3


def test_flux_2_is_not_taken_for_flux(others: ModelRegistry) -> None:
    info = others.get_model("flux-2-klein")
    assert (info.family, info.cfg_scale) == ("flux2", 1.0)


def test_a_picture_of_another_size_than_its_line_says_is_refused(
    others: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dream.engine.sampling.generation_run.NO_RESIZING", {})
    generator = create_generator(others.get_model, DeviceConfig())
    small = recipe(model="hunyuan-dit", width=96, height=64, steps=2)
    with pytest.raises(ModelError, match=r"generated \d+x\d+ pixels instead of 96x64"):
        generator.generate(small, lambda event: None)


def test_what_a_pipeline_cannot_do_is_said_in_one_sentence(others: ModelRegistry) -> None:
    generator = create_generator(others.get_model, DeviceConfig())
    odd = recipe(model="sana", width=80, height=64, steps=2)
    with pytest.raises(
        ModelError, match="sana cannot generate this image: SanaPipeline says"
    ) as caught:
        generator.generate(odd, lambda event: None)
    assert "\n" not in str(caught.value)
    assert others.get_model("sana").multiple == 32


@pytest.mark.parametrize("message", ["shape '[1, 2]' is invalid", "out of memory"])
def test_what_torch_says_is_one_sentence_but_for_memory(
    others: ModelRegistry, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    from diffusers import AuraFlowPipeline

    def fail(*words: object, **more: object) -> None:
        raise RuntimeError(f"{message}\nsecond line")

    generator = create_generator(others.get_model, DeviceConfig())
    monkeypatch.setattr(AuraFlowPipeline, "encode_prompt", fail)
    small = recipe(model="aura-flow", width=64, height=64, steps=2)
    kind = OutOfMemory if "memory" in message else ModelError
    with pytest.raises(kind) as caught:
        generator.generate(small, lambda event: None)
    assert "second line" not in str(caught.value)
    assert ("AuraFlowPipeline says" in str(caught.value)) == (kind is ModelError)


FROM_PICTURES = {
    "StableDiffusion3Img2Img": lambda folder: make_sd3(),
    "StableDiffusion3Inpaint": lambda folder: make_sd3(),
    "FluxInpaint": FAMILIES["flux"],
    "FluxKontextInpaint": OTHERS["kontext"],
    "Flux2KleinInpaint": OTHERS["flux-2-klein"],
    "ChromaImg2Img": OTHERS["chroma"],
    "ChromaInpaint": OTHERS["chroma"],
}
"""Pipelines that take a picture, and a model with their components."""


@pytest.mark.parametrize("name", FROM_PICTURES)
def test_a_folder_saved_by_an_image_to_image_class_paints_from_words(
    tmp_path: Path, name: str
) -> None:
    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        (tmp_path / "parts").mkdir()
        plain = FROM_PICTURES[name](tmp_path / "parts")
        saved = getattr(diffusers, f"{name}Pipeline")
        config = {key: plain.config[key] for key in ("is_distilled",) if key in plain.config}
        saved(**plain.components, **config).save_pretrained(tmp_path / "models" / "saved")
        plain.save_pretrained(tmp_path / "models" / "plain")
    index = json.loads((tmp_path / "models" / "saved" / "model_index.json").read_text("utf-8"))
    assert index["_class_name"] == f"{name}Pipeline"
    generator = create_generator(ModelRegistry([tmp_path / "models"]).get_model, DeviceConfig())
    assert render(generator, "saved")[0].sha256 == render(generator, "plain")[0].sha256

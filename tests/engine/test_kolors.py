"""Kolors as a folder: ChatGLM3 reads the words, SDXL's UNet paints."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from dream.engine.loading import model_index
from dream.engine.loading.model_index import read_index
from dream.engine.silence_libraries import silence_libraries
from dream.engine.tasks import TaskInputs
from tests.recipes import recipe


def write_kolors(folder: Path, parts: Path) -> Any:
    """The pipeline that was saved in a folder."""
    pytest.importorskip("sentencepiece", reason="Kolors reads its vocabulary with sentencepiece")
    from tests.random_kolors import make_kolors

    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = make_kolors(parts)
        pipe.save_pretrained(folder)
    return pipe


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("models")
    pipe = write_kolors(folder / "kolors", tmp_path_factory.mktemp("parts"))
    return folder, pipe


def open_models(folder: Path, **config: Any) -> ImageGenerator:
    return create_generator(ModelRegistry([folder]).get_model, DeviceConfig(**config))


def render(
    generator: ImageGenerator, inputs: TaskInputs | None = None, **changes: Any
) -> np.ndarray[Any, Any]:
    values = {"width": 64, "height": 64, "steps": 3, "cfg_scale": 4.0, "sampler": "k_euler"}
    wanted = recipe(model="kolors", prompt="a red circle", **values | changes)
    made = generator.generate(wanted, lambda event: None, inputs or TaskInputs())
    return np.asarray(made.image)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_the_encoder_says_what_it_said_before_it_was_saved(
    models: tuple[Path, Any], precision: str
) -> None:
    folder, saved = models
    dtype = getattr(torch, precision)
    with silence_libraries():
        pipe = open_models(folder, precision=precision).load("kolors", print).pipe
        encoder = copy.deepcopy(saved.text_encoder).to(dtype)
        before = diffusers.KolorsPipeline(**saved.components | {"text_encoder": encoder})
        texts = {"prompt": "a red circle", "negative_prompt": "", "device": "cpu"}
        theirs, ours = (one.encode_prompt(**texts) for one in (before, pipe))
    assert all(torch.equal(one, two) for one, two in zip(theirs, ours, strict=True))
    assert ours[0].dtype == dtype


def test_a_file_under_chatglms_names_and_without_angles_is_the_same(
    models: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, _ = models
    write_kolors(tmp_path / "models" / "kolors", tmp_path)
    file = tmp_path / "models" / "kolors" / "text_encoder" / "model.safetensors"
    names = {n: t for n, t in load_file(file).items() if not n.endswith("inv_freq")}
    save_file({f"transformer.{name}": weight for name, weight in names.items()}, file)
    assert (render(open_models(tmp_path / "models")) == render(open_models(folder))).all()


def test_it_is_what_diffusers_makes_of_the_same_noise(models: tuple[Path, Any]) -> None:
    folder, _ = models
    ours = render(open_models(folder), sampler="ddim", negative="fox", steps=5)
    with silence_libraries():
        pipe = diffusers.KolorsPipeline.from_pretrained(folder / "kolors")
        for part in (pipe.unet, pipe.vae):
            part.to(memory_format=torch.channels_last)
        pipe.scheduler = diffusers.DDIMScheduler.from_config(
            pipe.scheduler.config, clip_sample=False
        )
        pipe.set_progress_bar_config(disable=True)
        theirs = pipe(
            "a red circle",
            negative_prompt="fox",
            latents=torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(42)),
            width=64,
            height=64,
            num_inference_steps=5,
            guidance_scale=4.0,
        ).images[0]
    assert abs(ours.astype(int) - np.asarray(theirs, int)).max() <= 1


def test_words_negative_words_and_guidance_are_heard_and_it_is_the_same_again(
    models: tuple[Path, Any],
) -> None:
    generator = open_models(models[0])
    plain = render(generator)
    assert all((render(generator) == plain).all() for _ in range(3))
    assert plain.std() > 1
    for change in ({"negative": "fox"}, {"cfg_scale": 9.0}, {"cfg_scale": 1.0}, {"seamless": True}):
        assert (render(generator, **change) != plain).any(), change


def test_it_starts_from_an_image_and_refuses_a_mask(models: tuple[Path, Any]) -> None:
    generator = open_models(models[0])
    image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    start = {"init_img": "start.png", "strength": 0.6}
    made = render(generator, TaskInputs(image=image), **start)
    assert (made != render(generator)).any()
    assert (made == render(generator, TaskInputs(image=image), **start)).all()
    with pytest.raises(ModelError, match="does not support inpainting"):
        render(generator, TaskInputs(image=image, mask=Image.new("L", (64, 64))), **start)


def write_index(folder: Path, encoder: str) -> Path:
    index = {"_class_name": "KolorsPipeline", "text_encoder": ["kolors", encoder]}
    (folder / "text_encoder").mkdir()
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def test_other_classes_of_its_pipeline_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="code from kolors, which is not allowed"):
        read_index(write_index(tmp_path, "KolorsPipeline"))


def test_without_sentencepiece_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_index, "is_sentencepiece_available", lambda: False)
    with pytest.raises(ModelError, match=r"needs sentencepiece.*pip install sentencepiece"):
        read_index(write_index(tmp_path, "ChatGLMModel"))

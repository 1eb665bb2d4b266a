"""Models that generate by depth, from an image: random weights in the layout of the real ones."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionDepth2ImgPipeline
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.catalogue.auxiliary import ensure_auxiliary
from dream.core.errors import ModelError
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.tasks import TaskInputs
from dream.engine.vision.depth_conditioning import add_depth_conditioning
from tests import single_files
from tests.random_layouts import make_layout
from tests.random_models import make_random_depths
from tests.recipes import recipe


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`deep`, a depth model as a folder, and `file`, its weights as a single file."""
    folder = tmp_path_factory.mktemp("models")
    pipe = make_layout("sd2-depth")
    pipe.save_pretrained(folder / "deep")
    index = folder / "deep" / "model_index.json"
    parts = {
        "_class_name": "StableDiffusionDepth2ImgPipeline",
        "depth_estimator": ["transformers", "DPTForDepthEstimation"],
        "feature_extractor": ["transformers", "DPTImageProcessor"],
    }
    document = {**json.loads(index.read_text()), **parts}
    document.pop("safety_checker", None)
    document.pop("image_encoder", None)
    document.pop("requires_safety_checker", None)
    index.write_text(json.dumps(document))
    make_random_depths(folder / "deep" / "depth_estimator", folder / "deep" / "feature_extractor")
    single_files.save(single_files.original(pipe), folder / "file.safetensors")
    return folder


def generator_of(models: Path, offline: bool = True) -> ImageGenerator:
    registry = ModelRegistry((models,), offline=offline)
    return create_generator(
        registry.get_model,
        downloader=lambda helper, report, say: ensure_auxiliary(helper, registry, report, say),
    )


@pytest.fixture(scope="module")
def generator(models: Path) -> ImageGenerator:
    return generator_of(models)


def picture(seed: int = 0) -> Image.Image:
    """Something to begin from: coarse noise."""
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)


def render(generator: ImageGenerator, image: Image.Image | None, model: str = "deep") -> Picture:
    wanted = recipe(model=model, strength=1.0, steps=2, init_img="x.png" if image else None)
    return generator.generate(wanted, lambda reported: None, TaskInputs(image=image))


def test_a_picture_is_begun_from_by_its_depth(generator: ImageGenerator) -> None:
    first, again = render(generator, picture()), render(generator, picture())
    assert first.sha256 == again.sha256
    assert len(first.facts["depth_estimator"]) == 64
    assert render(generator, picture(1)).sha256 != first.sha256
    assert "depth_estimator" not in render(generator, None).facts, "from words all is equally far"


def test_it_is_the_depth_that_diffusers_would_see(generator: ImageGenerator, models: Path) -> None:
    loaded = generator.load("deep", lambda reported: None)
    theirs = StableDiffusionDepth2ImgPipeline.from_pretrained(models / "deep")
    seen: list[torch.Tensor] = []
    hooks = [
        unet.register_forward_hook(lambda unet, args, out: seen.append(args[0][:1, 4:]))
        for unet in (loaded.pipe.unet, theirs.unet)
    ]
    render(generator, picture())
    theirs.set_progress_bar_config(disable=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would compute it in float16
        theirs("a", picture(), num_inference_steps=2, strength=1.0, generator=torch.Generator())
    for hook in hooks:
        hook.remove()
    assert seen[0].shape == (1, 1, 8, 8) and seen[0].std() > 0.1
    assert (float(seen[0].min()), float(seen[0].max())) == (-1, 1)
    assert torch.allclose(seen[0], seen[-1], atol=1e-4)


def test_a_plain_picture_is_equally_far_everywhere(generator: ImageGenerator) -> None:
    loaded = generator.load("deep", lambda reported: None)
    seen: list[torch.Tensor] = []
    hook = loaded.pipe.unet.register_forward_hook(lambda u, args, out: seen.append(args[0]))
    with add_depth_conditioning(loaded.pipe, torch.full((1, 1, 9, 9), 7.0)), torch.no_grad():
        words = torch.zeros(2, 1, loaded.pipe.unet.config.cross_attention_dim)
        loaded.pipe.unet(torch.ones(2, 4, 8, 8), 1, words)
    hook.remove()
    assert seen[0].shape[1] == 5 and not seen[0][:, 4:].any()


def test_a_single_file_borrows_an_estimator_from_beside_it(
    generator: ImageGenerator, models: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        ModelError, match="the depth estimation model is not downloaded, and --offline is set"
    ):
        render(generator, picture(), "file")
    assert render(generator, None, "file").sha256 == render(generator, None).sha256
    (tmp_path / "file.safetensors").symlink_to(models / "file.safetensors")
    (tmp_path / "dpt").mkdir()
    for part in ("depth_estimator", "feature_extractor"):
        for file in (models / "deep" / part).iterdir():
            (tmp_path / "dpt" / file.name).write_bytes(file.read_bytes())
    borrowed = render(generator_of(tmp_path), picture(), "file")
    assert borrowed.sha256 == render(generator, picture()).sha256


def test_a_model_without_a_vae_sees_depth_with_another_s(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "deep", tmp_path / "deep"))
    shutil.rmtree(folder / "vae")
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "vae": [None, None]}))
    wanted = recipe(model="deep", strength=1.0, init_img="x.png", vae=str(models / "deep" / "vae"))
    whole, without = (
        generator_of(place).generate(wanted, lambda reported: None, TaskInputs(image=picture()))
        for place in (models, tmp_path)
    )
    assert without.sha256 == whole.sha256
    assert without.facts["depth_estimator"] == whole.facts["depth_estimator"]

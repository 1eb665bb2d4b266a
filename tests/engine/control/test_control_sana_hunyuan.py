"""Control images of Sana and HunyuanDiT: the pixels of diffusers' own pipelines fed by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

from dream.catalogue.control_files import find_control
from dream.core.errors import ModelError
from dream.engine.image_generator import ImageGenerator
from dream.engine.silence_libraries import silence_libraries
from dream.engine.tasks import PipelineCall, text_to_image
from dream.options.control import Control
from tests.engine.control.diffusers_controls import (
    load_net,
    open_generator,
    open_rgb,
    save_outline,
    take_means,
)
from tests.random_controls import draw_weights
from tests.random_families import WIDE
from tests.random_others import make_hunyuan_dit, make_sana
from tests.recipes import recipe

SANA_NET: dict[str, Any] = {
    "in_channels": 4,
    "num_layers": 2,
    "num_attention_heads": 2,
    "attention_head_dim": 4,
    "num_cross_attention_heads": 2,
    "cross_attention_head_dim": 4,
    "cross_attention_dim": 8,
    "caption_channels": 8,
    "sample_size": 32,
}
HUNYUAN_NET: dict[str, Any] = {
    "in_channels": 4,
    "patch_size": 2,
    "transformer_num_layers": 6,
    "num_attention_heads": 3,
    "attention_head_dim": 8,
    "hidden_size": 24,
    "cross_attention_dim": 32,
    "cross_attention_dim_t5": WIDE,
    "pooled_projection_dim": 16,
    "sample_size": 16,
}
FAMILIES: dict[str, tuple[Callable[[Path], Any], int, type, dict[str, Any], str]] = {
    "sana": (make_sana, 3, diffusers.SanaControlNetModel, SANA_NET, "SanaControlNetPipeline"),
    "hunyuan-dit": (
        *(make_hunyuan_dit, 6, diffusers.HunyuanDiT2DControlNetModel),
        *(HUNYUAN_NET, "HunyuanDiTControlNetPipeline"),
    ),
}
"""How its random model is made, how many layers it gets; its ControlNet, and diffusers'
pipeline."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        for name, (make, layers, kind, config, _) in FAMILIES.items():
            pipe = make(tmp_path_factory.mktemp(name))
            own = {k: v for k, v in pipe.transformer.config.items() if not k.startswith("_")}
            own["num_layers"] = layers
            parts = pipe.components | {"transformer": type(pipe.transformer)(**own)}
            type(pipe)(**parts).save_pretrained(folder / name)
            for seed, net in enumerate(("canny", "depth")):
                path = folder / "controlnet" / f"{name}-{net}"
                draw_weights(kind(**config), seed, 0.1).save_pretrained(path)
    for name, box in (("a", (4, 4, 30, 30)), ("b", (10, 20, 60, 40))):
        save_outline(folder / f"{name}.png", box)
    return folder


@pytest.fixture(scope="module")
def generator(models: Path) -> ImageGenerator:
    return open_generator(models, len(FAMILIES))


def render(generator: ImageGenerator, model: str, *controls: Control, **others: Any) -> str:
    names = tuple(f"{model}-{control.kind}" for control in controls) or None
    fields = {"control": controls or None, "control_model": names, "control_raw": True}
    wanted = recipe(**{"model": model, "cfg_scale": 3.0, "steps": 3, **fields, **others})
    return generator.generate(wanted, lambda _: None).sha256


@pytest.mark.parametrize("model", FAMILIES)
def test_the_pixels_are_those_of_diffusers_own_pipeline(
    models: Path, generator: ImageGenerator, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    _, _, kind, _, name = FAMILIES[model]
    take_means(monkeypatch)
    few = {"cfg_scale": 1.0}  # else diffusers encodes the control image twice
    plain = render(generator, model, **few)
    ours = render(generator, model, Control("canny", str(models / "a.png"), 0.8), **few)
    assert ours != plain
    image = open_rgb(models / "a.png")
    net = load_net(kind, models / "controlnet" / f"{model}-canny")

    def replace_pipeline(made: PipelineCall) -> PipelineCall:
        pipeline = getattr(diffusers, name)
        takes = signature(pipeline.__init__).parameters
        parts = {k: v for k, v in made.pipe.components.items() if k in takes}
        parts |= {"requires_safety_checker": False} if "safety_checker" in takes else {}
        pipe = pipeline(**parts, controlnet=net)
        pipe.set_progress_bar_config(disable=True)
        scale = {"control_image": image, "controlnet_conditioning_scale": 0.8}
        return replace(made, pipe=pipe, arguments={**made.arguments, **scale})

    with monkeypatch.context() as patch:
        own = text_to_image.prepare
        patch.setattr(text_to_image, "prepare", lambda *args: replace_pipeline(own(*args)))
        assert render(generator, model, **few) == ours
    assert render(generator, model, **few) == plain, "all of it is undone"


@pytest.mark.parametrize("model", FAMILIES)
def test_weights_parts_and_order(models: Path, generator: ImageGenerator, model: str) -> None:
    canny = Control("canny", str(models / "a.png"), 0.8, 0.0, 0.5)
    depth = Control("depth", str(models / "b.png"), 0.5)
    assert render(generator, model, canny._replace(weight=0.0)) == render(generator, model)
    both = render(generator, model, canny, depth)
    assert both == render(generator, model, depth, canny)
    images = {both, *(render(generator, model, one) for one in (canny, depth))}
    assert len(images | {render(generator, model, canny._replace(end=1.0))}) == 4
    assert find_control("canny", model, None, [models]).name == f"{model}-canny"


def test_a_controlnet_of_another_depth_or_family_is_refused(
    models: Path, generator: ImageGenerator, tmp_path: Path
) -> None:
    config = {**HUNYUAN_NET, "transformer_num_layers": 8}
    diffusers.HunyuanDiT2DControlNetModel(**config).save_pretrained(tmp_path / "deep")
    canny = Control("canny", str(models / "a.png"))
    with pytest.raises(ModelError, match="adds to 3 layers, the model takes 2"):
        render(generator, "hunyuan-dit", canny, control_model=(str(tmp_path / "deep"),))
    with pytest.raises(ModelError, match="sana-canny does not fit hunyuan-dit"):
        render(generator, "hunyuan-dit", canny, control_model=("sana-canny",))

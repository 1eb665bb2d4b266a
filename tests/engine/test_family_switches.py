"""What the table of families and switches says is what their pipelines in diffusers can do."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.control.transformer_control_config import TRANSFORMER_FAMILIES
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from dream.engine.silence_libraries import silence_libraries
from dream.engine.tasks import TaskInputs
from dream.options.family import Family
from dream.options.family_switches import FAMILY_SWITCHES
from dream.options.family_table import FAMILIES, get_family
from tests.random_families import FAMILIES as RANDOM
from tests.random_families import write_models
from tests.random_layouts import make_sd3
from tests.random_others import OTHERS
from tests.recipes import recipe

IMAGE, MASK, HIRES, SYMMETRY, NOISE, CONTROL, CONTROL_MODE, IMAGE_PROMPT, *_OTHERS = (
    row.supports for row in FAMILY_SWITCHES
)
FREEU_AND_PAG, RESCALE, CLIP_SKIP = _OTHERS


def classes_of(family: Family) -> list[Any]:
    names = (n for n in dir(diffusers) if re.fullmatch(f"({family.pipelines})Pipeline", n))
    with silence_libraries():  # the import of Kolors warns
        return [getattr(diffusers, name) for name in names]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
def test_the_table_says_what_the_pipelines_take(family: Family) -> None:
    if family.key == "kolors":
        pytest.importorskip("sentencepiece", reason="diffusers has stand-ins for its pipelines")
    kinds = classes_of(family)
    calls = [inspect.signature(kind.__call__).parameters for kind in kinds]
    assert kinds
    assert HIRES(family) == any("strength" in call and "mask_image" not in call for call in calls)
    own_mask = any("mask_image" in call for call in calls)
    exceptions = {"lcm": True, "chroma": False}
    assert MASK(family) == exceptions.get(family.key, own_mask)
    assert NOISE(family) == all("unet" in inspect.signature(k.__init__).parameters for k in kinds)
    folders = ("sana", "hunyuan-dit")  # their ControlNets are folders only
    assert CONTROL(family) == (family.stable or family.key in (*TRANSFORMER_FAMILIES, *folders))
    assert CONTROL_MODE(family) == family.stable
    wide = {f"{row.pipeline}Pipeline" for row in family.wide}  # these refuse it by name
    usual = [call for kind, call in zip(kinds, calls, strict=True) if kind.__name__ not in wide]
    takes_images = all("ip_adapter_image_embeds" in call for call in usual)
    assert IMAGE_PROMPT(family) <= takes_images
    assert IMAGE_PROMPT(family) <= (NOISE(family) or family.key == "flux")
    assert FREEU_AND_PAG(family) <= NOISE(family)
    guidance_rescale = all("guidance_rescale" in call for call in calls)
    assert RESCALE(family) == (guidance_rescale or family.stable)
    parts = [inspect.signature(kind.__init__).parameters for kind in kinds]
    clip = [p["text_encoder"].annotation for p in parts if "text_encoder" in p and "unet" in p]
    one_clip = bool(clip) and all("text_encoder_2" not in part for part in parts)
    assert CLIP_SKIP(family) == (one_clip and family.key not in ("sd2", "kolors"))
    unpacks = any(name.startswith("_unpack_latents") for k in kinds for name in dir(k))
    assert SYMMETRY(family) != unpacks
    takes_negative = any("negative_prompt" in call for call in calls)
    if family.key != "flux":  # there, only at a second price: true_cfg_scale
        assert family.negative == takes_negative


# ── rendered ───────────────────────────────────────────────────────────────────────────────────

MODELS = {
    "sd3": lambda folder: make_sd3(),
    "flux": RANDOM["flux"],
    "z-image": RANDOM["z-image"],
    "chroma": OTHERS["chroma"],
    "kontext": OTHERS["kontext"],
}


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> ImageGenerator:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder, MODELS, tmp_path_factory.mktemp)
    return create_generator(
        ModelRegistry([folder]).get_model, DeviceConfig(max_loaded_models=len(MODELS))
    )


@pytest.mark.parametrize("model", MODELS)
def test_what_works_is_seen_in_the_pixels_and_the_rest_is_refused(
    generator: ImageGenerator, model: str, tmp_path: Path
) -> None:
    image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    family = get_family(generator.load(model, lambda event: None).info.family)

    def render(inputs: TaskInputs | None = None, **changes: Any) -> Any:
        values = {"steps": 2, "cfg_scale": 1.0, "width": 64, "height": 64, **changes}
        wanted = recipe(model=model, **values)
        return generator.generate(wanted, lambda event: None, inputs or TaskInputs())

    plain = render().sha256
    assert IMAGE(family)
    start = {"init_img": str(tmp_path / "start.png"), "strength": 0.6}
    assert render(TaskInputs(image=image), **start).sha256 != plain
    start["init_mask"] = start["init_img"]
    if MASK(family):
        masked = render(TaskInputs(image=image, mask=mask), **start)
        kept = np.asarray(masked.image)[:, 40:] == np.asarray(image)[:, 40:]
        assert kept.all(), "outside the mask"
        assert masked.sha256 != plain
    else:
        with pytest.raises(ModelError, match=f"{model} does not support inpainting"):
            render(TaskInputs(image=image, mask=mask), **start)
    twice = render(width=128, height=128, hires_fix=0.6)
    assert HIRES(family) and twice.image.size == (128, 128)
    for effect in ({"h_symmetry_time_pct": 0.5}, {"seamless": True}, {"perlin": 0.2}):
        if "seamless" not in effect and "perlin" not in effect and SYMMETRY(family):
            assert render(**effect).sha256 != plain
            continue
        with pytest.raises(ModelError):
            render(**effect)
    assert render(cache=3, steps=4).sha256 != render(steps=4).sha256
    assert render().sha256 == plain, "all of it is undone"

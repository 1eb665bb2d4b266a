"""Control images: the same pixels as diffusers' own pipelines fed by hand, in every task; what they
do at each step; and nothing where nothing is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.models.unets.unet_2d_blocks import UNetMidBlock2DCrossAttn
from PIL import Image, ImageDraw

from dream.catalogue import ModelRegistry
from dream.catalogue.control_files import get_control
from dream.core.errors import ModelError, OutOfMemory
from dream.core.events import Loading, Note
from dream.engine import create_generator
from dream.engine.control.active_control import ActiveControl
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from dream.engine.memory.memory_estimate import estimate_memory
from dream.engine.tasks import TASKS, PipelineCall, text_to_image
from dream.options.control import Control
from tests.random_controls import draw_weights
from tests.random_layouts import make_layout
from tests.recipes import recipe

NETS = ("edges", "depths", "third")
PICTURES = ("a", "b", "c")
CLASSES = {"sd1": "StableDiffusionControlNet", "sdxl": "StableDiffusionXLControlNet"}


def make_controlnet(unet: Any, seed: int) -> Any:
    """A ControlNet of the shape of a UNet, which has learnt nothing; no weight of it is zero."""
    net = diffusers.ControlNetModel.from_unet(
        unet, load_weights_from_unet=False, conditioning_embedding_out_channels=(8, 8, 8, 8)
    )
    return draw_weights(net, seed)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("sd1", "sdxl"):
        pipe = make_layout(name)
        pipe.save_pretrained(folder / name)
        for seed, net in enumerate(NETS):
            make_controlnet(pipe.unet, seed).save_pretrained(
                folder / "controlnet" / f"{name}-{net}"
            )
    for name, box in zip(PICTURES, ((4, 4, 30, 30), (10, 20, 60, 40), (0, 0, 63, 10)), strict=True):
        image = Image.new("RGB", (64, 64))
        ImageDraw.Draw(image).ellipse(box, outline="white", width=2)
        image.save(folder / f"{name}.png")
    (folder / "models.toml").write_text("[models.sd1]\nwidth = 64\nheight = 64\n")
    Image.new("RGB", (64, 64), "teal").save(folder / "from.png")
    mask = Image.new("L", (64, 64), 255)
    ImageDraw.Draw(mask).rectangle((16, 16, 48, 48), fill=0)
    mask.save(folder / "mask.png")
    return folder


@pytest.fixture(scope="module")
def generator(models: Path) -> ImageGenerator:
    registry = ModelRegistry([models])
    return create_generator(
        registry.get_model, find_control=lambda name: get_control(name, [models])
    )


@pytest.fixture
def use(models: Path) -> Callable[..., dict[str, Any]]:
    """The fields of a recipe for controls: (net, picture, weight, start, end)."""

    def fields(model: str, *controls: tuple[Any, ...], **others: Any) -> dict[str, Any]:
        return {
            "model": model,
            "control": tuple(
                Control("canny", str(models / f"{picture}.png"), *rest)
                for _, picture, *rest in controls
            ),
            "control_model": tuple(f"{model}-{net}" for net, *_ in controls),
            "control_raw": True,
            **others,
        }

    return fields


def generate(generator: ImageGenerator, **changes: Any) -> str:
    return generator.generate(recipe(**changes), lambda _: None).sha256


def open_rgb(path: str) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


@contextmanager
def by_hand(
    monkeypatch: pytest.MonkeyPatch, models: Path, kind: str, recipe_: dict[str, Any]
) -> Iterator[None]:
    """While the engine calls diffusers' own pipeline for these controls instead of its own."""
    controls = recipe_["control"]
    nets = [
        diffusers.ControlNetModel.from_pretrained(models / "controlnet" / name).to(
            memory_format=torch.channels_last  # as it is loaded
        )
        for name in recipe_["control_model"]
    ]
    images = [open_rgb(control.image) for control in controls]
    arguments = {
        "image" if kind.endswith("ControlNetPipeline") else "control_image": images,
        "controlnet_conditioning_scale": [control.weight for control in controls],
        "control_guidance_start": [control.start for control in controls],
        "control_guidance_end": [control.end for control in controls],
    }
    if len(controls) == 1:
        arguments = {name: value[0] for name, value in arguments.items()}

    def replace_pipeline(made: PipelineCall) -> PipelineCall:
        controlnet = nets if len(nets) > 1 else nets[0]
        pipe = getattr(diffusers, kind)(**made.pipe.components, controlnet=controlnet)
        pipe.set_progress_bar_config(disable=True)
        return replace(made, pipe=pipe, arguments={**made.arguments, **arguments})

    with monkeypatch.context() as patch:
        for task in TASKS:
            own = task.prepare
            patch.setattr(task, "prepare", lambda *args, own=own: replace_pipeline(own(*args)))
        yield


TASK_FIELDS: dict[str, dict[str, Any]] = {
    "": {},
    "Img2Img": {"init_img": "from.png", "strength": 0.7},
    "Inpaint": {"init_img": "from.png", "init_mask": "mask.png", "strength": 0.7},
}


@pytest.fixture
def fields_of(models: Path) -> Callable[[str], dict[str, Any]]:
    """The fields of a recipe for a task."""

    def fields(task: str) -> dict[str, Any]:
        values = TASK_FIELDS[task]
        return {k: str(models / v) if isinstance(v, str) else v for k, v in values.items()}

    return fields


@pytest.mark.parametrize("task", TASK_FIELDS)
@pytest.mark.parametrize("model", ["sd1", "sdxl"])
def test_the_pixels_are_those_of_diffusers_own_pipeline(
    models: Path, generator: ImageGenerator, use: Any, fields_of: Any, monkeypatch: Any,
    model: str, task: str,
) -> None:  # fmt: skip
    fields = fields_of(task)
    plain = generate(generator, model=model, **fields)
    controlled = use(model, ("edges", "a", 0.8))
    ours = generate(generator, **controlled, **fields)
    assert ours != plain
    with by_hand(monkeypatch, models, f"{CLASSES[model]}{task}Pipeline", controlled):
        assert generate(generator, model=model, **fields) == ours
    assert generate(generator, model=model, **fields) == plain


def test_two_are_those_of_diffusers_own_pipeline_with_their_parts_of_the_steps(
    models: Path, generator: ImageGenerator, use: Any, monkeypatch: Any
) -> None:
    controls = [("edges", "a", 0.8, 0.0, 0.5), ("depths", "b", 1.2, 0.25, 1.0)]
    controlled = use("sd1", *controls, steps=5)
    ours = generate(generator, **controlled)
    with by_hand(monkeypatch, models, "StableDiffusionControlNetPipeline", controlled):
        assert generate(generator, model="sd1", steps=5) == ours


@pytest.mark.parametrize("mode", [None, "prompt", "control"])
def test_weight_0_is_bit_equal_to_none(generator: ImageGenerator, use: Any, mode: str) -> None:
    plain = generate(generator, model="sd1")
    assert generate(generator, **use("sd1", ("edges", "a", 0.0), control_mode=mode)) == plain
    both = use("sd1", ("edges", "a", 0.0), ("depths", "b"), control_mode=mode)
    one = use("sd1", ("depths", "b"), control_mode=mode)
    assert generate(generator, **both) == generate(generator, **one) != plain


def test_several_add_up_in_any_order(generator: ImageGenerator, use: Any) -> None:
    controls = [("edges", "a", 0.7), ("depths", "b", 0.3), ("third", "c", 1.1)]
    digests = {generate(generator, **use("sd1", *order)) for order in permutations(controls)}
    assert len(digests) == 1
    assert generate(generator, **use("sd1", *controls[:2])) not in digests


def list_active_steps(generator: ImageGenerator, fields: dict[str, Any]) -> list[int]:
    """The numbers of the calls of the UNet to which something is added, from 0."""
    unet = generator.load(fields["model"], lambda _: None).pipe.unet
    calls: list[bool] = []
    handle = unet.conv_in.register_forward_hook(lambda *_: calls.append(False))
    mark = unet.mid_block.register_forward_pre_hook(lambda *_: None)
    original = unet.forward

    def forward(*args: Any, **kw: Any) -> Any:
        result = original(*args, **kw)
        calls[-1] = "mid_block_additional_residual" in kw
        return result

    unet.forward = forward
    try:
        generate(generator, **fields)
    finally:
        del unet.forward
        handle.remove()
        mark.remove()
    return [number for number, active in enumerate(calls) if active]


@pytest.mark.parametrize(
    ("part", "steps", "expected"),
    [
        ((0.0, 1.0), {}, [0, 1, 2, 3]),
        ((0.0, 0.5), {}, [0, 1]),
        ((0.5, 1.0), {}, [2, 3]),
        ((0.25, 0.75), {}, [1, 2]),
        ((0.3, 0.4), {}, []),
        ((0.0, 0.5), {"sampler": "k_heun"}, [0, 1, 2]),
    ],
)
def test_start_and_end_are_obeyed_step_by_step(
    generator: ImageGenerator, use: Any, part: tuple[float, float], steps: Any, expected: list[int]
) -> None:
    fields = use("sd1", ("edges", "a", 1.0, *part), steps=4, **steps)
    assert list_active_steps(generator, fields) == expected


def test_the_steps_of_an_input_image_are_those_that_run(
    generator: ImageGenerator, use: Any, fields_of: Any
) -> None:
    fields = use("sd1", ("edges", "a", 1.0, 0.0, 0.5), steps=8, **fields_of("Img2Img"))
    assert list_active_steps(generator, {**fields, "strength": 0.5}) == [0, 1]


@pytest.mark.parametrize("mode", ["prompt", "control"])
@pytest.mark.parametrize("model", ["sd1", "sdxl"])
def test_the_modes_are_those_of_a1111(
    generator: ImageGenerator, use: Any, model: str, mode: str
) -> None:
    """What reaches the UNet: less the earlier the block is, and with `control` nothing of the
    negative prompt."""
    seen: list[list[torch.Tensor]] = []
    unet = generator.load(model, lambda _: None).pipe.unet
    original = unet.forward

    def forward(*args: Any, **kw: Any) -> Any:
        seen.append([*kw["down_block_additional_residuals"], kw["mid_block_additional_residual"]])
        return original(*args, **kw)

    unet.forward = forward
    try:
        for one in (None, mode):
            generate(generator, **use(model, ("edges", "a", 0.8), steps=1, control_mode=one))
    finally:
        del unet.forward
    balanced, other = seen
    for level, (one, two) in enumerate(zip(balanced, other, strict=True)):
        share = 0.825 ** (len(balanced) - 1 - level)
        torch.testing.assert_close(two[1], one[1] * share)
        expected = one[0] * share if mode == "prompt" else torch.zeros_like(one[0])
        torch.testing.assert_close(two[0], expected)


@pytest.mark.parametrize(
    "change",
    [
        {"pag": 3.0},
        {"freeu": True},
        {"prompt": "a [red|blue] circle", "syntax": "a1111"},
        {"prompt": "a red circle AND a blue square", "syntax": "a1111"},
        {"prompt": "(a cat)1.4", "negative": "dark", "syntax": "invokeai"},
        {"cfg_scale": 1.0},
        {"pag": 3.0, "cfg_scale": 1.0},
        {"threshold": 2.0, "seamless": True},
        {"width": 96, "height": 72},
    ],
    ids=str,
)
def test_it_works_with_everything_else(
    generator: ImageGenerator, use: Any, change: dict[str, Any]
) -> None:
    plain = generate(generator, model="sd1", **change)
    for mode in (None, "control"):
        fields = use("sd1", ("edges", "a", 0.8), control_mode=mode, **change)
        controlled = generate(generator, **fields)
        assert controlled != plain
        assert generate(generator, **fields) == controlled
    assert generate(generator, model="sd1", **change) == plain


def test_a_prompt_that_changes_reaches_the_control_model_too(
    models: Path, generator: ImageGenerator, use: Any, monkeypatch: Any
) -> None:
    """A text with a weight of 1 is the same text, asked in another way."""
    words = {"prompt": "a red circle", "negative": "dark"}
    fields = use("sd1", ("edges", "a", 0.8), control_mode="control")
    whole = generate(generator, **fields, **words)
    asked = {**words, "prompt": "[a red circle|a red circle]", "syntax": "a1111"}
    assert generate(generator, **fields, **asked) == whole


def test_both_passes_of_hires_fix_are_controlled(
    generator: ImageGenerator, use: Any, monkeypatch: Any
) -> None:
    sizes: list[tuple[int, ...]] = []
    draw = ActiveControl.draw

    def draw_and_note(active: ActiveControl, size: tuple[int, int]) -> Any:
        sizes.append(size)
        return draw(active, size)

    monkeypatch.setattr(ActiveControl, "draw", draw_and_note)
    large = {"width": 96, "height": 128, "hires_fix": 0.5, "steps": 2}
    controlled = use("sd1", ("edges", "a", 0.8), **large)
    plain = generate(generator, model="sd1", **large)
    assert generate(generator, **controlled) != plain
    assert sizes == [(48, 72), (96, 128)]


def test_an_image_is_drawn_as_a_map_unless_it_is_one(
    generator: ImageGenerator, use: Any, monkeypatch: Any
) -> None:
    fields = use("sd1", ("edges", "a", 0.8))
    raw = generator.generate(recipe(**fields), lambda _: None)
    mapped = generator.generate(recipe(**{**fields, "control_raw": False}), lambda _: None)
    assert mapped.sha256 != raw.sha256
    assert mapped.facts["control"] == raw.facts["control"]
    assert len(raw.facts["control"]) == 64
    assert raw.facts["control_model sd1-edges"].startswith(raw.facts["control_model"])


def test_control_models_stay_in_memory(generator: ImageGenerator, use: Any) -> None:
    reported: list[Any] = []
    for net in ("edges", "depths"):
        generate(generator, **use("sd1", (net, "a"), steps=1))
    for net in ("edges", "depths", "edges", "depths"):
        generator.generate(recipe(**use("sd1", (net, "a"), steps=1)), reported.append)
    assert not [event for event in reported if isinstance(event, Loading)]
    assert generator.list_loaded()[-1] == "sd1"


def test_they_leave_before_a_model_and_count_in_max_memory(models: Path, use: Any) -> None:
    registry = ModelRegistry([models])
    weight = estimate_memory(registry.get_model("sd1"), "cpu", "auto").weights
    (file,) = (models / "controlnet" / "sd1-edges").glob("*.safetensors")
    limit = DeviceConfig(max_memory=(weight + 1.5 * file.stat().st_size) / 2**30)
    generator = create_generator(
        registry.get_model, limit, find_control=lambda name: get_control(name, [models])
    )
    reported: list[Any] = []
    for net in ("edges", "depths", "edges"):
        generator.generate(recipe(**use("sd1", (net, "a"), steps=1)), reported.append)
    loadings = [event.model for event in reported if isinstance(event, Loading)]
    assert loadings == ["sd1", "sd1-edges", "sd1-depths", "sd1-edges"]
    both = use("sd1", ("edges", "a"), ("depths", "b"), steps=1)
    with pytest.raises(OutOfMemory, match="max_memory"):
        generator.generate(recipe(**both), lambda _: None)
    assert generator.list_loaded() == ("sd1",)


def test_a_model_of_another_shape_is_refused(models: Path, use: Any, tmp_path: Path) -> None:
    wide = make_controlnet(make_layout("sd2-512-base").unet, 3)
    wide.save_pretrained(tmp_path / "other")
    generator = create_generator(ModelRegistry([models]).get_model)
    fields = use("sd1", ("edges", "a")) | {"control_model": (str(tmp_path / "other"),)}
    with pytest.raises(ModelError, match="other does not fit"):
        generator.generate(recipe(**fields), lambda _: None)


def test_one_that_makes_an_image_smaller_by_another_factor_is_refused(
    models: Path, generator: ImageGenerator, use: Any, tmp_path: Path
) -> None:
    diffusers.ControlNetModel.from_unet(
        make_layout("sd1").unet,
        load_weights_from_unet=False,
        conditioning_embedding_out_channels=(8, 8),
    ).save_pretrained(tmp_path / "other")
    fields = use("sd1", ("edges", "a")) | {"control_model": (str(tmp_path / "other"),)}
    with pytest.raises(ModelError, match="does not fit sd1: its levels have other sizes"):
        generate(generator, **fields)


def test_one_in_memory_is_refused_with_a_model_that_it_does_not_fit(
    generator: ImageGenerator, use: Any
) -> None:
    generate(generator, **use("sd1", ("edges", "a"), steps=1))
    for_other = use("sdxl", ("edges", "a"), steps=1) | {"control_model": ("sd1-edges",)}
    with pytest.raises(ModelError, match="sd1-edges does not fit sdxl"):
        generate(generator, **for_other)


@pytest.mark.parametrize(
    "settings",
    [
        {"channels": [32, 128], "downscale_factor": 8},
        {"channels": [32, 64], "downscale_factor": 16},
        {"channels": [32, 64], "downscale_factor": 16, "adapter_type": "full_adapter_xl"},
        {"channels": [16], "downscale_factor": 8, "adapter_type": "light_adapter"},
    ],
)
def test_a_t2i_adapter_of_another_shape_is_refused(
    generator: ImageGenerator, use: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    diffusers.T2IAdapter(**settings).save_pretrained(tmp_path / "canny")
    fields = use("sd1", ("edges", "a")) | {"control_model": (str(tmp_path / "canny"),)}
    with pytest.raises(ModelError, match="does not fit sd1: its levels have other sizes"):
        generate(generator, **fields)


def collect_notes(generator: ImageGenerator, **changes: Any) -> list[str]:
    events: list[Any] = []
    generator.generate(recipe(**changes), events.append)
    return [event.text for event in events if isinstance(event, Note)]


def test_a_map_without_an_edge_is_said_once(
    generator: ImageGenerator, use: Any, tmp_path: Path
) -> None:
    soft = Image.linear_gradient("L").convert("RGB")
    soft.save(tmp_path / "soft.png")
    control = Control("canny", str(tmp_path / "soft.png"))
    large = {"width": 96, "height": 128, "hires_fix": 0.5, "steps": 2, "control_raw": False}
    fields = use("sd1", ("edges", "a"), **large)
    assert not collect_notes(generator, **fields)
    fields["control"] = (control,)
    (said,) = collect_notes(generator, **fields)
    assert "canny finds no sharp edges in soft.png" in said and "softedge" in said
    assert not collect_notes(generator, **{**fields, "control_raw": True})


def test_what_is_cut_out_has_an_outline(
    generator: ImageGenerator, use: Any, tmp_path: Path
) -> None:
    """Files differ, pixels do not: over white where it is an image, over black as a map."""
    shape = Image.new("L", (64, 64))
    ImageDraw.Draw(shape).ellipse((10, 10, 50, 50), fill=255)
    for name, hidden in (("hidden", "white"), ("shown", "lime")):
        image = Image.new("RGB", (64, 64), hidden)
        image.paste("white", mask=shape)
        if name == "shown":
            image = Image.composite(image, Image.new("RGB", (64, 64), "black"), shape)
        else:
            image.putalpha(shape)
        image.save(tmp_path / f"{name}.png")
    red = Image.new("RGB", (64, 64), "red")
    red.putalpha(shape)
    red.save(tmp_path / "red.png")
    Image.composite(red.convert("RGB"), Image.new("RGB", (64, 64), "white"), shape).save(
        tmp_path / "on white.png"
    )
    digests = {}
    for name, raw in (("hidden", True), ("shown", True), ("red", False), ("on white", False)):
        fields = use("sd1", ("edges", "a"), control_raw=raw)
        # at weight 1 some processors round a random network's effect away
        fields["control"] = (Control("canny", str(tmp_path / f"{name}.png"), 8.0),)
        digests[name] = generate(generator, **fields)
    assert digests["hidden"] == digests["shown"] != digests["red"] == digests["on white"]


def make_adapter(folder: Path, model: str) -> Any:
    """A T2I-Adapter which has learnt nothing, for the UNet of a layout, saved in its folder."""
    channels = list(make_layout(model).unet.config.block_out_channels)
    full = "full_adapter_xl" if model == "sdxl" else "full_adapter"
    factor = 16 if model == "sdxl" else 8
    with torch.random.fork_rng():
        torch.manual_seed(5)
        adapter = diffusers.T2IAdapter(3, channels, 1, factor, full)
    adapter.save_pretrained(folder)
    return adapter.eval().to(memory_format=torch.channels_last)


def test_a_t2i_adapter_gives_the_pixels_of_diffusers_own_pipeline(
    models: Path, generator: ImageGenerator, use: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    """To a level: its pipeline turns what the VAE answers into levels by a formula of its own."""
    adapter = make_adapter(tmp_path / "canny", "sd1")
    fields = use("sd1", ("edges", "a", 0.7)) | {"control_model": (str(tmp_path / "canny"),)}
    picture = generator.generate(recipe(**fields), lambda _: None)
    ours = picture.sha256
    image = open_rgb(fields["control"][0].image)

    def replace_pipeline(made: PipelineCall) -> PipelineCall:
        parts = {k: v for k, v in made.pipe.components.items() if k != "image_encoder"}
        pipe = diffusers.StableDiffusionAdapterPipeline(
            **parts, adapter=adapter, requires_safety_checker=False
        )
        pipe.set_progress_bar_config(disable=True)
        scale = {"image": image, "adapter_conditioning_scale": 0.7}
        return replace(made, pipe=pipe, arguments={**made.arguments, **scale})

    plain = generate(generator, model="sd1")
    with monkeypatch.context() as patch:
        own = text_to_image.prepare
        patch.setattr(text_to_image, "prepare", lambda *args: replace_pipeline(own(*args)))
        theirs = generator.generate(recipe(model="sd1"), lambda _: None)
    difference = np.abs(np.asarray(picture.image, int) - np.asarray(theirs.image, int))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01
    assert ours != plain == generate(generator, model="sd1")
    nothing = use("sd1", ("edges", "a", 0.0)) | {"control_model": fields["control_model"]}
    assert generate(generator, **nothing) == plain
    both = use("sd1", ("edges", "a", 0.8), ("edges", "b"))
    both["control_model"] = ("sd1-edges", *fields["control_model"])
    assert generate(generator, **both) not in (plain, ours)


@contextmanager
def counted_middles(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """An entry for each time that the middle of a UNet or of a ControlNet is computed."""
    calls: list[None] = []
    original = UNetMidBlock2DCrossAttn.forward

    def forward(self: Any, *args: Any, **kw: Any) -> Any:
        calls.append(None)
        return original(self, *args, **kw)

    with monkeypatch.context() as patch:
        patch.setattr(UNetMidBlock2DCrossAttn, "forward", forward)
        yield calls


@pytest.mark.parametrize("model", CLASSES)
def test_with_a_cache_the_pixels_are_those_of_diffusers_own_pipeline_with_it(
    models: Path, generator: ImageGenerator, use: Any, monkeypatch: Any, model: str
) -> None:
    """diffusers' computes the ControlNet in full in every call, although the deep layers, which
    most of it is for, are skipped."""
    cached = {"cache": 2, "steps": 5}
    fields = use(model, ("edges", "a", 0.8), **cached)
    with counted_middles(monkeypatch) as calls:
        ours = generate(generator, **fields)
    assert len(calls) == 3 + 3
    with (
        by_hand(monkeypatch, models, f"{CLASSES[model]}Pipeline", fields),
        counted_middles(monkeypatch) as calls,
    ):
        assert generate(generator, model=model, **cached) == ours
    assert len(calls) == 5 + 3
    assert generate(generator, **fields) == ours
    assert generate(generator, **{**fields, "cache": None}) != ours


@pytest.mark.parametrize(
    ("part", "middles"),
    [((0.0, 1.0), 1 + 1), ((0.0, 0.5), 2 + 1), ((0.5, 1.0), 2 + 1), ((0.3, 0.7), 3 + 1)],
)
def test_with_a_cache_a_control_begins_and_ends_in_a_full_pass(
    generator: ImageGenerator, use: Any, monkeypatch: Any, part: Any, middles: int
) -> None:
    fields = use("sd1", ("edges", "a", 0.8, *part), steps=6, cfg_scale=1.0)
    with counted_middles(monkeypatch) as calls:
        generate(generator, **fields, cache=9)
    assert len(calls) == middles


def test_with_a_cache_a_prompt_in_parts_is_controlled(generator: ImageGenerator, use: Any) -> None:
    prompt = {"prompt": "a cat AND a red dog", "syntax": "a1111", "control_mode": "control"}
    fields = use("sd1", ("edges", "a", 1.0), steps=1, **prompt)
    assert generate(generator, **fields, cache=2) == generate(generator, **fields)

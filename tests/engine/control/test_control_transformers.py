"""Control images of models with a transformer: the same pixels as diffusers' own pipelines fed by
hand, in every task; what is added at each step; and nothing where nothing is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.models.controlnets.controlnet_qwenimage import QwenImageMultiControlNetModel
from PIL import Image, ImageDraw, ImageOps
from safetensors.torch import load_file, save_file

from dream.core.errors import ModelError
from dream.engine.control.z_image_control import ZImageControl
from dream.engine.image_generator import ImageGenerator
from dream.engine.silence_libraries import silence_libraries
from dream.engine.tasks import TASKS, PipelineCall
from dream.options.control import Control
from tests.engine.control.diffusers_controls import (
    load_net,
    open_generator,
    open_rgb,
    save_outline,
    take_means,
)
from tests.random_controls import draw_weights
from tests.random_families import FAMILIES as RANDOM
from tests.random_families import FLUX_SIZES, WIDE
from tests.random_layouts import make_sd3
from tests.recipes import recipe
from tests.transformer_control_files import (
    add_by_hand,
    blockwise_file,
    stability_file,
    xlabs_file,
    z_image_file,
)

PICTURES = ("a", "b", "c")


@dataclass(frozen=True)
class Case:
    """A family: its model, its ControlNets, and diffusers' pipelines for them."""

    transformer: Mapping[str, Any]
    """What its transformer has otherwise than the random model's."""
    net: str
    """The class of its ControlNets."""
    config: Mapping[str, Any]
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Further ControlNets by name: what they have otherwise."""
    pipelines: Mapping[str, str] = field(default_factory=dict)
    """diffusers' pipelines by task."""
    several: Callable[[list[Any]], Any] | None = list
    """What its pipelines take for several ControlNets of equal weights; None if they take one."""


FLUX_NET: dict[str, Any] = {
    **{name: value for name, value in FLUX_SIZES.items() if name != "num_layers"},
    "num_layers": 2,
    "pooled_projection_dim": 32,
}

QWEN_NET: dict[str, Any] = {
    "in_channels": 16,
    "num_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDE,
    "axes_dims_rope": (8, 4, 4),
}
Z_IMAGE_NET: dict[str, Any] = {
    "control_layers_places": [0, 2],
    "control_in_dim": 16,
    "dim": 32,
    "n_refiner_layers": 1,
    "n_heads": 2,
    "n_kv_heads": 2,
}
SD3_NET: dict[str, Any] = {
    "sample_size": 32,
    "num_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 4,
    "joint_attention_dim": 64,
    "caption_projection_dim": 32,
    "pooled_projection_dim": 64,
}

CASES: dict[str, Case] = {
    "flux": Case(
        transformer={"num_layers": 3, "num_single_layers": 3},
        net="FluxControlNetModel",
        config=FLUX_NET | {"num_single_layers": 2},
        others={
            "depth": {"num_single_layers": 0, "num_layers": 1},
            "union": {"num_mode": 5, "guidance_embeds": True},
            "xlabs": {
                "conditioning_embedding_channels": 16,
                "num_single_layers": 0,
                "patch_size": 2,
            },
        },
        pipelines={
            "": "FluxControlNetPipeline",
            "Img2Img": "FluxControlNetImg2ImgPipeline",
            "Inpaint": "FluxControlNetInpaintPipeline",
        },
    ),
    "qwen-image": Case(
        transformer={"num_layers": 3},
        net="QwenImageControlNetModel",
        config=QWEN_NET,
        others={"inpaint": {"extra_condition_channels": 4}},
        pipelines={
            "": "QwenImageControlNetPipeline",
            "mask": "QwenImageControlNetInpaintPipeline",
        },
        several=lambda nets: QwenImageMultiControlNetModel(nets[:1]),
    ),
    "z-image": Case(
        transformer={"n_layers": 3},
        net="ZImageControlNetModel",
        config=Z_IMAGE_NET,
        others={
            "inpaint": {
                "control_in_dim": 33,
                "control_refiner_layers_places": [0],
                "add_control_noise_refiner": "control_noise_refiner",
            },
            "second": {
                "control_layers_places": [0, 1],
                "control_in_dim": 33,
                "control_refiner_layers_places": [0],
                "add_control_noise_refiner": "control_layers",
            },
        },
        pipelines={"": "ZImageControlNetPipeline", "mask": "ZImageControlNetInpaintPipeline"},
        several=None,
    ),
    "sd3": Case(
        transformer={"num_layers": 3},
        net="SD3ControlNetModel",
        config=SD3_NET,
        others={
            "inpaint": {"extra_conditioning_channels": 1},
            "large": {
                "joint_attention_dim": None,
                "caption_projection_dim": None,
                "use_pos_embed": False,
                "force_zeros_for_pooled_projection": False,
            },
        },
        pipelines={
            "": "StableDiffusion3ControlNetPipeline",
            "mask": "StableDiffusion3ControlNetInpaintingPipeline",
        },
    ),
}
FILES: Mapping[tuple[str, str], Callable[[Any], dict[str, torch.Tensor]]] = {
    ("flux", "union"): lambda net: net.state_dict(),
    ("flux", "xlabs"): xlabs_file,
    ("z-image", "second"): z_image_file,
    ("sd3", "large"): stability_file,
}
"""ControlNets that are stored as single files too, by family and name."""
MAKE: dict[str, Callable[[Path], Any]] = {**RANDOM, "sd3": lambda folder: make_sd3()}


def make_model(name: str, folder: Path) -> Any:
    """The random model of a family, with more blocks than its ControlNets have."""
    pipe = MAKE[name](folder)
    kind = type(pipe.transformer)
    config = {k: v for k, v in pipe.transformer.config.items() if not k.startswith("_")}
    parts = pipe.components | {"transformer": kind(**config | dict(CASES[name].transformer))}
    return type(pipe)(**parts)


def make_net(name: str, seed: int, **others: Any) -> Any:
    """A ControlNet that has learnt nothing; no weight of it is zero."""
    case = CASES[name]
    return draw_weights(getattr(diffusers, case.net)(**{**case.config, **others}), seed, 0.1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        for name, case in CASES.items():
            make_model(name, tmp_path_factory.mktemp(name)).save_pretrained(folder / name)
            for seed, (net, others) in enumerate({"edges": {}, **case.others}.items()):
                controlnet = make_net(name, seed, **others)
                controlnet.save_pretrained(folder / "controlnet" / f"{name}-{net}")
                if (store := FILES.get((name, net))) is not None:
                    save_file(
                        store(controlnet), folder / "controlnet" / f"{name}-{net}-file.safetensors"
                    )
    for blocks in (3, 4):
        path = folder / "controlnet" / f"qwen-image-blockwise{blocks}.safetensors"
        save_file(blockwise_file(blocks, 16, 32), path)
    for name, box in zip(PICTURES, ((4, 4, 30, 30), (10, 20, 60, 40), (0, 0, 63, 10)), strict=True):
        save_outline(folder / f"{name}.png", box)
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(folder / "from.png")
    mask = Image.new("L", (64, 64), 255)
    ImageDraw.Draw(mask).rectangle((16, 16, 47, 47), fill=0)
    mask.save(folder / "mask.png")
    return folder


@pytest.fixture(scope="module")
def generator(models: Path) -> ImageGenerator:
    return open_generator(models, len(CASES))


@pytest.fixture(autouse=True)
def means(monkeypatch: pytest.MonkeyPatch) -> None:
    take_means(monkeypatch)


def fields_of(models: Path, model: str, *controls: tuple[Any, ...], **others: Any) -> Any:
    """The fields of a recipe for controls: (net, picture, weight, start, end)."""
    own = {
        "control": tuple(
            Control(others.get("kind", "canny"), str(models / f"{picture}.png"), *rest)
            for _, picture, *rest in controls
        ),
        "control_model": tuple(f"{model}-{net}" for net, *_ in controls),
        "control_raw": True,
    }
    task = TASK_FIELDS[others.pop("task", "")]
    files = {k: str(models / v) if isinstance(v, str) else v for k, v in task.items()}
    others.pop("kind", None)
    return {"model": model, **(own if controls else {}), **files, **others}


TASK_FIELDS: dict[str, dict[str, Any]] = {
    "": {},
    "Img2Img": {"init_img": "from.png", "strength": 0.7},
    "Inpaint": {"init_img": "from.png", "init_mask": "mask.png", "strength": 0.7},
}


def generate(generator: ImageGenerator, fields: dict[str, Any]) -> str:
    return render(generator, fields).sha256


def render(generator: ImageGenerator, fields: dict[str, Any]) -> Any:
    wanted = recipe(**{"sampler": "k_euler", "cfg_scale": 3.0, "steps": 3, **fields})
    return generator.generate(wanted, lambda _: None)


@contextmanager
def by_hand(
    monkeypatch: pytest.MonkeyPatch, models: Path, kind: str, fields: dict[str, Any], **more: Any
) -> Iterator[None]:
    """While the engine calls diffusers' own pipeline for these controls instead of its own."""
    controls = fields["control"]
    case = CASES[fields["model"]]
    kind_of_net = getattr(diffusers, case.net)
    folder = models / "controlnet"
    nets = [load_net(kind_of_net, folder / name) for name in fields["control_model"]]
    images = [open_rgb(control.image) for control in controls]
    arguments: dict[str, Any] = {
        "control_image": images,
        "controlnet_conditioning_scale": [control.weight for control in controls],
        "control_guidance_start": [control.start for control in controls],
        "control_guidance_end": [control.end for control in controls],
    }
    if len(controls) == 1:
        arguments = {name: value[0] for name, value in arguments.items()}
    arguments |= more

    def replace_pipeline(made: PipelineCall) -> PipelineCall:
        pipeline = getattr(diffusers, kind)
        takes = signature(pipeline.__init__).parameters
        parts = {k: v for k, v in made.pipe.components.items() if k in takes}
        controlnet = nets[0]
        if len(nets) > 1:
            assert case.several is not None
            controlnet = case.several(nets)
        pipe = pipeline(**parts, controlnet=controlnet)
        pipe.set_progress_bar_config(disable=True)
        return replace(made, pipe=pipe, arguments={**made.arguments, **arguments})

    with monkeypatch.context() as patch:
        for task in TASKS:
            own = task.prepare
            patch.setattr(task, "prepare", lambda *args, own=own: replace_pipeline(own(*args)))
        yield


@pytest.mark.parametrize("task", TASK_FIELDS)
@pytest.mark.parametrize("model", CASES)
def test_the_pixels_are_those_of_diffusers_own_pipeline(
    models: Path, generator: ImageGenerator, monkeypatch: Any, model: str, task: str
) -> None:
    guidance = {"cfg_scale": 1.0} if model == "sd3" else {}  # else diffusers encodes it twice
    plain = fields_of(models, model, task=task, **guidance)
    without = generate(generator, plain)
    controlled = fields_of(models, model, ("edges", "a", 0.8), task=task, **guidance)
    ours = render(generator, controlled)
    assert ours.sha256 != without
    if kind := CASES[model].pipelines.get(task):
        with by_hand(monkeypatch, models, kind, controlled):
            assert generate(generator, plain) == ours.sha256
    assert generate(generator, plain) == without, "all of it is undone"
    assert generate(generator, controlled) == ours.sha256
    if task == "Inpaint":
        kept = np.asarray(ours.image) == np.asarray(open_rgb(plain["init_img"]))
        assert kept[:12].all() and not kept[20:44, 20:44].all()


@pytest.mark.parametrize("model", CASES)
def test_weight_0_is_bit_equal_to_none_and_a_small_one_is_near(
    models: Path, generator: ImageGenerator, model: str
) -> None:
    plain = render(generator, fields_of(models, model))
    assert generate(generator, fields_of(models, model, ("edges", "a", 0.0))) == plain.sha256
    near = render(generator, fields_of(models, model, ("edges", "a", 1e-4)))
    difference = np.abs(np.asarray(near.image, int) - np.asarray(plain.image, int))
    assert difference.max() <= 2, "the noise is the same"


@pytest.mark.parametrize("model", CASES)
def test_several_add_up_in_any_order(
    models: Path, generator: ImageGenerator, monkeypatch: Any, model: str
) -> None:
    case = CASES[model]
    other = "depth" if "depth" in case.others else "edges"
    controls = [("edges", "a", 0.7), (other, "b", 0.3, 0.0, 0.7), ("edges", "c", 1.1, 0.3, 1.0)]
    digests = {
        generate(generator, fields_of(models, model, *order))
        for order in (controls, controls[::-1], controls[1:] + controls[:1])
    }
    assert len(digests) == 1
    two = fields_of(models, model, ("edges", "a", 0.8, 0.0, 0.5), ("edges", "b", 1.2, 0.25, 1.0))
    two["control"] = tuple(sorted(two["control"], key=lambda one: hash_of(one.image)))
    few = {"steps": 4, "cfg_scale": 1.0}
    ours = generate(generator, {**two, **few})
    assert ours not in digests
    if case.several is not None:
        with by_hand(monkeypatch, models, case.pipelines[""], two):
            assert generate(generator, fields_of(models, model, **few)) == ours


def hash_of(path: str) -> str:
    from hashlib import sha256

    return sha256(Path(path).read_bytes()).hexdigest()


def list_calls(generator: ImageGenerator, fields: dict[str, Any]) -> list[bool]:
    """Whether something is added to each call of the transformer."""
    transformer = generator.load(fields["model"], lambda _: None).pipe.transformer
    calls: list[bool] = []
    original = transformer.forward

    def forward(*args: Any, **kw: Any) -> Any:
        calls.append(any("controlnet" in name for name in kw))
        return original(*args, **kw)

    transformer.forward = forward
    try:
        generate(generator, fields)
    finally:
        del transformer.forward
    return calls


@pytest.mark.parametrize(
    ("part", "others", "expected"),
    [
        ((0.0, 1.0), {}, [0, 1, 2, 3]),
        ((0.0, 0.5), {}, [0, 1]),
        ((0.25, 0.75), {}, [1, 2]),
        ((0.3, 0.4), {}, []),
        ((0.0, 0.5), {"task": "Img2Img", "steps": 8, "strength": 0.5}, [0, 1]),
    ],
)
@pytest.mark.parametrize("model", CASES)
def test_start_and_end_are_obeyed_step_by_step(
    models: Path, generator: ImageGenerator, model: str, part: Any, others: Any, expected: Any
) -> None:
    fields = fields_of(
        models, model, ("edges", "a", 1.0, *part), **{"steps": 4, "cfg_scale": 1.0, **others}
    )
    calls = list_calls(generator, fields)
    assert [number for number, active in enumerate(calls) if active] == expected


@pytest.mark.parametrize(
    ("part", "calls", "active"), [((0.0, 1.0), 3, [0, 1, 2]), ((0.0, 0.5), 4, [0, 1])]
)
def test_with_a_cache_what_is_controlled_is_never_extrapolated_from_what_is_not(
    models: Path, generator: ImageGenerator, part: Any, calls: int, active: list[int]
) -> None:
    """Six steps: 0, 1 and 4 are computed; 3 and 4, if control ends before them."""
    fields = fields_of(models, "sd3", ("edges", "a", 1.0, *part), steps=6, cfg_scale=1.0, cache=3)
    found = list_calls(generator, fields)
    assert (len(found), [n for n, controlled in enumerate(found) if controlled]) == (calls, active)


def test_a_union_of_flux_is_told_the_kind(
    models: Path, generator: ImageGenerator, monkeypatch: Any
) -> None:
    edges, depth = (
        fields_of(models, "flux", ("union", "a", 0.8), kind=kind) for kind in ("canny", "depth")
    )
    one, other = generate(generator, edges), generate(generator, depth)
    assert one != other
    with by_hand(monkeypatch, models, "FluxControlNetPipeline", depth, control_mode=2):
        assert generate(generator, fields_of(models, "flux")) == other
    with pytest.raises(ModelError, match="flux-union is not for seg"):
        generate(generator, fields_of(models, "flux", ("union", "a"), kind="seg"))


def test_a_controlnet_in_xlabs_form_sees_pixels(
    models: Path, generator: ImageGenerator, monkeypatch: Any
) -> None:
    fields = fields_of(models, "flux", ("xlabs", "a", 0.8))
    ours = generate(generator, fields)
    with by_hand(monkeypatch, models, "FluxControlNetPipeline", fields):
        assert generate(generator, fields_of(models, "flux")) == ours
    both = fields_of(models, "flux", ("xlabs", "a", 0.8), ("edges", "b"))
    assert generate(generator, both) != ours


@pytest.mark.parametrize(("model", "net"), FILES)
def test_a_single_file_gives_the_pixels_of_diffusers_own_pipeline(
    models: Path, generator: ImageGenerator, monkeypatch: Any, model: str, net: str
) -> None:
    kind, more = ("depth", {"control_mode": 2}) if net == "union" else ("tile", {})
    others = {"kind": kind, "cfg_scale": 1.0, "steps": 2}
    ours = generate(generator, fields_of(models, model, (f"{net}-file", "a", 0.8), **others))
    assert ours != generate(generator, fields_of(models, model, **others))
    fields = fields_of(models, model, (net, "a", 0.8), **others)
    with by_hand(monkeypatch, models, CASES[model].pipelines[""], fields, **more):
        assert generate(generator, fields_of(models, model, **others)) == ours


def test_a_blockwise_controlnet_adds_to_the_output_of_each_block(
    models: Path, generator: ImageGenerator, monkeypatch: Any
) -> None:
    """DiffSynth's for Qwen-Image, which diffusers does not have: against its formula, by hand."""
    plain = fields_of(models, "qwen-image", steps=2)
    fields = fields_of(models, "qwen-image", ("blockwise3", "a", 0.8), steps=2)
    without, ours = generate(generator, plain), generate(generator, fields)
    assert ours != without
    with seen_conditions(monkeypatch, "QwenImageControlNetModel") as seen:
        generate(generator, fields_of(models, "qwen-image", ("edges", "a"), steps=1))
    tensors = load_file(models / "controlnet" / "qwen-image-blockwise3.safetensors")
    transformer = generator.load("qwen-image", lambda _: None).pipe.transformer

    def control(number: int, forward: Callable[..., Any]) -> Callable[..., Any]:
        def controlled(*args: Any, **kw: Any) -> Any:
            text, states = forward(*args, **kw)
            return text, states + 0.8 * add_by_hand(tensors, number, states, seen[0])

        return controlled

    with monkeypatch.context() as patch:
        for number, block in enumerate(transformer.transformer_blocks):
            patch.setattr(block, "forward", control(number, block.forward))
        assert generate(generator, plain) == ours
    assert generate(generator, plain) == without, "all of it is undone"
    both = [("blockwise3", "a", 0.8), ("edges", "b", 0.5)]
    order = [
        generate(generator, fields_of(models, "qwen-image", *one)) for one in (both, both[::-1])
    ]
    assert order[0] == order[1] != ours
    with pytest.raises(ModelError, match="it is for 4 blocks, the model has 3"):
        generate(generator, fields_of(models, "qwen-image", ("blockwise4", "a")))


def test_a_controlnet_of_another_shape_or_family_is_refused(
    models: Path, generator: ImageGenerator, tmp_path: Path
) -> None:
    with silence_libraries():
        make_net("flux", 0, joint_attention_dim=2 * WIDE).save_pretrained(tmp_path / "wide")
    fields = fields_of(models, "flux", ("edges", "a"))
    fields["control_model"] = (str(tmp_path / "wide"),)
    with pytest.raises(ModelError, match="wide does not fit flux: it has joint_attention_dim"):
        generate(generator, fields)
    fields["control_model"] = ("z-image-edges",)
    with pytest.raises(ModelError, match="z-image-edges is a ControlNet for Z-Image"):
        generate(generator, fields)


@contextmanager
def seen_conditions(monkeypatch: pytest.MonkeyPatch, kind: str) -> Iterator[list[torch.Tensor]]:
    """What the ControlNets of a class are shown meanwhile, in each call."""
    seen: list[torch.Tensor] = []
    net = getattr(diffusers, kind)
    original = net.forward

    def forward(self: Any, *args: Any, **kw: Any) -> Any:
        condition = kw.get("controlnet_cond", kw.get("control_context"))
        seen.append((args[3] if condition is None else condition)[0])
        return original(self, *args, **kw)

    with monkeypatch.context() as patch:
        patch.setattr(net, "forward", forward)
        yield seen


@pytest.mark.parametrize(
    "model", [name for name, case in CASES.items() if "mask" in case.pipelines]
)
def test_a_controlnet_for_inpainting_sees_what_diffusers_pipeline_shows_it(
    models: Path, generator: ImageGenerator, monkeypatch: Any, model: str
) -> None:
    """Those pipelines begin from noise alone, so their images are others."""
    case = CASES[model]
    fields = fields_of(models, model, ("inpaint", "a", 0.8), task="Inpaint", steps=2)
    with seen_conditions(monkeypatch, case.net) as ours:
        first = generate(generator, fields)
    with Image.open(models / "mask.png") as opened:
        mask = ImageOps.invert(opened.convert("L"))
    more = {"control_mask": mask, "mask_image": mask, "image": open_rgb(fields["init_img"])}
    with (
        seen_conditions(monkeypatch, case.net) as theirs,
        by_hand(monkeypatch, models, case.pipelines["mask"], fields, **more),
    ):
        generate(generator, fields_of(models, model, steps=2))
    assert torch.equal(ours[0], theirs[0])
    assert generate(generator, fields) == first
    without_mask = fields_of(models, model, ("inpaint", "a", 0.8))
    assert generate(generator, without_mask) != generate(generator, fields_of(models, model))


def test_stabilitys_controlnets_for_sd35_large_have_their_own_ranges(
    models: Path, generator: ImageGenerator, monkeypatch: Any
) -> None:
    fields = fields_of(models, "sd3", ("large", "a", 0.8), kind="tile", cfg_scale=1.0)
    ours = generate(generator, fields)
    with by_hand(monkeypatch, models, CASES["sd3"].pipelines[""], fields):
        assert generate(generator, fields_of(models, "sd3", cfg_scale=1.0)) == ours
    vae = generator.load("sd3", lambda _: None).pipe.vae
    pixels = torch.from_numpy(np.asarray(open_rgb(fields["control"][0].image), np.float32))
    edges = pixels.permute(2, 0, 1)[None] / 255 * 255 * 0.5 + 0.5
    with seen_conditions(monkeypatch, "SD3ControlNetModel") as seen:
        generate(generator, fields_of(models, "sd3", ("large", "a", 0.8), kind="canny", steps=1))
    with torch.no_grad():
        latents = vae.encode(edges).latent_dist.mode()
    expected = (latents - vae.config.shift_factor) * vae.config.scaling_factor
    torch.testing.assert_close(seen[0], expected[0])


def test_a_controlnet_of_z_image_keeps_nothing_of_the_model(
    models: Path, generator: ImageGenerator, monkeypatch: Any
) -> None:
    """It uses layers of the model, which would stay in memory with it."""
    nets: list[Any] = []
    monkeypatch.setattr(ZImageControl, "compute", lambda part, call: nets.append(part.net) or {})
    generate(generator, fields_of(models, "z-image", ("edges", "a"), steps=1))
    own = diffusers.ZImageControlNetModel(**Z_IMAGE_NET).state_dict()
    assert nets[0].state_dict().keys() == own.keys()
    assert nets[0].t_embedder is None and nets[0].x_pad_token is None

"""--cache: fewer full passes of the denoiser, the same image each time, and nothing afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.sampling.deep_cache import DeepCache
from dream.engine.sampling.step_cache import use_step_cache
from dream.engine.sampling.taylor_cache import TaylorCache
from dream.engine.tasks import TaskInputs
from tests.random_layouts import make_layout, make_sd3
from tests.recipes import recipe

UNETS = ("sd1", "sdxl")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> ImageGenerator:
    folder = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name in UNETS:
            make_layout(name).save_pretrained(folder / name)
        make_sd3().save_pretrained(folder / "sd3")
    return create_generator(ModelRegistry([folder]).get_model)


def generate(generator: ImageGenerator, model: str, inputs: Any = None, **changes: Any) -> str:
    picture = generator.generate(
        recipe(model=model, **{"steps": 5, **changes}), lambda _: None, inputs
    )
    return picture.sha256


def count_full_passes(generator: ImageGenerator, model: str, **changes: Any) -> int:
    """How often the deepest layer of the denoiser is computed for one image."""
    pipe = generator.load(model, lambda _: None).pipe
    deepest = pipe.unet.mid_block.resnets[0] if model in UNETS else pipe.transformer.proj_out
    calls: list[None] = []
    handle = deepest.register_forward_hook(lambda *_: calls.append(None))
    try:
        generate(generator, model, **changes)
    finally:
        handle.remove()
    return len(calls)


@pytest.mark.parametrize("model", [*UNETS, "sd3"])
def test_it_changes_the_image_and_nothing_afterwards(generator: ImageGenerator, model: str) -> None:
    plain = generate(generator, model)
    pipe = generator.load(model, lambda _: None).pipe
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    cached = generate(generator, model, cache=2)
    assert cached != plain
    assert generate(generator, model, cache=2) == cached
    assert generate(generator, model) == plain
    assert not [name for name, part in denoiser.named_modules() if "forward" in vars(part)]


@pytest.mark.parametrize(
    ("model", "changes", "passes"),
    [
        ("sd1", {}, 5),
        ("sd1", {"cache": 2}, 3),
        ("sd1", {"cache": 3}, 2),
        ("sd1", {"cache": 9}, 1),
        ("sd1", {"cache": 3, "cfg_scale": 1.0}, 2),
        ("sd1", {"cache": 3, "sampler": "k_heun"}, 3),  # nine calls of a second-order sampler
        ("sd1", {"cache": 2, "hires_fix": 0.6, "width": 128, "height": 128}, 3 + 2),
        ("sdxl", {"cache": 2}, 3),
        ("sd3", {"cache": 2, "steps": 6}, 4),
        ("sd3", {"cache": 3, "steps": 6}, 3),
    ],
    ids=str,
)
def test_so_many_calls_are_full_passes(
    generator: ImageGenerator, model: str, changes: dict[str, Any], passes: int
) -> None:
    assert count_full_passes(generator, model, **changes) == passes


IMAGE = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
MASK = Image.new("L", (64, 64))
MASK.paste(255, (0, 0, 32, 64))


@pytest.mark.parametrize(
    ("inputs", "changes"),
    [
        (TaskInputs(image=IMAGE), {"strength": 0.8}),
        (TaskInputs(image=IMAGE, mask=MASK), {"strength": 0.8}),
        (None, {"freeu": True}),
        (None, {"pag": 3.0}),
        (None, {"seamless": True}),
        (None, {"prompt": "(a cat) AND (a dog)", "syntax": "a1111"}),
    ],
    ids=["image", "mask", "freeu", "pag", "seamless", "AND"],
)
def test_it_works_with_other_switches(
    generator: ImageGenerator, inputs: TaskInputs | None, changes: dict[str, Any]
) -> None:
    plain = generate(generator, "sd1", inputs, **changes)
    cached = generate(generator, "sd1", inputs, **changes, cache=2)
    assert cached != plain
    assert generate(generator, "sd1", inputs, **changes, cache=2) == cached
    assert generate(generator, "sd1", inputs, **changes) == plain


def test_another_text_is_a_full_pass(generator: ImageGenerator) -> None:
    changes = {"cache": 9, "steps": 4, "prompt": "[cat:dog:0.5]", "syntax": "a1111"}
    assert count_full_passes(generator, "sd1", **changes) == 2


def test_a_swap_is_refused(generator: ImageGenerator) -> None:
    swap = {"prompt": "a cat.swap(dog)", "syntax": "invokeai"}
    with pytest.raises(ModelError, match=r"\.swap\(\) is not supported with --cache"):
        generate(generator, "sd1", **swap, cache=2)
    generate(generator, "sd1", **swap)


class Steps:
    """A scheduler that only ends calls."""

    def step(self) -> None:
        pass


@torch.inference_mode()
def test_between_full_passes_only_the_outermost_layers_are_computed(
    generator: ImageGenerator,
) -> None:
    """Against the paper's formula, written out: the last layer sees the new latents beside what
    the layer before it found in the full pass."""
    unet = generator.load("sd1", lambda _: None).pipe.unet
    one, other = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    text = torch.randn(2, 77, unet.config.cross_attention_dim)
    last = unet.up_blocks[-1]
    entered: list[torch.Tensor] = []
    handle = last.resnets[-1].register_forward_pre_hook(lambda _, args: entered.append(args[0]))
    scheduler = Steps()
    with DeepCache(2).over(unet, scheduler):
        unet(one, 900, text)
        scheduler.step()
        cached = unet(other, 800, text).sample
    handle.remove()
    skip = unet.conv_in(other)
    deep = entered[0][:, : -skip.shape[1]]
    embedded = unet.time_embedding(unet.get_time_embed(other, torch.tensor(800)))
    features = last.resnets[-1](torch.cat([deep, skip], 1), embedded)
    if hasattr(last, "attentions"):
        (features,) = last.attentions[-1](features, text, return_dict=False)
    expected = unet.conv_out(unet.conv_act(unet.conv_norm_out(features)))
    assert torch.equal(cached, expected)
    assert "step" not in vars(scheduler)


class Line(torch.nn.Module):
    """A denoiser whose outputs lie on a line over its calls."""

    def __init__(self, form: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.form = form

    def forward(self, x: torch.Tensor, at: int) -> Any:
        self.asked.append(at)
        return self.form((x * at + 1).half())


@pytest.mark.parametrize(
    "form", [lambda y: (y,), lambda y: [y], lambda y: {"sample": y}, lambda y: y], ids=range(4)
)
def test_an_output_is_extrapolated_from_the_last_two(form: Callable[[torch.Tensor], Any]) -> None:
    denoiser, scheduler, x = Line(form), Steps(), torch.ones(1, 4)
    with TaylorCache(3).over(denoiser, scheduler):
        for call in range(9):
            for factor in (1, -1):  # without the words, and with them
                found = denoiser(x * factor, call)
                assert type(found) is type(form(x))
                value = found if isinstance(found, torch.Tensor) else next(iter(found))
                value = found["sample"] if isinstance(found, dict) else value
                assert value.dtype == torch.float16
                assert torch.equal(value.float(), x * factor * call + 1)
            scheduler.step()
        denoiser(torch.ones(2, 4), 9)
    assert denoiser.asked == [0, 0, 1, 1, 4, 4, 7, 7, 9], "and once for another size"


def test_a_model_without_a_denoiser_that_is_known_is_refused() -> None:
    with pytest.raises(ModelError, match="odd does not support --cache"):
        use_step_cache(object(), 2, "odd")

"""What of a long prompt a model does not read is said, letter for letter, in every family."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.core.events import Note
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from tests.random_families import FAMILIES, write_models
from tests.random_kolors import make_kolors
from tests.random_layouts import make_sd3
from tests.random_newest import NEWEST
from tests.random_others import OTHERS
from tests.random_split_latest import make_flux2_dev, make_hidream
from tests.recipes import recipe

MODELS: dict[str, Callable[[Path], Any]] = {
    **FAMILIES,
    **OTHERS,
    **NEWEST,
    "sd3": lambda folder: make_sd3(),
    "hidream": make_hidream,
    "flux-2-dev": make_flux2_dev,
}
if find_spec("sentencepiece"):  # Kolors reads its vocabulary with it
    MODELS["kolors"] = make_kolors


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> ImageGenerator:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder, MODELS, tmp_path_factory.mktemp)
    return create_generator(ModelRegistry([folder]).get_model, DeviceConfig(max_loaded_models=1))


def write_words(letters: int, seed: int) -> str:
    """Words of three letters, of this length in all."""
    draw = random.Random(seed)
    text = "".join(draw.choices(string.ascii_lowercase, k=letters))
    return "".join(" " if at % 4 == 3 else letter for at, letter in enumerate(text, 1))


def read(generator: ImageGenerator, model: str, field: str, text: str) -> tuple[list[bytes], str]:
    """What the denoiser is given with a text as this field of a recipe, and the end of the text
    that is said to be ignored."""
    pipe = generator.load(model, print).pipe
    denoiser = getattr(pipe, "transformer", None) or pipe.unet
    given: list[bytes] = []

    def note(_: object, args: Any, named: Any) -> None:
        given.extend(one.numpy().tobytes() for one in list_tensors((args, named)))

    hook = denoiser.register_forward_pre_hook(note, with_kwargs=True)
    events: list[Any] = []
    fields = {"width": 64, "height": 64, "steps": 1, "cfg_scale": 4.0, "prompt": "a", field: text}
    generator.generate(recipe(model=model, **fields), events.append)
    hook.remove()
    said = [event.text for event in events if isinstance(event, Note)]
    ends = [text.partition("ignored: ")[2] for text in said if "prompt too long" in text]
    return given, "".join(ends)


def list_tensors(values: Any) -> Iterator[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, dict):
        yield from list_tensors(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from list_tensors(value)


SIDES = [*((model, "prompt") for model in MODELS), ("sana", "negative"), ("lumina-2", "negative")]
"""Few pipelines put other words before a negative prompt than before a prompt."""


@pytest.mark.parametrize(("model", "field"), SIDES)
def test_just_what_is_ignored_is_said(generator: ImageGenerator, model: str, field: str) -> None:
    text = write_words(1100, 1)
    given, ignored = read(generator, model, field, text)
    assert ignored and text.endswith(ignored)
    kept = text.removesuffix(ignored)
    assert len(kept) > 50
    other = ignored[0] + write_words(len(ignored), 2)
    assert read(generator, model, field, kept + other) == (given, other.strip())
    whole, said = read(generator, model, field, kept)
    assert said == ""
    last = kept.rstrip()[-1]
    changed = f"{kept.rstrip()[:-1]}{'x' if last != 'x' else 'y'}"
    assert read(generator, model, field, changed)[0] != whole


def test_without_a_chat_template_the_pipeline_says_what_is_wrong(
    generator: ImageGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = generator.load("z-image", print).pipe.tokenizer
    monkeypatch.setattr(tokenizer, "chat_template", None)
    with pytest.raises(ModelError, match="z-image cannot generate this image"):
        generator.generate(recipe(model="z-image", width=64, height=64), lambda event: None)

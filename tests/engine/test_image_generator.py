"""Recipes through a real pipeline, with random weights: everything but meaning."""

from __future__ import annotations

import logging
import socket
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from dream.catalogue import ModelRegistry
from dream.core.errors import BadSetting, OutOfMemory
from dream.core.events import Loading, Note, Preview
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, GenerationCancelled, Progress
from dream.options.sampler_table import SAMPLERS
from tests.recipes import recipe


def render(generator: ImageGenerator, **changes: Any) -> tuple[Picture, list[Any]]:
    reported: list[Any] = []
    return generator.generate(recipe(**changes), reported.append), reported


@pytest.mark.parametrize("model", ["random", "random-v"])  # loaded once each
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_paints_sanely_and_again(
    generator: ImageGenerator, sampler: str, model: str
) -> None:
    first, reported = render(generator, sampler=sampler, model=model)
    again, _ = render(generator, sampler=sampler, model=model)
    assert first.sha256 == again.sha256
    assert first.image.size == (64, 64)
    assert 10 < np.asarray(first.image).std() < 120, "neither flat nor all black and white"
    assert [h.step for h in reported if isinstance(h, Progress)] == [1, 2, 3]


def test_another_seed_is_another_picture(generator: ImageGenerator) -> None:
    assert len({render(generator, seed=seed)[0].sha256 for seed in (0, 1, 2**32 - 1)}) == 3


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_takes_a_single_step(generator: ImageGenerator, sampler: str) -> None:
    picture, reported = render(generator, sampler=sampler, steps=1)
    assert np.asarray(picture.image).std() > 10
    assert [h.step for h in reported if isinstance(h, Progress)] == [1]


@pytest.mark.parametrize("sampler", ["lcm", "k_heun", "plms", "unipc"])
def test_steps_are_counted_as_asked(generator: ImageGenerator, sampler: str) -> None:
    _, reported = render(generator, sampler=sampler, steps=55)
    assert [h.step for h in reported if isinstance(h, Progress)] == [*range(1, 56)]


def test_it_is_what_diffusers_makes_of_the_same_noise(
    generator: ImageGenerator, random_models: Path
) -> None:
    ours, _ = render(generator, negative="blue", steps=5)
    pipe = StableDiffusionPipeline.from_pretrained(random_models / "random", safety_checker=None)
    pipe.to(memory_format=torch.channels_last)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    pipe.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(42))
    theirs = pipe(
        "a red circle",
        negative_prompt="blue",
        latents=noise,
        width=64,
        height=64,
        num_inference_steps=5,
        guidance_scale=5.0,
    ).images[0]
    difference = np.asarray(ours.image, int) - np.asarray(theirs, int)
    assert abs(difference).max() <= 1


def test_words_negative_words_and_guidance_matter(generator: ImageGenerator) -> None:
    pictures = [
        render(generator, **changes)[0].sha256
        for changes in (
            {},
            {"prompt": "a blue house"},
            {"negative": "blue"},
            {"prompt": "a red circle [blue]"},
            {"cfg_scale": 1.0},
        )
    ]
    assert pictures[2] == pictures[3], "[words] in the prompt are negative words"
    assert len(set(pictures)) == 4
    unguided = render(generator, cfg_scale=1.0, negative="blue")[0]
    assert unguided.sha256 == pictures[4], "without guidance negative words are not heard"


def test_other_sizes(generator: ImageGenerator) -> None:
    picture, _ = render(generator, width=96, height=72)
    assert picture.image.size == (96, 72)


def test_the_facts_name_what_the_pixels_depend_on(generator: ImageGenerator) -> None:
    facts = render(generator)[0].facts
    assert {"weights", "device", "precision", "threads", "dream", "torch", "diffusers"} <= {*facts}
    assert (facts["device"], facts["precision"], facts["threads"]) == ("cpu", "float32", "1")
    assert len(facts["weights"]) == 64
    assert all(isinstance(value, str) for value in facts.values())


def test_a_model_is_loaded_once(random_models: Path) -> None:
    generator = create_generator(ModelRegistry([random_models]).get_model)
    loads = [
        [h.model for h in render(generator, model=model)[1] if isinstance(h, Loading)]
        for model in ("random", "random", "random-v", "random")
    ]
    assert loads == [["random"], [], ["random-v"], []]


def test_the_end_of_a_long_prompt_is_named(generator: ImageGenerator) -> None:
    heard = "x" * 75  # one token a letter, and two for the ends
    _, reported = render(generator, prompt=heard)
    assert not [h for h in reported if isinstance(h, Note)]
    _, reported = render(generator, prompt=f"{heard} and on a hill", negative=f"{heard}y!")
    notes = [h.text for h in reported if isinstance(h, Note)]
    assert [text.partition(": ")[2] for text in notes] == ["and on a hill", "y!"]
    _, reported = render(generator, prompt="月" * 26)  # three bytes each: 78 tokens
    assert [h.text[-3:] for h in reported if isinstance(h, Note)] == [": 月"]


def test_previews_come_as_large_as_the_latents_and_only_when_asked_for(
    generator: ImageGenerator, random_models: Path
) -> None:
    def previews(generator: ImageGenerator) -> list[Preview]:
        _, reported = render(generator, steps=20, width=96)
        return [h.preview for h in reported if isinstance(h, Progress) and h.preview]

    previewed = previews(
        create_generator(ModelRegistry([random_models]).get_model, DeviceConfig(previews=True))
    )
    assert previewed
    assert {(p.width, p.height, len(p.rgb)) for p in previewed} == {(12, 8, 12 * 8 * 3)}
    assert previews(generator) == []


def test_a_tell_that_raises_stops_within_a_step(generator: ImageGenerator) -> None:
    reported: list[Any] = []

    def tell(event: Any) -> None:
        reported.append(event)
        if getattr(event, "step", 0) == 2:
            raise GenerationCancelled

    with pytest.raises(GenerationCancelled):
        generator.generate(recipe(steps=30), tell)
    assert reported[-1].step == 2
    assert render(generator)[0].sha256 == render(generator)[0].sha256


class Hungry:
    """Makes the UNet run out of memory so many times."""

    def __init__(self, generator: ImageGenerator, times: int, error: Exception) -> None:
        unet = generator.load("random", lambda event: None).pipe.unet
        self._handle = unet.register_forward_pre_hook(self._fail)
        self._left = times
        self._error = error

    def _fail(self, *_: object) -> None:
        if self._left:
            self._left -= 1
            raise self._error

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._handle.remove()


MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda e: type(e).__name__)
def test_out_of_memory_is_tried_again_in_slices(
    generator: ImageGenerator, error: Exception
) -> None:
    before, _ = render(generator)
    with Hungry(generator, 1, error):
        picture, reported = render(generator)
    assert [h.text for h in reported if isinstance(h, Note)] == [
        "out of memory; retrying with attention and VAE slicing"
    ]
    assert picture.facts["memory"] == "sliced and tiled"
    after, _ = render(generator)
    assert after.sha256 == before.sha256, "thrift is undone"
    assert after.facts == before.facts


def test_out_of_memory_twice_says_what_to_try_and_lives_on(generator: ImageGenerator) -> None:
    with Hungry(generator, 99, MEMORY_ERRORS[0]), pytest.raises(OutOfMemory) as caught:
        render(generator)
    assert "64x64" in str(caught.value)
    assert "-W" in caught.value.hint and "--precision" in caught.value.hint
    assert render(generator)[0].image.size == (64, 64)


def test_other_errors_are_not_taken_for_memory(generator: ImageGenerator) -> None:
    with Hungry(generator, 1, RuntimeError("mat1 and mat2 shapes")), pytest.raises(RuntimeError):
        render(generator)


def test_half_precision_keeps_its_composition(
    generator: ImageGenerator, random_models: Path
) -> None:
    exact, _ = render(generator, sampler="k_euler_a", steps=8)
    half = create_generator(
        ModelRegistry([random_models]).get_model, DeviceConfig(precision="bfloat16")
    )
    rough, _ = render(half, sampler="k_euler_a", steps=8)
    assert rough.facts["precision"] == "bfloat16"
    difference = np.asarray(exact.image, int) - np.asarray(rough.image, int)
    assert 0 < abs(difference).mean() < 3, "the same noise at every step, rounded differently"


def test_a_device_that_is_not_here_is_refused_at_once(random_models: Path) -> None:
    with pytest.raises(BadSetting, match="cuda:7"):
        create_generator(ModelRegistry([random_models]).get_model, DeviceConfig(device="cuda:7"))


def test_nothing_is_looked_up_or_said(
    random_models: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.DEBUG):
        render(
            create_generator(ModelRegistry([random_models]).get_model),
            prompt="long " * 99,
            sampler="unipc",
        )
    assert capfd.readouterr() == ("", "")
    assert not warned
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_negative_words_without_guidance_are_said_to_be_ignored(generator: ImageGenerator) -> None:
    plain, _ = render(generator, cfg_scale=1.0)
    picture, reported = render(generator, cfg_scale=1.0, negative="blue")
    assert picture.sha256 == plain.sha256
    notes = [note.text for note in reported if isinstance(note, Note)]
    assert notes == ["-C1 disables guidance, so the negative prompt is ignored: blue"]
    _, reported = render(generator, cfg_scale=2.0, negative="blue")
    assert not [note for note in reported if isinstance(note, Note)]

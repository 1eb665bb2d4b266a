"""A recipe through a diffusers pipeline, in numbered steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import Parameter, signature
from typing import Any

from PIL import Image

from dream.core.errors import ModelError
from dream.core.events import Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.engine.interface import ProgressCallback
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory.low_memory import is_out_of_memory
from dream.engine.sampling import noise
from dream.engine.sampling.color_match import match_histograms
from dream.engine.sampling.guidance_rescale import rescale_guidance, supports_rescale
from dream.engine.sampling.intermediates import Intermediates, without
from dream.engine.sampling.preview import Previewer, Previewers, ThrottledPreview
from dream.engine.sampling.prompt_args import PromptArgs, build_prompt_args, get_truncated_text
from dream.engine.sampling.provenance import collect_provenance
from dream.engine.sampling.schedulers import (
    flows,
    get_effective_sampler,
    make_flow_scheduler,
    make_scheduler,
    uses_beta_schedule,
)
from dream.engine.sampling.step_callback import StepCallback
from dream.engine.sampling.symmetry import Symmetry
from dream.engine.tasks import PipelineCall, TaskInputs, choose_task, hires
from dream.engine.tasks.strength import count_steps, fine_enough
from dream.engine.vision.depth_conditioning import add_depth_conditioning
from dream.inputs import resize_to_cover
from dream.line import split_negative
from dream.options.sampler_table import SAMPLERS
from dream.options.schedule_table import AUTO, FORMER

_AS_ASKED = {"use_resolution_binning": False, "_auto_resize": False}
"""Pipelines that know better which size is wanted are told to paint what is asked for."""


@dataclass(frozen=True)
class GenerationRun:
    """What one picture is painted with, however many walks it takes."""

    loaded: LoadedModel
    prompt_args: PromptArgs
    tell: ProgressCallback
    """Hears of each step; what it raises ends the picture there."""
    look: Previewer | None
    """How to see it in the making; None where nobody wants to, or can."""
    every: int
    """Steps from one picture that is kept in the making to the next; 0 keeps none."""
    is_final_pass: bool = True
    """Whether the picture is done after this walk."""

    @classmethod
    def for_recipe(
        cls,
        loaded: LoadedModel,
        recipe: Recipe,
        tell: ProgressCallback,
        looks: Previewers | None,
        every: int,
    ) -> GenerationRun:
        """For a recipe; what its model cannot hear or do, it is told."""
        words = _words(loaded, recipe, tell)
        if every and (why := without(loaded.pipe)):
            tell(Note(text=f"{recipe.model} {why}"))
            every = 0
        if every >= recipe.steps and recipe.hires_fix is None:
            tell(Note(text=f"--save_intermediates {every} saves nothing in {recipe.steps} steps"))
        look = (
            None if looks is None else looks.for_model(loaded.card, loaded.placement.device, tell)
        )
        return cls(loaded, words, tell, look, every)

    def run(self, recipe: Recipe, given: TaskInputs) -> Picture:
        """In one walk, or in two: see `tasks.hires`. Raises ModelError, and what `tell` raises."""
        two = hires.split_passes(recipe, self.loaded.card) if given.image is None else None
        if two is None:
            return self._denoise_once(recipe, given)
        small, large = two
        first, second = hires.merge_progress(
            self.tell, (small.steps, count_steps(fine_enough(large)))
        )
        begun = replace(self, tell=first, is_final_pass=False)._denoise_once(
            small, replace(given, colours=None)
        )
        image = resize_to_cover(begun.image, recipe.width, recipe.height)
        made = replace(self, tell=second)._denoise_once(large, replace(given, image=image))
        return replace(made, recipe=recipe)

    def _denoise_once(self, asked_for: Recipe, given: TaskInputs) -> Picture:
        recipe = asked_for if given.image is None else fine_enough(asked_for)
        source = noise.make_generator(recipe.seed)
        job = choose_task(recipe, given).prepare(self.loaded, recipe, given, source)
        symmetry = Symmetry.from_recipe(recipe)
        pipe, takes = job.pipe, signature(job.pipe.__call__).parameters
        steps = self._steps(recipe, job.steps, symmetry)
        asked = {
            **self.prompt_args,
            **job.arguments,
            **_AS_ASKED,
            "max_area": recipe.width * recipe.height,
            "generator": source,
            "callback_on_step_end": steps,
            "callback": partial(steps.call_legacy, pipe),
        }
        here = _rescale(self.loaded, recipe, takes)
        if recipe.cfg_rescale is not None:
            asked["guidance_rescale"] = recipe.cfg_rescale
        own = pipe.scheduler
        try:
            pipe.scheduler = walked = _scheduler(self.loaded, recipe, job)
            with (
                add_depth_conditioning(pipe, given.depth),
                rescale_guidance(pipe, here, recipe.cfg_scale),
            ):
                made = _run(self.loaded, pipe, {k: v for k, v in asked.items() if k in takes})
        finally:
            pipe.scheduler = own
        painted = symmetry.apply_to_image(_of_size(made.images[0], recipe).convert("RGB"))
        if given.colours is not None:
            painted = match_histograms(painted, given.colours)
        image = job.finish(painted)
        return Picture(image, asked_for, {**collect_provenance(self.loaded, walked), **given.facts})

    def _steps(self, recipe: Recipe, steps: int, symmetry: Symmetry) -> StepCallback:
        sides = recipe.width, recipe.height
        glances = None if self.look is None else ThrottledPreview(self.look, *sides)
        kept = Intermediates(self.every, *sides, ends=self.is_final_pass) if self.every else None
        dtype = self.loaded.placement.dtype
        return StepCallback(steps, dtype, self.tell, glances, symmetry, kept)


def _rescale(loaded: LoadedModel, recipe: Recipe, takes: Mapping[str, Parameter]) -> float:
    """The share of guidance rescale that is left for us to do."""
    theirs = "guidance_rescale" in takes or not supports_rescale(loaded, takes)
    return 0.0 if theirs else recipe.cfg_rescale or 0.0


def _run(loaded: LoadedModel, pipe: Any, asked: dict[str, Any]) -> Any:
    """What the pipeline makes. Of families that are taken as far as they are like those dream was
    made for, what a pipeline cannot do is said in one sentence. Raises ModelError."""
    if loaded.card.family in ("sd1", "sd2", "sdxl"):
        return pipe(**asked)
    try:
        return pipe(**asked)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):  # the painter tries again with less
            raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{loaded.card.name} cannot generate this image: {type(pipe).__name__} says {said}",
            "choose another --model",
        ) from error


def _of_size(image: Image.Image, recipe: Recipe) -> Image.Image:
    """The picture, if it is of the recipe's size: its log line must not say another. Raises
    ModelError."""
    if image.size != (recipe.width, recipe.height):
        width, height = image.size
        raise ModelError(
            f"{recipe.model} generated {width}x{height} pixels instead of"
            f" {recipe.width}x{recipe.height}",
            f"use a size that it supports: -W{width} -H{height}",
        )
    return image


def _words(loaded: LoadedModel, recipe: Recipe, tell: ProgressCallback) -> PromptArgs:
    """The two texts for the pipeline; what it will not hear, and what it will not do, is told."""
    pipe, model = loaded.pipe, loaded.card.name
    positive, negative = split_negative(recipe.prompt, recipe.negative)
    for text in filter(None, (positive, negative)):
        if lost := get_truncated_text(pipe, text):
            tell(Note(text=f"prompt too long for {model}; ignored: {lost}"))
    takes = signature(pipe.__call__).parameters
    heard = build_prompt_args(takes, positive, negative, recipe.cfg_scale)
    if negative and "negative_prompt" not in heard:
        tell(Note(text=f"{model} does not support negative prompts; ignored: {negative}"))
    elif negative and recipe.cfg_scale <= 1:
        tell(Note(text=f"-C1 disables guidance, so the negative prompt is ignored: {negative}"))
    if recipe.cfg_rescale and not supports_rescale(loaded, takes):
        tell(Note(text=f"{model} does not support --cfg_rescale; ignored"))
    if (note := _other_sampler(loaded, recipe)) is not None:
        tell(Note(text=note))
    return heard


def _other_sampler(loaded: LoadedModel, recipe: Recipe) -> str | None:
    """What should be said where another sampler paints than the line says, or another schedule."""
    pipe, model = loaded.pipe, loaded.card.name
    own = pipe.scheduler
    if not uses_beta_schedule(own.config):
        name = type(own).__name__
        if not _walks_flow(own, recipe):
            return f"{model} only works with {name}; {recipe.sampler} is ignored"
        if recipe.schedule not in (AUTO, "model", SAMPLERS[recipe.sampler].schedule):
            return f"{model} only works with its own schedule; {recipe.schedule} is ignored"
    elif (only := get_effective_sampler(pipe, recipe.sampler)) != recipe.sampler:
        return f"{model} only works with {only}; {recipe.sampler} is ignored"
    return None


def _walks_flow(own: Any, recipe: Recipe) -> bool:
    return bool(flows(own) and SAMPLERS[recipe.sampler].flow and recipe.schedule != FORMER)


def _former_config(loaded: LoadedModel, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """As it was before there were schedules: of a file of Stable Diffusion 1 or 2 it did not say
    that the model was trained down to pure noise."""
    if loaded.card.path.is_file() and loaded.card.family != "sdxl":
        return {**config, "rescale_betas_zero_snr": False}
    return config


def _scheduler(loaded: LoadedModel, recipe: Recipe, job: PipelineCall) -> Any:
    own, dtype = loaded.pipe.scheduler, loaded.placement.dtype
    steps = int(job.arguments.get("num_inference_steps", recipe.steps))
    skipped = steps - job.steps
    if uses_beta_schedule(own.config):
        sampler = get_effective_sampler(loaded.pipe, recipe.sampler)
        consistent = sampler != recipe.sampler and recipe.schedule != FORMER
        made = make_scheduler(
            sampler,
            _former_config(loaded, own.config) if recipe.schedule == FORMER else own.config,
            steps,
            dtype,
            schedule="model" if consistent else recipe.schedule,
            skipped=skipped,
            threshold=recipe.threshold,
            karras_max=recipe.karras_max,
            xl=hasattr(loaded.pipe, "text_encoder_2"),
        )
        made.start = job.start
        return made
    if _walks_flow(own, recipe):
        return make_flow_scheduler(
            recipe.sampler, own.config, dtype, skipped=skipped, threshold=recipe.threshold
        )
    if recipe.threshold:
        raise ModelError(
            f"{recipe.model} uses {type(own).__name__}, which does not support --threshold",
            "remove --threshold, or choose another model",
        )
    return own

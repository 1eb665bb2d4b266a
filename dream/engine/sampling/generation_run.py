"""Runs a recipe through a diffusers pipeline, in numbered steps."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from inspect import Parameter, signature
from typing import Any

from PIL import Image

from dream.core.errors import ModelError, summarize
from dream.core.events import Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.engine.conditioning.conditioning import Conditioning
from dream.engine.conditioning.prepare import make_conditioning
from dream.engine.control.active_control import ActiveControl, sort_controls
from dream.engine.control.apply_controls import apply_controls
from dream.engine.control.loaded_image_prompts import NO_IMAGE_PROMPTS, ImagePromptRun
from dream.engine.control.transformer_control import Frame
from dream.engine.interface import ProgressCallback
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory.low_memory import is_out_of_memory
from dream.engine.sampling import noise
from dream.engine.sampling.choose_scheduler import choose_scheduler, get_sampler_note
from dream.engine.sampling.color_match import match_histograms
from dream.engine.sampling.guidance_rescale import rescale_guidance, supports_rescale
from dream.engine.sampling.intermediates import Intermediates, find_obstacle
from dream.engine.sampling.latent_type import cast_latents
from dream.engine.sampling.perturbed_attention import get_pag_pipeline
from dream.engine.sampling.preview import Previewer, Previewers, ThrottledPreview
from dream.engine.sampling.provenance import collect_provenance
from dream.engine.sampling.requested_size import NO_RESIZING, keep_requested_size
from dream.engine.sampling.step_cache import use_step_cache
from dream.engine.sampling.step_callback import StepCallback
from dream.engine.sampling.symmetry import Symmetry
from dream.engine.tasks import PipelineCall, TaskInputs, choose_task, hires
from dream.engine.tasks.editing import edits, edits_initial_image
from dream.engine.tasks.strength import count_steps, refine_steps
from dream.engine.vision.depth_conditioning import add_depth_conditioning
from dream.inputs import resize_to_cover
from dream.options.family_table import get_family


@dataclass(frozen=True)
class GenerationRun:
    """What one image is generated with, in one pass or several."""

    loaded: LoadedModel
    conditioning: Conditioning
    report: ProgressCallback
    """Called for each step; an exception it raises ends the image there."""
    previewer: Previewer | None
    """Makes previews; None where they are off, or not available."""
    every: int
    """Steps between two saved unfinished images; 0 saves none."""
    is_final_pass: bool = True
    """Whether the image is finished after this pass."""
    steps_before: int | None = None
    """The steps of the first pass, for the second of two."""
    controls: tuple[ActiveControl, ...] = ()
    image_prompts: ImagePromptRun = NO_IMAGE_PROMPTS

    @classmethod
    def for_recipe(
        cls,
        loaded: LoadedModel,
        recipe: Recipe,
        report: ProgressCallback,
        previewers: Previewers | None,
        every: int,
        controls: tuple[ActiveControl, ...] = (),
        image_prompts: ImagePromptRun = NO_IMAGE_PROMPTS,
    ) -> GenerationRun:
        """The run for a recipe; reports what its model does not support."""
        words = make_conditioning(loaded, recipe, report)
        _report_ignored(loaded, recipe, report)
        if every and (why := find_obstacle(loaded.pipe)):
            report(Note(text=f"{recipe.model} {why}"))
            every = 0
        if every >= recipe.steps and recipe.hires_fix is None:
            report(Note(text=f"--save_intermediates {every} saves nothing in {recipe.steps} steps"))
        previewer = (
            None
            if previewers is None
            else previewers.for_model(loaded.info, loaded.placement.device, report, loaded.pipe)
        )
        return cls(
            *(loaded, words, report, previewer, every),
            controls=controls,
            image_prompts=image_prompts,
        )

    def run(self, recipe: Recipe, inputs: TaskInputs) -> Picture:
        """Generate in one pass, or in two: see `tasks.hires`. Raises ModelError, and what `report`
        raises."""
        passes = hires.split_passes(recipe, self.loaded.info) if inputs.image is None else None
        if passes is None:
            return self._denoise_once(recipe, inputs)
        small, large = passes
        first, second = hires.merge_progress(
            self.report, (small.steps, count_steps(refine_steps(large)))
        )
        first_image = replace(self, report=first, is_final_pass=False)._denoise_once(
            small, replace(inputs, colours=None)
        )
        image = resize_to_cover(first_image.image, recipe.width, recipe.height)
        picture = replace(self, report=second, steps_before=small.steps)._denoise_once(
            large, replace(inputs, image=image)
        )
        return replace(picture, recipe=recipe)

    def _denoise_once(self, requested: Recipe, inputs: TaskInputs) -> Picture:
        from_noise = inputs.image is None or edits(self.loaded.info, requested, inputs)
        recipe = requested if from_noise else refine_steps(requested)
        source = noise.make_generator(recipe.seed)
        call = choose_task(recipe, inputs).prepare(self.loaded, recipe, inputs, source)
        symmetry = Symmetry.from_recipe(recipe)
        pipe = get_pag_pipeline(self.loaded, call.pipe) if recipe.pag else call.pipe
        accepted = signature(pipe.__call__).parameters
        steps = self._steps(recipe, call.steps, symmetry)
        arguments = {
            **call.arguments,
            **NO_RESIZING,
            "max_area": recipe.width * recipe.height,
            "pag_scale": recipe.pag,
            "generator": source,
            "callback_on_step_end": steps,
            "callback": partial(steps.call_legacy, pipe),
        }
        here = _rescale(self.loaded, recipe, accepted)
        if recipe.cfg_rescale is not None:
            arguments["guidance_rescale"] = recipe.cfg_rescale
        own = pipe.scheduler
        try:
            pipe.scheduler = scheduler = choose_scheduler(self.loaded, recipe, call)
            with (
                self._control(recipe, inputs, pipe, steps),
                self._cache(recipe, pipe, steps),
                self.image_prompts.use(pipe, accepted, recipe) as shown,
                self._condition(recipe, call) as conditioning,
                add_depth_conditioning(pipe, inputs.depth),
                rescale_guidance(pipe, here, recipe.cfg_scale),
                keep_requested_size(pipe, recipe),
                cast_latents(pipe),
            ):
                whole = {**conditioning, **arguments, **shown}
                used = {name: value for name, value in whole.items() if name in accepted}
                output = _run(self.loaded, pipe, used)
            _require_finished(scheduler, recipe)
        finally:
            pipe.scheduler = own
        result = symmetry.apply_to_image(_require_size(output.images[0], recipe).convert("RGB"))
        if inputs.colours is not None:
            result = match_histograms(result, inputs.colours)
        image = call.finish(result)
        facts = {**collect_provenance(self.loaded, recipe, scheduler), **inputs.facts}
        return Picture(image, requested, facts)

    def _control(
        self, recipe: Recipe, inputs: TaskInputs, pipe: Any, steps: StepCallback
    ) -> AbstractContextManager[None]:
        """While the recipe's controls reach the denoiser."""
        frame = Frame((recipe.width, recipe.height), inputs.mask, inputs.image)
        share = partial(steps.get_share, pipe)
        return apply_controls(pipe, self.controls, recipe.control_mode, frame, share)

    def _cache(
        self, recipe: Recipe, pipe: Any, steps: StepCallback
    ) -> AbstractContextManager[None]:
        """While some calls of the denoiser are not computed in full. What they find depends on the
        controls that are in use."""
        controls, share = sort_controls(self.controls), partial(steps.get_share, pipe)
        nets = dict.fromkeys(one.loaded.model for one in controls)
        return use_step_cache(
            pipe,
            recipe.cache,
            self.loaded.info.name,
            [net for net in nets if hasattr(net, "down_blocks")],
            lambda: tuple(one.is_active(*share()) for one in controls),
        )

    def _condition(
        self, recipe: Recipe, call: PipelineCall
    ) -> AbstractContextManager[Mapping[str, Any]]:
        """While what the prompt says reaches the pipeline: its arguments."""
        of = int(call.arguments.get("num_inference_steps", recipe.steps))
        skipped = 1 - min(1.0, call.steps / of)
        return self.conditioning.applied(call.pipe, call.steps, skipped, self.steps_before)

    def _steps(self, recipe: Recipe, steps: int, symmetry: Symmetry) -> StepCallback:
        sides = recipe.width, recipe.height
        throttled = None if self.previewer is None else ThrottledPreview(self.previewer, *sides)
        intermediates = (
            Intermediates(self.every, *sides, ends=self.is_final_pass) if self.every else None
        )
        dtype = self.loaded.placement.dtype
        return StepCallback(steps, dtype, self.report, throttled, symmetry, intermediates)


def _rescale(loaded: LoadedModel, recipe: Recipe, takes: Mapping[str, Parameter]) -> float:
    """The share of guidance rescale that is left for us to do."""
    theirs = "guidance_rescale" in takes or not supports_rescale(loaded, takes)
    return 0.0 if theirs else recipe.cfg_rescale or 0.0


def _run(loaded: LoadedModel, pipe: Any, arguments: dict[str, Any]) -> Any:
    """What the pipeline makes. Of families that are taken as far as they are like those dream was
    made for, an error of a pipeline becomes one sentence. Raises ModelError."""
    if get_family(loaded.info.family).stable:
        return pipe(**arguments)
    try:
        return pipe(**arguments)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):  # the caller retries with less memory
            raise
        reason = f"{type(pipe).__name__} says {summarize(error)}"
        raise ModelError(
            f"{loaded.info.name} cannot generate this image: {reason}",
            "choose another --model",
        ) from error


def _require_finished(scheduler: Any, recipe: Recipe) -> None:
    """An adaptive sampler must have come to its end: its timesteps look finite to a pipeline that
    copies them. Raises ModelError."""
    if getattr(scheduler, "share_done", None) is not None and not scheduler.finished:
        raise ModelError(
            f"{recipe.model} does not support {recipe.sampler}: its pipeline needs to know the"
            " number of calls",
            "use dpm_fast",
        )


def _require_size(image: Image.Image, recipe: Recipe) -> Image.Image:
    """The image, if it has the recipe's size: its log line must be true. Raises ModelError."""
    if image.size != (recipe.width, recipe.height):
        width, height = image.size
        raise ModelError(
            f"{recipe.model} generated {width}x{height} pixels instead of"
            f" {recipe.width}x{recipe.height}",
            f"use a size that it supports: -W{width} -H{height}",
        )
    return image


def _report_ignored(loaded: LoadedModel, recipe: Recipe, report: ProgressCallback) -> None:
    """Reports what the model ignores of the recipe, besides its prompt."""
    takes = signature(loaded.pipe.__call__).parameters
    if recipe.cfg_rescale and not supports_rescale(loaded, takes):
        report(Note(text=f"{loaded.info.name} does not support --cfg_rescale; ignored"))
    if edits_initial_image(loaded.info, recipe):
        report(Note(text=f"{loaded.info.name} edits the input image as a whole; -f is ignored"))
    if (note := get_sampler_note(loaded, recipe)) is not None:
        report(Note(text=note))

"""A recipe through a diffusers pipeline, in numbered steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any

from PIL import Image

from dream.engine import noise
from dream.engine.base import Tell
from dream.engine.colours import match_colours
from dream.engine.depth import at_depth
from dream.engine.facts import facts
from dream.engine.intermediates import Intermediates, without
from dream.engine.memory import is_out_of_memory
from dream.engine.pipelines import Loaded
from dream.engine.preview import Glances, Look, Looks
from dream.engine.samplers import (
    flows,
    make_flow_scheduler,
    make_scheduler,
    obeys_table,
    sampler_of,
)
from dream.engine.steps import Steps
from dream.engine.symmetry import Symmetry
from dream.engine.tasks import Given, Job, hires, task_for
from dream.engine.tasks.walk import fine_enough, steps_of
from dream.engine.words import Words, unheard, weighed
from dream.errors import ModelError
from dream.events import Note
from dream.inputs import fitted
from dream.line import positive_negative
from dream.picture import Picture
from dream.recipe import Recipe
from dream.samplers import SAMPLERS
from dream.schedules import AUTO, FORMER

_AS_ASKED = {"use_resolution_binning": False, "_auto_resize": False}
"""Pipelines that know better which size is wanted are told to paint what is asked for."""


@dataclass(frozen=True)
class Denoising:
    """What one picture is painted with, however many walks it takes."""

    loaded: Loaded
    words: Words
    tell: Tell
    """Hears of each step; what it raises ends the picture there."""
    look: Look | None
    """How to see it in the making; None where nobody wants to, or can."""
    every: int
    """Steps from one picture that is kept in the making to the next; 0 keeps none."""
    ends: bool = True
    """Whether the picture is done after this walk."""

    @classmethod
    def of(
        cls, loaded: Loaded, recipe: Recipe, tell: Tell, looks: Looks | None, every: int
    ) -> Denoising:
        """For a recipe; what its model cannot hear or do, it is told."""
        words = _words(loaded, recipe, tell)
        if every and (why := without(loaded.pipe)):
            tell(Note(text=f"{recipe.model} {why}"))
            every = 0
        if every >= recipe.steps and recipe.hires_fix is None:
            tell(Note(text=f"--save_intermediates {every} keeps nothing of {recipe.steps} steps"))
        look = None if looks is None else looks.at(loaded.card, loaded.placement.device, tell)
        return cls(loaded, words, tell, look, every)

    def picture(self, recipe: Recipe, given: Given) -> Picture:
        """In one walk, or in two: see `tasks.hires`. Raises ModelError, and what `tell` raises."""
        two = hires.walks(recipe, self.loaded.card) if given.image is None else None
        if two is None:
            return self._walk(recipe, given)
        small, large = two
        first, second = hires.as_one(self.tell, (small.steps, steps_of(fine_enough(large))))
        begun = replace(self, tell=first, ends=False)._walk(small, replace(given, colours=None))
        image = fitted(begun.image, recipe.width, recipe.height)
        made = replace(self, tell=second)._walk(large, replace(given, image=image))
        return replace(made, recipe=recipe)

    def _walk(self, asked_for: Recipe, given: Given) -> Picture:
        recipe = asked_for if given.image is None else fine_enough(asked_for)
        source = noise.generator(recipe.seed)
        job = task_for(recipe, given).job(self.loaded, recipe, given, source)
        symmetry = Symmetry.of(recipe)
        pipe, takes = job.pipe, signature(job.pipe.__call__).parameters
        steps = self._steps(recipe, job.steps, symmetry)
        asked = {
            **self.words,
            **job.arguments,
            **_AS_ASKED,
            "max_area": recipe.width * recipe.height,
            "generator": source,
            "callback_on_step_end": steps,
            "callback": partial(steps.former, pipe),
        }
        own = pipe.scheduler
        try:
            pipe.scheduler = walked = _scheduler(self.loaded, recipe, job)
            with at_depth(pipe, given.depth):
                made = _run(self.loaded, pipe, {k: v for k, v in asked.items() if k in takes})
        finally:
            pipe.scheduler = own
        painted = symmetry.picture(_of_size(made.images[0], recipe).convert("RGB"))
        if given.colours is not None:
            painted = match_colours(painted, given.colours)
        image = job.finish(painted)
        return Picture(image, asked_for, {**facts(self.loaded, walked), **given.facts})

    def _steps(self, recipe: Recipe, steps: int, symmetry: Symmetry) -> Steps:
        sides = recipe.width, recipe.height
        glances = None if self.look is None else Glances(self.look, *sides)
        kept = Intermediates(self.every, *sides, ends=self.ends) if self.every else None
        dtype = self.loaded.placement.dtype
        return Steps(steps, dtype, self.tell, glances, symmetry, kept)


def _run(loaded: Loaded, pipe: Any, asked: dict[str, Any]) -> Any:
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
            f"{loaded.card.name} cannot paint this: its {type(pipe).__name__} says {said}",
            "choose another --model",
        ) from error


def _of_size(image: Image.Image, recipe: Recipe) -> Image.Image:
    """The picture, if it is of the recipe's size: its log line must not say another. Raises
    ModelError."""
    if image.size != (recipe.width, recipe.height):
        width, height = image.size
        raise ModelError(
            f"{recipe.model} made {width}x{height} pixels where"
            f" {recipe.width}x{recipe.height} are asked for",
            f"ask for a size that it paints: -W{width} -H{height}",
        )
    return image


def _words(loaded: Loaded, recipe: Recipe, tell: Tell) -> Words:
    """The two texts for the pipeline; what it will not hear, and what it will not do, is told."""
    pipe, model = loaded.pipe, loaded.card.name
    positive, negative = positive_negative(recipe.prompt, recipe.negative)
    for text in filter(None, (positive, negative)):
        if lost := unheard(pipe, text):
            tell(Note(text=f"too long for {model}, which does not hear: {lost}"))
    heard = weighed(signature(pipe.__call__).parameters, positive, negative, recipe.cfg_scale)
    if negative and "negative_prompt" not in heard:
        tell(Note(text=f"{model} has no ear for negative words: {negative}"))
    elif negative and recipe.cfg_scale <= 1:
        tell(Note(text=f"at -C1 there is no guidance: negative words are ignored: {negative}"))
    if (note := _other_sampler(loaded, recipe)) is not None:
        tell(Note(text=note))
    return heard


def _other_sampler(loaded: Loaded, recipe: Recipe) -> str | None:
    """What should be said where another sampler paints than the line says, or another schedule."""
    pipe, model = loaded.pipe, loaded.card.name
    own = pipe.scheduler
    if not obeys_table(own.config):
        name = type(own).__name__
        if not _walks_flow(own, recipe):
            return f"{model} paints with its own {name}, not with {recipe.sampler}"
        if recipe.schedule not in (AUTO, "model", SAMPLERS[recipe.sampler].schedule):
            return f"{model} paints along its own schedule, not along {recipe.schedule}"
    elif (only := sampler_of(pipe, recipe.sampler)) != recipe.sampler:
        return f"{model} paints with {only}, not with {recipe.sampler}"
    return None


def _walks_flow(own: Any, recipe: Recipe) -> bool:
    return bool(flows(own) and SAMPLERS[recipe.sampler].flow and recipe.schedule != FORMER)


def _scheduler(loaded: Loaded, recipe: Recipe, job: Job) -> Any:
    own, dtype = loaded.pipe.scheduler, loaded.placement.dtype
    steps = int(job.arguments.get("num_inference_steps", recipe.steps))
    skipped = steps - job.steps
    if obeys_table(own.config):
        sampler = sampler_of(loaded.pipe, recipe.sampler)
        consistent = sampler != recipe.sampler and recipe.schedule != FORMER
        made = make_scheduler(
            sampler,
            own.config,
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
            f"{recipe.model} paints with its own {type(own).__name__}, which has no --threshold",
            "paint without it, or with another model",
        )
    return own

"""A recipe through a diffusers pipeline, in numbered steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from PIL import Image

from dream.catalogue.cards import ModelCard, UpscalerCard
from dream.catalogue.helpers import Bring, bring_none
from dream.engine import memory, noise, tiles
from dream.engine.base import Machine, Tell
from dream.engine.cache import Cache, weigh
from dream.engine.colours import match_colours
from dream.engine.convert import to_folder
from dream.engine.depth import at_depth
from dream.engine.device import choose
from dream.engine.facts import facts
from dream.engine.given import gather
from dream.engine.intermediates import Intermediates
from dream.engine.pipelines import Loaded, load
from dream.engine.preview import Glances, Looks
from dream.engine.quiet import quiet
from dream.engine.samplers import Start, make_scheduler, obeys_table, sampler_of
from dream.engine.seamless import seamless
from dream.engine.sight import Seen, Sight
from dream.engine.steps import Steps
from dream.engine.symmetry import Symmetry
from dream.engine.tasks import Given, hires, task_for
from dream.engine.tasks.walk import steps_of
from dream.engine.vae import Vae, in_place, open_vae
from dream.engine.words import unheard
from dream.engine.x4 import Diffusion, diffusion
from dream.errors import ModelError, OutOfMemory
from dream.events import Loading, Note
from dream.inputs import fitted
from dream.line import positive_negative
from dream.picture import Picture
from dream.recipe import Recipe
from dream.request import NO_VAE
from dream.text_mask import TextMask

Words = Mapping[str, str | None]
"""The texts, by the names of a pipeline's arguments."""


class Painter:
    """Holds models in memory, and paints with them: one picture for each forward pass, so that
    the pixels do not depend on what else is made."""

    def __init__(
        self,
        find_model: Callable[[str], ModelCard],
        machine: Machine,
        find_decoder: Callable[[str], Path | None] = lambda family: None,
        find_vae: Callable[[str], Path] = Path,
        bring: Bring = bring_none,
    ) -> None:
        """Raises BadSetting for a device that is not here."""
        self._find_model = find_model
        self._find_vae = find_vae
        self._vae: Vae | None = None
        self._machine = machine
        self._sight = Sight(bring)
        self._cache = Cache(machine.max_loaded_models, machine.max_memory)
        self._looks = Looks(find_decoder) if machine.previews else None
        self.placement = choose(machine.device, machine.precision)

    def paint(
        self,
        recipe: Recipe,
        tell: Tell,
        given: Given | None = None,
        *,
        every: int = 0,
    ) -> Picture:
        """The picture before any finishing; each step is told on the way, with the picture in the
        making after `every` steps, unless that is 0. It begins from the files that the recipe
        names, unless what it begins from is given.

        Raises InputError, ModelError, OutOfMemory, and whatever `tell` raises, within a step.
        """
        if given is None:
            given = gather(recipe, tell, partial(self._sight.mask, self.placement.device, tell))
        with quiet():
            loaded = self.load(recipe.model, tell)
            given = self._sight.with_depth(loaded, given, tell)
            with (
                in_place(loaded.pipe, vae := self._vae_of(recipe, loaded)),
                seamless(loaded.pipe, recipe),
                tiles.where_needed(loaded, recipe.width, recipe.height, tell) as added,
            ):
                made = self._attempt(loaded, recipe, given, tell, every)
            if given.colours is not None:
                made = replace(made, image=match_colours(made.image, given.colours))
            added = added if vae is None else {**added, "vae": vae.digest}
            return replace(made, facts={**added, **made.facts})

    def _attempt(
        self, loaded: Loaded, recipe: Recipe, given: Given, tell: Tell, every: int
    ) -> Picture:
        """Paint; and where memory runs out once again, with less of it."""
        words = _words(loaded, recipe, tell)
        if every and getattr(loaded.pipe, "vae", None) is None:
            tell(Note(text=f"{recipe.model} has no VAE to see the picture in the making with"))
            every = 0
        paint = partial(self._paint, loaded, recipe, given, words, tell, every)
        made = memory.attempt(paint)
        if made is None:
            tell(Note(text="memory ran out; once again, with attention and VAE in slices"))
            with memory.thrifty(loaded.pipe):
                made = memory.attempt(paint)
            if made is None:
                raise OutOfMemory(
                    f"no memory for {recipe.width}x{recipe.height} pixels, not even in slices",
                    "try smaller -W and -H, or --precision float16 or bfloat16",
                )
            made = replace(made, facts={**made.facts, "memory": "sliced and tiled"})
        return made

    def seek(self, image: Image.Image, asked: TextMask, tell: Tell) -> Seen:
        """Where in an RGB picture is what words name. Raises ModelError, FetchError."""
        return self._sight.seek(self.placement.device, tell, image, asked)

    def load(self, model: str, tell: Tell) -> Loaded:
        """The model in memory. Where there is no room beside the others, those that were used
        least recently leave before it comes.

        Raises ModelError, BadSetting, OutOfMemory.
        """
        loaded = self._in_memory(self._find_model(model), tell)
        self.placement = loaded.placement
        return loaded

    def upscaler(self, card: UpscalerCard, recipe: Recipe, tell: Tell) -> Diffusion:
        """A diffusion upscaler in memory, for the picture of that recipe. It lives among the
        models, so that what was used least recently leaves for it. Raises as `load`."""
        return diffusion(self._in_memory(ModelCard(name=card.name, path=card.path), tell), recipe)

    def _in_memory(self, card: ModelCard, tell: Tell) -> Loaded:
        loaded = self._cache.get(card)
        if loaded is None:
            tell(Loading(model=card.name))
            self._sight.close()  # it is soon there again; a model may want the room
            loaded = self._load(card, tell)
        return loaded

    def loaded(self) -> tuple[str, ...]:
        """The names of the models in memory, the one used last at the end."""
        return self._cache.names()

    def convert(self, model: str, folder: Path, tell: Tell) -> None:
        """Write a model's single file as a folder in diffusers layout. Raises ModelError."""
        card = self._find_model(model)
        weight = weigh(card, "cpu", "float32")
        self._cache.make_room(card.name, weight)
        tell(Loading(model=model))
        to_folder(card, folder)

    def unload(self) -> None:
        """Forget the models, and give their memory back."""
        self._vae = None
        self._sight.close()
        self._cache.clear()

    def _vae_of(self, recipe: Recipe, loaded: Loaded) -> Vae | None:
        """What paints in place of the model's own; the last one stays in memory."""
        if recipe.vae is None or recipe.vae == NO_VAE:
            return None
        path, vae = self._find_vae(recipe.vae), self._vae
        if vae is None or (vae.path, vae.placement) != (path, loaded.placement):
            vae = self._vae = open_vae(path, loaded)
        return vae

    def _load(self, card: ModelCard, tell: Tell) -> Loaded:
        machine = self._machine
        weight = weigh(card, machine.device, machine.precision)
        weight = self._cache.way(card.name, weight, machine.low_memory, tell)
        way = weight.placement.way
        self._cache.make_room(card.name, weight)
        with quiet():
            loaded = memory.attempt(lambda: load(card, machine.device, machine.precision, way))
            if loaded is None and self._cache.names():
                self._cache.clear()
                loaded = memory.attempt(lambda: load(card, machine.device, machine.precision, way))
        if loaded is None:
            raise OutOfMemory(
                f"no memory for the model {card.name}", "try --precision float16 or bfloat16"
            )
        self._cache.keep(loaded, weight)
        return loaded

    def _paint(
        self,
        loaded: Loaded,
        recipe: Recipe,
        given: Given,
        words: Words,
        tell: Tell,
        every: int,
    ) -> Picture:
        """In one walk, or in two: see `tasks.hires`."""
        two = hires.walks(recipe, loaded.card) if given.image is None else None
        if two is None:
            return self._walk(loaded, recipe, given, words, tell, every)
        small, large = two
        first, second = hires.as_one(tell, (small.steps, steps_of(large)))
        begun = self._walk(loaded, small, given, words, first, every)
        image = fitted(begun.image, recipe.width, recipe.height)
        made = self._walk(loaded, large, Given(image=image), words, second, every)
        return replace(made, recipe=recipe)

    def _walk(
        self,
        loaded: Loaded,
        recipe: Recipe,
        given: Given,
        words: Words,
        tell: Tell,
        every: int,
    ) -> Picture:
        source = noise.generator(recipe.seed)
        job = task_for(recipe, given).job(loaded, recipe, given, source)
        glances = self._glances(loaded, recipe, tell)
        symmetry = Symmetry.of(recipe)
        shown = Intermediates(every, recipe.width, recipe.height) if every else None
        asked = {
            **words,
            **job.arguments,
            "guidance_scale": recipe.cfg_scale,
            "generator": source,
            "callback_on_step_end": Steps(
                job.steps, loaded.placement.dtype, tell, glances, symmetry, shown
            ),
        }
        pipe, takes = job.pipe, signature(job.pipe.__call__).parameters
        own = pipe.scheduler
        try:
            pipe.scheduler = _scheduler(loaded, recipe, job.start)
            with at_depth(pipe, given.depth):
                made = pipe(**{name: value for name, value in asked.items() if name in takes})
        finally:
            pipe.scheduler = own
        image = job.finish(symmetry.picture(made.images[0].convert("RGB")))
        return Picture(image, recipe, {**facts(loaded), **given.facts})

    def _glances(self, loaded: Loaded, recipe: Recipe, tell: Tell) -> Glances | None:
        """How to look at this picture in the making; None where nobody wants to, or can."""
        if self._looks is None:
            return None
        look = self._looks.at(loaded.card, loaded.placement.device, tell)
        return None if look is None else Glances(look, recipe.width, recipe.height)


def _words(loaded: Loaded, recipe: Recipe, tell: Tell) -> Words:
    """The two texts for the pipeline; what it will not hear, and what it will not do, is told."""
    pipe, model = loaded.pipe, loaded.card.name
    positive, negative = positive_negative(recipe.prompt, recipe.negative)
    for text in filter(None, (positive, negative)):
        if lost := unheard(pipe, text):
            tell(Note(text=f"too long for {model}, which does not hear: {lost}"))
    if negative and "negative_prompt" not in signature(pipe.__call__).parameters:
        tell(Note(text=f"{model} has no ear for negative words: {negative}"))
    if not obeys_table(pipe.scheduler.config):
        name = type(pipe.scheduler).__name__
        tell(Note(text=f"{model} paints with its own {name}, not with {recipe.sampler}"))
    elif (only := sampler_of(pipe, recipe.sampler)) != recipe.sampler:
        tell(Note(text=f"{model} paints with {only}, not with {recipe.sampler}"))
    return {"prompt": positive, "negative_prompt": negative or None}


def _scheduler(loaded: Loaded, recipe: Recipe, start: Start | None) -> Any:
    own = loaded.pipe.scheduler
    if obeys_table(own.config):
        made = make_scheduler(
            sampler_of(loaded.pipe, recipe.sampler),
            own.config,
            recipe.steps,
            loaded.placement.dtype,
            threshold=recipe.threshold,
            karras_max=recipe.karras_max,
        )
        made.start = start
        return made
    if recipe.threshold:
        raise ModelError(
            f"{recipe.model} paints with its own {type(own).__name__}, which has no --threshold",
            "paint without it, or with another model",
        )
    return own

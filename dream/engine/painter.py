"""Models in memory, and pictures by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image

from dream.catalogue.cards import ModelCard, UpscalerCard
from dream.catalogue.helpers import Bring, bring_none
from dream.engine import memory, tiles
from dream.engine.base import Machine, Tell
from dream.engine.cache import Cache, weigh
from dream.engine.convert import to_folder
from dream.engine.denoising import Denoising
from dream.engine.device import choose
from dream.engine.given import gather
from dream.engine.pipelines import Loaded, load
from dream.engine.preview import Looks
from dream.engine.quiet import quiet
from dream.engine.seamless import seamless
from dream.engine.sight import Seen, Sight
from dream.engine.tasks import Given
from dream.engine.vae import Vae, check_latents, in_place, open_vae, origin
from dream.engine.x4 import Diffusion, diffusion
from dream.errors import OutOfMemory
from dream.events import Loading, Note
from dream.picture import Picture
from dream.recipe import Recipe
from dream.request import NO_VAE
from dream.text_mask import TextMask


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
            with in_place(loaded, vae := self._vae_of(recipe, loaded)):
                given = self._sight.with_depth(loaded, given, tell)
                with (
                    seamless(loaded.pipe, recipe),
                    tiles.where_needed(loaded, recipe.width, recipe.height, tell) as added,
                ):
                    made = self._attempt(loaded, recipe, given, tell, every)
            added = added if vae is None else {**added, "vae": vae.digest}
            return replace(made, facts={**added, **made.facts})

    def _attempt(
        self, loaded: Loaded, recipe: Recipe, given: Given, tell: Tell, every: int
    ) -> Picture:
        """Paint; and where memory runs out once again, with less of it."""
        denoising = Denoising.of(loaded, recipe, tell, self._looks, every)
        paint = partial(denoising.picture, recipe, given)
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
        """What paints in place of the model's own; the last one stays in memory, for the models
        that it was made for."""
        if recipe.vae is None or recipe.vae == NO_VAE:
            return None
        path, vae = self._find_vae(recipe.vae), self._vae
        if vae is None or vae.origin != origin(path, loaded):
            vae = self._vae = open_vae(path, loaded)
        check_latents(vae, loaded)
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

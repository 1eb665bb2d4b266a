"""Models in memory, and pictures by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image

from dream.catalogue.auxiliary import Downloader, refuse_download
from dream.catalogue.model_info import ModelInfo, UpscalerInfo
from dream.core.errors import OutOfMemory
from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import NO_VAE
from dream.engine.diffusion_upscaler import DiffusionUpscaler, open_diffusion_upscaler
from dream.engine.interface import DeviceConfig, ProgressCallback
from dream.engine.loading.convert import export_diffusers
from dream.engine.loading.pipelines import LoadedModel, load_model
from dream.engine.loading.vae_override import (
    VaeOverride,
    check_latents,
    compute_cache_key,
    open_vae,
    replace_vae,
)
from dream.engine.memory import low_memory as memory
from dream.engine.memory import vae_tiling as tiles
from dream.engine.memory.device import choose_placement
from dream.engine.memory.model_cache import ModelCache, estimate_memory
from dream.engine.sampling.generation_run import GenerationRun
from dream.engine.sampling.preview import Previewers
from dream.engine.sampling.seamless import make_seamless
from dream.engine.silence_libraries import silence_libraries
from dream.engine.task_inputs import load_inputs
from dream.engine.tasks import TaskInputs
from dream.engine.vision.vision_models import MaskResult, VisionModels
from dream.options.text_mask import TextMask


class ImageGenerator:
    """Holds models in memory, and paints with them: one picture for each forward pass, so that
    the pixels do not depend on what else is made."""

    def __init__(
        self,
        find_model: Callable[[str], ModelInfo],
        machine: DeviceConfig,
        find_decoder: Callable[[str], Path | None] = lambda family: None,
        find_vae: Callable[[str], Path] = Path,
        bring: Downloader = refuse_download,
    ) -> None:
        """Raises BadSetting for a device that is not here."""
        self._find_model = find_model
        self._find_vae = find_vae
        self._vae: VaeOverride | None = None
        self._machine = machine
        self._sight = VisionModels(bring)
        self._cache = ModelCache(machine.max_loaded_models, machine.max_memory)
        self._looks = Previewers(find_decoder) if machine.previews else None
        self.placement = choose_placement(machine.device, machine.precision)

    def generate(
        self,
        recipe: Recipe,
        tell: ProgressCallback,
        given: TaskInputs | None = None,
        *,
        every: int = 0,
    ) -> Picture:
        """The picture before any finishing; each step is told on the way, with the picture in the
        making after `every` steps, unless that is 0. It begins from the files that the recipe
        names, unless what it begins from is given.

        Raises InputError, ModelError, OutOfMemory, and whatever `tell` raises, within a step.
        """
        if given is None:
            given = load_inputs(
                recipe, tell, partial(self._sight.compute_mask, self.placement.device, tell)
            )
        with silence_libraries():
            loaded = self.load(recipe.model, tell)
            with replace_vae(loaded, vae := self._vae_of(recipe, loaded)):
                given = self._sight.add_depth(loaded, given, tell)
                with (
                    make_seamless(loaded.pipe, recipe),
                    tiles.tile_if_needed(loaded, recipe.width, recipe.height, tell) as added,
                ):
                    made = self._attempt(loaded, recipe, given, tell, every)
            added = added if vae is None else {**added, "vae": vae.digest}
            return replace(made, facts={**added, **made.facts})

    def _attempt(
        self,
        loaded: LoadedModel,
        recipe: Recipe,
        given: TaskInputs,
        tell: ProgressCallback,
        every: int,
    ) -> Picture:
        """Paint; and where memory runs out once again, with less of it."""
        denoising = GenerationRun.for_recipe(loaded, recipe, tell, self._looks, every)
        paint = partial(denoising.run, recipe, given)
        made = memory.run_or_none_on_oom(paint)
        if made is None:
            tell(Note(text="out of memory; retrying with attention and VAE slicing"))
            with memory.use_less_memory(loaded.pipe):
                made = memory.run_or_none_on_oom(paint)
            if made is None:
                raise OutOfMemory(
                    f"not enough memory for {recipe.width}x{recipe.height} pixels, even sliced",
                    "use a smaller -W and -H, or --precision float16 or bfloat16",
                )
            made = replace(made, facts={**made.facts, "memory": "sliced and tiled"})
        return made

    def find_mask(self, image: Image.Image, asked: TextMask, tell: ProgressCallback) -> MaskResult:
        """Where in an RGB picture is what words name. Raises ModelError, FetchError."""
        return self._sight.compute_mask_and_heatmap(self.placement.device, tell, image, asked)

    def load(self, model: str, tell: ProgressCallback) -> LoadedModel:
        """The model in memory. Where there is no room beside the others, those that were used
        least recently leave before it comes.

        Raises ModelError, BadSetting, OutOfMemory.
        """
        loaded = self._in_memory(self._find_model(model), tell)
        self.placement = loaded.placement
        return loaded

    def load_upscaler(
        self, card: UpscalerInfo, recipe: Recipe, tell: ProgressCallback
    ) -> DiffusionUpscaler:
        """A diffusion upscaler in memory, for the picture of that recipe. It lives among the
        models, so that what was used least recently leaves for it. Raises as `load`."""
        return open_diffusion_upscaler(
            self._in_memory(ModelInfo(name=card.name, path=card.path), tell), recipe
        )

    def _in_memory(self, card: ModelInfo, tell: ProgressCallback) -> LoadedModel:
        loaded = self._cache.get(card)
        if loaded is None:
            tell(Loading(model=card.name))
            self._sight.close()  # it is soon there again; a model may want the room
            loaded = self._load(card, tell)
        return loaded

    def list_loaded(self) -> tuple[str, ...]:
        """The names of the models in memory, the one used last at the end."""
        return self._cache.list_names()

    def convert(self, model: str, folder: Path, tell: ProgressCallback) -> None:
        """Write a model's single file as a folder in diffusers layout. Raises ModelError."""
        card = self._find_model(model)
        weight = estimate_memory(card, "cpu", "float32")
        self._cache.make_room(card.name, weight)
        tell(Loading(model=model))
        export_diffusers(card, folder)

    def unload(self) -> None:
        """Forget the models, and give their memory back."""
        self._vae = None
        self._sight.close()
        self._cache.clear()

    def _vae_of(self, recipe: Recipe, loaded: LoadedModel) -> VaeOverride | None:
        """What paints in place of the model's own; the last one stays in memory, for the models
        that it was made for."""
        if recipe.vae is None or recipe.vae == NO_VAE:
            return None
        path, vae = self._find_vae(recipe.vae), self._vae
        if vae is None or vae.cache_key != compute_cache_key(path, loaded):
            vae = self._vae = open_vae(path, loaded)
        check_latents(vae, loaded)
        return vae

    def _load(self, card: ModelInfo, tell: ProgressCallback) -> LoadedModel:
        machine = self._machine
        weight = estimate_memory(card, machine.device, machine.precision)
        weight = self._cache.choose_offload(card.name, weight, machine.low_memory, tell)
        way = weight.placement.offload_mode
        self._cache.make_room(card.name, weight)
        with silence_libraries():
            loaded = memory.run_or_none_on_oom(
                lambda: load_model(card, machine.device, machine.precision, way)
            )
            if loaded is None and self._cache.list_names():
                self._cache.clear()
                loaded = memory.run_or_none_on_oom(
                    lambda: load_model(card, machine.device, machine.precision, way)
                )
        if loaded is None:
            raise OutOfMemory(
                f"not enough memory for the model {card.name}",
                "use --precision float16 or bfloat16",
            )
        self._cache.add(loaded, weight)
        return loaded

"""Holds models in memory, and generates images with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image

from dream.catalogue.auxiliary import Downloader, refuse_download
from dream.catalogue.model_info import ModelInfo, UpscalerInfo
from dream.catalogue.taesd import require_decoder_file
from dream.core.errors import OutOfMemory
from dream.core.events import Loading, Note
from dream.core.model_options import DEFAULT_OPTIONS, ModelOptions, get_model_options
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import NO_VAE
from dream.engine.adapters.adapters import Adapters, can_merge
from dream.engine.adapters.shared_text_encoders import undo_in_other_models, unload_with_encoders
from dream.engine.adapters.weight_merge import WeightedLora, get_key, merge
from dream.engine.backends.engine_choice import may_use_openvino
from dream.engine.backends.engines import Engines, check_engine
from dream.engine.conditioning.count_tokens import describe_tokens
from dream.engine.control.active_control import ActiveControl, collect_control_facts
from dream.engine.control.control_models import ControlModels
from dream.engine.control.loaded_image_prompts import ImagePromptRun, ImagePrompts
from dream.engine.diffusion_upscaler import DiffusionUpscaler, open_diffusion_upscaler
from dream.engine.interface import (
    DeviceConfig,
    FindAdapter,
    FindControl,
    FindImagePromptModel,
    ProgressCallback,
    UseTextEncoder,
    find_by_path,
    find_control_by_path,
    find_image_prompt_by_path,
    keep_text_encoder,
    with_options,
)
from dream.engine.load_into_cache import Begin, load_into_cache
from dream.engine.loading.convert import export_diffusers
from dream.engine.loading.pipelines import LoadedModel, require_unchanged
from dream.engine.loading.shared_encoders import SharedEncoders, count_bytes
from dream.engine.loading.small_decoder import SmallDecoders
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
from dream.engine.memory.memory_estimate import estimate_memory
from dream.engine.memory.model_cache import ModelCache
from dream.engine.memory.threads import use_threads
from dream.engine.sampling.free_u import use_free_u
from dream.engine.sampling.generation_run import GenerationRun
from dream.engine.sampling.preview import Previewers
from dream.engine.sampling.preview_fit import fit_rgb_factors
from dream.engine.sampling.seamless import make_seamless
from dream.engine.silence_libraries import silence_libraries
from dream.engine.task_inputs import load_inputs
from dream.engine.tasks import TaskInputs
from dream.engine.vision.vision_models import ControlMaps, MaskResult, VisionModels
from dream.options.text_mask import TextMask


class ImageGenerator:
    """Holds models in memory, and generates with them: one image for each forward pass, so that the
    pixels do not depend on what else is made."""

    def __init__(
        self,
        find_model: Callable[[str], ModelInfo],
        machine: DeviceConfig,
        find_decoder: Callable[[str], Path | None] = lambda family: None,
        find_vae: Callable[[str], Path] = Path,
        downloader: Downloader = refuse_download,
        find_adapter: FindAdapter = find_by_path,
        use_text_encoder: UseTextEncoder = keep_text_encoder,
        require_decoder: Callable[[ModelInfo], Path] = require_decoder_file,
        find_control: FindControl = find_control_by_path,
        find_image_prompt: FindImagePromptModel = find_image_prompt_by_path,
    ) -> None:
        """Raises BadSetting for a device that is not here."""
        self._find_model = find_model
        self._find_vae = find_vae
        self._use_text_encoder = use_text_encoder
        self._vae: VaeOverride | None = None
        self._machine = machine
        self._adapters = Adapters(find_adapter)
        self._vision = VisionModels(downloader)
        self._cache = ModelCache(machine.max_loaded_models, machine.max_memory)
        self._image_prompts = ImagePrompts(find_image_prompt, self._cache)
        self.controls = ControlModels(find_control, self._cache)
        self._shared = SharedEncoders()
        self.engines = Engines(machine=machine)
        self._decoders = SmallDecoders(require_decoder)
        self._previewers = Previewers(find_decoder, fit_rgb_factors) if machine.previews else None
        self.placement = choose_placement(machine.device, machine.precision)

    def generate(
        self,
        recipe: Recipe,
        report: ProgressCallback,
        inputs: TaskInputs | None = None,
        *,
        every: int = 0,
    ) -> Picture:
        """Generate the image, without the stages after it. Each step is reported; with `every` > 0,
        Progress holds the unfinished image after every so many steps. The input images are read
        from the recipe's files, unless `inputs` has them.

        Raises InputError, ModelError, OutOfMemory, and whatever `report` raises, within a step.
        """
        check_engine(recipe.engine)
        if inputs is None:
            find_mask = partial(self._vision.compute_mask, self.placement.device, report)
            inputs = load_inputs(recipe, report, find_mask)
        with silence_libraries():
            loaded, loras = self._load_with_loras(recipe, report)
            with replace_vae(loaded, vae := self._vae_of(recipe, loaded)):
                digest = "" if vae is None else vae.digest
                inputs, info = self._vision.add_depth(loaded, inputs, report), loaded.info
                maps = ControlMaps(self._vision, self.placement.device, report)
                controls = self.controls.load(recipe, loaded, inputs.controls, report, maps.draw)
                images = inputs.image_prompts
                shown = self._image_prompts.prepare(recipe, loaded, images, report, controls)
                with (
                    self._adapters.use(loaded, recipe, loras) as adapted,
                    use_free_u(loaded.pipe, info.family, info.name, recipe.freeu),
                    make_seamless(loaded.pipe, recipe),
                    self._decoders.use(loaded, recipe) as decoded,
                    tiles.tile_if_needed(loaded, recipe, report) as added,
                    self.engines.use(loaded, recipe, loras, digest, report) as engine,
                ):
                    run = loaded, recipe, inputs, controls, shown
                    picture = self._attempt(*run, report, every)
            require_unchanged(loaded)
            added = {**adapted, **decoded, **added, **shown.facts}
            added |= collect_control_facts(controls, maps.networks)
            added |= {"vae": digest} if digest else {}
            return engine.record(replace(picture, facts={**added, **picture.facts}))

    def _attempt(
        self,
        loaded: LoadedModel,
        recipe: Recipe,
        inputs: TaskInputs,
        controls: tuple[ActiveControl, ...],
        shown: ImagePromptRun,
        report: ProgressCallback,
        every: int,
    ) -> Picture:
        """Generate; when memory runs out, once more with attention and VAE slicing."""
        denoising = GenerationRun.for_recipe(
            *(loaded, recipe, report, self._previewers, every, controls, shown)
        )
        generate = partial(denoising.run, recipe, inputs)
        if (picture := memory.run_or_none_on_oom(generate)) is not None:
            return picture
        report(Note(text="out of memory; retrying with attention and VAE slicing"))
        with memory.use_less_memory(loaded.pipe):
            picture = memory.run_or_none_on_oom(generate)
        if picture is None:
            raise OutOfMemory(
                f"not enough memory for {recipe.width}x{recipe.height} pixels, even sliced",
                "use a smaller -W and -H, or --precision float16 or bfloat16",
            )
        return replace(picture, facts={**picture.facts, "memory": "sliced and tiled"})

    def count_tokens(self, recipe: Recipe, report: ProgressCallback) -> tuple[str, ...]:
        """A line for each part of a recipe's prompt. Raises ModelError, BadSetting, OutOfMemory."""
        loaded = self.load(recipe.model, report, get_model_options(recipe))
        with self._adapters.use_embeddings(loaded, recipe) as names:
            return (*describe_tokens(loaded.pipe, recipe), *names)

    def find_mask(
        self, image: Image.Image, text_mask: TextMask, report: ProgressCallback
    ) -> MaskResult:
        """Find what a text mask names in an RGB image. Raises ModelError, FetchError."""
        device = self.placement.device
        return self._vision.compute_mask_and_heatmap(device, report, image, text_mask)

    def make_control_map(
        self, kind: str, image: Image.Image, report: ProgressCallback
    ) -> Image.Image:
        """The map of an RGB image for control models of a kind, in its size. Raises ModelError,
        FetchError, OutOfMemory, SetupError."""
        device = self.placement.device
        return self._vision.make_control_map(device, report, kind, image, image.size).image

    def load(
        self, model: str, report: ProgressCallback, options: ModelOptions = DEFAULT_OPTIONS
    ) -> LoadedModel:
        """Load the model, or return the one in memory. Where
        there is not enough room, the models used least recently are unloaded first.

        Raises ModelError, BadSetting, OutOfMemory.
        """
        loaded = self._load(model, report, options, None)
        loaded.late.complete()
        return loaded

    def load_for(self, recipe: Recipe, report: ProgressCallback) -> LoadedModel:
        """The same for a recipe that is generated next: its denoiser's weights are perhaps copied
        later, see `loading.late_weights`."""
        loras = self._adapters.open_loras(recipe)
        begin = partial(self.engines.begin, recipe=recipe, loras=loras)
        return self._load(recipe.model, report, get_model_options(recipe), begin)

    def _load(
        self,
        model: str,
        report: ProgressCallback,
        options: ModelOptions,
        begin: Begin | None,
    ) -> LoadedModel:
        info = with_options(self._find_model(model), options, self._use_text_encoder)
        loaded = self._load_or_get(info, report, begin)
        self.placement = loaded.placement
        return loaded

    def _load_with_loras(
        self, recipe: Recipe, report: ProgressCallback
    ) -> tuple[LoadedModel, tuple[WeightedLora, ...]]:
        """The model with the recipe's LoRAs in its weights, and no others; and these. Raises
        ModelError."""
        loras = self._adapters.open_loras(recipe)
        loaded = self.load_for(recipe, report)
        if not can_merge(loaded.adapters, loras):
            unload_with_encoders(self._cache, self._shared, loaded)
            del loaded
            loaded = self.load_for(recipe, report)
        if get_key(loras) != loaded.adapters.key or not may_use_openvino(recipe):
            loaded.late.complete()
        merge(loaded.adapters, loras, loaded.pipe, loaded.info.name, loaded.placement.offload_mode)
        return loaded, loras

    def load_upscaler(
        self, info: UpscalerInfo, recipe: Recipe, report: ProgressCallback
    ) -> DiffusionUpscaler:
        """Load a diffusion upscaler for the recipe's image. It counts as a model, so the models
        used least recently are unloaded for it. Raises as `load`."""
        model = ModelInfo(name=info.name, path=info.path)
        return open_diffusion_upscaler(self._load_or_get(model, report), recipe)

    def _load_or_get(
        self, info: ModelInfo, report: ProgressCallback, begin: Begin | None = None
    ) -> LoadedModel:
        undo_in_other_models(self._cache, self._shared, info)
        loaded = self._cache.get(info)
        if loaded is None:
            report(Loading(model=info.name))
            self._vision.close()  # they load fast; a model may need the memory
            self.engines.drop_early()
            loaded = load_into_cache(info, self._machine, self._cache, self._shared, report, begin)
        return loaded

    def list_loaded(self) -> tuple[str, ...]:
        """The names of the models in memory, the one used last at the end."""
        return self._cache.list_names()

    def convert(self, model: str, folder: Path, report: ProgressCallback) -> None:
        """Write a model's single file as a folder in diffusers layout. Raises ModelError."""
        info = self._find_model(model)
        weight = estimate_memory(info, "cpu", "float32")
        # While this list is held, they stay in memory, whatever is unloaded.
        encoders = self._shared.find({part.path for part in info.parts})
        weight = replace(weight, weights=max(0, weight.weights - count_bytes(encoders)))
        self._cache.make_room(info.name, weight)
        report(Loading(model=model))
        export_diffusers(info, folder)

    use_threads = staticmethod(use_threads)

    def unload(self) -> None:
        """Unload all models, and free their memory."""
        self._vae = None
        self._adapters.close()
        self._vision.close()
        self.engines.close()
        self._cache.clear()

    def _vae_of(self, recipe: Recipe, loaded: LoadedModel) -> VaeOverride | None:
        """The VAE that replaces the model's own, or None. The last one stays in memory."""
        if recipe.vae is None or recipe.vae == NO_VAE:
            return None
        path, vae = self._find_vae(recipe.vae), self._vae
        if vae is None or vae.cache_key != compute_cache_key(path, loaded):
            vae = self._vae = open_vae(path, loaded)
        check_latents(vae, loaded)
        return vae

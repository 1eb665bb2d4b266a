"""Runs a worker's tasks; imports torch when it is created."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

from PIL import ImageStat

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_files import ADAPTER_KINDS
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.auxiliary import ensure_auxiliary
from dream.catalogue.control_files import get_control
from dream.catalogue.encoder_files import use_text_encoder
from dream.catalogue.image_encoders import find_with_encoder
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.taesd import find_decoder, require_decoder_file
from dream.core.errors import GalleryError
from dream.core.events import Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.engine import create_generator
from dream.engine.backends.early_compile import EarlyCompile, compile_first
from dream.engine.interface import DeviceConfig, ProgressCallback
from dream.engine.vision.control_maps.make_map import describe_empty_map, find_background
from dream.inputs import invert_mask, open_picture, place_on
from dream.worker.postprocessor import PostProcessor
from dream.worker.protocol import FindMaskTask, FinishTask, LoadTask, MakeControlMapTask, RenderTask


class TaskExecutor:
    """Runs tasks, and reports through a callback: see `dream.engine.interface.ProgressCallback`."""

    def __init__(
        self,
        registry: ModelRegistry,
        machine: DeviceConfig,
        expected: Recipe | None = None,
    ) -> None:
        """`expected`: what is most likely rendered first. Raises SetupError and BadSetting."""
        first = None if expected is None else _compile_first(registry, machine, expected)
        self._generator = create_generator(
            registry.get_model,
            machine,
            lambda family: find_decoder(family, registry.models_dirs),
            registry.get_vae,
            lambda helper, on_progress, on_note: ensure_auxiliary(
                helper, registry, on_progress, on_note
            ),
            partial(_find_adapter, registry),
            partial(_use_text_encoder, registry),
            lambda info: require_decoder_file(info, registry.models_dirs),
            lambda name: get_control(name, registry.models_dirs),
            lambda name, on_progress, on_note: find_with_encoder(
                name, registry, on_progress, on_note
            ),
        )
        self._generator.engines.first = first
        self._registry = registry
        self._postprocessor = PostProcessor(registry, self._generator)

    @property
    def advice(self) -> str:
        """What would make rendering faster here, e.g. another build of torch; mostly empty."""
        return self._generator.placement.advice

    def load(self, task: LoadTask, report: ProgressCallback) -> None:
        """Load the model, and report when the SHA-256 of its weights does not begin with the
        task's. Raises ModelError, OutOfMemory."""
        model, weights = task.model, task.weights
        if task.recipe is not None:
            loaded = self._generator.load_for(task.recipe, report)
        else:
            loaded = self._generator.load(model, report, task.options)
        if weights and not (digest := loaded.digest.result()).startswith(weights):
            is_now = f"its weights are {digest[: len(weights)]}, not {weights}"
            report(Note(text=f"{model} has changed: {is_now}; the image will differ"))

    def load_for(self, recipe: Recipe, report: ProgressCallback) -> None:
        """Load the model of a recipe that is rendered next. Raises ModelError, OutOfMemory."""
        self._generator.load_for(recipe, report)

    def convert(self, model: str, folder: Path, report: ProgressCallback) -> None:
        """Write a model's single file as a folder. Raises ModelError, OutOfMemory."""
        self._generator.convert(model, folder, report)

    def find_mask(self, task: FindMaskTask, report: ProgressCallback) -> None:
        """Write a mask and a heat map of what a text mask names. Raises InputError, ModelError,
        FetchError, GalleryError."""
        opened = open_picture(task.image)
        result = self._generator.find_mask(opened.image, task.text_mask, report)
        share = ImageStat.Stat(result.mask).mean[0] / 255
        try:
            invert_mask(result.mask).save(task.mask)
            result.heat.save(task.heat)
        except OSError as error:
            raise GalleryError(f"cannot write {task.mask}: {error.strerror or error}") from error
        report(Note(text=f"“{task.text_mask.words}” covers {share:.1%} of {task.image.name}"))

    def make_control_map(self, task: MakeControlMapTask, report: ProgressCallback) -> None:
        """Write the control map of an image. Raises InputError, ModelError, FetchError,
        GalleryError."""
        opened = open_picture(task.image)
        grey = find_background(task.kind, ready_made=False)
        image = place_on(opened.image, opened.alpha, grey)
        control_map = self._generator.make_control_map(task.kind, image, report)
        try:
            control_map.save(task.target)
        except OSError as error:
            raise GalleryError(f"cannot write {task.target}: {error.strerror or error}") from error
        if said := describe_empty_map(task.kind, task.image.name, control_map):
            report(Note(text=said))

    def count_tokens(self, recipe: Recipe, report: ProgressCallback) -> None:
        """Report the tokens of a recipe's prompt. Raises ModelError, OutOfMemory."""
        for text in self._generator.count_tokens(recipe, report):
            report(Note(text=text))

    def list_loaded(self) -> tuple[str, ...]:
        """The names of the models in memory, the one used last at the end."""
        return self._generator.list_loaded()

    def run(self, task: RenderTask | FinishTask, report: ProgressCallback) -> Picture:
        """Render a recipe, or run one stage of an image's recipe.

        Raises DreamErrors, and what `report` raises.
        """
        if isinstance(task, RenderTask):
            with self._generator.use_threads(task.recipe.threads):
                return self._generator.generate(task.recipe, report, every=task.every)
        with self._generator.use_threads(task.picture.recipe.threads):
            return self._postprocessor.finish(task.picture, task.stage, report)

    def close(self) -> None:
        """Free the memory of the models."""
        self._generator.unload()
        self._postprocessor = PostProcessor(self._registry, self._generator)


def _compile_first(
    registry: ModelRegistry, machine: DeviceConfig, recipe: Recipe
) -> EarlyCompile | None:
    """What another engine can begin before torch is imported. Whatever is wrong is reported when
    the image is rendered."""
    find, use = partial(_find_adapter, registry), partial(_use_text_encoder, registry)
    with suppress(Exception):
        return compile_first(recipe, machine, registry.get_model, find, use)
    return None


def _find_adapter(registry: ModelRegistry, kind: str, name: str) -> Path:
    return AdapterRegistry.of(registry).get(ADAPTER_KINDS[kind], name)


def _use_text_encoder(registry: ModelRegistry, info: ModelInfo, name: str) -> ModelInfo:
    return use_text_encoder(info, name, registry.models_dirs)

"""Rendering and finishing under one roof; imports torch when it opens."""

from __future__ import annotations

from pathlib import Path

from PIL import ImageStat

from dream.catalogue import ModelRegistry
from dream.catalogue.auxiliary import ensure_auxiliary
from dream.catalogue.taesd import find_decoder
from dream.core.errors import GalleryError
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.interface import DeviceConfig, ProgressCallback
from dream.inputs import invert_mask, open_picture
from dream.worker.postprocessor import PostProcessor
from dream.worker.protocol import FindMaskTask, FinishTask, RenderTask


class TaskExecutor:
    """What a worker works with, through callbacks: see `dream.engine.interface.Tell`."""

    def __init__(self, shelf: ModelRegistry, machine: DeviceConfig) -> None:
        """Raises SetupError and BadSetting."""
        self._painter = create_generator(
            shelf.get_model,
            machine,
            lambda family: find_decoder(family, shelf.models_dirs),
            shelf.get_vae,
            lambda helper, on_progress, say: ensure_auxiliary(helper, shelf, on_progress, say),
        )
        self._shelf = shelf
        self._finisher = PostProcessor(shelf, self._painter)

    @property
    def advice(self) -> str:
        """What would make it faster here, e.g. another build of torch; mostly empty."""
        return self._painter.placement.advice

    def load(self, model: str, tell: ProgressCallback, weights: str = "") -> None:
        """Have the model in memory, and tell when its weights' SHA-256 does not begin with
        `weights`. Raises ModelError, OutOfMemory."""
        loaded = self._painter.load(model, tell)
        if weights and not (found := loaded.digest.result()).startswith(weights):
            is_now = f"its weights are {found[: len(weights)]}, not {weights}"
            tell(Note(text=f"{model} has changed: {is_now}; the image will differ"))

    def convert(self, model: str, folder: Path, tell: ProgressCallback) -> None:
        """Write a model's single file as a folder. Raises ModelError, OutOfMemory."""
        self._painter.convert(model, folder, tell)

    def find_mask(self, task: FindMaskTask, tell: ProgressCallback) -> None:
        """Write where in a picture is what words name. Raises InputError, ModelError, FetchError,
        GalleryError."""
        opened = open_picture(task.image)
        seen = self._painter.find_mask(opened.image, task.asked, tell)
        found = ImageStat.Stat(seen.mask).mean[0] / 255
        try:
            invert_mask(seen.mask).save(task.mask)
            seen.heat.save(task.heat)
        except OSError as error:
            raise GalleryError(f"cannot write {task.mask}: {error.strerror or error}") from error
        tell(Note(text=f"“{task.asked.words}” covers {found:.1%} of {task.image.name}"))

    def list_loaded(self) -> tuple[str, ...]:
        """The names of the models in memory, the one used last at the end."""
        return self._painter.list_loaded()

    def run(self, task: RenderTask | FinishTask, tell: ProgressCallback) -> Picture:
        """A recipe rendered, or one stage of a picture's recipe done.

        Raises DreamErrors, and what `tell` raises.
        """
        if isinstance(task, RenderTask):
            return self._painter.generate(task.recipe, tell, every=task.every)
        return self._finisher.finish(task.picture, task.stage, tell)

    def close(self) -> None:
        """Give the models' memory back."""
        self._painter.unload()
        self._finisher = PostProcessor(self._shelf, self._painter)

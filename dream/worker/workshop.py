"""Rendering and finishing under one roof; imports torch when it opens."""

from __future__ import annotations

from pathlib import Path

from PIL import ImageStat

from dream.catalogue import Shelf
from dream.catalogue.decoders import find_decoder
from dream.catalogue.helpers import bring_helper
from dream.engine import open_painter
from dream.engine.base import Machine, Tell
from dream.errors import GalleryError
from dream.events import Note
from dream.inputs import inverted, open_picture
from dream.picture import Picture
from dream.worker.finisher import Finisher
from dream.worker.wire import Finish, Render, Seek


class Workshop:
    """What a worker works with, through callbacks: see `dream.engine.base.Tell`."""

    def __init__(self, shelf: Shelf, machine: Machine) -> None:
        """Raises SetupError and BadSetting."""
        self._painter = open_painter(
            shelf.model,
            machine,
            lambda family: find_decoder(family, shelf.models_dirs),
            shelf.vae,
            lambda helper, on_progress, say: bring_helper(helper, shelf, on_progress, say),
        )
        self._shelf = shelf
        self._finisher = Finisher(shelf, self._painter)

    @property
    def advice(self) -> str:
        """What would make it faster here, e.g. another build of torch; mostly empty."""
        return self._painter.placement.advice

    def load(self, model: str, tell: Tell, weights: str = "") -> None:
        """Have the model in memory, and tell when its weights' SHA-256 does not begin with
        `weights`. Raises ModelError, OutOfMemory."""
        loaded = self._painter.load(model, tell)
        if weights and not (found := loaded.digest.result()).startswith(weights):
            is_now = f"its weights are {found[: len(weights)]}, not {weights}"
            tell(Note(text=f"{model} has changed since: {is_now}; the picture will be another"))

    def convert(self, model: str, folder: Path, tell: Tell) -> None:
        """Write a model's single file as a folder. Raises ModelError, OutOfMemory."""
        self._painter.convert(model, folder, tell)

    def seek(self, task: Seek, tell: Tell) -> None:
        """Write where in a picture is what words name. Raises InputError, ModelError, FetchError,
        GalleryError."""
        opened = open_picture(task.image)
        seen = self._painter.seek(opened.image, task.asked, tell)
        found = ImageStat.Stat(seen.mask).mean[0] / 255
        try:
            inverted(seen.mask).save(task.mask)
            seen.heat.save(task.heat)
        except OSError as error:
            raise GalleryError(f"cannot write {task.mask}: {error.strerror or error}") from error
        tell(Note(text=f"{found:.1%} of {task.image.name} is “{task.asked.words}”"))

    def loaded(self) -> tuple[str, ...]:
        """The names of the models in memory, the one used last at the end."""
        return self._painter.loaded()

    def do(self, task: Render | Finish, tell: Tell) -> Picture:
        """A recipe rendered, or one stage of a picture's recipe done.

        Raises DreamErrors, and what `tell` raises.
        """
        if isinstance(task, Render):
            return self._painter.paint(task.recipe, tell, every=task.every)
        return self._finisher.finish(task.picture, task.stage, tell)

    def close(self) -> None:
        """Give the models' memory back."""
        self._painter.unload()
        self._finisher = Finisher(self._shelf, self._painter)

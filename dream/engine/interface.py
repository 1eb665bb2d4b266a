"""The engine's interface, which the session uses and which hides torch.

Implementations: `worker.client.WorkerEngine` (a process of its own),
`worker.inprocess.InProcessEngine` (this process), and the fake of the shell's tests. Both use
`engine.image_generator.ImageGenerator`, which reports through callbacks: see `ProgressCallback`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dream.catalogue.model_info import ModelInfo
from dream.core.events import Loading, Note, Preview, Waiting
from dream.core.model_options import DEFAULT_OPTIONS, ModelOptions
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import Stage
from dream.options.quantize_table import NO_QUANTIZATION
from dream.options.text_mask import TextMask

if TYPE_CHECKING:
    from PIL.Image import Image

    from dream.catalogue.control_info import ControlInfo
    from dream.catalogue.image_prompt_files import ImagePromptModel


@dataclass(frozen=True, kw_only=True)
class DeviceConfig:
    """How an engine may use this machine: the launch options of the same names."""

    device: str = "auto"
    precision: str = "auto"
    max_loaded_models: int = 2
    max_memory: float | None = None
    """GiB for all models together; None is all that the machine has."""
    low_memory: str = "auto"
    """Offloading of weights for a GPU: "auto", "off", "model", "group" or "sequential"."""
    previews: bool = False
    """Whether to make previews of unfinished images; they cost a little time."""


@dataclass(frozen=True)
class Progress:
    """One step done; while something is downloaded, bytes of all bytes."""

    stage: str
    """"render", "fetch", or a stage's name, as in `dream.core.stages`."""
    step: int
    """1 to steps."""
    steps: int
    preview: Preview | None = None
    image: Image | None = None
    """RGB: the unfinished image, where `render` was asked for it."""
    worker: str = ""
    """Which worker of several it is from."""


FindAdapter = Callable[[str, str], Path]
"""From the kind of an adapter ("lora", "embedding" or "hypernet") and its name to its file. Raises
ModelError."""


def find_by_path(kind: str, name: str) -> Path:
    """The file at that path."""
    return Path(name)


UseTextEncoder = Callable[[ModelInfo, str], ModelInfo]
"""A model with the text encoder of that name or path. Raises ModelError."""


FindImagePromptModel = Callable[
    [str, Callable[[int, int], None], Callable[[str], None]], "tuple[ImagePromptModel, Path]"
]
"""From an IP-Adapter's name to what is known about it and its encoder's file, which is downloaded
if it is missing: see `catalogue.image_encoders`. Raises ModelError, FetchError."""


def find_image_prompt_by_path(
    name: str, on_progress: Callable[[int, int], None], on_message: Callable[[str], None]
) -> tuple[ImagePromptModel, Path]:
    """The IP-Adapter at that path, with an encoder in `clip_vision/` beside it. Raises
    ModelError."""
    from dream.catalogue.image_encoders import ensure_image_encoder
    from dream.catalogue.image_prompt_files import read_image_prompt_model
    from dream.catalogue.registry import ModelRegistry

    model = read_image_prompt_model(name, Path(name))
    registry = ModelRegistry([model.path.parent], offline=True)
    return model, ensure_image_encoder(model, registry, on_progress, on_message)


def keep_text_encoder(info: ModelInfo, name: str) -> ModelInfo:
    """The model as it is."""
    return info


def with_options(
    info: ModelInfo, options: ModelOptions, use_text_encoder: UseTextEncoder
) -> ModelInfo:
    """The model as these options ask for it. Raises ModelError."""
    if options.text_encoder:
        info = use_text_encoder(info, options.text_encoder)
    return replace(info, quantize=options.quantize or NO_QUANTIZATION)


FindControl = Callable[[str], "ControlInfo"]
"""From a control model's name or path to what is known about it. Raises ModelError."""


def find_control_by_path(name: str) -> ControlInfo:
    """The control model at that path. Raises ModelError."""
    from dream.catalogue.control_info import read_control_info

    return read_control_info(name, Path(name))


EngineEvent = Progress | Note | Loading | Waiting | Picture
"""What an engine yields; a `Picture` comes last, once. Waiting only comes from a PoolEngine."""

EngineEvents = Generator[EngineEvent, None, None]

LoadEvents = Generator[Progress | Note | Loading | Waiting, None, None]
"""What an engine yields while it loads a model."""

ProgressCallback = Callable[[Progress | Note | Loading], None]
"""Called with each event of the work. Raises `GenerationCancelled` to cancel the image."""


class GenerationCancelled(Exception):
    """The image was cancelled. Raised by a `ProgressCallback`, and caught by the code that passed
    it."""


class Engine(Protocol):
    """Turns recipes into images. Its generators can be closed: that cancels the work within a step,
    and leaves the engine ready for the next."""

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """Generate the image, without the stages after it; with `every` > 0, Progress holds the
        unfinished image after every so many steps. Raises ModelError, EngineError, OutOfMemory."""

    def finish(self, picture: Picture, stage: Stage) -> EngineEvents:
        """Run one stage that the image's recipe asks for. Raises FinishError, ModelError,
        FetchError, OutOfMemory."""

    def load(
        self,
        model: str,
        weights: str = "",
        options: ModelOptions = DEFAULT_OPTIONS,
        recipe: Recipe | None = None,
    ) -> LoadEvents:
        """Load a model. `weights`, if not empty, is the
        beginning of the SHA-256 that an image was made with; a Note says when the model's is
        different. `recipe` is what is most likely rendered with it next: what that does not need
        may be loaded later. Raises ModelError, OutOfMemory."""

    def convert(self, model: str, folder: Path) -> LoadEvents:
        """Write a model's single file as a folder in diffusers layout. Raises ModelError,
        OutOfMemory."""

    def find_mask(self, image: Path, text_mask: TextMask, mask: Path, heat: Path) -> LoadEvents:
        """Find what a text mask names in an image, and write two PNGs of its size: a mask for -M,
        black where it is, and a grey heat map, the lighter, the surer. Raises InputError,
        ModelError, FetchError, GalleryError."""

    def make_control_map(self, kind: str, image: Path, target: Path) -> LoadEvents:
        """Write the map of an image for control models of a kind (a key of CONTROL_KINDS), a PNG of
        the image's size, at most `make_map.LONGEST_SIDE` wide or high. Raises InputError,
        ModelError, FetchError, GalleryError."""

    def count_tokens(self, recipe: Recipe) -> LoadEvents:
        """Load the recipe's model; a Note for each part of its prompt says how many tokens it has,
        and what is cut off. Raises ModelError, OutOfMemory."""

    def list_loaded(self) -> Sequence[str]:
        """The names of the models in memory, the one used last at the end."""

    def get_memory_usage(self) -> int:
        """Bytes of main memory of the process with the models; 0 where that is not known."""

    def preload(
        self, model: str, options: ModelOptions = DEFAULT_OPTIONS, recipe: Recipe | None = None
    ) -> None:
        """Start to load a model, without waiting for it; for `recipe` see `load`. Never raises;
        `render` will."""

    def interrupt(self) -> None:
        """From another thread: raise KeyboardInterrupt in the thread that waits for an image. Does
        nothing where none waits. Returns at once."""

    def restart(self) -> None:
        """From any thread: end the worker, so that the next image starts with a new one. An image
        being rendered starts again."""

    def close(self) -> None:
        """Free models and processes. The engine cannot be used afterwards."""


@runtime_checkable
class PoolEngine(Engine, Protocol):
    """An engine with several workers. Its generators run side by side, in one thread: where one has
    nothing to yield yet, it yields Waiting."""

    def count_workers(self) -> int:
        """How many images it renders at once, at least 1."""

    def wait(self) -> None:
        """Wait until a worker has reported something, or until `wake`. Raises KeyboardInterrupt
        after `interrupt`."""

    def wake(self) -> None:
        """From any thread: end the waiting. Returns at once."""

    def set_owner(self, owner: str) -> None:
        """Whose the tasks are that are submitted from now on; owners get equal shares."""

"""What the studio asks of an engine: the one seam between the house and torch.

Implementations: `worker.client.WorkerEngine` (the real one, in a process of its own),
`worker.inprocess.InProcessEngine` (the same in this process), and the fake of the shell's tests.
Both open over `engine.image_generator.ImageGenerator`, which reports through a `ProgressCallback`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dream.core.events import Loading, Note, Preview
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import Stage
from dream.options.text_mask import TextMask

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, kw_only=True)
class DeviceConfig:
    """How an engine may use this machine: the launch options of the same names."""

    device: str = "auto"
    precision: str = "auto"
    max_loaded_models: int = 2
    max_memory: float | None = None
    """GiB for all models together; None is what the machine has."""
    low_memory: str = "auto"
    """How weights come to a GPU: "auto", "off", "model", "group" or "sequential"."""
    previews: bool = False
    """Whether to look at pictures in the making; it costs time, if little."""


@dataclass(frozen=True)
class Progress:
    """One step done; or, while something is fetched, so many bytes of so many."""

    stage: str
    """"render", "fetch", or a stage's name, as in `dream.core.stages`."""
    step: int
    """1 to steps."""
    steps: int
    preview: Preview | None = None
    image: Image | None = None
    """RGB, as it would be if it were finished now; where that was asked for, see `render`."""


EngineEvent = Progress | Note | Loading | Picture
"""What an engine yields on the way; a `Picture` comes last, once."""

EngineEvents = Generator[EngineEvent, None, None]

LoadEvents = Generator[Progress | Note | Loading, None, None]
"""What an engine yields while it loads a model."""

ProgressCallback = Callable[[Progress | Note | Loading], None]
"""How the work reports while it goes on. It raises `Stopped` to give the picture up."""


class GenerationCancelled(Exception):
    """The picture is no longer wanted. Raised by a `Tell`, and caught by whoever handed it in."""


class Engine(Protocol):
    """Turns recipes into pictures. Three methods are generators: closing one cancels the work
    within a step, and leaves the engine ready for the next."""

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """The picture before any finishing; and after `every` steps, unless that is 0, Progress
        with the picture in the making. Raises ModelError, EngineError, OutOfMemory."""

    def finish(self, picture: Picture, stage: Stage) -> EngineEvents:
        """The picture after one stage, which its recipe asks for. Raises FinishError, ModelError,
        FetchError, OutOfMemory."""

    def load(self, model: str, weights: str = "") -> LoadEvents:
        """Have a model in memory. `weights`, where given, is the beginning of the SHA-256 that a
        picture was made with; a Note says so when the model's is another. Raises ModelError,
        OutOfMemory."""

    def convert(self, model: str, folder: Path) -> LoadEvents:
        """Write a model's single file as a folder in diffusers layout. Raises ModelError,
        OutOfMemory."""

    def find_mask(self, image: Path, asked: TextMask, mask: Path, heat: Path) -> LoadEvents:
        """Where in a picture is what words name? Written as two PNGs of its size: a mask for -M,
        black where it is, and grey, the lighter, the surer. Raises InputError, ModelError,
        FetchError, GalleryError."""

    def list_loaded(self) -> Sequence[str]:
        """The names of the models in memory, the one used last at the end."""

    def get_memory_usage(self) -> int:
        """Bytes of main memory the process with the models takes; 0 where that is not known."""

    def preload(self, model: str) -> None:
        """Begin to load a model, without waiting for it. Never raises; render will."""

    def interrupt(self) -> None:
        """From another thread: whoever waits for a picture has KeyboardInterrupt raised there.
        Nothing happens where nobody waits. Returns at once."""

    def restart(self) -> None:
        """From any thread: end what the models live in, so that the next picture begins with a
        fresh one, and a picture that is being made begins again."""

    def close(self) -> None:
        """Let go of models and processes. The engine is of no use afterwards."""

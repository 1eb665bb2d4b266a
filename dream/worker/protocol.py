"""What the prompt's process and its worker say to each other.

Pickled, over a socket pair that only these two hold: there is no address, and nobody else to
believe. Every picture is a job with a number, so that late words about a cancelled one are known
for what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.core.errors import DreamError
from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import Stage
from dream.engine.interface import DeviceConfig, Progress
from dream.options.text_mask import TextMask

# ── to the worker ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Init:
    """The first message: what to work with."""

    shelf: ModelRegistry
    machine: DeviceConfig


@dataclass(frozen=True)
class Preload:
    """Load this model when there is nothing else to do."""

    model: str


@dataclass(frozen=True)
class RenderTask:
    """A task: the recipe's picture, shown after every so many steps; 0 is never."""

    recipe: Recipe
    every: int = 0


@dataclass(frozen=True)
class FinishTask:
    """A task: one stage of what the picture's recipe asks for."""

    picture: Picture
    stage: Stage


@dataclass(frozen=True)
class LoadTask:
    """A task: have the model in memory, and say when its weights are not those."""

    model: str
    weights: str = ""


@dataclass(frozen=True)
class ConvertTask:
    """A task: write the model's single file as a folder in diffusers layout."""

    model: str
    folder: Path


@dataclass(frozen=True)
class FindMaskTask:
    """A task: find what words name in a picture, and write where it is."""

    image: Path
    asked: TextMask
    mask: Path
    heat: Path


Task = RenderTask | FinishTask | LoadTask | ConvertTask | FindMaskTask


def get_model(task: Task) -> str | None:
    """The model that a task wants in memory."""
    match task:
        case RenderTask(recipe):
            return recipe.model
        case LoadTask(model):
            return model
        case FinishTask(picture, stage) if stage.needs_model:
            return picture.recipe.model
    return None


@dataclass(frozen=True)
class RunTask:
    """Render the recipe, finish the picture, or load the model."""

    job: int
    task: Task


@dataclass(frozen=True)
class CancelTask:
    """Give the job up, begun or not."""

    job: int


# ── from the worker ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class WorkerUnusable:
    """The worker cannot work here, and leaves."""

    error: DreamError


@dataclass(frozen=True)
class LoadedModels:
    """These models are in memory now, the one used last at the end."""

    models: tuple[str, ...]


@dataclass(frozen=True)
class TaskStarted:
    """The job's turn has come; what was before it is over."""

    job: int


@dataclass(frozen=True)
class TaskProgress:
    """Something happened on the way."""

    job: int
    event: Progress | Note | Loading


@dataclass(frozen=True)
class TaskDone:
    """The job's picture; None when it was to load a model."""

    job: int
    picture: Picture | None


@dataclass(frozen=True)
class TaskFailed:
    """The job ended without a picture."""

    job: int
    error: DreamError


@dataclass(frozen=True)
class TaskCancelled:
    """The job was cancelled, and is over."""

    job: int


WorkerCommand = Preload | RunTask
"""What the worker does, one after the other."""
Answer = (
    WorkerUnusable
    | LoadedModels
    | TaskStarted
    | TaskProgress
    | TaskDone
    | TaskFailed
    | TaskCancelled
)
Message = Init | WorkerCommand | CancelTask | Answer


def job_of(message: Message) -> int:
    """The number of the job that a message is about; 0 where it is about none."""
    return 0 if isinstance(message, Init | Preload | WorkerUnusable | LoadedModels) else message.job

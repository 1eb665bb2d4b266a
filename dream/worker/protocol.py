"""The messages between the prompt's process and its worker.

They are pickled and sent over a socket pair that only these two processes hold, so there is no
address to connect to. Every image is a job with a number, so that late messages about a cancelled
job are recognised.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.core.errors import DreamError, WorkerDied
from dream.core.events import Loading, Note
from dream.core.model_options import DEFAULT_OPTIONS, ModelOptions, get_model_options
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import Stage
from dream.engine.import_errors import OUT_OF_MEMORY_ADVICE
from dream.engine.interface import DeviceConfig, Progress
from dream.options.text_mask import TextMask

# ── to the worker ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Init:
    """The first message: the models and the device settings."""

    registry: ModelRegistry
    machine: DeviceConfig


@dataclass(frozen=True)
class RenderTask:
    """Task: render the recipe's image. After every `every` steps the unfinished image is sent; 0 is
    never."""

    recipe: Recipe
    every: int = 0


@dataclass(frozen=True)
class FinishTask:
    """Task: run one stage that the image's recipe asks for."""

    picture: Picture
    stage: Stage


@dataclass(frozen=True)
class LoadTask:
    """Task: load the model, and report when its weights are not the expected ones."""

    model: str
    weights: str = ""
    options: ModelOptions = DEFAULT_OPTIONS
    recipe: Recipe | None = None
    """What is most likely rendered with it next."""


@dataclass(frozen=True)
class ConvertTask:
    """Task: write the model's single file as a folder in diffusers layout."""

    model: str
    folder: Path


@dataclass(frozen=True)
class FindMaskTask:
    """Task: find what a text mask names in an image, and write a mask and a heat map."""

    image: Path
    text_mask: TextMask
    mask: Path
    heat: Path


@dataclass(frozen=True)
class MakeControlMapTask:
    """Task: write the map of an image for control models of a kind."""

    kind: str
    image: Path
    target: Path


@dataclass(frozen=True)
class CountTokensTask:
    """Task: count the tokens of the recipe's prompt for its model."""

    recipe: Recipe


Task = (
    RenderTask
    | FinishTask
    | LoadTask
    | ConvertTask
    | FindMaskTask
    | MakeControlMapTask
    | CountTokensTask
)


def get_expected(task: Task) -> Recipe | None:
    """What is rendered by a task, or most likely after it; None where that is not known."""
    return task.recipe if isinstance(task, RenderTask | LoadTask) else None


def get_model(task: Task) -> str | None:
    """The model that a task needs in memory; None where it needs none."""
    match task:
        case RenderTask(recipe) | CountTokensTask(recipe):
            return recipe.model
        case LoadTask(model):
            return model
        case FinishTask(picture, stage) if stage.needs_model:
            return picture.recipe.model
    return None


def get_task_options(task: Task) -> ModelOptions:
    """How a task's model is loaded."""
    match task:
        case RenderTask(recipe) | CountTokensTask(recipe):
            return get_model_options(recipe)
        case FinishTask(picture):
            return get_model_options(picture.recipe)
        case LoadTask():
            return task.options
    return DEFAULT_OPTIONS


_VERBS = {
    RenderTask: "rendering",
    FinishTask: "finishing",
    LoadTask: "loading",
    ConvertTask: "converting",
    FindMaskTask: "searching",
    MakeControlMapTask: "preprocessing",
    CountTokensTask: "counting",
}


def describe_again(task: Task) -> str:
    """That a task is run again, for people: “rendering this image again”."""
    return f"{_VERBS[type(task)]} {_describe(task)} again"


def died_too_often(task: Task, deaths: int, last: str) -> WorkerDied:
    """The error of a task that workers died on."""
    return WorkerDied(
        f"the worker died {deaths} times on {_describe(task)}; the last time: {last}",
        "the next line starts a new worker",
    )


def cannot_start(last: str) -> WorkerDied:
    """The error where workers die before they answer; `last` is what the last one died of."""
    if "MemoryError" in last:
        return WorkerDied(OUT_OF_MEMORY_ADVICE, "!restart tries again")
    return WorkerDied(
        f"the worker fails to start: {last}",
        "run dream --doctor to find the reason, !restart to try again",
    )


def _describe(task: Task) -> str:
    return task.model if isinstance(task, LoadTask | ConvertTask) else "this image"


@dataclass(frozen=True)
class Preload:
    """Load this model when there is nothing else to do."""

    task: LoadTask


@dataclass(frozen=True)
class RunTask:
    """Run the task."""

    job: int
    task: Task


@dataclass(frozen=True)
class CancelTask:
    """Cancel the job, whether it has started or not."""

    job: int


# ── from the worker ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class WorkerUnusable:
    """The worker cannot run on this machine, and exits."""

    error: DreamError


@dataclass(frozen=True)
class LoadedModels:
    """The models in memory, the one used last at the end."""

    models: tuple[str, ...]


@dataclass(frozen=True)
class TaskStarted:
    """The job has started; the jobs before it are over."""

    job: int


@dataclass(frozen=True)
class TaskProgress:
    """An event of the job."""

    job: int
    event: Progress | Note | Loading


@dataclass(frozen=True)
class TaskDone:
    """The job's image; None for tasks that return none."""

    job: int
    picture: Picture | None


@dataclass(frozen=True)
class TaskFailed:
    """The job ended with an error."""

    job: int
    error: DreamError


@dataclass(frozen=True)
class TaskCancelled:
    """The job was cancelled."""

    job: int


WorkerCommand = Preload | RunTask
"""What the worker runs, one after the other."""
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

"""What the prompt's process and its worker say to each other.

Pickled, over a socket pair that only these two hold: there is no address, and nobody else to
believe. Every picture is a job with a number, so that late words about a cancelled one are known
for what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dream.catalogue import Shelf
from dream.engine.base import Machine, Progress
from dream.errors import DreamError
from dream.events import Loading, Note
from dream.picture import Picture
from dream.recipe import Recipe
from dream.stages import Stage
from dream.text_mask import TextMask

# ── to the worker ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Open:
    """The first message: what to work with."""

    shelf: Shelf
    machine: Machine


@dataclass(frozen=True)
class Warm:
    """Load this model when there is nothing else to do."""

    model: str


@dataclass(frozen=True)
class Render:
    """A task: the recipe's picture, shown after every so many steps; 0 is never."""

    recipe: Recipe
    every: int = 0


@dataclass(frozen=True)
class Finish:
    """A task: one stage of what the picture's recipe asks for."""

    picture: Picture
    stage: Stage


@dataclass(frozen=True)
class Load:
    """A task: have the model in memory, and say when its weights are not those."""

    model: str
    weights: str = ""


@dataclass(frozen=True)
class Convert:
    """A task: write the model's single file as a folder in diffusers layout."""

    model: str
    folder: Path


@dataclass(frozen=True)
class Seek:
    """A task: find what words name in a picture, and write where it is."""

    image: Path
    asked: TextMask
    mask: Path
    heat: Path


Task = Render | Finish | Load | Convert | Seek


def model_of(task: Task) -> str | None:
    """The model that a task wants in memory."""
    match task:
        case Render(recipe):
            return recipe.model
        case Load(model):
            return model
        case Finish(picture, stage) if stage.paints:
            return picture.recipe.model
    return None


@dataclass(frozen=True)
class Do:
    """Render the recipe, finish the picture, or load the model."""

    job: int
    task: Task


@dataclass(frozen=True)
class Cancel:
    """Give the job up, begun or not."""

    job: int


# ── from the worker ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Broken:
    """The worker cannot work here, and leaves."""

    error: DreamError


@dataclass(frozen=True)
class Ready:
    """These models are in memory now, the one used last at the end."""

    models: tuple[str, ...]


@dataclass(frozen=True)
class Begun:
    """The job's turn has come; what was before it is over."""

    job: int


@dataclass(frozen=True)
class Told:
    """Something happened on the way."""

    job: int
    happening: Progress | Note | Loading


@dataclass(frozen=True)
class Done:
    """The job's picture; None when it was to load a model."""

    job: int
    picture: Picture | None


@dataclass(frozen=True)
class Failed:
    """The job ended without a picture."""

    job: int
    error: DreamError


@dataclass(frozen=True)
class Left:
    """The job was cancelled, and is over."""

    job: int


Order = Warm | Do
"""What the worker does, one after the other."""
Answer = Broken | Ready | Begun | Told | Done | Failed | Left
Message = Open | Order | Cancel | Answer


def job_of(message: Message) -> int:
    """The number of the job that a message is about; 0 where it is about none."""
    return 0 if isinstance(message, Open | Warm | Broken | Ready) else message.job

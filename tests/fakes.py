"""What stands in for torch in the shell's tests: an engine that paints one colour from the seed."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import DreamError
from dream.core.events import Loading, Note
from dream.core.model_options import DEFAULT_OPTIONS, ModelOptions
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import IMAGE_FILE_FIELDS, Request, get_image_files
from dream.core.stages import Stage, compute_final_size, get_stages, with_stages
from dream.engine.interface import EngineEvents, LoadEvents, Progress
from dream.inputs import hash_file
from dream.options.text_mask import TextMask
from dream.session import Session


def never(recipe: Recipe) -> DreamError | None:
    """No picture fails."""
    return None


@dataclass
class FakeEngine:
    """An Engine without a model: every picture is one colour that its recipe decides."""

    pause: float = 0.0
    """Seconds each step takes."""
    fails: Callable[[Recipe], DreamError | None] = never
    """What rendering a recipe raises, after its first step; `finish_fails` likewise."""
    finish_fails: Callable[[Recipe, Stage], DreamError | None] = lambda recipe, stage: None
    on_step: Callable[[Progress], None] = field(default=lambda progress: None)
    """Called before each step is told: where a test presses keys, or dies."""
    note: str = ""
    """Said before the first step, when not empty."""
    rendered: list[Recipe] = field(default_factory=list)
    """The recipes that were begun."""
    given_up: list[Recipe] = field(default_factory=list)
    """The recipes that were closed or interrupted before their picture was made."""
    warmed: list[str] = field(default_factory=list)
    expected: list[Recipe | None] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    """The models in memory."""
    weights: str = "c0ffee" * 10
    """Of every model."""
    load_fails: Callable[[str], DreamError | None] = lambda model: None
    interrupted: threading.Event = field(default_factory=threading.Event)
    """Set when `interrupt` was called."""
    restarted: int = 0
    """How often `restart` was called."""
    closed: bool = False

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """A picture of the recipe's size, after its number of steps; it looks so from the first
        step on."""
        self.rendered.append(recipe)
        image = Image.new("RGB", (recipe.width, recipe.height), colour(recipe))
        if self.note:
            yield Note(text=self.note)
        try:
            for progress in self._steps("render", recipe.steps, self.fails(recipe)):
                shown = isinstance(progress, Progress) and every and not progress.step % every
                yield replace(progress, image=image) if shown else progress
        except (GeneratorExit, KeyboardInterrupt):
            self.given_up.append(recipe)
            raise
        facts = {"device": "fake", "precision": "float32", "threads": "1"}
        for name in IMAGE_FILE_FIELDS:
            if paths := get_image_files(getattr(recipe, name)):
                facts[name] = ",".join(hash_file(Path(path)) for path in paths)
        yield Picture(image, recipe, facts)

    def finish(self, picture: Picture, stage: Stage) -> EngineEvents:
        """The picture as large as it should become, after two steps, in a colour of its own."""
        recipe = picture.recipe
        assert stage in get_stages(recipe), "only what a recipe asks for is done"
        yield from self._steps(stage.name, 2, self.finish_fails(recipe, stage))
        size = compute_final_size(with_stages(recipe, [stage]), picture.image.size)
        darker = picture.image.resize(size).point(lambda value: value * 7 // 8)
        yield replace(picture, image=darker)

    def load(
        self,
        model: str,
        weights: str = "",
        options: ModelOptions = DEFAULT_OPTIONS,
        recipe: Recipe | None = None,
    ) -> LoadEvents:
        """As a real engine, without a model."""
        if model not in self.ready:
            yield Loading(model=model)
        if error := self.load_fails(model):
            raise error
        self.expected.append(recipe)
        self.ready.append(model)
        if not self.weights.startswith(weights):
            yield Note(text=f"{model} has changed since")

    def convert(self, model: str, folder: Path) -> LoadEvents:
        """A folder that only this engine can paint with."""
        yield Loading(model=model)
        fake_registry(folder.parent, folder.name)

    def find_mask(self, image: Path, text_mask: TextMask, mask: Path, heat: Path) -> LoadEvents:
        """Everything is what is sought."""
        yield Progress("fetch", 1, 2)
        if error := self.load_fails("clipseg"):
            raise error
        for path in (mask, heat):
            Image.new("L", (8, 8)).save(path)
        yield Note(text=f"all is {text_mask.words}")

    def make_control_map(self, kind: str, image: Path, target: Path) -> LoadEvents:
        """Everything is black."""
        yield Progress("fetch", 1, 2)
        if error := self.load_fails(kind):
            raise error
        Image.new("RGB", (8, 8)).save(target)

    def count_tokens(self, recipe: Recipe) -> LoadEvents:
        """A word is a token."""
        yield Note(text=f"prompt: {len(recipe.prompt.split())} tokens")

    def list_loaded(self) -> list[str]:
        """The models that were loaded."""
        return self.ready

    def get_memory_usage(self) -> int:
        """One and a half GiB."""
        return 3 << 29

    def preload(
        self, model: str, options: ModelOptions = DEFAULT_OPTIONS, recipe: Recipe | None = None
    ) -> None:
        """Remember that it was asked for."""
        self.warmed.append(model)
        self.expected.append(recipe)

    def interrupt(self) -> None:
        """Nobody is woken; the next step is soon enough."""
        self.interrupted.set()

    def restart(self) -> None:
        """Remember that it was asked for."""
        self.restarted += 1

    def close(self) -> None:
        """Remember that it was asked for."""
        self.closed = True

    def _steps(self, stage: str, steps: int, error: DreamError | None) -> EngineEvents:
        for step in range(1, steps + 1):
            if self.pause:
                time.sleep(self.pause)
            progress = Progress(stage, step, steps)
            self.on_step(progress)
            yield progress
            if error is not None:
                raise error


def colour(recipe: Recipe) -> tuple[int, int, int]:
    """The colour a recipe paints: another one for every change of words, seed or numbers."""
    text = (recipe.prompt, recipe.negative, recipe.seed, recipe.steps, recipe.cfg_scale)
    red, green, blue = hashlib.sha256(repr((*text, recipe.sampler)).encode()).digest()[:3]
    return red, green, blue


def fake_registry(folder: Path, *names: str) -> ModelRegistry:
    """Models of 64x64 pixels that only the fake engine can load; `tiny` at
    least. Their folders are made in `folder`."""
    for name in names or ("tiny",):
        (folder / name).mkdir(parents=True, exist_ok=True)
        index = {"_class_name": "StableDiffusionPipeline"}
        (folder / name / "model_index.json").write_text(json.dumps(index))
        (folder / name / "card.toml").write_text("width = 64\nheight = 64\nsteps = 3\n")
    return ModelRegistry((folder,))


def fake_session(folder: Path, engine: FakeEngine | None = None, *models: str) -> Session:
    """A session over the fake engine; models and images are in `folder`. Its seeds repeat."""
    base = Request(outdir=str(folder / "outputs"))
    registry = fake_registry(folder / "models", *models)
    return Session(engine or FakeEngine(), registry, base, rng=random.Random(0))

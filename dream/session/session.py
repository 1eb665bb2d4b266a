"""Runs one line: resolve → render → postprocess → save, with an event for each step."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.wildcard_files import WildcardFiles
from dream.core.errors import DreamError
from dream.core.events import Events, Failed, LineStarted, Note, Rejected, Saved
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import FLAGS, Request
from dream.core.stages import Stage
from dream.engine.interface import Engine
from dream.line import Sweep, format_line, parse_line, parse_sweep
from dream.options.option_type import MAX_SEED
from dream.prompt import Lookup
from dream.session.engine_events import convert_engine_events
from dream.session.fix import open_source_image
from dream.session.foreign_models import ModelLookup
from dream.session.generation import Generation, Part
from dream.session.input_images import FindPicture, make_reproducible, resolve_image_path
from dream.session.line_sources import read_lines
from dream.session.logged_files import files_of
from dream.session.logged_images import LoggedImages
from dream.session.many_lines import Turns, check_has_prompt, make_each, plan_each
from dream.session.output import LineOutput, OutputManager
from dream.session.preload import preload_model
from dream.session.replay_checks import (
    check_adapters,
    check_weights,
    get_line_defaults,
    with_a_model,
)
from dream.session.resolve import ResolvedRequest, resolve
from dream.session.resolve_entered import resolve_entered
from dream.session.run_plan import make_all
from dream.session.side_by_side import SavePlace, wait_for_workers
from dream.session.templates import combine_words
from dream.session.uninterrupted import interrupt_at_events
from dream.session.unknown_words import UnknownWords
from dream.session.verify import verify_log


class Session:
    """Runs lines and yields events. Holds the engine, the model registry, and the session's memory.

    As a context manager, it closes the engine at the end. Methods that yield events report errors
    as `Rejected` or `Failed` events and raise no DreamError. A KeyboardInterrupt during rendering
    ends the line with `Cancelled`; closing the generator cancels it silently. Finished images are
    saved either way.
    """

    def __init__(
        self,
        engine: Engine,
        registry: ModelRegistry,
        base: Request | None = None,
        *,
        rng: random.Random | None = None,
        dry_run: bool = False,
    ) -> None:
        self.engine = engine
        self.registry = registry
        self.base = base or Request()
        """The defaults of every line; replaced by !set."""
        self.at_start = self.base
        """The defaults when the session began."""
        self.dry_run = dry_run
        """Lines are only planned; nothing is rendered or loaded."""
        self.seeds: list[int] = []
        """Seeds of the images generated in this session, oldest first; each image counts once."""
        self.saved: tuple[Saved, ...] = ()
        """The images that this session saved, the latest last; each counts once, as last saved. The
        tuple is replaced, never changed, since other threads read it."""
        self.last: Sweep | None = None
        """The last line as a request, with its first seed filled in."""
        self.in_flight = 0  # images that are being rendered, postprocessed or saved
        self.logged: LoggedImages | None = None
        """The images of a batch that are done."""
        self._log: Path | None = None
        self.rng = rng or random.SystemRandom()
        self.outputs = OutputManager()
        self._unknown = UnknownWords()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the engine: its models, its process."""
        self.engine.close()

    @property
    def outdir(self) -> Path:
        """The folder for images, if a line does not set one."""
        return self.base.folder

    @property
    def changed(self) -> Mapping[str, Any]:
        """The defaults that differ from those at the start, by field."""
        return {
            name: getattr(self.base, name)
            for name in FLAGS
            if getattr(self.base, name) != getattr(self.at_start, name)
        }

    def preload(self) -> None:
        """Start loading the default model; lines can be entered at once and wait for it."""
        # the first line reports the error, with the name that it requests
        with suppress(DreamError):
            if not self.dry_run:
                preload_model(self.engine, self.base, self.registry)

    def parse_line(self, line: str) -> Request:
        """Parse a line into one Request. A logged line sets all values of its image, so the
        session's defaults only determine where it is saved. Raises BadLine."""
        request = parse_line(line, self._defaults_of(line))
        return with_a_model(line, request, self.base, self.find_model, self.get_values)[0]

    def parse_sweep(self, line: str) -> Sweep:
        """The same for a line that may list several values for a switch. Raises BadLine."""
        sweep = parse_sweep(line, self._defaults_of(line))
        check_has_prompt(line, sweep.first)
        first, notes = with_a_model(line, sweep.first, self.base, self.find_model, self.get_values)
        sweep = replace(sweep, first=first, notes=(*sweep.notes, *notes))
        return combine_words(sweep, self.get_values)

    def resolve(self, request: Request, line: str = "") -> ResolvedRequest:
        """Resolve a request: set every open value. Raises BadLine, ModelError, InputError."""
        find = self.make_finder(line, request)
        adapters, values = AdapterRegistry.of(self.registry), self.get_values
        return resolve(request, self.find_model, self.seeds, self.draw, find, adapters, values)

    def find_picture(self, name: str) -> Path:
        """The file for `-1` or a path in a line; see `resolve_image_path`. Raises BadLine."""
        return resolve_image_path(name, [saved.path for saved in self.saved], self.outdir)

    @contextmanager
    def resolve_files_beside(self, log: Path | None) -> Iterator[None]:
        """In the block, input files of logged lines are searched next to their log."""
        before, self._log = self._log, log
        try:
            yield
        finally:
            self._log = before

    def make(
        self,
        entered: str | Request,
        number: int = 0,
        turns: Turns | None = None,
    ) -> Events[bool]:
        """Generate and save the images of one line, and yield events.

        `number` is the line's number in its file, from 1, and `turns` counts the lines. A `!fix`
        line that names several images is run as a line for each. The result is True if it was
        cancelled, and other lines should be cancelled too.
        """
        if self.dry_run:
            yield from self.plan(entered, number)
            return False
        events = wait_for_workers(make_each(self, entered, number, turns), self.engine)
        return (yield from interrupt_at_events(events, self.engine.interrupt))

    def make_one(
        self,
        entered: str | Request,
        number: int,
        turns: Turns | None,
        part: Part,
        place: SavePlace | None = None,
    ) -> Events[Generation | None]:
        """The same for a line that names at most one file; None if it was rejected."""
        planned = place.images if place else ()
        resolved = yield from self.resolve_line(entered, number, planned)
        if resolved is None:
            return None
        sweep, recipes = resolved
        request = sweep.first
        self.last = replace(sweep, first=make_reproducible(request, recipes[0]))
        line = entered if isinstance(entered, str) else format_line(request)
        making = Generation(self, len(recipes), part, place)
        try:
            turn, of = (turns.turn, turns.of) if turns else (None, None)
            yield LineStarted(count=len(recipes), line=line, request=request, turn=turn, turns=of)
            first, is_beside = self.last.first, place is not None
            with self.outputs.open_output(first, self.outdir, is_beside=is_beside) as output:
                yield from (Note(text=text) for text in output.notes)
                yield from check_adapters(self.registry, line, recipes[0])
                yield from check_weights(self.engine, line, recipes[0])
                recipes = output.copy_inputs(recipes)
                sweep = replace(sweep, first=make_reproducible(request, recipes[0]))
                yield from making.generate_all(recipes, output)
                yield from place.wait() if place else ()
                if request.grid:
                    yield from output.save_grid(sweep)
                if request.sheet:
                    yield from output.save_sheet(sweep, recipes)
        except DreamError as error:
            yield Failed(error=error, line=line)
        except KeyboardInterrupt:  # before the first image was started, or after the last
            yield from making.report_cancelled()
        return making

    def plan(self, entered: str | Request, number: int = 0) -> Events[None]:
        """What `make` would generate, without loading a model or writing anything."""
        yield from plan_each(self, entered, number)

    def replay(self, file: Path) -> Events[None]:
        """Run every line of a log, a list of prompts, an image, or a folder's images."""
        try:
            notes: list[str] = []
            lines = read_lines(file, notes.append, ModelLookup(self.registry))
            yield from (Note(text=text) for text in notes)
            with self.resolve_files_beside(file):
                yield from self.make_all(lines)
        except DreamError as error:
            yield Rejected(error=error)

    def make_all(self, lines: Iterable[tuple[int, str]], *, dry_run: bool = False) -> Events[None]:
        """Run numbered lines in order, or only plan them with `dry_run`; comments are skipped.
        Cancelling one cancels the rest. The length of `lines`, if it has one, is shown."""
        yield from make_all(self, lines, dry_run=dry_run or self.dry_run)

    def verify(self, log: Path) -> Events[None]:
        """Render every line of a log again, save nothing, and compare with its record."""
        try:
            with self.resolve_files_beside(log):
                yield from wait_for_workers(verify_log(self, log), self.engine)
        except DreamError as error:
            yield Rejected(error=error)

    def render(
        self, recipe: Recipe, picture: int = 1, pictures: int = 1, output: LineOutput | None = None
    ) -> Events[Picture]:
        """One image before postprocessing; `output` may save intermediate images. Raises what the
        engine raises, and InputError for a file to process."""
        if recipe.fix is not None:
            return (yield from open_source_image(recipe))
        events = self.engine.render(recipe, output.save_every if output else 0)
        keep = partial(output.save_intermediate, recipe) if output else None
        return (yield from convert_engine_events(events, picture, pictures, keep))

    def finish(
        self, rendered: Picture, stage: Stage, picture: int = 1, pictures: int = 1
    ) -> Events[Picture]:
        """An image after one stage of its recipe. Raises what the engine raises."""
        return (
            yield from convert_engine_events(self.engine.finish(rendered, stage), picture, pictures)
        )

    def resolve_line(
        self, entered: str | Request, number: int, planned: Sequence[str] = ()
    ) -> Events[tuple[Sweep, Sequence[Recipe]] | None]:
        """The requests and recipes of a line, or the `planned` ones; None if it was rejected."""
        line = entered if isinstance(entered, str) else ""
        try:
            sweep, recipes, notes = resolve_entered(self, entered, planned)
            unknown = tuple(self._unknown.find_unknown(recipes, self.find_model))
        except DreamError as error:
            yield Rejected(error=error, line=line, number=number)
            return None
        yield from (Note(text=text) for text in (*notes, *unknown))
        return sweep, recipes

    @property
    def get_values(self) -> Lookup:
        """The values of wildcards, which are read anew for each line."""
        return WildcardFiles.of(self.registry).find

    def make_finder(self, line: str, request: Request) -> FindPicture:
        """How to find the input files of a line: those of a logged line by their hash."""
        files = None if self._log is None else files_of(line, request, self._log.parent)
        if files is None:
            return self.find_picture
        return partial(files.find, otherwise=self.find_picture)

    def _defaults_of(self, line: str) -> Request:
        return get_line_defaults(line, self.base, self.find_picture, ModelLookup(self.registry))

    def draw(self) -> int:
        """A new seed."""
        return self.rng.randint(0, MAX_SEED)

    def find_model(self, name: str | None) -> ModelInfo:
        """A model, or the default one. Raises ModelError."""
        return self.registry.find_model(name)

"""One line through the house: settle → render → finish → keep; and what happened, as events."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dream.catalogue import ModelRegistry
from dream.catalogue.model_info import ModelInfo
from dream.core.errors import DreamError
from dream.core.events import (
    Events,
    Failed,
    LineStarted,
    Note,
    Planned,
    Rejected,
    Saved,
)
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import FLAGS, Request
from dream.core.stages import Stage
from dream.engine.interface import Engine
from dream.gallery import read_log
from dream.line import Sweep, format_line, format_sweep, is_skipped, parse_line, parse_sweep
from dream.options.option_type import MAX_SEED
from dream.session.engine_events import convert_engine_events
from dream.session.fix import open_source_image
from dream.session.generation import Generation, Part
from dream.session.input_images import FindPicture, make_reproducible, resolve_image_path
from dream.session.logged_files import files_of
from dream.session.many_lines import Turns, check_has_prompt, lines_of, make_all, make_each
from dream.session.name_checks import check_recipes
from dream.session.output import LineOutput, OutputManager
from dream.session.replay_checks import check_weights, get_line_defaults, with_a_model
from dream.session.resolve import ResolvedRequest, resolve, resolve_sweep
from dream.session.uninterrupted import interrupt_at_events
from dream.session.unknown_words import UnknownWords
from dream.session.verify import verify_log


class Session:
    """Lines in, events out. Holds the engine, the model registry, and this session's memory.

    Used as a context manager it lets go of the engine at the end. Every method that yields events
    says what went wrong as `Refused` or `Failed` events and raises no DreamError. A
    KeyboardInterrupt while a picture is made ends the line with `Cancelled`; closing the generator
    cancels it silently. What is finished is kept either way.
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
        """The same as the session began."""
        self.dry_run = dry_run
        """Lines are planned wherever they would be made, and nothing is rendered or loaded."""
        self.seeds: list[int] = []
        """Seeds of the pictures made in this session, oldest first; a picture counts once."""
        self.saved: tuple[Saved, ...] = ()
        """The pictures that this session put on disk, the latest last; each counts once, as it was
        kept last. Replaced by each, never changed: other threads look at it."""
        self.last: Sweep | None = None
        """What the last line asked for, its first seed filled in."""
        self._log: Path | None = None
        self._rng = rng or random.SystemRandom()
        self._outputs = OutputManager()
        self._unknown = UnknownWords()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the engine: its models, its process."""
        self.engine.close()

    @property
    def outdir(self) -> Path:
        """Where pictures go when a line does not say."""
        return self.base.folder

    @property
    def changed(self) -> Mapping[str, Any]:
        """The defaults that are others than at the start, by field."""
        return {
            name: getattr(self.base, name)
            for name in FLAGS
            if getattr(self.base, name) != getattr(self.at_start, name)
        }

    def preload(self) -> None:
        """Begin to load the default model; lines can be given at once and wait their turn."""
        with suppress(DreamError):  # the first line will say it, with the name that was asked for
            if not self.dry_run:
                self.engine.preload(self._find(self.base.model).name)

    def parse_line(self, line: str) -> Request:
        """A line as one Request. A logged line says all about its picture itself, so this
        session's defaults only decide where that is kept. Raises BadLine."""
        request = parse_line(line, get_line_defaults(line, self.base, self.find_picture))
        return with_a_model(line, request, self.base, self._find)[0]

    def parse_sweep(self, line: str) -> Sweep:
        """The same of a line that may list several values for a switch. Raises BadLine."""
        sweep = parse_sweep(line, get_line_defaults(line, self.base, self.find_picture))
        check_has_prompt(line, sweep.first)
        first, notes = with_a_model(line, sweep.first, self.base, self._find)
        return replace(sweep, first=first, notes=(*sweep.notes, *notes))

    def resolve(self, request: Request, line: str = "") -> ResolvedRequest:
        """Close every open choice of what was read from a line. Raises BadLine, ModelError,
        InputError."""
        find = self._make_finder(line, request)
        return resolve(request, self._find, self.seeds, self._draw, find)

    def find_picture(self, name: str) -> Path:
        """The file that a line means by `-1` or a path; see `begin.found`. Raises BadLine."""
        return resolve_image_path(name, [saved.path for saved in self.saved], self.outdir)

    @contextmanager
    def resolve_files_beside(self, log: Path | None) -> Iterator[None]:
        """While a file's logged lines are made, their files are found from where it is."""
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
        """Make the pictures of one line, keep them, and say what happens on the way.

        `number` is the line's in its file, from 1, and `turns` counts the lines that are made. A
        `!fix` line that names several pictures is made as a line for each. The result is True
        when it was cancelled, and other lines should be too.
        """
        if self.dry_run:
            yield from self.plan(entered, number)
            return False
        events = make_each(self, entered, number, turns)
        return (yield from interrupt_at_events(events, self.engine.interrupt))

    def make_one(
        self, entered: str | Request, number: int, turns: Turns | None, part: Part
    ) -> Events[Generation | None]:
        """The same of a line for one file, or none; None where it was refused."""
        resolved = yield from self._resolve_line(entered, number)
        if resolved is None:
            return None
        sweep, recipes = resolved
        request = sweep.first
        self.last = replace(sweep, first=make_reproducible(request, recipes[0]))
        line = entered if isinstance(entered, str) else format_line(request)
        making = Generation(self, len(recipes), part)
        try:
            turn, of = (turns.turn, turns.of) if turns else (None, None)
            yield LineStarted(count=len(recipes), line=line, request=request, turn=turn, turns=of)
            with self._outputs.open_output(self.last.first, self.outdir) as output:
                yield from (Note(text=text) for text in output.notes)
                yield from check_weights(self.engine, line, recipes[0])
                recipes = output.copy_inputs(recipes)
                sweep = replace(sweep, first=make_reproducible(request, recipes[0]))
                yield from making.generate_all(recipes, output)
                if request.grid:
                    yield from output.save_grid(format_sweep(sweep))
                if request.sheet:
                    yield from output.save_sheet(sweep, recipes)
        except DreamError as error:
            yield Failed(error=error, line=line)
        except KeyboardInterrupt:  # before the first picture was begun, or behind the last
            yield from making.report_cancelled()
        return making

    def plan(self, entered: str | Request, number: int = 0) -> Events[None]:
        """What `make` would make, without loading a model or writing anything."""
        lines, news = yield from lines_of(self, entered, number)
        if news:
            yield Note(text=news)
        for line in lines:
            yield from self._plan(line, number)

    def _plan(self, entered: str | Request, number: int) -> Events[None]:
        resolved = yield from self._resolve_line(entered, number)
        if resolved is None:
            return
        for recipe in resolved[1]:
            request = recipe.to_request()
            yield Planned(line=format_line(request), request=request)

    def replay(self, file: Path) -> Events[None]:
        """Make every line of a log of any era, or of a plain list of prompts."""
        try:
            notes: list[str] = []
            log = read_log(file, notes.append)
            lines = [(number, line) for number, line in log if not is_skipped(line)]
            yield from (Note(text=text) for text in notes)
            with self.resolve_files_beside(file):
                yield from self.make_all(lines)
        except DreamError as error:
            yield Rejected(error=error)

    def make_all(self, lines: Iterable[tuple[int, str]], *, dry_run: bool = False) -> Events[None]:
        """Make, or with `dry_run` only plan, numbered lines in their order, comments passed over.
        Cancelling one ends them all. Where `lines` has a length, its end is foreseen."""
        yield from make_all(self, lines, dry_run=dry_run or self.dry_run)

    def verify(self, log: Path) -> Events[None]:
        """Render every line of a log again, save nothing, and compare with its record."""
        try:
            with self.resolve_files_beside(log):
                yield from verify_log(self, log)
        except DreamError as error:
            yield Rejected(error=error)

    def render(
        self, recipe: Recipe, picture: int = 1, pictures: int = 1, output: LineOutput | None = None
    ) -> Events[Picture]:
        """One picture, unfinished and unkept; an album may want it in the making. Raises what the
        engine raises, and InputError for a file that is to be taken further."""
        if recipe.fix is not None:
            return (yield from open_source_image(recipe))
        events = self.engine.render(recipe, output.save_every if output else 0)
        keep = partial(output.save_intermediate, recipe) if output else None
        return (yield from convert_engine_events(events, picture, pictures, keep))

    def finish(
        self, rendered: Picture, stage: Stage, picture: int = 1, pictures: int = 1
    ) -> Events[Picture]:
        """A picture after one stage of its recipe. Raises what the engine raises."""
        return (
            yield from convert_engine_events(self.engine.finish(rendered, stage), picture, pictures)
        )

    # ── the route of one line ──────────────────────────────────────────────────────────────────

    def _resolve_line(
        self, entered: str | Request, number: int
    ) -> Events[tuple[Sweep, Sequence[Recipe]] | None]:
        line = entered if isinstance(entered, str) else ""
        try:
            sweep = self.parse_sweep(entered) if isinstance(entered, str) else Sweep(entered)
            find = self._make_finder(line, sweep.first)
            resolved = resolve_sweep(sweep, self._find, self.seeds, self._draw, find)
            check_recipes(self.registry, resolved.recipes)
            unknown = tuple(self._unknown.find_unknown(resolved.recipes, self._find))
        except DreamError as error:
            yield Rejected(error=error, line=line, number=number)
            return None
        yield from (Note(text=text) for text in (*sweep.notes, *resolved.notes, *unknown))
        return sweep, resolved.recipes

    def _make_finder(self, line: str, request: Request) -> FindPicture:
        """How the files are found that a line begins from: those of a log's line by their hash."""
        files = None if self._log is None else files_of(line, request, self._log.parent)
        if files is None:
            return self.find_picture
        return partial(files.find, otherwise=self.find_picture)

    def _draw(self) -> int:
        return self._rng.randint(0, MAX_SEED)

    def _find(self, name: str | None) -> ModelInfo:
        return self.registry.get_model(name or self.registry.get_default_model())

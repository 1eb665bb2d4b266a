"""One line through the house: settle → render → finish → keep; and what happened, as events."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dream.catalogue import Shelf
from dream.catalogue.cards import ModelCard
from dream.engine.base import Engine
from dream.errors import DreamError
from dream.events import (
    Events,
    Failed,
    Note,
    Planned,
    Queued,
    Refused,
    Saved,
)
from dream.flags import MAX_SEED
from dream.gallery import read_log
from dream.line import Sweep, is_skipped, read, read_sweep, write, write_sweep
from dream.picture import Picture
from dream.recipe import Recipe
from dream.request import FLAGS, Request
from dream.stages import Stage
from dream.studio.begin import FindPicture, as_made, found
from dream.studio.fix import opened
from dream.studio.keep import Album, Keeper
from dream.studio.logged_files import files_of
from dream.studio.making import Making, Part
from dream.studio.many import Turns, lines_of, make_all, make_each, with_words
from dream.studio.named import check_recipes
from dream.studio.recall import as_logged, base_of, with_a_model
from dream.studio.settle import Settled, settle, settle_sweep
from dream.studio.told import told
from dream.studio.uninterrupted import at_events
from dream.studio.unknown_words import UnknownWords
from dream.studio.verify import verify_log


class Studio:
    """Lines in, events out. Holds the engine, the shelf of models, and this session's memory.

    Used as a context manager it lets go of the engine at the end. Every method that yields events
    says what went wrong as `Refused` or `Failed` events and raises no DreamError. A
    KeyboardInterrupt while a picture is made ends the line with `Cancelled`; closing the generator
    cancels it silently. What is finished is kept either way.
    """

    def __init__(
        self,
        engine: Engine,
        shelf: Shelf,
        base: Request | None = None,
        *,
        rng: random.Random | None = None,
        dry_run: bool = False,
    ) -> None:
        self.engine = engine
        self.shelf = shelf
        self.base = base or Request()
        """The defaults of every line; replaced by !set."""
        self.at_start = self.base
        """The same as the session began."""
        self.dry_run = dry_run
        """Lines are planned wherever they would be made, and nothing is rendered or loaded."""
        self.past: list[int] = []
        """Seeds of the pictures made in this session, oldest first; a picture counts once."""
        self.kept: tuple[Saved, ...] = ()
        """The pictures that this session put on disk, the latest last; each counts once, as it was
        kept last. Replaced by each, never changed: other threads look at it."""
        self.last: Sweep | None = None
        """What the last line asked for, its first seed filled in."""
        self._log: Path | None = None
        self._rng = rng or random.SystemRandom()
        self._keeper = Keeper()
        self._unknown = UnknownWords()

    def __enter__(self) -> Studio:
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

    def warm(self) -> None:
        """Begin to load the default model; lines can be given at once and wait their turn."""
        with suppress(DreamError):  # the first line will say it, with the name that was asked for
            if not self.dry_run:
                self.engine.warm(self._find(self.base.model).name)

    def read(self, line: str) -> Request:
        """A line as one Request. A logged line says all about its picture itself, so this
        session's defaults only decide where that is kept. Raises BadLine."""
        request = read(line, base_of(line, self.base, self.find_picture))
        return with_a_model(line, request, self.base, self._find)[0]

    def read_sweep(self, line: str) -> Sweep:
        """The same of a line that may list several values for a switch. Raises BadLine."""
        sweep = read_sweep(line, base_of(line, self.base, self.find_picture))
        with_words(line, sweep.first)
        first, notes = with_a_model(line, sweep.first, self.base, self._find)
        return replace(sweep, first=first, notes=(*sweep.notes, *notes))

    def settle(self, request: Request, line: str = "") -> Settled:
        """Close every open choice of what was read from a line. Raises BadLine, ModelError,
        InputError."""
        find = self._finding(line, request)
        return settle(request, self._find, self.past, self._draw, find)

    def find_picture(self, said: str) -> Path:
        """The file that a line means by `-1` or a path; see `begin.found`. Raises BadLine."""
        return found(said, [saved.path for saved in self.kept], self.outdir)

    @contextmanager
    def reading(self, log: Path | None) -> Iterator[None]:
        """While a file's logged lines are made, their files are found from where it is."""
        before, self._log = self._log, log
        try:
            yield
        finally:
            self._log = before

    def make(
        self,
        asked: str | Request,
        number: int = 0,
        turns: Turns | None = None,
    ) -> Events[bool]:
        """Make the pictures of one line, keep them, and say what happens on the way.

        `number` is the line's in its file, from 1, and `turns` counts the lines that are made. A
        `!fix` line that names several pictures is made as a line for each. The result is True
        when it was cancelled, and other lines should be too.
        """
        if self.dry_run:
            yield from self.plan(asked, number)
            return False
        made = make_each(self, asked, number, turns)
        return (yield from at_events(made, self.engine.interrupt))

    def make_one(
        self, asked: str | Request, number: int, turns: Turns | None, part: Part
    ) -> Events[Making | None]:
        """The same of a line for one file, or none; None where it was refused."""
        settled = yield from self._settled(asked, number)
        if settled is None:
            return None
        sweep, recipes = settled
        request = sweep.first
        self.last = replace(sweep, first=as_made(request, recipes[0]))
        line = asked if isinstance(asked, str) else write(request)
        making = Making(self, len(recipes), part)
        try:
            turn, of = (turns.turn, turns.of) if turns else (None, None)
            yield Queued(count=len(recipes), line=line, request=request, turn=turn, turns=of)
            with self._keeper.album(self.last.first, self.outdir) as album:
                yield from (Note(text=text) for text in album.notes)
                yield from as_logged(self.engine, line, recipes[0])
                recipes = album.from_copies(recipes)
                sweep = replace(sweep, first=as_made(request, recipes[0]))
                yield from making.pictures(recipes, album)
                if request.grid:
                    yield from album.grid(write_sweep(sweep))
                if request.sheet:
                    yield from album.sheet(sweep, recipes)
        except DreamError as error:
            yield Failed(error=error, line=line)
        except KeyboardInterrupt:  # before the first picture was begun, or behind the last
            yield from making.cancelled()
        return making

    def plan(self, asked: str | Request, number: int = 0) -> Events[None]:
        """What `make` would make, without loading a model or writing anything."""
        lines, news = yield from lines_of(self, asked, number)
        if news:
            yield Note(text=news)
        for line in lines:
            yield from self._plan(line, number)

    def _plan(self, asked: str | Request, number: int) -> Events[None]:
        settled = yield from self._settled(asked, number)
        if settled is None:
            return
        for recipe in settled[1]:
            request = recipe.as_request()
            yield Planned(line=write(request), request=request)

    def replay(self, file: Path) -> Events[None]:
        """Make every line of a log of any era, or of a plain list of prompts."""
        try:
            said: list[str] = []
            log = read_log(file, said.append)
            lines = [(number, line) for number, line in log if not is_skipped(line)]
            yield from (Note(text=text) for text in said)
            with self.reading(file):
                yield from self.make_all(lines)
        except DreamError as error:
            yield Refused(error=error)

    def make_all(self, lines: Iterable[tuple[int, str]], *, dry_run: bool = False) -> Events[None]:
        """Make, or with `dry_run` only plan, numbered lines in their order, comments passed over.
        Cancelling one ends them all. Where `lines` has a length, its end is foreseen."""
        yield from make_all(self, lines, dry_run=dry_run or self.dry_run)

    def verify(self, log: Path) -> Events[None]:
        """Render every line of a log again, save nothing, and compare with its record."""
        try:
            with self.reading(log):
                yield from verify_log(self, log)
        except DreamError as error:
            yield Refused(error=error)

    def render(
        self, recipe: Recipe, picture: int = 1, pictures: int = 1, album: Album | None = None
    ) -> Events[Picture]:
        """One picture, unfinished and unkept; an album may want it in the making. Raises what the
        engine raises, and InputError for a file that is to be taken further."""
        if recipe.fix is not None:
            return (yield from opened(recipe))
        happenings = self.engine.render(recipe, album.every if album else 0)
        keep = partial(album.keep_intermediate, recipe) if album else None
        return (yield from told(happenings, picture, pictures, keep))

    def finish(
        self, made: Picture, stage: Stage, picture: int = 1, pictures: int = 1
    ) -> Events[Picture]:
        """A picture after one stage of its recipe. Raises what the engine raises."""
        return (yield from told(self.engine.finish(made, stage), picture, pictures))

    # ── the route of one line ──────────────────────────────────────────────────────────────────

    def _settled(
        self, asked: str | Request, number: int
    ) -> Events[tuple[Sweep, Sequence[Recipe]] | None]:
        line = asked if isinstance(asked, str) else ""
        try:
            sweep = self.read_sweep(asked) if isinstance(asked, str) else Sweep(asked)
            find = self._finding(line, sweep.first)
            settled = settle_sweep(sweep, self._find, self.past, self._draw, find)
            check_recipes(self.shelf, settled.recipes)
        except DreamError as error:
            yield Refused(error=error, line=line, number=number)
            return None
        unknown = self._unknown.notes(settled.recipes, self._find)
        yield from (Note(text=text) for text in (*sweep.notes, *settled.notes, *unknown))
        return sweep, settled.recipes

    def _finding(self, line: str, request: Request) -> FindPicture:
        """How the files are found that a line begins from: those of a log's line by their hash."""
        files = None if self._log is None else files_of(line, request, self._log.parent)
        if files is None:
            return self.find_picture
        return partial(files.find, otherwise=self.find_picture)

    def _draw(self) -> int:
        return self._rng.randint(0, MAX_SEED)

    def _find(self, name: str | None) -> ModelCard:
        return self.shelf.model(name or self.shelf.default())

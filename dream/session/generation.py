"""The pictures of one line: each rendered, finished and kept, and counted once it is on disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dream.core.errors import DreamError
from dream.core.events import Cancelled, Event, Events, Failed, ImageDone, Saved
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.line import format_line
from dream.session.output import LineOutput
from dream.session.postprocessing import apply_stages
from dream.session.uninterrupted import run_uninterrupted

if TYPE_CHECKING:
    from dream.session.session import Session

_REMEMBERED = 1000
"""Pictures of a session that -1, -2 … can name."""


@dataclass(frozen=True)
class Part:
    """What a line that is one of several, made of a single one, is a part of."""

    finished: int = 0
    """Pictures of those before it that are on disk."""
    count: int = 0
    """Pictures of all of them; 0 where a line stands alone."""


class Generation:
    """One line being made: so many pictures of it are on disk, of so many."""

    def __init__(self, studio: Session, count: int, part: Part) -> None:
        self._studio, self._count, self._part = studio, count, part
        self._on_disk: set[int] = set()
        self.is_cancelled = False

    def generate_all(self, recipes: Sequence[Recipe], album: LineOutput) -> Events[None]:
        """Each picture in turn, until Ctrl-C ends them."""
        try:
            for index, recipe in enumerate(recipes, 1):
                yield from self._picture(recipe, index, album)
        except KeyboardInterrupt:
            yield from self.report_cancelled()

    @property
    def finished(self) -> int:
        """Pictures of the line that are on disk."""
        return len(self._on_disk)

    def report_cancelled(self) -> Events[None]:
        """Ctrl-C was pressed: said once, with what is on disk by now."""
        if not self.is_cancelled:
            self.is_cancelled = True
            before = self._part.finished
            count = self._part.count or self._count
            yield Cancelled(finished=before + self.finished, count=count)

    def _picture(self, recipe: Recipe, picture: int, album: LineOutput) -> Events[None]:
        """Render, finish and keep one picture. What fails is said, and the next picture goes on."""
        studio, pictures = self._studio, self._count
        began, before = time.monotonic(), studio.kept

        def keep(made: Picture, *news: Event) -> Events[bool]:
            return (yield from run_uninterrupted(self._kept(made, picture, album, before, news)))

        try:
            raw = yield from studio.render(recipe, picture, pictures, album)
            if recipe.fix is None:
                studio.past.append(recipe.seed)
            made = yield from apply_stages(
                raw, album, lambda made, stage: studio.finish(made, stage, picture, pictures), keep
            )
            if made is not None:
                seconds = time.monotonic() - began
                yield from keep(
                    made,
                    ImageDone(
                        picture=picture, pictures=pictures, seconds=seconds, facts=made.facts
                    ),
                )
        except DreamError as error:
            yield Failed(error=error, line=format_line(recipe.to_request()))

    def _kept(
        self,
        made: Picture,
        picture: int,
        album: LineOutput,
        before: Sequence[Saved],
        news: Sequence[Event],
    ) -> Events[bool]:
        """What is new of a picture, and how it is put on disk; whether it is there. It counts once
        in the session's memory, as it was kept last. Raises nothing."""
        is_there = False

        def remember(saved: Saved) -> None:
            nonlocal is_there
            is_there = True
            self._on_disk.add(picture)
            self._studio.kept = (*before, saved)[-_REMEMBERED:]

        yield from news
        try:
            yield from album.save(made, remember)
        except DreamError as error:
            yield Failed(error=error, line=format_line(made.recipe.to_request()))
        return is_there

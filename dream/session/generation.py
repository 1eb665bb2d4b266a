"""Generates the images of one line: each is rendered, postprocessed, saved and counted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dream.core.errors import DreamError
from dream.core.events import Cancelled, Event, Events, Failed, ImageDone, Saved
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import FLAGS, Request
from dream.line import format_line
from dream.session.output import LineOutput
from dream.session.postprocessing import apply_stages
from dream.session.uninterrupted import run_uninterrupted

if TYPE_CHECKING:
    from dream.session.session import Session

_REMEMBERED = 1000
"""Maximum number of images that -1, -2 … can refer to."""


_OF_WHOLE_LINES = ("iterations", "grid", "sheet", "yes")
_KEPT_WITH_EACH = [
    name for name, flag in FLAGS.items() if not (flag.affects_image or name in _OF_WHOLE_LINES)
]


@dataclass(frozen=True)
class Part:
    """The position of a line among several that a single one became."""

    finished: int = 0
    """Images of earlier lines that are on disk."""
    count: int = 0
    """Images of all lines; 0 for a line alone."""


def _as_own_line(recipe: Recipe, request: Request) -> Request:
    """The request of one image of a line, saved as the line says."""
    values: dict[str, Any] = {name: getattr(request, name) for name in _KEPT_WITH_EACH}
    return replace(recipe.to_request(), **values)


class Generation:
    """Generates one line, and counts its images on disk."""

    def __init__(self, session: Session, count: int, part: Part) -> None:
        self._session, self._count, self._part = session, count, part
        self._on_disk: set[int] = set()
        self.is_cancelled = False

    def generate_all(self, recipes: Sequence[Recipe], output: LineOutput) -> Events[None]:
        """Generate each image in turn, until Ctrl-C."""
        try:
            requests = tuple(_as_own_line(recipe, output.request) for recipe in recipes)
            for index, recipe in enumerate(recipes, 1):
                yield from self._picture(recipe, index, output, requests[index - 1 :])
        except KeyboardInterrupt:
            yield from self.report_cancelled()

    @property
    def finished(self) -> int:
        """Images of the line that are on disk."""
        return len(self._on_disk)

    def report_cancelled(self) -> Events[None]:
        """Yield Cancelled once, with the number of images on disk."""
        if not self.is_cancelled:
            self.is_cancelled = True
            before = self._part.finished
            count = self._part.count or self._count
            yield Cancelled(finished=before + self.finished, count=count)

    def _picture(
        self, recipe: Recipe, picture: int, output: LineOutput, requests: tuple[Request, ...]
    ) -> Events[None]:
        """Render, postprocess and save one image, the first of those `asked`. An error is
        reported; the next image continues."""
        session, pictures = self._session, self._count
        began, before = time.monotonic(), session.saved

        def keep(image: Picture, *events: Event) -> Events[bool]:
            left = requests[1:] if events else requests  # an original is not the image yet
            saving = self._save(image, picture, output, before, events)
            return (yield from run_uninterrupted(self._with_left(saving, left)))

        try:
            raw = yield from session.render(recipe, picture, pictures, output)
            if recipe.fix is None:
                session.seeds.append(recipe.seed)
            image = yield from apply_stages(
                raw,
                output,
                lambda done, stage: session.finish(done, stage, picture, pictures),
                keep,
            )
            if image is not None:
                seconds = time.monotonic() - began
                yield from keep(
                    image,
                    ImageDone(
                        picture=picture, pictures=pictures, seconds=seconds, facts=image.facts
                    ),
                )
        except DreamError as error:
            yield Failed(error=error, line=format_line(recipe.to_request()))

    def _with_left(self, events: Events[bool], left: tuple[Request, ...]) -> Events[bool]:
        """Yield the events; Saved gets the lines for the images of the line that are not on disk
        yet (`left`). The session's memory does not hold them. A part of a line does not know what
        is left of the whole, so it gets None."""
        try:
            while True:
                event = next(events)
                if isinstance(event, Saved) and not self._part.count:
                    event = replace(event, left=left)
                yield event
        except StopIteration as end:
            is_there: bool = end.value
            return is_there

    def _save(
        self,
        image: Picture,
        picture: int,
        output: LineOutput,
        before: Sequence[Saved],
        events: Sequence[Event],
    ) -> Events[bool]:
        """Yield the events, save the image; whether it is on disk. The session remembers it once,
        as last saved. Raises nothing."""
        is_on_disk = False

        def remember(saved: Saved) -> None:
            nonlocal is_on_disk
            is_on_disk = True
            self._on_disk.add(picture)
            self._session.saved = (*before, saved)[-_REMEMBERED:]

        seconds = next((event.seconds for event in events if isinstance(event, ImageDone)), None)
        yield from events
        try:
            yield from output.save(image, remember, seconds)
        except DreamError as error:
            yield Failed(error=error, line=format_line(image.recipe.to_request()))
        return is_on_disk

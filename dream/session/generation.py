"""Generates the images of one line: each is rendered, postprocessed, saved and counted."""

from __future__ import annotations

import time
from collections import deque
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
from dream.session.side_by_side import WINDOW, SaveOrder, SavePlace, SideBySide, get_pool, has_room
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

    def __init__(
        self, session: Session, count: int, part: Part, place: SavePlace | None = None
    ) -> None:
        """`place` is the line's among those that are generated side by side."""
        self._session, self._count, self._part = session, count, part
        self._place = place or SavePlace()
        self._order = SaveOrder()
        self._on_disk: set[int] = set()
        self._ended: set[int] = set()
        self.is_cancelled = False

    def generate_all(self, recipes: Sequence[Recipe], output: LineOutput) -> Events[None]:
        """Generate each image, as many at once as there are workers, until Ctrl-C. They are saved
        in order."""
        session = self._session
        try:
            requests = tuple(_as_own_line(recipe, output.request) for recipe in recipes)
            folder, logged = output.gallery.outdir, session.logged
            done = [logged and logged.take(folder, recipe.to_request()) for recipe in recipes]
            images = (
                self._remember(recipe, index, output, saved)
                if (saved := done[index - 1])
                else self._picture(recipe, index, output, requests)
                for index, recipe in enumerate(recipes, 1)
            )
            if get_pool(session.engine) is None:
                for events in images:
                    yield from events
            else:
                yield from SideBySide(
                    images, lambda count: has_room(session.engine, session.in_flight, WINDOW)
                ).run()
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
        """Render, postprocess and save one image of those of the `requests`. An error is reported;
        the next image continues."""
        session, pictures = self._session, self._count
        saved: list[Saved] = []
        began, is_counted = time.monotonic(), recipe.fix is not None

        def keep(image: Picture, *events: Event) -> Events[bool]:
            nonlocal is_counted
            saving = self._save(image, picture, output, saved, events)
            is_original = not events  # which is not the image yet
            left = self._with_left(saving, picture, requests, is_original)
            interrupt = yield from self._wait_for_turn(picture, left)
            if not is_counted:
                session.seeds.append(recipe.seed)
                is_counted = True
            is_there = yield from run_uninterrupted(left)
            if not is_original:
                self._ended.add(picture)
            if interrupt is not None:
                raise interrupt
            return is_there

        session.in_flight += 1
        try:
            raw = yield from session.render(recipe, picture, pictures, output)
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
            self._ended.add(picture)
        except DreamError as error:
            self._ended.add(picture)
            yield Failed(error=error, line=format_line(recipe.to_request()))
        finally:
            session.in_flight -= 1
            self._order.is_broken |= picture not in self._ended
            self._order.leave(picture - 1)

    def _remember(
        self, recipe: Recipe, picture: int, output: LineOutput, saved: Saved
    ) -> Events[None]:
        """An image that an earlier run of its batch saved counts as one of this session."""
        try:
            yield from SavePlace(self._order, picture - 1).wait()
            yield from self._place.wait()
            if recipe.fix is None:
                self._session.seeds.append(recipe.seed)
            self._session.saved = (*self._session.saved, saved)[-_REMEMBERED:]
            output.paths.append(saved.path)
            output.saved_by_recipe[recipe] = saved.path
        finally:
            self._on_disk.add(picture)
            self._ended.add(picture)
            self._order.leave(picture - 1)

    def _wait_for_turn(
        self, picture: int, saving: Events[bool]
    ) -> Events[KeyboardInterrupt | None]:
        """Wait until the images before this one are saved. If Ctrl-C comes first, it is saved at
        once, and the result is what is to be raised afterwards; unless images before it are
        missing and its batch will be continued."""
        try:
            yield from SavePlace(self._order, picture - 1).wait()
            yield from self._place.wait()
        except KeyboardInterrupt as interrupt:
            if self._is_too_early():
                raise
            return interrupt
        except GeneratorExit:
            if not self._is_too_early():
                deque(saving, maxlen=0)
            raise
        return None

    def _is_too_early(self) -> bool:
        broken = self._order.is_broken or self._place.order.is_broken
        return self._place.is_strict and broken

    def _with_left(
        self,
        events: Events[bool],
        picture: int,
        requests: tuple[Request, ...],
        is_original: bool,
    ) -> Events[bool]:
        """Yield the events; Saved gets the lines for the images of the line that are not on disk
        yet. The session's memory does not hold them. A part of a line does not know what
        is left of the whole, so it gets None."""
        ended = self._ended if is_original else self._ended | {picture}
        left = [place for place in range(1, len(requests) + 1) if place not in ended]
        before = len([place for place in left if place < picture])
        try:
            while True:
                event = next(events)
                if isinstance(event, Saved) and not self._part.count:
                    asked = tuple(requests[place - 1] for place in left)
                    event = replace(event, left=asked, left_before=before)
                yield event
        except StopIteration as end:
            is_there: bool = end.value
            return is_there

    def _save(
        self,
        image: Picture,
        picture: int,
        output: LineOutput,
        earlier: list[Saved],
        events: Sequence[Event],
    ) -> Events[bool]:
        """Yield the events, save the image; whether it is on disk. The session remembers it once,
        as last saved, in place of what was saved of it `earlier`. Raises nothing."""
        is_on_disk = False

        def remember(saved: Saved) -> None:
            nonlocal is_on_disk
            is_on_disk = True
            self._on_disk.add(picture)
            others = [one for one in self._session.saved if one not in earlier]
            self._session.saved = (*others, saved)[-_REMEMBERED:]
            earlier[:] = [saved]

        seconds = next((event.seconds for event in events if isinstance(event, ImageDone)), None)
        yield from events
        try:
            yield from output.save(image, remember, seconds)
        except DreamError as error:
            yield Failed(error=error, line=format_line(image.recipe.to_request()))
        return is_on_disk

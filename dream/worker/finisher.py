"""The stages after rendering, by the hands that can do them: networks, and the model itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dream.catalogue import Shelf
from dream.engine.base import Progress, Tell
from dream.engine.setup import explained
from dream.events import Loading, Note
from dream.flags import MAX_SEED, Upscale
from dream.frames import GOES_ON, Outcrop
from dream.picture import Picture
from dream.recipe import Recipe
from dream.stages import EMBIGGEN, OUTCROP, OUTPAINT, UPSCALE, Stage

if TYPE_CHECKING:
    from PIL.Image import Image

    from dream.engine.painter import Painter
    from dream.finish.upscale import Upscaler


class Finisher:
    """Does the stages of pictures' recipes, one at a time."""

    def __init__(self, shelf: Shelf, painter: Painter) -> None:
        self._shelf = shelf
        self._painter = painter
        self._upscaler: Upscaler | None = None

    def finish(self, picture: Picture, stage: Stage, tell: Tell) -> Picture:
        """The picture after one stage, which its recipe asks for. Its facts gain what that stage
        depended on.

        Raises FinishError, ModelError, FetchError, OutOfMemory, and what `tell` raises.
        """
        if stage == OUTCROP:
            return self._outcrop(picture, tell)
        if stage == OUTPAINT:
            return self._outpaint(picture, tell)
        if stage == EMBIGGEN:
            return self._embiggen(picture, tell)
        if stage == UPSCALE:
            return self._upscale(picture, tell)
        return self._watermark(picture, tell)

    def _outcrop(self, picture: Picture, tell: Tell) -> Picture:
        assert picture.recipe.outcrop is not None
        return self._extend(picture, picture.image, picture.recipe.outcrop, OUTCROP, tell)

    def _outpaint(self, picture: Picture, tell: Tell) -> Picture:
        from dream.finish.outcrop import shifted

        assert picture.recipe.out_direction is not None
        cut, sides = shifted(picture.image, picture.recipe.out_direction)
        return self._extend(picture, cut, sides, OUTPAINT, tell)

    def _extend(
        self, picture: Picture, image: Image, sides: Outcrop, stage: Stage, tell: Tell
    ) -> Picture:
        from dream.finish.outcrop import outcropped, patches

        window, multiple = self._window(picture.recipe)
        count = len(patches(image.size, sides, window, multiple))
        hand = _Hand(self._painter, _going_on(picture.recipe), stage, count, tell)
        made = outcropped(image, sides, window, multiple, hand.paint)
        return replace(picture, image=made, facts={**picture.facts, **hand.facts})

    def _embiggen(self, picture: Picture, tell: Tell) -> Picture:
        from dream.finish.embiggen import chosen, embiggened, tiles

        recipe = picture.recipe
        assert recipe.embiggen is not None
        scale, strength, overlap = recipe.embiggen
        if scale > 1:
            enlarging = replace(recipe, upscale=Upscale(scale, strength))
            large = self._upscale(replace(picture, recipe=enlarging), tell)
            tile = large.recipe.upscale_tile  # a smaller one, where memory was short
            picture = replace(large, recipe=replace(recipe, upscale_tile=tile))
        window, multiple = self._window(recipe)
        everything = tiles(picture.image.size, window, overlap, multiple)
        wanted = chosen(everything, recipe.embiggen_tiles or ())
        gentle = replace(picture.recipe, strength=recipe.embiggen_strength)
        hand = _Hand(self._painter, gentle, EMBIGGEN, len(wanted), tell)
        made = embiggened(picture.image, everything, wanted, hand.paint)
        return replace(picture, image=made, facts={**picture.facts, **hand.facts})

    def _upscale(self, picture: Picture, tell: Tell) -> Picture:
        if self._upscaler is None:
            self._upscaler = _upscaler(self._shelf, self._painter.placement.device)
        return self._upscaler.upscale(
            picture,
            diffusion=lambda card, recipe: self._painter.upscaler(card, recipe, tell),
            on_tile=lambda tile, tiles: tell(Progress("upscale", tile, tiles)),
            on_note=lambda text: tell(Note(text=text)),
            on_fetch=lambda arrived, of: tell(Progress("fetch", arrived, of)),
        )

    def _watermark(self, picture: Picture, tell: Tell) -> Picture:
        from dream.finish.watermark import mark

        assert picture.recipe.watermark is not None
        marked = mark(picture.image, picture.recipe.watermark)
        tell(Progress("watermark", 1, 1))
        return replace(picture, image=marked)

    def _window(self, recipe: Recipe) -> tuple[tuple[int, int], int]:
        """What the model sees at once: its width and height, and what they are multiples of."""
        return (recipe.width, recipe.height), self._shelf.model(recipe.model).multiple


class _Hand:
    """The model, painting windows of one picture one after the other."""

    def __init__(
        self, painter: Painter, recipe: Recipe, stage: Stage, count: int, tell: Tell
    ) -> None:
        self._painter = painter
        self._recipe = _of_a_window(recipe)
        self._stage = stage
        self._count = count
        self._tell = tell
        self._done = 0
        self.facts: dict[str, str] = {}
        """Under which circumstances it painted."""

    def paint(self, shown: Image, mask: Image | None, number: int) -> Image:
        """See `finish.windows.Paint`. A window's noise is its own, and the same whenever it is
        painted."""
        from dream.engine.tasks.base import Given  # torch is here by now

        seed = (self._recipe.seed + number) % (MAX_SEED + 1)
        recipe = replace(self._recipe, seed=seed, width=shown.width, height=shown.height)
        made = self._painter.paint(recipe, self._told, Given(image=shown, mask=mask))
        self.facts |= made.facts
        self._done += 1
        return made.image

    def _told(self, happening: Progress | Note | Loading) -> None:
        """A window's steps, as steps of the stage."""
        if isinstance(happening, Progress) and happening.stage == "render":
            step, steps = self._done * happening.steps + happening.step, happening.steps
            happening = Progress(self._stage.name, step, self._count * steps)
        self._tell(happening)


def _going_on(recipe: Recipe) -> Recipe:
    """The recipe, for what lies beyond a picture's frame. Where the edge's colours are kept more
    than left, they are to go on: unamplified, for what the words name is in the picture already,
    and guidance paints it once more wherever it is out of a window's sight."""
    goes_on = recipe.strength is not None and recipe.strength <= GOES_ON
    return replace(recipe, cfg_scale=1.0) if goes_on else recipe


def _of_a_window(recipe: Recipe) -> Recipe:
    """The recipe's words and numbers alone: what the whole began from and became is no matter of
    a window, which begins from what it shows."""
    return Recipe(
        prompt=recipe.prompt,
        negative=recipe.negative,
        steps=recipe.steps,
        seed=recipe.seed,
        width=recipe.width,
        height=recipe.height,
        cfg_scale=recipe.cfg_scale,
        sampler=recipe.sampler,
        model=recipe.model,
        vae=recipe.vae,
        strength=recipe.strength,
    )


def _upscaler(shelf: Shelf, device: str) -> Upscaler:
    # Imported with the first -U: OpenCV and basicsr take seconds.
    with explained():
        from dream.finish.upscale import Upscaler
    return Upscaler(shelf, device)

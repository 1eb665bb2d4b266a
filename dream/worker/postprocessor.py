"""The stages after rendering, by the hands that can do them: networks, and the model itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dream.catalogue import ModelRegistry
from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import EMBIGGEN, OUTCROP, OUTPAINT, UPSCALE, Stage
from dream.engine.import_errors import raise_setup_errors
from dream.engine.interface import Progress, ProgressCallback
from dream.options.option_type import MAX_SEED, Upscale
from dream.options.outpaint import OUTPAINT_STRENGTH, Outcrop

if TYPE_CHECKING:
    from PIL.Image import Image

    from dream.engine.image_generator import ImageGenerator
    from dream.postprocess.upscale import Upscaler


class PostProcessor:
    """Does the stages of pictures' recipes, one at a time."""

    def __init__(self, shelf: ModelRegistry, painter: ImageGenerator) -> None:
        self._shelf = shelf
        self._painter = painter
        self._upscaler: Upscaler | None = None

    def finish(self, picture: Picture, stage: Stage, tell: ProgressCallback) -> Picture:
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

    def _outcrop(self, picture: Picture, tell: ProgressCallback) -> Picture:
        assert picture.recipe.outcrop is not None
        return self._extend(picture, picture.image, picture.recipe.outcrop, OUTCROP, tell)

    def _outpaint(self, picture: Picture, tell: ProgressCallback) -> Picture:
        from dream.postprocess.outcrop import shift_image

        assert picture.recipe.out_direction is not None
        cut, sides = shift_image(picture.image, picture.recipe.out_direction)
        return self._extend(picture, cut, sides, OUTPAINT, tell)

    def _extend(
        self, picture: Picture, image: Image, sides: Outcrop, stage: Stage, tell: ProgressCallback
    ) -> Picture:
        from dream.postprocess.outcrop import outcrop_image, plan_patches

        window, multiple = self._window(picture.recipe)
        count = len(plan_patches(image.size, sides, window, multiple))
        hand = _WindowGenerator(self._painter, _for_outpainting(picture.recipe), stage, count, tell)
        made = outcrop_image(image, sides, window, multiple, hand.generate)
        return replace(picture, image=made, facts={**picture.facts, **hand.facts})

    def _embiggen(self, picture: Picture, tell: ProgressCallback) -> Picture:
        from dream.postprocess.embiggen import repaint_tiles, select_tiles, split_into_tiles

        recipe = picture.recipe
        assert recipe.embiggen is not None
        scale, strength, overlap = recipe.embiggen
        if scale > 1:
            enlarging = replace(recipe, upscale=Upscale(scale, strength))
            large = self._upscale(replace(picture, recipe=enlarging), tell)
            tile = large.recipe.upscale_tile  # a smaller one, where memory was short
            picture = replace(large, recipe=replace(recipe, upscale_tile=tile))
        window, multiple = self._window(recipe)
        everything = split_into_tiles(picture.image.size, window, overlap, multiple)
        wanted = select_tiles(everything, recipe.embiggen_tiles or ())
        gentle = replace(picture.recipe, strength=recipe.embiggen_strength)
        hand = _WindowGenerator(self._painter, gentle, EMBIGGEN, len(wanted), tell)
        made = repaint_tiles(picture.image, everything, wanted, hand.generate)
        return replace(picture, image=made, facts={**picture.facts, **hand.facts})

    def _upscale(self, picture: Picture, tell: ProgressCallback) -> Picture:
        if self._upscaler is None:
            self._upscaler = _upscaler(self._shelf, self._painter.placement.device)
        return self._upscaler.upscale(
            picture,
            diffusion=lambda card, recipe: self._painter.load_upscaler(card, recipe, tell),
            on_tile=lambda tile, tiles: tell(Progress("upscale", tile, tiles)),
            on_note=lambda text: tell(Note(text=text)),
            on_fetch=lambda arrived, of: tell(Progress("fetch", arrived, of)),
        )

    def _watermark(self, picture: Picture, tell: ProgressCallback) -> Picture:
        from dream.postprocess.watermark import embed_watermark

        assert picture.recipe.watermark is not None
        marked = embed_watermark(picture.image, picture.recipe.watermark)
        tell(Progress("watermark", 1, 1))
        return replace(picture, image=marked)

    def _window(self, recipe: Recipe) -> tuple[tuple[int, int], int]:
        """What the model sees at once: its width and height, and what they are multiples of."""
        return (recipe.width, recipe.height), self._shelf.get_model(recipe.model).multiple


class _WindowGenerator:
    """The model, painting windows of one picture one after the other."""

    def __init__(
        self,
        painter: ImageGenerator,
        recipe: Recipe,
        stage: Stage,
        count: int,
        tell: ProgressCallback,
    ) -> None:
        self._painter = painter
        self._recipe = _for_window(recipe)
        self._stage = stage
        self._count = count
        self._tell = tell
        self._done = 0
        self.facts: dict[str, str] = {}
        """Under which circumstances it painted."""

    def generate(self, shown: Image, mask: Image | None, number: int) -> Image:
        """See `finish.windows.Paint`. A window's noise is its own, and the same whenever it is
        painted."""
        from dream.engine.tasks.task import TaskInputs  # torch is here by now

        seed = (self._recipe.seed + number) % (MAX_SEED + 1)
        recipe = replace(self._recipe, seed=seed, width=shown.width, height=shown.height)
        made = self._painter.generate(recipe, self._told, TaskInputs(image=shown, mask=mask))
        self.facts |= made.facts
        self._done += 1
        return made.image

    def _told(self, happening: Progress | Note | Loading) -> None:
        """A window's steps, as steps of the stage."""
        if isinstance(happening, Progress) and happening.stage == "render":
            step, steps = self._done * happening.steps + happening.step, happening.steps
            happening = Progress(self._stage.name, step, self._count * steps)
        self._tell(happening)


def _for_outpainting(recipe: Recipe) -> Recipe:
    """The recipe, for what lies beyond a picture's frame. Where the edge's colours are kept more
    than left, they are to go on: unamplified, for what the words name is in the picture already,
    and guidance paints it once more wherever it is out of a window's sight."""
    goes_on = recipe.strength is not None and recipe.strength <= OUTPAINT_STRENGTH
    return replace(recipe, cfg_scale=1.0) if goes_on else recipe


def _for_window(recipe: Recipe) -> Recipe:
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
        cfg_rescale=recipe.cfg_rescale,
        sampler=recipe.sampler,
        schedule=recipe.schedule,
        model=recipe.model,
        vae=recipe.vae,
        strength=recipe.strength,
    )


def _upscaler(shelf: ModelRegistry, device: str) -> Upscaler:
    # Imported with the first -U: OpenCV and basicsr take seconds.
    with raise_setup_errors():
        from dream.postprocess.upscale import Upscaler
    return Upscaler(shelf, device)

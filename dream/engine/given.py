"""The pictures that a recipe begins from, read from their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from dream.engine.base import Tell
from dream.engine.tasks.base import Given
from dream.errors import InputError
from dream.events import Note
from dream.inputs import Opened, filled, fitted, inverted, mask_of, mask_of_alpha, open_picture
from dream.recipe import Recipe
from dream.request import FLAGS
from dream.text_mask import TextMask

Seek = Callable[[Image.Image, TextMask], tuple[Image.Image, str]]
"""A mask of what words name in a picture (L, 255 is painted), and the SHA-256 of what found it."""

_OF_MASKS = ("invert_mask", "inpaint_replace")
"""What is for masks alone."""


def gather(recipe: Recipe, tell: Tell, seek: Seek) -> Given:
    """What the recipe names, opened and brought to its size. Raises InputError, and what `seek`
    raises."""
    begun = _begun(recipe, tell, seek)
    if recipe.init_color is None:
        return begun
    other = _open(recipe.init_color, tell)
    facts = {**begun.facts, "init_color": other.sha256}
    return replace(begun, colours=other.image, facts=facts)


def _begun(recipe: Recipe, tell: Tell, seek: Seek) -> Given:
    if recipe.init_img is None:
        _without_mask(recipe, tell)
        return Given()
    opened = _open(recipe.init_img, tell)
    facts = {"init_img": opened.sha256}
    mask = None if opened.alpha is None else mask_of_alpha(opened.alpha)
    if recipe.init_mask is not None:
        drawn = _open(recipe.init_mask, tell)
        facts["init_mask"] = drawn.sha256
        mask = _as_large(mask_of(drawn), opened)
    elif recipe.text_mask is not None:
        mask, facts["clipseg"] = seek(opened.image, recipe.text_mask)
        _refuse_nothing(mask, recipe.init_img, recipe.text_mask)
    if mask is None:
        _without_mask(recipe, tell)
    image = opened.image if opened.alpha is None else filled(opened.image, opened.alpha)
    return given(recipe, image, mask, facts)


def given(
    recipe: Recipe, image: Image.Image, mask: Image.Image | None, facts: dict[str, str]
) -> Given:
    """Pictures in memory as a task takes them: an RGB one, and its mask, L, 255 where it is to be
    painted; of one size, which becomes the recipe's. Raises InputError for a mask of nothing."""
    size = recipe.width, recipe.height
    if mask is not None:
        mask = fitted(inverted(mask) if recipe.invert_mask else mask, *size, whole=recipe.fit)
        if not mask.getbbox():
            said = recipe.init_mask or recipe.init_img or "the mask"
            raise InputError(
                f"{said} leaves nothing to paint: no part is black or transparent",
                "--no-invert_mask" if recipe.invert_mask else "--invert_mask paints the rest",
            )
    return Given(image=fitted(image, *size, whole=recipe.fit), mask=mask, facts=facts)


def _without_mask(recipe: Recipe, tell: Tell) -> None:
    said = [FLAGS[name].names[0] for name in _OF_MASKS if getattr(recipe, name)]
    if said:
        tell(Note(text=f"there is no mask: {' and '.join(said)} left out (-M, -tm, transparency)"))


def _refuse_nothing(mask: Image.Image, path: str, asked: TextMask) -> None:
    if not mask.getbbox():
        raise InputError(
            f"nothing in {path} is “{asked.words}”, with a threshold of {asked.threshold:g}",
            "a lower threshold finds more; !mask shows what is found",
        )


def _open(path: str, tell: Tell) -> Opened:
    opened = open_picture(Path(path))
    for note in opened.notes:
        tell(Note(text=note))
    return opened


def _as_large(mask: Image.Image, opened: Opened) -> Image.Image:
    if mask.size == opened.image.size:
        return mask
    return mask.resize(opened.image.size, Image.Resampling.NEAREST)

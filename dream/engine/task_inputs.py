"""The pictures that a recipe begins from, read from their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from dream.core.errors import InputError
from dream.core.events import Note
from dream.core.recipe import Recipe
from dream.core.request import FLAGS
from dream.engine.interface import ProgressCallback
from dream.engine.tasks.task import TaskInputs
from dream.inputs import (
    LoadedImage,
    fill_transparent,
    invert_mask,
    mask_from_alpha,
    open_picture,
    read_mask,
    resize_to_cover,
)
from dream.options.text_mask import TextMask

MaskFinder = Callable[[Image.Image, TextMask], tuple[Image.Image, str]]
"""A mask of what words name in a picture (L, 255 is painted), and the SHA-256 of what found it."""

_OF_MASKS = ("invert_mask", "inpaint_replace")
"""What is for masks alone."""


def load_inputs(recipe: Recipe, tell: ProgressCallback, seek: MaskFinder) -> TaskInputs:
    """What the recipe names, opened and brought to its size. Raises InputError, and what `seek`
    raises."""
    begun = _begun(recipe, tell, seek)
    if recipe.init_color is None:
        return begun
    other = _open(recipe.init_color, tell)
    facts = {**begun.facts, "init_color": other.sha256}
    return replace(begun, colours=other.image, facts=facts)


def _begun(recipe: Recipe, tell: ProgressCallback, seek: MaskFinder) -> TaskInputs:
    if recipe.init_img is None:
        _without_mask(recipe, tell)
        return TaskInputs()
    opened = _open(recipe.init_img, tell)
    facts = {"init_img": opened.sha256}
    mask = None if opened.alpha is None else mask_from_alpha(opened.alpha)
    if recipe.init_mask is not None:
        drawn = _open(recipe.init_mask, tell)
        facts["init_mask"] = drawn.sha256
        mask = _as_large(read_mask(drawn), opened)
    elif recipe.text_mask is not None:
        mask, facts["clipseg"] = seek(opened.image, recipe.text_mask)
        _refuse_nothing(mask, recipe.init_img, recipe.text_mask)
    if mask is None:
        _without_mask(recipe, tell)
    image = opened.image if opened.alpha is None else fill_transparent(opened.image, opened.alpha)
    return make_inputs(recipe, image, mask, facts)


def make_inputs(
    recipe: Recipe, image: Image.Image, mask: Image.Image | None, facts: dict[str, str]
) -> TaskInputs:
    """Pictures in memory as a task takes them: an RGB one, and its mask, L, 255 where it is to be
    painted; of one size, which becomes the recipe's. Raises InputError for a mask of nothing."""
    size = recipe.width, recipe.height
    if mask is not None:
        mask = resize_to_cover(
            invert_mask(mask) if recipe.invert_mask else mask, *size, whole=recipe.fit
        )
        if not mask.getbbox():
            source = recipe.init_mask or recipe.init_img
            name = f"the mask {source}" if source else "the mask"
            raise InputError(
                f"{name} is empty: no part is black or transparent",
                "remove --invert_mask"
                if recipe.invert_mask
                else "add --invert_mask to invert the mask",
            )
    return TaskInputs(image=resize_to_cover(image, *size, whole=recipe.fit), mask=mask, facts=facts)


def _without_mask(recipe: Recipe, tell: ProgressCallback) -> None:
    said = [FLAGS[name].names[0] for name in _OF_MASKS if getattr(recipe, name)]
    if said:
        tell(Note(text=f"{' and '.join(said)} ignored: there is no mask (-M, -tm or transparency)"))


def _refuse_nothing(mask: Image.Image, path: str, asked: TextMask) -> None:
    if not mask.getbbox():
        raise InputError(
            f"“{asked.words}” was not found in {path} at threshold {asked.threshold:g}",
            "lower the threshold; !mask shows what is found",
        )


def _open(path: str, tell: ProgressCallback) -> LoadedImage:
    opened = open_picture(Path(path))
    for note in opened.notes:
        tell(Note(text=note))
    return opened


def _as_large(mask: Image.Image, opened: LoadedImage) -> Image.Image:
    if mask.size == opened.image.size:
        return mask
    return mask.resize(opened.image.size, Image.Resampling.NEAREST)

"""Reads the input images of a recipe from their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from dream.core.errors import InputError
from dream.core.events import Note
from dream.core.recipe import Recipe
from dream.core.request import FLAGS
from dream.engine.control.active_control import ControlImage
from dream.engine.interface import ProgressCallback
from dream.engine.tasks.task import TaskInputs
from dream.engine.vision.control_maps.make_map import WHITE, find_background
from dream.inputs import (
    LoadedImage,
    fill_transparent,
    invert_mask,
    mask_from_alpha,
    open_picture,
    place_on,
    read_mask,
    resize_to_cover,
)
from dream.options.text_mask import TextMask

MaskFinder = Callable[[Image.Image, TextMask], tuple[Image.Image, str]]
"""Returns a mask of what a text mask names in an image (L, 255 is generated), and the SHA-256 of
the model that found it."""

_MASK_OPTIONS = ("invert_mask", "inpaint_replace")
"""Options that need a mask."""


def load_inputs(recipe: Recipe, report: ProgressCallback, find_mask: MaskFinder) -> TaskInputs:
    """Open the recipe's input images, and resize them to its size. Raises InputError, and what
    `find_mask` raises."""
    begun = _load_initial_image(recipe, report, find_mask)
    if recipe.reference:
        opened = [_open(path, report) for path in recipe.reference]
        facts = {**begun.facts, "reference": ",".join(one.sha256 for one in opened)}
        begun = replace(begun, references=tuple(map(_flatten, opened)), facts=facts)
    if recipe.control:
        ready = bool(recipe.control_raw)
        images = tuple(
            _load_control_image(one.image, report, find_background(one.kind, ready_made=ready))
            for one in recipe.control
        )
        facts = {**begun.facts, "control": ",".join(one.sha256 for one in images)}
        begun = replace(begun, controls=images, facts=facts)
    if recipe.image_prompt:
        images = tuple(_load_control_image(one.image, report) for one in recipe.image_prompt)
        facts = {**begun.facts, "image_prompt": ",".join(one.sha256 for one in images)}
        begun = replace(begun, image_prompts=images, facts=facts)
    if recipe.init_color is None:
        return begun
    other = _open(recipe.init_color, report)
    facts = {**begun.facts, "init_color": other.sha256}
    return replace(begun, colours=other.image, facts=facts)


def _load_control_image(
    path: str, report: ProgressCallback, background: int = WHITE
) -> ControlImage:
    """The image over a grey: where it was cut out, its outline counts."""
    opened = _open(path, report)
    return ControlImage(place_on(opened.image, opened.alpha, background), opened.sha256)


def _load_initial_image(
    recipe: Recipe, report: ProgressCallback, find_mask: MaskFinder
) -> TaskInputs:
    if recipe.init_img is None:
        _note_ignored_options(recipe, report)
        return TaskInputs()
    opened = _open(recipe.init_img, report)
    facts = {"init_img": opened.sha256}
    mask = None if opened.alpha is None else mask_from_alpha(opened.alpha)
    if recipe.init_mask is not None:
        mask_image = _open(recipe.init_mask, report)
        facts["init_mask"] = mask_image.sha256
        mask = _resize_to_image(read_mask(mask_image), opened)
    elif recipe.text_mask is not None:
        mask, facts["clipseg"] = find_mask(opened.image, recipe.text_mask)
        _require_nonempty(mask, recipe.init_img, recipe.text_mask)
    if mask is None:
        _note_ignored_options(recipe, report)
    return make_inputs(recipe, _flatten(opened), mask, facts)


def make_inputs(
    recipe: Recipe, image: Image.Image, mask: Image.Image | None, facts: dict[str, str]
) -> TaskInputs:
    """Images in memory as a task takes them: an RGB image, and its mask (L, 255 is generated), both
    resized to the recipe's size. Raises InputError for an empty mask."""
    size = recipe.width, recipe.height
    return TaskInputs(
        image=resize_to_cover(image, *size, whole=recipe.fit),
        mask=mask and _fit_mask(mask, recipe),
        facts=facts,
    )


def _fit_mask(mask: Image.Image, recipe: Recipe) -> Image.Image:
    """The mask at the recipe's size, inverted where it says so. Raises InputError for an empty
    one."""
    oriented = invert_mask(mask) if recipe.invert_mask else mask
    fitted = resize_to_cover(oriented, recipe.width, recipe.height, whole=recipe.fit)
    if not fitted.getbbox():
        source = recipe.init_mask or recipe.init_img
        name = f"the mask {source}" if source else "the mask"
        remedy = "remove" if recipe.invert_mask else "add"
        raise InputError(
            f"{name} is empty: no part is black or transparent", f"{remedy} --invert_mask"
        )
    return fitted


def _note_ignored_options(recipe: Recipe, report: ProgressCallback) -> None:
    ignored = [FLAGS[name].names[0] for name in _MASK_OPTIONS if getattr(recipe, name)]
    if ignored:
        report(
            Note(
                text=f"{' and '.join(ignored)} ignored: there is no mask (-M, -tm or transparency)"
            )
        )


def _require_nonempty(mask: Image.Image, path: str, text_mask: TextMask) -> None:
    if not mask.getbbox():
        raise InputError(
            f"“{text_mask.words}” was not found in {path} at threshold {text_mask.threshold:g}",
            "lower the threshold; !mask shows what is found",
        )


def _open(path: str, report: ProgressCallback) -> LoadedImage:
    opened = open_picture(Path(path))
    for note in opened.notes:
        report(Note(text=note))
    return opened


def _flatten(opened: LoadedImage) -> Image.Image:
    """The image without transparency."""
    return opened.image if opened.alpha is None else fill_transparent(opened.image, opened.alpha)


def _resize_to_image(mask: Image.Image, opened: LoadedImage) -> Image.Image:
    if mask.size == opened.image.size:
        return mask
    return mask.resize(opened.image.size, Image.Resampling.NEAREST)

"""Input images of a line: finds and measures the files, and computes the output size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.file_names import is_file, parse_path, path_exists_at, spellings
from dream.core.recipe import Recipe
from dream.core.request import (
    IMAGE_FILE_FIELDS,
    Request,
    get_image_files,
    map_image_files,
)
from dream.inputs import measure_image
from dream.session.fix import convert_to_fix, use_image_prompt
from dream.session.postprocessing import uses_strength

FindPicture = Callable[[str], Path]
"""From what a line has for an image, `-1` or a path, to its file. Raises BadLine."""

LEAST, MOST = 64, 4096
"""Minimum and maximum pixels of an image's side."""


def resolve_image_path(name: str, saved: Sequence[Path], outdir: Path) -> Path:
    """The file for what a line has: -1 is the last of this session's images, -2 the one before …; a
    path is relative to the current folder, or else to the outdir. Raises BadLine for a number
    without an image, a URL, and an invalid file name."""
    if name.startswith("-") and name[1:].isdecimal():
        if not 0 < (back := int(name[1:])) <= len(saved):
            so_far = f"{len(saved)} so far" if saved else "none so far"
            raise BadLine(f"there is no image {name} in this session ({so_far})")
        return saved[-back]
    try:
        path = parse_path(_without_scheme(name))
    except UnicodeError:  # a lone surrogate, behind a ~
        raise BadLine(f"{name!a} is not a valid file name") from None
    for spelling in spellings(name):
        with suppress(BadLine, UnicodeError):  # an error is raised for the first spelling only
            if existing := _there(parse_path(_without_scheme(spelling)), outdir):
                return existing
    return path


def _there(path: Path, outdir: Path) -> Path | None:
    """The file of that path, here or in the outdir; None if there is none."""
    if path_exists_at(path):
        return path
    return outdir / path if is_file(outdir / path) else None


def _without_scheme(spelling: str) -> str:
    """The path of a `file:///…` URL, as desktops paste it; other text as it is."""
    if spelling.startswith("file://"):
        try:
            return unquote(urlsplit(spelling).path)
        except ValueError:
            raise BadLine(f"{spelling} is not a valid file URL") from None
    if spelling.startswith(("http://", "https://")):
        raise BadLine(
            f"{spelling} is a URL, not a local file", 0, "download it first and use the file"
        )
    return spelling


def make_reproducible(request: Request, first: Recipe) -> Request:
    """The request with everything fixed: the drawn seed, paths instead of -1, and the prompt that
    came from an image."""
    of_image = () if request.prompt or request.template else ("prompt", "negative", "syntax")
    names = (*of_image, *IMAGE_FILE_FIELDS)
    values: dict[str, Any] = {name: getattr(first, name) for name in names}
    return replace(request, seed=first.seed, **values)


def resolve_image_files(request: Request, find: FindPicture) -> tuple[Request, tuple[str, ...]]:
    """The request with paths for all input images, and with the first one's prompt if it has none;
    and notes about that.

    Raises BadLine for a missing image of this session, or a mask without an input image, and
    InputError for a file that is missing or not an image.
    """
    paths: dict[str, Any] = {
        name: map_image_files(value, lambda file: str(find(file)))
        for name in IMAGE_FILE_FIELDS
        if (value := getattr(request, name))
    }
    for value in paths.values():
        for path in get_image_files(value):
            measure_image(Path(path))
    resolved = replace(request, **paths)
    if resolved.fix is not None:
        return convert_to_fix(resolved)
    if resolved.init_img is None:
        for name, mask in (("-M", resolved.init_mask), ("-tm", resolved.text_mask)):
            if mask is not None:
                raise BadLine(f"{name} needs an input image", 0, "add -I FILE")
        is_used = resolved.hires_fix is not None or uses_strength(resolved)
        if resolved.strength is not None and not is_used:
            return resolved, ("-f is ignored: there is no input image (-I)",)
        return resolved, ()
    if resolved.init_mask is not None and resolved.text_mask is not None:
        raise BadLine("-M and -tm cannot be used together", 0, "use one of them")
    mask_notes = _stretched(resolved)
    if resolved.prompt:
        return _as_tiles(resolved, mask_notes)
    resolved, prompt_notes = use_image_prompt(resolved, Path(resolved.init_img))
    return _as_tiles(resolved, mask_notes + prompt_notes)


def _as_tiles(request: Request, notes: tuple[str, ...]) -> tuple[Request, tuple[str, ...]]:
    """With -embiggen, -I is the image to process, as in InvokeAI: the request becomes a `!fix`."""
    tiles = request.embiggen or request.embiggen_tiles
    if tiles is None or request.init_mask or request.text_mask:
        return request, notes
    same, more = convert_to_fix(replace(request, fix=request.init_img, init_img=None))
    return same, (
        *notes,
        *more,
        "-I with -embiggen works like !fix: the image itself is upscaled and refined",
    )


def compute_size(request: Request, info: ModelInfo) -> tuple[int, int, tuple[str, ...]]:
    """Width and height in pixels of an image generated from another, and notes about them.

    Without -W and -H it keeps the input's size, with one of them its shape; with --fit all of it is
    scaled into the box of -W and -H. A result is a fixed point: it keeps its size. Raises BadLine
    for sides over the limit.
    """
    path = Path(str(request.init_img))
    own = measure_image(path)
    if request.fit:
        size = requested = _whole(request, info, own)
    else:
        requested = cover_size(request, own)
        size = floor_side(requested[0], info.multiple), floor_side(requested[1], info.multiple)
    if max(size) > MOST:
        fits = f"--fit scales it into {info.width}x{info.height}; -W and -H set another size"
        raise BadLine(
            f"{path.name} would become {size[0]}x{size[1]}; the limit is {MOST} pixels per side",
            hint="crop it to a less extreme shape" if request.fit else fits,
        )
    if size == own:
        return *size, ()
    return *size, (_size_note(path, own, size, requested, request, info),)


def cover_size(request: Request, own: tuple[int, int]) -> tuple[int, int]:
    """The requested size before rounding down; an image of the size `own` is scaled to cover
    it."""
    width, height = request.width, request.height
    across, down = own
    if width and height:
        return width, height
    if width or height:
        scale = width / across if width else (height or 0) / down
    else:
        scale = max(1, LEAST / min(own))
    return round(across * scale), round(down * scale)


def _whole(request: Request, info: ModelInfo, own: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the image's shape in a box, rounded up to a multiple. If the box has only
    one side, the other follows; without any it is the model's size. A long, thin image exceeds it,
    to reach the minimum side. A size in its own box stays as it is."""
    step = info.multiple
    scales = [
        Fraction(floor_side(side, step), length)
        for side, length in zip(_box(request, info), own, strict=True)
        if side is not None
    ]
    scale = max(min(scales), Fraction(floor_side(0, step), min(own)))
    return ceil(own[0] * scale / step) * step, ceil(own[1] * scale / step) * step


def _box(request: Request, info: ModelInfo) -> tuple[int | None, int | None]:
    """The box for --fit; None is an unlimited side."""
    if request.width or request.height:
        return request.width, request.height
    return info.width, info.height


def floor_side(side: int, multiple: int) -> int:
    """A side rounded down to a multiple, at least LEAST."""
    least = -(-LEAST // multiple) * multiple
    return max(least, side // multiple * multiple)


def _size_note(
    path: Path,
    own: tuple[int, int],
    size: tuple[int, int],
    requested: tuple[int, int],
    request: Request,
    info: ModelInfo,
) -> str:
    resized = f"{path.name} is resized from {own[0]}x{own[1]} to {size[0]}x{size[1]}"
    box = zip(_box(request, info), size, strict=True)
    if request.fit and any(side is not None and length > side for side, length in box):
        return f"{resized}: the minimum is {LEAST} pixels per side"
    if size != requested:
        return f"{resized}: {info.name} needs multiples of {info.multiple}"
    cut = not request.fit and differ_in_shape(own, size)
    return f"{resized} and cropped; --fit keeps all of it" if cut else resized


def differ_in_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two shapes differ by more than one pixel of the second."""
    return abs(one[0] / one[1] - other[0] / other[1]) * min(other) > 1


def _stretched(request: Request) -> tuple[str, ...]:
    """A note if the mask does not have the shape of its image."""
    if request.init_mask is None or request.init_img is None:
        return ()
    image, mask = Path(request.init_img), Path(request.init_mask)
    image_size, mask_size = measure_image(image), measure_image(mask)
    if not differ_in_shape(mask_size, image_size):
        return ()
    shape = f"the shape of {image.name} ({image_size[0]}x{image_size[1]})"
    return (f"the mask {mask.name} ({mask_size[0]}x{mask_size[1]}) is stretched to {shape}",)

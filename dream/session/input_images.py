"""What a line begins from, besides words and a seed: pictures, found, measured, and settled."""

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
from dream.core.request import IMAGE_FILE_FIELDS, Request
from dream.inputs import measure_image
from dream.session.fix import convert_to_fix, use_image_prompt
from dream.session.postprocessing import uses_strength

FindPicture = Callable[[str], Path]
"""What a line says for a picture, `-1` or a path, to its file. Raises BadLine."""

LEAST, MOST = 64, 4096
"""Pixels of a picture's side."""


def resolve_image_path(said: str, kept: Sequence[Path], outdir: Path) -> Path:
    """The file that a line means: by -1 the last of this session's pictures, by -2 the one before
    …; by a path one from here, or else in the outdir. Raises BadLine for a number without one, for
    an address, and for what no file can be called."""
    if said.startswith("-") and said[1:].isdecimal():
        if not 0 < (back := int(said[1:])) <= len(kept):
            so_far = f"{len(kept)} so far" if kept else "none so far"
            raise BadLine(f"{said} asks for a picture of this session that is not there ({so_far})")
        return kept[-back]
    try:
        path = parse_path(_without_scheme(said))
    except UnicodeError:  # half a character, behind a ~
        raise BadLine(f"{said!a} is no file's name") from None
    for spelling in spellings(said):
        with suppress(BadLine, UnicodeError):  # only what was said itself may be wrong
            if there := _there(parse_path(_without_scheme(spelling)), outdir):
                return there
    return path


def _there(path: Path, outdir: Path) -> Path | None:
    """The file of that path in the folders where `found` looks."""
    if path_exists_at(path):
        return path
    return outdir / path if is_file(outdir / path) else None


def _without_scheme(said: str) -> str:
    """What a desktop pastes for a file it is given, `file:///…`, as a path."""
    if said.startswith("file://"):
        try:
            return unquote(urlsplit(said).path)
        except ValueError:
            raise BadLine(f"{said} is not a file's address") from None
    if said.startswith(("http://", "https://")):
        raise BadLine(f"{said} is no file here", 0, "fetch it first, and name the file")
    return said


def make_reproducible(request: Request, first: Recipe) -> Request:
    """What was asked, so that it asks for the same again: with its seed, -I-1 as a path, and the
    words that a picture lent."""
    said: dict[str, Any] = {
        name: getattr(first, name) for name in ("prompt", "negative", *IMAGE_FILE_FIELDS)
    }
    return replace(request, seed=first.seed, **said)


def resolve_image_files(request: Request, find: FindPicture) -> tuple[Request, tuple[str, ...]]:
    """The request with paths for all pictures that it begins from, and the first one's own words
    where it has none; and what should be said about that.

    Raises BadLine for a picture of this session that is not there, or a mask of nothing, and
    InputError for a file that is missing or no picture.
    """
    said: dict[str, Any] = {
        name: str(find(value)) for name in IMAGE_FILE_FIELDS if (value := getattr(request, name))
    }
    for path in said.values():
        measure_image(Path(path))
    settled = replace(request, **said)
    if settled.fix is not None:
        return convert_to_fix(settled)
    if settled.init_img is None:
        for name, mask in (("-M", settled.init_mask), ("-tm", settled.text_mask)):
            if mask is not None:
                raise BadLine(
                    f"{name} masks a picture to start from, and there is none", 0, "-I FILE"
                )
        heard = settled.hires_fix is not None or uses_strength(settled)
        if settled.strength is not None and not heard:
            return settled, ("there is no picture to start from (-I): -f changes nothing",)
        return settled, ()
    if settled.init_mask is not None and settled.text_mask is not None:
        raise BadLine("-M and -tm are two masks for one picture", 0, "say one of them")
    said_of_mask = _stretched(settled)
    if settled.prompt:
        return _as_tiles(settled, said_of_mask)
    settled, said_of_words = use_image_prompt(settled, Path(settled.init_img))
    return _as_tiles(settled, said_of_mask + said_of_words)


def _as_tiles(request: Request, told: tuple[str, ...]) -> tuple[Request, tuple[str, ...]]:
    """With -embiggen it is the picture itself that is enlarged, as it always was: a `!fix`."""
    tiles = request.embiggen or request.embiggen_tiles
    if tiles is None or request.init_mask or request.text_mask:
        return request, told
    same, more = convert_to_fix(replace(request, fix=request.init_img, init_img=None))
    return same, (*told, *more, "-I with -embiggen is !fix: the picture itself, in tiles")


def compute_size(request: Request, card: ModelInfo) -> tuple[int, int, tuple[str, ...]]:
    """Width and height in pixels of a picture that begins from another, and what should be said.

    Without -W and -H it keeps its own size, or of one of them what the other leaves; with --fit
    the whole of it is scaled into the box they are. The same for the sizes that come out. Raises
    BadLine for sides that no picture may have.
    """
    path = Path(str(request.init_img))
    own = measure_image(path)
    if request.fit:
        size = wanted = _whole(request, card, own)
    else:
        wanted = _covering(request, own)
        size = _floored(wanted[0], card.multiple), _floored(wanted[1], card.multiple)
    if max(size) > MOST:
        fits = f"--fit scales it into {card.width}x{card.height}, -W and -H into what you say"
        raise BadLine(
            f"{path.name} would become {size[0]}x{size[1]}; a side has {MOST} pixels at most",
            hint="cut it to a less extreme shape" if request.fit else fits,
        )
    if size == own:
        return *size, ()
    return *size, (_size_note(path, own, size, wanted, request, card),)


def _covering(request: Request, own: tuple[int, int]) -> tuple[int, int]:
    """What the line asks for, before flooring; the picture is scaled to cover it."""
    width, height = request.width, request.height
    across, down = own
    if width and height:
        return width, height
    if width or height:
        scale = width / across if width else (height or 0) / down
    else:
        scale = max(1, LEAST / min(own))
    return round(across * scale), round(down * scale)


def _whole(request: Request, card: ModelInfo, own: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the picture's shape in a box, up to the next multiple. One side of the
    box leaves the other open; without any it is the model's size. A long, thin picture grows out
    of it, to the least that a side may have. The size in its own box is itself."""
    step = card.multiple
    scales = [
        Fraction(_floored(side, step), length)
        for side, length in zip(_box(request, card), own, strict=True)
        if side is not None
    ]
    scale = max(min(scales), Fraction(_floored(0, step), min(own)))
    return ceil(own[0] * scale / step) * step, ceil(own[1] * scale / step) * step


def _box(request: Request, card: ModelInfo) -> tuple[int | None, int | None]:
    """What --fit scales into; None leaves a side open."""
    if request.width or request.height:
        return request.width, request.height
    return card.width, card.height


def _floored(side: int, multiple: int) -> int:
    least = -(-LEAST // multiple) * multiple
    return max(least, side // multiple * multiple)


def _size_note(
    path: Path,
    own: tuple[int, int],
    size: tuple[int, int],
    wanted: tuple[int, int],
    request: Request,
    card: ModelInfo,
) -> str:
    becomes = f"{path.name}, {own[0]}x{own[1]}, becomes {size[0]}x{size[1]}"
    box = zip(_box(request, card), size, strict=True)
    if request.fit and any(side is not None and becomes_it > side for side, becomes_it in box):
        return f"{becomes}: a side has {LEAST} pixels at least"
    if size != wanted:
        return f"{becomes}: {card.name} paints in multiples of {card.multiple}"
    cut = not request.fit and _apart(own, size)
    return f"{becomes}, cut at its sides; --fit keeps all of it" if cut else becomes


def _apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two shapes differ by more than a pixel of the second one."""
    return abs(one[0] / one[1] - other[0] / other[1]) * min(other) > 1


def _stretched(request: Request) -> tuple[str, ...]:
    """Says it of a mask that has not the shape of its picture."""
    if request.init_mask is None or request.init_img is None:
        return ()
    image, mask = Path(request.init_img), Path(request.init_mask)
    own, its = measure_image(image), measure_image(mask)
    if not _apart(its, own):
        return ()
    shapes = f"{its[0]}x{its[1]}, is stretched to the shape of {image.name}, {own[0]}x{own[1]}"
    return (f"the mask {mask.name}, {shapes}",)

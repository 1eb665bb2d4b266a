"""What a line begins from, besides words and a seed: pictures, found, measured, and settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dream.catalogue.cards import ModelCard
from dream.errors import BadLine
from dream.gallery import INPUTS_FOLDER
from dream.inputs import measure
from dream.recipe import Recipe
from dream.request import INPUTS, Request
from dream.studio.afterwards import hears_strength
from dream.studio.fix import in_its_own_words, in_terms_of_fix

FindPicture = Callable[[str], Path]
"""What a line says for a picture, `-1` or a path, to its file. Raises BadLine."""

LEAST, MOST = 64, 4096
"""Pixels of a picture's side."""


def found(said: str, kept: Sequence[Path], outdir: Path, beside: Path | None = None) -> Path:
    """The file that a line means: by -1 the last of this session's pictures, by -2 the one before
    …; by a path one from here, or else in the outdir, or of its name in the folder `beside` or
    among the copies there. Raises BadLine for a number without one, and for an address."""
    if said.startswith("-") and said[1:].isdecimal():
        if not 0 < (back := int(said[1:])) <= len(kept):
            so_far = f"{len(kept)} so far" if kept else "none so far"
            raise BadLine(f"{said} asks for a picture of this session that is not there ({so_far})")
        return kept[-back]
    if said[:1] == said[-1:] == "'" and len(said) > 2:  # as a terminal pastes a dropped file
        said = said[1:-1]
    path = Path(_as_path(said)).expanduser()
    if path.exists():
        return path
    others = [outdir / path]
    if beside is not None:
        others += [beside / path.name, beside / INPUTS_FOLDER / path.name]
    return next((other for other in others if other.is_file()), path)


def _as_path(said: str) -> str:
    """What a desktop pastes for a file it is given, `file:///…`, as a path."""
    if said.startswith("file://"):
        return unquote(urlsplit(said).path)
    if said.startswith(("http://", "https://")):
        raise BadLine(f"{said} is no file here", 0, "fetch it first, and name the file")
    return said


def as_made(request: Request, first: Recipe) -> Request:
    """What was asked, so that it asks for the same again: with its seed, -I-1 as a path, and the
    words that a picture lent."""
    said: dict[str, Any] = {name: getattr(first, name) for name in ("prompt", "negative", *INPUTS)}
    return replace(request, seed=first.seed, **said)


def with_files(request: Request, find: FindPicture) -> tuple[Request, tuple[str, ...]]:
    """The request with paths for all pictures that it begins from, and the first one's own words
    where it has none; and what should be said about that.

    Raises BadLine for a picture of this session that is not there, or a mask of nothing, and
    InputError for a file that is missing or no picture.
    """
    said: dict[str, Any] = {
        name: str(find(value)) for name in INPUTS if (value := getattr(request, name))
    }
    for path in said.values():
        measure(Path(path))
    settled = replace(request, **said)
    if settled.fix is not None:
        return in_terms_of_fix(settled)
    if settled.init_img is None:
        for name, mask in (("-M", settled.init_mask), ("-tm", settled.text_mask)):
            if mask is not None:
                raise BadLine(
                    f"{name} masks a picture to start from, and there is none", 0, "-I FILE"
                )
        heard = settled.hires_fix is not None or hears_strength(settled)
        if settled.strength is not None and not heard:
            return settled, ("there is no picture to start from (-I): -f changes nothing",)
        return settled, ()
    if settled.init_mask is not None and settled.text_mask is not None:
        raise BadLine("-M and -tm are two masks for one picture", 0, "say one of them")
    if settled.prompt:
        return _as_tiles(settled, ())
    return _as_tiles(*in_its_own_words(settled, Path(settled.init_img)))


def _as_tiles(request: Request, told: tuple[str, ...]) -> tuple[Request, tuple[str, ...]]:
    """With -embiggen it is the picture itself that is enlarged, as it always was: a `!fix`."""
    tiles = request.embiggen or request.embiggen_tiles
    if tiles is None or request.init_mask or request.text_mask:
        return request, told
    same, more = in_terms_of_fix(replace(request, fix=request.init_img, init_img=None))
    return same, (*told, *more, "-I with -embiggen is !fix: the picture itself, in tiles")


def size_from(request: Request, card: ModelCard) -> tuple[int, int, tuple[str, ...]]:
    """Width and height in pixels of a picture that begins from another, and what should be said.

    Without -W and -H it keeps its own size, or of one of them what the other leaves; with --fit it
    is scaled into the box they are. The same for the sizes that come out. Raises BadLine for sides
    that no picture may have.
    """
    path = Path(str(request.init_img))
    own = measure(path)
    wanted = _wanted(request, card, own)
    width, height = (_floored(side, card.multiple) for side in wanted)
    if max(width, height) > MOST:
        raise BadLine(
            f"{path.name} would become {width}x{height}; a side has {MOST} pixels at most",
            hint=f"--fit scales it into {card.width}x{card.height}, -W and -H into what you say",
        )
    if (width, height) == own:
        return width, height, ()
    return width, height, (_told(path, own, (width, height), wanted, card),)


def _wanted(request: Request, card: ModelCard, own: tuple[int, int]) -> tuple[int, int]:
    """Before flooring."""
    width, height = request.width, request.height
    across, down = own
    if request.fit:
        scale = min((width or card.width) / across, (height or card.height) / down)
    elif width and height:
        return width, height
    elif width or height:
        scale = width / across if width else (height or 0) / down
    else:
        scale = max(1, LEAST / min(own))
    return round(across * scale), round(down * scale)


def _floored(side: int, multiple: int) -> int:
    least = -(-LEAST // multiple) * multiple
    return max(least, side // multiple * multiple)


def _told(
    path: Path,
    own: tuple[int, int],
    size: tuple[int, int],
    wanted: tuple[int, int],
    card: ModelCard,
) -> str:
    becomes = f"{path.name}, {own[0]}x{own[1]}, becomes {size[0]}x{size[1]}"
    if size != wanted:
        return f"{becomes}: {card.name} paints in multiples of {card.multiple}"
    cut = abs(own[0] / own[1] - size[0] / size[1]) * min(size) > 1
    return f"{becomes}, cut at its sides; --fit keeps all of it" if cut else becomes

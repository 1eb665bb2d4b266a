"""Asked → settled: a Request becomes Recipes with nothing left open."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.recipe import Recipe
from dream.core.request import FLAGS, NO_VAE, Request
from dream.inputs import measure_image
from dream.line import Sweep
from dream.options.option_type import MAX_SEED
from dream.options.schedule_table import FORMER, FORMER_SAMPLERS, resolve_schedule
from dream.options.variations import Variation
from dream.session.fix import find_model_info
from dream.session.input_images import FindPicture, compute_size, resolve_image_files
from dream.session.postprocessing import check_limits, resolve_stages, resolve_strength

HIRES_FIX = 0.5
"""How far a picture that was painted small is left where nobody says: 0.75 already lets objects
double again."""

FindModel = Callable[[str | None], ModelInfo]
"""A name, or None for the default, to its card. Raises ModelError."""


@dataclass(frozen=True)
class ResolvedRequest:
    """What a line comes to: one recipe for each picture, and what should be said about it."""

    recipes: tuple[Recipe, ...]
    notes: tuple[str, ...] = ()


def resolve(
    request: Request,
    find: FindModel,
    seeds: Sequence[int],
    draw: Callable[[], int],
    find_picture: FindPicture = Path,
) -> ResolvedRequest:
    """Close every open choice: what the line left open, the model's card decides.

    `past` holds the seeds of this session's pictures, for `-S-1`; `draw` gives a fresh seed;
    `find_picture` the file of a picture to start from. Raises BadLine for a value out of range or
    a seed that does not exist, ModelError for a model that does not, InputError for a picture.
    """
    check_ranges(request)
    _ = request.folder  # the system could not be asked about it
    request, file_notes = resolve_image_files(request, find_picture)
    info = find_model_info(request, find)
    width, height, size_notes = _size(request, info)
    hires_fix, hires_notes = _hires_fix(request, info, width, height)
    steps, sampler = request.steps or info.steps, request.sampler or info.sampler
    schedule = resolve_schedule(sampler, request.schedule, steps, request.karras_max)
    if schedule == FORMER and sampler not in FORMER_SAMPLERS:
        raise BadLine(f"--schedule {FORMER} has no {sampler}", 0, "remove --schedule")
    first = Recipe(
        prompt=request.prompt,
        negative=request.negative,
        steps=steps,
        seed=draw() if request.seed is None else _seed(request.seed, seeds),
        width=width,
        height=height,
        cfg_scale=request.cfg_scale or info.cfg_scale,
        sampler=sampler,
        schedule=schedule,
        cfg_rescale=_cfg_rescale(request.cfg_rescale, schedule, info),
        model=info.name,
        vae=_vae(request.vae or info.vae, info),
        init_img=request.init_img,
        fit=request.fit and request.init_img is not None,
        strength=resolve_strength(request),
        init_mask=request.init_mask,
        text_mask=request.text_mask,
        invert_mask=request.invert_mask,
        inpaint_replace=request.inpaint_replace,
        mask_blur=request.mask_blur,
        hires_fix=hires_fix,
        fix=request.fix,
        **_effects(request),
        **resolve_stages(request, info),
    )
    check_limits(first, (width, height) if first.fix is None else measure_image(Path(first.fix)))
    return ResolvedRequest(
        _expand_iterations(first, request, draw), file_notes + size_notes + hires_notes
    )


def resolve_sweep(
    sweep: Sweep,
    find: FindModel,
    seeds: Sequence[int],
    draw: Callable[[], int],
    find_picture: FindPicture = Path,
) -> ResolvedRequest:
    """Every Request of a sweep settled, in its order. A seed that the line leaves open is drawn
    once: the pictures differ in what was swept, and in nothing else. Raises as `settle`."""
    find, draw = cache(find), cache(draw)
    resolved = [resolve(request, find, seeds, draw, find_picture) for request in sweep]
    header = (str(sweep),) if sweep.axes else ()
    notes = dict.fromkeys(note for one in resolved for note in one.notes)
    return ResolvedRequest(
        tuple(recipe for one in resolved for recipe in one.recipes), (*header, *notes)
    )


def _effects(request: Request) -> dict[str, Any]:
    """Nothing is open in them; what can be said in two ways becomes one of them."""
    as_typed = ("perlin", "threshold", "init_color", "karras_max")
    symmetry = ("h_symmetry_time_pct", "v_symmetry_time_pct")
    values = {name: getattr(request, name) for name in (*as_typed, *symmetry)}
    axes, known = request.seamless_axes, request.with_variations
    return values | {
        "with_variations": known and tuple(Variation(*pair) for pair in known),
        "seamless": request.seamless or axes is not None,
        "seamless_axes": None if axes == "x,y" else axes,
    }


def _expand_iterations(
    first: Recipe, request: Request, draw: Callable[[], int]
) -> tuple[Recipe, ...]:
    """`-n` of them: of seeds in a series; or, with `-v`, of one seed, towards others."""
    count, amount, known = request.iterations, request.variation_amount, first.with_variations
    if known and request.seed is None:
        raise BadLine("-V needs a seed", 0, "add -S")
    if amount:
        # Not what is drawn: a sweep draws but once, and that may be the first seed already.
        others = derive_seeds(draw(), count + 1)[1:]
        ways = [(*(known or ()), Variation(other, amount)) for other in others]
        return tuple(replace(first, with_variations=way) for way in ways)
    if known and count > 1:
        raise BadLine(f"-V makes one image, not {count}", 0, "-v 0.1 makes several variations")
    return tuple(replace(first, seed=seed) for seed in derive_seeds(first.seed, count))


def derive_seeds(first: int, count: int) -> list[int]:
    """`count` seeds: the first, then what a generator seeded with it draws; so -n5 -S42 repeats."""
    rng = random.Random(first)
    return [first, *(rng.randint(0, MAX_SEED) for _ in range(count - 1))]


def check_ranges(request: Request) -> None:
    """Hold a Request made in Python to the same ranges as a typed one. Raises BadLine."""
    for name, flag in FLAGS.items():
        value = getattr(request, name)
        if value == flag.default:
            continue
        try:
            known = flag.kind.read(flag.kind.write(value)) == value
        except (TypeError, ValueError, AttributeError):
            known = False
        if not known:
            raise BadLine(f"{name} takes {flag.kind.expects}, not {value!r}")


def _vae(name: str, info: ModelInfo) -> str | None:
    """What takes the place of the model's own VAE; that it is none is said only against a card."""
    return None if not name or (name == NO_VAE and not info.vae) else name


def _cfg_rescale(value: float | None, schedule: str, info: ModelInfo) -> float | None:
    """Guidance rescale. That it is 0 is said only where the model's default is another one; lines
    from before there were schedules are from before it, too."""
    if value is None:
        value = 0 if schedule == FORMER else info.cfg_rescale
    return value if value or info.cfg_rescale else None


def _seed(seed: int, seeds: Sequence[int]) -> int:
    if seed >= 0:
        return seed
    if -seed > len(seeds):
        count = f"{len(seeds)} so far" if seeds else "none so far"
        raise BadLine(f"there is no image for -S{seed} in this session ({count})")
    return seeds[seed]


def _size(request: Request, info: ModelInfo) -> tuple[int, int, tuple[str, ...]]:
    if request.init_img is not None:
        return compute_size(request, info)
    width, wide = _floored("width", request.width or info.width, info.multiple)
    height, high = _floored("height", request.height or info.height, info.multiple)
    return width, height, wide + high


def _hires_fix(
    request: Request, info: ModelInfo, width: int, height: int
) -> tuple[float | None, tuple[str, ...]]:
    """How strongly the picture is painted over; in InvokeAI's lines that was -f."""
    if request.hires_fix is None:
        return None, ()
    if request.init_img is not None:
        return None, ("--hires_fix is ignored with an input image",)
    if width * height <= info.width * info.height:
        size = f"{info.width}x{info.height}"
        return None, (f"--hires_fix is ignored: the image is not larger than {size}",)
    return request.hires_fix or request.strength or HIRES_FIX, ()


def _floored(what: str, value: int, multiple: int) -> tuple[int, tuple[str, ...]]:
    size = max(multiple, value // multiple * multiple)
    if size == value:
        return size, ()
    return size, (f"{what} {value} becomes {size}: the model needs multiples of {multiple}",)

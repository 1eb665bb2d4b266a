"""Resolves a Request into Recipes, in which every value is set."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.recipe import Recipe
from dream.core.request import FLAGS, NO_CACHE, NO_VAE, Request
from dream.inputs import measure_image
from dream.line import Sweep
from dream.options.option_type import MAX_SEED
from dream.options.quantize_table import NO_QUANTIZATION
from dream.options.schedule_table import FORMER, FORMER_SAMPLERS, resolve_schedule
from dream.options.variations import Variation
from dream.prompt import Lookup
from dream.session.adapter_defaults import (
    apply_few_step_defaults,
    resolve_adapters,
    resolve_decoder,
)
from dream.session.control_defaults import resolve_control
from dream.session.family_checks import check_combination, check_edited_image, check_family
from dream.session.fast_recipe import apply_fast
from dream.session.fix import find_model_info
from dream.session.image_prompt_defaults import resolve_image_prompts
from dream.session.input_images import FindPicture, compute_size, resolve_image_files
from dream.session.postprocessing import check_limits, resolve_stages, resolve_strength
from dream.session.prompt_text import list_prompt_fields, move_networks
from dream.session.reference_images import check_references, compute_reference_size
from dream.session.templates import expand_request, find_nothing, has_template, use_template

HIRES_FIX = 0.5
"""The default strength of the second pass of --hires_fix; 0.75 already duplicates subjects."""

_AS_TYPED = (
    *("init_img", "reference", "init_mask", "text_mask", "invert_mask"),
    *("inpaint_replace", "mask_blur"),
)
"""Fields of input images, which are resolved before others."""

FindModel = Callable[[str | None], ModelInfo]
"""Maps a model's name, or None for the default, to its ModelInfo. Raises ModelError."""


@dataclass(frozen=True)
class ResolvedRequest:
    """The recipes of a line, one for each image, and notes for the user."""

    recipes: tuple[Recipe, ...]
    notes: tuple[str, ...] = ()


def resolve(
    request: Request,
    find: FindModel,
    seeds: Sequence[int],
    draw: Callable[[], int],
    find_picture: FindPicture = Path,
    adapters: AdapterRegistry | None = None,
    wildcards: Lookup = find_nothing,
) -> ResolvedRequest:
    """Resolve a request: values that the line leaves open come from the model's defaults.

    `seeds` are those of this session's images, for `-S-1`; `draw` returns a new seed;
    `find_picture` finds the file of an input image; without `adapters`, no embeddings and no
    few-step LoRAs are looked up; `wildcards` has the values of `__name__` in a prompt, of which
    each image chooses its own. Raises BadLine for a value out of range or a
    seed that does not exist, ModelError for a missing model, InputError for an input image.
    """
    check_ranges(request)
    _check_variations(request)
    request = use_template(request)
    if not has_template(request):
        return _resolve_words(request, find, seeds, draw, find_picture, adapters)
    first = draw() if request.seed is None else _seed(request.seed, seeds)
    several = 1 if request.variation_amount else request.iterations
    resolved = [
        _resolve_words(
            replace(
                expand_request(request, seed, wildcards),
                seed=seed,
                iterations=request.iterations if several == 1 else 1,
            ),
            *(find, seeds, draw, find_picture, adapters),
        )
        for seed in derive_seeds(first, several)
    ]
    return _join(resolved)


def _resolve_words(
    request: Request,
    find: FindModel,
    seeds: Sequence[int],
    draw: Callable[[], int],
    find_picture: FindPicture,
    adapters: AdapterRegistry | None,
) -> ResolvedRequest:
    """The same for a request whose words are chosen."""
    _ = request.folder  # raises BadLine if the system cannot resolve the folder
    request, file_notes = resolve_image_files(request, find_picture)
    request = move_networks(request)
    info = find_model_info(request, find)
    request, fast_notes = apply_fast(request, info, adapters)
    request, info, step_notes = apply_few_step_defaults(request, info, adapters)
    adapter_values, embedding_notes = resolve_adapters(request, info, adapters)
    models_dirs = None if adapters is None else adapters.models_dirs
    shown_values, shown_notes = resolve_image_prompts(request, info, models_dirs)
    width, height, size_notes = _size(request, info)
    control_values, control_notes = resolve_control(request, info, models_dirs, (width, height))
    hires_fix, hires_notes = _hires_fix(request, info, width, height)
    steps, sampler = request.steps or info.steps, request.sampler or info.sampler
    schedule = resolve_schedule(sampler, request.schedule, steps, request.karras_max)
    if schedule == FORMER and sampler not in FORMER_SAMPLERS:
        raise BadLine(f"--schedule {FORMER} has no {sampler}", 0, "remove --schedule")
    first = Recipe(
        **list_prompt_fields(request),
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
        text_encoder=request.text_encoder or info.text_encoder or None,
        fit=request.fit and request.init_img is not None,
        strength=resolve_strength(request),
        hires_fix=hires_fix,
        fix=request.fix,
        **{name: getattr(request, name) for name in _AS_TYPED},
        **adapter_values,
        **control_values,
        **shown_values,
        **_effects(request),
        decoder=resolve_decoder(request.decoder, info, adapters),
        **resolve_stages(request, info),
    )
    check_limits(first, (width, height) if first.fix is None else measure_image(Path(first.fix)))
    recipes = _expand_iterations(first, request, draw)
    check_family(recipes[-1], info)
    check_combination(recipes[-1])
    check_edited_image(recipes[-1], info)
    notes = file_notes + fast_notes + step_notes + embedding_notes + control_notes + shown_notes
    return ResolvedRequest(recipes, notes + size_notes + hires_notes)


def resolve_sweep(
    sweep: Sweep,
    find: FindModel,
    seeds: Sequence[int],
    draw: Callable[[], int],
    find_picture: FindPicture = Path,
    adapters: AdapterRegistry | None = None,
    wildcards: Lookup = find_nothing,
) -> ResolvedRequest:
    """Resolve every Request of a sweep, in order. A seed that the line leaves open is drawn once,
    so that the images differ only in the swept values. Raises as `resolve`."""
    find, draw = cache(find), cache(draw)
    resolved = _join(
        [
            resolve(request, find, seeds, draw, find_picture, adapters, wildcards)
            for request in sweep
        ]
    )
    header = (str(sweep),) if sweep.axes or sweep.words else ()
    return ResolvedRequest(resolved.recipes, (*header, *resolved.notes))


def _join(resolved: Sequence[ResolvedRequest]) -> ResolvedRequest:
    """The recipes of several, in order, and their notes, each once."""
    notes = dict.fromkeys(note for one in resolved for note in one.notes)
    recipes = tuple(recipe for one in resolved for recipe in one.recipes)
    return ResolvedRequest(recipes, tuple(notes))


def _effects(request: Request) -> dict[str, Any]:
    """The fields for variations and effects. They need no defaults; values that have two spellings
    are normalized."""
    as_typed = ("perlin", "threshold", "init_color", "karras_max", "freeu", "pag")
    symmetry = ("h_symmetry_time_pct", "v_symmetry_time_pct")
    values = {name: getattr(request, name) for name in (*as_typed, *symmetry)}
    axes, known = request.seamless_axes, request.with_variations
    return values | {
        "with_variations": known and tuple(Variation(*pair) for pair in known),
        "seamless": request.seamless or axes is not None,
        "seamless_axes": None if axes == "x,y" else axes,
        "cache": None if request.cache == NO_CACHE else request.cache,
        "quantize": None if request.quantize == NO_QUANTIZATION else request.quantize,
        "engine": request.engine,
        "threads": request.threads,
    }


def _expand_iterations(
    first: Recipe, request: Request, draw: Callable[[], int]
) -> tuple[Recipe, ...]:
    """The recipes of `-n` images: with a series of seeds; or, with `-v`, with one seed and
    different variations."""
    count, amount, known = request.iterations, request.variation_amount, first.with_variations
    if amount:
        # not the first draw: `draw` is cached in a sweep, so that may be the first seed already
        others = derive_seeds(draw(), count + 1)[1:]
        ways = [(*(known or ()), Variation(other, amount)) for other in others]
        return tuple(replace(first, with_variations=way) for way in ways)
    return tuple(replace(first, seed=seed) for seed in derive_seeds(first.seed, count))


def _check_variations(request: Request) -> None:
    known, count = request.with_variations, request.iterations
    if known and request.seed is None:
        raise BadLine("-V needs a seed", 0, "add -S")
    if known and count > 1 and not request.variation_amount:
        raise BadLine(f"-V makes one image, not {count}", 0, "-v 0.1 makes several variations")


def derive_seeds(first: int, count: int) -> list[int]:
    """`count` seeds: the first, then those that a generator seeded with it draws; so -n5 -S42 is
    reproducible."""
    rng = random.Random(first)
    return [first, *(rng.randint(0, MAX_SEED) for _ in range(count - 1))]


def check_ranges(request: Request) -> None:
    """Check a Request built in Python against the ranges of a typed line. Raises BadLine."""
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
    """The VAE that replaces the model's own. `none` is recorded only if the model's settings name a
    VAE."""
    return None if not name or (name == NO_VAE and not info.vae) else name


def _cfg_rescale(value: float | None, schedule: str, info: ModelInfo) -> float | None:
    """Guidance rescale. 0 is recorded only if the model's default differs. Lines from before
    --schedule existed are from before this too."""
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
    check_references(request, info)
    if request.init_img is not None:
        return compute_size(request, info)
    if request.reference:
        return compute_reference_size(request, info)
    width, wide = _floored("width", request.width or info.width, info.multiple)
    height, high = _floored("height", request.height or info.height, info.multiple)
    return width, height, wide + high


def _hires_fix(
    request: Request, info: ModelInfo, width: int, height: int
) -> tuple[float | None, tuple[str, ...]]:
    """The strength of the second pass, and notes. In InvokeAI's lines it was -f."""
    if request.hires_fix is None:
        return None, ()
    if request.init_img is not None or request.reference:
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

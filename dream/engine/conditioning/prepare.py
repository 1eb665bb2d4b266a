"""Chooses how a recipe's prompt reaches its model, and says what the model does not support."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature

from dream.core.errors import ModelError
from dream.core.events import Note
from dream.core.recipe import Recipe
from dream.engine.conditioning.clip import takes_clip
from dream.engine.conditioning.conditioning import Conditioning, make_plan
from dream.engine.conditioning.text_limits import get_truncated_text
from dream.engine.conditioning.token_weights import (
    WeighedText,
    find_weighable,
    read_weights,
)
from dream.engine.interface import ProgressCallback
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling.prompt_args import build_prompt_args
from dream.options.family_table import get_family
from dream.options.syntax_table import PLAIN
from dream.prompt import How, ParsedPrompt, Prompt, parse_prompt

_NAMES = {How.BLEND: ".blend()", How.JOIN: ".and()", How.COMPOSE: "AND"}


def make_conditioning(
    loaded: LoadedModel, recipe: Recipe, report: ProgressCallback
) -> Conditioning:
    """The conditioning of a recipe. Reports what its model truncates or ignores.

    Raises ModelError for syntax that the model does not support.
    """
    pipe, model = loaded.pipe, loaded.info.name
    parsed = parse_prompt(recipe.prompt, recipe.negative, recipe.syntax)
    has_clip = takes_clip(pipe) and getattr(pipe, "unet", None) is not None
    skips = _uses_clip_skip(loaded, recipe, report, has_clip=has_clip)
    positive, negative = parsed.positive.words, parsed.negative.words
    ends = (
        get_truncated_text(pipe, positive),
        get_truncated_text(pipe, negative, is_negative=True) if negative else "",
    )
    long = list(filter(None, ends))
    plain = parsed.positive.is_plain and parsed.negative.is_plain
    encodes = has_clip and (skips or not plain or bool(long and recipe.syntax != PLAIN))
    weighed: tuple[WeighedText, ...] = ()
    if not encodes:
        for lost in long:
            report(Note(text=f"prompt too long for {model}; ignored: {lost}"))
        if not plain:
            weighed = _weigh_words(loaded, parsed, report)
    takes = signature(pipe.__call__).parameters
    guidance_off = get_family(loaded.info.family).guidance_off
    arguments = build_prompt_args(takes, positive, negative, recipe.cfg_scale, guidance_off)
    if negative and "negative_prompt" not in arguments:
        report(Note(text=f"{model} does not support negative prompts; ignored: {negative}"))
    elif negative and recipe.cfg_scale <= 1:
        report(Note(text=f"-C1 disables guidance, so the negative prompt is ignored: {negative}"))
    plan = make_plan(loaded, recipe, parsed, skips) if encodes else None
    return Conditioning(loaded, arguments, plan, weighed)


def _uses_clip_skip(
    loaded: LoadedModel, recipe: Recipe, report: ProgressCallback, *, has_clip: bool
) -> bool:
    """Whether --clip_skip changes anything; reports where it is ignored."""
    if recipe.clip_skip is None:
        return False
    if not has_clip:
        report(Note(text=f"{loaded.info.name} does not support --clip_skip; ignored"))
        return False
    if loaded.info.family in ("sd2", "sdxl") or hasattr(loaded.pipe, "text_encoder_2"):
        if recipe.clip_skip != 2:  # what they do anyway, and what A1111 calls it
            report(
                Note(text=f"{loaded.info.name} uses its own layer of CLIP; --clip_skip is ignored")
            )
        return False
    return recipe.clip_skip > 1


def _weigh_words(
    loaded: LoadedModel, parsed: ParsedPrompt, report: ProgressCallback
) -> tuple[WeighedText, ...]:
    """The texts with weights for a model that encodes them itself; if it has no way to weigh them,
    reports that they are ignored. Raises ModelError for what has no meaning without CLIP."""
    model = loaded.info.name
    for side in (parsed.positive, parsed.negative):
        if name := next(_list_unsupported(side), ""):
            raise ModelError(
                f"{model} does not support {name} in prompts", "remove it, or choose another model"
            )
    if find_weighable(loaded.pipe):
        sides = (parsed.positive, parsed.negative)
        return tuple(read_weights(side) for side in sides if not side.is_plain)
    report(Note(text=f"{model} does not support weights in prompts; ignored"))
    return ()


def _list_unsupported(prompt: Prompt) -> Iterator[str]:
    if prompt.how is not How.TEXT:
        yield _NAMES[prompt.how]
    for part in prompt.parts:
        if part.timeline is not None:
            yield "[from:to:when]"
        if part.swaps:
            yield ".swap()"

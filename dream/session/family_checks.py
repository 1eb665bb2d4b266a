"""Whether the family of a line's model supports the line's switches, before it is loaded."""

from __future__ import annotations

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.options.family_switches import FAMILY_SWITCHES, FamilySwitch
from dream.options.family_table import BY_KEY, FAMILIES, get_family
from dream.prompt import parse_prompt


def check_family(recipe: Recipe | Request, info: ModelInfo) -> None:
    """Raises BadLine for a switch that the model's family does not support. What a model of no
    known family supports is known once it is loaded."""
    key = "sd1" if info.family == "sd2" and info.variant != "depth" else info.family
    family = BY_KEY.get(key)  # the row of Stable Diffusion 2 is that of its depth model
    if family is None:
        return
    for row in (row for row in FAMILY_SWITCHES if not row.ignored):
        supported = row.supports(family) or ("init_img" in row.fields and info.references)
        for switch, name in zip(row.switches, row.fields, strict=True):
            if getattr(recipe, name, None) and not supported:
                raise BadLine(
                    f"{info.name} ({family.title}) does not support {switch}",
                    0,
                    f"remove it, or use a model that does: {_list_families(row)}",
                )


def check_combination(recipe: Recipe) -> None:
    """Raises BadLine for a prompt that acts in layers that --cache skips, or whose attention
    --image_prompt replaces."""
    for switch, used in (("--cache", recipe.cache), ("--image_prompt", recipe.image_prompt)):
        if used and has_swap(recipe.prompt, recipe.negative, recipe.syntax):
            raise BadLine(f".swap() is not supported with {switch}", 0, "remove one of them")


def check_edited_image(recipe: Recipe, info: ModelInfo) -> None:
    """Raises BadLine for --control where a model edits images or fills a mask: its denoiser sees
    them beside the new image, and control models were not trained on that."""
    wide = get_family(info.family).find_wide(info.variant)
    for switch, used in (("--control", recipe.control), ("--image_prompt", recipe.image_prompt)):
        if wide and used:
            raise BadLine(
                f"{info.name} ({wide.name}) does not support {switch}",
                0,
                f"remove it, or use another {get_family(info.family).title}",
            )
    if recipe.control and (recipe.reference or (recipe.init_img and info.references)):
        raise BadLine(
            f"{info.name} edits images, which --control does not support",
            0,
            "remove --control, or -I and -ref",
        )


def has_swap(prompt: str, negative: str, syntax: str) -> bool:
    """Whether a prompt replaces words of another one with `.swap()`."""
    return any(part.swaps for part in parse_prompt(prompt, negative, syntax).positive.parts)


def _list_families(row: FamilySwitch) -> str:
    return ", ".join(family.title for family in FAMILIES if row.supports(family))

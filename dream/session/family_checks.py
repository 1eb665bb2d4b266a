"""Whether the family of a line's model supports the line's switches, before it is loaded."""

from __future__ import annotations

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.recipe import Recipe
from dream.options.family_switches import FAMILY_SWITCHES, FamilySwitch
from dream.options.family_table import BY_KEY, FAMILIES


def check_family(recipe: Recipe, info: ModelInfo) -> None:
    """Raises BadLine for a switch that the model's family does not support. What a model of no
    known family supports is known once it is loaded."""
    family = BY_KEY.get(info.family)
    if family is None:
        return
    for row in (row for row in FAMILY_SWITCHES if not row.ignored):
        supported = row.supports(family) or ("init_img" in row.fields and info.references)
        for switch, name in zip(row.switches, row.fields, strict=True):
            if getattr(recipe, name) and not supported:
                raise BadLine(
                    f"{info.name} ({family.title}) does not support {switch}",
                    0,
                    f"remove it, or use a model that does: {_list_families(row)}",
                )


def _list_families(row: FamilySwitch) -> str:
    return ", ".join(family.title for family in FAMILIES if row.supports(family))

"""The tensors that tell models of one family apart, where all others are the same."""

from __future__ import annotations

from collections.abc import Mapping

from dream.catalogue.detect.tensors import TensorHeader
from dream.options.family_table import FAMILIES

MARKS = frozenset(
    name
    for family in FAMILIES
    for names in (
        *(row.lacks for row in family.distilled),
        *((editor.mark,) for editor in family.editors if editor.mark),
    )
    for name in names
)
"""Their names: see `family.Distilled.lacks` and `family.Editor.mark`."""


def find_marks(tensors: Mapping[str, TensorHeader], prefix: str) -> frozenset[str]:
    """Those among the tensors of a denoiser whose names begin with a prefix."""
    return frozenset(name for name in MARKS if prefix + name in tensors)

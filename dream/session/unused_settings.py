"""Finds settings of postprocessing stages that have no effect on a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dream.catalogue.face_models import DEFAULT_FACETOOL, KNOWN_FACE_MODELS
from dream.core.request import FLAGS, Request
from dream.core.stages import needs_upscaler


class _Row(NamedTuple):
    fields: tuple[str, ...]
    """Of a request."""
    is_used: Callable[[Request], bool]
    """Whether the stage runs that reads them."""
    reason: str
    """What to say where it does not."""


_ROWS = (
    _Row(
        ("facetool", "codeformer_fidelity"),
        lambda request: request.facetool_strength is not None,  # lines of InvokeAI have -G0
        "no face is restored (-G)",
    ),
    _Row(
        ("embiggen_strength",),
        lambda request: bool(request.embiggen or request.embiggen_tiles),
        "nothing is enlarged in tiles (-embiggen)",
    ),
    _Row(
        ("upscaler", "upscale_precision"),
        lambda request: needs_upscaler(request.embiggen, request.upscale),
        "nothing is upscaled (-U)",
    ),
)


def list_unused_settings(request: Request, defaults: Request) -> tuple[str, ...]:
    """A note for each setting of a request that has no effect. One that is also in `defaults` is
    meant for the lines that use it, and gets none."""
    changed = {name for name in FLAGS if getattr(request, name) != getattr(defaults, name)}
    notes = [
        f"{' and '.join(switches)} ignored: {row.reason}"
        for row in _ROWS
        if not row.is_used(request)
        if (switches := [FLAGS[name].names[0] for name in row.fields if name in changed])
    ]
    name = request.facetool or DEFAULT_FACETOOL
    known = {model.name: model for model in KNOWN_FACE_MODELS}.get(name.lower())
    lacks = known is not None and not known.has_fidelity  # a file says it where it is loaded
    if lacks and request.facetool_strength and "codeformer_fidelity" in changed:
        notes.append(f"-cf ignored: {name.lower()} has no fidelity, only codeformer has")
    return tuple(notes)

"""Restoring faces, as AUTOMATIC1111's clients ask for it."""

from __future__ import annotations

from typing import Any

from dream.catalogue.face_models import CODEFORMER, GFPGAN
from dream.web.client_values import ClientValues
from dream.web.refusal import Refusal

RESTORER, FIDELITY = "face_restoration_model", "code_former_weight"
"""Options of theirs."""
RESTORERS = {GFPGAN: "gfpgan", CODEFORMER: "codeformer"}
"""By the names that they have there: the values of -ft. Theirs is CodeFormer unless a client says
otherwise; ours is not, because its licence excludes commercial use."""


def read_restored_faces(
    values: ClientValues, overrides: ClientValues, status: int
) -> dict[str, Any]:
    """The fields of a Request for `restore_faces`; none if it is not wanted. Raises Refusal."""
    if not values.truth("restore_faces"):
        return {}
    name = overrides.text(RESTORER)
    restorers = {theirs.casefold(): ours for theirs, ours in RESTORERS.items()}
    facetool = restorers.get(name.casefold())
    if name not in ("", "None") and facetool is None:
        raise Refusal(404, "Face restorer not found", hint="see /sdapi/v1/face-restorers")
    fidelity = read_share(overrides, FIDELITY, status) if facetool == "codeformer" else None
    return {"facetool_strength": 1.0, "facetool": facetool, "codeformer_fidelity": fidelity}


def read_visible_faces(values: ClientValues, status: int) -> dict[str, Any]:
    """The fields of a Request for `gfpgan_visibility` and `codeformer_visibility`; none if both
    are 0. Raises Refusal."""
    gfpgan = read_share(values, "gfpgan_visibility", status)
    codeformer = read_share(values, "codeformer_visibility", status)
    if gfpgan:
        if codeformer:
            values.ignore("codeformer_visibility")
        return {"facetool_strength": gfpgan, "facetool": "gfpgan"}
    if codeformer:
        fidelity = read_share(values, "codeformer_weight", status)
        return {
            "facetool_strength": codeformer,
            "facetool": "codeformer",
            "codeformer_fidelity": fidelity,
        }
    return {}


def read_share(values: ClientValues, name: str, status: int) -> float | None:
    """A number from 0 to 1; None if there is none. Raises Refusal."""
    number = values.number(name)
    if number is not None and not 0 <= number <= 1:
        raise Refusal(status, f"“{name}” has to be from 0 to 1")
    return number

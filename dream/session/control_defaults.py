"""Resolves --control: which control model serves each control image, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dream.catalogue.control_files import find_control
from dream.catalogue.detect.control_family import UNION
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.unet_widths import read_unet_widths
from dream.core.errors import BadLine
from dream.core.request import FLAGS, Request
from dream.inputs import measure_image
from dream.options.control import BALANCED, Control
from dream.session.family_checks import check_family
from dream.session.input_images import differ_in_shape

_SETTINGS = ("control_model", "control_mode", "control_raw")


def resolve_control(
    request: Request, info: ModelInfo, models_dirs: Sequence[Path] | None, size: tuple[int, int]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The recipe's fields for control images, and notes; without `models_dirs`, no control model is
    looked up. size: of the new image, (width, height) in pixels.

    Raises BadLine for a number of control models that does not fit, ModelError for one that does
    not exist or is for other models, InputError for an image that cannot be read."""
    if not request.control:
        ignored = [FLAGS[name].names[0] for name in _SETTINGS if getattr(request, name)]
        values = {"control": None, "control_model": None, "control_mode": None}
        if not ignored:
            return values, ()
        return values, (f"{' and '.join(ignored)} ignored: there is no control image (--control)",)
    check_family(Request(control=request.control), info)
    controls = tuple(Control(*control) for control in request.control)
    names, notes = _find_models(controls, request, info, models_dirs)
    return {
        "control": controls,
        "control_model": names,
        "control_mode": None if request.control_mode == BALANCED else request.control_mode,
        "control_raw": request.control_raw,
    }, (*notes, *_list_cropped(controls, size))


def _list_cropped(controls: Sequence[Control], size: tuple[int, int]) -> tuple[str, ...]:
    """A note about the control images that do not have the shape of the new image."""
    images = dict.fromkeys(control.image for control in controls)
    cut = [Path(one).name for one in images if differ_in_shape(measure_image(Path(one)), size)]
    if not cut:
        return ()
    are = "is" if len(cut) == 1 else "are"
    return (f"{' and '.join(cut)} {are} cropped to the shape of {size[0]}x{size[1]}",)


def _find_models(
    controls: Sequence[Control],
    request: Request,
    info: ModelInfo,
    models_dirs: Sequence[Path] | None,
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The name of each one's control model: those that the line names, one for all or one for each;
    else those that are found. And notes about those that were made for other control images."""
    names: Sequence[str | None] = request.control_model or (None,)
    if len(names) == 1:
        names = (*names,) * len(controls)
    if len(names) != len(controls):
        raise BadLine(
            f"{len(names)} control models for {len(controls)} control"
            f" {'image' if len(controls) == 1 else 'images'}",
            0,
            "name one for all with --control_model, or one for each",
        )
    if models_dirs is None:
        return request.control_model, ()
    widths = read_unet_widths(info)
    found = [
        find_control(control.kind, info.family, name, models_dirs, widths)
        for control, name in zip(controls, names, strict=True)
    ]
    notes = dict.fromkeys(
        f"{model.name} is for {', '.join(model.controls)}, not for {control.kind}"
        for control, model in zip(controls, found, strict=True)
        if model.kind != UNION and model.controls and control.kind not in model.controls
    )  # a union that was not trained on it is refused where it is asked
    return tuple(model.name for model in found), tuple(notes)

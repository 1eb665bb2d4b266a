"""Reads what a client of AUTOMATIC1111's API wants, as Requests.

Unknown keys are ignored: some clients send their own passwords in the same object. Fields of
AUTOMATIC1111 that dream has no counterpart for are noted, if they have a value that matters.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dream.core.request import Request
from dream.options.foreign_names import find_sampling
from dream.options.option_type import MAX_SEED
from dream.options.syntax_table import A1111
from dream.options.variations import Variation
from dream.session import Session
from dream.web.client_values import ClientValues, get_client_defaults
from dream.web.refusal import Refusal
from dream.web.sdapi.face_fields import FIDELITY, RESTORER, read_restored_faces
from dream.web.sdapi.server_options import (
    CLIP_SKIP,
    MODEL,
    VAE,
    ServerOptions,
    read_options,
)

MAX_IMAGES = 32
"""Of one call: all are in one answer."""
INVALID = 422
"""The status for a value of the wrong kind, as FastAPI has it."""
_HIRES_STRENGTH, _HIRES_SCALE = 0.7, 2.0
"""AUTOMATIC1111's defaults."""

_UNSUPPORTED = (
    *("styles", "eta", "s_min_uncond", "s_churn", "s_tmin", "refiner_checkpoint"),
    *("firstpass_image", "script_args"),
)
_UNSUPPORTED_HIRES = (
    *("hr_second_pass_steps", "hr_checkpoint_name", "hr_sampler_name", "hr_scheduler"),
    *("hr_prompt", "hr_negative_prompt"),
)
_READ_OVERRIDES = (
    *(MODEL, VAE, CLIP_SKIP, RESTORER, FIDELITY),
    *("samples_format", "show_progress_every_n_steps"),
)
_HARMLESS = ("Automatic", "Use same checkpoint", "Use same sampler", "Use same scheduler")


@dataclass(frozen=True)
class WantedCall:
    """What one call wants."""

    first: Request
    """The request of its first image."""
    seed: int | None
    """None: as its request says."""
    count: int
    """Images; AUTOMATIC1111's image i has the seed of the first plus i."""
    batch_size: int
    task: str
    """The client's name for the call."""
    sends_images: bool
    subseed: int
    subseed_strength: float
    notes: tuple[str, ...]
    options: ServerOptions | None = None
    """What holds for later calls too."""

    def request_of(self, index: int) -> Request:
        """The request of one image, from 0."""
        if self.seed is None:
            return self.first
        if not self.subseed_strength:
            return replace(self.first, seed=_wrap(self.seed + index))
        variation = Variation(_wrap(self.subseed + index), self.subseed_strength)
        return replace(self.first, seed=self.seed, with_variations=(variation,))


def read_wanted(session: Session, chosen: ServerOptions, body: Mapping[str, Any]) -> WantedCall:
    """What POST txt2img wants, and of img2img all but its images. Raises Refusal."""
    values = ClientValues(body, INVALID)
    if values.text("script_name") not in ("", "None"):
        raise Refusal(INVALID, "scripts are not supported", hint="leave script_name out")
    overrides = ClientValues(values.table("override_settings"), INVALID)
    options = read_options(session, chosen, overrides)
    fields = {
        **get_client_defaults(session.base),
        **options.fields(),
        **_read_sampling(values),
        **_read_numbers(values),
        **read_restored_faces(values, overrides, INVALID),
    }
    batch_size = values.whole("batch_size") or 1
    count = batch_size * (values.whole("n_iter") or 1)
    if not 0 < count <= MAX_IMAGES:
        raise Refusal(INVALID, f"batch_size × n_iter has to be from 1 to {MAX_IMAGES}")
    _note_unsupported(values, overrides)
    first = Request(
        prompt=values.text("prompt"),
        negative=values.text("negative_prompt"),
        syntax=A1111,
        seamless=values.truth("tiling"),
        **fields,
    )
    strength = values.number("subseed_strength") or 0.0
    return WantedCall(
        first=first,
        seed=_read_seed(values, "seed"),
        count=count,
        batch_size=batch_size,
        task=values.text("force_task_id")[:200],
        sends_images=values.truth("send_images", True),
        subseed=_read_seed(values, "subseed"),
        subseed_strength=strength,
        notes=tuple(values.notes),
        options=None if values.truth("override_settings_restore_afterwards", True) else options,
    )


def read_hires(wanted: WantedCall, body: Mapping[str, Any]) -> WantedCall:
    """With the second pass that POST txt2img may want. Raises Refusal."""
    values = ClientValues(body, INVALID)
    if not values.truth("enable_hr"):
        return wanted
    values.note_ignored(_UNSUPPORTED_HIRES, _HARMLESS)
    if values.text("hr_upscaler") not in ("", "None", "Latent", "Lanczos"):
        values.ignore("hr_upscaler")
    first = wanted.first
    scale = values.number("hr_scale") or _HIRES_SCALE
    wide, high = values.whole("hr_resize_x"), values.whole("hr_resize_y")
    if wide or high:
        shape = (first.width or 1) / (first.height or 1)
        width, height = wide or round((high or 0) * shape), high or round((wide or 0) / shape)
    elif first.width is None or first.height is None:
        raise Refusal(INVALID, "enable_hr needs width and height")
    else:
        width, height = round(first.width * scale), round(first.height * scale)
    strength = values.number("denoising_strength")
    first = replace(
        first,
        width=width,
        height=height,
        hires_fix=_HIRES_STRENGTH if strength is None else strength,
    )
    return replace(wanted, first=first, notes=(*wanted.notes, *values.notes))


def _read_sampling(values: ClientValues) -> dict[str, Any]:
    name, plan = values.text("sampler_name", "sampler_index"), values.text("scheduler")
    found = find_sampling(name, plan)
    if name and found.sampler is None and any(one.startswith("sampler") for one in found.unknown):
        raise Refusal(404, "Sampler not found", hint="see /sdapi/v1/samplers")
    if any(one.startswith("schedule") for one in found.unknown):
        values.ignore(f"scheduler {plan}")
    fields = {"sampler": found.sampler, "schedule": found.schedule}
    if found.sampler and not found.schedule:
        fields["schedule"] = "auto"  # not that of the session's defaults
    return {key: value for key, value in fields.items() if value is not None}


def _read_numbers(values: ClientValues) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "steps": values.whole("steps"),
        "width": values.whole("width"),
        "height": values.whole("height"),
        "cfg_scale": values.number("cfg_scale"),
    }
    scale = fields["cfg_scale"]
    if scale is not None and scale < 1:
        fields["cfg_scale"] = 1.0  # there, less than 1 is still guidance
        if scale:
            values.notes.append("cfg_scale becomes 1: a smaller one is not supported")
    return {key: value for key, value in fields.items() if value is not None}


def _read_seed(values: ClientValues, name: str) -> int:
    seed = values.whole(name)
    return secrets.randbelow(MAX_SEED + 1) if seed is None or seed < 0 else _wrap(seed)


def _wrap(seed: int) -> int:
    return seed % (MAX_SEED + 1)


def _note_unsupported(values: ClientValues, overrides: ClientValues) -> None:
    values.note_ignored(_UNSUPPORTED)
    if (noise := values.number("s_noise")) is not None and noise != 1:
        values.ignore("s_noise")
    for name in ("seed_resize_from_w", "seed_resize_from_h"):
        if (values.whole(name) or 0) > 0:
            values.ignore(name)
    for name in values.table("alwayson_scripts"):
        values.ignore(str(name))
    for name in values.table("override_settings"):
        if name not in _READ_OVERRIDES:
            overrides.ignore(str(name))
    values.notes += overrides.notes

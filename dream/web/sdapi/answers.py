"""Writes the answers of AUTOMATIC1111's API: images, and `info` with all of its keys."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from dream import __version__
from dream.core.errors import GalleryError
from dream.core.events import ImageDone, Saved
from dream.core.request import NO_VAE
from dream.session.a1111_text import format_a1111
from dream.web.job import Job
from dream.web.sdapi.calls import SdapiCall
from dream.web.sdapi.face_fields import RESTORERS
from dream.web.sdapi.lists import get_sampler_name
from dream.web.sdapi.read_wanted import WantedCall

_FACE_RESTORERS = {ours: theirs for theirs, ours in RESTORERS.items()}


def write_images_answer(call: SdapiCall, wanted: WantedCall) -> dict[str, Any]:
    """The answer of txt2img and img2img. Reads the images from disk. Raises GalleryError."""
    saved = [(job, one) for job in call.finished for one in job.saved[:1]]
    images = [read_base64(one) for _, one in saved] if wanted.sends_images else []
    info = _write_info(call, wanted, saved)
    return {
        "images": images,
        "parameters": _write_parameters(wanted, info),
        "info": json.dumps(info, ensure_ascii=False),
    }


def read_base64(saved: Saved) -> str:
    """The file of a saved image. Raises GalleryError."""
    try:
        return base64.b64encode(saved.path.read_bytes()).decode()
    except OSError as error:
        raise GalleryError(f"cannot read the image: {error.strerror or error}") from error


def get_weights(job: Job) -> str:
    """The SHA-256 of the model's files, 64 hex digits, or empty."""
    done = (event for event in job.events if isinstance(event, ImageDone))
    return next((event.facts.get("weights", "") for event in done), "")


def _write_info(
    call: SdapiCall, wanted: WantedCall, saved: list[tuple[Job, Saved]]
) -> dict[str, Any]:
    requests = [one.request for _, one in saved] or [wanted.request_of(0)]
    first = requests[0]
    weights = get_weights(saved[0][0]) if saved else ""
    strength = first.strength if first.init_img else first.hires_fix
    subseeds = [
        request.with_variations[0][0] if request.with_variations else wanted.subseed
        for request in requests
    ]
    texts = [format_a1111(one.request, get_weights(job)) for job, one in saved]
    return {
        "prompt": first.prompt,
        "all_prompts": [request.prompt for request in requests],
        "negative_prompt": first.negative,
        "all_negative_prompts": [request.negative for request in requests],
        "seed": first.seed or 0,
        "all_seeds": [request.seed or 0 for request in requests],
        "subseed": subseeds[0],
        "all_subseeds": subseeds,
        "subseed_strength": wanted.subseed_strength,
        "width": first.width or 0,
        "height": first.height or 0,
        "sampler_name": get_sampler_name(first.sampler or ""),
        "cfg_scale": first.cfg_scale or 0.0,
        "steps": first.steps or 0,
        "batch_size": wanted.batch_size,
        "restore_faces": bool(first.facetool_strength),
        "face_restoration_model": _FACE_RESTORERS.get(first.facetool or ""),
        "sd_model_name": first.model or "",
        "sd_model_hash": weights[:10],
        "sd_vae_name": None if first.vae in (None, NO_VAE) else first.vae,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": strength,
        "extra_generation_params": {"dream": saved[0][1].line} if saved else {},
        "index_of_first_image": 0,
        "infotexts": texts or [""],
        "styles": [],
        "job_timestamp": call.stamp,
        "clip_skip": first.clip_skip or 1,
        "is_using_inpainting_conditioning": False,
        "version": f"dream {__version__}",
    }


def _write_parameters(wanted: WantedCall, info: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, with what it became. Nothing else of the body is repeated: some clients
    send passwords in it."""
    names = (
        *("prompt", "negative_prompt", "seed", "subseed", "subseed_strength", "width", "height"),
        *("sampler_name", "cfg_scale", "steps", "batch_size", "denoising_strength", "styles"),
        "restore_faces",
    )
    return {
        **{name: info[name] for name in names},
        "n_iter": wanted.count // wanted.batch_size,
        "scheduler": wanted.first.schedule or "automatic",
        "tiling": wanted.first.seamless,
        "send_images": wanted.sends_images,
        "save_images": True,
        "init_images": None,
    }

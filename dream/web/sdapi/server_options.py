"""The options that a client sets for all of its later requests: POST /sdapi/v1/options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dream.commands.model_text import get_active_model
from dream.core.request import NO_VAE
from dream.session import Session
from dream.web.client_values import ClientValues
from dream.web.refusal import Refusal
from dream.web.sdapi.model_titles import (
    AUTOMATIC_VAE,
    find_model,
    find_vae,
    get_digest,
    make_title,
)

MODEL, VAE, CLIP_SKIP = "sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers"
_FIXED: Mapping[str, Any] = {
    "samples_save": True,
    "samples_format": "png",
    "grid_save": False,
    "return_grid": False,
    "save_images_add_number": True,
    "enable_pnginfo": True,
    "sd_checkpoints_limit": 1,
    "show_progress_every_n_steps": 1,
    "live_previews_enable": True,
    "live_previews_image_format": "png",
    "upscaler_for_img2img": None,
    "eta_noise_seed_delta": 0,
    "img2img_background_color": "#ffffff",
    "initial_noise_multiplier": 1.0,
    "img2img_fix_steps": True,
    "randn_source": "CPU",
    "sd_model_refiner": None,
}


@dataclass(frozen=True)
class ServerOptions:
    """What clients have chosen. It holds for this API only, not at the prompt."""

    model: str | None = None
    vae: str | None = None
    clip_skip: int | None = None

    def fields(self) -> dict[str, Any]:
        """The fields of a Request that were chosen."""
        values = {"model": self.model, "vae": self.vae, "clip_skip": self.clip_skip}
        return {name: value for name, value in values.items() if value is not None}


def read_options(session: Session, before: ServerOptions, values: ClientValues) -> ServerOptions:
    """The options after a client has set some of them; others are not changed. Raises Refusal for
    a model or a VAE that is not here."""
    model, vae, clip_skip = before.model, before.vae, before.clip_skip
    if title := values.text(MODEL):
        model = find_model(session.registry, title)
        if model is None:
            raise Refusal(404, "there is no such model", hint="see /sdapi/v1/sd-models")
    if name := values.text(VAE):
        vae = find_vae(session.registry, name)
        if vae is None:
            raise Refusal(404, "there is no such VAE", hint="see /sdapi/v1/sd-vae")
    if (layers := values.whole(CLIP_SKIP)) is not None:
        # 1 is what a client sends that does not care: then the model's own setting holds.
        clip_skip = layers if layers > 1 else None
    return ServerOptions(model, vae or None, clip_skip)


def describe_options(session: Session, chosen: ServerOptions) -> dict[str, Any]:
    """The options as AUTOMATIC1111 has them, those that there are here."""
    name = chosen.model or get_active_model(session)
    path = session.registry.find_paths().get(name)
    vae = chosen.vae or session.base.vae
    return {
        **_FIXED,
        MODEL: make_title(name, path) if path else name,
        "sd_checkpoint_hash": get_digest(path) if path else "",
        VAE: "None" if vae == NO_VAE else vae or AUTOMATIC_VAE,
        CLIP_SKIP: chosen.clip_skip or session.base.clip_skip or 1,
    }


def note_unknown(session: Session, chosen: ServerOptions, body: Mapping[str, Any]) -> list[str]:
    """Notes about options that a client has set and that there are not. Some clients send back all
    of them, with one changed."""
    values, known = ClientValues(body), describe_options(session, chosen)
    for name, value in body.items():
        if name not in (MODEL, VAE, CLIP_SKIP) and known.get(name) != value:
            values.ignore(name)
    return values.notes

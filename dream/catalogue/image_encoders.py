"""The image encoders that IP-Adapters were trained with: found by shape, or downloaded when they
are first used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dream.catalogue.image_prompt_files import (
    ImagePromptModel,
    find_image_encoder,
    get_image_prompt_model,
)
from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.registry import ModelRegistry
from dream.core.errors import ModelError

_HUB, _OPENAI = "h94/IP-Adapter", "openai/clip-vit-large-patch14"
_FOLDER = "clip_vision"


class _Encoder(NamedTuple):
    """A published encoder."""

    name: str
    path: str
    """In the repository."""
    projection: int
    layers: int
    hub: str = _HUB


_ENCODERS = (
    _Encoder(
        "CLIP-ViT-H-14-laion2B-s32B-b79K", "models/image_encoder/model.safetensors", 1024, 1280
    ),
    _Encoder(
        "CLIP-ViT-bigG-14-laion2B-39B-b160k",
        "sdxl_models/image_encoder/model.safetensors",
        1280,
        1664,
    ),
    _Encoder("clip-vit-large-patch14", "model.safetensors", 768, 1024, _OPENAI),
)
"""Those of the IP-Adapters of Ye et al. and of XLabs, by the widths that their files have."""


def find_with_encoder(
    name: str,
    registry: ModelRegistry,
    on_progress: Callable[[int, int], None],
    on_message: Callable[[str], None],
) -> tuple[ImagePromptModel, Path]:
    """An IP-Adapter by name or path, and the file of its encoder, downloaded if there is none.
    Raises ModelError, FetchError."""
    model = get_image_prompt_model(name, registry.models_dirs)
    return model, ensure_image_encoder(model, registry, on_progress, on_message)


def ensure_image_encoder(
    model: ImagePromptModel,
    registry: ModelRegistry,
    on_progress: Callable[[int, int], None],
    on_message: Callable[[str], None],
) -> Path:
    """The file of an IP-Adapter's encoder, downloaded if there is none. Raises ModelError,
    FetchError."""
    width, layers = model.encoder_width, model.reads_layers
    found = find_image_encoder(width, layers, registry.models_dirs)
    if found is not None:
        return found
    wanted = next(
        (one for one in _ENCODERS if width == (one.layers if layers else one.projection)), None
    )
    folder = find_writable_dir(registry.models_dirs) / _FOLDER
    if wanted is None:
        raise ModelError(
            f"{model.name} needs a CLIP vision encoder {width:,} wide, and there is none",
            f"put it into {_FOLDER}/ in a models folder",
        )
    target = folder / f"{wanted.name}.safetensors"
    if registry.offline:
        raise ModelError(
            f"{model.name} needs {wanted.name}, which is not downloaded, and --offline is set",
            f"download {wanted.path} of {wanted.hub} from the hub to {target} yourself",
        )
    from dream.catalogue.hub import download_file  # imports network code only when needed

    on_message(f"downloading {wanted.name}, the image encoder of {model.name}, to {target}")
    download_file(wanted.hub, wanted.path, target, on_progress, on_message, registry.hub_mirror)
    return target

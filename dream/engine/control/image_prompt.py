"""IP-Adapters: a denoiser attends to images beside the words, for one image (Ye et al. 2023,
arXiv:2308.06721). Nothing of the model is changed for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dream.catalogue.detect.require import require_supported
from dream.catalogue.image_prompt_files import ImagePromptModel
from dream.core.errors import ModelError
from dream.engine.control.image_prompt_parts import DenoiserParts, find_parts
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.memory.device import Placement

_MISMATCHES = (KeyError, IndexError, RuntimeError, ValueError)
_MISSING = object()


@dataclass(frozen=True)
class LoadedImagePromptModel:
    """An IP-Adapter in memory, for one model."""

    info: ImagePromptModel
    projection: Any
    """From what the encoder says to tokens, as wide as those of the text."""
    layers: tuple[tuple[nn.Linear, nn.Linear], ...]
    """Keys and values of each attention that it adds to, in the denoiser's order."""
    parts: DenoiserParts


class ActiveImagePrompt(NamedTuple):
    """An image prompt of one image: see `ImageEncoder.encode`."""

    weight: float
    state: Tensor
    """What the encoder says of the image."""
    no_image: Tensor
    """The same for the negative prompt."""


def require_parts(pipe: Any, model: str) -> tuple[Any, DenoiserParts]:
    """The denoiser of a pipeline, and where an IP-Adapter acts in it. Raises ModelError."""
    if (found := find_parts(pipe)) is None:
        raise ModelError(
            f"{model} does not support --image_prompt",
            "it is for Stable Diffusion 1, 2 and XL, and FLUX.1",
        )
    return found


def load_image_prompt_model(
    info: ImagePromptModel, pipe: Any, placement: Placement, model: str
) -> LoadedImagePromptModel:
    """Load an IP-Adapter for a pipeline's denoiser; `model` is its name for messages. Raises
    ModelError for a file that is broken or does not fit, and for a denoiser that takes none."""
    denoiser, parts = require_parts(pipe, model)
    mapped = open_tensors(info.path, require_supported(info.path).format)
    device, dtype = placement.device, placement.dtype
    try:
        projection = parts.build_projection(denoiser, mapped.tensors)
        layers = parts.build_layers(denoiser, mapped.tensors)
    except _MISMATCHES as error:
        message = f"{info.path} does not fit {model}, or is incomplete"
        raise ModelError(message, "choose another --image_prompt_model") from error
    for pair, (name, layer) in zip(layers, parts.find_attentions(denoiser), strict=True):
        own = parts.measure(denoiser, layer)
        if any((one.in_features, one.out_features) != own for one in pair):
            raise ModelError(
                f"{info.path} does not fit {model}: {name} has another width",
                "choose another --image_prompt_model",
            )
    for module in (projection, *(linear for pair in layers for linear in pair)):
        module.to(device=device, dtype=dtype).requires_grad_(False).eval()
    return LoadedImagePromptModel(info, projection, tuple(layers), parts)


@contextmanager
def use_image_prompts(
    denoiser: Any, loaded: LoadedImagePromptModel | None, prompts: Sequence[ActiveImagePrompt]
) -> Iterator[None]:
    """While the denoiser attends to these images; undone at the end. They reach it by
    `make_embeds` in a pipeline's `ip_adapter_image_embeds`; without any, nothing changes."""
    if loaded is None or not prompts:
        yield
        return
    attentions = loaded.parts.find_attentions(denoiser)
    own = [(layer, layer.processor) for _, layer in attentions]
    config = denoiser._internal_dict
    hidden = getattr(denoiser, "encoder_hid_proj", _MISSING)
    weights = [one.weight for one in prompts]
    try:
        for (_, layer), pair in zip(attentions, loaded.layers, strict=True):
            layer.set_processor(loaded.parts.make_processor(pair, weights))
        denoiser.encoder_hid_proj = _Projected(len(prompts))
        denoiser.register_to_config(encoder_hid_dim_type="ip_image_proj")
        yield
    finally:
        denoiser._internal_dict = config
        if hidden is _MISSING:
            del denoiser.encoder_hid_proj
        else:
            denoiser.encoder_hid_proj = hidden
        for layer, processor in own:
            layer.set_processor(processor)


def make_embeds(
    loaded: LoadedImagePromptModel, prompts: Sequence[ActiveImagePrompt], *, guided: bool
) -> list[Tensor]:
    """The pipeline's `ip_adapter_image_embeds`: for each image its tokens, (rows, 1, tokens,
    width); with guidance, those of no image are the first row."""
    like = next(loaded.projection.parameters())
    with torch.no_grad():
        return [
            loaded.projection(
                torch.cat([one.no_image, one.state] if guided else [one.state]).to(like)
            )[:, None]
            for one in prompts
        ]


class _Projected(nn.Module):
    """In the place of the projection: the tokens are computed once, not at every step."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.num_ip_adapters = images

    def forward(self, image_embeds: list[Tensor]) -> list[Tensor]:
        return image_embeds

"""IP-Adapters: a UNet attends to images beside the words, for one image (Ye et al. 2023,
arXiv:2308.06721). Nothing of the model is changed for good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from diffusers.loaders.unet import UNet2DConditionLoadersMixin
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from torch import Tensor, nn

from dream.catalogue.detect.require import require_supported
from dream.catalogue.image_prompt_files import ImagePromptModel
from dream.core.errors import ModelError
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.memory.device import Placement

_PROJECTION, _ATTENTION = "image_proj.", "ip_adapter."
_MISMATCHES = (KeyError, IndexError, RuntimeError, ValueError)


@dataclass(frozen=True)
class LoadedImagePromptModel:
    """An IP-Adapter in memory, for one model."""

    info: ImagePromptModel
    projection: Any
    """From what the encoder says to tokens, as wide as those of the text."""
    layers: tuple[tuple[nn.Linear, nn.Linear], ...]
    """Keys and values of each cross-attention of the UNet, in its order."""


class ActiveImagePrompt(NamedTuple):
    """An image prompt of one image: see `ImageEncoder.encode`."""

    weight: float
    state: Tensor
    """What the encoder says of the image."""
    no_image: Tensor
    """The same for the negative prompt."""


def load_image_prompt_model(
    info: ImagePromptModel, unet: Any, placement: Placement, model: str
) -> LoadedImagePromptModel:
    """Load an IP-Adapter for a UNet; `model` is its name for messages. Raises ModelError for a file
    that is broken or does not fit."""
    mapped = open_tensors(info.path, require_supported(info.path).format)
    device, dtype = placement.device, placement.dtype
    convert = UNet2DConditionLoadersMixin._convert_ip_adapter_image_proj_to_diffusers
    try:
        projection = convert(unet, _take(mapped.tensors, _PROJECTION), low_cpu_mem_usage=False)
        attention = _take(mapped.tensors, _ATTENTION)
        layers = [
            tuple(_build_linear(attention[f"{2 * n + 1}.to_{x}_ip.weight"]) for x in "kv")
            for n, _ in enumerate(_find_attentions(unet))
        ]
    except _MISMATCHES as error:
        message = f"{info.path} does not fit {model}, or is incomplete"
        raise ModelError(message, "choose another --image_prompt_model") from error
    for (keys, values), (name, layer) in zip(layers, _find_attentions(unet), strict=True):
        own = (layer.to_k.in_features, layer.to_k.out_features)
        if any((one.in_features, one.out_features) != own for one in (keys, values)):
            raise ModelError(
                f"{info.path} does not fit {model}: {name} has another width",
                "choose another --image_prompt_model",
            )
    for module in (projection, *(linear for pair in layers for linear in pair)):
        module.to(device=device, dtype=dtype).requires_grad_(False).eval()
    return LoadedImagePromptModel(info, projection, tuple((k, v) for k, v in layers))


@contextmanager
def use_image_prompts(
    unet: Any, loaded: LoadedImagePromptModel | None, prompts: Sequence[ActiveImagePrompt]
) -> Iterator[None]:
    """While the UNet attends to these images; undone at the end. They reach it by
    `make_embeds` in a pipeline's `ip_adapter_image_embeds`; without any, nothing changes."""
    if loaded is None or not prompts:
        yield
        return
    attentions = _find_attentions(unet)
    own = [(layer, layer.processor) for _, layer in attentions]
    config, hidden = unet._internal_dict, unet.encoder_hid_proj
    try:
        for (_, layer), pair in zip(attentions, loaded.layers, strict=True):
            layer.set_processor(_make_processor(pair, prompts))
        unet.encoder_hid_proj = _Projected()
        unet.register_to_config(encoder_hid_dim_type="ip_image_proj")
        yield
    finally:
        unet._internal_dict, unet.encoder_hid_proj = config, hidden
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

    def forward(self, image_embeds: list[Tensor]) -> list[Tensor]:
        return image_embeds


def _make_processor(
    pair: tuple[nn.Linear, nn.Linear], prompts: Sequence[ActiveImagePrompt]
) -> IPAdapterAttnProcessor2_0:
    keys, values = pair
    with torch.device("meta"):
        processor = IPAdapterAttnProcessor2_0(
            keys.out_features,
            keys.in_features,
            num_tokens=[4] * len(prompts),  # not read
            scale=[one.weight for one in prompts],
        )
    processor.to_k_ip = nn.ModuleList([keys] * len(prompts))
    processor.to_v_ip = nn.ModuleList([values] * len(prompts))
    return processor


def _find_attentions(unet: Any) -> list[tuple[str, Any]]:
    """The cross-attentions, in the order in which IP-Adapters count them."""
    return [
        (name.removesuffix(".processor"), unet.get_submodule(name.removesuffix(".processor")))
        for name in unet.attn_processors
        if name.endswith("attn2.processor")
    ]


def _take(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _build_linear(weight: Tensor) -> nn.Linear:
    outputs, inputs = weight.shape
    with torch.device("meta"):
        linear = nn.Linear(inputs, outputs, bias=False)
    linear.weight = nn.Parameter(weight.clone(), requires_grad=False)
    return linear

"""Finds the layer of a loaded model that a LoRA's layer name means.

Names are compared with underscores for dots, as kohya's trainer writes them, so one table serves
every spelling. Stable Diffusion's denoiser has two sets of names, those of diffusers and those of
the original code (`input_blocks.4.1`), and LoRAs use both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

_DENOISERS = ("unet", "transformer")
_DENOISER_PREFIXES = (
    "lora_unet_",
    "lora_transformer_",
    "lycoris_",
    "lycoris_unet_",
    "unet_",
    "transformer_",
    "diffusion_model_",
    "model_diffusion_model_",
    "base_model_model_",
    "",
)
_TEXT_PREFIXES = {
    "text_encoder": (
        "lora_te_",
        "lora_te1_",
        "text_encoder_",
        "text_encoder_base_model_model_",
        "text_encoders_clip_l_transformer_",
        "lycoris_te_",
        "lycoris_te1_",
    ),
    "text_encoder_2": (
        "lora_te2_",
        "text_encoder_2_",
        "text_encoders_clip_g_transformer_",
        "lycoris_te2_",
    ),
    "text_encoder_3": ("lora_te3_", "text_encoder_3_", "text_encoders_t5xxl_transformer_"),
}
"""Prefixes of a component's layers. The component names are those of diffusers' pipelines."""


class Place(NamedTuple):
    """A layer of a loaded model."""

    component: str
    """"unet", "transformer", "text_encoder" …"""
    name: str
    """The layer's name in the component."""
    layer: nn.Module

    @property
    def key(self) -> str:
        """Unique in the model; sorting by it gives one order on every machine."""
        return f"{self.component}.{self.name}"

    @property
    def is_text(self) -> bool:
        """Whether it belongs to a text encoder."""
        return self.component not in _DENOISERS


Places = Mapping[str, Place]
"""Layers by their names as LoRA files have them, with underscores for dots."""


def flatten_name(name: str) -> str:
    """A layer's name as it is looked up in `Places`."""
    return name.replace(".", "_")


def find_places(components: Mapping[str, Any]) -> dict[str, Place]:
    """Every layer with weights of a pipeline's denoiser and text encoders, by each of its names."""
    places: dict[str, Place] = {}
    for component in _DENOISERS:
        if isinstance(part := components.get(component), nn.Module):
            original = dict(_original_names(part)) if component == "unet" else {}
            for name, layer in _layers(part):
                for spelled in {name, original.get(name, name)}:
                    for prefix in _DENOISER_PREFIXES:
                        places[prefix + flatten_name(spelled)] = Place(component, name, layer)
    for component, prefixes in _TEXT_PREFIXES.items():
        if component == "text_encoder_2" and components.get("text_encoder_3") is None:
            prefixes += _TEXT_PREFIXES["text_encoder_3"]  # the T5 of FLUX.1
        if isinstance(part := components.get(component), nn.Module):
            for name, layer in _layers(part):
                short = name.removeprefix("text_model.")
                for spelled in {name, short, f"text_model.{short}"}:
                    for prefix in prefixes:
                        places[prefix + flatten_name(spelled)] = Place(component, name, layer)
    return places


def _layers(part: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, layer in part.named_modules():
        if name and ("weight" in layer._parameters or is_parametrized(layer, "weight")):
            yield name, layer


_IN_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OUTSIDE_BLOCKS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_IN_BLOCK = re.compile(
    r"(?P<side>down|up|mid)_blocks?\.(?:(?P<block>\d+)\.)?"
    r"(?P<kind>resnets|attentions|downsamplers|upsamplers)\.(?P<number>\d+)\.(?P<rest>.+)"
)


def _original_names(unet: nn.Module) -> Iterator[tuple[str, str]]:
    """diffusers' layer names of a Stable Diffusion UNet → those of the original code."""
    config: Any = getattr(unet, "config", None)
    layers = getattr(config, "layers_per_block", None)
    if not isinstance(layers, int):
        return
    for name, _ in _layers(unet):
        if name in _OUTSIDE_BLOCKS:
            yield name, _OUTSIDE_BLOCKS[name]
        elif match := _IN_BLOCK.fullmatch(name):
            yield name, _in_block(unet, layers, match)


def _in_block(unet: Any, layers: int, match: re.Match[str]) -> str:
    kind, rest = match["kind"], match["rest"]
    number, block = int(match["number"]), int(match["block"] or 0)
    if kind == "resnets":
        rest = _IN_RESNET.get(rest, rest)
    if match["side"] == "mid":
        return f"middle_block.{2 * number if kind == 'resnets' else 2 * number + 1}.{rest}"
    if match["side"] == "down":
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.{rest.replace('conv', 'op')}"
        where = 1 + block * (layers + 1) + number
        return f"input_blocks.{where}.{int(kind == 'attentions')}.{rest}"
    if kind == "upsamplers":
        attended = bool(getattr(unet.up_blocks[block], "attentions", None))
        return f"output_blocks.{block * (layers + 1) + layers}.{1 + attended}.{rest}"
    return f"output_blocks.{block * (layers + 1) + number}.{int(kind == 'attentions')}.{rest}"

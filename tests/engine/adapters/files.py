"""Files of LoRAs for a small model, in the spelling of each trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.engine.adapters import layers
from tests.single_files import unet_name

Spell = Callable[[Any, str, str], str]
"""Pipeline, component and layer name to how a file names the layer."""

_LEAVES = {"down": "lora_down.weight", "up": "lora_up.weight", "mid": "lora_mid.weight"} | {
    f"glora_{name}": f"{name}.weight" for name in ("a1", "a2", "b1", "b2")
}
_LEAVES |= {"ia3": "weight", "magnitude": "lora_magnitude_vector"}
_PEFT = _LEAVES | {"down": "lora_A.weight", "up": "lora_B.weight"}
_OLD = _LEAVES | {"down": "lora.down.weight", "up": "lora.up.weight"}


def _original(pipe: Any, name: str) -> str:
    return unet_name(f"{name}.weight", pipe.unet.config).removesuffix(".weight")


def _wrapped(name: str) -> str:
    """As transformers named CLIP's layers for years."""
    return name if name.startswith("text_") else f"text_model.{name}"


def kohya(pipe: Any, component: str, name: str) -> str:
    """diffusers' names in kohya's spelling."""
    if component == "unet":
        return "lora_unet_" + name.replace(".", "_")
    two = hasattr(pipe, "text_encoder_2")
    prefix = {"text_encoder": "lora_te1_" if two else "lora_te_", "text_encoder_2": "lora_te2_"}
    return prefix[component] + _wrapped(name).replace(".", "_")


def kohya_xl(pipe: Any, component: str, name: str) -> str:
    """The original code's names in kohya's spelling."""
    return kohya(pipe, component, _original(pipe, name) if component == "unet" else name)


def comfy(pipe: Any, component: str, name: str) -> str:
    """ComfyUI's prefixes before the original code's names."""
    if component == "unet":
        return f"diffusion_model.{_original(pipe, name)}"
    part = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}[component]
    return f"text_encoders.{part}.transformer.{_wrapped(name)}"


def dotted(pipe: Any, component: str, name: str) -> str:
    """diffusers' own."""
    return f"{component}.{name if component == 'unet' else _wrapped(name)}"


def bare(pipe: Any, component: str, name: str) -> str:
    """PEFT's, of a denoiser alone."""
    return f"base_model.model.{name}"


def old(pipe: Any, component: str, name: str) -> str:
    """diffusers' before 0.17: the projections of attention only."""
    layer, _, projection = name.removesuffix(".0").rpartition(".")
    return f"unet.{layer}.processor.{projection}_"


@dataclass(frozen=True)
class Spelling:
    """How a trainer names layers, and what is in them."""

    spell: Spell
    leaves: Mapping[str, str]
    join: str = "."


SPELLINGS = {
    "kohya": Spelling(kohya, _LEAVES),
    "kohya-xl": Spelling(kohya_xl, _LEAVES),
    "comfy": Spelling(comfy, _LEAVES),
    "comfy-peft": Spelling(comfy, _PEFT),
    "peft": Spelling(dotted, _PEFT),
    "peft-bare": Spelling(bare, _PEFT),
    "diffusers-old": Spelling(old, _OLD, ""),
    "diffusers-linear-layer": Spelling(
        dotted,
        _LEAVES | {"down": "lora_linear_layer.down.weight", "up": "lora_linear_layer.up.weight"},
    ),
}


def write(
    path: Path,
    pipe: Any,
    parts: Mapping[tuple[str, str], layers.Leaves],
    spelling: Spelling = SPELLINGS["kohya"],
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write the tensors of these (component, layer)."""
    tensors: dict[str, torch.Tensor] = {}
    for (component, name), leaves in parts.items():
        layer = spelling.spell(pipe, component, name)
        for leaf, tensor in leaves.items():
            tensors[f"{layer}{spelling.join}{spelling.leaves.get(leaf, leaf)}"] = tensor.clone()
    save_file(tensors, path, metadata)
    return path


def weight_of(pipe: Any, component: str, name: str) -> torch.Tensor:
    """The weight of a layer, as it is now; a copy."""
    parameter: torch.Tensor = getattr(pipe, component).get_parameter(f"{name}.weight")
    return parameter.detach().clone()

"""Builds the VAEs of models in several files, from the shapes of their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import diffusers
import torch
from accelerate import init_empty_weights
from diffusers.loaders.single_file_utils import (
    convert_autoencoder_dc_checkpoint_to_diffusers,
    convert_ldm_vae_checkpoint,
    convert_wan_vae_to_diffusers,
)

from dream.catalogue.detect import DetectedModel
from dream.engine.loading.config_from_shapes import infer_vae_config
from dream.engine.loading.loaded_weights import use_plain_layout
from dream.engine.loading.mmap_file import MappedFile
from dream.engine.loading.weight_copy import load_weights
from dream.engine.memory.device import Placement

Tensors = dict[str, torch.Tensor]

_LDM = "first_stage_model."
_SCALE = ("scaling_factor", "shift_factor")


def load_vae_of_kind(
    kind: str, tensors: Tensors, detected: DetectedModel, placement: Placement, mapped: MappedFile
) -> Any:
    """A VAE of a kind of the table of VAEs, except the usual one (see `single_file.load_vae`).

    Raises KeyError for a weight that lacks, ModelError for one that is not used.
    """
    model, weights = OTHER_VAES[kind](tensors, detected)
    loaded = load_weights(model, weights, detected.path, placement, (mapped,))
    films = any(weight.ndim > 4 for weight in loaded.parameters())
    return use_plain_layout(loaded) if films else loaded


def _flux2(tensors: Tensors, detected: DetectedModel) -> tuple[Any, Tensors]:
    """FLUX.2's: the usual one with a batch norm over its latents."""
    norm = {name: tensor for name, tensor in tensors.items() if name.startswith("bn.")}
    norm.setdefault("bn.num_batches_tracked", torch.zeros((), dtype=torch.long))
    own = {_quant_name(n): t for n, t in tensors.items() if n not in norm}
    config, converted = infer_vae_config(own, detected), own
    if "encoder.down_blocks.0.resnets.0.conv1.weight" not in own:
        converted = convert_ldm_vae_checkpoint({_LDM + n: t for n, t in own.items()}, config)
    config = {key: value for key, value in config.items() if key not in _SCALE}
    with init_empty_weights():
        model = diffusers.AutoencoderKLFlux2.from_config(
            {**config, "use_post_quant_conv": "post_quant_conv.weight" in own}
        )
    return model, {**converted, **norm}


def _quant_name(name: str) -> str:
    """Black Forest Labs' files have these inside the encoder and the decoder."""
    for start in ("encoder.quant_conv.", "decoder.post_quant_conv."):
        if name.startswith(start):
            return name.partition(".")[2]
    return name


def _qwen(tensors: Tensors, detected: DetectedModel) -> tuple[Any, Tensors]:
    """Qwen-Image's, which is Wan's for films."""
    original = "encoder.conv1.weight" in tensors
    converted = convert_wan_vae_to_diffusers(dict(tensors)) if original else tensors
    with init_empty_weights():
        model = diffusers.AutoencoderKLQwenImage.from_config(_qwen_config(converted))
    return model, converted


def _qwen_config(shapes: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Without it, the means and deviations of latents are the published ones: of 16 channels."""
    return {
        "base_dim": shapes["encoder.conv_in.weight"].shape[0],
        "z_dim": shapes["decoder.conv_in.weight"].shape[1],
    }


def _dc(tensors: Tensors, detected: DetectedModel) -> tuple[Any, Tensors]:
    """Sana's: the deep compression autoencoder of 32 x 32 pixels (Chen et al. 2024,
    arXiv:2410.10733)."""
    original = "encoder.project_in.conv.weight" in tensors
    converted: Tensors = (
        convert_autoencoder_dc_checkpoint_to_diffusers(dict(tensors)) if original else tensors
    )
    with init_empty_weights():
        model = diffusers.AutoencoderDC.from_config(_dc_config(converted))
    return model, converted


def _dc_config(shapes: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """What shapes do not say is as in Sana's."""
    config: dict[str, Any] = {
        "latent_channels": shapes["decoder.conv_in.weight"].shape[1],
        "downsample_block_type": "conv",
        "upsample_block_type": "interpolate",
        "scaling_factor": 0.41407,
    }
    for side, blocks in (("encoder", "down_blocks"), ("decoder", "up_blocks")):
        levels = [_dc_level(shapes, f"{side}.{blocks}.{n}.") for n in range(_DC_LEVELS)]
        levels = [level for level in levels if level.layers]
        config |= {
            f"{side}_block_out_channels": [level.channels for level in levels],
            f"{side}_layers_per_block": [level.layers for level in levels],
            f"{side}_block_types": [
                "EfficientViTBlock" if level.kernel else "ResBlock" for level in levels
            ],
            f"{side}_qkv_multiscales": [
                (level.kernel,) if level.kernel else () for level in levels
            ],
        }
    return config


_DC_LEVELS = 10
"""At most."""


class _Level(NamedTuple):
    channels: int
    layers: int
    kernel: int
    """Of its attention; 0 if it has none."""


def _dc_level(shapes: Mapping[str, torch.Tensor], start: str) -> _Level:
    """A level's blocks, without the one that halves or doubles its sides."""
    channels = layers = kernel = 0
    for name, tensor in shapes.items():
        if not name.startswith(start):
            continue
        if name.endswith((".conv2.weight", ".attn.to_out.weight")):
            channels, layers = tensor.shape[0], layers + 1
        elif name.endswith(".attn.to_qkv_multiscale.0.proj_in.weight"):
            kernel = tensor.shape[-1]
    return _Level(channels, layers, kernel)


OTHER_VAES: Mapping[str, Callable[[Tensors, DetectedModel], tuple[Any, Tensors]]] = {
    "dc": _dc,
    "flux2": _flux2,
    "qwen": _qwen,
}
"""By the key of a row in the table of VAEs: the model without weights, and its weights."""

"""Control models that have learnt nothing, in the layouts of the real ones; made in a moment."""

from __future__ import annotations

from typing import Any

import torch

from tests.single_files import unet_name

Tensors = dict[str, torch.Tensor]

_ENDS = {
    "controlnet_mid_block": "middle_block_out.0",
    "controlnet_cond_embedding.conv_in": "input_hint_block.0",
}


def random_controlnet(family: str, kind: str = "ControlNetModel", **config: Any) -> Any:
    """A ControlNet of Stable Diffusion 1, 2 or XL with 32 and 64 channels, no weight of it zero."""
    import diffusers

    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = getattr(diffusers, kind)(**{**_config(family), **config})
        for parameter in model.parameters():
            parameter.data = 0.05 * torch.randn_like(parameter)
    return model.eval().to(memory_format=torch.channels_last)  # as they are loaded


def _config(family: str) -> dict[str, Any]:
    common: dict[str, Any] = {
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "conditioning_embedding_out_channels": (8, 16),
        "cross_attention_dim": {"sd1": 768, "sd2": 1024, "sdxl": 2048}[family],
    }
    if family == "sd1":
        return {**common, "attention_head_dim": 8}
    wide = {**common, "attention_head_dim": (1, 1), "use_linear_projection": True}
    if family == "sd2":
        return {**wide, "upcast_attention": True}
    return {
        **wide,
        "transformer_layers_per_block": (2, 2),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }


def original_controlnet(model: Any, prefix: str = "control_model.") -> Tensors:
    """The weights of a ControlNet by lllyasviel's names."""
    return {
        prefix + _original_name(name, model.config): tensor.contiguous().clone()
        for name, tensor in model.state_dict().items()
    }


def _original_name(name: str, config: Any) -> str:
    for new, old in _ENDS.items():
        if name.startswith(new + "."):
            return old + name.removeprefix(new)
    many = 2 * (len(config.conditioning_embedding_out_channels) - 1)
    if name.startswith("controlnet_cond_embedding.conv_out."):
        return f"input_hint_block.{2 * many + 2}." + name.rpartition(".")[2]
    if name.startswith("controlnet_cond_embedding.blocks."):
        *_, number, last = name.split(".")
        return f"input_hint_block.{2 * int(number) + 2}.{last}"
    if name.startswith("controlnet_down_blocks."):
        _, number, last = name.split(".")
        return f"zero_convs.{number}.0.{last}"
    return unet_name(name, config)

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


def draw_weights(net: Any, seed: int, scale: float = 0.05) -> Any:
    """The network with all its weights drawn: new ControlNets have layers of zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for parameter in net.parameters():
            parameter.data = scale * torch.randn_like(parameter)
    return net


def random_controlnet(family: str, kind: str = "ControlNetModel", **config: Any) -> Any:
    """A ControlNet of Stable Diffusion 1, 2 or XL with 32 and 64 channels, no weight of it zero."""
    import diffusers

    model = draw_weights(getattr(diffusers, kind)(**{**_config(family), **config}), seed=7)
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


def random_union() -> Any:
    return random_controlnet(
        "sdxl", "ControlNetUnionModel", num_control_type=6, num_trans_channel=32,
        num_proj_channel=32,
    )  # fmt: skip


def random_unet() -> Any:
    """A UNet of Stable Diffusion XL with the widths of `random_controlnet`."""
    from diffusers import UNet2DConditionModel

    config = {
        name: value
        for name, value in _config("sdxl").items()
        if not name.startswith("conditioning_")
    }
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return UNet2DConditionModel(
            **config, up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), sample_size=8
        ).eval()


def as_control_lora(net: Any, unet: Any, rank: int = 4) -> tuple[Tensors, Tensors]:
    """The tensors of a control-LoRA, and the weights of the ControlNet that it stands for: the
    UNet's, with differences of low rank where the UNet has matrices and kernels."""
    generator = torch.Generator().manual_seed(11)
    base = unet.state_dict()
    file: Tensors = {"lora_controlnet": torch.zeros(0)}
    whole: Tensors = {}
    for name, own in net.state_dict().items():
        old = _original_name(name, net.config)
        if name not in base:
            file[old], whole[name] = own.contiguous().clone(), own
        elif own.ndim < 2:  # some are stored, and some are the base model's
            whole[name] = base[name]
            if "norm" in name:
                file[old] = whole[name] = own.contiguous().clone()
        else:
            up = torch.randn(own.shape[0], rank, generator=generator)
            down = torch.randn(rank, own[0].numel(), generator=generator) * 0.01
            stem = old.removesuffix("weight")
            kernel = own.ndim == 4
            file[stem + "up"] = up[..., None, None] if kernel else up
            file[stem + "down"] = down.reshape(rank, *own.shape[1:]) if kernel else down
            whole[name] = base[name] + (up @ down).reshape(own.shape)
    return file, whole


def random_t2i_adapter(kind: str) -> Any:
    """kind: "full_adapter", "full_adapter_xl" or "light_adapter"."""
    from diffusers import T2IAdapter

    with torch.random.fork_rng():
        torch.manual_seed(9)
        model = T2IAdapter(
            in_channels=3,
            channels=[16, 32, 64] if kind == "light_adapter" else [16, 32, 64, 64],
            num_res_blocks=2,
            downscale_factor=16 if kind.endswith("xl") else 8,
            adapter_type=kind,
        )
    return model.eval().to(memory_format=torch.channels_last)


def original_t2i_adapter(model: Any) -> Tensors:
    """The weights of a T2I-Adapter by Tencent's names."""
    result: Tensors = {}
    for name, tensor in model.state_dict().items():
        old = name.removeprefix("adapter.")
        _, level, part, *rest = (*old.split("."), "", "")
        if model.config.adapter_type == "light_adapter":
            old = old.replace(".resnets.", ".body.")
        elif part == "resnets":
            old = f"body.{int(level) * 2 + int(rest[0])}." + ".".join(filter(None, rest[1:]))
        elif part == "in_conv":
            old = f"body.{int(level) * 2}.in_conv.{rest[0]}"
        result[old] = tensor.contiguous().clone()
    return result

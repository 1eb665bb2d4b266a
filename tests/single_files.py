"""Models in diffusers layout, turned back into single files with CompVis' and Stability's names.

The inverse of what `dream.engine.loading.single_file` does, written from the layout: the original
names of a level's blocks are counted through, and keys, queries and values of OpenCLIP are one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_OPEN_CLIP = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.": "ln_final.",
    "text_model.encoder.layers.": "transformer.resblocks.",
    "layer_norm": "ln_",
    "self_attn.": "attn.",
    "fc1": "c_fc",
    "fc2": "c_proj",
}


def original(pipe: Any) -> Tensors:
    """The weights of a pipeline of Stable Diffusion 1, 2 or XL, in the original layout."""
    sdxl = "text_encoder_2" in pipe.components
    names: Tensors = {}
    unet, vae = pipe.unet, pipe.vae
    for name, tensor in unet.state_dict().items():
        names[f"model.diffusion_model.{unet_name(name, unet.config)}"] = tensor
    for name, tensor in vae.state_dict().items():
        old = vae_name(name, len(vae.config.block_out_channels))
        square = old.endswith("weight") and ".attn_1." in old and tensor.ndim == 2
        names[f"first_stage_model.{old}"] = tensor[:, :, None, None] if square else tensor
    if sdxl and pipe.text_encoder is not None:
        names |= _prefixed("conditioner.embedders.0.transformer.", clip(pipe.text_encoder))
    if sdxl:
        number = 0 if pipe.text_encoder is None else 1
        prefix = f"conditioner.embedders.{number}.model."
        return names | _prefixed(prefix, open_clip(pipe.text_encoder_2))
    if pipe.text_encoder.config.hidden_act == "quick_gelu":
        return names | _prefixed("cond_stage_model.transformer.", clip(pipe.text_encoder))
    whole = open_clip(pipe.text_encoder) | _never_heard(pipe.text_encoder)
    return names | _prefixed("cond_stage_model.model.", whole)


def with_ema(weights: Tensors, averages: Tensors | None = None) -> Tensors:
    """The same with the running averages that trainings keep, which are other weights: these, by
    the names of those they are of."""
    unet = {
        name: weights[name] + 1 for name in weights if name.startswith("model.diffusion_model.")
    }
    flat = {
        "model_ema." + name.removeprefix("model.").replace(".", ""): tensor
        for name, tensor in (averages or unet).items()
    }
    return {**weights, **flat, "model_ema.decay": torch.tensor(0.9999)}


def save(weights: Tensors, path: Path, *, metadata: dict[str, str] | None = None) -> Path:
    """As safetensors, or as .ckpt in the way CompVis' trainer wrote it."""
    whole = {name: tensor.contiguous().clone() for name, tensor in weights.items()}
    if path.suffix == ".safetensors":
        save_file(whole, path, metadata=metadata)
    else:
        torch.save({"epoch": 6, "global_step": 470_000, "state_dict": whole}, path)
    return path


def carried(pipe: Any, tokenizer: Path) -> dict[str, str]:
    """Metadata for what the layout cannot say; see `checkpoint.METADATA_PREFIX`."""
    document: dict[str, Any] = {
        "unet": dict(pipe.unet.config),
        "vae": dict(pipe.vae.config),
        "text_encoder": pipe.text_encoder.config.to_dict(),
        "scheduler": {**pipe.scheduler.config, "_class_name": type(pipe.scheduler).__name__},
        "tokenizer": {path.name: path.read_text("utf-8") for path in tokenizer.glob("*.json")},
    }
    return {f"dream.{part}": json.dumps(config, default=str) for part, config in document.items()}


def unet_name(name: str, config: Any) -> str:
    """The original name of a UNet's weight."""
    for new, old in _UNET_ENDS.items():
        if name.startswith(new + "."):
            return name.replace(new, old, 1)
    found = re.fullmatch(
        r"(down_blocks|mid_block|up_blocks)\.(?:(\d+)\.)?"
        r"(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)",
        name,
    )
    if found is None:
        return name  # the layout has no such thing
    side, level, kind, number, rest = found.groups()
    i, j, many = int(level or 0), int(number), config.layers_per_block + 1
    if kind == "resnets":
        first, _, last = rest.partition(".")
        rest = f"{_RESNET[first]}.{last}"
    if side == "mid_block":
        return f"middle_block.{2 * j if kind == 'resnets' else 1}.{rest}"
    place = {"resnets": 0, "attentions": 1}.get(kind)
    if side == "down_blocks":
        if place is None:
            return f"input_blocks.{(i + 1) * many}.0.op.{rest.removeprefix('conv.')}"
        return f"input_blocks.{1 + i * many + j}.{place}.{rest}"
    if place is None:
        attends = config.up_block_types[i].startswith("CrossAttn")
        return f"output_blocks.{(i + 1) * many - 1}.{2 if attends else 1}.{rest}"
    return f"output_blocks.{i * many + j}.{place}.{rest}"


def vae_name(name: str, levels: int) -> str:
    """The original name of a VAE's weight."""

    def up(found: re.Match[str]) -> str:
        return f"up.{levels - 1 - int(found[1])}."

    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm")
    name = re.sub(r"to_([qkv])\.", r"\1.", name).replace("to_out.0", "proj_out")
    name = re.sub(r"up_blocks\.(\d+)\.", up, name).replace("down_blocks", "down")
    name = name.replace("resnets", "block").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"(down|up)samplers\.0", r"\1sample", name)
    return name.replace("conv_norm_out", "norm_out")


def clip(encoder: Any) -> Tensors:
    """CLIP by its names in files of 2022, which keep the numbers of the places too."""
    places = torch.arange(encoder.config.max_position_embeddings)[None]
    return _wrapped(encoder) | {"text_model.embeddings.position_ids": places}


def open_clip(encoder: Any) -> Tensors:
    """A text encoder by OpenCLIP's names."""
    weights = _wrapped(encoder)
    result: Tensors = {"logit_scale": torch.tensor(100.0)}
    for name, tensor in weights.items():
        if name == "text_projection.weight":
            result["text_projection"] = tensor.T
            continue
        old = name
        for new, original_name in _OPEN_CLIP.items():
            old = old.replace(new, original_name)
        if "q_proj" in old:
            three = [weights[name.replace("q_proj", f"{x}_proj")] for x in "qkv"]
            result[old.replace("q_proj.", "in_proj_")] = torch.cat(three)
        elif not re.search("[kv]_proj", old.replace("c_proj", "")):
            result[old] = tensor
    return result


def _never_heard(encoder: Any) -> Tensors:
    """The last block of Stable Diffusion 2's OpenCLIP, and its projection: in the file, unused."""
    last = encoder.config.num_hidden_layers
    wide = encoder.config.hidden_size
    before = f"transformer.resblocks.{last - 1}."
    block = {
        name.replace(before, f"transformer.resblocks.{last}."): tensor + 1
        for name, tensor in open_clip(encoder).items()
        if name.startswith(before)
    }
    return {**block, "text_projection": torch.ones(wide, wide)}


def _wrapped(encoder: Any) -> Tensors:
    return dict(_renamed(encoder.state_dict()))


def _renamed(weights: Tensors) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in weights.items():
        bare = name.startswith(("text_model.", "text_projection."))
        yield (name if bare else f"text_model.{name}"), tensor


def _prefixed(prefix: str, weights: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in weights.items()}

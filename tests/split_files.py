"""Writes a pipeline of diffusers as the files that people have in ComfyUI's folders: the inverse of
`engine.loading.key_maps`, `text_encoders` and `build_vaes`, with the names of the original code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.single_files import vae_name
from tests.split_names import ORIGINAL_NAMES, deep_compression
from tests.tekken import make_tekken

Tensors = dict[str, torch.Tensor]
TEXT_ENCODERS = ("text_encoder", *(f"text_encoder_{n}" for n in (2, 3, 4)))


def write_split(pipe: Any, family: str, folder: Path) -> Path:
    """The parts of a pipeline as files in ComfyUI's folders; returns the denoiser's file."""
    denoiser = folder / "diffusion_models" / f"my-{family}.safetensors"
    save(denoiser, denoiser_tensors(pipe, family))
    for part in TEXT_ENCODERS:
        encoder = getattr(pipe, part, None)
        if encoder is not None:
            name = f"{type(encoder).__name__.lower()}-{part}"
            save(folder / "text_encoders" / f"{name}.safetensors", encoder_tensors(encoder))
    save(folder / "vae" / "ae-of-it.safetensors", vae_tensors(pipe.vae))
    write_tokenizers(pipe, folder)
    return denoiser


def write_whole(pipe: Any, family: str, folder: Path, vae: str = "vae.") -> Path:
    """All parts in one file, as ComfyUI saves checkpoints."""
    tensors = under("model.diffusion_model.", denoiser_tensors(pipe, family))
    for part in TEXT_ENCODERS:
        encoder = getattr(pipe, part, None)
        if encoder is not None:
            tensors |= under(f"text_encoders.{part}.transformer.", encoder_tensors(encoder))
    tensors |= under(vae, vae_tensors(pipe.vae))
    path = folder / "checkpoints" / f"whole-{family}.safetensors"
    save(path, tensors)
    write_tokenizers(pipe, folder)
    return path


TOKENIZERS = {
    "Qwen3Model": "qwen3",
    "Qwen3VLModel": "qwen3",
    "Qwen2_5_VLForConditionalGeneration": "qwen2.5-vl",
    "T5EncoderModel": "t5",
    "UMT5EncoderModel": "umt5",
    "Gemma2Model": "gemma2",
    "LlamaForCausalLM": "llama3",
}


def write_tokenizers(pipe: Any, folder: Path) -> None:
    """The tokenizers that dream does not have, where it looks for them."""
    for name, part in pipe.components.items():
        kind = TOKENIZERS.get(type(part).__name__)
        if kind:
            tokenizer = getattr(pipe, name.replace("text_encoder", "tokenizer"))
            tokenizer.save_pretrained(folder / "tokenizers" / kind)


def move_weights(pipe: Any) -> None:
    """A library leaves weights where they are in the file, and where they are in memory decides
    about the last bit of products."""
    for part in pipe.components.values():
        for weight in part.parameters() if isinstance(part, torch.nn.Module) else ():
            weight.data = weight.data.clone()


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def save(path: Path, tensors: Tensors) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)
    return path


def denoiser_tensors(pipe: Any, family: str) -> Tensors:
    """A denoiser's weights by their original names."""
    return _INVERSES[family](dict(pipe.transformer.state_dict()))


def encoder_tensors(encoder: Any) -> Tensors:
    tensors = dict(encoder.state_dict())
    match type(encoder).__name__:
        case "Qwen3Model" | "Gemma2Model":
            return under("model.", tensors)
        case "Qwen3VLModel":
            return {
                "model." + name.removeprefix("language_model."): tensor
                for name, tensor in tensors.items()
            }
        case "Qwen2_5_VLForConditionalGeneration":
            return {_qwen_name(n): t for n, t in tensors.items() if n != "lm_head.weight"}
        case "Mistral3ForConditionalGeneration":
            return _mistral3(tensors)
        case "LlamaForCausalLM":
            return tensors
        case "T5EncoderModel" | "UMT5EncoderModel":
            tensors.pop("encoder.embed_tokens.weight", None)
            return tensors
        case _:
            named = any(name.startswith("text_model.") for name in tensors)
            return {
                name if named or name == "text_projection.weight" else f"text_model.{name}": tensor
                for name, tensor in tensors.items()
            }


def _mistral3(tensors: Tensors) -> Tensors:
    """Comfy-Org's pruned file: the first 30 layers, and the tokenizer."""
    start = "model.language_model."
    named = {"model." + n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
    pruned = re.compile(r"model\.(norm|layers\.3\d)\.")
    kept = {name: tensor for name, tensor in named.items() if not pruned.match(name)}
    return kept | {"tekken_model": torch.frombuffer(bytearray(make_tekken()), dtype=torch.uint8)}


def _qwen_name(name: str) -> str:
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def vae_tensors(vae: Any) -> Tensors:
    tensors = dict(vae.state_dict())
    if type(vae).__name__ == "AutoencoderKLQwenImage":
        return {_wan_name(name): tensor for name, tensor in tensors.items()}
    if type(vae).__name__ == "AutoencoderDC":
        return deep_compression(tensors)
    named = {}
    for name, tensor in tensors.items():
        old = name if name.startswith("bn.") else vae_name(name, len(vae.config.block_out_channels))
        if ".attn_1." in old and old.endswith("weight") and tensor.ndim == 2:
            tensor = tensor[..., None, None]
        named[old] = tensor
    return named


_WAN_RESNET = {
    "norm1.gamma": "residual.0.gamma",
    "conv1": "residual.2",
    "norm2.gamma": "residual.3.gamma",
    "conv2": "residual.6",
    "conv_shortcut": "shortcut",
}


def _wan_name(name: str) -> str:
    """The name of a weight of Wan's VAE in the original code (Wan-Video, modules/vae.py)."""
    for new, old in (("post_quant_conv.", "conv2."), ("quant_conv.", "conv1.")):
        if name.startswith(new):
            return old + name.removeprefix(new)
    side, _, rest = name.partition(".")
    if rest.startswith("conv_in."):
        return f"{side}.conv1.{rest.removeprefix('conv_in.')}"
    if rest.startswith("norm_out."):
        return f"{side}.head.0.{rest.removeprefix('norm_out.')}"
    if rest.startswith("conv_out."):
        return f"{side}.head.2.{rest.removeprefix('conv_out.')}"
    if found := re.fullmatch(r"mid_block\.resnets\.(\d)\.(.+)", rest):
        return f"{side}.middle.{2 * int(found[1])}.{_wan_resnet(found[2])}"
    if found := re.fullmatch(r"mid_block\.attentions\.0\.(.+)", rest):
        return f"{side}.middle.1.{found[1]}"
    if found := re.fullmatch(r"down_blocks\.(\d+)\.(.+)", rest):
        return f"{side}.downsamples.{found[1]}.{_wan_resnet(found[2])}"
    if found := re.fullmatch(r"up_blocks\.(\d)\.resnets\.(\d)\.(.+)", rest):
        return f"{side}.upsamples.{4 * int(found[1]) + int(found[2])}.{_wan_resnet(found[3])}"
    found = re.fullmatch(r"up_blocks\.(\d)\.upsamplers\.0\.(.+)", rest)
    assert found is not None, name
    return f"{side}.upsamples.{4 * int(found[1]) + 3}.{found[2]}"


def _wan_resnet(rest: str) -> str:
    for new, old in _WAN_RESNET.items():
        if rest.startswith(new):
            return old + rest.removeprefix(new)
    return rest


def _z_image(tensors: Tensors) -> Tensors:
    fused = _fuse(
        tensors,
        r"(.+)\.attention\.to_q\.weight",
        r"\1.attention.qkv.weight",
        ("to_q", "to_k", "to_v"),
    )
    renames = (
        ("all_final_layer.2-1.", "final_layer."),
        ("all_x_embedder.2-1.", "x_embedder."),
        (".attention.to_out.0.", ".attention.out."),
        (".attention.norm_k.", ".attention.k_norm."),
        (".attention.norm_q.", ".attention.q_norm."),
    )
    return {_replace(name, renames): tensor for name, tensor in fused.items()}


def _lumina2(tensors: Tensors) -> Tensors:
    fused = _fuse(
        tensors, r"(.+)\.attn\.to_q\.weight", r"\1.attention.qkv.weight", ("to_q", "to_k", "to_v")
    )
    renames = (
        ("time_caption_embed.caption_embedder.", "cap_embedder."),
        ("time_caption_embed.timestep_embedder.linear_1.", "t_embedder.mlp.0."),
        ("time_caption_embed.timestep_embedder.linear_2.", "t_embedder.mlp.2."),
        ("norm_out.linear_1.", "final_layer.adaLN_modulation.1."),
        ("norm_out.linear_2.", "final_layer.linear."),
        (".attn.to_out.0.", ".attention.out."),
        (".attn.norm_k.", ".attention.k_norm."),
        (".attn.norm_q.", ".attention.q_norm."),
        (".norm1.linear.", ".adaLN_modulation.1."),
        (".norm1.norm.", ".attention_norm1."),
        (".norm2.", ".attention_norm2."),
        (".linear_1.", ".w1."),
        (".linear_2.", ".w2."),
        (".linear_3.", ".w3."),
    )
    named = {_replace(name, renames): tensor for name, tensor in fused.items()}
    context = re.compile(r"context_refiner\.(\d+)\.norm1\.")
    return {context.sub(r"context_refiner.\1.attention_norm1.", n): t for n, t in named.items()}


def _replace(name: str, renames: tuple[tuple[str, str], ...]) -> str:
    for new, old in renames:
        name = name.replace(new, old)
    return name


def _fuse(tensors: Tensors, pattern: str, name: str, parts: tuple[str, ...]) -> Tensors:
    """The tensors with each three that match joined to one."""
    result = dict(tensors)
    for first in tensors:
        if found := re.fullmatch(pattern, first):
            names = [first.replace(parts[0], part) for part in parts]
            result[found.expand(name)] = torch.cat([result.pop(one) for one in names])
    return result


_FLUX_DOUBLE = {
    "attn.norm_q.weight": "img_attn.norm.query_norm.scale",
    "attn.norm_k.weight": "img_attn.norm.key_norm.scale",
    "attn.norm_added_q.weight": "txt_attn.norm.query_norm.scale",
    "attn.norm_added_k.weight": "txt_attn.norm.key_norm.scale",
    "attn.to_out.0.": "img_attn.proj.",
    "attn.to_add_out.": "txt_attn.proj.",
    "norm1_context.linear.": "txt_mod.lin.",
    "norm1.linear.": "img_mod.lin.",
    "ff.net.0.proj.": "img_mlp.0.",
    "ff.net.2.": "img_mlp.2.",
    "ff_context.net.0.proj.": "txt_mlp.0.",
    "ff_context.net.2.": "txt_mlp.2.",
    "ff.linear_in.": "img_mlp.0.",
    "ff.linear_out.": "img_mlp.2.",
    "ff_context.linear_in.": "txt_mlp.0.",
    "ff_context.linear_out.": "txt_mlp.2.",
}
_FLUX_SINGLE = {
    "attn.norm_q.weight": "norm.query_norm.scale",
    "attn.norm_k.weight": "norm.key_norm.scale",
    "norm.linear.": "modulation.lin.",
    "attn.to_qkv_mlp_proj.": "linear1.",
    "attn.to_out.": "linear2.",
    "proj_out.": "linear2.",
}
_FLUX_ENDS = {
    "time_guidance_embed.timestep_embedder.linear_1.": "time_in.in_layer.",
    "time_guidance_embed.timestep_embedder.linear_2.": "time_in.out_layer.",
    "time_guidance_embed.guidance_embedder.linear_1.": "guidance_in.in_layer.",
    "time_guidance_embed.guidance_embedder.linear_2.": "guidance_in.out_layer.",
    "time_text_embed.timestep_embedder.linear_1.": "time_in.in_layer.",
    "time_text_embed.timestep_embedder.linear_2.": "time_in.out_layer.",
    "time_text_embed.text_embedder.linear_1.": "vector_in.in_layer.",
    "time_text_embed.text_embedder.linear_2.": "vector_in.out_layer.",
    "time_text_embed.guidance_embedder.linear_1.": "guidance_in.in_layer.",
    "time_text_embed.guidance_embedder.linear_2.": "guidance_in.out_layer.",
    "double_stream_modulation_img.linear.": "double_stream_modulation_img.lin.",
    "double_stream_modulation_txt.linear.": "double_stream_modulation_txt.lin.",
    "single_stream_modulation.linear.": "single_stream_modulation.lin.",
    "context_embedder.": "txt_in.",
    "x_embedder.": "img_in.",
    "proj_out.": "final_layer.linear.",
}


def original_flux(tensors: Tensors) -> Tensors:
    """FLUX.1, FLUX.2 and Chroma."""
    result: Tensors = {}
    for name, tensor in tensors.items():
        if name.startswith("norm_out.linear."):
            scale, shift = tensor.chunk(2)
            end = name.rpartition(".")[2]
            result[f"final_layer.adaLN_modulation.1.{end}"] = torch.cat([shift, scale])
        elif found := re.fullmatch(
            r"transformer_blocks\.(\d+)\.attn\.(to_q|add_q_proj)\.(.+)", name
        ):
            parts = (
                ("to_q", "to_k", "to_v")
                if found[2] == "to_q"
                else ("add_q_proj", "add_k_proj", "add_v_proj")
            )
            stream = "img" if found[2] == "to_q" else "txt"
            start = f"transformer_blocks.{found[1]}.attn"
            whole = torch.cat([tensors[f"{start}.{part}.{found[3]}"] for part in parts])
            result[f"double_blocks.{found[1]}.{stream}_attn.qkv.{found[3]}"] = whole
        elif found := re.fullmatch(r"single_transformer_blocks\.(\d+)\.attn\.to_q\.(.+)", name):
            start = f"single_transformer_blocks.{found[1]}"
            parts = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
            whole = torch.cat([tensors[f"{start}.{part}.{found[2]}"] for part in parts])
            result[f"single_blocks.{found[1]}.linear1.{found[2]}"] = whole
        elif not re.search(r"\.(to_[kv]|add_[kv]_proj|proj_mlp)\.\w+$", name):
            result[_flux_name(name)] = tensor
    return result


def _flux_name(name: str) -> str:
    for pattern, ends, new in (
        (r"transformer_blocks\.(\d+)\.", _FLUX_DOUBLE, "double_blocks"),
        (r"single_transformer_blocks\.(\d+)\.", _FLUX_SINGLE, "single_blocks"),
    ):
        if found := re.match(pattern, name):
            return f"{new}.{found[1]}.{_starting(name[found.end() :], ends)}"
    guidance = re.sub(r"(distilled_guidance_layer\.layers\.\d+)\.linear_1\.", r"\1.in_layer.", name)
    guidance = re.sub(
        r"(distilled_guidance_layer\.layers\.\d+)\.linear_2\.", r"\1.out_layer.", guidance
    )
    guidance = re.sub(r"(distilled_guidance_layer\.norms\.\d+)\.weight", r"\1.scale", guidance)
    return _starting(guidance, _FLUX_ENDS)


def _starting(rest: str, ends: Mapping[str, str]) -> str:
    for new, old in ends.items():
        if rest.startswith(new):
            return old + rest.removeprefix(new)
    return rest


def _sd3(tensors: Tensors) -> Tensors:
    """Stability's names (sd3_impls.py): the inverse of diffusers' function."""
    result: Tensors = {}
    last = max(
        int(name.split(".")[1]) for name in tensors if name.startswith("transformer_blocks.")
    )
    for name, tensor in tensors.items():
        found = re.fullmatch(r"transformer_blocks\.(\d+)\.(.+)", name)
        if found is None:
            old = _starting(name, _SD3_ENDS)
            if name.startswith("norm_out.linear."):
                scale, shift = tensor.chunk(2)
                tensor = torch.cat([shift, scale])
            result[old] = tensor
            continue
        start, rest = f"joint_blocks.{found[1]}", found[2]
        for side, attn, parts in (
            ("x_block", "attn", ("attn.to_q", "attn.to_k", "attn.to_v")),
            ("context_block", "attn", ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")),
            ("x_block", "attn2", ("attn2.to_q", "attn2.to_k", "attn2.to_v")),
        ):
            if rest.startswith(parts[0] + "."):
                end = rest.rpartition(".")[2]
                whole = [tensors[f"transformer_blocks.{found[1]}.{part}.{end}"] for part in parts]
                result[f"{start}.{side}.{attn}.qkv.{end}"] = torch.cat(whole)
            if rest.startswith(tuple(f"{part}." for part in parts)):
                break
        else:
            if int(found[1]) == last and rest.startswith("norm1_context.linear."):
                scale, shift = tensor.chunk(2)
                tensor = torch.cat([shift, scale])
            result[f"{start}.{_starting(rest, _SD3_BLOCK)}"] = tensor
    return result


_SD3_ENDS = {
    "pos_embed.pos_embed": "pos_embed",
    "pos_embed.proj.": "x_embedder.proj.",
    "time_text_embed.timestep_embedder.linear_1.": "t_embedder.mlp.0.",
    "time_text_embed.timestep_embedder.linear_2.": "t_embedder.mlp.2.",
    "time_text_embed.text_embedder.linear_1.": "y_embedder.mlp.0.",
    "time_text_embed.text_embedder.linear_2.": "y_embedder.mlp.2.",
    "norm_out.linear.": "final_layer.adaLN_modulation.1.",
    "proj_out.": "final_layer.linear.",
}
_SD3_BLOCK = {
    "attn.norm_q.": "x_block.attn.ln_q.",
    "attn.norm_k.": "x_block.attn.ln_k.",
    "attn.norm_added_q.": "context_block.attn.ln_q.",
    "attn.norm_added_k.": "context_block.attn.ln_k.",
    "attn.to_out.0.": "x_block.attn.proj.",
    "attn.to_add_out.": "context_block.attn.proj.",
    "attn2.norm_q.": "x_block.attn2.ln_q.",
    "attn2.norm_k.": "x_block.attn2.ln_k.",
    "attn2.to_out.0.": "x_block.attn2.proj.",
    "norm1.linear.": "x_block.adaLN_modulation.1.",
    "norm1_context.linear.": "context_block.adaLN_modulation.1.",
    "ff.net.0.proj.": "x_block.mlp.fc1.",
    "ff.net.2.": "x_block.mlp.fc2.",
    "ff_context.net.0.proj.": "context_block.mlp.fc1.",
    "ff_context.net.2.": "context_block.mlp.fc2.",
}

_INVERSES: dict[str, Callable[[Tensors], Tensors]] = {
    "z-image": _z_image,
    "flux2": original_flux,
    "flux2-dev": original_flux,
    "hidream": lambda tensors: tensors,
    "flux": original_flux,
    "chroma": original_flux,
    "qwen-image": lambda tensors: tensors,
    "sd3": _sd3,
    "lumina2": _lumina2,
    **ORIGINAL_NAMES,
}

"""IP-Adapters and image encoders that have learnt nothing, in the layouts of the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]

ENCODER = {"hidden": 32, "projection": 48, "patch": 14, "side": 56}
"""Sizes of the random encoder; 16 heads, as real ones have."""
TOKENS = (ENCODER["side"] // ENCODER["patch"]) ** 2 + 1


def random_encoder() -> Any:
    """A CLIPVisionModelWithProjection with 16 patches."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    with torch.random.fork_rng():
        torch.manual_seed(21)
        return CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=ENCODER["hidden"],
                intermediate_size=64,
                num_hidden_layers=3,
                num_attention_heads=16,
                image_size=ENCODER["side"],
                patch_size=ENCODER["patch"],
                projection_dim=ENCODER["projection"],
                hidden_act="gelu",
            )
        ).eval()


def write_encoder(encoder: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({n: t.contiguous().clone() for n, t in encoder.state_dict().items()}, path)
    return path


def random_ip_adapter(kind: str, unet: Any) -> dict[str, Tensors]:
    """The two tables of an IP-Adapter for a UNet; kind: "plain", "plus" or "full face"."""
    generator = torch.Generator().manual_seed(33)
    width = unet.config.cross_attention_dim

    def draw(*shape: int) -> torch.Tensor:
        return 0.2 * torch.randn(shape, generator=generator)

    attention: Tensors = {}
    names = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for n, name in enumerate(names):
        layer = unet.get_submodule(name.removesuffix(".processor"))
        for x in "kv":
            attention[f"{2 * n + 1}.to_{x}_ip.weight"] = draw(layer.to_k.out_features, width)
    return {"image_proj": _projection(kind, width, draw), "ip_adapter": attention}


def random_flux_ip_adapter(transformer: Any) -> Tensors:
    """An IP-Adapter for FLUX.1, by XLabs' names."""
    generator = torch.Generator().manual_seed(35)
    width = transformer.config.joint_attention_dim

    def draw(*shape: int) -> torch.Tensor:
        return 0.2 * torch.randn(shape, generator=generator)

    projection = {
        f"ip_adapter_proj_model.{n}": t for n, t in _projection("plain", width, draw).items()
    }
    name = "double_blocks.{}.processor.ip_adapter_double_stream_{}_proj.{}"
    attention: Tensors = {}
    for n, _ in enumerate(transformer.transformer_blocks):
        for x in "kv":
            attention[name.format(n, x, "weight")] = draw(transformer.inner_dim, width)
            attention[name.format(n, x, "bias")] = draw(transformer.inner_dim)
    return projection | attention


def _projection(kind: str, width: int, draw: Any) -> Tensors:
    if kind == "plain":
        return {
            "proj.weight": draw(4 * width, ENCODER["projection"]),
            "proj.bias": draw(4 * width),
            "norm.weight": draw(width),
            "norm.bias": draw(width),
        }
    hidden = ENCODER["hidden"]
    if kind == "full face":
        return {
            "proj.0.weight": draw(hidden, hidden),
            "proj.0.bias": draw(hidden),
            "proj.2.weight": draw(width, hidden),
            "proj.2.bias": draw(width),
            "proj.3.weight": draw(width),
            "proj.3.bias": draw(width),
        }
    inner, queries = 64, 5
    layer = {
        "0.norm1.weight": draw(inner),
        "0.norm1.bias": draw(inner),
        "0.norm2.weight": draw(inner),
        "0.norm2.bias": draw(inner),
        "0.to_q.weight": draw(64, inner),
        "0.to_kv.weight": draw(128, inner),
        "0.to_out.weight": draw(inner, 64),
        "1.0.weight": draw(inner),
        "1.0.bias": draw(inner),
        "1.1.weight": draw(4 * inner, inner),
        "1.3.weight": draw(inner, 4 * inner),
    }
    return {
        "latents": draw(1, queries, inner),
        "proj_in.weight": draw(inner, hidden),
        "proj_in.bias": draw(inner),
        "proj_out.weight": draw(width, inner),
        "proj_out.bias": draw(width),
        "norm_out.weight": draw(width),
        "norm_out.bias": draw(width),
        **{
            f"layers.{n}.{name}": tensor.clone() for n in range(4) for name, tensor in layer.items()
        },
    }


def write_ip_adapter(tables: dict[str, Tensors], path: Path) -> Path:
    """As h94 publishes it: a pickle of two tables, or safetensors with joined names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".bin":
        torch.save(tables, path)
    else:
        joined = {f"{part}.{n}": t for part, table in tables.items() for n, t in table.items()}
        save_file({name: tensor.contiguous().clone() for name, tensor in joined.items()}, path)
    return path


def write_images(folder: Path) -> None:
    """Image prompts a.png and b.png, and 64 x 64 pixels to start from with a mask: from.png and
    mask.png."""
    for name, colour in (("a", "blue"), ("b", "olive")):
        image = Image.new("RGB", (90, 70), colour)
        ImageDraw.Draw(image).ellipse((10, 5, 60, 60), fill="white")
        image.save(folder / f"{name}.png")
    Image.new("RGB", (64, 64), "teal").save(folder / "from.png")
    mask = Image.new("L", (64, 64), 255)
    ImageDraw.Draw(mask).rectangle((16, 16, 47, 47), fill=0)
    mask.save(folder / "mask.png")

"""Networks for control maps with random weights, small, in transformers' layout of the real
ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import torch
import transformers as hf

P = ParamSpec("P")


def _seeded(make: Callable[P, Path]) -> Callable[P, Path]:
    """The same weights in every process."""

    @wraps(make)
    def seeded(*args: P.args, **kwargs: P.kwargs) -> Path:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return make(*args, **kwargs)

    return seeded


def _save(folder: Path, model: Any, processor: Any) -> Path:
    for parameter in model.parameters():  # else all places of an image are alike
        parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@_seeded
def make_random_depth_anything(folder: Path) -> Path:
    """DINOv2 and a DPT head, as Depth Anything V2."""
    backbone = hf.Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=56,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = hf.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    processor = hf.DPTImageProcessor(
        size={"height": 56, "width": 56}, ensure_multiple_of=14, keep_aspect_ratio=True
    )
    model = hf.DepthAnythingForDepthEstimation(config)
    model.head.conv3.bias.data += 2  # else it answers with zeros
    return _save(folder, model, processor)


@_seeded
def make_random_upernet(folder: Path, classes: int = 150) -> Path:
    """ConvNeXt and UperNet's head, with ADE20K's number of classes by default."""
    backbone = hf.ConvNextConfig(
        hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], out_features=_stages(4)
    )
    config = hf.UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        num_labels=classes,
        pool_scales=[1, 2],
        auxiliary_in_channels=8,
        auxiliary_channels=8,
    )
    processor = hf.SegformerImageProcessor(size={"height": 64, "width": 64})
    return _save(folder, hf.UperNetForSemanticSegmentation(config), processor)


@_seeded
def make_random_segformer(folder: Path, classes: int = 150) -> Path:
    """A SegFormer."""
    config = hf.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        num_labels=classes,
    )
    processor = hf.SegformerImageProcessor(size={"height": 64, "width": 64})
    return _save(folder, hf.SegformerForSemanticSegmentation(config), processor)


_MASKS: dict[str, Any] = {
    "num_labels": 150,
    "num_queries": 5,
    "encoder_feedforward_dim": 16,
    "dim_feedforward": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "num_attention_heads": 2,
    "hidden_dim": 32,
}
"""The sizes of a network that answers with masks."""


def _swin() -> Any:
    return hf.SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
        image_size=64, out_features=_stages(4),
    )  # fmt: skip


@_seeded
def make_random_oneformer(folder: Path) -> Path:
    """A OneFormer over a Swin, with a tokenizer for its task."""
    config = hf.OneFormerConfig(
        **_MASKS, backbone_config=_swin(), conv_dim=32, mask_dim=32, task_seq_len=20
    )
    processor = hf.OneFormerImageProcessor(
        size={"height": 64, "width": 64}, class_info_file=None, repo_path=None
    )
    tokenizer = hf.CLIPTokenizer.from_pretrained(Path("models/tiny/tokenizer"))
    tokenizer.save_pretrained(folder)
    return _save(folder, hf.OneFormerForUniversalSegmentation(config), processor)


@_seeded
def make_random_mask2former(folder: Path) -> Path:
    """A Mask2Former over a Swin."""
    config = hf.Mask2FormerConfig(
        **_MASKS, backbone_config=_swin(), feature_size=32, mask_feature_size=32
    )
    processor = hf.Mask2FormerImageProcessor(size={"height": 64, "width": 64})
    return _save(folder, hf.Mask2FormerForUniversalSegmentation(config), processor)


@_seeded
def make_random_vitpose(folder: Path, **others: int) -> Path:
    """A ViTPose with its simple decoder and COCO's 17 joints."""
    backbone = hf.VitPoseBackboneConfig(
        image_size=[256, 192],
        patch_size=[16, 16],
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        out_indices=[2],
        **others,
    )
    config = hf.VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True)
    model = hf.VitPoseForPoseEstimation(config)
    model.head.conv.bias.data += 1  # else it is sure of no joint
    return _save(folder, model, hf.VitPoseImageProcessor())


@_seeded
def make_random_rt_detr(folder: Path) -> Path:
    """An RT-DETR that finds people in every image: its bias prefers them."""
    backbone = hf.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = hf.RTDetrConfig(
        backbone_config=backbone,
        encoder_in_channels=[16, 16, 16],
        encoder_hidden_dim=16,
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_in_channels=[16, 16, 16],
        d_model=16,
        decoder_ffn_dim=16,
        decoder_layers=1,
        decoder_attention_heads=2,
        num_queries=6,
        num_labels=80,
        num_denoising=0,
        anchor_image_size=None,
    )
    model = hf.RTDetrForObjectDetection(config)
    for name, parameter in model.named_parameters():
        if "class_embed" in name and name.endswith("bias"):
            parameter.data[0] += 12
    return _save(folder, model, hf.RTDetrImageProcessor(size={"height": 64, "width": 64}))


def _stages(count: int) -> list[str]:
    return [f"stage{number}" for number in range(1, count + 1)]

"""Small networks of spandrel's architectures, with random weights, and the layouts of ESRGAN."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def _swinir() -> nn.Module:
    from spandrel.architectures.SwinIR import SwinIR

    return SwinIR(
        img_size=16,
        embed_dim=8,
        depths=[1],
        num_heads=[2],
        window_size=8,
        mlp_ratio=2,
        upscale=2,
        upsampler="pixelshuffledirect",
    )


def _hat() -> nn.Module:
    from spandrel.architectures.HAT import HAT

    return HAT(
        img_size=16,
        embed_dim=8,
        depths=(1,),
        num_heads=(2,),
        window_size=4,
        compress_ratio=2,
        squeeze_factor=2,
        upscale=2,
        upsampler="pixelshuffle",
        mlp_ratio=2,
    )


def _dat() -> nn.Module:
    from spandrel.architectures.DAT import DAT

    small = {"embed_dim": 16, "split_size": [4, 8], "depth": [1], "num_heads": [2]}
    return DAT(img_size=16, expansion_factor=2, upscale=2, **small)


def _span(channels: int = 3, scale: int = 2) -> nn.Module:
    from spandrel.architectures.SPAN import SPAN

    return SPAN(
        num_in_ch=channels,
        num_out_ch=channels,
        feature_channels=8,
        upscale=scale,
        norm=channels == 3,
    )


def _omnisr() -> nn.Module:
    from spandrel.architectures.OmniSR import OmniSR

    return OmniSR(num_feat=8, block_num=1, res_num=1, window_size=4, up_scale=2)


def _plksr() -> nn.Module:
    from spandrel.architectures.PLKSR import RealPLKSR

    return RealPLKSR(dim=8, n_blocks=2, upscaling_factor=2, kernel_size=5, split_ratio=0.25)


def _dncnn() -> nn.Module:
    from spandrel.architectures.DnCNN import DnCNN

    return DnCNN(in_nc=3, out_nc=3, nc=8, nb=17, act_mode="R")


def _safmn() -> nn.Module:
    from spandrel.architectures.SAFMN import SAFMN

    return SAFMN(dim=8, n_blocks=2, ffn_scale=2.0, upscaling_factor=2)


ARCHITECTURES: Mapping[str, tuple[Callable[[], nn.Module], int]] = {
    "SwinIR": (_swinir, 2),
    "HAT": (_hat, 2),
    "DAT": (_dat, 2),
    "SPAN": (_span, 2),
    "SPAN ": (lambda: _span(1), 2),
    "SPAN  ": (lambda: _span(scale=8), 8),
    "OmniSR": (_omnisr, 2),
    "PLKSR": (_plksr, 2),
    "SAFMN": (_safmn, 2),
    "DnCNN": (_dncnn, 1),
}
"""What makes one, and its scale, by name; of one name several, with spaces after it."""


def weights_of(name: str) -> dict[str, Tensor]:
    """Of a random network of that architecture, the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return dict(ARCHITECTURES[name][0]().state_dict())


def first_layout(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An RRDBNet's weights by the names of ESRGAN's first release (Wang et al. 2018)."""
    blocks = len({name.split(".")[1] for name in weights if name.startswith("body.")})
    others = {
        "conv_first": "model.0",
        "conv_body": f"model.1.sub.{blocks}",
        "conv_up1": "model.3",
        "conv_up2": "model.6",
        "conv_hr": "model.8",
        "conv_last": "model.10",
    }

    def renamed(name: str) -> str:
        inside = re.match(r"body\.(\d+)\.rdb(\d)\.conv(\d)\.(.*)", name)
        if inside:
            return "model.1.sub.{}.RDB{}.conv{}.0.{}".format(*inside.groups())
        layer, what = name.split(".")
        return f"{others[layer]}.{what}"

    return {renamed(name): tensor for name, tensor in weights.items()}


def second_layout(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same by the names of BSRGAN and RealSR."""
    words = (
        ("conv_body.", "trunk_conv."),
        ("body.", "RRDB_trunk."),
        ("rdb", "RDB"),
        ("conv_up", "upconv"),
        ("conv_hr", "HRconv"),
    )
    renamed = {}
    for name, tensor in weights.items():
        for old, new in words:
            name = name.replace(old, new)
        renamed[name] = tensor
    return renamed

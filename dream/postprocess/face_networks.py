"""Builds a network that restores faces from a weights file, without running any code in the file.

spandrel has the architectures: GFPGAN and RestoreFormer, and CodeFormer in a package of its own, as
its licence excludes commercial use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from dream.catalogue.face_models import CODEFORMER, GFPGAN, detect_face_architecture
from dream.core.errors import ModelError
from dream.postprocess.network import isolated
from dream.postprocess.upscaler_weights import Weights, read_upscaler_weights

SIZE = 512
"""Pixels a side of a face, for networks whose files do not tell."""


@dataclass(frozen=True)
class FaceNetwork:
    """A network that restores aligned faces, in float32 on the CPU."""

    architecture: str
    module: nn.Module
    run: Callable[[Tensor, float], Tensor]
    """(1, 3, s, s) in -1..1, and CodeFormer's fidelity from 0 to 1 → the same of the restored
    face."""
    size: int
    """s."""


def load_face_network(path: Path) -> FaceNetwork:
    """Build the network of a weights file. Raises ModelError if it is damaged, is something else,
    or would run code."""
    architecture = detect_face_architecture(path)
    weights = {name: tensor.float() for name, tensor in read_upscaler_weights(path).items()}
    try:
        with isolated():
            network = (
                _load_gfpgan(weights)
                if architecture == GFPGAN
                else _load_with_spandrel(architecture, weights)
            )
    except Exception as error:  # each architecture raises its own errors
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelError(f"{path} is incomplete: {detail}", "download the file again") from error
    network.module.requires_grad_(False).eval()
    return network


def _load_gfpgan(weights: Weights) -> FaceNetwork:
    """GFPGAN in any width and size, with the noise of its file instead of a new one each time."""
    from spandrel.architectures.GFPGAN import GFPGAN as Module

    levels = sum(name.startswith("toRGB.") and name.endswith(".weight") for name in weights)
    size = 2 ** (levels + 2)
    style = weights["stylegan_decoder.style_mlp.1.weight"].shape[0]
    module = Module(
        out_size=size,
        num_style_feat=style,
        narrow=weights["final_conv.weight"].shape[0] / 256,
        num_mlp=sum(
            name.startswith("stylegan_decoder.style_mlp.") and name.endswith(".weight")
            for name in weights
        ),
        different_w=weights["final_linear.weight"].shape[0] > style,
        sft_half=(
            weights["condition_scale.0.2.weight"].shape[0]
            == weights["condition_scale.0.0.weight"].shape[0]
        ),
    )
    module.load_state_dict(dict(weights), strict=True)

    def run(face: Tensor, fidelity: float) -> Tensor:
        restored: Tensor = module(face, return_rgb=False, randomize_noise=False)[0]
        return restored

    return FaceNetwork(GFPGAN, module, run, size)


def _load_with_spandrel(architecture: str, weights: Weights) -> FaceNetwork:
    import spandrel

    registry = spandrel.MAIN_REGISTRY
    if architecture == CODEFORMER:
        from spandrel_extra_arches import EXTRA_REGISTRY

        registry = EXTRA_REGISTRY
    module = spandrel.ModelLoader(registry=registry).load_from_state_dict(dict(weights)).model

    def run(face: Tensor, fidelity: float) -> Tensor:
        values = {"weight": fidelity} if architecture == CODEFORMER else {}
        restored: Tensor = module(face, **values)[0]
        return restored

    return FaceNetwork(architecture, module, run, SIZE)


def restore_face(network: FaceNetwork, face: Tensor, fidelity: float) -> Tensor:
    """(s, s, 3) 8 bits → the same, restored."""
    values = face.permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode(), isolated([face.device] if face.is_cuda else []):
        torch.manual_seed(0)
        restored = network.run(values, fidelity)[0]
    levels = (restored.clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8).permute(1, 2, 0)

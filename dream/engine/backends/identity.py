"""What a converted network depends on: its key in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import diffusers
import torch
from torch import nn

from dream.engine.adapters.weight_merge import WeightedLora
from dream.engine.backends.openvino_core import get_version
from dream.engine.loading.pipelines import LoadedModel


def identify_denoiser(loaded: LoadedModel, loras: Sequence[WeightedLora]) -> dict[str, Any]:
    """What the weights of a denoiser are; waits for the hashes of the files."""
    info = loaded.info
    merged = [(lora.file.digest.result(), lora.weight) for lora in loras if lora.weight]
    return {"weights": loaded.digest.result(), "ema": info.ema, "loras": merged}


def identify_vae(loaded: LoadedModel, replaced_by: str) -> dict[str, Any]:
    """The same of a VAE; `replaced_by` is the SHA-256 of the one that is not the model's own."""
    return {"weights": replaced_by or loaded.digest.result()}


def is_hashed(loaded: LoadedModel, loras: Sequence[WeightedLora]) -> bool:
    """Whether `identify_denoiser` returns at once."""
    return loaded.digest.done() and all(lora.file.digest.done() for lora in loras)


def compute_key(identity: Mapping[str, Any], module: nn.Module, layout: str) -> str:
    """The key of a network: its weights, its code, and the layout of its calls."""
    config = getattr(module, "config", {})
    about = {
        **identity,
        "class": f"{type(module).__module__}.{type(module).__qualname__}",
        "config": {k: v for k, v in dict(config).items() if not k.startswith("_")},
        "dtype": str(next(module.parameters()).dtype),
        "layout": layout,
        "versions": [get_version(), torch.__version__, diffusers.__version__],
    }
    text = json.dumps(about, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]

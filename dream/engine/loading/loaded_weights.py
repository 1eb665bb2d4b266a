"""Changes the dtype or the layout of weights that were loaded, where their model needs others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def keep_float32(model: Any, weights: Mapping[str, torch.Tensor]) -> Any:
    """The model with those of its weights in float32 that its class of diffusers keeps so, as norms
    that are added to 1; `weights` are the tensors in its file."""
    kept = set(model._keep_in_fp32_modules or ())
    for name, weight in model.named_parameters():
        if kept.intersection(name.split(".")) and weight.dtype != torch.float32:
            weight.data = weights[name].to(weight.device, torch.float32)
    return model


def use_plain_layout(model: Any) -> Any:
    """The model with kernels in torch's usual layout, as the libraries load those of transformers
    and of VAEs for films: the layout changes the low bits of images."""
    for weight in model.parameters():
        if weight.ndim == 4:
            # views, since the layout of kernels with a side of 1 is not told by their strides
            weight.data = weight.data.contiguous().view(-1).view(weight.shape)
    return model

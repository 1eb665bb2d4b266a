"""Checks that the layers of a control model are those of the model that it is used with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dream.catalogue.detect.control_family import T2I_ADAPTER
from dream.core.errors import ModelError
from dream.engine.control.active_control import LoadedControl
from dream.engine.control.t2i_adapter import adds_to
from dream.engine.loading.pipelines import LoadedModel

_SHAPE = ("block_out_channels", "layers_per_block")
"""What a ControlNet of a UNet has in common with it."""
_TEXT = "cross_attention_dim"
"""The same, where it attends to the text."""
_TRANSFORMER_SHAPE = (
    *("in_channels", "num_attention_heads", "attention_head_dim", "joint_attention_dim"),
    *("pooled_projection_dim", "dim", "n_heads", "n_kv_heads", "caption_channels", "hidden_size"),
)
"""What a ControlNet of a transformer has in common with it, where both have it."""


def require_fit(control: LoadedControl, loaded: LoadedModel) -> None:
    """Raises ModelError for a control model whose layers are not those of the model's denoiser."""
    pipe, name, of = loaded.pipe, control.info.name, loaded.info.name
    config, own = control.model.config, get_denoiser(pipe).config
    if not _has_sizes(control, pipe):
        raise ModelError(
            f"{name} does not fit {of}: its levels have other sizes",
            "choose another --control_model",
        )
    for key in _list_common(config, own):
        one, other = config[key], own[key]
        if (list(one) if isinstance(one, list | tuple) else one) != (
            list(other) if isinstance(other, list | tuple) else other
        ):
            raise ModelError(
                f"{name} does not fit {of}: it has {key} {one}, the model {other}",
                "choose another --control_model",
            )
    last = max(config.get("control_layers_places") or (0,))
    if last >= own.get("n_layers", last + 1):
        raise ModelError(
            f"{name} does not fit {of}: it is for more than {last} layers, the model has"
            f" {own.n_layers}",
            "choose another --control_model",
        )


def _has_sizes(control: LoadedControl, pipe: Any) -> bool:
    """Whether what it makes of a control image has the sizes of a UNet's levels."""
    config = control.model.config
    wide = config.get("conditioning_embedding_out_channels")
    is_adapter = control.info.kind == T2I_ADAPTER
    if not is_adapter and wide is None:
        return True  # of a transformer
    vae = getattr(pipe, "vae", None)
    factor = 8 if vae is None else 1 << len(vae.config.block_out_channels) - 1
    if is_adapter:
        return adds_to(config, get_denoiser(pipe).config, factor)
    return 1 << len(wide) - 1 == factor


def _list_common(config: Any, own: Any) -> Sequence[str]:
    """The keys of both configurations that must agree."""
    if "adapter_type" in config:
        return ()  # those of a T2I-Adapter mean something else
    if _SHAPE[0] in config and _SHAPE[0] in own:
        attends = any("CrossAttn" in kind for kind in config.down_block_types)
        return (*_SHAPE, _TEXT) if attends else _SHAPE
    return [key for key in _TRANSFORMER_SHAPE if config.get(key) is not None and key in own]


def get_denoiser(pipe: Any) -> Any:
    """The UNet or the transformer of a pipeline."""
    return getattr(pipe, "unet", None) or pipe.transformer

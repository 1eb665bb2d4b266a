"""Loads a UNet that is alone in its file, for the pipeline of a base model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
from accelerate import init_empty_weights

from dream.catalogue.detect.lone_unets import ORIGINAL
from dream.catalogue.detect.require import require_model
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.loading.config_from_shapes import infer_unet_config
from dream.engine.loading.single_file import build_unet
from dream.engine.loading.weight_copy import load_weights, missing_weights_error
from dream.engine.memory.device import Placement

V_PREDICTION = "v_prediction"
_MARKERS = ("v_pred", "ztsnr", "edm_mean")
"""Tensors that say how a model was trained, and are no weights."""


def load_unet(
    path: Path, placement: Placement, base_config: Mapping[str, Any], pooled: int = 0
) -> Any:
    """The UNet in a file, in Stability's or diffusers' names; `base_config` is that of the base
    model's UNet, `pooled` the width of its pooled text embedding, where it is known.

    Raises ModelError for a file of another kind, and for missing or unused weights.
    """
    detected = require_model(path)
    mapped = open_tensors(path, detected.format)
    prefix = detected.pieces[0].prefix
    own = {
        name.removeprefix(prefix): tensor
        for name, tensor in mapped.tensors.items()
        if name.startswith(prefix) and name not in _MARKERS
    }
    if detected.lone_unet == ORIGINAL:
        try:
            config = infer_unet_config(own, detected, pooled or _get_pooled(base_config))
            return build_unet(own, config, path, placement, mapped)
        except KeyError as error:
            raise missing_weights_error(path, str(error.args[0])) from error
    config = {**base_config, "in_channels": own["conv_in.weight"].shape[1]}
    with init_empty_weights():
        model = diffusers.UNet2DConditionModel.from_config(config)
    return load_weights(model, own, path, placement, (mapped,))


def read_folder_config(folder: Path) -> Mapping[str, Any]:
    """The configuration of the UNet in a folder in diffusers layout."""
    config, _ = diffusers.UNet2DConditionModel.load_config(
        folder / "unet", local_files_only=True, return_unused_kwargs=True
    )
    return dict(config)


def use_prediction_of(path: Path, pipe: Any) -> Any:
    """The pipeline of a base model with the prediction type of a UNet, which its file tells.
    Stable Diffusion 2's, which say nothing, predict what the base does."""
    detected = require_model(path)
    config = pipe.scheduler.config
    predicts = detected.prediction_type
    if detected.family == "sd2" or predicts == config.get("prediction_type") != V_PREDICTION:
        return pipe
    changes: dict[str, Any] = {"prediction_type": predicts}
    if detected.zero_snr or predicts != V_PREDICTION:
        changes["rescale_betas_zero_snr"] = detected.zero_snr
    pipe.scheduler = type(pipe.scheduler).from_config({**config, **changes})
    return pipe


def _get_pooled(config: Mapping[str, Any]) -> int:
    """The width of the pooled text embedding; 0 for a family without."""
    width = config.get("projection_class_embeddings_input_dim") or 0
    return width - 6 * (config.get("addition_time_embed_dim") or 0)

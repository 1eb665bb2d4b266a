"""What the pixels depend on besides the recipe: written into the PNG, compared by --verify."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import diffusers
import torch
import transformers

import dream
from dream.catalogue.companions import is_named
from dream.catalogue.weight_files import WeightFiles, hash_weight_files
from dream.core.recipe import Recipe
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.loading.recorded_digests import read_digest
from dream.engine.memory.device import describe_processor


def collect_provenance(loaded: LoadedModel, recipe: Recipe, scheduler: Any) -> dict[str, str]:
    """Every value is text; keys as in `Picture.facts`. `scheduler` is the one that ran."""
    placement = loaded.placement
    return {
        "weights": read_digest(loaded.digest),
        **({"ema": "the running averages in the model's file"} if loaded.info.ema else {}),
        **_chosen_encoder(loaded, recipe.text_encoder),
        **_prediction(scheduler),
        "device": placement.device,
        "precision": placement.precision,
        "threads": str(torch.get_num_threads()),
        "processor": describe_processor(placement.device),
        "dream": dream.__version__,
        "torch": str(torch.__version__),  # a class of torch, and a str
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
    }


def _prediction(scheduler: Any) -> dict[str, str]:
    """What the denoiser predicts, because model info may override the model's own files; nothing
    for schedulers without that setting."""
    config = scheduler.config
    return {"prediction": config.prediction_type} if "prediction_type" in config else {}


def _chosen_encoder(loaded: LoadedModel, name: str | None) -> dict[str, str]:
    """The SHA-256 of the text encoder that --text_encoder chose; nothing for the model's usual."""
    if not name:
        return {}
    parts = (part for part in loaded.info.parts if part.part.startswith("text_encoder"))
    with suppress(OSError):
        path = next((part.path for part in parts if is_named(part.path, name)), None)
        return {"text_encoder_weights": hash_weight_files(WeightFiles((path,)))} if path else {}
    return {}

"""What the pixels depend on besides the recipe: written into the PNG, compared by --verify."""

from __future__ import annotations

from typing import Any

import diffusers
import torch
import transformers

import dream
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory.device import describe_processor


def collect_provenance(loaded: LoadedModel, scheduler: Any) -> dict[str, str]:
    """Every value is text; keys as in `Picture.facts`. `scheduler` is the one that ran."""
    placement = loaded.placement
    return {
        "weights": _digest(loaded),
        **({"ema": "the running averages in the model's file"} if loaded.info.ema else {}),
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


def _digest(loaded: LoadedModel) -> str:
    try:
        return loaded.digest.result()
    except OSError:  # the files were removed after loading; the image is still good
        return "unknown"

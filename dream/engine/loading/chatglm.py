"""Builds ChatGLM3, the text encoder of Kolors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from diffusers.pipelines.kolors import ChatGLMModel
from transformers.initialization import no_init_weights

from dream.engine.memory.device import Placement


def build_chatglm(folder: Path, placement: Placement) -> Any:
    """The model, without memory for its weights, by the configuration in a folder.

    It computes the angles of positions anew for each text, in the type and on the device of its
    buffer `inv_freq`, whose numbers it never reads. In another type than the weights', attention
    fails or rounds otherwise. So the buffer is made here, and is no weight: some files have it,
    others lack it.
    """
    config = ChatGLMModel.config_class.from_pretrained(folder, local_files_only=True)
    with init_empty_weights(), no_init_weights():
        model = ChatGLMModel(config, empty_init=False)  # the other way allocates all weights
    angles = model.rotary_pos_emb
    numbers = angles.inv_freq.to(placement.storage_device, placement.dtype)
    angles.register_buffer("inv_freq", numbers, persistent=False)
    return model

"""Loads the components of a Stable Diffusion in diffusers layout without `from_pretrained`: less
work, no second copy in memory, and completely or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import diffusers
import transformers
from accelerate import init_empty_weights
from safetensors import SafetensorError
from transformers.initialization import no_init_weights

from dream.engine.loading.late_weights import LateWeights
from dream.engine.loading.mmap_file import open_mapped
from dream.engine.loading.weight_copy import assign_weights, load_weights, start_copying
from dream.engine.memory.device import Placement
from dream.options.quantize_table import NO_QUANTIZATION

T = TypeVar("T")

FAST_LOADERS = {
    "diffusers": ("UNet2DConditionModel", "AutoencoderKL"),
    "transformers": ("CLIPTextModel", "CLIPTextModelWithProjection"),
    "kolors": ("ChatGLMModel",),
}
"""Classes whose weights are all in the file, under the names they have in the class. Others are
loaded by the libraries, which rename, tie and compute weights, each in another way."""

_BEFORE_2023 = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""The names in the attention of VAEs before diffusers 0.15."""


def has_fast_loader(library: str, kind: str, folder: Path) -> bool:
    """Whether `load_component` loads this class. It does not load quantized ones."""
    if kind not in FAST_LOADERS.get(library, ()):
        return False
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return "quantization_config" not in config


def load_component(
    library: str,
    kind: str,
    folder: Path,
    files: tuple[Path, ...],
    placement: Placement,
    late: LateWeights | None = None,
) -> Any:
    """Load the component in a folder, its weights from these safetensors files; see `load_weights`.

    Raises ModelError for missing weights or other shapes; OSError and ValueError for broken files.
    """
    try:
        opened = [open_mapped(path) for path in files]
    except SafetensorError as error:
        raise ValueError(f"{folder} contains a broken file: {error}") from error
    weights = dict(chain.from_iterable(one.tensors.items() for one in opened))
    if placement.quantize != NO_QUANTIZATION or late is not None:
        model = _build(library, kind, folder, placement)
        own, places = _to_class_names(model, weights), model.state_dict()
        used = {name: own[name] for name in own if name in places}
        return load_weights(model, used, folder, placement, opened, late)
    with start_copying(weights, placement, opened) as coming:
        model = _build(library, kind, folder, placement)
        places = model.state_dict()
        named = _to_class_names(model, coming)
        return assign_weights(model, {n: named[n] for n in named if n in places}, folder, opened)


def load_tokenizer(kind: str, folder: Path) -> Any:
    """The tokenizer in a folder; shared by all folders with the same files, as nearly all Stable
    Diffusions have. Raises OSError, ValueError, AttributeError."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    content = hashlib.sha256()
    for path in files:
        content.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        content.update(path.read_bytes())
    return _tokenizer(kind, _TokenizerFiles(content.hexdigest(), folder))


@dataclass(frozen=True)
class _TokenizerFiles:
    """A tokenizer's files, compared by content."""

    sha256: str
    folder: Path = field(compare=False)


@lru_cache(maxsize=4)
def _tokenizer(kind: str, files: _TokenizerFiles) -> Any:
    """Building one takes a fifth of a second, and tokenizers are never changed afterwards."""
    return getattr(transformers, kind).from_pretrained(files.folder, local_files_only=True)


def _build(library: str, kind: str, folder: Path, placement: Placement) -> Any:
    """The component, without memory for its weights."""
    if library == "kolors":
        from dream.engine.loading.chatglm import build_chatglm  # warns when it is imported

        return build_chatglm(folder, placement)
    return _diffusers(kind, folder) if library == "diffusers" else _transformers(kind, folder)


def _diffusers(kind: str, folder: Path) -> Any:
    component = getattr(diffusers, kind)
    with init_empty_weights():
        return component.from_config(component.load_config(folder, local_files_only=True))


def _transformers(kind: str, folder: Path) -> Any:
    component = getattr(transformers, kind)
    config = component.config_class.from_pretrained(folder, local_files_only=True)
    with init_empty_weights(), no_init_weights():
        return component(config)


def _to_class_names(model: Any, weights: Mapping[str, T]) -> dict[str, T]:
    """Weights by the names of the class: CLIP's lack `text_model.` now."""
    if isinstance(model, diffusers.AutoencoderKL):
        return {current_vae_name(name): weight for name, weight in weights.items()}
    if any(name.startswith("text_model.") for name in model.state_dict()):
        return dict(weights)
    prefix = re.compile(r"^(text_model|transformer)\.")  # the second in files of ChatGLM itself
    return {prefix.sub("", name): weight for name, weight in weights.items()}


def current_vae_name(name: str) -> str:
    """The name of a VAE's weight in today's diffusers."""
    *place, layer, what = name.split(".")
    if "attentions" in place and layer in _BEFORE_2023:
        return ".".join([*place, _BEFORE_2023[layer], what])
    return name

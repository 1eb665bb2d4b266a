"""Text encoders in GGUF files as transformers has them: names, and what llama.cpp changed in the
weights."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

import torch

from dream.catalogue.detect.gguf import ARCHITECTURE
from dream.catalogue.detect.gguf_names import PERMUTED, SHIFTED, rename
from dream.engine.loading.mmap_file import MappedFile


def with_names_of_transformers(mapped: MappedFile) -> MappedFile:
    """The same file; unchanged if it is not a language model. Raises KeyError and ValueError for
    one without the number of its heads."""
    architecture = mapped.metadata.get(ARCHITECTURE, "")
    names = rename(mapped.tensors, architecture)
    if all(old == new for old, new in names.items()):
        return mapped
    tensors = {new: mapped.tensors[old] for old, new in names.items()}
    if architecture in SHIFTED:
        norms = [name for name in tensors if name.endswith("norm.weight")]
        tensors |= {name: tensors[name].to(torch.float32) - 1 for name in norms}
    if architecture in PERMUTED:
        heads = int(mapped.metadata[f"{architecture}.attention.head_count"])
        groups = int(mapped.metadata.get(f"{architecture}.attention.head_count_kv", heads))
        for name in tensors:
            if name.endswith((".q_proj.weight", ".k_proj.weight")):
                count = heads if ".q_proj." in name else groups
                tensors[name] = _original_rows(tensors[name], count)
    return replace(mapped, tensors=tensors)


def _original_rows(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """The rows in transformers' order: of each head, llama.cpp has the halves interleaved."""
    rows = tensor.shape[0]
    if heads < 1 or gcd(rows, 2 * heads) != 2 * heads:
        raise ValueError(f"{rows} rows for {heads} heads")
    order = torch.arange(rows).reshape(heads, rows // heads // 2, 2).transpose(1, 2).flatten()
    return tensor.index_select(0, order)

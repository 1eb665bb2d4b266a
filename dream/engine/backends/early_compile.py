"""Compiles the network of a denoiser while its model is loaded: the one that the last line like
this began with. Which one it is, is certain only when the denoiser is called; until then it is a
guess, and work for nothing where it is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch

from dream.catalogue.model_info import ModelInfo
from dream.core.recipe import Recipe
from dream.engine.adapters.weight_merge import WeightedLora, get_key
from dream.engine.backends.converted_networks import ConvertedNetwork, ConvertedNetworks
from dream.engine.backends.network_files import BIN
from dream.engine.backends.openvino_core import Shapes
from dream.engine.backends.openvino_runtime import PRECISIONS, CompiledNetwork
from dream.engine.backends.trial import choose_attempt
from dream.engine.loading.file_signature import compute_model_signature
from dream.engine.memory.low_memory import measure_free_memory

_VERSIONS = ("openvino", "torch", "diffusers")


def describe_start(info: ModelInfo, recipe: Recipe, loras: Sequence[WeightedLora]) -> str:
    """The same for lines that most likely begin with the same network: known before the model is
    loaded."""
    about = (
        *(info.path, info.ema, info.parts, info.quantize, compute_model_signature(info)),
        *(recipe.width, recipe.height, recipe.hires_fix, recipe.cfg_scale > 1, recipe.cache),
        *(get_key(loras), [_find_version(package) for package in _VERSIONS]),
    )
    return hashlib.sha256(repr(about).encode()).hexdigest()[:32]


@cache
def _find_version(package: str) -> str:
    """Without importing it, which takes long."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


class EarlyCompile:
    """A network that is being compiled, in a thread of its own."""

    def __init__(
        self,
        network: ConvertedNetwork,
        shapes: Shapes,
        compiled_for: Shapes | None,
        dtype: torch.dtype,
    ) -> None:
        """Begins at once. shapes: of the call that is expected. compiled_for: see
        `compile_network`. dtype: of the arithmetic."""
        self._at = network.folder.name, shapes
        pool = ThreadPoolExecutor(1, "compile")
        self._compiled = pool.submit(
            CompiledNetwork,
            *(network.xml, compiled_for, dtype, network.structure, torch.get_num_threads()),
        )
        pool.shutdown(wait=False)

    def take(self, key: str, shapes: Shapes) -> CompiledNetwork | None:
        """The network of this key for these shapes, when it is ready; None if it is another one.
        Raises what compiling raises."""
        return self._compiled.result() if (key, shapes) == self._at else None


def compile_early(networks: ConvertedNetworks, start: str) -> EarlyCompile | None:
    """Begin to compile the network that a line of this description began with. None where no such
    line was rendered by one, and where there is no memory for it and for torch's weights."""
    network = networks.find_start(start)
    if network is None or (found := network.get_start(start)) is None:
        return None
    shapes, precision = found
    dtype = next((dtype for dtype, name in PRECISIONS.items() if name == precision), None)
    attempt = choose_attempt(network, shapes)
    if not network.checked(shapes) or attempt is None or dtype is None:
        return None
    with suppress(OSError):
        if measure_free_memory("cpu") >= 2 * (network.folder / BIN).stat().st_size:
            return EarlyCompile(network, shapes, attempt[1], dtype)
    return None

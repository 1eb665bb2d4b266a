"""Compiles the network of a denoiser while its model is loaded: the one that the last line like
this began with. Which one it is, is certain only when the denoiser is called; until then it is a
guess, and work for nothing where it is wrong.

Imports no torch: in a new process, the compilation begins before torch and diffusers are imported,
which takes longer than it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from dream.catalogue.model_info import ModelInfo
from dream.core.file_names import get_file_stamp
from dream.core.model_options import get_model_options
from dream.core.recipe import Recipe
from dream.engine.backends.converted_networks import ConvertedNetwork, ConvertedNetworks, FirstCall
from dream.engine.backends.engine_choice import may_use_openvino
from dream.engine.backends.network_files import BIN
from dream.engine.backends.openvino_core import Shapes, compile_network, import_openvino
from dream.engine.backends.trial import choose_attempt
from dream.engine.interface import DeviceConfig, FindAdapter, UseTextEncoder, with_options
from dream.engine.loading.file_signature import compute_model_signature
from dream.engine.memory.host_memory import measure_free_host_memory

_VERSIONS = ("openvino", "torch", "diffusers")


def describe_start(
    info: ModelInfo, recipe: Recipe, loras: tuple[object, ...], machine: DeviceConfig
) -> str:
    """The same for lines that most likely begin with the same network: known before the model is
    loaded. loras: see `weight_merge.get_key`, which `describe_loras` is equal to."""
    about = (
        *(info.path, info.ema, info.parts, info.quantize, compute_model_signature(info)),
        *(recipe.width, recipe.height, recipe.hires_fix, recipe.cfg_scale > 1, recipe.cache),
        *(recipe.threads, machine.device, machine.precision),
        *(loras, [_find_version(package) for package in _VERSIONS]),
    )
    return hashlib.sha256(repr(about).encode()).hexdigest()[:32]


def describe_loras(recipe: Recipe, find_adapter: FindAdapter) -> tuple[object, ...]:
    """The key of a recipe's LoRAs, without opening them. Raises ModelError."""
    found = [(find_adapter("lora", lora.name), lora) for lora in recipe.lora or ()]
    return tuple(
        (path, get_file_stamp(path), lora.weight, lora.for_text)
        for path, lora in found
        if lora.weight or lora.for_text
    )


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
        self, start: str, network: ConvertedNetwork, known: FirstCall, compiled_for: Shapes | None
    ) -> None:
        """Begins at once. start: how it was found. known: what is expected. compiled_for: see
        `compile_network`."""
        self.start = start
        self._at = network.folder.name, known.shapes, known.threads
        with suppress(Exception):  # `take` raises it
            import_openvino()  # here, because two threads that import wait for each other
        pool = ThreadPoolExecutor(1, "compile")
        job = network.xml, compiled_for, known.precision, known.threads
        self._compiled = pool.submit(compile_network, *job)
        pool.shutdown(wait=False)

    def take(self, key: str, shapes: Shapes, threads: int) -> Any:
        """OpenVINO's network of this key for these shapes, when it is ready; None if it is another
        one. Raises what compiling raises."""
        return self._compiled.result() if (key, shapes, threads) == self._at else None


def compile_early(
    networks: ConvertedNetworks, start: str, beside: int | None = None
) -> EarlyCompile | None:
    """Begin to compile the network that a line of this description began with. None where no such
    line was rendered by one, and where there is no memory for it and for what comes `beside` it, in
    bytes: torch's own weights of it, if that is None."""
    network = networks.find_start(start)
    if network is None or (known := network.get_start(start)) is None:
        return None
    attempt = choose_attempt(network, known.shapes)
    if not network.checked(known.shapes) or attempt is None:
        return None
    with suppress(OSError):
        size = (network.folder / BIN).stat().st_size
        if measure_free_host_memory() >= size + (size if beside is None else beside):
            return EarlyCompile(start, network, known, attempt[1])
    return None


def compile_first(
    recipe: Recipe,
    machine: DeviceConfig,
    find_model: Callable[[str], ModelInfo],
    find_adapter: FindAdapter,
    use_text_encoder: UseTextEncoder,
    networks: ConvertedNetworks | None = None,
) -> EarlyCompile | None:
    """The same for the line that a new process expects, before it has loaded anything. Raises
    ModelError."""
    if not may_use_openvino(recipe):
        return None
    info = with_options(find_model(recipe.model), get_model_options(recipe), use_text_encoder)
    start = describe_start(info, recipe, describe_loras(recipe, find_adapter), machine)
    files = [stamp for part in compute_model_signature(info) for _, stamp in part]
    beside = 2 * sum(stamp[1] for stamp in files if stamp)  # float16 becomes float32
    return compile_early(ConvertedNetworks() if networks is None else networks, start, beside)

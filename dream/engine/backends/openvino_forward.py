"""Runs one network of a pipeline with OpenVINO, in the place of its `forward`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch import Tensor, nn

from dream.core.events import Note
from dream.engine.backends import openvino_runtime as runtime
from dream.engine.backends.comparison import MAX_DIFFERENCE, get_last_line, measure_difference
from dream.engine.backends.converted_networks import ConvertedNetwork, ConvertedNetworks, FirstCall
from dream.engine.backends.early_compile import EarlyCompile
from dream.engine.backends.identity import compute_key
from dream.engine.backends.network_call import NetworkCall
from dream.engine.backends.openvino_core import Shapes, get_version
from dream.engine.backends.trial import choose_attempt, try_network
from dream.engine.interface import ProgressCallback
from dream.engine.memory.low_memory import is_out_of_memory, measure_free_memory
from dream.engine.sampling.call_slots import replace_forward

KEPT = 2
"""Of one network, the shapes that are compiled at the same time: with guidance and without, or both
passes of --hires_fix. Each has its own copy of the weights."""

KEPT_TILES = 9
"""The same of an upscaler: tiles in the corners, along the sides and in the middle."""

Compiled = OrderedDict[object, runtime.CompiledNetwork]
_CHANGED_CLASSES = ("Sliced", "IPAdapter", "PAG")
"""In the names of attention processors that a converted network does not have."""


@dataclass
class NetworkForward:
    """Takes the place of a module's `forward`."""

    part: str
    """ "unet", "transformer", "vae" or "upscaler"."""
    name: str
    """As it is called in messages: "the unet of tiny"."""
    module: nn.Module
    identity: Callable[[], Mapping[str, Any]]
    """What the module's weights are; see `identity`."""
    networks: ConvertedNetworks
    compiled: Compiled
    """Of this module, the one used last at the end; kept by the caller."""
    report: ProgressCallback
    convert: bool = True
    """Whether a network that was not converted yet is converted now, while the caller waits."""
    missing: NetworkCall | None = None
    """The first call that no converted network could answer, if none was converted."""
    kept: int = KEPT
    """How many shapes stay compiled."""
    try_each: bool = True
    """Whether each shape is tried in another process first, and not only the first one."""
    complete: Callable[[], None] = lambda: None
    """Called before torch needs the module's weights."""
    early: EarlyCompile | None = None
    """What was compiled while the model was loaded."""
    start: str = ""
    """How the first call is remembered: see `early_compile`."""
    calls: int = 0
    """How many were answered by OpenVINO."""
    original: Any = None
    """The module's own `forward`, while it is replaced."""
    _keys: dict[str, str] = field(default_factory=dict)
    """Of converted networks, by the layout of their calls."""
    _reported: set[str] = field(default_factory=set)
    """Why torch answers instead."""

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """While the module is run by it."""
        own = self.module.forward

        def original(*args: Any, **kwargs: Any) -> Any:
            self.complete()
            return own(*args, **kwargs)

        self.original = original
        with replace_forward(self.module, self):
            yield

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module's own `forward` would return, within MAX_DIFFERENCE."""
        answer = self.answer(args, kwargs)
        return self.original(*args, **kwargs) if answer is None else answer[0]

    def answer(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], layers: Sequence[str] = ()
    ) -> list[Any] | None:
        """The same, and what each of these parts of the module would return, by name; None where
        torch has to compute it."""
        try:
            results = self._answer(args, kwargs, layers)
        except _Unusable as why:
            self._report(str(why))
            return None
        if results is None:
            return None
        self.calls += 1
        first: Any = results[0]
        if hasattr(self.module, "config"):  # a part of a model returns a tensor
            plain = kwargs.get("return_dict") is False
            first = (first,) if plain else UNet2DConditionOutput(first)
        return [first, *results[1:]]

    def _answer(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], layers: Sequence[str]
    ) -> list[Any] | None:
        """OpenVINO's results; None where it is not ready yet. Raises _Unusable."""
        if not is_plain(self.module):
            raise _Unusable("this line changes what is inside it")
        call = NetworkCall.of(self.module, args, kwargs, layers)
        key = self._compute_key(call.layout)
        at = key, call.shapes, torch.get_num_threads()
        try:
            if (ready := self.compiled.get(at)) is not None:
                self.compiled.move_to_end(at)
                return ready(call.tensors)
            network = self._find_or_convert(key, call)
            if network is None:
                return None
            _require_good(network, call)
            ready, results = self._run_first(network, call)
        except _Unusable:
            raise
        except Exception as error:  # OpenVINO raises RuntimeError for everything, and others
            why = "not enough memory" if is_out_of_memory(error) else get_last_line(error)
            raise _Unusable(why) from error
        if network.checked(call.shapes) is None:
            good = self._compare(results[0], args, kwargs)
            _require_good(self.networks.set_checked(network, call.shapes, good), call)
        self.compiled[at] = ready
        if self.start and not self.calls:
            precision = runtime.PRECISIONS[next(self.module.parameters()).dtype]
            known = FirstCall(call.shapes, precision, torch.get_num_threads())
            self.networks.set_start(network, self.start, known)
        return results

    def _compute_key(self, layout: str) -> str:
        if layout not in self._keys:
            self._keys[layout] = compute_key(self.identity(), self.module, layout)
        return self._keys[layout]

    def _find_or_convert(self, key: str, call: NetworkCall) -> ConvertedNetwork | None:
        """None where there is none to use now. Raises _Unusable, and
        what conversion raises."""
        network = self.networks.find(key)
        if network is not None:
            return network
        if not self.convert:
            self.missing = self.missing or call
            return None
        if not self.networks.has_room(count_bytes(self.module)):
            raise _Unusable("the disk of the cache folder is full")
        self.report(Note(text=f"converting {self.name} for OpenVINO; this is done once"))
        self.complete()
        return convert_and_keep(self.networks, key, self.module, call)

    def _run_first(
        self, network: ConvertedNetwork, call: NetworkCall
    ) -> tuple[runtime.CompiledNetwork, list[Any]]:
        """Compile and run a network: with variable sizes where other sizes end the process. A new
        one is tried in another process first; where that is not possible, or this process ends all
        the same, the worker is started again, and the next one knows. Raises _Unusable, and what is
        raised."""
        is_new = network.checked(call.shapes) is None
        if is_new:
            network = self._try(network, call)
        if (chosen := choose_attempt(network, call.shapes)) is None:
            raise _Unusable("it ends the process")
        attempt, shapes = chosen
        if is_new:
            self.networks.set_trying(network, attempt)
        try:
            ready = self._take_early(network, call) or self._compile(network, shapes)
            return ready, ready(call.tensors)
        finally:
            if is_new:
                self.networks.set_trying(network, None)

    def _try(self, network: ConvertedNetwork, call: NetworkCall) -> ConvertedNetwork:
        """The network, tried in another process if there is memory for it."""
        needed = 2 * count_bytes(self.module)
        if measure_free_memory("cpu") < needed or (network.was_tried and not self.try_each):
            return network
        precision = runtime.PRECISIONS[next(self.module.parameters()).dtype]
        return try_network(self.networks, network, call.shapes, precision, torch.get_num_threads())

    def _take_early(
        self, network: ConvertedNetwork, call: NetworkCall
    ) -> runtime.CompiledNetwork | None:
        """What was compiled early, if it is this; once."""
        early, self.early = self.early, None
        threads = torch.get_num_threads()
        taken = None if early is None else early.take(network.folder.name, call.shapes, threads)
        return None if taken is None else runtime.CompiledNetwork(taken, network.structure)

    def _compile(self, network: ConvertedNetwork, shapes: Shapes | None) -> runtime.CompiledNetwork:
        while len(self.compiled) >= self.kept:
            self.compiled.popitem(last=False)
        if measure_free_memory("cpu") < count_bytes(self.module):
            raise MemoryError
        dtype = next(self.module.parameters()).dtype
        return runtime.CompiledNetwork.compile(network.xml, shapes, dtype, network.structure)

    def _compare(self, result: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        expected = self.original(*args, **kwargs)
        expected = expected if isinstance(expected, Tensor) else expected[0]
        most = MAX_DIFFERENCE[next(self.module.parameters()).dtype]
        return measure_difference(result, expected) <= most

    def _report(self, why: str) -> None:
        """Say once why torch answers."""
        if why not in self._reported:
            self._reported.add(why)
            self.report(Note(text=f"OpenVINO cannot run {self.name}: {why}; using torch for it"))


class _Unusable(Exception):
    """Why torch has to answer."""


def _require_good(network: ConvertedNetwork, call: NetworkCall) -> None:
    """Raises _Unusable for a network that could not be converted, or whose results are wrong."""
    if network.failure:
        raise _Unusable(network.failure)
    if network.checked(call.shapes) is False:
        raise _Unusable("its results are not close to torch's")


def convert_and_keep(
    networks: ConvertedNetworks, key: str, module: nn.Module, call: NetworkCall
) -> ConvertedNetwork:
    """Convert a network; what its operations do not allow is remembered, and that it ended the
    process. Raises what is raised."""
    about = {"engine": f"OpenVINO {get_version()}"}
    try:
        return networks.add(key, lambda xml: runtime.convert(module, call, xml), about)
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        if not is_out_of_memory(error):
            networks.add_failure(key, get_last_line(error))
        raise


def is_plain(module: nn.Module) -> bool:
    """Whether nothing inside a module is changed: no hooks, no other functions, and no attention
    but diffusers' usual."""
    for layer in module.modules():
        if layer is not module and (layer._forward_hooks or layer._forward_pre_hooks):
            return False
        own = vars(layer)
        if "_conv_forward" in own or (layer is not module and not _is_plain(own.get("forward"))):
            return False
        processor = type(own.get("processor"))
        if processor.__module__.startswith("dream.") or any(
            name in processor.__name__ for name in _CHANGED_CLASSES
        ):
            return False
    return True


def _is_plain(forward: Any) -> bool:
    """Whether what a layer has as its own `forward` computes what its class would."""
    return forward is None or bool(getattr(forward, "is_plain", False))


def count_bytes(module: nn.Module) -> int:
    """Of its weights."""
    return sum(parameter.nbytes for parameter in module.parameters())

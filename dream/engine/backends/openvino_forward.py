"""Runs one network of a pipeline with OpenVINO, in the place of its `forward`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch import Tensor, nn

from dream.core.events import Note
from dream.engine.backends import openvino_runtime as runtime
from dream.engine.backends.comparison import MAX_DIFFERENCE, get_last_line, measure_difference
from dream.engine.backends.converted_networks import ConvertedNetwork, ConvertedNetworks
from dream.engine.backends.identity import compute_key
from dream.engine.backends.network_call import NetworkCall
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
    calls: int = 0
    """How many were answered by OpenVINO."""
    _original: Any = None
    _reported: set[str] = field(default_factory=set)
    """Why torch answers instead."""

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """While the module is run by it."""
        self._original = self.module.forward
        with replace_forward(self.module, self):
            yield

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module's own `forward` would return, within MAX_DIFFERENCE."""
        try:
            result = self._answer(*args, **kwargs)
        except _Unusable as why:
            self._report(str(why))
            result = None
        if result is None:
            return self._original(*args, **kwargs)
        self.calls += 1
        if not hasattr(self.module, "config"):  # a part of a model: it returns a tensor
            return result
        return (result,) if kwargs.get("return_dict") is False else UNet2DConditionOutput(result)

    def _answer(self, *args: Any, **kwargs: Any) -> Tensor | None:
        """OpenVINO's result; None where it is not ready yet. Raises _Unusable."""
        if not is_plain(self.module):
            raise _Unusable("this line changes what is inside it")
        call = NetworkCall.of(self.module, args, kwargs)
        key = compute_key(self.identity(), self.module, call.layout)
        at = key, call.shapes
        try:
            if (ready := self.compiled.get(at)) is not None:
                self.compiled.move_to_end(at)
                return ready(call.tensors)
            network = self._find_or_convert(key, call)
            if network is None:
                return None
            _require_good(network, call)
            ready, result = self._run_first(network, call)
        except _Unusable:
            raise
        except Exception as error:  # OpenVINO raises RuntimeError for everything, and others
            why = "not enough memory" if is_out_of_memory(error) else get_last_line(error)
            raise _Unusable(why) from error
        if network.checked(call.shapes) is None:
            good = self._compare(result, args, kwargs)
            _require_good(self.networks.set_checked(network, call.shapes, good), call)
        self.compiled[at] = ready
        return result

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
        return convert_and_keep(self.networks, key, self.module, call)

    def _run_first(
        self, network: ConvertedNetwork, call: NetworkCall
    ) -> tuple[runtime.CompiledNetwork, Tensor]:
        """Compile and run a network. Where that ends the process, the worker is started again, and
        the image too: then with variable sizes, and if that ends it as well, torch answers. Raises
        _Unusable, and what is raised."""
        variable = network.crashed(call.shapes)
        attempt = (call.shapes, "variable") if variable else call.shapes
        if network.crashed(attempt):
            raise _Unusable("it ends the process")
        is_new = network.checked(call.shapes) is None
        if is_new:
            self.networks.set_trying(network, attempt)
        try:
            ready = self._compile(network, call, variable)
            return ready, ready(call.tensors)
        finally:
            if is_new:
                self.networks.set_trying(network, None)

    def _compile(
        self, network: ConvertedNetwork, call: NetworkCall, variable: bool
    ) -> runtime.CompiledNetwork:
        while len(self.compiled) >= self.kept:
            self.compiled.popitem(last=False)
        if measure_free_memory("cpu") < count_bytes(self.module):
            raise MemoryError
        dtype = next(self.module.parameters()).dtype
        return runtime.CompiledNetwork(network.xml, None if variable else call.shapes, dtype)

    def _compare(self, result: Tensor, args: Any, kwargs: Any) -> bool:
        expected = self._original(*args, **kwargs)
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
    about = {"engine": f"OpenVINO {runtime.get_version()}"}
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
        if "_conv_forward" in vars(layer) or (layer is not module and "forward" in vars(layer)):
            return False
        processor = type(vars(layer).get("processor"))
        if processor.__module__.startswith("dream.") or any(
            name in processor.__name__ for name in _CHANGED_CLASSES
        ):
            return False
    return True


def count_bytes(module: nn.Module) -> int:
    """Of its weights."""
    return sum(parameter.nbytes for parameter in module.parameters())

"""Converts networks to OpenVINO's format, and runs them on torch's tensors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.engine.backends.network_call import NetworkCall, TensorsIn, unflatten
from dream.engine.backends.openvino_core import (
    Shapes,
    compile_network,
    import_openvino,
    without_telemetry,
)

PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
"""OpenVINO's names."""


def convert(module: torch.nn.Module, call: NetworkCall, xml: Path) -> str:
    """Write a module's weights and operations as `xml` and a .bin file beside it; returns the
    structure of its results. Sizes stay variable where the module's code allows it. Raises any
    exception for what is not supported."""
    openvino = import_openvino()
    with without_telemetry():
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about branches that tracing decides once
        whole = TensorsIn(module, call).eval()
        traced = torch.jit.trace(whole, tuple(call.tensors), check_trace=False, strict=False)
        front_end = FrontEndManager().load_by_framework("pytorch")
        # Shared bfloat16 weights would be read after they are freed: the front end keeps no
        # reference to the copy that it makes of weights that are channels-last.
        shared = all(weight.dtype != torch.bfloat16 for weight in module.parameters())
        decoder = TorchScriptPythonDecoder(traced, skip_freeze=True, shared_memory=shared)
        model = front_end.convert(front_end.load(decoder))
    openvino.serialize(model, str(xml), str(xml.with_suffix(".bin")))
    return whole.structure


class CompiledNetwork:
    """A converted network, ready to run for tensors of certain shapes."""

    def __init__(self, compiled: Any, structure: str = "") -> None:
        """compiled: OpenVINO's, from `compile_network`. structure: see `unflatten`."""
        self._structure = structure
        self._openvino = import_openvino()
        self._request = compiled.create_infer_request()

    @classmethod
    def compile(
        cls, xml: Path, shapes: Shapes | None, dtype: torch.dtype, structure: str = ""
    ) -> CompiledNetwork:
        """See `compile_network`. dtype: of the arithmetic, with as many threads as torch has."""
        threads = torch.get_num_threads()
        return cls(compile_network(xml, shapes, PRECISIONS[dtype], threads), structure)

    def __call__(self, tensors: Sequence[Tensor]) -> list[Any]:
        """The network's result and those of its layers, tensors of their own."""
        inputs = [self._wrap(tensor.detach().contiguous()) for tensor in tensors]
        for number, tensor in enumerate(inputs):
            self._request.set_input_tensor(number, tensor)
        self._request.infer()
        found = [self._unwrap(result) for result in self._request.output_tensors]
        return unflatten(found, self._structure)

    def _wrap(self, tensor: Tensor) -> Any:
        if tensor.dtype != torch.bfloat16:  # which numpy does not have
            return self._openvino.Tensor(tensor.numpy(), shared_memory=True)
        bits = tensor.view(torch.int16).numpy()
        return self._openvino.Tensor(bits, list(tensor.shape), self._openvino.Type.bf16)

    def _unwrap(self, output: Any) -> Tensor:
        if output.element_type != self._openvino.Type.bf16:
            return torch.from_numpy(output.data.copy())
        bits = torch.frombuffer(bytearray(output.data.tobytes()), dtype=torch.bfloat16)
        return bits.reshape(list(output.shape))

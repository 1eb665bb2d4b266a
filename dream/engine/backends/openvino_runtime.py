"""Converts networks to OpenVINO's format, and runs them.

The package's own converter is not used: it comes with telemetry, which is switched on by importing
it. Its front end, which does the work, is called directly.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.engine.backends.network_call import NetworkCall, TensorsIn

_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
_REPORTS_USE = ("openvino_telemetry", "openvino.tools.ovc")
"""Modules that `import openvino` imports where they exist, and that report its use to Google."""


@cache
def import_openvino() -> Any:
    """The package, without its telemetry."""
    before = {name: sys.modules.get(name) for name in _REPORTS_USE}
    sys.modules.update(dict.fromkeys(_REPORTS_USE))  # type: ignore[arg-type]  # None: not found
    try:
        import openvino
        import openvino.frontend.pytorch.ts_decoder
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
    return openvino


def get_version() -> str:
    """The version of the package, as 2026.4.1."""
    version: str = import_openvino().__version__
    return version.partition("-")[0]


def convert(module: torch.nn.Module, call: NetworkCall, xml: Path) -> None:
    """Write a module's weights and operations as `xml` and a .bin file beside it. Sizes stay
    variable where the module's code allows it. Raises any exception for what is not supported."""
    openvino = import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about branches that tracing decides once
        traced = torch.jit.trace(
            TensorsIn(module, call).eval(), tuple(call.tensors), check_trace=False, strict=False
        )
        front_end = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced, skip_freeze=True)
        model = front_end.convert(front_end.load(decoder))
    openvino.serialize(model, str(xml), str(xml.with_suffix(".bin")))


class CompiledNetwork:
    """A converted network, ready to run for tensors of certain shapes."""

    def __init__(
        self, xml: Path, shapes: Sequence[Sequence[int]] | None, dtype: torch.dtype
    ) -> None:
        """shapes: None for variable sizes, which OpenVINO optimises less. dtype: of the arithmetic.
        Raises any exception for a file that is damaged."""
        openvino = import_openvino()
        core = _core()
        model = core.read_model(str(xml))
        if shapes is not None:
            model.reshape(dict(zip(model.inputs, map(list, shapes), strict=True)))
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _HINTS[dtype],
                "EXECUTION_MODE_HINT": "ACCURACY",
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "ENABLE_CPU_PINNING": False,  # other programs use the processor, too
            },
        )
        self._openvino = openvino
        self._request = compiled.create_infer_request()

    def __call__(self, tensors: Sequence[Tensor]) -> Tensor:
        """The result, a tensor of its own."""
        inputs = [self._wrap(tensor.detach().contiguous()) for tensor in tensors]
        for number, tensor in enumerate(inputs):
            self._request.set_input_tensor(number, tensor)
        self._request.infer()
        return self._unwrap(self._request.get_output_tensor(0))

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


@cache
def _core() -> Any:
    return import_openvino().Core()

"""Chooses the device and the dtype that a model runs in."""

from __future__ import annotations

import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from dream.core.errors import BadSetting
from dream.options.quantize_table import NO_QUANTIZATION

NO_OFFLOAD = "off"
"""The mode of weights that stay on the device."""

LARGE_MODEL = 100_000_000
"""Parameters. Below this a CPU renders in float32: the gain is small, and float32 is exact."""


PRECISIONS = ("float32", "bfloat16", "float16")
"""The dtypes a model can have."""


@dataclass(frozen=True)
class Placement:
    """A device, a dtype, and the reason, for `--doctor` and the toolbar."""

    device: str
    """"cpu", "cuda:N" or "mps"."""
    precision: str
    """"float32", "bfloat16" or "float16"."""
    reason: str
    advice: str = ""
    """What would make rendering faster here; mostly empty."""
    offload_mode: str = NO_OFFLOAD
    """How the weights come to the device: see `engine.memory.offload`."""

    quantize: str = NO_QUANTIZATION
    """The value of --quantize: see `options.quantize_table`."""

    @property
    def storage_device(self) -> str:
        """Where the weights stay: on the device, or in main memory."""
        return self.device if self.offload_mode == NO_OFFLOAD else "cpu"

    @property
    def dtype(self) -> torch.dtype:
        """The precision as a torch dtype."""
        dtype = getattr(torch, self.precision)
        assert isinstance(dtype, torch.dtype)
        return dtype


def choose_placement(
    device: str = "auto", precision: str = "auto", parameters: int = 0
) -> Placement:
    """The best device and dtype for a model of so many parameters, where the settings are "auto".

    Raises BadSetting for a device that does not exist or is not in this machine, and for an unknown
    precision.
    """
    place, reason = _device(device)
    advice = _advice() if device == "auto" and place == "cpu" else ""
    if precision != "auto":
        if precision not in PRECISIONS:
            raise BadSetting(f"--precision {precision}: choose auto, float32, bfloat16 or float16")
        return Placement(place, precision, f"{reason}; {precision} as requested", advice)
    chosen, because = _precision(place, parameters)
    return Placement(place, chosen, f"{reason}; {chosen} because {because}", advice)


def describe_processor(device: str) -> str:
    """The processor, as far as the low bits of the result depend on it: its name and the
    instructions used."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    if device == "mps":
        return f"{platform.machine()} mps"
    return f"{_cpu_name()} {torch.backends.cpu.get_cpu_capability()}"


def measure_gpu_memory(device: str) -> tuple[int, int] | None:
    """Free and total bytes of a CUDA device's own memory; None for devices that share the
    host's."""
    return torch.cuda.mem_get_info(device) if device.startswith("cuda") else None


def _device(device: str) -> tuple[str, str]:
    """The device and why it is that one."""
    match re.fullmatch(r"(auto|cpu|mps|cuda)(?::(\d+))?", device):
        case None:
            raise BadSetting(f"--device {device}: choose auto, cpu, cuda, cuda:N or mps")
        case found:
            kind, number = found[1], int(found[2] or 0)
    if kind == "auto":
        return _best()
    if kind == "cpu":
        return "cpu", "cpu as requested"
    if kind == "mps":
        if not torch.backends.mps.is_available():
            raise BadSetting("--device mps: this machine has no Apple GPU that torch can use")
        return "mps", "mps as requested"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= count:
        has = f"this machine has cuda:0 to cuda:{count - 1}" if count else _why_no_cuda()
        raise BadSetting(f"--device {device}: {has}")
    return f"cuda:{number}", "cuda as requested"


def _best() -> tuple[str, str]:
    if torch.cuda.is_available():
        return "cuda:0", f"cuda found ({torch.cuda.get_device_name(0)})"
    if torch.backends.mps.is_available():
        return "mps", "Apple GPU found"
    return "cpu", "cpu because torch cannot use a GPU here"


def _precision(device: str, parameters: int) -> tuple[str, str]:
    if device != "cpu":
        return "float16", "it is fast on a GPU"
    if parameters <= LARGE_MODEL:
        return "float32", "the model is small"
    if _cpu_has_bfloat16():
        return "bfloat16", "the processor supports it (avx512_bf16 or amx)"
    return "float32", "the processor does not support bfloat16"


def _cpu_has_bfloat16() -> bool:
    """Whether bfloat16 arithmetic is native; emulated it is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    return re.search(r"^flags\b.*\b(avx512_bf16|amx_bf16)\b", flags, re.MULTILINE) is not None


def _nvidia_card() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _advice() -> str:
    return f"this machine has an NVIDIA card, but {_why_no_cuda()}" if _nvidia_card() else ""


def _why_no_cuda() -> str:
    if torch.version.cuda is None:
        return "this torch was built without CUDA: install a CUDA build, see pytorch.org"
    if _nvidia_card():
        return "torch cannot use it: update the NVIDIA driver, or check CUDA_VISIBLE_DEVICES"
    return "this machine has no NVIDIA card that torch can use"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())

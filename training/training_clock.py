"""Measures a training by time; it can be interrupted and continued."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass
class TrainingClock:
    """Time spent on one part, over all runs, and the learning rate."""

    seconds: float
    spent: float = 0.0  # in earlier runs
    steps: int = 0
    samples: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        return self.spent + time.monotonic() - self.began

    @property
    def share(self) -> float:
        """0 at the first step, 1 when the time is up."""
        return min(1.0, self.elapsed / self.seconds)

    @property
    def over(self) -> bool:
        return self.elapsed >= self.seconds

    def rate(self, peak: float, lowest: float, warm: int = 100, hold: float = 0.0) -> float:
        """Learning rate: a short warm-up, then a cosine down (Loshchilov & Hutter 2017), which
        begins when the share `hold` of the time is over (Hu 2024)."""
        falling = max(0.0, self.share - hold) / (1 - hold)
        cosine = 0.5 * (1 + math.cos(math.pi * falling))
        return min(1.0, (self.steps + 1) / warm) * (lowest + (peak - lowest) * cosine)

    def step(self, samples: int) -> None:
        self.steps += 1
        self.samples += samples

    def state(self) -> dict[str, float]:
        return {"spent": self.elapsed, "steps": self.steps, "samples": self.samples}

    def resume(self, state: dict[str, float]) -> None:
        self.spent, self.began = state["spent"], time.monotonic()
        self.steps, self.samples = int(state["steps"]), int(state["samples"])


class ExponentialAverage:
    """A slow average of the weights (EMA, Polyak 1992), which is exported: its images are
    steadier."""

    def __init__(self, weights: list[torch.nn.Parameter], decay: float) -> None:
        self.weights = weights
        self.slow = [w.detach().clone() for w in weights]
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        torch._foreach_lerp_(self.slow, [w.detach() for w in self.weights], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the current weights and the average; again to exchange them back."""
        for weight, slow in zip(self.weights, self.slow, strict=True):
            quick = weight.detach().clone()
            weight.copy_(slow)
            slow.copy_(quick)

    def state(self) -> dict[str, Any]:
        return {"slow": self.slow, "steps": self.steps}

    def resume(self, state: dict[str, Any]) -> None:
        for mine, theirs in zip(self.slow, state["slow"], strict=True):
            mine.copy_(theirs)
        self.steps = int(state["steps"])


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write next to the old checkpoint and rename, so that a crash leaves the last one complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    torch.save(state, beside)
    beside.replace(path)


def load_checkpoint(path: Path, device: str = "cpu") -> dict[str, Any] | None:
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


def precision(device: str) -> torch.autocast:
    """bfloat16 where the device computes in it: half the time on recent processors, a quarter on a
    GPU. A processor that emulates it would take 2.8 times as long as in float32."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or _has_bfloat16())


def _has_bfloat16() -> bool:
    cpu: Any = torch.cpu  # these are not in its stubs
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())

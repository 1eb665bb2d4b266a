"""Where a model runs, and in which precision."""

from __future__ import annotations

import pytest
import torch

from dream.core.errors import BadSetting
from dream.engine.memory import device
from dream.engine.memory.device import choose_placement

SMALL, LARGE = 7_000_000, 860_000_000


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without any GPU; tests add what they want."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "GeForce")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device, "_nvidia_card", lambda: False)
    return monkeypatch


@pytest.mark.parametrize(
    ("gpu", "bf16", "device_asked", "precision_asked", "parameters", "expected"),
    [
        ("", True, "auto", "auto", LARGE, ("cpu", "bfloat16")),
        ("", True, "auto", "auto", SMALL, ("cpu", "float32")),
        ("", False, "auto", "auto", LARGE, ("cpu", "float32")),
        ("", True, "cpu", "float16", LARGE, ("cpu", "float16")),
        ("", True, "auto", "float32", LARGE, ("cpu", "float32")),
        ("cuda", True, "auto", "auto", LARGE, ("cuda:0", "float16")),
        ("cuda", True, "cuda", "auto", SMALL, ("cuda:0", "float16")),
        ("cuda", True, "cuda:1", "bfloat16", LARGE, ("cuda:1", "bfloat16")),
        ("cuda", True, "cpu", "auto", LARGE, ("cpu", "bfloat16")),
        ("mps", False, "auto", "auto", LARGE, ("mps", "float16")),
        ("mps", False, "mps", "float32", LARGE, ("mps", "float32")),
    ],
)
def test_the_table_of_choices(
    machine: pytest.MonkeyPatch,
    gpu: str,
    bf16: bool,
    device_asked: str,
    precision_asked: str,
    parameters: int,
    expected: tuple[str, str],
) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: gpu == "cuda")
    machine.setattr(torch.backends.mps, "is_available", lambda: gpu == "mps")
    machine.setattr(device, "_cpu_has_bfloat16", lambda: bf16)
    placement = choose_placement(device_asked, precision_asked, parameters)
    assert (placement.device, placement.precision) == expected
    assert placement.dtype == getattr(torch, expected[1])
    assert placement.reason and not placement.advice


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "mps", "tpu", "cpu:x", "cuda:", ""])
def test_a_device_that_is_not_here(machine: pytest.MonkeyPatch, wanted: str) -> None:
    with pytest.raises(BadSetting, match=f"--device {wanted}"):
        choose_placement(wanted)


def test_a_card_too_many(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(BadSetting, match="cuda:0 to cuda:1"):
        choose_placement("cuda:2")


def test_an_unknown_precision(machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match="float64"):
        choose_placement("cpu", "float64")


def test_a_torch_without_cuda_beside_a_card(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(device, "_nvidia_card", lambda: True)
    machine.setattr(torch.version, "cuda", None)
    placement = choose_placement()
    assert placement.device == "cpu"
    assert "built without CUDA" in placement.advice
    assert not choose_placement("cpu").advice, "asked for, so there is nothing to advise"

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dream.errors import ModelError
from dream.finish.network import load_network
from dream.finish.shim import RRDBNet, SRVGGNetCompact
from tests.finish.conftest import compact, rrdb, save


def assert_same(module: nn.Module, other: nn.Module) -> None:
    assert type(module) is type(other)
    ours, theirs = module.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("key", ["params", "params_ema", ""])
@pytest.mark.parametrize(
    ("module", "scale"),
    [
        (compact(24, 8, 4), 4),
        (compact(8, 3, 2), 2),
        (compact(8, 0, 1), 1),
        (compact(8, 1, 3), 3),
        (rrdb(4, blocks=1), 4),
        (rrdb(2, blocks=3), 2),
        (rrdb(1, blocks=2), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_architectures_are_recognised_by_their_keys(
    tmp_path: Path, module: nn.Module, scale: int, key: str
) -> None:
    network = load_network(save(module, tmp_path / "net.pth", key))
    assert network.scale == scale
    assert_same(network.module, module)
    pixels = torch.rand(1, 3, 8, 12)
    with torch.inference_mode():
        assert network.module(pixels).shape == (1, 3, 8 * scale, 12 * scale)


@pytest.mark.parametrize(
    ("build", "scale", "count"),
    [
        (lambda: RRDBNet(3, 3, 4, 64, 23, 32), 4, 16_697_987),
        (lambda: RRDBNet(3, 3, 2, 64, 23, 32), 2, 16_703_171),
        (lambda: RRDBNet(3, 3, 4, 64, 6, 32), 4, 4_467_779),
        (lambda: SRVGGNetCompact(3, 3, 64, 32, 4, "prelu"), 4, 1_213_296),
    ],
    ids=["x4plus", "x2plus", "x4plus_anime_6B", "general-x4v3"],
)
def test_the_official_layouts_are_recognised(
    tmp_path: Path, build: Any, scale: int, count: int
) -> None:
    with torch.device("meta"):
        shapes = build().state_dict()
    # One zero, seen as a tensor of the full size: the layout is what counts, and 67 MB are much.
    weights = {name: torch.zeros(1).expand(t.shape) for name, t in shapes.items()}
    torch.save({"params_ema": weights}, tmp_path / "net.pth")
    network = load_network(tmp_path / "net.pth")
    assert network.scale == scale
    assert sum(p.numel() for p in network.module.parameters()) == count


def test_half_precision_files_become_single(tmp_path: Path) -> None:
    network = load_network(save(compact().half(), tmp_path / "net.pth"))
    assert {p.dtype for p in network.module.parameters()} == {torch.float32}


def test_safetensors_are_as_good(tmp_path: Path) -> None:
    module = rrdb()
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    assert_same(load_network(tmp_path / "net.safetensors").module, module)


def test_the_average_over_training_is_preferred(tmp_path: Path) -> None:
    last, average = compact(seed=1), compact(seed=2)
    torch.save(
        {"params": last.state_dict(), "params_ema": average.state_dict()}, tmp_path / "net.pth"
    )
    assert_same(load_network(tmp_path / "net.pth").module, average)


def test_loading_draws_no_random_numbers(tmp_path: Path) -> None:
    path = save(rrdb(), tmp_path / "net.pth")
    before = torch.random.get_rng_state()
    load_network(path)
    assert torch.equal(before, torch.random.get_rng_state())


# ── what is refused ────────────────────────────────────────────────────────────────────────────


class Hostile:
    """A pickle that leaves a trace when it is allowed to run."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("layout", ["zip", "legacy", "bare"])
@pytest.mark.parametrize("forced", [False, True])
def test_a_file_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, forced: bool
) -> None:
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path, trace = tmp_path / "net.pth", tmp_path / "ran"
    content = {"params": compact().state_dict(), "extra": Hostile(trace)}
    if layout == "bare":
        path.write_bytes(pickle.dumps(content["extra"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=layout == "zip")
    with pytest.raises(
        ModelError, match=r"net\.pth is refused: it (asks to run posix\.mkdir|holds)"
    ):
        load_network(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("net.pth", b"<!DOCTYPE html><html>", "is no file of weights: it begins with b'<!DOCTYPE"),
        ("net.pth", b"", "is no file of weights: it begins with b''"),
        ("net.pth", b"PK\x03\x04 and nothing else", "is damaged"),
        ("net.pth", b"\x80\x02", "is damaged"),
        ("net.safetensors", b"<!DOCTYPE html><html>", "is no safetensors file, or damaged"),
        ("net.safetensors", b"", "is no safetensors file, or damaged"),
    ],
)
def test_a_file_of_another_kind_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_network(tmp_path / name)
    assert f"{name} {said}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_named(tmp_path: Path, share: float, zipped: bool) -> None:
    path = tmp_path / "net.pth"
    torch.save({"params": rrdb().state_dict()}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"net\.pth is (damaged|refused)"):
        load_network(path)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {"model.diffusion_model.x.weight": torch.zeros(3)}},
        {"params": {"conv_first.weight": torch.zeros(8, 5, 3, 3)}},
        {"params": {"body.0.weight": torch.zeros(8, 3, 3, 3)}},
        {"params": SRVGGNetCompact(3, 3, 8, 2, 4, "relu").state_dict()},
        {"params": [torch.zeros(3)]},
        [1, 2, 3],
        {},
    ],
    ids=str,
)
def test_other_networks_are_not_taken_for_upscalers(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"no upscaler known here|holds no network's weights"):
        load_network(tmp_path / "net.pth")


@pytest.mark.parametrize("module", [compact(), rrdb()], ids=["compact", "rrdb"])
def test_a_network_with_a_piece_missing_is_not_taken(tmp_path: Path, module: nn.Module) -> None:
    weights = dict(module.state_dict())
    del weights["body.2.bias" if "body.2.bias" in weights else "conv_body.bias"]
    torch.save(weights, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"is not whole: .*bias"):
        load_network(tmp_path / "net.pth")

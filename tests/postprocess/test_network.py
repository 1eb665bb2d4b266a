from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spandrel
import torch
from safetensors.torch import save_file
from torch import nn

from dream.catalogue import ModelRegistry
from dream.catalogue.upscalers import architecture_of
from dream.core.errors import ModelError
from dream.postprocess.basicsr_compat import RRDBNet, SRVGGNetCompact
from dream.postprocess.network import UpscalerNetwork, load_network
from tests.postprocess.architectures import ARCHITECTURES, first_layout, second_layout, weights_of
from tests.postprocess.conftest import compact, rrdb, save


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
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
def test_a_file_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, forced: bool, suffix: str
) -> None:
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path, trace = tmp_path / f"net{suffix}", tmp_path / "ran"
    content = {"params": compact().state_dict(), "extra": Hostile(trace)}
    if layout == "bare":
        path.write_bytes(pickle.dumps(content["extra"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=layout == "zip")
    runs, foreign = r"is refused: loading it would run posix\.mkdir", "is a pickle that torch did"
    message = rf"net\{suffix} ({runs}|{foreign} not write)"
    with pytest.raises(ModelError, match=message):
        load_network(path)
    assert not trace.exists()


def test_a_network_pickled_whole_is_refused_with_its_class(tmp_path: Path) -> None:
    torch.save(rrdb(), tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"loading it would run .*RRDBNet"):
        load_network(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "is a web page, not a model"),
        (b"", "is empty"),
        (b"PK\x03\x04 and nothing else", "is truncated, or not a weights file"),
        (b"\x80\x02", "is a pickle that torch did not write"),
        (b"7767517\n75 85\n", "is not a weights file"),
        (b"\x08\x07\x12\x07pytorch", "is not a weights file"),
    ],
)
@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_a_file_of_another_kind_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_network(tmp_path / name)
    assert f"{name} {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_named(tmp_path: Path, share: float, zipped: bool) -> None:
    path = tmp_path / "net.pth"
    torch.save({"params": rrdb().state_dict()}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(
        ModelError, match=r"net\.pth is (damaged|refused|truncated|a pickle that torch did not)"
    ):
        load_network(path)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {"model.diffusion_model.x.weight": torch.zeros(3)}},
        {"params": {"conv_first.weight": torch.zeros(8, 5, 3, 3)}},
        {"params": {"body.0.weight": torch.zeros(8, 3, 3, 3)}},
        {"params": SRVGGNetCompact(3, 3, 8, 2, 4, "relu").state_dict()},
        {"params": [torch.zeros(3)]},
        {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": torch.zeros(4, 8)},
        {"toRGB.0.weight": torch.zeros(3), "stylegan_decoder.style_mlp.1.weight": torch.zeros(3)},
        [1, 2, 3],
        {},
    ],
    ids=lambda content: type(content).__name__,  # weights are random, and names must not be
)
def test_other_networks_are_not_taken_for_upscalers(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "net.pth")
    message = (
        r"not an upscaler of a supported|contains no weights|face restoration .*, not an upscaler"
    )
    with pytest.raises(ModelError, match=message):
        load_network(tmp_path / "net.pth")


@pytest.mark.parametrize("module", [compact(), rrdb()], ids=["compact", "rrdb"])
def test_a_network_with_a_piece_missing_is_not_taken(tmp_path: Path, module: nn.Module) -> None:
    weights = dict(module.state_dict())
    del weights["body.2.bias" if "body.2.bias" in weights else "conv_body.bias"]
    torch.save(weights, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"is incomplete: .*bias"):
        load_network(tmp_path / "net.pth")


# ── whatever people keep upscalers in ──────────────────────────────────────────────────────────


WRAPPED: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "bare": lambda w: w,
    "params": lambda w: {"params": w},
    "params_ema": lambda w: {"params_ema": w},
    "params-ema": lambda w: {"params-ema": w},
    "state_dict": lambda w: {"state_dict": w},
    "model": lambda w: {"model": w},
    "net": lambda w: {"net": w},
    "one key": lambda w: {"anything": w},
    "twice": lambda w: {"state_dict": {"params": w}},
    "training": lambda w: {"params": w, "iter": 5, "epoch": 1, "lr": [0.1]},
    "no average": lambda w: {"params_ema": None, "params": w},
    "module.": lambda w: {"params": {f"module.{name}": t for name, t in w.items()}},
    "netG.": lambda w: {f"netG.{name}": t for name, t in w.items()},
    "half": lambda w: {name: t.half() for name, t in w.items()},
    "bfloat16": lambda w: {name: t.bfloat16() for name, t in w.items()},
}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_weights_are_found_however_they_are_wrapped(
    tmp_path: Path, wrapped: str, form: str
) -> None:
    module = compact()
    content = WRAPPED[wrapped](dict(module.state_dict()))
    torch.save(content, tmp_path / "n.pt", _use_new_zipfile_serialization=form == "zip")
    made = load_network(tmp_path / "n.pt").module.state_dict()
    apart = max((made[name] - t).abs().max() for name, t in module.state_dict().items())
    assert apart < (0.01 if wrapped in ("half", "bfloat16") else 1e-9)


def test_safetensors_keep_averages_in_the_names(tmp_path: Path) -> None:
    last, average = compact(seed=1), compact(seed=2)
    both = {f"params.{name}": t for name, t in last.state_dict().items()}
    both |= {f"params_ema.{name}": t for name, t in average.state_dict().items()}
    save_file(both, tmp_path / "n.safetensors")
    assert_same(load_network(tmp_path / "n.safetensors").module, average)


@pytest.mark.parametrize("suffix", [".pth", ".PTH", ".pt", ".ckpt", ".bin", ".safetensors"])
@pytest.mark.parametrize("form", ["pickle", "safetensors"])
def test_what_a_file_is_its_content_says(tmp_path: Path, suffix: str, form: str) -> None:
    module, path = compact(), tmp_path / f"n{suffix}"
    if form == "pickle":
        torch.save(module.state_dict(), path)
    else:
        save_file(module.state_dict(), path)
    assert_same(load_network(path).module, module)


# ── architectures ──────────────────────────────────────────────────────────────────────────────


def enlarged(network: UpscalerNetwork, pixels: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network.module(pixels).clamp(0, 1)


@pytest.mark.parametrize("layout", [first_layout, second_layout])
@pytest.mark.parametrize("blocks", [1, 3])
def test_esrgans_older_layouts_are_the_same_network(
    tmp_path: Path, layout: Callable[..., Any], blocks: int
) -> None:
    module = rrdb(4, blocks, growth=32)  # the one that spandrel builds
    torch.save(layout(module.state_dict()), tmp_path / "old.pth")
    pixels = torch.rand(1, 3, 12, 9)
    old, new = load_network(tmp_path / "old.pth"), load_network(save(module, tmp_path / "new.pth"))
    assert (old.scale, new.scale) == (4, 4)
    assert torch.allclose(enlarged(old, pixels), enlarged(new, pixels), atol=1e-5)


@pytest.mark.parametrize("layout", [first_layout, second_layout])
def test_an_older_layout_of_another_growth_is_refused(
    tmp_path: Path, layout: Callable[..., Any]
) -> None:
    torch.save(layout(rrdb(4, 1, growth=8).state_dict()), tmp_path / "old.pth")
    with pytest.raises(ModelError, match=r"with 8 growth channels; only 32 are supported"):
        load_network(tmp_path / "old.pth")


@pytest.mark.filterwarnings("ignore")  # of those who make the networks here
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_enlarges_pictures_of_every_size(tmp_path: Path, name: str) -> None:
    weights, scale = weights_of(name), ARCHITECTURES[name][1]
    torch.save({"params": weights}, tmp_path / "net.pth")
    before = torch.random.get_rng_state()
    network = load_network(tmp_path / "net.pth")
    assert network.scale == scale
    for height, width in ((7, 19), (33, 16)):
        pixels = torch.full((1, 3, height, width), 0.5)
        made = enlarged(network, pixels)
        assert made.shape == (1, 3, height * scale, width * scale)
        assert torch.isfinite(made).all()
        assert torch.equal(made, enlarged(network, pixels))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.filterwarnings("ignore")  # of those who make the networks here
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_known_by_its_header(tmp_path: Path, name: str) -> None:
    """And is known by spandrel by the same name."""
    path = tmp_path / "upscalers" / "net.pth"
    path.parent.mkdir()
    torch.save({"params": weights_of(name)}, path)
    info = ModelRegistry((tmp_path,)).get_upscaler("net")
    assert architecture_of(info) == name.strip()
    made = spandrel.ModelLoader().load_from_state_dict(weights_of(name))
    assert made.architecture.name == name.strip()


def test_a_grey_network_keeps_colours_apart(tmp_path: Path) -> None:
    torch.save(weights_of("SPAN "), tmp_path / "net.pth")
    network = load_network(tmp_path / "net.pth")
    pixels = torch.rand(1, 3, 16, 16)
    red, blue = (enlarged(network, pixels[:, [n] * 3])[:, 0] for n in (0, 2))
    made = enlarged(network, pixels)
    assert torch.equal(made[:, 0], red) and torch.equal(made[:, 2], blue)


@pytest.mark.parametrize(("channels", "scale"), [(1, 4), (4, 4)])
def test_rrdb_networks_of_other_channels(tmp_path: Path, channels: int, scale: int) -> None:
    with torch.random.fork_rng():
        torch.save(RRDBNet(channels, channels, scale, 4, 1, 32).state_dict(), tmp_path / "n.pth")
    network = load_network(tmp_path / "n.pth")
    assert enlarged(network, torch.rand(1, 3, 9, 9)).shape == (1, 3, 9 * scale, 9 * scale)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5, 8, 16])
def test_compact_networks_of_every_scale(tmp_path: Path, scale: int) -> None:
    network = load_network(save(compact(scale=scale), tmp_path / "net.pth"))
    assert network.scale == scale

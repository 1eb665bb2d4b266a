"""LoRAs in the weights: right, in any spelling; undone bit for bit; completely or not at all."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dream.core.errors import ModelError
from dream.engine.adapters import weight_merge
from dream.engine.adapters.layer_places import find_places
from dream.engine.adapters.lora_file import open_lora, raise_lora_errors
from dream.engine.adapters.weight_merge import MergedWeights, WeightedLora, merge, undo
from tests.engine.adapters import files, layers
from tests.engine.adapters.files import SPELLINGS, weight_of
from tests.random_layouts import make_layout

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module", params=["sd1", "sd2-v", "sdxl"])
def pipe(request: pytest.FixtureRequest) -> Any:
    return make_layout(request.param)


@pytest.fixture(scope="module")
def sd1() -> Any:
    return make_layout("sd1")


def snapshot(pipe: Any) -> Weights:
    parts = [name for name in ("unet", "text_encoder", "text_encoder_2") if hasattr(pipe, name)]
    return {
        f"{part}.{name}": tensor.clone()
        for part in parts
        for name, tensor in getattr(pipe, part).state_dict().items()
    }


def assert_same(pipe: Any, before: Weights) -> None:
    for name, tensor in snapshot(pipe).items():
        assert torch.equal(tensor, before[name]), name


def attention(pipe: Any) -> list[tuple[str, str]]:
    """The projections of attention, from every block of the UNet."""
    return [
        ("unet", name)
        for name, layer in pipe.unet.named_modules()
        if isinstance(layer, torch.nn.Linear) and ".attn" in name
    ]


def everywhere(pipe: Any) -> list[tuple[str, str]]:
    """A layer of each sort, in each component."""
    unet = [
        ("unet", name)
        for name, layer in pipe.unet.named_modules()
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)
    ]
    parts = [name for name in ("text_encoder", "text_encoder_2") if hasattr(pipe, name)]
    text = [
        (part, name)
        for part in parts
        for name, layer in getattr(pipe, part).named_modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    return [*unet, *text]


def made(pipe: Any, places: list[tuple[str, str]], make: layers.Make = layers.lora) -> Any:
    return {place: make(weight_of(pipe, *place)) for place in places}


def weighted(path: Path, weight: float = 1.0, text: float | None = None) -> WeightedLora:
    return WeightedLora(open_lora(path.stem, path), weight, weight if text is None else text)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_reaches_its_layers(pipe: Any, spelling: str, tmp_path: Path) -> None:
    places = attention(pipe) if spelling in ("diffusers-old", "peft-bare") else everywhere(pipe)
    parts = made(pipe, places)
    path = tmp_path / "x.safetensors"
    leaves = {place: dict(part[0]) for place, part in parts.items()}
    if spelling == "diffusers-old":  # it had no alpha
        leaves = {place: {**part, "up": part["up"] * (2 / 3)} for place, part in leaves.items()}
        for part in leaves.values():
            del part["alpha"]
    files.write(path, pipe, leaves, SPELLINGS[spelling])
    before, state = snapshot(pipe), MergedWeights()
    merge(state, [weighted(path, 0.7, -0.4)], pipe, "model")
    for place, (_, delta) in parts.items():
        weight = 0.7 if place[0] == "unet" else -0.4
        original = before[".".join(place) + ".weight"]
        wanted = layers.dense(original) + weight * delta
        error = np.abs(layers.dense(weight_of(pipe, *place)) - wanted).max()
        assert error / np.abs(wanted).max() <= 1e-6, place
    changed = {".".join(place) + ".weight" for place in parts}
    for name, tensor in snapshot(pipe).items():
        assert torch.equal(tensor, before[name]) == (name not in changed), name
    undo(state, pipe)
    assert_same(pipe, before)


@pytest.mark.parametrize("make", layers.FOR_ALL, ids=lambda make: make.__name__)
def test_every_kind_is_its_dense_merge(sd1: Any, make: layers.Make, tmp_path: Path) -> None:
    places = [
        ("unet", "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"),
        ("unet", "mid_block.resnets.0.conv1"),
        ("text_encoder", "encoder.layers.0.mlp.fc1"),
    ]
    if not hasattr(sd1.text_encoder, "encoder"):
        places[2] = ("text_encoder", "text_model.encoder.layers.0.mlp.fc1")
    parts = made(sd1, places, make)
    path = files.write(tmp_path / "x.safetensors", sd1, {p: part[0] for p, part in parts.items()})
    before, state = snapshot(sd1), MergedWeights()
    merge(state, [weighted(path, 1.5)], sd1, "model")
    for place, (_, delta) in parts.items():
        wanted = layers.dense(before[".".join(place) + ".weight"]) + 1.5 * delta
        error = np.abs(layers.dense(weight_of(sd1, *place)) - wanted).max()
        assert error / np.abs(wanted).max() <= 1e-6, place
    undo(state, sd1)
    assert_same(sd1, before)


def test_norms_and_biases_change_too(sd1: Any, tmp_path: Path) -> None:
    norm, conv = ("unet", "conv_norm_out"), ("unet", "conv_out")
    bias = layers.draw(4)
    parts = {
        norm: {"w_norm": layers.draw(32), "b_norm": layers.draw(32, seed=1)},
        conv: {"diff": torch.zeros(4, 32, 3, 3), "diff_b": bias},
    }
    path = files.write(tmp_path / "x.safetensors", sd1, parts)
    before, state = snapshot(sd1), MergedWeights()
    merge(state, [weighted(path, 2)], sd1, "model")
    assert torch.equal(sd1.unet.conv_out.bias, before["unet.conv_out.bias"] + 2 * bias)
    assert not torch.equal(sd1.unet.conv_norm_out.bias, before["unet.conv_norm_out.bias"])
    undo(state, sd1)
    assert_same(sd1, before)


def test_each_layer_has_its_own_alpha_and_rank(sd1: Any, tmp_path: Path) -> None:
    parts = {}
    for number, place in enumerate(attention(sd1), 1):
        outs, ins = weight_of(sd1, *place).shape
        down, up = layers.draw(number, ins), layers.draw(outs, number, seed=1)
        parts[place] = {"down": down, "up": up, "alpha": torch.tensor(float(number % 3 + 1))}
    path = files.write(tmp_path / "x.safetensors", sd1, parts)
    before, state = snapshot(sd1), MergedWeights()
    merge(state, [weighted(path)], sd1, "model")
    for number, (place, leaves) in enumerate(parts.items(), 1):
        scale = (number % 3 + 1) / number
        wanted = before[".".join(place) + ".weight"] + scale * (leaves["up"] @ leaves["down"])
        assert torch.allclose(weight_of(sd1, *place), wanted, rtol=1e-6, atol=1e-6)
    undo(state, sd1)


def test_peft_says_alpha_in_the_metadata(sd1: Any, tmp_path: Path) -> None:
    first, second = attention(sd1)[:2]
    parts = {place: layers.lora_without_alpha(weight_of(sd1, *place)) for place in (first, second)}
    settings = {"unet.lora_alpha": 6, "unet.r": 3, "unet.alpha_pattern": {second[1]: 9}}
    path = files.write(
        tmp_path / "x.safetensors",
        sd1,
        {place: part[0] for place, part in parts.items()},
        SPELLINGS["peft"],
        {"lora_adapter_metadata": json.dumps(settings)},
    )
    before, state = snapshot(sd1), MergedWeights()
    merge(state, [weighted(path)], sd1, "model")
    for place, scale in ((first, 2), (second, 3)):
        wanted = layers.dense(before[".".join(place) + ".weight"]) + scale * parts[place][1]
        assert np.allclose(layers.dense(weight_of(sd1, *place)), wanted, atol=1e-6)
    undo(state, sd1)


@pytest.mark.parametrize("nested", [False, True])
def test_pefts_examples_say_alpha_beside_the_file(sd1: Any, nested: bool, tmp_path: Path) -> None:
    """lora.pt and lora_config.json, with a table for each component."""
    places = [attention(sd1)[0], everywhere(sd1)[-1]]
    parts = made(sd1, places, layers.lora_without_alpha)
    tensors = {}
    for (component, name), (leaves, _) in parts.items():
        start = "" if component == "unet" else f"{component}_"
        for leaf, ending in (("down", "lora_A.weight"), ("up", "lora_B.weight")):
            tensors[f"{start}base_model.model.{name}.{ending}"] = leaves[leaf]
    torch.save(tensors, tmp_path / "lora.pt")
    tables = {"peft_config": 6, "text_encoder_peft_config": 9}
    config = {
        name: {"default": {"lora_alpha": alpha}} if nested else {"r": 3, "lora_alpha": alpha}
        for name, alpha in tables.items()
    }
    (tmp_path / "lora_config.json").write_text(json.dumps(config))
    before, state = snapshot(sd1), MergedWeights()
    merge(state, [weighted(tmp_path / "lora.pt")], sd1, "model")
    for place, scale in zip(places, (2, 3), strict=True):
        wanted = layers.dense(before[".".join(place) + ".weight"]) + scale * parts[place][1]
        assert np.allclose(layers.dense(weight_of(sd1, *place)), wanted, atol=1e-6)
    undo(state, sd1)


@pytest.fixture(scope="module")
def several(sd1: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    folder = tmp_path_factory.mktemp("loras")
    kinds = (layers.lora, layers.loha, layers.dora, layers.oft)
    places = [*attention(sd1)[:4], ("unet", "conv_in"), ("unet", "mid_block.resnets.0.conv1")]
    yield [
        files.write(
            folder / f"{make.__name__}.safetensors",
            sd1,
            {
                p: part[0]
                for p, part in made(sd1, places[n:], make).items()
                if p[1] != "conv_in" or n
            }
            if make is not layers.oft
            else {places[0]: layers.oft(weight_of(sd1, *places[0]))[0]},
        )
        for n, make in enumerate(kinds)
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_thousand_switches_leave_the_weights_as_they_were(
    several: list[Path], dtype: torch.dtype
) -> None:
    """Whatever was merged before: the same LoRAs are the same weights, and none are the model's.
    A thousand for both types together."""
    pipe = make_layout("sd1")
    pipe.unet.to(dtype=dtype, memory_format=torch.channels_last)
    opened = [weighted(path) for path in several]
    before, state, rng = snapshot(pipe), MergedWeights(), random.Random(0)
    once: dict[object, Weights] = {}
    for _ in range(500):
        count = rng.choice((0, 1, 1, 2, 3))
        chosen = [
            WeightedLora(lora.file, weight, weight)
            for lora in rng.sample(opened, count)
            for weight in [rng.choice((1.0, -0.5))]
        ]
        merge(state, chosen, pipe, "model")
        now = {name: state_of(pipe, name) for name in ("conv_in", attention(pipe)[0][1])}
        known = once.setdefault(state.key, now)
        assert all(torch.equal(now[name], known[name]) for name in now)
    merge(state, [], pipe, "model")
    assert_same(pipe, before)
    assert not state.originals, "nothing is kept for a model without LoRAs"


def state_of(pipe: Any, name: str) -> torch.Tensor:
    return weight_of(pipe, "unet", name)


def test_the_sum_is_rounded_once(several: list[Path]) -> None:
    """In bfloat16: the original and both differences are added in float32."""
    pipe = make_layout("sd1")
    pipe.unet.to(torch.bfloat16)
    place = attention(pipe)[2]
    original = weight_of(pipe, *place)
    merge(MergedWeights(), [weighted(path, 0.3) for path in several[:2]], pipe, "model")
    total = original.float()
    for make in (layers.lora, layers.loha):
        total = total + 0.3 * torch.from_numpy(make(original)[1]).float()
    assert torch.equal(weight_of(pipe, *place), total.bfloat16())


def test_weight_zero_is_nothing(sd1: Any, several: list[Path]) -> None:
    before, state = snapshot(sd1), MergedWeights()
    merge(state, [weighted(several[0], 0)], sd1, "model")
    assert state.key == ()
    assert_same(sd1, before)


def test_what_has_no_place_is_counted_and_nothing_is_applied(
    sd1: Any, several: list[Path], tmp_path: Path
) -> None:
    xl = make_layout("sdxl")
    foreign = made(xl, everywhere(xl))
    path = files.write(
        tmp_path / "foreign.safetensors", xl, {p: part[0] for p, part in foreign.items()}
    )
    before, state = snapshot(sd1), MergedWeights()
    with pytest.raises(
        ModelError, match=r"foreign does not fit model: \d+ of its \d+ tensors have no place"
    ) as raised:
        merge(state, [weighted(several[0]), weighted(path)], sd1, "model")
    assert "it seems to be for Stable Diffusion XL" in str(raised.value)
    assert_same(sd1, before)


def test_names_from_a_file_are_shortened(sd1: Any, tmp_path: Path) -> None:
    names = [letter * 4000 for letter in "xyz"]
    save_file(
        {f"{name}.lora_up.weight": torch.zeros(1) for name in names}, tmp_path / "x.safetensors"
    )
    with pytest.raises(ModelError, match=r"3 of its 3 tensors have no place") as raised:
        merge(MergedWeights(), [weighted(tmp_path / "x.safetensors")], sd1, "model")
    assert len(str(raised.value)) < 600


def test_other_shapes_and_unknown_endings_are_said_and_nothing_is_applied(
    sd1: Any, several: list[Path], tmp_path: Path
) -> None:
    place = attention(sd1)[3]
    wrong = {"down": torch.zeros(2, 7), "up": torch.zeros(5, 2)}
    path = files.write(tmp_path / "wrong.safetensors", sd1, {place: wrong})
    before, state = snapshot(sd1), MergedWeights()
    merge(state, [weighted(several[1])], sd1, "model")
    with pytest.raises(ModelError, match=r"wrong does not fit model: at unet\.\S+, down 2x7"):
        merge(state, [weighted(several[0]), weighted(path)], sd1, "model")
    assert_same(sd1, before)
    odd = files.write(tmp_path / "odd.safetensors", sd1, {place: {"bias_indices": torch.zeros(1)}})
    with pytest.raises(ModelError, match=r"1 of its 1 tensors have no place"):
        merge(state, [weighted(odd)], sd1, "model")
    assert_same(sd1, before)


@pytest.mark.parametrize("mode", ["", "group"])
@pytest.mark.parametrize(
    "shapes",
    [
        {"down": (1, 45_000), "up": (45_000, 1)},
        {"down": (128,), "up": (128,)},
        {"down": (), "up": (32, 1)},
        {"down": (2, 32), "up": (32, 2), "alpha": (2,)},
        {"down": (2, 32), "up": (32, 2), "alpha": (0,)},
        {"down": (2, 32), "up": (32, 2), "scalar": (3, 3)},
    ],
    ids=str,
)
def test_wrong_ranks_are_one_sentence(
    sd1: Any, shapes: dict[str, tuple[int, ...]], mode: str, tmp_path: Path
) -> None:
    leaves = {name: torch.zeros(shape) for name, shape in shapes.items()}
    path = files.write(tmp_path / "wrong.safetensors", sd1, {attention(sd1)[3]: leaves})
    before, state = snapshot(sd1), MergedWeights()
    with pytest.raises(
        ModelError, match=r"wrong does not fit model: at unet\.\S+, .*down .* do not"
    ):
        merge(state, [weighted(path)], sd1, "model", mode)
    assert_same(sd1, before)


@pytest.mark.parametrize("error", [AttributeError("odd"), torch.OutOfMemoryError("odd")])
def test_what_a_library_raises_is_the_refusal_of_the_file(
    sd1: Any, several: list[Path], error: Exception
) -> None:
    """That memory ran out is none."""
    lora = weighted(several[0])
    place = find_places(sd1.components)["unet_conv_in"]
    out_of_memory = isinstance(error, torch.OutOfMemoryError)
    wanted = torch.OutOfMemoryError if out_of_memory else ModelError
    with pytest.raises(wanted, match="odd") as seen, raise_lora_errors(lora.file, place, "model"):
        raise error
    assert out_of_memory or str(several[0]) in str(seen.value)


def test_without_room_for_originals_none_are_kept(
    several: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_merge, "measure_free_memory", lambda device: weight_merge.RESERVE)
    pipe, state = make_layout("sd1"), MergedWeights()
    merge(state, [weighted(several[0])], pipe, "model")
    assert not state.is_reversible
    assert not state.originals


@pytest.mark.parametrize("mode", ["group", "sequential"])
def test_offloaded_layers_get_hooks(sd1: Any, mode: str, several: list[Path]) -> None:
    """Their output is that of merged weights; the weights stay as they are."""
    before, state = snapshot(sd1), MergedWeights()
    latents, text = layers.draw(1, 4, 8, 8), layers.draw(1, 7, 32, seed=1)

    def run() -> torch.Tensor:
        with torch.no_grad():
            output: torch.Tensor = sd1.unet(latents, 500, text).sample
            return output

    plain = run()
    merge(state, [weighted(several[0], 0.8)], sd1, "model")
    merged = run()
    undo(state, sd1)
    merge(state, [weighted(several[0], 0.8)], sd1, "model", mode)
    assert_same(sd1, before)
    assert torch.allclose(run(), merged, atol=1e-5)
    assert not torch.allclose(merged, plain, atol=1e-3)
    merge(state, [], sd1, "model", mode)
    assert torch.equal(run(), plain)
    with pytest.raises(ModelError, match="cannot be used with offloaded or quantized weights"):
        merge(state, [weighted(several[1])], sd1, "model", mode)
    assert torch.equal(run(), plain)


def test_on_a_cpu_the_original_stays_where_it_is(sd1: Any, several: list[Path]) -> None:
    """It may be a mapped file: that is neither copied nor written to."""
    component, name = attention(sd1)[0]
    parameter = getattr(sd1, component).get_parameter(f"{name}.weight")
    original, state = parameter.detach(), MergedWeights()
    numbers = original.clone()
    for count in (1, 2, 1):
        merge(state, [weighted(path) for path in several[:count]], sd1, "model")
        assert parameter.data_ptr() != original.data_ptr()
        assert torch.equal(original, numbers)
    merge(state, [], sd1, "model")
    assert parameter.data_ptr() == original.data_ptr()

"""What a file is, from its header alone; and that nothing in it is run."""

from __future__ import annotations

import json
import os
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from math import prod
from pathlib import Path
from time import thread_time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dream.catalogue.detect import classify, detect, read_header, require_model
from dream.catalogue.detect.tensors import parse_tensor
from dream.core.errors import ModelError

UNET = "model.diffusion_model."
FIRST = UNET + "input_blocks.0.0.weight"
Shapes = dict[str, tuple[int, ...]]


def write(
    path: Path, shapes: Shapes, *, dtype: str = "F16", metadata: dict[str, str] | None = None
) -> Path:
    """A safetensors file of zeros, which take no room on the disk."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + prod(shape) * {"F32": 4, "F16": 2}[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with path.open("r+b") as file:
        file.truncate(8 + len(text) + end)
    return path


def model(words: str, channels: int = 4) -> Shapes:
    return {FIRST: (320, channels, 3, 3), words: (8, 8), "first_stage_model.x": (2,)}


SD1 = model("cond_stage_model.transformer.text_model.final_layer_norm.weight")
SD2 = model("cond_stage_model.model.ln_final.weight")
VAE = {"decoder.conv_in.weight": (4, 4, 3, 3)}
XL = model("conditioner.embedders.1.model.ln_final.weight")
REFINER = model("conditioner.embedders.0.model.token_embedding.weight")


@pytest.mark.parametrize(
    ("shapes", "family", "variant", "prediction", "side"),
    [
        (SD1, "sd1", "", "epsilon", 512),
        (SD2, "sd2", "", "v_prediction", 768),
        (XL, "sdxl", "", "epsilon", 1024),
        (REFINER, "sdxl", "refiner", "epsilon", 1024),
        (SD1 | {FIRST: (320, 9, 3, 3)}, "sd1", "inpainting", "epsilon", 512),
        (SD2 | {FIRST: (320, 9, 3, 3)}, "sd2", "inpainting", "epsilon", 512),
        (SD2 | {FIRST: (320, 5, 3, 3)}, "sd2", "depth", "epsilon", 512),
        (XL | {"v_pred": (), "ztsnr": ()}, "sdxl", "", "v_prediction", 1024),
        (SD1 | {"v_pred": (), "ztsnr": ()}, "sd1", "", "v_prediction", 512),
    ],
)
def test_models(
    tmp_path: Path, shapes: Shapes, family: str, variant: str, prediction: str, side: int
) -> None:
    found = require_model(write(tmp_path / "model.safetensors", shapes))
    assert (found.kind, found.family, found.variant) == ("model", family, variant)
    assert (found.prediction_type, found.size) == (prediction, (side, side))
    assert (found.precision, found.format, found.ema) == ("float16", "safetensors", False)
    assert found.is_inpainting == (variant == "inpainting")
    assert found.zero_snr == ("ztsnr" in shapes)


@pytest.mark.parametrize(
    ("name", "metadata", "prediction"),
    [
        ("v2-1_768-ema-pruned", {}, "v_prediction"),
        ("v2-1_512-ema-pruned", {}, "epsilon"),
        ("768-v-ema", {}, "v_prediction"),
        ("512-base-ema", {}, "epsilon"),
        ("mine-eps", {}, "epsilon"),
        ("mine", {"modelspec.prediction_type": "epsilon"}, "epsilon"),
        ("512-base-ema", {"modelspec.prediction_type": "v"}, "v_prediction"),
        ("mine", {"ss_v_parameterization": "False"}, "epsilon"),
    ],
)
def test_what_a_stable_diffusion_2_predicts_is_said_beside_its_weights(
    tmp_path: Path, name: str, metadata: dict[str, str], prediction: str
) -> None:
    path = write(tmp_path / f"{name}.safetensors", SD2, metadata=metadata)
    assert detect(path).prediction_type == prediction


def test_a_yaml_of_stabilitys_beside_it_is_heard(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.safetensors", SD1)
    beside = tmp_path / "mine.yaml"
    beside.write_text('model:\n  params:\n    parameterization: "v"\n    linear_start: 0.00085\n')
    assert detect(path).prediction_type == "v_prediction"
    beside.write_text("notes: mine\n")
    assert detect(path).prediction_type == "epsilon"


def test_averages_sizes_and_number_types(tmp_path: Path) -> None:
    shapes = SD1 | {"model_ema.decay": (), "model_ema.x": (1000,)}
    path = write(
        tmp_path / "m.safetensors",
        shapes,
        dtype="F32",
        metadata={"modelspec.resolution": "640x448"},
    )
    found = detect(path)
    assert found.ema and found.precision == "float32"
    assert found.parameters == 320 * 4 * 9 + 64 + 2
    assert found.size == (640, 448)


@pytest.mark.parametrize(
    ("shapes", "kind", "place"),
    [
        (
            {"lora_unet_mid_block_x.lora_down.weight": (4, 8)},
            "a LoRA",
            "use it with --lora NAME; put it into loras/ in a models folder",
        ),
        (
            {"unet.mid_block.x.lora.up.weight": (4, 8)},
            "a LoRA",
            "use it with --lora NAME; put it into loras/ in a models folder",
        ),
        (
            {"lora_unet_x.oft_blocks": (4, 8)},
            "a LoRA",
            "use it with --lora NAME; put it into loras/ in a models folder",
        ),
        (
            {"base_model.model.to_q.oft_r": (4, 8)},
            "a LoRA",
            "use it with --lora NAME; put it into loras/ in a models folder",
        ),
        ({"first_stage_model.decoder.conv_in.weight": (4,)}, "a VAE", "--vae"),
        ({"decoder.conv_in.weight": (4,), "encoder.conv_in.weight": (4,)}, "a VAE", "--vae"),
        (
            {"emb_params": (2, 768)},
            "an embedding",
            "use its name in a prompt; put it into embeddings/ in a models folder",
        ),
        (
            {"clip_l": (2, 768), "clip_g": (2, 1280)},
            "an embedding",
            "use its name in a prompt; put it into embeddings/ in a models folder",
        ),
        ({"conv_first.weight": (64, 3, 3, 3)}, "an upscaler", "--upscaler"),
        ({"control_model.x": (1,), FIRST: (320, 4, 3, 3)}, "a ControlNet", "--control"),
        ({"down_blocks.0.resnets.0.norm1.weight": (4,)}, "a denoiser alone", "its folder"),
        ({"text_model.encoder.layers.0.x": (4,)}, "a text encoder", "text_encoders/"),
        ({"something": (4, 4, 4)}, "of an unknown format", ""),
        (SD1 | {FIRST: (320, 8, 3, 3)}, "instruct-pix2pix", ""),
        (XL | {"edm_mean": (4,)}, "EDM", "diffusers layout"),
    ],
)
def test_what_is_no_model_is_told_where_it_belongs(
    tmp_path: Path, shapes: Shapes, kind: str, place: str
) -> None:
    path = write(tmp_path / "it.safetensors", shapes)
    with pytest.raises(ModelError) as caught:
        require_model(path)
    assert kind in str(caught.value) and place in str(caught.value) and str(path) in str(caught)


def test_embeddings_and_upscalers_of_torch(tmp_path: Path) -> None:
    path = tmp_path / "it.pt"
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": torch.zeros(2, 768)}}, path)
    assert detect(path).kind == "embedding"
    torch.save({"params_ema": {"conv_first.weight": torch.zeros(4, 3, 3, 3)}}, path)
    assert detect(path).kind == "upscaler"


def test_a_file_of_two_gigabytes_is_recognised_at_once(tmp_path: Path) -> None:
    shapes = SD1 | {f"{UNET}output_blocks.{n}.weight": (1024, 1024) for n in range(1000)}
    path = write(tmp_path / "large.safetensors", shapes)
    assert path.stat().st_size > 2_000_000_000
    times = []
    for _ in range(10):
        start = thread_time()
        classify(read_header(path))
        times.append(thread_time() - start)
    assert min(times) < 0.05


# ── pickles ────────────────────────────────────────────────────────────────────────────────────


def test_what_is_remembered_of_a_file_is_forgotten_when_it_changes(tmp_path: Path) -> None:
    path = pickled(tmp_path / "model.ckpt")
    assert detect(path).precision == "float16"
    write(path, SD1, dtype="F32")
    assert detect(path).precision == "float32"
    assert detect(path).prediction_type == "epsilon"
    (tmp_path / "model.yaml").write_text("linear_start: 0.00085\nparameterization: v\n")
    assert detect(path).prediction_type == "v_prediction"


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("trapped",))


def pickled(path: Path, *, legacy: bool = False, **besides: Any) -> Path:
    weights = {name: torch.zeros(shape, dtype=torch.float16) for name, shape in SD1.items()}
    whole = {"state_dict": weights, "global_step": 3, **besides}
    torch.save(whole, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_is_recognised_like_safetensors(tmp_path: Path, legacy: bool) -> None:
    found = require_model(pickled(tmp_path / "model.ckpt", legacy=legacy))
    assert (found.family, found.precision, found.code) == ("sd1", "float16", ())
    assert found.format == ("legacy" if legacy else "zip")
    shapes = {name: row.shape for name, row in read_header(found.path).tensors.items()}
    assert shapes == SD1
    (tmp_path / "link.safetensors").symlink_to(found.path)
    assert require_model(tmp_path / "link.safetensors").family == "sd1"


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_would_run_code_is_refused_by_name(
    tmp_path: Path, legacy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = pickled(tmp_path / "model.ckpt", legacy=legacy, optimizer=Trap())
    assert detect(path).code == (f"{os.name}.mkdir",)
    with pytest.raises(
        ModelError, match=r"loading it would run \w+\.mkdir .*a \.safetensors version"
    ):
        require_model(path)
    assert not Path("trapped").exists()


def by_hand(path: Path, program: bytes) -> Path:
    """A file of torch whose pickle is this program."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    return path


YEAR = b"\x80\x02}" + b"(tq\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"K\x01s."
"""A dictionary whose one key is a pair of pairs of pairs … of the same pair."""
CIRCLE = b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dicth\x00s."
"""A dictionary that is its own state_dict."""
ROOM = b"\x80\x02}r\xf0\xff\xff\x7f."
"""A memo so far up that the room for all below it would be 32 GB."""
STATE = b"\x80\x02ctorch._utils\n_rebuild_tensor\nN}X\x0c\x00\x00\x00__defaults__)s\x86b."
"""A state for the function that stands in for torch's."""
HUGE = b"\x80\x02}\x8b\x00\x10\x00\x00" + b"\x7f" * 4096 + b"K\x01s."
"""A key that is a number of ten thousand digits."""


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (YEAR, ""),
        (CIRCLE, ""),
        (ROOM, ""),
        (STATE, ""),
        (HUGE, ""),
        (b"\x80\x02(X\x07\x00\x00\x00storageX\x01\x00\x00\x00xh", "truncated"),
    ],
)
def test_a_pickle_made_to_do_harm_without_code_does_none(
    tmp_path: Path, program: bytes, message: str
) -> None:
    path = by_hand(tmp_path / "model.ckpt", program)
    if message:
        with pytest.raises(ModelError, match=message):
            detect(path)
    else:
        assert detect(path).kind == "unknown"
    assert parse_tensor.__defaults__ is None


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=200)
def test_whatever_is_in_a_file_it_is_recognised_or_refused(
    tmp_path_factory: pytest.TempPathFactory, other: bytes, start: int, end: int
) -> None:
    """Bytes of a pickle and of a safetensors header, some of them replaced."""
    folder = tmp_path_factory.getbasetemp()
    pickle_of = pickle.dumps({"state_dict": OrderedDict(a=torch.Size([1]), b="x")}, protocol=2)
    by_hand(folder / "zip", pickle_of[:start] + other + pickle_of[end:])
    header = write(folder / "whole", SD1, metadata={"a": "b"}).read_bytes()[8:]
    length = struct.pack("<Q", len(header) - end + start + len(other))
    (folder / "safe").write_bytes(length + b"{" + header[1:start] + other + header[end:])
    for path in (folder / "zip", folder / "safe"):
        with suppress(ModelError):
            detect(path)


def _bare(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap()))


def _header(path: Path, text: str) -> None:
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode())


def _row(**message: Any) -> str:
    return json.dumps({"a": {"dtype": "F16", "shape": [1], "data_offsets": [0, 0], **message}})


def _cut(path: Path) -> None:
    path.write_bytes(write(path, SD1).read_bytes()[:-10])


def _cut_header(path: Path) -> None:
    path.write_bytes(write(path, SD1).read_bytes()[:40])


def _cut_zip(path: Path) -> None:
    path.write_bytes(pickled(path).read_bytes()[:-1000])


def _cut_legacy(path: Path) -> None:
    data = pickled(path, legacy=True).read_bytes()
    path.write_bytes(data[: len(data) - 20_000])


def _cut_in_pickle(path: Path) -> None:
    path.write_bytes(pickled(path, legacy=True).read_bytes()[:300])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_text("\n<!DOCTYPE html><html>Sign in</html>"), "web page"),
        (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
        (lambda p: p.write_bytes(b"\x89PNG\r\n" + bytes(100)), "not a weights file"),
        (lambda p: p.write_bytes(b"\x20" + bytes(7) + b'{"a": {"dtype": 3}}' + b" " * 99), "not a"),
        (lambda p: p.write_bytes(b"\xff" * 8 + b"{}"), "not a safetensors file"),
        (lambda p: _header(p, '{"__metadata__": [3]}'), "not a safetensors file"),
        (lambda p: _header(p, '{"a":' + "[" * 100_000), "not a safetensors file"),
        (lambda p: _header(p, _row(dtype=["F16"])), "not a safetensors file"),
        (lambda p: _header(p, _row(shape=[10**30])), "not a safetensors file"),
        (lambda p: _header(p, _row(data_offsets=[0, 1e999])), "not a safetensors file"),
        (lambda p: p.write_bytes(b"PK\x03\x04" + bytes(100)), "truncated"),
        (_bare, "that torch did not write"),
        (_cut, "truncated"),
        (_cut_header, "truncated"),
        (_cut_zip, "truncated"),
        (_cut_legacy, "truncated"),
        (_cut_in_pickle, "truncated"),
        (lambda p: p.mkdir(), "cannot be read"),
        (lambda p: None, "cannot be read: No such file"),
    ],
)
def test_what_is_broken_is_one_line(
    tmp_path: Path, make: Callable[[Path], object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.safetensors"
    make(path)
    with pytest.raises(ModelError) as caught:
        detect(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not Path("trapped").exists()


# ── what is no model, by its name ──────────────────────────────────────────────────────────────

FLUX = {"double_blocks.0.img_attn.qkv.weight": (8, 8)}
Z_IMAGE = {"cap_embedder.0.weight": (8,), "x_pad_token": (1, 8)}
NETA = {"cap_embedder.0.weight": (8,), "noise_refiner.0.attention.qkv.weight": (8, 8)}
BARE = {"input_blocks.0.0.weight": (320, 4, 3, 3), "out.2.weight": (4, 320, 3, 3)}


SVDQ = {"single_transformer_blocks.0.a.qweight": (8, 8), "blocks.0.a.wscales": (8, 8)}
LIGHTNING = {
    "conv_in.weight": (320, 4, 3, 3),
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight": (640, 640),
}


LABELS = {"label_emb.0.0.weight": (1280, 2816)}
ATTENDS = {"input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight": (640, 640)}
LINEAR = {"middle_block.1.proj_in.weight": (1280, 1280)}


@pytest.mark.parametrize(
    ("shapes", "family", "variant", "names"),
    [
        (BARE | ATTENDS, "sd1", "", "original"),
        (BARE | ATTENDS | LINEAR, "sd2", "", "original"),
        (BARE | ATTENDS | LABELS, "sdxl", "", "original"),
        ({UNET + name: shape for name, shape in (BARE | ATTENDS).items()}, "sd1", "", "original"),
        (
            BARE | ATTENDS | {"input_blocks.0.0.weight": (320, 9, 3, 3)},
            "sd1",
            "inpainting",
            "original",
        ),
        (BARE | ATTENDS | {"label_emb.0.0.weight": (1536, 2560)}, "sdxl", "refiner", "original"),
        (LIGHTNING, "sd1", "", "diffusers"),
        (LIGHTNING | {"add_embedding.linear_1.weight": (1280, 2816)}, "sdxl", "", "diffusers"),
        (SD1, "sd1", "", ""),
    ],
)
def test_a_unet_alone_has_a_family(
    tmp_path: Path, shapes: Shapes, family: str, variant: str, names: str
) -> None:
    found = require_model(write(tmp_path / "it.safetensors", shapes))
    assert (found.family, found.variant, found.lone_unet) == (family, variant, names)


TOWER = {"v.patch_embd.weight": (8, 3, 2, 2), "v.blk.0.attn_q.weight": (8, 256)}


def gguf(architecture: str, shapes: Shapes | None = None, kind: int = 1) -> bytes:
    """Such a file, of tensors of one type; by number, 1 being float16."""
    key, value = b"general.architecture", architecture.encode()
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes or {}), 1)
    head += struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    for name, shape in (shapes or {}).items():
        sides = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        head += struct.pack("<Q", len(name)) + name.encode() + sides + struct.pack("<IQ", kind, 0)
    size = max((prod(shape) for shape in (shapes or {}).values()), default=0)
    return head + bytes(-len(head) % 32) + bytes(4 * size)


Q4_K, IQ1_S = 12, 19
WORDS = {"token_embd.weight": (4, 256), "blk.0.attn_q.weight": (4, 256)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gguf("t5encoder", WORDS), "is a text encoder (T5, 256 wide), not a model"),
        (gguf("qwen3", WORDS, Q4_K), "is a language model used as a text encoder, not a model"),
        (gguf("qwen3vl", WORDS, Q4_K), "is a text encoder (Qwen3-VL, 256 wide), not a model"),
        (gguf("qwen3", WORDS, IQ1_S), "has GGUF IQ1_S weights, which are not supported (use a Q4"),
        (
            gguf("clip", TOWER),
            "is the vision tower of a language model (mmproj), not a model (put it into text_en",
        ),
        (gguf("starcoder", WORDS), "is a GGUF file of “starcoder”, not a model"),
        (gguf("\x1b[2J", WORDS), "is a GGUF file, not a model"),
        (gguf("flux", FLUX, 99), "has the unknown data type 99"),
        (gguf("flux", FLUX)[:50], "is not a GGUF file that can be read: it is truncated"),
        (gguf("flux", FLUX)[:-250], "is truncated: "),
        (b"GGUF", "is not a GGUF file that can be read: it is truncated"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "GGUF version 1 is not supported"),
    ],
)
def test_a_gguf_file_is_called_what_it_is(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(ModelError) as caught:
        require_model(tmp_path / "m.gguf")
    assert message in str(caught.value)


def test_a_gguf_file_of_a_denoiser_is_a_model_of_its_family(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf("flux", FLUX))
    found = require_model(tmp_path / "m.gguf")
    assert (found.kind, found.family) == ("model", "flux")


def test_a_gguf_file_of_a_whole_model_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf("sd1", SD1 | {"x.weight": (8, 256)}))
    found = require_model(tmp_path / "m.gguf")
    assert (found.family, found.format, found.number_format) == ("sd1", "gguf", "")
    assert found.parameters == sum(map(prod, SD1.values())) + 8 * 256


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


ENCODERS = {
    "text_encoders.clip_l.transformer.text_model.x": (4,),
    "vae.decoder.conv_in.weight": (4,),
}


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (under("net.", {"llm_adapter.blocks.0.x": (8,)}), "denoiser of Anima"),
        ({UNET + "input_blocks.1.0.time_stack.in_layers.0.weight": (8,)}, "Stable Video Diffusion"),
        ({"embedder.model.visual.class_embedding": (8,), FIRST: (320, 4, 3, 3)}, "2.1 unCLIP"),
        (SD1 | {UNET + "a.quant_state.bitsandbytes__nf4": (8,)}, "with the package bitsandbytes"),
        (SD1 | {UNET + "a.weight": (8, 8), UNET + "a.SCB": (8,)}, "has bitsandbytes 8-bit weights"),
        (
            SD1 | {UNET + "a.svd_up": (8, 8)},
            "has SDNQ weights, which are not supported (use a bf16",
        ),
        (BARE, "only the denoiser of Stable Diffusion"),
        (under(UNET, BARE), "only the denoiser of Stable Diffusion"),
        ({"input_hint_block.0.weight": (8,), **BARE}, "a ControlNet, not a model"),
        ({"lora_controlnet": (), **BARE}, "a control-LoRA"),
        ({"lllite_unet_input_blocks_4_1_x.down.0.weight": (8, 8)}, "a ControlNet-LLLite"),
        (
            {"control_img_in.weight": (8, 132), "control_blocks.0.after_proj.weight": (8, 8)},
            "a ControlNet of VideoX-Fun, not a model (it is not supported; for Qwen-Image use",
        ),
        ({"body.0.block1.weight": (320, 320, 3, 3), "conv_in.weight": (8,)}, "a T2I-Adapter"),
        ({"adapter.body.0.resnets.0.block1.weight": (8,)}, "a T2I-Adapter"),
        ({"double_blocks.0.processor.proj_lora1.down.weight": (8, 8)}, "a LoRA"),
        ({"ip_adapter_proj_model.proj.weight": (8,), **FLUX}, "an IP-Adapter for FLUX.1"),
        ({"vision_model.embeddings.class_embedding": (8,)}, "a CLIP vision encoder"),
        ({"3.conv.0.weight": (64, 64, 3, 3), "1.weight": (64, 4, 3, 3)}, "a TAESD"),
        ({"decoder.conv1.weight": (8,), "encoder.conv1.weight": (8,)}, "a VAE of Qwen-Image"),
        ({"model.embed_tokens.weight": (8, 8)}, "a language model"),
        (
            SVDQ,
            "has SVDQuant (nunchaku) weights, which are not supported (use a bf16, fp8 or GGUF",
        ),
    ],
)
def test_every_file_beside_models_has_its_name(
    tmp_path: Path, shapes: Shapes, message: str
) -> None:
    path = write(tmp_path / "it.safetensors", shapes)
    with pytest.raises(ModelError) as caught:
        require_model(path)
    assert message in str(caught.value)


def test_a_weight_with_its_scales_is_one_of_its_own_shape(tmp_path: Path) -> None:
    """The sixteen bits of nvfp4 are packed in pairs; scales are no weights of their own."""
    rows = {
        "a.weight": ("U8", [8, 16]),
        "a.weight_scale": ("F8_E4M3", [128, 4]),
        "a.weight_scale_2": ("F32", []),
        "a.comfy_quant": ("U8", [19]),
        "b.weight": ("F8_E4M3", [8, 8]),
        "b.scale_weight": ("F32", []),
        "scaled_fp8": ("F8_E4M3", [2]),
        "b.bias": ("BF16", [8]),
    }
    path = tmp_path / "m.safetensors"
    write_rows(path, rows)
    header = read_header(path)
    shapes = {name: row.shape for name, row in header.tensors.items()}
    assert shapes == {"a.weight": (8, 32), "b.weight": (8, 8), "b.bias": (8,)}
    assert header.number_format == "nvfp4"
    assert sum(row.size for row in header.tensors.values()) == 8 * 16 + 8 * 2 + 8 * 8 + 8 * 2


@pytest.mark.parametrize(
    ("dtype", "scale", "name"),
    [
        ("F8_E4M3", ("U8", [8, 1]), "mxfp8"),
        ("I8", ("F32", [8, 2]), "4-bit (convrot)"),
        ("I32", ("F32", [8, 1]), "unknown"),
    ],
)
def test_scales_of_another_kind_are_not_guessed(
    tmp_path: Path, dtype: str, scale: tuple[str, list[int]], name: str
) -> None:
    path = tmp_path / "m.safetensors"
    write_rows(path, {"a.weight": (dtype, [8, 8]), "a.weight_scale": scale})
    with pytest.raises(ModelError, match=f"has {re.escape(name)} weights, which are not"):
        require_model(path)


def write_rows(path: Path, rows: dict[str, tuple[str, list[int]]]) -> None:
    end = 0
    head = {}
    for name, (dtype, shape) in rows.items():
        size = prod(shape) * {"F32": 4, "I32": 4, "BF16": 2}.get(dtype, 1)
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


JOINT = {"joint_blocks.0.x": (4,)}
DEV = {"guidance_in.in_layer.weight": (8, 8)}


@pytest.mark.parametrize(
    ("shapes", "family", "roles"),
    [
        (FLUX, "flux", ["denoiser"]),
        (under(UNET, FLUX), "flux", ["denoiser"]),
        (under(UNET, FLUX) | ENCODERS, "flux", ["denoiser", "text encoder", "vae"]),
        (under(UNET, NETA) | ENCODERS, "lumina2", ["denoiser", "text encoder", "vae"]),
        (under(UNET, JOINT) | ENCODERS, "sd3", ["denoiser", "text encoder", "vae"]),
        (Z_IMAGE, "z-image", ["denoiser"]),
        (FLUX | {"double_stream_modulation_img.lin.weight": (8, 8)}, "flux2", ["denoiser"]),
        (FLUX | {"distilled_guidance_layer.norms.0.scale": (8,)}, "chroma", ["denoiser"]),
        (
            {"txt_norm.weight": (8,), "transformer_blocks.0.attn.to_q.weight": (8, 8)},
            "qwen-image",
            ["denoiser"],
        ),
    ],
)
def test_denoisers_are_recognised_with_what_is_beside_them(
    tmp_path: Path, shapes: Shapes, family: str, roles: list[str]
) -> None:
    found = require_model(write(tmp_path / "it.safetensors", shapes))
    assert found.family == family
    assert [piece.role for piece in found.pieces] == roles


def test_flux_2_dev_is_not_taken_for_klein(tmp_path: Path) -> None:
    klein = FLUX | {"double_stream_modulation_img.lin.weight": (8, 8)}
    for shapes, family in ((klein, "flux2"), (klein | DEV, "flux2-dev")):
        assert require_model(write(tmp_path / "it.safetensors", shapes)).family == family


@pytest.mark.parametrize(
    ("whole", "kind"),
    [
        ({768: ({"linear.0.weight": torch.zeros(2)},) * 2, "name": "x", "step": 3}, "hypernetwork"),
        ({"image_proj": {"proj.weight": torch.zeros(2)}, "ip_adapter": {}}, "ip-adapter"),
        ({"params-ema": {"conv_first.weight": torch.zeros(4, 3, 3, 3)}}, "upscaler"),
        ({"model": {"conv_first.weight": torch.zeros(4, 3, 3, 3)}}, "upscaler"),
    ],
)
def test_pickles_of_other_kinds_have_their_names(tmp_path: Path, whole: Any, kind: str) -> None:
    path = tmp_path / "it.pt"
    torch.save(whole, path)
    assert detect(path).kind == kind


@pytest.mark.parametrize("message", ["10", "0000x0000", "64x9999", "1001x1000", "١٠٢٤"])
def test_a_resolution_of_nonsense_is_none(tmp_path: Path, message: str) -> None:
    metadata = {"modelspec.resolution": message}
    path = write(tmp_path / "m.safetensors", SD1, metadata=metadata)
    assert detect(path).size == (512, 512)

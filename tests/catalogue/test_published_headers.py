"""The headers of files that people run, by the names and shapes of their first blocks, without
weights: each is called what it is, and opens or is refused with what to do."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import NamedTuple

import pytest

from dream.catalogue.detect import detect, require_model
from dream.catalogue.read_model_info import read_model
from dream.core.errors import ModelError

Header = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type and shape of each tensor, by name."""
SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "I8": 1, "U8": 1}
ORIGINAL = "model.diffusion_model."


def bf16(shapes: Mapping[str, tuple[int, ...]]) -> Header:
    return {f"{name}.weight": ("BF16", shape) for name, shape in shapes.items()}


def under(prefix: str, header: Header) -> Header:
    return {prefix + name: row for name, row in header.items()}


def cast(header: Header, dtype: str) -> Header:
    return {name: (dtype, shape) for name, (_, shape) in header.items()}


def each_matrix(header: Header, encode: Callable[[str, tuple[int, ...]], Header]) -> Header:
    encoded: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, row in header.items():
        is_matrix = len(row[1]) == 2 and name.endswith(".weight")
        encoded |= encode(name.removesuffix("weight"), row[1]) if is_matrix else {name: row}
    return encoded


def fp8_scaled(header: Header) -> Header:
    return {
        **each_matrix(
            header,
            lambda n, shape: {n + "weight": ("F8_E4M3", shape), n + "scale_weight": ("F32", ())},
        ),
        "scaled_fp8": ("F8_E4M3", (2,)),
    }


def int8(header: Header) -> Header:
    return each_matrix(
        header,
        lambda n, shape: {
            n + "weight": ("I8", shape),
            n + "weight_scale": ("F32", (shape[0], 1)),
            n + "comfy_quant": ("U8", (40,)),
        },
    )


def nvfp4(header: Header) -> Header:
    return each_matrix(
        header,
        lambda n, shape: {
            n + "weight": ("U8", (shape[0], shape[1] // 2)),
            n + "weight_scale": ("F8_E4M3", (shape[0], shape[1] // 16)),
            n + "weight_scale_2": ("F32", ()),
            n + "comfy_quant": ("U8", (20,)),
        },
    )


Z_IMAGE: Header = {
    **bf16(
        {
            "cap_embedder.0": (2560,),
            "cap_embedder.1": (3840, 2560),
            "context_refiner.0.attention.qkv": (11520, 3840),
            "noise_refiner.0.attention.qkv": (11520, 3840),
            "layers.0.attention.qkv": (11520, 3840),
            "x_embedder": (3840, 64),
            "final_layer.linear": (64, 3840),
        }
    ),
    "x_pad_token": ("BF16", (1, 3840)),
}
LUMINA = {name: row for name, row in Z_IMAGE.items() if "pad" not in name}
QWEN = bf16(
    {
        "img_in": (3072, 64),
        "txt_in": (3072, 3584),
        "txt_norm": (3584,),
        "transformer_blocks.0.attn.add_k_proj": (3072, 3072),
        "transformer_blocks.0.img_mod.1": (18432, 3072),
        "proj_out": (64, 3072),
    }
)
FLUX = bf16(
    {
        "img_in": (3072, 64),
        "txt_in": (3072, 4096),
        "double_blocks.0.img_attn.qkv": (9216, 3072),
        "single_blocks.0.linear1": (21504, 3072),
        "guidance_in.in_layer": (3072, 256),
        "final_layer.linear": (64, 3072),
        "vector_in.in_layer": (3072, 768),
    }
)
FLUX_2 = bf16(
    {
        "img_in": (3072, 128),
        "txt_in": (3072, 7680),
        "double_blocks.0.img_attn.qkv": (9216, 3072),
        "double_stream_modulation_img.lin": (18432, 3072),
        "final_layer.linear": (128, 3072),
    }
)
CHROMA: Header = {
    **bf16({"img_in": (3072, 64), "double_blocks.0.img_attn.qkv": (9216, 3072)}),
    "distilled_guidance_layer.norms.0.scale": ("BF16", (5120,)),
}
KREA_2 = bf16(
    {
        "first": (3072, 64),
        "blocks.0.attn.wq": (3072, 3072),
        "blocks.0.attn.gate": (3072, 3072),
        "txtfusion.layerwise_blocks.0.attn.wq": (2560, 2560),
        "tproj.1": (18432, 3072),
        "last.linear": (64, 3072),
    }
)
ANIMA = bf16(
    {
        "net.blocks.0.self_attn.q_proj": (2048, 2048),
        "net.x_embedder.proj.1": (2048, 68),
        "net.llm_adapter.blocks.0.self_attn.q_proj": (1024, 1024),
    }
)
HIDREAM = bf16(
    {
        "double_stream_blocks.0.block.attn1.to_q": (2560, 2560),
        "single_stream_blocks.0.block.attn1.to_q": (2560, 2560),
        "caption_projection.0.linear": (2560, 4096),
    }
)
SD_3 = bf16(
    {
        "joint_blocks.0.context_block.attn.qkv": (7296, 2432),
        "joint_blocks.0.x_block.attn.qkv": (7296, 2432),
        "x_embedder.proj": (2432, 16, 2, 2),
    }
)
WAN = bf16(
    {
        "blocks.0.self_attn.q": (5120, 5120),
        "patch_embedding": (5120, 16, 1, 2, 2),
        "text_embedding.0": (5120, 4096),
        "head.head": (64, 5120),
    }
)
VAE = bf16({"decoder.conv_in": (512, 16, 3, 3), "encoder.conv_in": (128, 3, 3, 3)})
VAE_OF_FLUX_2: Header = {
    **bf16({"decoder.conv_in": (512, 32, 3, 3), "encoder.conv_in": (128, 3, 3, 3)}),
    "bn.running_mean": ("F32", (128,)),
}
VAE_OF_WAN = bf16(
    {
        "decoder.conv1": (384, 16, 3, 3, 3),
        "encoder.conv1": (96, 3, 3, 3, 3),
        "conv1": (32, 32, 1, 1, 1),
        "conv2": (16, 16, 1, 1, 1),
    }
)
QWEN_3 = bf16(
    {
        "model.embed_tokens": (151936, 2560),
        "model.layers.0.self_attn.q_proj": (4096, 2560),
        "model.norm": (2560,),
    }
)
T5 = cast(
    bf16({"shared": (32128, 4096), "encoder.block.0.layer.0.SelfAttention.q": (4096, 4096)}),
    "F8_E4M3",
)
CLIP = bf16(
    {
        "text_model.embeddings.token_embedding": (49408, 768),
        "text_model.encoder.layers.0.mlp.fc1": (3072, 768),
    }
)
UNET = bf16(
    {
        "input_blocks.0.0": (320, 4, 3, 3),
        "input_blocks.1.1.transformer_blocks.0.attn2.to_k": (320, 768),
        "out.2": (4, 320, 3, 3),
    }
)
SD_1 = {
    **under(ORIGINAL, UNET),
    **under("cond_stage_model.transformer.", CLIP),
    **under("first_stage_model.", bf16({"decoder.conv_in": (512, 4, 3, 3)})),
}
XL_UNET: Header = {**UNET, "label_emb.0.0.weight": ("BF16", (1280, 2816))}
XL = {
    **under(ORIGINAL, XL_UNET),
    **under("conditioner.embedders.0.transformer.", CLIP),
    **bf16({"conditioner.embedders.1.model.token_embedding": (49408, 1280)}),
    **under("first_stage_model.", bf16({"decoder.conv_in": (512, 4, 3, 3)})),
}
V_PREDICTION: Header = {"v_pred": ("F32", ()), "ztsnr": ("F32", ())}
ENCODERS = {
    **under("text_encoders.clip_l.transformer.", CLIP),
    **under("text_encoders.t5xxl.transformer.", T5),
}
SVDQUANT: Header = {
    "transformer_blocks.0.attn.qkv_proj.qweight": ("I8", (9216, 1536)),
    "transformer_blocks.0.attn.qkv_proj.wscales": ("BF16", (48, 9216)),
    "transformer_blocks.0.attn.qkv_proj.smooth_factor": ("BF16", (3072,)),
}
_QKV = f"{ORIGINAL}double_blocks.0.img_attn.qkv.weight"
NF4_STATE = (
    b'{"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [9216, 3072],'
    b' "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.04}'
)
NF4: Header = {
    **under(ORIGINAL, FLUX),
    _QKV: ("U8", (9216 * 3072 // 2, 1)),
    f"{_QKV}.absmax": ("U8", (442368,)),
    f"{_QKV}.quant_state.bitsandbytes__nf4": ("U8", (len(NF4_STATE),)),
}
ANY = r".*"
"""Opens, or will: only its name is compared."""


def refused(family: str, hub: str) -> str:
    """The error for a denoiser whose family works from its folder only."""
    what = f"only the denoiser of {family}, which is not supported as a single file"
    return rf"{what} \(to download its folder: !import_model {hub}\)"


AURA = {
    "double_layers.0.attn.w1q": (3072, 3072),
    "cond_seq_linear": (3072, 2048),
    "init_x_linear": (3072, 16),
}
PIXART = {
    "t_block.1": (6912, 1152),
    "y_embedder.y_proj.fc1": (1152, 4096),
    "blocks.0.cross_attn.q_linear": (1152, 1152),
}


class Published(NamedTuple):
    """A file, and what it is."""

    name: str
    header: Header
    family: str
    number_format: str = ""
    refusal: str = ""
    """A pattern for the error; empty for a model that opens."""
    text: bytes = b""
    """The content of its last tensor."""


FILES = (
    Published("illustriousXL_v20", XL, "sdxl"),
    Published("NoobAI-XL-Vpred-v1.0", {**XL, **V_PREDICTION}, "sdxl"),
    Published("novaAnimeXL_fp8", cast(XL, "F8_E4M3"), "sdxl", "fp8"),
    Published("DreamShaper_8_pruned", SD_1, "sd1"),
    Published("sdxl_unet_only", under(ORIGINAL, XL_UNET), "sdxl"),
    Published(
        "sdxl_lightning_4step_unet",
        bf16(
            {
                "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": (640, 640),
                "conv_in": (320, 4, 3, 3),
                "add_embedding.linear_1": (1280, 2816),
            }
        ),
        "sdxl",
    ),
    Published("z_image_turbo_bf16", Z_IMAGE, "z-image"),
    Published("z_image_turbo_prefixed", under(ORIGINAL, Z_IMAGE), "z-image"),
    Published("z_image_turbo_fp8_e4m3fn", cast(Z_IMAGE, "F8_E4M3"), "z-image", "fp8"),
    Published("z_image_turbo_int8", int8(Z_IMAGE), "z-image", "int8"),
    Published("z_image_turbo_nvfp4", nvfp4(Z_IMAGE), "z-image", "nvfp4"),
    Published(
        "z-image-turbo-bf16-aio",
        {
            **under(ORIGINAL, Z_IMAGE),
            **under("text_encoders.qwen3_4b.transformer.", QWEN_3),
            **under("vae.", VAE),
        },
        "z-image",
    ),
    Published(
        "zimage_diffusion_pytorch_model",
        bf16(
            {
                "all_x_embedder.2-1": (3840, 64),
                "layers.0.attention.to_q": (3840, 3840),
                "cap_embedder.0": (2560,),
            }
        ),
        "z-image",
    ),
    Published("krea2_turbo_fp8_scaled", fp8_scaled(KREA_2), "krea2", "fp8 scaled"),
    Published("krea2_turbo_int8", int8(KREA_2), "krea2", "int8"),
    Published("aura_flow_0.3", under("model.", bf16(AURA)), "auraflow"),
    Published("pony-v7-base", bf16(AURA), "auraflow"),
    Published(
        "PixArt-Sigma-XL-2-1024-MS",
        {**bf16(PIXART), "y_embedder.y_embedding": ("BF16", (300, 4096))},
        "pixart",
    ),
    Published(
        "PixArt-XL-2-512x512",
        {**bf16(PIXART), "y_embedder.y_embedding": ("BF16", (120, 4096))},
        "pixart-alpha",
    ),
    Published(
        "PixArt-XL-2-1024-MS",
        bf16({**PIXART, "csize_embedder.mlp.0": (384, 256)}),
        "pixart-alpha",
    ),
    Published(
        "pixart_sigma_transformer",
        bf16({"adaln_single.linear": (6912, 1152), "pos_embed.proj": (1152, 4, 2, 2)}),
        "pixart",
    ),
    Published(
        "Sana_1600M_1024px",
        {
            **bf16({**PIXART, "attention_y_norm": (2240,)}),
            "y_embedder.y_embedding": ("BF16", (300, 2304)),
        },
        "sana",
    ),
    Published(
        "cogview4_transformer",
        bf16(
            {
                "patch_embed.text_proj": (4096, 4096),
                "time_condition_embed.timestep_embedder.linear_1": (512, 4096),
            }
        ),
        "cogview",
        "",
        refused("CogView 4", "zai-org/CogView4-6B"),
    ),
    Published(
        "kolors_unet",
        bf16(
            {
                "conv_in": (320, 4, 3, 3),
                "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": (640, 640),
                "add_embedding.linear_1": (1280, 5632),
                "encoder_hid_proj": (2048, 4096),
            }
        ),
        "kolors",
        "",
        refused("Kolors", "Kwai-Kolors/Kolors-diffusers"),
    ),
    Published("qwen_image_fp8_e4m3fn", cast(QWEN, "F8_E4M3"), "qwen-image", "fp8"),
    Published("qwen_image_edit_2509_fp8", cast(QWEN, "F8_E4M3"), "qwen-image", "fp8"),
    Published(
        "svdq-int4_r32-qwen-image",
        SVDQUANT,
        "nunchaku",
        "SVDQuant (nunchaku)",
        r"has SVDQuant \(nunchaku\) weights, which are not supported \(use a bf16, fp8 or GGUF",
    ),
    Published("flux-2-klein-4b", FLUX_2, "flux2"),
    Published(
        "flux2_dev_fp8mixed",
        fp8_scaled({**FLUX_2, **bf16({"guidance_in.in_layer": (6144, 256)})}),
        "flux2-dev",
        "fp8 scaled",
    ),
    Published("flux-2-klein-9b-fp8", fp8_scaled(FLUX_2), "flux2", "fp8 scaled"),
    Published(
        "flux1-dev-fp8",
        {
            **under(ORIGINAL, cast(FLUX, "F8_E4M3")),
            **ENCODERS,
            **under("vae.", VAE),
        },
        "flux",
        "fp8",
    ),
    Published("flux1-dev", FLUX, "flux"),
    Published("flux1-fill-dev", {**FLUX, **bf16({"img_in": (3072, 384)})}, "flux"),
    Published(
        "flux1-depth-dev",
        {**FLUX, **bf16({"img_in": (3072, 128)})},
        "flux",
        "",
        r"is a denoiser of FLUX\.1 Depth or Canny, which needs a control image .*use FLUX\.1 with",
    ),
    Published("flux1-krea-dev_fp8_scaled", fp8_scaled(FLUX), "flux", "fp8 scaled"),
    Published("flux1-dev-bnb-nf4-v2", NF4, "flux", "nf4", text=NF4_STATE),
    Published(
        "flux1-dev-bnb-nf4-damaged",
        NF4,
        "flux",
        "bitsandbytes 4-bit",
        r"has bitsandbytes 4-bit weights, which are not supported \(use a bf16, fp8 or GGUF",
    ),
    Published("Chroma1-HD", CHROMA, "chroma"),
    Published("anima-base-v1.0", ANIMA, "anima", "", r"only the denoiser of Anima.*choose another"),
    Published("hidream_i1_full_fp8", cast(HIDREAM, "F8_E4M3"), "hidream", "fp8"),
    Published(
        "sd3.5_large_fp8_scaled",
        {
            **under(ORIGINAL, fp8_scaled(SD_3)),
            **ENCODERS,
            **under("first_stage_model.", VAE),
        },
        "sd3",
        "fp8 scaled",
    ),
    Published(
        "NetaYumev35_pretrained_all_in_one",
        {
            **under(ORIGINAL, LUMINA),
            **under("text_encoders.gemma2_2b.transformer.", QWEN_3),
            **under("vae.", VAE),
        },
        "lumina2",
    ),
    Published(
        "wan2.2_t2v_fp8_scaled", fp8_scaled(WAN), "wan", "fp8 scaled", r"Wan, a video model.*choose"
    ),
    Published("qwen_3_4b", QWEN_3, "other", "", r"text encoder \(Qwen3, 2,560 wide\).*put it into"),
    Published(
        "qwen3vl_4b_bf16",
        {**QWEN_3, **bf16({"model.visual.deepstack_merger_list.0.norm": (4096,)})},
        "other",
        "",
        r"text encoder \(Qwen3-VL, 2,560 wide\).*put it into",
    ),
    Published(
        "mistral_3_small_flux2_bf16",
        {
            **bf16({"model.embed_tokens": (131072, 5120)}),
            "tekken_model": ("U8", (19_399_895,)),
        },
        "other",
        "",
        r"text encoder \(Mistral Small 3, 5,120 wide\).*put it into",
    ),
    Published(
        "llama_3.1_8b_instruct_fp8_scaled",
        fp8_scaled(bf16({"model.embed_tokens": (128256, 4096)})),
        "other",
        "fp8 scaled",
        r"text encoder \(Llama 3\.1, 4,096 wide\).*put it into",
    ),
    Published(
        "dc-ae-f32c32-sana-1.0",
        bf16(
            {
                "encoder.project_in.conv": (128, 3, 3, 3),
                "decoder.project_in.conv": (1024, 32, 3, 3),
                "decoder.stages.0.op_list.0.main.conv1.conv": (128, 128, 3, 3),
            }
        ),
        "other",
        "",
        r"is a VAE of Sana, not a model",
    ),
    Published("t5xxl_fp8", T5, "other", "fp8", r"text encoder \(T5, 4,096 wide\).*put it into"),
    Published("clip_l", CLIP, "other", "", r"text encoder \(CLIP, 768 wide\).*put it into"),
    Published("ae", VAE, "other", "", r"is a VAE, not a model \(use it with --vae"),
    Published("qwen_image_vae", VAE_OF_WAN, "other", "", r"VAE of Qwen-Image or Wan, not a model"),
    Published("flux2-vae", VAE_OF_FLUX_2, "other", "", r"VAE of FLUX\.2, not a model"),
    Published(
        "taew2_1",
        bf16({"encoder.0": (64, 3, 3, 3), "decoder.3.conv.0": (256, 512, 3, 3)}),
        "other",
        "",
        r"is a TAEHV, a small decoder for films \(taew, taehv\), not a model \(for live previews",
    ),
    Published(
        "dmd2_sdxl_4step_lora",
        bf16({"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down": (16, 320)}),
        "other",
        "",
        r"is a LoRA, not a model \(use it with --lora",
    ),
    Published(
        "z_image_lora",
        bf16({"diffusion_model.layers.0.attention.qkv.lora_A": (16, 3840)}),
        "other",
        "",
        r"is a LoRA, not a model \(use it with --lora",
    ),
)


def write(path: Path, header: Header, last: bytes = b"") -> Path:
    """A sparse file: the header, and as many bytes as it announces, which take no room; and the
    last of them."""
    rows, end = {}, 0
    for name, (dtype, shape) in header.items():
        size = SIZES[dtype] * prod(shape)
        rows[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(rows).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
        file.seek(8 + len(text) + end - len(last))
        file.write(last)
    return path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_is_called_what_it_is(tmp_path: Path, file: Published) -> None:
    path = write(tmp_path / f"{file.name}.safetensors", file.header, file.text)
    found = detect(path)
    if file.refusal != ANY or file.family != "other":
        assert (found.family, found.number_format) == (file.family, file.number_format)
    if not file.refusal:
        assert require_model(path).kind == "model"
        return
    if file.refusal == ANY:
        try:
            require_model(path)
        except ModelError as error:
            assert error.hint and str(error).startswith(f"{path}")
        return
    with pytest.raises(ModelError) as caught:
        require_model(path)
    assert re.search(file.refusal, str(caught.value))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("guidance", "steps"),
    [
        ("guidance_in.in_layer.weight", 30),
        ("time_text_embed.guidance_embedder.linear_1.weight", 30),
        ("", 4),
    ],
    ids=["original names", "diffusers' names", "schnell"],
)
def test_flux_without_guidance_is_distilled(tmp_path: Path, guidance: str, steps: int) -> None:
    diffusers_names = bf16(
        {
            "single_transformer_blocks.0.proj_mlp": (12288, 3072),
            "time_text_embed.text_embedder.linear_1": (3072, 768),
            "proj_out": (64, 3072),
        }
    )
    header = dict(FLUX if guidance.startswith("guidance_in") else diffusers_names)
    if guidance:
        header[guidance] = ("BF16", (3072, 256))
    info = read_model("x", write(tmp_path / "x.safetensors", header), lambda complaint: None)
    assert (info.family, info.steps) == ("flux", steps)
    assert info.defaults_from == ("" if guidance else "its tensors")


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts them")
def test_only_headers_are_read_and_only_once(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{f.name}.safetensors", f.header) for f in FILES[:20]]
    paths += [tmp_path / "torn.safetensors", tmp_path / "web.ckpt"]
    paths[-2].write_bytes(b"\xff" * 7 + bytes(10**6))
    paths[-1].write_text("<html>" * 10**5)
    assert sum(path.stat().st_size for path in paths) > 2**30
    first, second = (_count_read_bytes(paths) for _ in range(2))
    assert first < 2**20
    assert second < first / 4


def _count_read_bytes(paths: list[Path]) -> int:
    def count() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])  # rchar

    before = count()
    for path in paths:
        with suppress(ModelError):
            detect(path)
    return count() - before

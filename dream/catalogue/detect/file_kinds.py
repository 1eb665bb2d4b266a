"""Tables of files that are not loadable models (LoRAs, ControlNets …), detected by tensor names,
with what each is called and what to do with it.

The tensor names are those of the programs that write the files: ComfyUI's and Stability's layouts,
kohya's and XLabs' trainers, lllyasviel's and Tencent's ControlNets and adapters.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

_FOLDER = "load it from its folder in diffusers layout, or by its hub id"
_WITH = "load the whole model from its folder in diffusers layout, or by its hub id"
_GUIDES = "it only guides a model, and is not supported yet"
_PART = "it is one part of a model; use the whole model"
_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "net.")
_OTHERS = ("text_encoders.", "vae.", "first_stage_model.", "cond_stage_model.", "conditioner.")


@dataclass(frozen=True)
class FileKind:
    """A kind of file: its name with an article, what to do with it, and the marks by which it is
    detected. A mark is a tuple of substrings of tensor names that must all be present; ^ matches
    the start of a name, $ the end. One mark is enough."""

    kind: str
    called: str
    place: str
    marks: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Denoiser:
    """A model family that dream does not load from a single file."""

    family: str
    called: str
    marks: tuple[tuple[str, ...], ...]
    hub: str = ""
    """`owner/name` of a folder to use instead."""


FILE_KINDS = (
    FileKind("controlnet", "a control-LoRA", _GUIDES, (("^lora_controlnet$",),)),
    FileKind("controlnet", "a ControlNet-LLLite", _GUIDES, (("^lllite_",),)),
    FileKind("ip-adapter", "an IP-Adapter for FLUX.1", _GUIDES, (("^ip_adapter_proj_model.",),)),
    FileKind("ip-adapter", "an IP-Adapter", _GUIDES, (("^ip_adapter.",), ("^image_proj.",))),
    FileKind(
        "lora",
        "a LoRA for FLUX.1",
        "LoRAs are not supported yet",
        (("double_blocks.0.processor.", "_lora"),),
    ),
    FileKind(
        "controlnet",
        "a ControlNet",
        _GUIDES,
        (("^input_hint_block.",), ("^zero_convs.",), ("^control_model.",)),
    ),
    FileKind("t2i-adapter", "a T2I-Adapter", _GUIDES, (("^adapter.body.",), ("^body.0.block1.",))),
    FileKind(
        "hypernetwork",
        "a hypernetwork",
        "hypernetworks are not supported",
        tuple((f"^{width}.0.linear",) for width in (320, 640, 768, 1024, 1280)),
    ),
    FileKind("text encoder", "a complete CLIP", _PART, (("^text_model.", "^vision_model."),)),
    FileKind(
        "vision encoder", "a CLIP vision encoder", _PART, (("^vision_model.",), ("^visual.",))
    ),
    FileKind(
        "tiny vae",
        "a TAESD",
        "for live previews, put its folder (taesd, taesdxl, taesd3 or taef1) into a models folder",
        (("^3.conv.0.",), ("^decoder.layers.3.conv.0.",)),
    ),
    FileKind(
        "video vae", "a VAE of Qwen-Image or Wan", _WITH, (("^decoder.conv1.", "^encoder.conv1."),)
    ),
    FileKind("video vae", "a VAE of FLUX.2", _WITH, (("^bn.running_mean$", "decoder.conv_in."),)),
    FileKind(
        "text encoder", "a text encoder (T5)", _PART, (("^encoder.block.0.layer.0.SelfAtt",),)
    ),
    FileKind(
        "text encoder",
        "a text encoder (CLIP)",
        _PART,
        (("^text_model.",), ("^token_embedding.", "^transformer.resblocks.")),
    ),
    FileKind(
        "text encoder",
        "a language model used as a text encoder",
        _PART,
        (("^model.embed_tokens.",),),
    ),
)
"""The first matching row is used."""

DENOISERS = (
    Denoiser(
        "other",
        "Z-Image",
        (("^cap_embedder.0.", "^x_pad_token$"), ("^all_x_embedder.",)),
        "Tongyi-MAI/Z-Image-Turbo",
    ),
    Denoiser(
        "other",
        "Lumina 2",
        (("^cap_embedder.0.", "^noise_refiner."),),
        "Alpha-VLLM/Lumina-Image-2.0",
    ),
    Denoiser("other", "Qwen-Image", (("^txt_norm.", "^transformer_blocks.0."),), "Qwen/Qwen-Image"),
    Denoiser(
        "other",
        "FLUX.2",
        (("^double_stream_modulation_img.",),),
        "black-forest-labs/FLUX.2-klein-4B",
    ),
    Denoiser("other", "Chroma", (("^distilled_guidance_layer.",),), "lodestones/Chroma1-HD"),
    Denoiser("flux", "FLUX.1", (("^double_blocks.0.",),), "black-forest-labs/FLUX.1-dev"),
    Denoiser("other", "Krea 2", (("^txtfusion.",),)),
    Denoiser("other", "Anima", (("^llm_adapter.blocks.",),)),
    Denoiser("other", "HiDream-I1", (("^double_stream_blocks.0.block.",),)),
    Denoiser(
        "sd3",
        "Stable Diffusion 3",
        (("^joint_blocks.0.",),),
        "stabilityai/stable-diffusion-3.5-large",
    ),
    Denoiser("other", "Wan, a video model", (("^blocks.0.self_attn.q.", "^patch_embedding."),)),
    Denoiser(
        "other", "Stable Video Diffusion, a video model", (("^input_blocks.1.0.time_stack.",),)
    ),
    Denoiser(
        "sd2",
        "Stable Diffusion 2.1 unCLIP, which needs an input image",
        (("^embedder.model.visual.",), ("^noise_augmentor.",)),
    ),
    Denoiser("other", "a model for nunchaku", ((".qweight$", ".wscales$"),)),
)

_QUANTIZED = (
    ("4-bit (bitsandbytes)", ".quant_state.bitsandbytes"),
    ("4-bit (SVDQuant)", ".wscales$"),
    ("4-bit (nvfp4)", ".weight_scale_2$"),
    ("8-bit with scales", ".weight_scale$"),
    ("float8 with scales", ".scale_weight$"),
    ("float8 with scales", "scaled_fp8$"),
)


class TensorNames:
    """The tensor names of a file, joined to one text so that substring search is fast."""

    def __init__(self, names: Collection[str]) -> None:
        whole = "\n".join(names)
        bare = whole
        for prefix in _PREFIXES:
            bare = bare.replace(f"\n{prefix}", "\n").removeprefix(prefix)
        self._text = f"\n{whole}\n{bare}\n"
        self.others = any(f"\n{prefix}" in self._text for prefix in _OTHERS)
        """Whether the file has text encoders or a VAE."""

    def has(self, mark: str) -> bool:
        """Whether a tensor name contains this part of a mark."""
        start, end = "\n" if mark[0] == "^" else "", "\n" if mark[-1] == "$" else ""
        return f"{start}{mark.removeprefix('^').removesuffix('$')}{end}" in self._text

    def matches(self, marks: tuple[tuple[str, ...], ...]) -> bool:
        """Whether all parts of one of the marks are present."""
        return any(all(map(self.has, mark)) for mark in marks)


def find_file_kind(names: TensorNames) -> FileKind | None:
    """The first matching row of FILE_KINDS, or None."""
    return next((row for row in FILE_KINDS if names.matches(row.marks)), None)


def find_denoiser(names: TensorNames) -> Denoiser | None:
    """The first matching row of DENOISERS, or None."""
    return next((row for row in DENOISERS if names.matches(row.marks)), None)


def find_quantization(names: TensorNames) -> str:
    """The quantization of a file's weights; empty for unquantized weights."""
    return next((name for name, mark in _QUANTIZED if names.has(mark)), "")


def explain_refusal(names: TensorNames, denoiser: Denoiser) -> tuple[str, str]:
    """Why a file of such a family is not loaded, as it completes “PATH …”, and what to do."""
    quantization = find_quantization(names)
    suffix = f", {quantization}" if quantization else ""
    what = "is a complete model of" if names.others else "contains only the denoiser of"
    hint = f"to download its folder: !import_model {denoiser.hub}" if denoiser.hub else _FOLDER
    return f"{what} {denoiser.called}{suffix}, which is not supported as a single file", hint

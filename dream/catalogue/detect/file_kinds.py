"""Files that people keep beside models, by the names of their tensors: what each is called, and
what to do with it.

The names are those of the programs that write the files: ComfyUI's and Stability's layouts, kohya's
and XLabs' trainings, lllyasviel's and Tencent's guides.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

_FOLDER = "load it from its folder in diffusers layout, or by its hub id"
_WITH = "load the whole model from its folder in diffusers layout, or by its hub id"
_GUIDES = "it guides a model, and paints nothing alone; dream does not use such guides yet"
_PART = "it is one part of a model: name the whole model"
_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "net.")
_OTHERS = ("text_encoders.", "vae.", "first_stage_model.", "cond_stage_model.", "conditioner.")


@dataclass(frozen=True)
class FileKind:
    """A row: the kind, what it is called with its article, what to do with it, and the marks of
    which one is in the file. A mark is parts of names that are all there; ^ begins a name, $ ends
    it."""

    kind: str
    called: str
    place: str
    marks: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Denoiser:
    """A row for a family that dream does not load from a single file."""

    family: str
    called: str
    marks: tuple[tuple[str, ...], ...]
    hub: str = ""
    """`owner/name` of the folder that paints instead."""


FILE_KINDS = (
    FileKind("controlnet", "a control-LoRA", _GUIDES, (("^lora_controlnet$",),)),
    FileKind("controlnet", "a ControlNet-LLLite", _GUIDES, (("^lllite_",),)),
    FileKind("ip-adapter", "an IP-Adapter for FLUX.1", _GUIDES, (("^ip_adapter_proj_model.",),)),
    FileKind("ip-adapter", "an IP-Adapter", _GUIDES, (("^ip_adapter.",), ("^image_proj.",))),
    FileKind(
        "lora",
        "a LoRA for FLUX.1",
        "it goes on top of a model, and dream cannot use LoRAs yet",
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
        "it bends a model's attention, and dream cannot use hypernetworks",
        tuple((f"^{width}.0.linear",) for width in (320, 640, 768, 1024, 1280)),
    ),
    FileKind("text encoder", "a whole CLIP", _PART, (("^text_model.", "^vision_model."),)),
    FileKind(
        "vision encoder", "a CLIP vision encoder", _PART, (("^vision_model.",), ("^visual.",))
    ),
    FileKind(
        "tiny vae",
        "a TAESD",
        "it shows pictures in the making: a folder taesd, taesdxl, taesd3 or taef1 of models",
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
        "text encoder", "a language model, as a text encoder", _PART, (("^model.embed_tokens.",),)
    ),
)
"""The first row that fits is the file's."""

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
    Denoiser("other", "Wan, which makes films", (("^blocks.0.self_attn.q.", "^patch_embedding."),)),
    Denoiser(
        "other", "Stable Video Diffusion, which makes films", (("^input_blocks.1.0.time_stack.",),)
    ),
    Denoiser(
        "sd2",
        "Stable Diffusion 2.1 unCLIP, which starts from a picture",
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
    """The names in a file as one text, in which marks are sought at the speed of the memory."""

    def __init__(self, names: Collection[str]) -> None:
        whole = "\n".join(names)
        bare = whole
        for prefix in _PREFIXES:
            bare = bare.replace(f"\n{prefix}", "\n").removeprefix(prefix)
        self._text = f"\n{whole}\n{bare}\n"
        self.others = any(f"\n{prefix}" in self._text for prefix in _OTHERS)
        """Whether there are text encoders or a VAE."""

    def has(self, mark: str) -> bool:
        """Whether a part of a name is there."""
        start, end = "\n" if mark[0] == "^" else "", "\n" if mark[-1] == "$" else ""
        return f"{start}{mark.removeprefix('^').removesuffix('$')}{end}" in self._text

    def matches(self, marks: tuple[tuple[str, ...], ...]) -> bool:
        """Whether all parts of one of the marks are there."""
        return any(all(map(self.has, mark)) for mark in marks)


def find_file_kind(names: TensorNames) -> FileKind | None:
    """The row of a file beside models; None for another."""
    return next((row for row in FILE_KINDS if names.matches(row.marks)), None)


def find_denoiser(names: TensorNames) -> Denoiser | None:
    """The row of a family that is not loaded from a single file; None for another."""
    return next((row for row in DENOISERS if names.matches(row.marks)), None)


def find_quantization(names: TensorNames) -> str:
    """The number format of a file whose weights are not plain numbers; mostly empty."""
    return next((name for name, mark in _QUANTIZED if names.has(mark)), "")


def explain_refusal(names: TensorNames, denoiser: Denoiser) -> tuple[str, str]:
    """What a file of such a family is, and what to do: words that complete “PATH …”."""
    form = find_quantization(names)
    as_what = f", {form}" if form else ""
    what = "is a whole model of" if names.others else "holds only the denoiser of"
    hint = f"!import_model {denoiser.hub} fetches its folder" if denoiser.hub else _FOLDER
    return f"{what} {denoiser.called}{as_what}, which is not loaded from a single file", hint

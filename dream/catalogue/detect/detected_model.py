"""DetectedModel: what a weights file is, detected from its header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dream.catalogue.detect.control_family import ControlDetails
from dream.catalogue.detect.pieces import Piece, Wanted


@dataclass(frozen=True, kw_only=True)
class DetectedModel:
    """What a weights file is, detected from its header."""

    path: Path
    kind: str
    """"model", "lora", "vae", "embedding", "upscaler", "controlnet", "ip-adapter", "unet",
    "text encoder", another kind of `file_kinds.FILE_KINDS`, or "unknown"."""
    family: str = "other"
    """For models and control files: the key of a row in the table of families, or "other"."""
    variant: str = ""
    """For models: "", "inpainting", "depth", "refiner", "instruct-pix2pix", "x4-upscaler" or
    "edm". For IP-Adapters: see `control_family.detect_image_projection`."""
    prediction_type: str = "epsilon"
    """"epsilon" or "v_prediction"; see `prediction.detect_prediction_type`."""
    zero_snr: bool = False
    """Whether it was trained with zero terminal SNR: Lin et al. 2023, arXiv:2305.08891."""
    size: tuple[int, int] = (512, 512)
    """Native width and height in pixels."""
    says_size: bool = False
    """Whether the size is in the file's metadata; else it is its family's."""
    title: str = ""
    """In its metadata."""
    marks: frozenset[str] = frozenset()
    """Of its tensors, without a prefix, those that tell models of one family apart:
    `model_marks.MARKS`."""
    precision: str = "float32"
    """Data type of most of its weights: "float32", "float16", "bfloat16", "float8" …"""
    parameters: int = 0
    """Number of parameters, without EMA weights."""
    ema: bool = False
    """Whether it also contains EMA weights (`model_ema.`)."""
    format: str = "safetensors"
    """"safetensors", "gguf", "zip" or "legacy"; the latter two are pickles."""
    number_format: str = ""
    """Of quantized weights, as "fp8 scaled" or "Q4_K"; see `Header.number_format`."""
    refused: bool = False
    """Whether its number format is not supported; `called` says so."""
    code: tuple[str, ...] = ()
    """For a pickle: what it would run. Such a file is never loaded."""
    called: str = ""
    """Description, if the kind does not say enough; for a model, why it is not loaded."""
    place: str = ""
    """What to do with it, as a hint for a message."""
    pieces: tuple[Piece, ...] = ()
    """The pieces of a model that it holds; empty for a Stable Diffusion 1, 2 or XL, whose layout is
    handled as a whole."""
    wanted: tuple[Wanted, ...] = ()
    """What its denoiser needs besides, which may be among its own pieces."""

    lone_unet: str = ""
    """For the UNet of a Stable Diffusion alone, which needs a base model: whose names its weights
    have, "original" or "diffusers"."""
    control: ControlDetails | None = None
    """For a control model."""

    @property
    def is_inpainting(self) -> bool:
        """Whether its denoiser also takes a mask and a masked image (9 channels)."""
        return self.variant == "inpainting"

"""ModelInfo and UpscalerInfo: what is known about a model before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dream.catalogue.discovery import INDEX
from dream.catalogue.vocabulary import Vocabulary
from dream.options.editors import count_references
from dream.options.quantize_table import NO_QUANTIZATION

BASE = "base"
"""The part that is the base model of a UNet alone in its file."""
VISION = "vision"
"""The part that is the vision tower of a text encoder in another file."""


@dataclass(frozen=True, kw_only=True)
class LatentRgbFactors:
    """A linear preview of latents: rgb in -1..1 = latents @ matrix + bias."""

    matrix: tuple[tuple[float, float, float], ...]
    """One row of three for each latent channel (four for Stable Diffusion)."""
    bias: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class PartFile:
    """A file or a folder that completes a model which is in several files."""

    part: str
    """The component's name in diffusers: text_encoder, tokenizer, vae …, or BASE."""
    path: Path
    prefix: str = ""
    """What the names of its tensors begin with in its file."""
    kind: str = ""
    """The key of its row in the table of text encoders or of VAEs; of a base model, its family."""
    name: str = ""
    """Of a base model."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A model on disk, and its defaults for the values that a line does not set."""

    name: str
    """Its name in `--model` and in the log: the folder's name, or the absolute path if it is
    outside the models folders. `ModelRegistry.get_model(info.name)` finds it again."""
    path: Path
    """A folder in diffusers layout, or a single file in the original one."""
    description: str = ""
    family: str = "sd1"
    """The key of a row in the table of families (`options.family_table`), or "other"."""
    variant: str = ""
    """"inpainting", "depth" or "refiner" if it was trained for that; otherwise empty."""
    edits: str = ""
    """The key of a row in the table of editors, for a model that was trained to edit; "no" if its
    entry in models.toml says that it was not."""
    edits_from: str = ""
    """What says so, for a single file."""
    prediction: str = ""
    """"epsilon" or "v_prediction"; empty: the model's own setting."""
    width: int = 512
    height: int = 512
    """Native size in pixels."""
    multiple: int = 8
    """Sizes are rounded down to multiples of this."""
    steps: int = 30
    sampler: str = "dpmpp_2m_karras"
    cfg_scale: float = 7.5
    cfg_rescale: float = 0.0
    """Guidance rescale: Lin et al. 2023, arXiv:2305.08891, section 3.4."""
    origins: tuple[tuple[str, str], ...] = ()
    """What decided a default, by field, as “models.toml”; others are dream's own."""
    defaults_from: str = ""
    """What says that it was distilled to few steps; empty for the family's own defaults."""
    parts: tuple[PartFile, ...] = ()
    """For a single file that is split from its text encoders or VAE: where these are."""
    scheduler: tuple[tuple[str, object], ...] = ()
    """For such a file: settings of its scheduler that differ from the family's."""
    pipeline_settings: tuple[tuple[str, object], ...] = ()
    """For such a file: settings of its pipeline, as is_distilled."""
    missing: tuple[str, ...] = ()
    """What it lacks, each with where to get it; it cannot be loaded then."""
    text_encoder: str = ""
    """The text encoder to use where there are several: a name in text_encoders/, or a path."""
    base: str = ""
    """For a UNet alone in its file: the base model to use where there are several."""
    upscaler: str = "realesr-general-x4v3"
    vae: str = ""
    """The VAE to use instead of the model's own: a name in a VAE folder, or a path; usually
    empty."""
    number_format: str = ""
    """Of the quantized weights of a single file, as "fp8 scaled" or "Q4_K"."""
    averages: bool = False
    """Whether it is a file that also contains EMA weights (`model_ema.`)."""
    ema: bool = False
    """Whether the EMA weights are used. CompVis' own configuration (`use_ema: False`) and other
    programs use the other ones."""
    quantize: str = NO_QUANTIZATION
    """How its layers are quantized while it is loaded, as the line says."""
    preview: LatentRgbFactors | None = None
    knows: Vocabulary = ()
    """The words it was trained on, if its card.toml lists them; empty: no limit."""

    def with_defaults(self, origin: str, **values: Any) -> ModelInfo:
        """The same with these values, which `origin` decided."""
        origins = {**dict(self.origins), **dict.fromkeys(values, origin)}
        return replace(self, **values, origins=tuple(origins.items()))

    @property
    def references(self) -> int:
        """How many reference images it takes at most; 0 for a model that does not edit."""
        return count_references(self.family, self.edits)


@dataclass(frozen=True, kw_only=True)
class UpscalerInfo:
    """An upscaler, on disk or at its download address."""

    name: str
    """Its name in `--upscaler` and in the log; outside the models folders, its path."""
    path: Path
    """The file, existing or to be downloaded; for a diffusion upscaler, the folder."""
    diffusion: bool = False
    """Whether it is a diffusion upscaler (StableDiffusionUpscalePipeline), not a network that runs
    once."""
    description: str = ""
    url: str = ""
    """Where it is downloaded from: the URL of a file, or the hub id of a folder; empty if it cannot
    be downloaded."""
    sha256: str = ""
    """64 hex digits if published, otherwise empty."""
    size: int = 0
    """Bytes; 0 if unknown."""

    @property
    def is_on_disk(self) -> bool:
        """Whether it is on disk already."""
        return (self.path / INDEX if self.diffusion else self.path).is_file()

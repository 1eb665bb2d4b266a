"""What is known about a model or an upscaler before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dream.catalogue.discovery import INDEX
from dream.catalogue.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class LatentRgbFactors:
    """A linear look at latents: rgb in -1..1 = latents @ matrix + bias."""

    matrix: tuple[tuple[float, float, float], ...]
    """One row of three for each latent channel (four for Stable Diffusion)."""
    bias: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A model on disk, and the values it wants where a line leaves them open."""

    name: str
    """What `--model` and the log call it: the folder's name, or its absolute path when it lies
    outside the models folders. `Shelf.model(card.name)` finds it again."""
    path: Path
    """A folder in diffusers layout, or a single file in the original one."""
    description: str = ""
    family: str = "sd1"
    """"sd1", "sd2", "sdxl", "sd3", "flux", or "other"."""
    variant: str = ""
    """"inpainting", "depth" or "refiner", where it was trained to be that."""
    prediction: str = ""
    """"epsilon" or "v_prediction"; empty: what the model says of itself."""
    width: int = 512
    height: int = 512
    """Home size in pixels."""
    multiple: int = 8
    """Sizes are floored to multiples of this."""
    steps: int = 30
    sampler: str = "dpmpp_2m_karras"
    cfg_scale: float = 7.5
    upscaler: str = "realesr-general-x4v3"
    vae: str = ""
    """The VAE in place of the model's own: a name in a VAE folder, or a path; empty for its own."""
    averages: bool = False
    """Whether it is a file that holds the running averages of its training too (`model_ema.`)."""
    ema: bool = False
    """Whether it paints with those averages. The weights proper are what CompVis' own
    configuration (`use_ema: False`) and other programs paint with."""
    preview: LatentRgbFactors | None = None
    knows: Vocabulary = ()
    """The words it was trained on, where it was trained on few and says so; empty: no limit."""


@dataclass(frozen=True, kw_only=True)
class UpscalerInfo:
    """An upscaler, on disk or at its official address."""

    name: str
    """What `--upscaler` and the log call it; a path outside the models folders is its own name."""
    path: Path
    """Where the file is, or will be once fetched; of a diffusion upscaler, the folder."""
    diffusion: bool = False
    """Whether it denoises (a StableDiffusionUpscalePipeline), and is no network that runs once."""
    description: str = ""
    url: str = ""
    """Where it is fetched from, a file by its address and a folder by its id on the hub; empty when
    there is no such place."""
    sha256: str = ""
    """64 hex digits, where published."""
    size: int = 0
    """Bytes, where known; 0 otherwise."""

    @property
    def is_on_disk(self) -> bool:
        """Whether it is on disk already."""
        return (self.path / INDEX if self.diffusion else self.path).is_file()

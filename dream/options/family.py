"""What a row of the table of families says: see `family_table`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

Marks = tuple[tuple[str, ...], ...]
"""Ways to detect something by tensor names. A way is a tuple of parts of names that must all be
there; ^ matches the start of a name, $ the end. One way is enough."""


class Side(NamedTuple):
    """A number that a tensor's shape tells: one of its sides, times a factor, divided."""

    tensor: str
    axis: int
    divisor: int = 1
    factor: int = 1


@dataclass(frozen=True, kw_only=True)
class TextEncoderKind:
    """A row of the table of text encoders."""

    key: str
    name: str
    """As people know it."""
    marks: Marks
    widths: tuple[Side, ...]
    """Where its width is; the first tensor that exists."""
    words: int = 0
    """How many words its vocabulary has, where that tells it from others."""
    architecture: str = ""
    """In GGUF files, which lack what tells it from another kind: their `general.architecture`."""
    tokenizer: str = ""
    """Hub id of a repository with its tokenizer; empty if dream has it."""
    tokenizer_of: str = ""
    """The key of a kind whose tokenizer makes the same tokens of a text."""
    tokenizer_tensor: str = ""
    """The name of a tensor that contains its tokenizer, in files that have one."""
    tokenizer_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class TextEncoderNeed:
    """A text encoder that a family's denoiser was trained with."""

    part: str
    """Its name in a pipeline of diffusers: text_encoder, text_encoder_2 …"""
    kind: str
    """The key of its row in TEXT_ENCODERS."""
    widths: tuple[Side, ...] = ()
    """Where the denoiser's shapes tell the encoder's width; without any, `width`."""
    width: int = 0
    optional: bool = False
    """Whether the family works without it."""
    projected: bool = False
    """Of a CLIP: whether its pooled output is used."""
    length: int = 0
    """Of a CLIP: how many tokens it must take, where these are more than the usual 77."""


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """Defaults of a model that was distilled to few steps, and what it is recognised by."""

    pattern: str
    """A regular expression for its lower-case name; a group is the number of steps."""
    steps: int
    flag: str = ""
    """A key of model_index.json that is true; its pipeline is created with it."""
    shift: float = 0.0
    """The shift in its scheduler's configuration, where the family's other models have another."""
    scheduler: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Settings of its scheduler that differ from the family's, but for the shift."""
    lacks: tuple[str, ...] = ()
    """A tensor that the file of another model of the family has: its names."""
    cfg_scale: float = 1.0
    sampler: str = ""
    side: int = 0
    """Native size in pixels, where it is another one."""


@dataclass(frozen=True, kw_only=True)
class Editor:
    """A model of a family that was trained to edit reference images, and what it is recognised by
    in a single file."""

    key: str
    """`ModelInfo.edits`."""
    name: str
    """As people know it."""
    pipeline: str
    """Its class in diffusers, without “Pipeline”."""
    pattern: str
    """A regular expression for its lower-case name or title."""
    references: int
    """How many reference images it takes at most."""
    mark: str = ""
    """A tensor that only its files have."""


@dataclass(frozen=True, kw_only=True)
class WideModel:
    """A model of a family whose denoiser sees an image beside the latents, and what it is
    recognised by in a single file."""

    name: str
    """As people know it."""
    extra: int
    """Channels of a token of its input, beside those of the latents."""
    variant: str = ""
    """`ModelInfo.variant`."""
    pipeline: str = ""
    """Its class in diffusers, without “Pipeline”; empty for one that is not supported."""
    cfg_scale: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Family:
    """One row: a family of models that dream generates images with, or knows by name."""

    key: str
    """`ModelInfo.family`."""
    name: str
    """As people know it."""
    pipelines: str = ""
    """A pattern for the names of its pipelines in diffusers, without their ending “Pipeline”; empty
    for a family that dream only knows by name."""
    pipeline: str = ""
    """The class for its single files, without “Pipeline”; empty if they are not supported."""
    transformer: str = ""
    """The class of its denoiser in diffusers."""
    marks: Marks = ()
    """How its denoiser is detected in a file."""
    others: tuple[tuple[Side, int, str], ...] = ()
    """Families whose denoisers have the same names: a side of a tensor, its length, their key."""
    encoders: tuple[TextEncoderNeed, ...] = ()
    vae: str = ""
    """The key of its VAE's kind: see `family_table.VAES`."""
    vae_names: str = r"^ae\b|flux"
    """A pattern for the lower-case names of its VAE's files, where several are of its kind."""
    latents: tuple[Side, ...] = ()
    """Where the denoiser's shapes tell the channels of its latents."""
    inputs: tuple[Side, ...] = ()
    """Where they tell the channels of its input, for `wide`."""
    wide: tuple[WideModel, ...] = ()
    """Its models whose denoiser sees an image beside the latents."""
    scheduler: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Settings of its scheduler, as in the original's scheduler_config.json; without a class, that
    of flow matching."""
    steps: int = 30
    cfg_scale: float = 7.5
    side: int = 1024
    """Native size in pixels."""
    multiple: int = 0
    """Multiple of an image's sides, where it is more than its components need."""
    negative: bool = True
    """Whether it has negative prompts."""
    guidance_off: float = 1.0
    """The guidance at which its pipeline of diffusers computes none."""
    distilled: tuple[Distilled, ...] = ()
    """By name; the first matching row is used."""
    packed: bool = False
    """Whether its latents are tokens (1, n, C) between two steps, not an image (1, C, h, w)."""
    space: str = ""
    """Its latent space, for previews: see `engine.sampling.latent_rgb_factors`."""
    decoder: str = ""
    """The name of its TAESD's folder."""
    references: int = 0
    """How many reference images all its models take at most."""
    editors: tuple[Editor, ...] = ()
    """Its models that take some while others do not; the first that fits is used."""
    loras: str = ""
    """The key of the family whose LoRAs it takes, where it is not its own."""
    hub: str = ""
    """`owner/name` of its folder in diffusers layout."""
    stable: bool = False
    """Whether it is a Stable Diffusion with a UNet, whose files have a layout of their own."""
    instead: str = ""
    """For a family that dream only knows by name: what to do."""

    def find_wide(self, variant: str) -> WideModel | None:
        """Its model of a variant whose denoiser sees an image beside the latents."""
        return next((row for row in self.wide if row.variant == variant != ""), None)

    @property
    def title(self) -> str:
        """Its name in a sentence, without its variants."""
        return re.split(r", | \(", self.name)[0] if self.pipelines else self.name

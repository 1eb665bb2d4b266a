"""`Recipe`: all parameters of one image."""

from __future__ import annotations

from dataclasses import dataclass, fields

from dream.core.request import Request
from dream.options.control import Control, ImagePrompt
from dream.options.lora import Hypernet, Lora
from dream.options.option_type import Upscale
from dream.options.outpaint import Embiggen, Outcrop, Shift
from dream.options.schedule_table import AUTO
from dream.options.syntax_table import PLAIN
from dream.options.text_mask import TextMask
from dream.options.variations import Variation


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A `Request` resolved for one image. Only `session.resolve` makes these."""

    prompt: str
    negative: str
    steps: int
    seed: int
    """0 to 2**32 - 1; noise is drawn on the CPU, in float32, from a generator with this seed."""
    width: int
    height: int
    """Pixels; multiples of what the model needs."""
    cfg_scale: float
    sampler: str
    model: str
    syntax: str = PLAIN
    """A key of SYNTAXES: the language of prompt and negative."""
    wildcards: str | None = None
    """OFF if the prompt has signs of a template that are words; else None."""
    template: str | None = None
    """What was typed, if words of the prompt were chosen."""
    negative_template: str | None = None
    weighting: str | None = None
    """A key of WEIGHTINGS; None is the one of the syntax."""
    clip_skip: int | None = None
    """Layers of CLIP counted from its end, from 1; None is the model's own."""
    schedule: str = AUTO
    """A key of SCHEDULES; once resolved, never AUTO."""
    cfg_rescale: float | None = None
    """0 to 1: guidance rescale. None is 0, for models whose default is 0."""
    vae: str | None = None
    """Replaces the model's own; NO_VAE only if the model's card.toml names another."""
    text_encoder: str | None = None
    """Name or path of the text encoder; None is the one that the model finds."""
    lora: tuple[Lora, ...] | None = None
    """LoRAs that are merged into the weights, in this order; never empty."""
    hypernet: tuple[Hypernet, ...] | None = None
    """Hypernetworks, in this order; never empty."""
    embedding: tuple[str, ...] | None = None
    """Embeddings that words of the prompt stand for, by name; never empty."""
    quantize: str | None = None
    """A key of QUANTIZATIONS, or None: how the model's layers are quantized while it is loaded."""
    engine: str | None = None
    """A key of ENGINES, or AUTO: what computes the model. None is torch. An image's recipe has the
    engine that rendered it."""
    threads: int | None = None
    """Threads for arithmetic on the processor; None is one for each core."""
    cache: int | None = None
    """Calls of the sampler from one full pass of the denoiser to the next, from 2; None is 1."""
    decoder: str | None = None
    """SMALL_DECODER, or None: the VAE's own decoder."""
    init_img: str | None = None
    """Path of the input image; its pixels are those of the file at the time it is read."""
    reference: tuple[str, ...] | None = None
    """Paths of the reference images of a model that edits, in this order; never empty. init_img
    comes before them."""
    fit: bool = False
    """Whether all of init_img is scaled to width and height; else it is scaled to cover them, and
    cropped."""
    control: tuple[Control, ...] | None = None
    """Control images, with paths, in the line's order, which does not matter; never empty."""
    control_model: tuple[str, ...] | None = None
    """The name of the control model of each of them, in the same order."""
    control_mode: str | None = None
    """One of CONTROL_MODES but BALANCED, which is None."""
    control_raw: bool = False
    """Whether the control images are used as they are."""
    image_prompt: tuple[ImagePrompt, ...] | None = None
    """Images that say what to generate, with paths; never empty."""
    image_prompt_model: str | None = None
    """The name of the IP-Adapter that reads them; None without any."""
    strength: float | None = None
    """Above 0, up to 1: the share of the denoising steps that run. None without init_img, outcrop
    and out_direction."""
    init_mask: str | None = None
    """Path of the mask: where it is black or transparent, init_img is regenerated."""
    text_mask: TextMask | None = None
    """Regenerates what these words name in init_img; used instead of init_mask."""
    invert_mask: bool = False
    inpaint_replace: float = 0
    """0 to 1: the share of the masked area that is replaced by noise first."""
    mask_blur: int = 4
    """Pixels inside the mask's edge over which the new image is blended in."""
    hires_fix: float | None = None
    """Above 0, up to 1: rendered small first, then refined at this strength; not with init_img."""
    fix: str | None = None
    """Path of an image that is processed as it is; nothing is rendered."""
    outcrop: Outcrop | None = None
    out_direction: Shift | None = None
    embiggen: Embiggen | None = None
    embiggen_tiles: tuple[int, ...] | None = None
    """From 1, ascending; None is all."""
    embiggen_strength: float | None = None
    """Above 0, up to 1. None without embiggen."""
    with_variations: tuple[Variation, ...] | None = None
    """Seeds and weights of the noise that is blended in, in this order; never empty."""
    perlin: float = 0.0
    """Share of Perlin noise, 0 to 1."""
    threshold: float = 0.0
    """Limit of the predicted clean latents; 0 is none."""
    h_symmetry_time_pct: float = 0.0
    v_symmetry_time_pct: float = 0.0
    """0 (never) to 1 (after the last step)."""
    seamless: bool = False
    seamless_axes: str | None = None
    """"x" or "y"; None is both."""
    freeu: bool = False
    pag: float = 0.0
    """Scale of perturbed-attention guidance; 0 is none."""
    init_color: str | None = None
    """Path of the image whose colours are matched."""
    karras_max: int | None = None
    facetool_strength: float | None = None
    """Above 0, up to 1: the share of the restored faces; None if none are restored."""
    facetool: str | None = None
    """The face restorer; None if no faces are restored."""
    codeformer_fidelity: float | None = None
    """0 to 1; None for other restorers."""
    upscale: Upscale | None = None
    upscaler: str | None = None
    """The upscaling model; None if nothing is upscaled."""
    upscale_tile: int = 400
    upscale_precision: str | None = None
    """BFLOAT16, or None: the device's default. None if nothing is upscaled."""
    watermark: str | None = None

    @property
    def filename_seed(self) -> int:
        """The seed in the file name: of variations, the last one, since they share the first."""
        return self.with_variations[-1].seed if self.with_variations else self.seed

    def to_request(self) -> Request:
        """The request with all values set, as the log has it. Resolving it gives this recipe."""
        return Request(**{f.name: getattr(self, f.name) for f in fields(self)})

"""`Recipe`: one picture with nothing left open."""

from __future__ import annotations

from dataclasses import dataclass, fields

from dream.core.request import Request
from dream.options.option_type import Upscale
from dream.options.outpaint import Embiggen, Outcrop, Shift
from dream.options.schedule_table import AUTO
from dream.options.text_mask import TextMask
from dream.options.variations import Variation


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a `Request` comes to, for one picture. Only `Studio.settle` makes these."""

    prompt: str
    negative: str
    steps: int
    seed: int
    """0 to 2**32 - 1; noise is drawn on the CPU, in float32, from a generator with this seed."""
    width: int
    height: int
    """Pixels; multiples of what the model asks for."""
    cfg_scale: float
    sampler: str
    model: str
    schedule: str = AUTO
    """Settled, it is never AUTO: a key of SCHEDULES."""
    vae: str | None = None
    """In place of the model's own; NO_VAE only where its card names another."""
    init_img: str | None = None
    """The picture to start from: a path; its pixels are of the file as it is when it is read."""
    fit: bool = False
    """The whole of init_img is scaled to width and height; else it covers them, and is cut."""
    strength: float | None = None
    """Above 0, up to 1: how much of the walk from noise is walked. None where nothing is painted
    over: without init_img, outcrop and out_direction."""
    init_mask: str | None = None
    """A path; of init_img, what is black or transparent here is painted, the rest kept."""
    text_mask: TextMask | None = None
    """Of init_img, what these words name is painted; in place of init_mask."""
    invert_mask: bool = False
    inpaint_replace: float = 0
    """0 to 1: how much of what the mask covers becomes noise before it is painted."""
    mask_blur: int = 4
    """Pixels inside the mask's edge over which what is painted fades in."""
    hires_fix: float | None = None
    """Above 0, up to 1: painted small first, and then over at this strength. None with init_img."""
    fix: str | None = None
    """A path: that picture is taken as it is, and nothing is rendered."""
    outcrop: Outcrop | None = None
    out_direction: Shift | None = None
    embiggen: Embiggen | None = None
    embiggen_tiles: tuple[int, ...] | None = None
    """From 1, rising; None is all."""
    embiggen_strength: float | None = None
    """Above 0, up to 1. None without embiggen."""
    with_variations: tuple[Variation, ...] | None = None
    """Towards which other noise, one after the other; never empty."""
    perlin: float = 0.0
    """0 to 1, of the noise."""
    threshold: float = 0.0
    """Of what the latents clear up to; 0 is none."""
    h_symmetry_time_pct: float = 0.0
    v_symmetry_time_pct: float = 0.0
    """0 (never) to 1 (after the last step)."""
    seamless: bool = False
    seamless_axes: str | None = None
    """"x" or "y", where it is not both."""
    init_color: str | None = None
    """A path, of the picture whose colours it gets."""
    karras_max: int | None = None
    upscale: Upscale | None = None
    upscaler: str | None = None
    """The network that enlarges; None where nothing is enlarged."""
    upscale_tile: int = 400
    watermark: str | None = None

    @property
    def filename_seed(self) -> int:
        """The seed its file is named by: variations of one seed have another in common."""
        return self.with_variations[-1].seed if self.with_variations else self.seed

    def to_request(self) -> Request:
        """Every choice written down: what the log writes. Settling it gives this recipe again."""
        return Request(**{f.name: getattr(self, f.name) for f in fields(self)})

"""THE TABLE: `Request`, what one line asks for.

One field of `Request` is one flag: its name is the attribute, the key in JSON and in dream.toml,
and InvokeAI's long switch. `None` means: you choose. To add a flag, add a field here and use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.core.file_names import parse_path
from dream.options.option_type import (
    BOOLEAN_FLAG,
    HIRES_STRENGTH,
    IMAGE_FILE,
    SEED,
    SHARE,
    STRENGTH,
    UPSCALE,
    Flag,
    Upscale,
    choice,
    flag,
    get_flags,
    integer,
    real,
    text,
)
from dream.options.outpaint import (
    EMBIGGEN,
    OUTCROP,
    SHIFT,
    TILES,
    WATERMARK,
    Embiggen,
    Outcrop,
    Shift,
)
from dream.options.sampler_table import ALIASES, SAMPLERS
from dream.options.schedule_table import SCHEDULES
from dream.options.text_mask import TEXT_MASK, TextMask
from dream.options.variations import AXES, VARIATIONS, Variation

NO_VAE = "none"
"""As a `vae`: the model's own, whatever its card says."""

OUTDIR = Path("outputs/img-samples")
"""Where pictures go when nobody says."""

_FROM = "from a picture"
_EFFECTS = "variations and effects"
_KEEPING = "where it is kept"
_AFTER = "afterwards"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one line asks for. Frozen: a change is `dataclasses.replace`."""

    prompt: str = flag(
        "--prompt",
        "--new_prompt",
        kind=text("WORDS", "the words to paint"),
        default="",
        help="the words to paint; normally simply typed, before the switches",
    )
    negative: str = flag(
        "--negative",
        "--negative_prompt",
        kind=text("WORDS", "the words to avoid"),
        default="",
        help="words to steer away from; [words in brackets] inside the prompt are added to them",
    )
    steps: int | None = flag(
        "-s", "--steps", kind=integer(1, 1000), always=True, help="denoising steps: more is slower"
    )
    seed: int | None = flag(
        "-S",
        "--seed",
        kind=SEED,
        always=True,
        help="where the noise starts: same seed, same picture",
    )
    width: int | None = flag(
        "-W", "--width", kind=integer(64, 4096), always=True, help="width in pixels"
    )
    height: int | None = flag(
        "-H", "--height", kind=integer(64, 4096), always=True, help="height in pixels"
    )
    cfg_scale: float | None = flag(
        "-C",
        "--cfg_scale",
        kind=real(1),
        always=True,
        help="guidance: how strictly to follow the words; 1 is none",
    )
    sampler: str | None = flag(
        "-A",
        "-m",
        "--sampler",
        kind=choice(*SAMPLERS, aliases=ALIASES),
        always=True,
        help="the sampler that walks from noise to picture",
    )
    schedule: str | None = flag(
        "--schedule",
        kind=choice(*SCHEDULES),
        always=True,
        help="the list of noise levels that the sampler walks along; auto is the sampler's own",
    )
    model: str | None = flag(
        "--model",
        kind=text("NAME", "a model's name or folder", completes="model"),
        always=True,
        help="the model that paints: a name in the models folder, or a path",
    )
    vae: str | None = flag(
        "--vae",
        kind=text("NAME", "a VAE's name or file, or none", completes="vae"),
        help="the VAE in place of the model's own; none is its own",
    )
    init_img: str | None = flag(
        "-I",
        "--init_img",
        kind=IMAGE_FILE,
        section=_FROM,
        help="start from a picture; without words, those in its PNG are taken",
    )
    strength: float | None = flag(
        "-f",
        "--strength",
        kind=STRENGTH,
        section=_FROM,
        help="how far to leave it: 0.2 keeps nearly all, 0.9 little; 0.75 unless said, for -c and"
        " -D 0.5",
    )
    fit: bool = flag(
        "-fit",
        "-T",
        "--fit",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_FROM,
        help="scale the whole of it into -W and -H, or the model's size; else it keeps its own",
    )
    init_mask: str | None = flag(
        "-M",
        "--init_mask",
        kind=IMAGE_FILE,
        section=_FROM,
        help="paint only where this is transparent or, without that, black; so does -I's own"
        " transparency",
    )
    text_mask: TextMask | None = flag(
        "-tm",
        "--text_mask",
        kind=TEXT_MASK,
        section=_FROM,
        help="paint only what words name, with AND, OR, NOT between; a lower threshold finds more",
    )
    invert_mask: bool = flag(
        "--invert_mask",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_FROM,
        help="paint where the mask would keep, and keep where it would paint",
    )
    inpaint_replace: float = flag(
        "-r",
        "--inpaint_replace",
        kind=SHARE,
        default=0,
        section=_FROM,
        help="how much of what the mask covers to forget before painting: 1 is all",
    )
    mask_blur: int = flag(
        "--mask_blur",
        kind=integer(0, 64),
        default=4,
        section=_FROM,
        help="pixels over which the painting fades in, inside the mask's edge",
    )
    hires_fix: float | None = flag(
        "--hires_fix",
        kind=HIRES_STRENGTH,
        help="paint at the model's own size first, and then over at -W -H, so that nothing doubles",
    )
    fix: str | None = flag(
        "--fix",
        kind=IMAGE_FILE,
        section=_AFTER,
        help="take this picture instead of painting one; normally typed as !fix FILE",
    )
    outcrop: Outcrop | None = flag(
        "-c",
        "--outcrop",
        kind=OUTCROP,
        section=_AFTER,
        help="paint on beyond the frame: so many pixels at each of these sides",
    )
    out_direction: Shift | None = flag(
        "-D",
        "--out_direction",
        kind=SHIFT,
        section=_AFTER,
        help="move the frame to a side, half of the picture unless said, and paint what is new",
    )
    embiggen: Embiggen | None = flag(
        "-embiggen",
        "--embiggen",
        kind=EMBIGGEN,
        section=_AFTER,
        help="enlarge, and then paint over in tiles of -W -H, for detail that -U cannot invent",
    )
    embiggen_tiles: tuple[int, ...] | None = flag(
        "-embiggen_tiles",
        "--embiggen_tiles",
        kind=TILES,
        section=_AFTER,
        help="of the tiles only these, from 1, line by line; without -embiggen at the same size",
    )
    embiggen_strength: float | None = flag(
        "-embiggen_strength",
        "--embiggen_strength",
        kind=STRENGTH,
        section=_AFTER,
        help="how far the tiles leave what was enlarged; 0.4 unless it or -f is said",
    )
    variation_amount: float = flag(
        "-v",
        "--variation_amount",
        kind=real(0, 1),
        default=0.0,
        section=_EFFECTS,
        help="how far to go from the seed's noise towards another's, of 0 to 1; -n makes several",
    )
    with_variations: tuple[Variation, ...] | None = flag(
        "-V",
        "--with_variations",
        kind=VARIATIONS,
        section=_EFFECTS,
        help="towards the noise of these seeds, one after the other, each by its weight",
    )
    perlin: float = flag(
        "--perlin",
        kind=real(0, 1),
        default=0.0,
        section=_EFFECTS,
        help="share of Perlin noise in the noise it starts from: large, soft shapes",
    )
    threshold: float = flag(
        "--threshold",
        kind=real(0),
        default=0.0,
        section=_EFFECTS,
        help="latents beyond this are clamped at every step, 0 is never: tames a high -C; try 4",
    )
    h_symmetry_time_pct: float = flag(
        "--h_symmetry_time_pct",
        kind=real(0, 1),
        default=0.0,
        section=_EFFECTS,
        help="from this share of the steps on, mirror left onto right; 0 is never",
    )
    v_symmetry_time_pct: float = flag(
        "--v_symmetry_time_pct",
        kind=real(0, 1),
        default=0.0,
        section=_EFFECTS,
        help="from this share of the steps on, mirror top onto bottom; 0 is never",
    )
    seamless: bool = flag(
        "--seamless",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_EFFECTS,
        help="a picture that tiles: opposite edges fit",
    )
    seamless_axes: str | None = flag(
        "--seamless_axes",
        kind=AXES,
        section=_EFFECTS,
        help="along which axes it tiles",
    )
    init_color: str | None = flag(
        "--init_color",
        kind=IMAGE_FILE,
        section=_EFFECTS,
        help="give the picture the colours of another, by their histograms",
    )
    karras_max: int | None = flag(
        "--karras_max",
        kind=integer(0, 1000),
        section=_EFFECTS,
        help="--schedule karras for the k_ samplers of runs with fewer steps than this",
    )
    upscale: Upscale | None = flag(
        "-U",
        "--upscale",
        kind=UPSCALE,
        section=_AFTER,
        help="enlarge the finished picture by Real-ESRGAN; strength blends with a plain resize",
    )
    upscaler: str | None = flag(
        "--upscaler",
        kind=text("NAME", "an upscaler's name or file", completes="upscaler"),
        section=_AFTER,
        help="the network that enlarges",
    )
    upscale_tile: int = flag(
        "--upscale_tile",
        "--esrgan_bg_tile",
        kind=integer(0, 8192),
        default=400,
        section=_AFTER,
        help="enlarge in tiles of this many pixels, to save memory; 0 is the whole at once",
    )
    watermark: str | None = flag(
        "--watermark",
        kind=WATERMARK,
        section=_AFTER,
        help="hide these words in the picture, for !info to tell, from a good JPEG too",
    )
    iterations: int = flag(
        "-n",
        "--iterations",
        kind=integer(1, 9999),
        default=1,
        logged=False,
        help="how many pictures; -S fixes the first seed, and the others follow from it",
    )
    grid: bool = flag(
        "-g",
        "--grid",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="also keep one sheet with all the pictures of the line",
    )
    sheet: bool = flag(
        "--sheet",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="also keep one sheet with a label below each picture: what is its own in a sweep",
    )
    save_original: bool = flag(
        "-save_orig",
        "--save_original",
        "--save_orig",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="keep the picture from before all this too",
    )
    save_intermediates: int = flag(
        "--save_intermediates",
        kind=integer(0, 1000),
        default=0,
        logged=False,
        section=_KEEPING,
        help="after every so many steps keep the picture in the making too, in intermediates/",
    )
    keep_inputs: bool = flag(
        "--keep_inputs",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="copy the pictures to start from beside the log, which names those copies then",
    )
    yes: bool = flag(
        "--yes",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        help="make more than 100 pictures without being asked first, at the prompt",
    )
    outdir: str | None = flag(
        "-o",
        "--outdir",
        kind=text("FOLDER", "a folder", completes="folder"),
        logged=False,
        section=_KEEPING,
        help="where pictures and dream_log.txt go",
    )
    prompt_as_dir: bool = flag(
        "-p",
        "--prompt_as_dir",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="a folder of its own inside the outdir for each prompt",
    )
    fnformat: str | None = flag(
        "--fnformat",
        kind=text("TEMPLATE", "a file name such as {prefix}.{seed}.png"),
        logged=False,
        section=_KEEPING,
        help="how files are named, with {prefix} {seed} {prompt} {steps} … filled in",
    )
    png_compression: int = flag(
        "-z",
        "--png_compression",
        kind=integer(0, 9),
        default=6,
        logged=False,
        section=_KEEPING,
        help="0 is fast and large, 9 slow and small; the pixels are the same",
    )

    @property
    def folder(self) -> Path:
        """Where its pictures go, and their log. Raises BadLine for what no folder can be called."""
        return parse_path(self.outdir) if self.outdir else OUTDIR


FLAGS = get_flags(Request)
"""The rows of the table, by field name."""

IMAGE_FILE_FIELDS = tuple(name for name, row in FLAGS.items() if row.kind is IMAGE_FILE)
"""The fields that name a picture's file to start from. A settled recipe has paths in them; the
files' SHA-256 stands under the same names among a picture's facts."""


def to_dict(request: Request) -> dict[str, Any]:
    """The table's values by name, ready for json.dumps; what was not asked is left out."""
    said = {name: getattr(request, name) for name in FLAGS}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in said.items()
        if value != FLAGS[name].default
    }


__all__ = ["FLAGS", "IMAGE_FILE_FIELDS", "NO_VAE", "Flag", "Request", "Upscale", "to_dict"]

"""The table of switches: `Request` holds what one line asks for.

One field of `Request` is one flag: its name is the attribute, the key in JSON and in dream.toml,
and InvokeAI's long switch. `None` means not set. To add a flag, add a field here and use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.core.file_names import parse_path
from dream.options.control import (
    CONTROL_MODELS,
    CONTROL_MODES,
    CONTROLS,
    IMAGE_PROMPTS,
    Control,
    ImagePrompt,
)
from dream.options.engine_table import AUTO, BFLOAT16, DECODERS, DEFAULT_PRECISION, ENGINES
from dream.options.image_output import BOTH, FORMATS, METADATA, PNG
from dream.options.lora import EMBEDDINGS, HYPERNETS, LORAS, Hypernet, Lora
from dream.options.option_type import (
    BOOLEAN_FLAG,
    FACE_STRENGTH,
    HIRES_STRENGTH,
    IMAGE_FILE,
    IMAGE_FILES,
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
from dream.options.quantize_table import NO_QUANTIZATION, QUANTIZATIONS
from dream.options.sampler_table import ALIASES, SAMPLERS
from dream.options.schedule_table import SCHEDULES
from dream.options.syntax_table import SYNTAXES, WEIGHTINGS, WILDCARDS
from dream.options.text_mask import TEXT_MASK, TextMask
from dream.options.variations import AXES, VARIATIONS, Variation

NO_CACHE = 1
"""As a `cache`: every call of the denoiser is computed in full."""

NO_VAE = "none"
"""As a `vae`: the model's own, even if its card.toml names another."""

OUTDIR = Path("outputs/img-samples")
"""The default folder for images."""

_FROM = "input image"
_EFFECTS = "variations and effects"
_KEEPING = "output"
_AFTER = "postprocessing"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one line asks for. Frozen: a change is `dataclasses.replace`."""

    prompt: str = flag(
        "--prompt",
        "--new_prompt",
        kind=text("WORDS", "a prompt"),
        default="",
        help="what to generate; usually typed as is, before the switches",
    )
    negative: str = flag(
        "--negative",
        "--negative_prompt",
        kind=text("WORDS", "a negative prompt"),
        default="",
        help="what to avoid; [words in brackets] in the prompt are added to it",
    )
    steps: int | None = flag(
        "-s",
        "--steps",
        kind=integer(1, 1000),
        always=True,
        help="number of denoising steps; more take longer",
    )
    seed: int | None = flag(
        "-S",
        "--seed",
        kind=SEED,
        always=True,
        help="seed of the noise; the same seed gives the same image",
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
        help="prompt guidance strength; 1 turns it off",
    )
    cfg_rescale: float | None = flag(
        "--cfg_rescale",
        kind=real(0, 1),
        help="guidance rescale, 0 to 1; reduces overexposure at a high -C (default 0.7 for models"
        " with zero terminal SNR, else 0)",
    )
    sampler: str | None = flag(
        "-A",
        "-m",
        "--sampler",
        kind=choice(*SAMPLERS, aliases=ALIASES),
        always=True,
        help="sampling method",
    )
    schedule: str | None = flag(
        "--schedule",
        kind=choice(*SCHEDULES),
        always=True,
        help="noise schedule; auto is the sampler's default",
    )
    syntax: str | None = flag(
        "--syntax",
        kind=choice(*SYNTAXES),
        always=True,
        help="language of the prompt: invokeai has word++, (words)1.3 and [negative]; a1111 has"
        " (words:1.3), [from:to:0.5], BREAK and AND; plain has only words and [negative]",
    )
    wildcards: str | None = flag(
        "--wildcards",
        kind=choice(*WILDCARDS),
        help="whether {red|green}, __name__ and ${x=red} in the prompt choose words (default on,"
        " but not with --syntax plain); !wildcards lists the names",
    )
    template: str | None = flag(
        "--template",
        kind=text("WORDS", "a prompt with {red|green} or __name__"),
        help="the prompt as it was typed, before words were chosen; without a prompt, it is the"
        " prompt",
    )
    negative_template: str | None = flag(
        "--negative_template",
        kind=text("WORDS", "a negative prompt with {red|green} or __name__"),
        help="the same for the negative prompt",
    )
    weighting: str | None = flag(
        "--weighting",
        kind=choice(*WEIGHTINGS),
        help="how weights in the prompt are applied (default: depends on --syntax)",
    )
    clip_skip: int | None = flag(
        "--clip_skip",
        kind=integer(1, 12),
        help="stop CLIP this many layers before its end, counted as in A1111: 1 is its last layer",
    )
    model: str | None = flag(
        "--model",
        kind=text("NAME", "a model's name or folder", completes="model"),
        always=True,
        help="model to use: a name or a path",
    )
    vae: str | None = flag(
        "--vae",
        kind=text("NAME", "a VAE's name or file, or none", completes="vae"),
        help="VAE to use instead of the model's own; none is the model's own",
    )
    text_encoder: str | None = flag(
        "--text_encoder",
        kind=text("NAME", "a text encoder's name or file", completes="text_encoder"),
        help="text encoder to use where several fit a model in several files",
    )
    lora: tuple[Lora, ...] | None = flag(
        "--lora",
        kind=LORAS,
        help="LoRAs to apply, each with its weight; !loras lists them",
    )
    hypernet: tuple[Hypernet, ...] | None = flag(
        "--hypernet",
        kind=HYPERNETS,
        help="hypernetworks to apply, each with its weight",
    )
    embedding: tuple[str, ...] | None = flag(
        "--embedding",
        kind=EMBEDDINGS,
        help="embeddings to use, by their names in the prompt; without a name, none (default: all"
        " whose names are in the prompt); !embeddings lists them",
    )
    quantize: str | None = flag(
        "--quantize",
        kind=choice(NO_QUANTIZATION, *QUANTIZATIONS),
        help="quantize the model while loading it: it uses less memory, and images differ slightly",
    )
    engine: str | None = flag(
        "--engine",
        kind=choice(AUTO, *ENGINES),
        help="what computes the model (default torch); auto uses OpenVINO on a CPU if it is"
        " installed and the model is converted already; images differ in their lowest bits",
    )
    threads: int | None = flag(
        "--threads",
        kind=integer(1, 1024),
        help="threads for arithmetic on the processor (default: one for each core); their number"
        " changes the lowest bits of an image",
    )
    cache: int | None = flag(
        "--cache",
        kind=integer(NO_CACHE, 20),
        help="compute the denoiser in full only in every Nth call of the sampler, and reuse or"
        " extrapolate what it found in between: faster, and images differ; 1 is off (default)",
    )
    decoder: str | None = flag(
        "--decoder",
        kind=choice(*DECODERS),
        help="what makes the pixels from latents: full is the model's VAE (default), taesd a small"
        " network (TAESD, TAEF1 …), faster and less exact; auto is taesd where it is installed",
    )
    fast: bool = flag(
        "--fast",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        help="choose what makes this model faster, where the line leaves it open: a few-step LoRA"
        " or --cache, and --decoder taesd; the log line has what was chosen",
    )
    init_img: str | None = flag(
        "-I",
        "--init_img",
        kind=IMAGE_FILE,
        section=_FROM,
        help="input image; without a prompt, the one stored in its PNG is used",
    )
    reference: tuple[str, ...] | None = flag(
        "-ref",
        "--reference",
        kind=IMAGE_FILES,
        section=_FROM,
        help="reference images for a model that edits, in order; -I comes before them",
    )
    control: tuple[Control, ...] | None = flag(
        "--control",
        kind=CONTROLS,
        section=_FROM,
        help="images that control the composition, such as canny=cat.png; can be repeated; also"
        " with -I; !help control has examples",
    )
    control_model: tuple[str, ...] | None = flag(
        "--control_model",
        kind=CONTROL_MODELS,
        section=_FROM,
        help="ControlNet or T2I-Adapter to use for --control (default: one that is made for the"
        " kind and the model)",
    )
    control_mode: str | None = flag(
        "--control_mode",
        kind=choice(*CONTROL_MODES),
        section=_FROM,
        help="what counts more: balanced (the default), prompt, or control",
    )
    control_raw: bool = flag(
        "--control_raw",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_FROM,
        help="use the files of --control as they are: they are edges, depth maps … already",
    )
    image_prompt: tuple[ImagePrompt, ...] | None = flag(
        "--image_prompt",
        kind=IMAGE_PROMPTS,
        section=_FROM,
        help="images that say what to generate, beside the words, such as cat.png:0.6; several add"
        " up; needs an IP-Adapter",
    )
    image_prompt_model: str | None = flag(
        "--image_prompt_model",
        kind=text("NAME", "an IP-Adapter's name or file", completes="image_prompt_model"),
        section=_FROM,
        help="IP-Adapter to use for --image_prompt (default: the best one for the model)",
    )
    strength: float | None = flag(
        "-f",
        "--strength",
        kind=STRENGTH,
        section=_FROM,
        help="how much to change the image: 0.2 little, 0.9 a lot (default 0.75; 0.5 with -c or "
        "-D)",
    )
    fit: bool = flag(
        "-fit",
        "-T",
        "--fit",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_FROM,
        help="scale the input image to fit into -W and -H, or the model's size; by default it "
        "keeps its size",
    )
    init_mask: str | None = flag(
        "-M",
        "--init_mask",
        kind=IMAGE_FILE,
        section=_FROM,
        help="generate only where this image is transparent or, if it has no transparency, "
        "black; transparent parts of -I are a mask too",
    )
    text_mask: TextMask | None = flag(
        "-tm",
        "--text_mask",
        kind=TEXT_MASK,
        section=_FROM,
        help="generate only where these words are found in the input image; supports AND, OR and"
        " NOT; a lower threshold finds more",
    )
    invert_mask: bool = flag(
        "--invert_mask",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_FROM,
        help="swap the masked and the kept parts",
    )
    inpaint_replace: float = flag(
        "-r",
        "--inpaint_replace",
        kind=SHARE,
        default=0,
        section=_FROM,
        help="replace this share of the masked area with noise first (0 to 1)",
    )
    mask_blur: int = flag(
        "--mask_blur",
        kind=integer(0, 64),
        default=4,
        section=_FROM,
        help="soften the mask's edge by this many pixels, inside the masked area",
    )
    hires_fix: float | None = flag(
        "--hires_fix",
        kind=HIRES_STRENGTH,
        help="generate at the model's native size first, then refine at -W and -H (avoids "
        "duplicated subjects)",
    )
    fix: str | None = flag(
        "--fix",
        kind=IMAGE_FILE,
        section=_AFTER,
        help="process this image instead of generating one; usually typed as !fix FILE",
    )
    outcrop: Outcrop | None = flag(
        "-c",
        "--outcrop",
        kind=OUTCROP,
        section=_AFTER,
        help="extend the image by N pixels on the given sides (outpainting)",
    )
    out_direction: Shift | None = flag(
        "-D",
        "--out_direction",
        kind=SHIFT,
        section=_AFTER,
        help="shift the image away from this side by N pixels, by default half of its size, and "
        "fill the gap",
    )
    embiggen: Embiggen | None = flag(
        "-embiggen",
        "--embiggen",
        kind=EMBIGGEN,
        section=_AFTER,
        help="upscale, then refine in tiles of -W by -H, for more detail than -U",
    )
    embiggen_tiles: tuple[int, ...] | None = flag(
        "-embiggen_tiles",
        "--embiggen_tiles",
        kind=TILES,
        section=_AFTER,
        help="process only these tiles, numbered from 1, row by row; without -embiggen, at the "
        "same size",
    )
    embiggen_strength: float | None = flag(
        "-embiggen_strength",
        "--embiggen_strength",
        kind=STRENGTH,
        section=_AFTER,
        help="how much to change the tiles (default -f, or 0.4)",
    )
    variation_amount: float = flag(
        "-v",
        "--variation_amount",
        kind=real(0, 1),
        default=0.0,
        section=_EFFECTS,
        help="strength of random variation around the seed (0 to 1); -n makes several",
    )
    with_variations: tuple[Variation, ...] | None = flag(
        "-V",
        "--with_variations",
        kind=VARIATIONS,
        section=_EFFECTS,
        help="blend in the noise of these seeds in this order, each with its weight",
    )
    perlin: float = flag(
        "--perlin",
        kind=real(0, 1),
        default=0.0,
        section=_EFFECTS,
        help="share of Perlin noise in the initial noise (0 to 1); gives large, soft shapes",
    )
    threshold: float = flag(
        "--threshold",
        kind=real(0),
        default=0.0,
        section=_EFFECTS,
        help="clamp latents above this value at every step; 0 is off; helps with a high -C, try 4",
    )
    h_symmetry_time_pct: float = flag(
        "--h_symmetry_time_pct",
        kind=real(0, 1),
        default=0.0,
        section=_EFFECTS,
        help="mirror the left half to the right after this share of the steps; 0 is off",
    )
    v_symmetry_time_pct: float = flag(
        "--v_symmetry_time_pct",
        kind=real(0, 1),
        default=0.0,
        section=_EFFECTS,
        help="mirror the top half to the bottom after this share of the steps; 0 is off",
    )
    seamless: bool = flag(
        "--seamless",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_EFFECTS,
        help="make an image that tiles without visible edges",
    )
    seamless_axes: str | None = flag(
        "--seamless_axes",
        kind=AXES,
        section=_EFFECTS,
        help="axes along which the image tiles",
    )
    freeu: bool = flag(
        "--freeu",
        kind=BOOLEAN_FLAG,
        default=False,
        section=_EFFECTS,
        help="FreeU: more detail and fewer artifacts from the same UNet, at no cost",
    )
    pag: float = flag(
        "--pag",
        kind=real(0, 100),
        default=0.0,
        section=_EFFECTS,
        help="perturbed-attention guidance scale, try 3; 0 is off; takes 50 % longer",
    )
    init_color: str | None = flag(
        "--init_color",
        kind=IMAGE_FILE,
        section=_EFFECTS,
        help="match the colours to those of this image (histogram matching)",
    )
    karras_max: int | None = flag(
        "--karras_max",
        kind=integer(0, 1000),
        section=_EFFECTS,
        help="use --schedule karras with k_ samplers if there are fewer steps than this",
    )
    facetool_strength: float | None = flag(
        "-G",
        "--facetool_strength",
        "--gfpgan_strength",
        kind=FACE_STRENGTH,
        section=_AFTER,
        help="restore the faces of the finished image, and blend them with it this much",
    )
    facetool: str | None = flag(
        "-ft",
        "--facetool",
        kind=text("NAME", "the name or file of a face restorer", completes="face model"),
        section=_AFTER,
        help="face restorer: gfpgan (the default), restoreformer, codeformer, or a file",
    )
    codeformer_fidelity: float | None = flag(
        "-cf",
        "--codeformer_fidelity",
        kind=real(0, 1),
        section=_AFTER,
        help="codeformer: from 0, which invents most, to 1, which keeps most of the face",
    )
    upscale: Upscale | None = flag(
        "-U",
        "--upscale",
        kind=UPSCALE,
        section=_AFTER,
        help="upscale the finished image with Real-ESRGAN; strength blends it with a plain resize",
    )
    upscaler: str | None = flag(
        "--upscaler",
        kind=text("NAME", "an upscaler's name or file", completes="upscaler"),
        section=_AFTER,
        help="upscaling model",
    )
    upscale_tile: int = flag(
        "--upscale_tile",
        "--esrgan_bg_tile",
        kind=integer(0, 8192),
        default=400,
        section=_AFTER,
        help="upscale in tiles of this many pixels, to save memory; 0 is the whole image at once",
    )
    upscale_precision: str | None = flag(
        "--upscale_precision",
        kind=choice(DEFAULT_PRECISION, BFLOAT16),
        section=_AFTER,
        help="number format of the upscaling network: bfloat16 is faster on processors that have"
        " it, and pixels differ by a few of 255 at most",
    )
    watermark: str | None = flag(
        "--watermark",
        kind=WATERMARK,
        section=_AFTER,
        help="embed this text invisibly; survives JPEG quality 90; read it with !info",
    )
    iterations: int = flag(
        "-n",
        "--iterations",
        kind=integer(1, 9999),
        default=1,
        logged=False,
        help="number of images; -S sets the first seed, and the others follow from it",
    )
    combine: bool = flag(
        "--combine",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        help="generate every combination of what {red|green} and __name__ in the prompt can become",
    )
    grid: bool = flag(
        "-g",
        "--grid",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="also save all images of the line as one grid",
    )
    sheet: bool = flag(
        "--sheet",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="also save a contact sheet: a grid with a label below each image",
    )
    save_original: bool = flag(
        "-save_orig",
        "--save_original",
        "--save_orig",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="also save the image before postprocessing",
    )
    save_intermediates: int = flag(
        "--save_intermediates",
        kind=integer(0, 1000),
        default=0,
        logged=False,
        section=_KEEPING,
        help="also save the unfinished image every N steps, in intermediates/; 0 is off",
    )
    keep_inputs: bool = flag(
        "--keep_inputs",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="copy the input images next to the log, which then names the copies",
    )
    yes: bool = flag(
        "--yes",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        help="do not ask before making more than 100 images",
    )
    outdir: str | None = flag(
        "-o",
        "--outdir",
        kind=text("FOLDER", "a folder", completes="folder"),
        logged=False,
        section=_KEEPING,
        help="folder for images and dream_log.txt",
    )
    prompt_as_dir: bool = flag(
        "-p",
        "--prompt_as_dir",
        kind=BOOLEAN_FLAG,
        default=False,
        logged=False,
        section=_KEEPING,
        help="save each prompt's images in its own subfolder",
    )
    fnformat: str | None = flag(
        "--fnformat",
        kind=text("TEMPLATE", "a file name such as {prefix}.{seed}.png"),
        logged=False,
        section=_KEEPING,
        help="file name template, with {prefix} {seed} {prompt} {steps} …",
    )
    png_compression: int = flag(
        "-z",
        "--png_compression",
        kind=integer(0, 9),
        default=6,
        logged=False,
        section=_KEEPING,
        help="PNG compression: 0 is fast and large, 9 slow and small; pixels are the same",
    )
    format: str = flag(
        "--format",
        kind=choice(*FORMATS, metavar="FORMAT"),
        default=PNG,
        logged=False,
        section=_KEEPING,
        help="file format of images; with a lossy format, the log has the original pixels' hash",
    )
    quality: int = flag(
        "--quality",
        kind=integer(1, 100),
        default=90,
        logged=False,
        section=_KEEPING,
        help="quality of JPEG, WebP and AVIF; WebP is lossless at 100",
    )
    metadata: tuple[str, ...] = flag(
        "--metadata",
        kind=METADATA,
        default=BOTH,
        logged=False,
        section=_KEEPING,
        help="metadata to write: dream (the line and its record), a1111 (AUTOMATIC1111's text), "
        "txt (the same text in a .txt file next to the image), or none",
    )

    @property
    def folder(self) -> Path:
        """The folder for its images and their log. Raises BadLine for an invalid folder name."""
        return parse_path(self.outdir) if self.outdir else OUTDIR


FLAGS = get_flags(Request)
"""The rows of the table, by field name."""

IMAGE_FILE_FIELDS = tuple(
    name
    for name, row in FLAGS.items()
    if row.kind in (IMAGE_FILE, IMAGE_FILES, CONTROLS, IMAGE_PROMPTS)
)
"""The fields that name input images: see `get_image_files`. A resolved recipe has paths in them;
the files' SHA-256 are under the same names in an image's provenance, joined by commas where there
are several."""

ImageFiles = str | tuple[str | Control | ImagePrompt, ...] | None
"""The value of one of IMAGE_FILE_FIELDS."""

ADAPTER_FIELDS = ("lora", "embedding", "hypernet")
"""The names of an image's facts about adapters: the beginnings of their files' SHA-256, in the
line's order, joined by commas; also in the log's comment."""


def get_image_files(value: ImageFiles) -> tuple[str, ...]:
    """The files that the value of one of IMAGE_FILE_FIELDS names."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    return tuple(item if isinstance(item, str) else item.image for item in value)


def map_image_files(value: ImageFiles, change: Callable[[str], str]) -> ImageFiles:
    """The value of one of IMAGE_FILE_FIELDS with each file replaced."""
    if value is None:
        return None
    if isinstance(value, str):
        return change(value)
    return tuple(
        change(item) if isinstance(item, str) else item._replace(image=change(item.image))
        for item in value
    )


def to_dict(request: Request) -> dict[str, Any]:
    """The table's values by name, ready for json.dumps, without those at their default."""
    values = {name: getattr(request, name) for name in FLAGS}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value != FLAGS[name].default
    }


__all__ = [
    "ADAPTER_FIELDS",
    "FLAGS",
    "IMAGE_FILE_FIELDS",
    "NO_CACHE",
    "NO_VAE",
    "Flag",
    "Request",
    "Upscale",
    "get_image_files",
    "map_image_files",
    "to_dict",
]

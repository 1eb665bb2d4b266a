"""The table of InvokeAI's switches that are not supported.

Old lines contain them. A row's default is the value that changes nothing: a switch with that value
is ignored, any other value is rejected by name. A row that becomes supported moves to `Request`.
"""

from __future__ import annotations

from dataclasses import dataclass

from dream.options.option_type import BOOLEAN_FLAG, OptionType, flag, get_flags, integer, real, text

_SHARE = real(0, 1)
_FILE = text("FILE", "an image file", completes="file")
_MANY: OptionType[tuple[str, ...]] = OptionType(
    "…", "one or more words", tuple, list, nargs=(1, 64)
)


@dataclass(frozen=True, kw_only=True)
class LegacySwitches:
    """One field per switch, with InvokeAI's long name; `help` is what it did."""

    # With or without these, the image is the same here.
    batch_size: int = flag(
        "-b", "--batch_size", kind=integer(1, 999), default=1, help="several images of one seed"
    )
    full_precision: bool = flag(
        "-F", "--full_precision", kind=BOOLEAN_FLAG, default=True, help="float32"
    )
    log_tokenization: bool = flag(
        "-t", "--log_tokenization", kind=BOOLEAN_FLAG, default=True, help="the tokens on the screen"
    )
    skip_normalize: bool = flag(
        "-x",
        "--skip_normalize",
        "--skip_normalization",
        kind=BOOLEAN_FLAG,
        default=True,
        help="weights of subprompts as they are",
    )
    use_mps_noise: bool = flag(
        "--use_mps_noise", kind=BOOLEAN_FLAG, default=True, help="noise from the CPU"
    )
    # Outpainting.
    force_outpaint: bool = flag(
        "--force_outpaint", kind=BOOLEAN_FLAG, default=False, help="outpainting"
    )
    seam_size: int = flag("--seam_size", kind=integer(0, 9999), help="outpainting's seam")
    seam_blur: int = flag("--seam_blur", kind=integer(0, 9999), help="outpainting's seam")
    seam_strength: float = flag("--seam_strength", kind=_SHARE, help="outpainting's seam")
    seam_steps: int = flag("--seam_steps", kind=integer(0, 9999), help="outpainting's seam")
    tile_size: int = flag("--tile_size", kind=integer(1, 9999), help="outpainting's tiles")


LEGACY_FLAGS = get_flags(LegacySwitches)
"""The rows, by InvokeAI's long name."""

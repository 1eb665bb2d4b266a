"""Which switches each family of models supports: refused before loading, and listed
in docs/models.md. What is not in this table works with every family.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dream.options.family import Family


class FamilySwitch(NamedTuple):
    """Switches that not every family supports, for one reason."""

    switches: tuple[str, ...]
    """As they are typed, each with its field in `fields`."""
    fields: tuple[str, ...]
    """Of a Recipe; a switch is used where its field is neither None nor false."""
    supports: Callable[[Family], bool]
    ignored: bool = False
    """Whether it is ignored, and a note says so, where it is not supported; else it is refused:
    lines of other programs often have these."""


def _has_unet(family: Family) -> bool:
    """Other denoisers have no convolutions that wrap around, and draw noise of a shape of their
    own."""
    return family.stable or family.key in ("lcm", "kolors")


def _starts_from_image(family: Family) -> bool:
    return "2Img" in family.pipelines


def _takes_image(family: Family) -> bool:
    return _starts_from_image(family) or family.references > 0


def _inpaints(family: Family) -> bool:
    """LCM by Stable Diffusion's pipeline. Chroma's own reads a configuration that Chroma lacks."""
    own = "Inpaint" in family.pipelines and family.key != "chroma"
    return own or family.key == "lcm"


def _has_positions(family: Family) -> bool:
    """Whether a latent's place in the image is known between two steps."""
    return not family.packed


def _rescales(family: Family) -> bool:
    """HunyuanDiT's pipeline of diffusers can, and dream's hook for a UNet."""
    return family.stable or family.key == "hunyuan-dit"


def _skips_layers(family: Family) -> bool:
    """Stable Diffusion 2 and XL use a fixed layer of CLIP; others have another encoder."""
    return family.key in ("sd1", "lcm")


def _takes_control(family: Family) -> bool:
    """Stable Diffusion, and those that diffusers has ControlNets for."""
    others = ("sd3", "flux", "z-image", "qwen-image", "sana", "hunyuan-dit")
    return family.stable or family.key in others


def _takes_image_prompts(family: Family) -> bool:
    """The pipeline of the models with a depth map takes none."""
    return family.key == "flux" or (family.stable and "Depth" not in family.pipelines)


FAMILY_SWITCHES = (
    FamilySwitch(("-I",), ("init_img",), _takes_image),
    FamilySwitch(("-M", "-tm", "--outcrop"), ("init_mask", "text_mask", "outcrop"), _inpaints),
    FamilySwitch(("--hires_fix",), ("hires_fix",), _starts_from_image),
    FamilySwitch(
        ("--h_symmetry_time_pct", "--v_symmetry_time_pct"),
        ("h_symmetry_time_pct", "v_symmetry_time_pct"),
        _has_positions,
    ),
    FamilySwitch(
        ("-v or -V", "--perlin", "--seamless"),
        ("with_variations", "perlin", "seamless"),
        _has_unet,
    ),
    FamilySwitch(("--control",), ("control",), _takes_control),
    FamilySwitch(("--control_mode",), ("control_mode",), lambda family: family.stable),
    FamilySwitch(("--image_prompt",), ("image_prompt",), _takes_image_prompts),
    FamilySwitch(("--freeu", "--pag"), ("freeu", "pag"), lambda family: family.stable),
    FamilySwitch(("--cfg_rescale",), ("cfg_rescale",), _rescales, ignored=True),
    FamilySwitch(("--clip_skip",), ("clip_skip",), _skips_layers, ignored=True),
)

"""The numbers by which union ControlNets know what kind of control image they are passed."""

from __future__ import annotations

from collections.abc import Mapping

UNION_MODES: Mapping[str, Mapping[str, int]] = {
    "sdxl": {
        "pose": 0,
        "depth": 1,
        "softedge": 2,
        "scribble": 2,
        "canny": 3,
        "lineart": 3,
        "normal": 4,
        "seg": 5,
        "tile": 6,
        "inpaint": 7,
    },
    "flux": {"canny": 0, "tile": 1, "depth": 2, "pose": 4},
}
"""By family and kind of control image (`options.control`): xinsir's union for SDXL, of which the
smaller one ends with 5; InstantX' and Shakker's for FLUX.1."""

UNNUMBERED_UNIONS: Mapping[str, tuple[str, ...]] = {
    "flux": ("canny", "softedge", "depth", "pose"),
    "qwen-image": ("canny", "softedge", "depth", "pose"),
    "z-image": ("canny", "softedge", "depth", "pose"),
}
"""What unions are for that are not told which: Shakker's Union-Pro-2.0, InstantX' for Qwen-Image,
Alibaba's for Z-Image."""

"""The one door to realesrgan and basicsr, which today's torchvision, SciPy and Python would shut.

Both packages are as their authors left them in 2022. What keeps them from importing:

- `basicsr.data.degradations` imports `torchvision.transforms.functional_tensor`, which torchvision
  0.17 removed. The one function it wants from there still exists under another name; a stand-in
  module hands it over. It is put in place only if the real one is gone; nothing on disk changes.
- `basicsr` imports the deprecated `scipy.ndimage.filters` and `distutils`, and warns about it;
  those warnings are for its authors. (SciPy 2 removes the former: hence scipy<2 in pyproject.
  Python 3.12 removed the latter, and setuptools brings it back: hence setuptools there.)
- OpenCV's build for desktops wants libGL, which a server or container seldom has.

Importing this module imports torch, torchvision, OpenCV, SciPy, and takes seconds. It raises
SetupError, with what to install, when one of them cannot start.
"""

from __future__ import annotations

import sys
import types
import warnings

from dream.core.errors import SetupError

_MISSING = "torchvision.transforms.functional_tensor"


def _patch_functional_tensor() -> None:
    from torchvision.transforms import functional  # type: ignore[import-untyped]

    stand_in = types.ModuleType(_MISSING)
    stand_in.rgb_to_grayscale = functional.rgb_to_grayscale  # type: ignore[attr-defined]
    sys.modules.setdefault(_MISSING, stand_in)


def _explain_import(error: Exception) -> SetupError:
    """The way out of what is known to go wrong."""
    said = str(error).partition("\n")[0]
    if "libGL" in said or "libgthread" in said or "libglib" in said:
        return SetupError(
            f"OpenCV, which upscaling needs, cannot start: {said}",
            "put opencv-python-headless in place of opencv-python",
        )
    if "torchvision" in said:
        return SetupError(
            f"torchvision does not fit this torch: {said}",
            "install torch and torchvision together, of the same release",
        )
    return SetupError(f"upscaling cannot start: {said}", "install realesrgan and basicsr again")


try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import cv2  # noqa: F401 (the likeliest to fail, and the quickest to say so)

        _patch_functional_tensor()
        from basicsr.archs.rrdbnet_arch import RRDBNet
        from realesrgan import RealESRGANer
        from realesrgan.archs.srvgg_arch import SRVGGNetCompact
except (ImportError, OSError, RuntimeError, AttributeError) as error:
    raise _explain_import(error) from error

__all__ = ["RRDBNet", "RealESRGANer", "SRVGGNetCompact"]

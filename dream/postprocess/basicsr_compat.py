"""Imports realesrgan and basicsr with current versions of torchvision, SciPy and Python.

Both packages are unmaintained since 2022. These things break their import:

- `basicsr.data.degradations` imports `torchvision.transforms.functional_tensor`, which torchvision
  0.17 removed. The one function it needs still exists in another module, so a replacement module is
  added to sys.modules, only if the original is missing; nothing on disk changes.
- `basicsr` imports the deprecated `scipy.ndimage.filters` and `distutils`; these warnings are
  suppressed. (SciPy 2 removes the former: hence scipy<2 in pyproject. Python 3.12 removed the
  latter, and setuptools provides it: hence setuptools there.)
- OpenCV's desktop build needs libGL, which servers and containers often do not have.

Importing this module imports torch, torchvision, OpenCV and SciPy, and takes seconds. It raises
SetupError, with what to install, if one of them cannot be imported.
"""

from __future__ import annotations

import sys
import types
import warnings

from dream.core.errors import SetupError

_REMOVED_MODULE = "torchvision.transforms.functional_tensor"


def _patch_functional_tensor() -> None:
    from torchvision.transforms import functional  # type: ignore[import-untyped]

    replacement = types.ModuleType(_REMOVED_MODULE)
    replacement.rgb_to_grayscale = functional.rgb_to_grayscale  # type: ignore[attr-defined]
    sys.modules.setdefault(_REMOVED_MODULE, replacement)


def _explain_import(error: Exception) -> SetupError:
    """An error with a hint for the known import failures."""
    reason = str(error).partition("\n")[0]
    if "libGL" in reason or "libgthread" in reason or "libglib" in reason:
        return SetupError(
            f"OpenCV, which upscaling needs, cannot be imported: {reason}",
            "replace opencv-python with opencv-python-headless",
        )
    if "torchvision" in reason:
        return SetupError(
            f"torchvision does not match this version of torch: {reason}",
            "install torch and torchvision together, in matching versions",
        )
    return SetupError(f"upscaling is not available: {reason}", "reinstall realesrgan and basicsr")


try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import cv2  # noqa: F401 (fails most often, and fast)

        _patch_functional_tensor()
        from basicsr.archs.rrdbnet_arch import RRDBNet
        from realesrgan import RealESRGANer
        from realesrgan.archs.srvgg_arch import SRVGGNetCompact
except (ImportError, OSError, RuntimeError, AttributeError) as error:
    raise _explain_import(error) from error

__all__ = ["RRDBNet", "RealESRGANer", "SRVGGNetCompact"]

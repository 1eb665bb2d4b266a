"""Explains a broken installation, and what to do about it. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dream.core.errors import SetupError, summarize

OUT_OF_MEMORY_ADVICE = (
    "not enough memory to load torch: close other programs, then enter the line again"
)
KNOWN_CAUSES = (
    (
        r"[Cc]annot allocate memory|failed to map segment|(?i:out of memory)|not enough memory",
        OUT_OF_MEMORY_ADVICE,
    ),
    (
        r"libGL\.so",
        "OpenCV needs libGL, which is not installed: "
        "`apt install libgl1`, or `pip uninstall opencv-python` and "
        "`pip install opencv-python-headless`",
    ),
    (
        r"libg(lib|thread)-2\.0\.so",
        "OpenCV needs GLib, which is not installed: `apt install libglib2.0-0`, or "
        "`pip uninstall opencv-python` and `pip install opencv-python-headless`",
    ),
    (
        r"torchvision::nms|torchvision\.extension|partially initialized module 'torchvision'",
        "torchvision does not match torch: install the two together, "
        "`pip install --upgrade torch torchvision`",
    ),
    (
        r"lib(cudart|cublas|cudnn|nvrtc|nccl|cusparse|cusolver|cufft)[\w.-]*: cannot open",
        "torch cannot find its CUDA libraries: reinstall it, "
        "`pip install --force-reinstall torch torchvision`",
    ),
    (
        r"(undefined symbol|symbol not found).*(torch|c10|caffe|cuda|nccl|cudnn)",
        "torch and its libraries do not match: reinstall them together, "
        "`pip install --force-reinstall torch torchvision`",
    ),
    (
        r"A module that was compiled using NumPy 1\.x|numpy\.core\.multiarray failed to import",
        "an installed package was built for an older numpy: `pip install --upgrade numpy scipy`",
    ),
    (
        r"libgomp|static TLS block",
        "the OpenMP library could not be loaded: `apt install libgomp1`, or start dream with "
        "LD_PRELOAD set to that libgomp",
    ),
    (
        r"No module named 'torchvision\.transforms\.functional_tensor'",
        "basicsr was imported without dream's torchvision compatibility layer: a bug in dream",
    ),
    (
        r"No module named '(cv2)'",
        "OpenCV is not installed: `pip install opencv-python-headless`",
    ),
    (
        r"No module named '(distutils|pkg_resources)",
        "basicsr needs setuptools: `pip install 'setuptools>=70.1'`",
    ),
    (
        r"No module named '([\w]+)",
        "the package {0} is not installed: `pip install {0}`, or reinstall dream",
    ),
)
"""A pattern in an import error's message, and the line for the user; {0} is the first group."""


def explain_import_error(error: BaseException) -> str | None:
    """What to install, in one line, for an import that failed; None when the cause is not known.

    The whole chain of causes is searched: libraries wrap each other's import errors.
    """
    messages = " | ".join(str(link) for link in _chain(error))
    for pattern, advice in KNOWN_CAUSES:
        if match := re.search(pattern, messages):
            return advice.format(*match.groups())
    if any(isinstance(link, ImportError) for link in _chain(error)):
        return f"a package cannot be loaded ({summarize(error)}): reinstall dream"
    return None


@contextmanager
def raise_setup_errors() -> Iterator[None]:
    """Imports inside raise SetupError with what to install; an unknown error is raised
    unchanged."""
    try:
        yield
    except MemoryError as error:  # which mostly has no message
        raise SetupError(OUT_OF_MEMORY_ADVICE) from error
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        if (advice := explain_import_error(error)) is None:
            raise
        raise SetupError(advice) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

"""Import errors as they are met in the wild, and what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dream.core.errors import SetupError
from dream.engine.import_errors import explain_import_error, raise_setup_errors


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("libGL.so.1: cannot open shared object file: No such file or directory", "libgl1"),
        ("libgthread-2.0.so.0: cannot open shared object file", "libglib2.0-0"),
        ("operator torchvision::nms does not exist", "torchvision does not match torch"),
        (
            "partially initialized module 'torchvision' has no attribute 'extension'",
            "torchvision does not match torch",
        ),
        ("libcudart.so.13: cannot open shared object file: No such file", "CUDA libraries"),
        ("/x/libtorch_cuda.so: undefined symbol: ncclCommShrink", "do not match"),
        ("No module named 'cv2'", "opencv-python-headless"),
        ("No module named 'diffusers'", "pip install diffusers"),
        ("No module named 'distutils'", "setuptools"),
        ("cannot import name 'x' from 'y' (z.py)\nmore", "cannot import name 'x'"),
    ],
)
def test_one_line_says_what_to_install(message: str, advice: str) -> None:
    line = explain_import_error(ImportError(message))
    assert line is not None and advice in line
    assert "\n" not in line


def test_a_cause_is_found_behind_wrapping_errors() -> None:
    with pytest.raises(SetupError, match="torchvision does not match"), raise_setup_errors():
        try:
            raise RuntimeError("operator torchvision::nms does not exist")
        except RuntimeError as error:
            raise RuntimeError("Failed to import transformers.models.clip") from error


def test_other_errors_stay_themselves() -> None:
    assert explain_import_error(ValueError("a number")) is None
    with pytest.raises(RuntimeError, match="mat1"), raise_setup_errors():
        raise RuntimeError("mat1 and mat2")


def test_the_door_and_the_advice_load_no_torch() -> None:
    script = (
        "import sys, dream.engine, dream.engine.interface\n"
        "import dream.engine.import_errors, dream.worker.client\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy'} & {*sys.modules}\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

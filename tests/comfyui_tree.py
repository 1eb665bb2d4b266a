"""A folder of ComfyUI's with the files that people run: their headers, without weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.catalogue.test_published_headers import FILES, Header, Published, write

_FOLDERS: Mapping[str, str] = {
    r"is a LoRA": "loras",
    r"text encoder|language model": "text_encoders",
    r"TAEHV": "vae_approx",
    r"VAE": "vae",
}
"""Patterns for what `Published.refusal` says → the folder where people have such files."""
_WHOLE = ("conditioner.", "cond_stage_model.", "text_encoders.")
_FIRST = re.compile(r"\.0\.")


def write_comfyui_tree(root: Path, *, tensors: int = 0) -> list[Path]:
    """Write every published file, and three that are none: torn, a web page, a pickle that runs
    code. Each file with blocks of layers has about so many tensors; real ones have between 400 and
    2,500. Returns the files."""
    files = []
    for file in FILES:
        folder = root / "models" / _folder_of(file)
        folder.mkdir(parents=True, exist_ok=True)
        header = _deepened(file.header, tensors)
        files.append(write(folder / f"{file.name}.safetensors", header, file.text))
    models = root / "models" / "diffusion_models"
    for name, content in {
        "torn.safetensors": b"\x10" + bytes(30),
        "cut.gguf": b"GGUF\3\0\0\0" + bytes(8),
        "web.ckpt": b"<html>",
        "code.ckpt": b"\x80\x02cos\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.",
    }.items():
        files.append(models / name)
        files[-1].write_bytes(content)
    return files


def _folder_of(file: Published) -> str:
    for pattern, folder in _FOLDERS.items():
        if re.search(pattern, file.refusal):
            return folder
    whole = any(name.startswith(_WHOLE) for name in file.header)
    return "checkpoints" if whole else "diffusion_models"


def _deepened(header: Header, tensors: int) -> Header:
    """The layers of the first block in every block, under the names of a block's other layers."""
    rows = dict(header)
    first = [name for name in header if _FIRST.search(name)]
    for number in range(1, tensors // max(1, len(first))):
        rows |= {_FIRST.sub(f".{number}.", name, count=1): header[name] for name in first}
    return rows

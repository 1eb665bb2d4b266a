"""Number formats: a transformer of FLUX.1's true width, cut in depth, from its file into memory.

    python -m benchmarks.formats [--rounds N] [--small]

Time until every weight was loaded and read once, as the first step reads them, over diffusers'
`from_single_file` of the same weights in bfloat16 (it does not read the quantized files): both keep
files mapped, which only moves work to the first step. Then the most memory up to there, over what
stays; the mapped pages of the file count, although the system can take them back.
"""

from __future__ import annotations

import argparse
import json
import mmap
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import diffusers
import gguf
import torch

from benchmarks.abab import HEAD, compare, seconds
from dream.engine.loading import quantize
from dream.engine.memory.low_memory import free_memory
from tests import number_formats, single_files

GOAL, PEAK_GOAL = 1.0, 1.15
WIDTH = 3072
BLOCKS = (3, 4)
"""Double and single blocks, of 19 and 38: 2.2 GB in bfloat16."""

_PEAK = """
import re, sys, torch; from pathlib import Path
from benchmarks.formats import load
status = lambda key: int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
import dream.engine.loading.checkpoint, dream.engine.loading.weight_copy
import dream.engine.loading.key_maps, diffusers.quantizers.gguf.utils
from diffusers import FluxTransformer2DModel
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS"); model = load(Path(sys.argv[1]))
held = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
print((status("VmHWM") - before) * 1024, held)
"""


def config(blocks: tuple[int, int]) -> dict[str, Any]:
    """Of a FluxTransformer2DModel."""
    return {
        "num_layers": blocks[0],
        "num_single_layers": blocks[1],
        "attention_head_dim": 128,
        "num_attention_heads": WIDTH // 128,
        "guidance_embeds": True,
    }


def weights_of(blocks: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Random weights in bfloat16 by the original names."""
    width = WIDTH

    def layer(name: str, rows: int, columns: int) -> dict[str, torch.Tensor]:
        weight = torch.empty(rows, columns, dtype=torch.bfloat16).normal_(0, 0.02)
        return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(rows, dtype=torch.bfloat16)}

    found = layer("img_in", width, 64) | layer("txt_in", width, 4096)
    for part, columns in (("time_in", 256), ("guidance_in", 256), ("vector_in", 768)):
        found |= layer(f"{part}.in_layer", width, columns)
        found |= layer(f"{part}.out_layer", width, width)
    one = torch.ones(128, dtype=torch.bfloat16)
    for number in range(blocks[0]):
        for side in ("img", "txt"):
            block = f"double_blocks.{number}.{side}"
            found |= layer(f"{block}_mod.lin", 6 * width, width)
            found |= layer(f"{block}_attn.qkv", 3 * width, width)
            found |= layer(f"{block}_attn.proj", width, width)
            found |= layer(f"{block}_mlp.0", 4 * width, width)
            found |= layer(f"{block}_mlp.2", width, 4 * width)
            found |= {f"{block}_attn.norm.{x}_norm.scale": one for x in ("query", "key")}
    for number in range(blocks[1]):
        block = f"single_blocks.{number}"
        found |= layer(f"{block}.linear1", 7 * width, width)
        found |= layer(f"{block}.linear2", width, 5 * width)
        found |= layer(f"{block}.modulation.lin", 3 * width, width)
        found |= {f"{block}.norm.{x}_norm.scale": one for x in ("query", "key")}
    found |= layer("final_layer.linear", 64, width)
    return found | layer("final_layer.adaLN_modulation.1", 2 * width, width)


def load(path: Path) -> Any:
    """The transformer in a file, as dream loads it: in bfloat16 on the CPU."""
    from accelerate import init_empty_weights

    from dream.engine.loading.checkpoint import open_tensors
    from dream.engine.loading.key_maps import convert_names
    from dream.engine.loading.weight_copy import load_weights
    from dream.engine.memory.device import Placement

    mapped = open_tensors(path, path.suffix.removeprefix("."))
    shape = json.loads((path.parent / "config.json").read_text())
    with init_empty_weights():
        model = diffusers.FluxTransformer2DModel(**shape)
    placement = Placement("cpu", "bfloat16", "")
    named = convert_names(type(model).__name__, dict(mapped.tensors))
    return _read(load_weights(model, named, path, placement, (mapped,)))


def _plainly(path: Path) -> Any:
    return _read(
        diffusers.FluxTransformer2DModel.from_single_file(
            str(path), config=str(path.parent), torch_dtype=torch.bfloat16, local_files_only=True
        )
    )


def _read(model: Any) -> Any:
    """The model, after a byte of every page of its weights was read."""
    for weight in (*model.parameters(), *model.buffers()):
        if weight.numel():
            weight.detach().reshape(-1).view(torch.uint8)[:: mmap.PAGESIZE].sum()
    return model


def _write(folder: Path, blocks: tuple[int, int]) -> dict[str, Path]:
    """The same weights in each format."""
    (folder / "config.json").write_text(json.dumps(config(blocks)))
    weights = weights_of(blocks)
    files = {"bf16": single_files.save(weights, folder / "bf16.safetensors")}
    for name, how in (("fp8 scaled", number_formats.fp8_scaled), ("int8", number_formats.int8)):
        file = {}
        for key, tensor in weights.items():
            if tensor.ndim == 2:
                owner = key.removesuffix("weight")
                file |= {owner + part: t for part, t in how(tensor.float())[0].items()}
            else:
                file[key] = tensor
        files[name] = single_files.save(file, folder / f"{name.replace(' ', '-')}.safetensors")
    files["GGUF Q8_0"] = _write_gguf(weights, folder / "q8.gguf")
    return files


def _write_gguf(weights: dict[str, torch.Tensor], path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "flux")
    for name, tensor in weights.items():
        if tensor.ndim < 2:
            writer.add_tensor(name, tensor.float().numpy())
            continue
        _, plan = quantize.plan(tensor, "int8")
        blocks = plan.write(torch.empty(plan.shape, dtype=torch.uint8)).numpy()
        writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _timed(path: Path, loader: Any) -> float:
    try:
        return seconds(lambda: loader(path))
    finally:
        free_memory()


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="one block of each kind: does it run?")
    chosen = parser.parse_args()
    blocks = (1, 1) if chosen.small else BLOCKS
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = _write(folder, blocks)
        free_memory()
        print(HEAD)
        for name, path in files.items():
            ours = lambda path=path: _timed(path, load)  # noqa: E731
            plain = lambda: _timed(files["bf16"], _plainly)  # noqa: E731
            print(compare(f"{name}, over bf16 by diffusers", ours, plain, chosen.rounds, GOAL))
        for name, path in files.items():
            argv = [sys.executable, "-c", _PEAK, str(path)]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
            peak, held = map(int, done.stdout.split())
            verdict = "ok" if peak <= PEAK_GOAL * held else "NOT MET"
            print(
                f"{name}: {held / 2**30:.2f} GiB stay, peak {peak / 2**30:.2f}, "
                f"{peak / held:.2f} of it  {verdict}"
            )


if __name__ == "__main__":
    main()

"""Number formats: a transformer of FLUX.1's true width, cut in depth, from its file into memory.

    python -m benchmarks.formats [--rounds N] [--small] [--formats NAME …]

Time from a process that has imported everything to the end of the first step, of a small image:
over diffusers' `from_single_file` of the same weights in bfloat16, and for fp8 with scales also
over what a script does with the same file, since diffusers does not read it: decode every weight,
then load it. Each run is a process of its own. Then the most memory until every weight was read,
over what stays; the mapped pages of the file count, although the system can take them back.
"""

from __future__ import annotations

import argparse
import json
import mmap
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import gguf
import torch
from safetensors.torch import load_file

from benchmarks.abab import HEAD, compare
from dream.engine.loading import quantize
from dream.engine.memory.low_memory import free_memory
from tests import number_formats, single_files

GOAL, PEAK_GOAL = 1.0, 1.15
GGUF = "GGUF Q8_0"
FORMATS = ("bf16", "fp8 scaled", "int8", GGUF)
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
    """Random weights in bfloat16 by the original names: those of one matrix after the other from
    the same numbers, since drawing so many takes minutes."""
    width = WIDTH
    numbers = torch.empty(7 * width * width, dtype=torch.bfloat16).normal_(0, 0.02)

    def layer(name: str, rows: int, columns: int) -> dict[str, torch.Tensor]:
        weight = numbers[: rows * columns].view(rows, columns)
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
    """The transformer in a file, as dream loads it, after every weight was read."""
    return _read(load_mapped(path))


def load_mapped(path: Path) -> Any:
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
    return load_weights(model, named, path, placement, (mapped,))


def load_plainly(path: Path) -> Any:
    """The transformer in a file in bfloat16, as diffusers loads it."""
    return diffusers.FluxTransformer2DModel.from_single_file(
        str(path), config=str(path.parent), torch_dtype=torch.bfloat16, local_files_only=True
    )


def load_decoded(path: Path) -> Any:
    """The transformer in a file of fp8 with scales, as a script over diffusers loads it."""
    from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers

    stored = load_file(path)
    scales = {n.removesuffix("scale_weight"): s for n, s in stored.items() if "scale_weight" in n}
    weights = {
        name: (tensor.float() * scales[name.removesuffix("weight")]).to(torch.bfloat16)
        if name.removesuffix("weight") in scales
        else tensor
        for name, tensor in stored.items()
        if not name.endswith(("scale_weight", "scaled_fp8"))
    }
    shape = json.loads((path.parent / "config.json").read_text())
    model = diffusers.FluxTransformer2DModel(**shape)
    named = convert_flux_transformer_checkpoint_to_diffusers(weights)
    model.load_state_dict(named, assign=True)
    return model.to(torch.bfloat16).eval()


def step(model: Any) -> None:
    """The first step of an image of 64x64 pixels, from a few words."""
    number = torch.bfloat16
    with torch.no_grad():
        model(
            hidden_states=torch.ones(1, 16, 64, dtype=number),
            encoder_hidden_states=torch.ones(1, 8, 4096, dtype=number),
            pooled_projections=torch.ones(1, 768, dtype=number),
            timestep=torch.ones(1, dtype=number),
            img_ids=torch.zeros(16, 3),
            txt_ids=torch.zeros(8, 3),
            guidance=torch.ones(1, dtype=number),
        )


def measure_first_step(loader: Callable[[Path], Any], path: Path) -> float:
    """Seconds in this process, which has imported everything."""
    import diffusers.quantizers.gguf.utils  # noqa: F401
    from diffusers import FluxTransformer2DModel  # noqa: F401

    import dream.engine.loading.checkpoint
    import dream.engine.loading.key_maps
    import dream.engine.loading.weight_copy  # noqa: F401

    began = time.perf_counter()
    step(loader(path))
    return time.perf_counter() - began


def _read(model: Any) -> Any:
    """The model, after a byte of every page of its weights was read."""
    for weight in (*model.parameters(), *model.buffers()):
        if weight.numel():
            weight.detach().reshape(-1).view(torch.uint8)[:: mmap.PAGESIZE].sum()
    return model


def _write(folder: Path, blocks: tuple[int, int], formats: Collection[str]) -> dict[str, Path]:
    """The same weights in each of these formats, and in bfloat16."""
    (folder / "config.json").write_text(json.dumps(config(blocks)))
    weights = weights_of(blocks)
    files = {"bf16": single_files.save(weights, folder / "bf16.safetensors")}
    for name, how in (("fp8 scaled", number_formats.fp8_scaled), ("int8", number_formats.int8)):
        if name not in formats:
            continue
        file = {}
        for key, tensor in weights.items():
            if tensor.ndim == 2:
                owner = key.removesuffix("weight")
                file |= {owner + part: t for part, t in how(tensor.float())[0].items()}
            else:
                file[key] = tensor
        files[name] = single_files.save(file, folder / f"{name.replace(' ', '-')}.safetensors")
    if GGUF in formats:
        files[GGUF] = _write_gguf(weights, folder / "q8.gguf")
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


def _first_step(loader: Callable[[Path], Any], path: Path) -> float:
    """In a process of its own."""
    call = f"formats.measure_first_step(formats.{loader.__name__}, Path({str(path)!r}))"
    code = f"from pathlib import Path; from benchmarks import formats; print({call})"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="one block of each kind: does it run?")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    chosen = parser.parse_args()
    blocks = (1, 1) if chosen.small else BLOCKS
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = _write(folder, blocks, chosen.formats)
        free_memory()
        print(HEAD)
        for name, path in files.items():
            ours = partial(_first_step, load_mapped, path)
            rows = {"bf16 by diffusers": partial(_first_step, load_plainly, files["bf16"])}
            if name == "fp8 scaled":
                rows["the same by a script"] = partial(_first_step, load_decoded, path)
            for other, plain in rows.items():
                row = compare(f"{name}, over {other}", ours, plain, chosen.rounds, GOAL)
                print(row, flush=True)
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

"""Upscaling over Real-ESRGAN's own class, in turn: time, and the largest difference of pixels.

    python -m benchmarks.upscale [--rounds N] [--side N] [--tile N] [--threads N] [--cpu-time]
        [--networks NAME ...]

Networks of x4plus's small sibling (RealESRGAN_x4plus_anime_6B) and general-x4v3 with random weights
for the time: with torch and, where it is installed, with `--engine openvino`. For PSNR of
--upscale_precision bfloat16 the included, trained one, on an image of the included model.
--cpu-time counts the process's time on the processor.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.abab import HEAD, Comparison, compare
from benchmarks.caches import compute_psnr
from benchmarks.tasks import recipe_of
from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.engine import create_generator
from dream.engine.backends.converted_networks import ConvertedNetworks
from dream.engine.backends.engines import Engines
from dream.options.engine_table import ENGINES, OPENVINO
from dream.postprocess.basicsr_compat import RealESRGANer, RRDBNet, SRVGGNetCompact
from dream.postprocess.network import RECEPTIVE_FIELD, UpscalerNetwork, load_network
from dream.postprocess.tiled_upscaler import TiledUpscaler

GOAL, FAST_GOAL = 0.65, 0.4
CPU = torch.device("cpu")

NETWORKS: dict[str, Callable[[], UpscalerNetwork]] = {
    "anime_6B": lambda: UpscalerNetwork(RRDBNet(3, 3, 4, 64, 6, 32), 4, RECEPTIVE_FIELD),
    "general-x4v3": lambda: UpscalerNetwork(SRVGGNetCompact(3, 3, 64, 32, 4, "prelu"), 4, 34),
}


def make_original(network: UpscalerNetwork, tile: int) -> Any:
    """Real-ESRGAN's class with this network, as its constructor leaves it with a file."""
    original = RealESRGANer.__new__(RealESRGANer)
    original.scale, original.device, original.half = network.scale, CPU, False
    original.tile_size, original.tile_pad, original.pre_pad, original.mod_scale = tile, 10, 10, None
    original.model = network.module
    return original


def measure_time(
    name: str, side: int, tile: int, rounds: int, clock: Callable[[], float]
) -> Iterator[Comparison]:
    """Ours over the original: in float32, with OpenVINO, and in bfloat16."""

    def seconds(work: Callable[[], object]) -> float:
        began = clock()
        work()
        return clock() - began

    torch.manual_seed(0)
    plain, ours, other, fast = (NETWORKS[name]() for _ in range(4))
    for network in (ours, other, fast):
        network.module.load_state_dict(plain.module.state_dict())
    for network in (plain, ours, other, fast):
        network.module.eval().requires_grad_(False)
    rgb = np.random.default_rng(0).random((side, side, 3), np.float32)
    eight = (rgb * 255).round().astype(np.uint8)
    rgb = eight.astype(np.float32) / 255
    original = make_original(plain, tile)

    def enhance() -> Any:
        with redirect_stdout(StringIO()):  # it prints each tile
            return original.enhance(eight[..., ::-1])[0]  # it wants blue first

    theirs = enhance()

    def run_original() -> float:
        return seconds(enhance)

    rows = [
        ("float32", TiledUpscaler(ours, CPU), GOAL),
        (OPENVINO, TiledUpscaler(other, CPU), GOAL),
        ("bfloat16", TiledUpscaler(fast, CPU, bfloat16=True), FAST_GOAL),
    ]
    for title, backend, goal in rows:
        if title == OPENVINO and ENGINES[OPENVINO].find_missing():
            continue

        def run(backend: TiledUpscaler = backend) -> float:
            return seconds(lambda: backend.upscale(rgb, tile, lambda *_: None))

        with tempfile.TemporaryDirectory() as place:
            engines = Engines(ConvertedNetworks(Path(place)))
            network = engines.use_upscaler(OPENVINO, name, backend.model, "", lambda _: None)
            with network if title == OPENVINO else nullcontext():
                made = np.rint(backend.upscale(rgb, tile, lambda *_: None) * 255)
                most = int(np.abs(made - theirs[..., ::-1].astype(np.float32)).max())
                what = f"{name} {side} pixels, {title}, {most}/255"
                yield compare(what, run, run_original, rounds, goal)


def measure_psnr() -> float:
    """Of the included upscaler in bfloat16 over float32, in dB, on an image it was trained for."""
    models = get_shipped_models_dir()
    generator = create_generator(ModelRegistry([models]).get_model)
    image = generator.generate(recipe_of("tiny", 256, 10, None), lambda event: None).image
    rgb = np.asarray(image, np.float32) / 255
    found = [
        TiledUpscaler(load_network(_find_upscaler(models)), CPU, bfloat16=fast).upscale(
            rgb, 0, lambda *_: None
        )
        for fast in (False, True)
    ]
    from PIL import Image

    small, large = (Image.fromarray((pixels * 255).round().astype(np.uint8)) for pixels in found)
    return compute_psnr(large, small)


def _find_upscaler(models: Path) -> Path:
    return models / "tiny-x4" / "tiny-x4.pth"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--tile", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true", help="not the time that passes")
    parser.add_argument("--networks", nargs="+", choices=[*NETWORKS], default=[*NETWORKS])
    chosen = parser.parse_args()
    clock = time.process_time if chosen.cpu_time else time.perf_counter
    torch.set_num_threads(chosen.threads)
    print(f"the included upscaler in bfloat16: {measure_psnr():.1f} dB over float32", flush=True)
    print(HEAD)
    for name in chosen.networks:
        for row in measure_time(name, chosen.side, chosen.tile, chosen.rounds, clock):
            print(row, flush=True)


if __name__ == "__main__":
    main()

"""What settings are worth on an NVIDIA GPU, with models of true size and random weights.

    python -m benchmarks.gpu [--models sd15 sdxl flux] [--seconds N] [--small]

Each row is the time of some denoiser calls with one setting changed, over the same without it, in
turn (A B A B …): the denoiser with guidance, in bfloat16. Measured are: channels_last, fused
projections, torch.compile of the repeated blocks, each attention backend of diffusers that is
installed, and --cache 2 and 3. It stops before the next row when its time is over. Without a GPU it
says so; --small runs it anywhere with small models, and shows only that it runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from benchmarks.abab import HEAD, compare
from dream.engine.sampling.deep_cache import DeepCache
from dream.engine.sampling.taylor_cache import TaylorCache

CALLS, ROUNDS = 6, 3
BACKENDS = ("native", "_native_cudnn", "_native_flash", "flash", "_flash_3", "sage", "xformers")
Setting = Callable[[Any], AbstractContextManager[None]]


def make_sd15(small: bool) -> tuple[Any, dict[str, Any]]:
    """The UNet of Stable Diffusion 1.5, and arguments for 512 pixels."""
    from diffusers import UNet2DConditionModel

    sizes = {"block_out_channels": (32, 64, 64, 64), "cross_attention_dim": 64} if small else {}
    unet = UNet2DConditionModel(**{"sample_size": 64, "cross_attention_dim": 768, **sizes})
    return unet, {
        "sample": torch.randn(2, 4, *(2 * [8 if small else 64])),
        "timestep": torch.tensor(500),
        "encoder_hidden_states": torch.randn(2, 77, unet.config.cross_attention_dim),
    }


def make_sdxl(small: bool) -> tuple[Any, dict[str, Any]]:
    """The UNet of Stable Diffusion XL, and arguments for 1024 pixels."""
    from diffusers import UNet2DConditionModel

    sizes: dict[str, Any] = {
        "block_out_channels": (320, 640, 1280),
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "cross_attention_dim": 2048,
    }
    if small:
        sizes |= {"block_out_channels": (32, 64, 64), "transformer_layers_per_block": 1}
        sizes |= {"attention_head_dim": 8, "cross_attention_dim": 64}
    unet = UNet2DConditionModel(
        sample_size=128,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        **sizes,
    )
    added = {"text_embeds": torch.randn(2, 1280), "time_ids": torch.randn(2, 6)}
    return unet, {
        "sample": torch.randn(2, 4, *(2 * [8 if small else 128])),
        "timestep": torch.tensor(500),
        "encoder_hidden_states": torch.randn(2, 77, unet.config.cross_attention_dim),
        "added_cond_kwargs": added,
    }


def make_flux(small: bool) -> tuple[Any, dict[str, Any]]:
    """FLUX.1's transformer, and arguments for 1024 pixels; without guidance, which it has built
    in."""
    from diffusers import FluxTransformer2DModel

    sizes: dict[str, Any] = {"guidance_embeds": True}
    if small:
        sizes |= {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2}
        sizes |= {"joint_attention_dim": 32, "pooled_projection_dim": 16}
    transformer = FluxTransformer2DModel(**sizes)
    config, tokens = transformer.config, 64 if small else 4096
    return transformer, {
        "hidden_states": torch.randn(1, tokens, config.in_channels),
        "encoder_hidden_states": torch.randn(1, 512, config.joint_attention_dim),
        "pooled_projections": torch.randn(1, config.pooled_projection_dim),
        "timestep": torch.tensor([0.5]),
        "img_ids": torch.zeros(tokens, 3),
        "txt_ids": torch.zeros(512, 3),
        "guidance": torch.tensor([3.5]),
    }


MODELS = {"sd15": make_sd15, "sdxl": make_sdxl, "flux": make_flux}


class Steps:
    """A scheduler that only ends calls."""

    def step(self) -> None:
        pass


def run_calls(denoiser: Any, arguments: dict[str, Any], device: str, cache: int | None) -> float:
    """Seconds of some calls, the last one finished."""
    steps = Steps()
    reuse: AbstractContextManager[None] = nullcontext()
    if cache is not None:
        kind = DeepCache if hasattr(denoiser, "down_blocks") else TaylorCache
        reuse = kind(cache).over(denoiser, steps)
    _synchronize(device)
    began = time.perf_counter()
    with reuse, torch.inference_mode():
        for _ in range(CALLS):
            denoiser(**arguments, return_dict=False)
            steps.step()
    _synchronize(device)
    return time.perf_counter() - began


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@contextmanager
def use_channels_last(denoiser: Any) -> Iterator[None]:
    """The weights of convolutions in that order."""
    denoiser.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        denoiser.to(memory_format=torch.contiguous_format)


@contextmanager
def fuse_projections(denoiser: Any) -> Iterator[None]:
    """Query, key and value by one multiplication."""
    denoiser.fuse_qkv_projections()
    try:
        yield
    finally:
        denoiser.unfuse_qkv_projections()


def use_attention(backend: str) -> Setting:
    """An attention backend of diffusers."""

    @contextmanager
    def use(denoiser: Any) -> Iterator[None]:
        denoiser.set_attention_backend(backend)
        try:
            yield
        finally:
            denoiser.reset_attention_backend()

    return use


def measure(name: str, device: str, small: bool, until: float) -> Iterator[object]:
    """The rows of one model. What a machine does not have is said in its row."""
    denoiser, arguments = MODELS[name](small)
    dtype = torch.float32 if small else torch.bfloat16
    denoiser = denoiser.eval().requires_grad_(False).to(device, dtype)
    arguments = {key: _move(value, device, dtype) for key, value in arguments.items()}
    settings: dict[str, Setting] = {
        "channels_last": use_channels_last,
        "fused projections": fuse_projections,
        **{f"attention: {backend}": use_attention(backend) for backend in BACKENDS},
    }

    def plain() -> float:
        return run_calls(denoiser, arguments, device, None)

    for cache in (2, 3):
        yield compare(
            f"{name}: --cache {cache}",
            lambda n=cache: run_calls(denoiser, arguments, device, n),
            plain,
            ROUNDS,
            0,
        )
    for title, setting in settings.items():
        if time.monotonic() > until:
            yield f"{name}: no time left for {title} and what follows"
            return

        def changed(setting: Setting = setting) -> float:
            with setting(denoiser):
                run_calls(denoiser, arguments, device, None)  # what it prepares once
                return run_calls(denoiser, arguments, device, None)

        try:
            yield compare(f"{name}: {title}", changed, plain, ROUNDS, 0)
        except Exception as error:  # whatever a backend that is not here raises
            yield f"{name}: {title}: {type(error).__name__}: {str(error).splitlines()[0][:100]}"
    if device == "cuda" and time.monotonic() < until:
        before = [plain() for _ in range(ROUNDS)]
        denoiser.compile_repeated_blocks(fullgraph=False)
        yield compare(f"{name}: compiled blocks", plain, lambda: min(before), ROUNDS, 0)


def _move(value: Any, device: str, dtype: torch.dtype) -> Any:
    if isinstance(value, dict):
        return {key: _move(inner, device, dtype) for key, inner in value.items()}
    return value.to(device, dtype if value.is_floating_point() else value.dtype)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--small", action="store_true", help="small models, on any device")
    chosen = parser.parse_args()
    if not torch.cuda.is_available() and not chosen.small:
        sys.exit("this machine has no GPU that torch can use; --small shows that the script runs")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    torch.manual_seed(0)
    print(HEAD)
    began = time.monotonic()
    for number, name in enumerate(chosen.models, start=1):
        share = chosen.seconds * number / len(chosen.models)
        for row in measure(name, device, chosen.small, began + share):
            print(row, flush=True)


if __name__ == "__main__":
    main()

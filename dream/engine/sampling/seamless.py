"""Images that tile (`--seamless`): convolutions see the opposite edge beyond each edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from diffusers import AutoencoderKL
from diffusers.models.downsampling import Downsample2D
from torch import Tensor, nn
from torch.nn import functional

from dream.core.errors import ModelError
from dream.core.recipe import Recipe

TILE_MARGIN = 16
"""Extra latents decoded on each side, where a large image is decoded in tiles: more than the
overlap of two tiles, so that the result does not depend on the outer edge."""


@contextmanager
def make_seamless(pipe: Any, recipe: Recipe) -> Iterator[None]:
    """The pipeline's UNet and VAE wrap around along the recipe's axes; undone at the end, also
    after an error. Raises ModelError for a pipeline without a UNet."""
    if not recipe.seamless:
        yield
        return
    if getattr(pipe, "unet", None) is None:
        raise ModelError(
            f"{recipe.model} uses position embeddings, so --seamless is not supported",
            "choose a model with a UNet",
        )
    axes = recipe.seamless_axes or "xy"
    vae = getattr(pipe, "vae", None)
    with ExitStack() as undo:
        for network in filter(None, (pipe.unet, vae)):
            _wrap_around(network, axes, undo)
        if hasattr(vae, "tiled_decode"):
            _replace(vae, "tiled_decode", _decode_with_margin(vae, axes), undo)
        if isinstance(vae, AutoencoderKL):
            _replace(vae, "_tiled_encode", _encode_with_margin(vae, axes), undo)
        yield


def _replace(part: Any, name: str, value: Any, undo: ExitStack) -> None:
    """Set an attribute of this one object, over its class's; removed at the end."""
    setattr(part, name, value)
    undo.callback(delattr, part, name)


def _wrap_around(network: nn.Module, axes: str, undo: ExitStack) -> None:
    for layer in network.modules():
        if isinstance(layer, Downsample2D) and layer.use_conv and layer.padding == 0:
            # A VAE's encoder: it pads with zeros itself, right and below, before its convolution.
            _replace(layer.conv, "_conv_forward", partial(_wrapped_end, layer.conv, axes), undo)
        if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and any(_padding(layer)):
            _replace(layer, "_conv_forward", partial(_circular, layer, axes), undo)


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    """Pixels on each side, vertically and horizontally."""
    if isinstance(layer.padding, str):  # "same" or "valid", which no model here says
        return (0, 0)
    down, across = layer.padding
    return down, across


def _circular(
    layer: nn.Conv2d, axes: str, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """`Conv2d._conv_forward` with wrapped padding along these axes."""
    down, across = _padding(layer)
    # A side shorter than the padding cannot wrap around once.
    round_x = across if "x" in axes and across <= x.shape[-1] else 0
    round_y = down if "y" in axes and down <= x.shape[-2] else 0
    x = functional.pad(x, (round_x, round_x, round_y, round_y), mode="circular")
    rest = (down - round_y, across - round_x)
    return functional.conv2d(x, weight, bias, layer.stride, rest, layer.dilation, layer.groups)


def _wrapped_end(
    layer: nn.Conv2d, axes: str, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """`Conv2d._conv_forward` where the last column and row are padding already: they become copies
    of the first ones."""
    x = x.clone()
    if "x" in axes:
        x[..., -1] = x[..., 0]
    if "y" in axes:
        x[..., -1, :] = x[..., 0, :]
    return functional.conv2d(x, weight, bias, layer.stride, 0, layer.dilation, layer.groups)


def _encode_with_margin(vae: AutoencoderKL, axes: str) -> Callable[[Tensor], Tensor]:
    """`_tiled_encode` for pixels that wrap around the edges, as in `_decode_with_margin`."""
    encode = vae._tiled_encode
    factor = 2 ** (len(vae.config.block_out_channels) - 1)

    def tiled_encode(pixels: Tensor) -> Tensor:
        height, width = (side // factor for side in pixels.shape[-2:])
        x = min(TILE_MARGIN, width) if "x" in axes else 0
        y = min(TILE_MARGIN, height) if "y" in axes else 0
        around = (x * factor, x * factor, y * factor, y * factor)
        with _original_convs(vae):
            encoded: Tensor = encode(functional.pad(pixels, around, mode="circular"))
        return encoded[..., y : y + height, x : x + width]

    return tiled_encode


def _decode_with_margin(vae: Any, axes: str) -> Callable[..., Any]:
    """`tiled_decode` for latents that wrap around the edges.

    A tile does not wrap around into itself, so its convolutions see zeros outside, as usual.
    """
    decode = vae.tiled_decode

    def tiled_decode(latents: Tensor, return_dict: bool = True) -> Any:
        height, width = latents.shape[-2:]
        x = min(TILE_MARGIN, width) if "x" in axes else 0
        y = min(TILE_MARGIN, height) if "y" in axes else 0
        wide = functional.pad(latents, (x, x, y, y), mode="circular")
        with _original_convs(vae):
            decoded = decode(wide, return_dict=False)[0]
        factor = decoded.shape[-1] // wide.shape[-1]
        rows = slice(y * factor, (y + height) * factor)
        tile = decoded[..., rows, x * factor : (x + width) * factor]
        if not return_dict:
            return (tile,)
        from diffusers.models.autoencoders.vae import DecoderOutput

        return DecoderOutput(sample=tile)

    return tiled_decode


@contextmanager
def _original_convs(network: nn.Module) -> Iterator[None]:
    """The network's convolutions without the ones that this module set."""
    wrapped = [layer for layer in network.modules() if "_conv_forward" in vars(layer)]
    around = [layer._conv_forward for layer in wrapped]
    try:
        for layer in wrapped:
            del layer._conv_forward
        yield
    finally:
        for layer, forward in zip(wrapped, around, strict=True):
            setattr(layer, "_conv_forward", forward)  # noqa: B010 - mypy takes it for a method

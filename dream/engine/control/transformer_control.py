"""What a ControlNet adds to the blocks of a transformer, in one pass: what all families share.

Each family is a module: its class encodes the control image as its ControlNets were trained on, and
passes them what the denoiser is called with. The arguments are those of diffusers' pipelines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar, NamedTuple

import torch
from PIL import Image

from dream.core.errors import ModelError
from dream.engine.control.active_control import ActiveControl, make_pixels

Call = Mapping[str, Any]
"""The arguments of one call of a denoiser, by name."""
Additions = Mapping[str, Mapping[int, torch.Tensor]]
"""What is added after each block, by the denoiser's argument for it and the block's number."""


class Frame(NamedTuple):
    """What a pass generates."""

    size: tuple[int, int]
    """Width and height in pixels."""
    mask: Image.Image | None = None
    """L of that size: 255 is generated."""
    image: Image.Image | None = None
    """RGB of that size, where it starts from one."""


class TransformerControl(ABC):
    """One ControlNet and its image, in one pass."""

    by_number: ClassVar[bool] = False
    """Whether the denoiser takes what is added by the block's number; else one for each block."""

    def __init__(self, active: ActiveControl, pipe: Any, frame: Frame) -> None:
        """Raises ModelError for a control image of a kind that the ControlNet was not trained
        on."""
        self.active, self.pipe, self.frame = active, pipe, frame
        self.net: Any = active.loaded.model
        weight = next(self.net.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        with torch.no_grad():
            self.condition = self.encode(active.draw(frame.size)).to(self.device, self.dtype)

    @abstractmethod
    def encode(self, image: Image.Image) -> torch.Tensor:
        """What the ControlNet sees of the control image, which is of the frame's size."""

    @abstractmethod
    def compute(self, call: Call) -> Additions:
        """What it adds to a call of the denoiser."""

    @contextmanager
    def borrow(self) -> Iterator[None]:
        """While it uses parts of the denoiser, if it has none of its own. Raises ModelError for a
        denoiser that is not on the device as a whole."""
        yield

    def during(self) -> AbstractContextManager[None]:
        """While the denoiser answers a call that it controls, for what it adds only then."""
        return nullcontext()

    def require_whole_denoiser(self) -> None:
        """Raises ModelError where the denoiser's weights come to the device layer by layer."""
        if next(self.pipe.transformer.parameters()).device.type != self.device.type:
            raise ModelError(
                f"{self.active.loaded.info.name} uses layers of the model, which have to be on"
                f" {self.device.type}",
                "use --low_memory model or off",
            )

    def make_pixels(self, image: Image.Image) -> torch.Tensor:
        """(1, 3, h, w), from -1 to 1, in memory as diffusers has it: it decides the low bits."""
        pixels = make_pixels(image, 3).contiguous(memory_format=torch.channels_last)
        return 2.0 * pixels - 1.0

    def hide_masked(self, pixels: torch.Tensor) -> torch.Tensor:
        """The pixels, black where they are generated."""
        mask = self.get_mask()
        return pixels if mask is None else torch.where(mask > 0, -torch.ones_like(pixels), pixels)

    def get_mask(self) -> torch.Tensor | None:
        """(1, 1, h, w): 1 is generated, 0 is not."""
        mask = self.frame.mask
        return None if mask is None else (make_pixels(mask, 1) > 0.5).float()

    def get_kept(self, latents: torch.Tensor) -> torch.Tensor:
        """One channel of the size of the latents: 0 is generated, 1 is not; without a mask, 1."""
        mask = self.get_mask()
        kept = torch.ones_like(latents[:, :1])
        if mask is None:
            return kept
        small = torch.nn.functional.interpolate(1 - mask, size=latents.shape[-2:])
        return small.to(latents).reshape(kept.shape)

    def encode_latents(self, pixels: torch.Tensor) -> torch.Tensor:
        """The latents of an image, as the VAE has them: the mean of what it would draw from. With
        a draw, a control image would change the noise that the seed stands for."""
        vae = self.pipe.vae
        device = self.pipe._execution_device
        latents: torch.Tensor = vae.encode(pixels.to(device, vae.dtype)).latent_dist.mode()
        return latents

    def take(self, call: Call, *names: str) -> dict[str, Any]:
        """Arguments of the denoiser's call, in the ControlNet's number type."""
        return {name: self._convert(call.get(name)) for name in names}

    def _convert(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(map(self._convert, value))
        if isinstance(value, torch.Tensor):
            return value.to(self.device, self.dtype if value.is_floating_point() else value.dtype)
        return value

    def require_same_length(self, states: torch.Tensor) -> None:
        """Raises ModelError where the denoiser sees more than the latents of the new image."""
        if states.shape[1] != self.condition.shape[1]:
            raise ModelError(
                f"{type(self.pipe).__name__} passes reference images to the model, which"
                f" {self.active.loaded.info.name} does not support",
                "remove --control, or the input and reference images",
            )


def add_all(computed: Iterable[Additions]) -> dict[str, dict[int, torch.Tensor]]:
    """The sum of what several ControlNets add, in their order."""
    total: dict[str, dict[int, torch.Tensor]] = {}
    sums: dict[tuple[int, int], tuple[torch.Tensor, ...]] = {}
    for additions in computed:
        for argument, blocks in additions.items():
            own = total.setdefault(argument, {})
            for number, tensor in blocks.items():
                own[number] = _add_once(own[number], tensor, sums) if number in own else tensor
    return total


def _add_once(
    left: torch.Tensor, right: torch.Tensor, sums: dict[tuple[int, int], tuple[torch.Tensor, ...]]
) -> torch.Tensor:
    """The sum of two tensors that many blocks may share: computed once. Both are held, so that
    their ids stay theirs."""
    key = id(left), id(right)
    if key not in sums:
        sums[key] = left + right, left, right
    return sums[key][0]


def spread_over(blocks: int, samples: list[torch.Tensor] | None) -> dict[int, torch.Tensor]:
    """Fewer samples than blocks, each for as many consecutive ones: as FLUX.1 and Qwen-Image do."""
    if not samples:
        return {}
    each = -(-blocks // len(samples))
    return {number: samples[number // each] for number in range(blocks)}

"""What control models add to the layers of a UNet (Stable Diffusion 1, 2 and XL).

ControlNet: Zhang et al. 2023, arXiv:2302.05543. T2I-Adapter: Mou et al. 2023, arXiv:2302.08453.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image

from dream.catalogue.detect.control_family import T2I_ADAPTER, UNION
from dream.core.errors import ModelError
from dream.engine.control.active_control import ActiveControl, make_pixels
from dream.options.control import BALANCED, CONTROL
from dream.options.union_modes import UNION_MODES

_DECAY = 0.825
"""By which the contribution to each block is smaller than that to the next deeper one, unless the
mode is balanced: the numbers of A1111's ControlNet extension."""
_ADAPTER_SHARES = (0.25, 0.62, 0.825, 1.0)
"""The same for the four levels of a T2I-Adapter."""

_UNION_TYPES: Mapping[str, int] = {
    **UNION_MODES["sdxl"],
    "qr": UNION_MODES["sdxl"]["tile"],
}
"""The number of a kind of control image in union models; they know patterns as images."""


@dataclass(frozen=True)
class UnetCall:
    """The arguments of one call of a UNet, for some of its rows."""

    sample: torch.Tensor
    timestep: Any
    embeds: torch.Tensor
    added: Mapping[str, torch.Tensor] | None
    """SDXL's pooled text and sizes."""

    def select(self, rows: list[int]) -> UnetCall:
        """The same for fewer rows."""
        added = self.added and {
            name: value[rows]
            for name, value in self.added.items()
            if isinstance(value, torch.Tensor)  # image prompts are not for control models
        }
        timestep = self.timestep
        if isinstance(timestep, torch.Tensor) and timestep.ndim:
            timestep = timestep[rows]
        return UnetCall(self.sample[rows], timestep, self.embeds[rows], added)


@dataclass
class Residuals:
    """What is added to the layers of a UNet in one call."""

    down: list[torch.Tensor] = field(default_factory=list)
    mid: torch.Tensor | None = None
    inside: list[torch.Tensor] = field(default_factory=list)
    """Of T2I-Adapters: to the end of each level."""

    def add(self, other: Residuals) -> None:
        """Add those of another control model."""
        self.down = _sum(self.down, other.down)
        self.inside = _sum(self.inside, other.inside)
        if other.mid is not None:
            self.mid = other.mid if self.mid is None else self.mid + other.mid

    def arguments(self) -> dict[str, Any]:
        """The arguments of the UNet for them."""
        arguments: dict[str, Any] = {}
        if self.mid is not None:
            arguments["down_block_additional_residuals"] = tuple(self.down)
            arguments["mid_block_additional_residual"] = self.mid
        if self.inside:  # the UNet takes them out of the list, and adds in place
            arguments["down_intrablock_additional_residuals"] = [one.clone() for one in self.inside]
        return arguments


def _sum(one: list[torch.Tensor], other: list[torch.Tensor]) -> list[torch.Tensor]:
    if not one or not other:
        return one or other
    return [left + right for left, right in zip(one, other, strict=True)]


class UnetControl:
    """One control model and its image, in one pass."""

    def __init__(self, active: ActiveControl, image: Image.Image, mask: Image.Image | None) -> None:
        """image: what the model sees, of the pass's size; mask: L of the same size, 255 is
        generated; for `inpaint`. Raises ModelError for a model that takes other images."""
        self.active = active
        self._model, self._kind = active.loaded.model, active.control.kind
        self._is_adapter = active.loaded.info.kind == T2I_ADAPTER
        config = self._model.config
        channels = config.in_channels if self._is_adapter else config.conditioning_channels
        if channels not in (1, 3):
            raise ModelError(
                f"{active.loaded.info.name} takes control images of {channels} channels",
                "choose another --control_model",
            )
        pixels = make_pixels(image, channels)
        if mask is not None and self._kind == "inpaint":
            pixels[(make_pixels(mask, 1) > 0.5).expand_as(pixels)] = 0.0 if self._is_union else -1.0
        weight = next(self._model.parameters())
        self._pixels = pixels.to(weight.device, weight.dtype)
        self._features: list[torch.Tensor] | None = None

    @property
    def _is_union(self) -> bool:
        return self.active.loaded.info.kind == UNION

    def compute(self, call: UnetCall, conditional: Sequence[bool], mode: str) -> Residuals:
        """What it adds to the call; conditional: which of its rows have the prompt, and not the
        negative prompt."""
        rows = list(range(len(conditional)))
        if mode == CONTROL or getattr(self._model.config, "global_pool_conditions", False):
            rows = [row for row in rows if conditional[row]]
            if not rows:
                return Residuals()
        if self._is_adapter:
            residuals = self._compute_features(len(rows), mode)
        else:
            residuals = self._ask(
                call if len(rows) == len(conditional) else call.select(rows), mode
            )
        return _spread(residuals, rows, len(conditional))

    def _ask(self, call: UnetCall, mode: str) -> Residuals:
        weight = self.active.control.weight
        count = len(call.sample)
        image = torch.cat([self._pixels] * count)
        dtype = self._pixels.dtype
        arguments: dict[str, Any] = {"controlnet_cond": image}
        if self._is_union:
            arguments = self._union_arguments(image, count)
        down, mid = self._model(
            call.sample[:, : self._model.config.in_channels].to(dtype),
            call.timestep,
            encoder_hidden_states=call.embeds.to(dtype),
            conditioning_scale=weight,
            added_cond_kwargs=call.added,
            return_dict=False,
            **arguments,
        )
        down = list(down)
        if mode != BALANCED:
            depth = len(down)
            down = [one * _DECAY ** (depth - level) for level, one in enumerate(down)]
        return Residuals(down, mid)

    def _union_arguments(self, image: torch.Tensor, count: int) -> dict[str, Any]:
        types = self._model.config.num_control_type
        number = _UNION_TYPES[self._kind]
        if number >= types:
            raise ModelError(
                f"{self.active.loaded.info.name} does not support {self._kind}",
                "choose another --control_model",
            )
        chosen = torch.zeros(count, types, device=image.device, dtype=image.dtype)
        chosen[:, number] = 1
        return {
            "controlnet_cond": [image],
            "control_type": chosen,
            "control_type_idx": [number],
        }

    def _compute_features(self, count: int, mode: str) -> Residuals:
        """A T2I-Adapter does not look at the steps: it is asked once."""
        if self._features is None:
            weight = self.active.control.weight
            self._features = [one * weight for one in self._model(self._pixels)]
        features = [torch.cat([one] * count) for one in self._features]
        if mode != BALANCED:
            shares = _ADAPTER_SHARES[-len(features) :]
            features = [one * share for one, share in zip(features, shares, strict=True)]
        return Residuals(inside=features)


def _spread(residuals: Residuals, rows: list[int], count: int) -> Residuals:
    """The same for all rows of a call: the others get nothing added."""
    if len(rows) == count:
        return residuals

    def spread(one: torch.Tensor) -> torch.Tensor:
        whole = one.new_zeros(count, *one.shape[1:])
        whole[rows] = one
        return whole

    mid = None if residuals.mid is None else spread(residuals.mid)
    return Residuals(
        [spread(one) for one in residuals.down], mid, [spread(one) for one in residuals.inside]
    )

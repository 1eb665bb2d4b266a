"""Takes the place of a UNet's `forward`, so that control images reach it in every pipeline: from a
prompt alone, from an image, with a mask, with several texts, and with PAG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from PIL import Image

from dream.engine.control.active_control import ActiveControl, StepShare, sort_controls
from dream.engine.control.unet_control import Residuals, UnetCall, UnetControl
from dream.engine.sampling.call_slots import replace_forward
from dream.options.control import BALANCED


@contextmanager
def control_unet(
    pipe: Any,
    controls: Sequence[ActiveControl],
    mode: str | None,
    size: tuple[int, int],
    mask: Image.Image | None,
    share: StepShare,
) -> Iterator[None]:
    """While a pipeline with a UNet runs one pass with these controls; undone at the end.

    size: of the pass, (width, height) in pixels; mask: L of that size, 255 is generated. Controls
    of weight 0 change nothing. Raises ModelError.
    """
    parts = [UnetControl(active, active.draw(size), mask) for active in sort_controls(controls)]
    if not parts:
        yield
        return
    unet = pipe.unet
    controlled = ControlledUnet(unet.forward, parts, mode or BALANCED, share, pipe)
    with replace_forward(unet, controlled):
        yield


class ControlledUnet:
    """A UNet with control models."""

    def __init__(
        self, forward: Any, parts: Sequence[UnetControl], mode: str, share: StepShare, pipe: Any
    ) -> None:
        self._forward, self._parts, self._mode = forward, parts, mode
        self._share, self._pipe = share, pipe

    def for_rows(self, conditional: Sequence[bool]) -> Callable[..., Any]:
        """The same for calls whose rows are not the pipeline's own: which of them have the prompt,
        and not the negative prompt."""
        return partial(self._call, conditional)

    def __call__(self, *args: Any, **kw: Any) -> Any:
        """Called by the pipeline: the negative prompt is in the first row if there is guidance."""
        sample = args[0] if args else kw["sample"]
        guided = bool(getattr(self._pipe, "do_classifier_free_guidance", len(sample) > 1))
        return self._call([not guided or row > 0 for row in range(len(sample))], *args, **kw)

    def _call(
        self,
        conditional: Sequence[bool],
        sample: torch.Tensor,
        timestep: Any,
        encoder_hidden_states: torch.Tensor,
        *args: Any,
        **kw: Any,
    ) -> Any:
        call = UnetCall(sample, timestep, encoder_hidden_states, kw.get("added_cond_kwargs"))
        begin, end = self._share()
        residuals = Residuals()
        for part in self._parts:
            if part.active.is_active(begin, end):
                residuals.add(part.compute(call, conditional, self._mode))
        return self._forward(
            sample, timestep, encoder_hidden_states, *args, **kw, **residuals.arguments()
        )

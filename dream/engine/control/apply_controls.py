"""Lets control images reach a pipeline's denoiser, a UNet or a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from dream.engine.control.active_control import ActiveControl, StepShare
from dream.engine.control.controlled_transformer import control_transformer
from dream.engine.control.controlled_unet import control_unet
from dream.engine.control.transformer_control import Frame


def apply_controls(
    pipe: Any,
    controls: Sequence[ActiveControl],
    mode: str | None,
    frame: Frame,
    share: StepShare,
) -> AbstractContextManager[None]:
    """While a pipeline runs one pass with these controls; undone at the end.

    mode: one of `control.CONTROL_MODES`; None for balanced, the only one that transformers have.
    Raises ModelError, also when it is entered.
    """
    if getattr(pipe, "unet", None) is not None:
        return control_unet(pipe, controls, mode, frame.size, frame.mask, share)
    return control_transformer(pipe, controls, frame, share)

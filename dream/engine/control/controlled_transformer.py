"""Takes the place of a transformer's `forward`, so that control images reach it in every pipeline:
from a prompt alone, from an image, and with a mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from inspect import signature
from typing import Any

from accelerate.hooks import CpuOffload

from dream.core.errors import ModelError
from dream.engine.control.active_control import ActiveControl, StepShare, sort_controls
from dream.engine.control.blockwise_control import BlockwiseControl
from dream.engine.control.flux_control import FluxControl
from dream.engine.control.hunyuan_dit_control import HunyuanDiTControl
from dream.engine.control.qwen_control import QwenImageControl
from dream.engine.control.sana_control import SanaControl
from dream.engine.control.sd3_control import SD3Control
from dream.engine.control.transformer_control import Frame, TransformerControl, add_all
from dream.engine.control.z_image_control import ZImageControl
from dream.engine.sampling.call_slots import replace_forward

_CLASSES: Mapping[tuple[str, str], Callable[..., TransformerControl]] = {
    ("FluxControlNetModel", "FluxTransformer2DModel"): FluxControl,
    ("QwenImageControlNetModel", "QwenImageTransformer2DModel"): QwenImageControl,
    ("BlockwiseControlNetModel", "QwenImageTransformer2DModel"): BlockwiseControl,
    ("ZImageControlNetModel", "ZImageTransformer2DModel"): ZImageControl,
    ("SD3ControlNetModel", "SD3Transformer2DModel"): SD3Control,
    ("SanaControlNetModel", "SanaTransformer2DModel"): SanaControl,
    ("HunyuanDiT2DControlNetModel", "HunyuanDiT2DModel"): HunyuanDiTControl,
}
"""By the classes of the ControlNet and of the denoiser."""


@contextmanager
def control_transformer(
    pipe: Any, controls: Sequence[ActiveControl], frame: Frame, share: StepShare
) -> Iterator[None]:
    """While a pipeline with a transformer runs one pass with these controls; undone at the end.
    Controls of weight 0 change nothing. Raises ModelError."""
    active = sort_controls(controls)
    if not active:
        yield
        return
    transformer = pipe.transformer
    with ExitStack() as stack:
        parts = [_find_class(one, transformer)(one, pipe, frame) for one in active]
        _move_to_device(transformer)
        for part in parts:
            stack.enter_context(part.borrow())
        controlled = ControlledTransformer(transformer, parts, share)
        stack.enter_context(replace_forward(transformer, controlled))
        yield


class ControlledTransformer:
    """A transformer with ControlNets."""

    def __init__(
        self, transformer: Any, parts: Sequence[TransformerControl], share: StepShare
    ) -> None:
        self._transformer, self._forward = transformer, transformer.forward
        self._parts, self._share = parts, share
        self._names = tuple(signature(type(transformer).forward).parameters)[1:]
        self._latents: Any = None
        self._active: Sequence[TransformerControl] = ()
        self._added: Mapping[str, Any] = {}

    def __call__(self, *args: Any, **kw: Any) -> Any:
        """Called by the pipeline, for FLUX.1 and Qwen-Image perhaps twice for the same latents: for
        the prompt, then for the negative one, which gets what was computed for the prompt."""
        call = dict(zip(self._names, args, strict=False)) | kw
        latents = call[self._names[0]]
        if latents is not self._latents:
            begin, end = self._share()
            self._active = [part for part in self._parts if part.active.is_active(begin, end)]
            self._latents, self._added = latents, self._compute(self._active, call)
        with ExitStack() as stack:
            for part in self._active:
                stack.enter_context(part.during())
            added = {name: copy(blocks) for name, blocks in self._added.items()}
            return self._forward(*args, **kw, **added)  # HunyuanDiT takes them out of the list

    def _compute(
        self, parts: Sequence[TransformerControl], call: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if not parts:
            return {}
        _move_to_device(self._transformer)
        total = add_all(part.compute(call) for part in parts)
        by_number = parts[0].by_number
        return {
            name: dict(blocks) if by_number else [blocks[n] for n in sorted(blocks)]
            for name, blocks in total.items()
            if blocks
        }


def _move_to_device(transformer: Any) -> None:
    """Move a denoiser that is offloaded as a whole to its device now, as its own call would: the
    ControlNet may use its layers before."""
    hook = getattr(transformer, "_hf_hook", None)
    if isinstance(hook, CpuOffload):
        hook.pre_forward(transformer)


def _find_class(active: ActiveControl, transformer: Any) -> Callable[..., TransformerControl]:
    names = type(active.loaded.model).__name__, type(transformer).__name__
    if names not in _CLASSES:
        raise ModelError(
            f"{active.loaded.info.name} is {active.loaded.info.title}, which this model does not"
            " support",
            "choose another --control_model",
        )
    return _CLASSES[names]

"""Reuses the deep features of a UNet between its full passes: DeepCache, Ma et al. 2023,
arXiv:2312.00858.

Features of the deep layers change slowly from step to step. Between two full passes only the
outermost layers are computed: those that take and give the highest resolution. What a ControlNet
adds to the deep layers is in their features; between two full passes, only what it adds to the
outermost ones is computed, which is what its first layer finds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch

from dream.engine.sampling.call_slots import CallSlots, replace_forward

DEPTH = 0
"""Layers of the first block that are computed in every call; as many, and one more, of the last
block. 0 is the paper's choice."""


@runtime_checkable
class AnswersWithLayers(Protocol):
    """Another engine in the place of a UNet's `forward`: it computes full passes."""

    original: Any
    """The UNet's own `forward`."""

    def answer(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], layers: Sequence[str]
    ) -> list[Any] | None:
        """What `forward` returns, and what these layers return, by name; None where torch has to
        compute it."""


class _Features:
    """What one question found: the features of its last full pass."""

    def __init__(self) -> None:
        self.inputs: tuple[torch.Tensor, ...] = ()
        """The latents' shape and the text of that pass."""
        self.state: Hashable = None
        self.outputs: dict[_Skippable, Any] = {}

    def fit(self, sample: torch.Tensor, text: torch.Tensor | None, state: Hashable) -> bool:
        """Whether they are those of this size, text and state."""
        if not self.inputs or self.inputs[0].shape != sample.shape or self.state != state:
            return False
        return text is None or torch.equal(self.inputs[1], text)


class _Skippable:
    """Takes the place of a layer's `forward`: computes it in a full pass, and otherwise returns
    what it returned then."""

    def __init__(self, unet: DeepCache, forward: Any, copies: bool) -> None:
        """`copies` if what comes after it is computed in every call, and may change it in place,
        as FreeU does."""
        self._unet, self._forward, self._copies = unet, forward, copies
        method = getattr(type(getattr(forward, "__self__", None)), "forward", None)
        self.is_plain = method is not None and forward.__func__ is method
        """Whether a full pass computes what the layer's class does."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        features = self._unet.features
        if features is None:
            return self._forward(*args, **kwargs)
        if not self._unet.skips:
            features.outputs[self] = self._forward(*args, **kwargs)
        found = features.outputs[self]
        return _copy(found) if self._copies else found


class DeepCache:
    """Takes the place of a UNet's `forward` for one run of a pipeline."""

    def __init__(self, interval: int, get_state: Callable[[], Hashable] = lambda: None) -> None:
        """Every so many calls is a full pass, beginning with the first; and where the state that a
        call depends on is another than in the last one."""
        self._interval, self._get_state = interval, get_state
        self._slots = CallSlots(_Features)
        self._forward: Any = None
        self._engine: AnswersWithLayers | None = None
        self._layers: dict[str, _Skippable] = {}
        self.features: _Features | None = None
        """Of the question that is being answered."""
        self.skips = False

    @contextmanager
    def over(self, unet: Any, scheduler: Any, beside: Sequence[Any] = ()) -> Iterator[None]:
        """While the UNet is asked through it, and the scheduler's steps are counted. beside:
        ControlNets that the UNet asks in each call."""
        self._forward = unet.forward
        if isinstance(unet.forward, AnswersWithLayers):
            self._engine, self._forward = unet.forward, unet.forward.original
        names = {layer: name for name, layer in unet.named_modules()}
        with ExitStack() as stack:
            stack.enter_context(self._slots.count(scheduler))
            for layer, copies in list_deep_layers(unet):
                skippable = _Skippable(self, layer.forward, copies)
                self._layers[names[layer]] = skippable
                stack.enter_context(replace_forward(layer, skippable))
            for layer in (layer for net in beside for layer in (*net.down_blocks, net.mid_block)):
                skippable = _Skippable(self, layer.forward, copies=False)
                stack.enter_context(replace_forward(layer, skippable))
            stack.enter_context(replace_forward(unet, self))
            yield

    def for_rows(self, conditional: Sequence[bool]) -> Callable[..., Any]:
        """The same for calls whose rows are not the pipeline's own: which of them have the prompt,
        and not the negative prompt."""
        own = getattr(self._forward, "for_rows", None)
        return self if own is None else partial(self._call, own(conditional))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the UNet's: `sample` (B, C, h, w). A text or size other than the last full pass's is
        computed in full."""
        return self._call(self._forward, *args, **kwargs)

    def _call(
        self,
        forward: Callable[..., Any],
        sample: torch.Tensor,
        timestep: Any,
        encoder_hidden_states: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        text, state = encoder_hidden_states, self._get_state()
        self.features = features = self._slots.next()
        self.skips = (
            features is not None
            and self._slots.call % self._interval > 0
            and features.fit(sample, text, state)
        )
        if features is not None and not self.skips:
            features.inputs = (sample,) if text is None else (sample, text)
            features.state = state
        try:
            if not self.skips and self._engine is not None:
                whole = (sample, timestep, text, *args)
                answer = self._engine.answer(whole, kwargs, [*self._layers])
                if answer is not None:
                    if features is not None:
                        features.outputs = dict(zip(self._layers.values(), answer[1:], strict=True))
                    return answer[0]
            return forward(sample, timestep, text, *args, **kwargs)
        finally:
            self.features = None


def list_deep_layers(unet: Any) -> Iterator[tuple[Any, bool]]:
    """The layers that are computed in full passes only, and whether a layer that is computed in
    every call gets what they return."""
    first, *deeper = unet.down_blocks
    *before, last = unet.up_blocks
    yield from ((block, False) for block in deeper)
    if unet.mid_block is not None:
        yield unet.mid_block, not before
    yield from ((block, block is before[-1]) for block in before)
    for kind in ("resnets", "attentions"):
        yield from ((layer, False) for layer in list(getattr(first, kind, ()))[DEPTH:])
        yield from ((layer, True) for layer in list(getattr(last, kind, ()))[: -1 - DEPTH])
    yield from ((layer, False) for layer in getattr(first, "downsamplers", None) or ())


def _copy(found: Any) -> Any:
    """A copy of the tensors that a layer returns."""
    if isinstance(found, torch.Tensor):
        return found.clone()
    return tuple(map(_copy, found)) if isinstance(found, tuple) else found

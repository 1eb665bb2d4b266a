"""Asks the UNet what a pipeline cannot: for texts of different lengths, several at once, others at
each step, and with another prompt's attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, runtime_checkable

import torch

from dream.core.errors import ModelError
from dream.engine.conditioning.attention_control import AttentionControl, Mode
from dream.engine.conditioning.encode import Encoded
from dream.engine.conditioning.plan import Plan, WeightedText, get_swap_options
from dream.engine.conditioning.tokens import map_same_tokens
from dream.engine.sampling.call_slots import replace_forward
from dream.engine.sampling.deep_cache import DeepCache


class Guide:
    """Takes the place of a UNet's `forward`. The pipeline asks for the negative and the positive
    text at once, or for the positive alone; its embeddings are ignored."""

    def __init__(self, plan: Plan, pipe: Any, steps: int, skipped: float) -> None:
        """`steps` will run; `skipped` is the share of the steps before them, with an input
        image."""
        self._plan, self._pipe = plan, pipe
        self._steps, self._skipped = steps, skipped
        self._calls = 0
        self._forward: Any = None
        self._control: AttentionControl | None = None
        if (part := plan.swap) is not None:
            chunks = [plan.encoder.chunk(part.pieces, after=after) for after in (False, True)]
            self._control = AttentionControl(map_same_tokens(part.pieces, *chunks))
            self._options = get_swap_options(part)

    @contextmanager
    def over(self, unet: Any) -> Iterator[None]:
        """While the UNet is asked through it."""
        self._forward = unet.forward
        if self._control is not None and isinstance(unet.forward, DeepCache):
            raise ModelError(".swap() is not supported with --cache", "remove --cache")
        attention = nullcontext() if self._control is None else self._control.over(unet)
        with attention, replace_forward(unet, self):
            yield

    def __call__(
        self, sample: torch.Tensor, timestep: Any, encoder_hidden_states: Any, *args: Any, **kw: Any
    ) -> Any:
        """The predictions (B, C, h, w) for `sample` (B, C, h, w): B is 2 with guidance, else 1."""
        if (rows := len(sample)) > 2:
            raise ModelError("this prompt's syntax is not supported with --pag", "remove --pag")
        total = getattr(self._pipe, "num_timesteps", None) or self._steps
        call, self._calls = min(self._calls, total - 1), self._calls + 1
        texts = self._plan.positive(call, total)
        ask = _Asker(self._forward, sample, timestep, args, kw)
        if rows == 1 and not self._plan.composes:
            return ask.answer([self._positive(ask, texts[0], 0, call / total)])
        negative = self._plan.negative(call, total)
        if len(texts) == 1 and self._control is None and _same_shape(negative, texts[0].encoded):
            return ask.answer([ask.both(negative, texts[0].encoded)])
        without = ask.one(negative, 0, conditional=False)
        parts = [self._positive(ask, text, rows - 1, call / total) for text in texts]
        if self._plan.composes:
            weights = [text.weight for text in texts]
            guided = without + sum(
                weight * (part - without) for weight, part in zip(weights, parts, strict=True)
            )
        else:
            (guided,) = parts
        return ask.answer([guided] if rows == 1 else [without, guided])

    def _positive(self, ask: _Asker, text: WeightedText, row: int, done: float) -> torch.Tensor:
        """The prediction for one text, for a swap with the original's attention."""
        control = self._control
        if text.original is None or control is None:
            return ask.one(text.encoded, row)
        at = self._skipped + (1 - self._skipped) * done
        options = self._options
        control.cross = options.t_start <= at < options.t_end
        control.self_ = options.s_start <= at < options.s_end
        if not (control.cross or control.self_):
            return ask.one(text.original, row)
        try:
            control.mode = Mode.SAVE
            ask.one(text.original, row)
            control.mode = Mode.APPLY
            return ask.one(text.encoded, row)
        finally:
            control.mode = Mode.OFF


def _same_shape(one: Encoded, other: Encoded) -> bool:
    return one.embeds.shape == other.embeds.shape


@runtime_checkable
class ForwardForRows(Protocol):
    """A `forward` that needs to know which rows have the prompt, and not the negative prompt."""

    def for_rows(self, conditional: Sequence[bool]) -> Callable[..., Any]:
        """The `forward` for such rows."""


class _Asker:
    """One question of the pipeline, asked again for some of its rows."""

    def __init__(
        self, forward: Any, sample: torch.Tensor, timestep: Any, args: Any, kw: dict[str, Any]
    ) -> None:
        self._forward, self._sample, self._timestep = forward, sample, timestep
        self._args, self._kw = args, kw
        self._returned: Any = None

    def one(self, encoded: Encoded, row: int, *, conditional: bool = True) -> torch.Tensor:
        """The prediction (1, C, h, w) for one row and text; the negative one is not
        `conditional`."""
        return self._ask(encoded, slice(row, row + 1), [conditional])

    def both(self, negative: Encoded, positive: Encoded) -> torch.Tensor:
        """The predictions (2, C, h, w) for both rows at once, as the pipeline would ask."""
        pooled = None
        if negative.pooled is not None and positive.pooled is not None:
            pooled = torch.cat([negative.pooled, positive.pooled])
        both = Encoded(torch.cat([negative.embeds, positive.embeds]), pooled)
        return self._ask(both, slice(2), [False, True])

    def answer(self, predictions: list[torch.Tensor]) -> Any:
        """The predictions in the form that the pipeline asked for."""
        joined = torch.cat(predictions)
        if isinstance(self._returned, tuple):
            return (joined, *self._returned[1:])
        return type(self._returned)(sample=joined)

    def _ask(self, encoded: Encoded, rows: slice, conditional: list[bool]) -> torch.Tensor:
        forward = self._forward
        if isinstance(forward, ForwardForRows):
            forward = forward.for_rows(conditional)
        count = len(self._sample)

        def select(value: Any) -> Any:
            if isinstance(value, torch.Tensor) and value.ndim and len(value) == count > 1:
                return value[rows]
            if isinstance(value, dict):
                return {name: select(inner) for name, inner in value.items()}
            if isinstance(value, list | tuple):
                return type(value)(map(select, value))
            return value

        kw = select(self._kw)
        if encoded.pooled is not None and (added := kw.get("added_cond_kwargs")):
            pooled = encoded.pooled.to(added["text_embeds"])
            kw["added_cond_kwargs"] = {**added, "text_embeds": pooled}
        embeds = encoded.embeds.to(self._sample)
        args = select(self._args)
        self._returned = forward(
            self._sample[rows],
            select(self._timestep),
            *((embeds, *args) if args else ()),
            **(kw if args else {**kw, "encoder_hidden_states": embeds}),
        )
        prediction: torch.Tensor = self._returned[0]
        return prediction

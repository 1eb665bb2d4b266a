"""The encoded texts of each step, for the prompt and the negative prompt, from their trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dream.engine.conditioning.encode import Encoded, PromptEncoder, zero
from dream.prompt import How, ParsedPrompt, Piece, PromptPart, SwapOptions
from dream.prompt.tree import Swap


@dataclass(frozen=True)
class WeightedText:
    """An encoded text at one step, and its weight in the guidance."""

    encoded: Encoded
    weight: float = 1.0
    original: Encoded | None = None
    """For `.swap()`: the encoding with the words that are replaced."""


@dataclass(frozen=True)
class Plan:
    """The texts of a prompt at every step of one pass."""

    prompt: ParsedPrompt
    encoder: PromptEncoder
    before: int | None = None
    """Steps of the first pass, for the second of two."""

    @property
    def composes(self) -> bool:
        """Whether the guidance combines several texts (`AND`)."""
        return self.prompt.positive.how is How.COMPOSE

    @property
    def changes(self) -> bool:
        """Whether a text changes between the steps."""
        sides = (self.prompt.positive, self.prompt.negative)
        return any(part.timeline is not None for side in sides for part in side.parts)

    @property
    def swap(self) -> PromptPart | None:
        """The part with `.swap()`; None without."""
        return next((part for part in self.prompt.positive.parts if part.swaps), None)

    def positive(self, call: int, calls: int) -> list[WeightedText]:
        """The texts at the denoiser's call number `call`, from 0, of `calls`."""
        prompt = self.prompt.positive
        if prompt.how in (How.BLEND, How.JOIN):
            return [WeightedText(self.encoder.encode_prompt(prompt))]
        return [self._encode_part(part, call, calls) for part in prompt.parts]

    def negative(self, call: int, calls: int) -> Encoded:
        """The negative text."""
        prompt = self.prompt.negative
        if self.encoder.zeroes_empty and not prompt.words.strip():
            return zero(self.encoder.empty())
        if prompt.how in (How.BLEND, How.JOIN):
            return self.encoder.encode_prompt(prompt)
        return self._encode_part(prompt.parts[0], call, calls).encoded

    def _encode_part(self, part: PromptPart, call: int, calls: int) -> WeightedText:
        if part.timeline is None:
            original = self.encoder.encode(part.pieces, after=False) if part.swaps else None
            return WeightedText(self.encoder.encode(part.pieces), part.weight, original)
        for end, pieces in self._timeline(part, calls):
            # As A1111: a text stays for one call more than it says.
            if call <= end:
                return WeightedText(self.encoder.encode(pieces), part.weight)
        raise AssertionError("the last text is used to the end")

    def _timeline(self, part: PromptPart, calls: int) -> Iterator[tuple[int, tuple[Piece, ...]]]:
        assert part.timeline is not None
        for end, text in part.timeline.list_texts(calls, self.before):
            yield end, part.timeline.read(text)

    def encode_all(self, calls: int) -> None:
        """Encode every text that may be needed, before anything is denoised."""
        for side in (self.prompt.positive, self.prompt.negative):
            for part in side.parts:
                if part.timeline is not None:
                    for _, pieces in self._timeline(part, calls):
                        self.encoder.encode(pieces)


def get_swap_options(part: PromptPart) -> SwapOptions:
    """The options of the first swap of a part; all swaps of a prompt share them."""
    return next(piece.options for piece in part.pieces if isinstance(piece, Swap))

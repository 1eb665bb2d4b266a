"""Encodes parts of a prompt; what was encoded is kept, by text and by what changes the encoder."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import torch

from dream.engine.conditioning.cache import EncodingCache
from dream.engine.conditioning.clip import ClipEncoder, find_encoders
from dream.engine.conditioning.tokens import TokenChunk, make_chunks
from dream.engine.conditioning.weighting import weigh
from dream.prompt import Fragment, How, Piece, Prompt

EMPTY = Fragment("")


@dataclass(frozen=True)
class Encoded:
    """What a denoiser takes of one text."""

    embeds: torch.Tensor
    """(1, tokens, width)."""
    pooled: torch.Tensor | None = None
    """(1, width), of SDXL."""


class PromptEncoder:
    """Encodes for one pipeline of Stable Diffusion 1, 2 or XL."""

    def __init__(
        self,
        pipe: Any,
        weighting: str,
        clip_skip: int | None,
        cache: EncodingCache,
        key: Hashable = (),
    ) -> None:
        """`key` is what else changes an encoding: adapters. Raises ModelError."""
        self.encoders = find_encoders(pipe, clip_skip)
        self.zeroes_empty = bool(getattr(pipe.config, "force_zeros_for_empty_prompt", False))
        """Whether an empty negative prompt is zeros, as for SDXL."""
        self._weighting = weighting
        self._cache = cache
        self._key = (key, weighting, clip_skip)

    @property
    def layout(self) -> ClipEncoder:
        """The encoder by whose tokens chunks are counted."""
        return self.encoders[0]

    def encode(self, pieces: tuple[Piece, ...], *, after: bool = True) -> Encoded:
        """The encoding of one text; of a swap, of one side."""
        key = (pieces, after, self._key)
        encoded = self._cache.get(key)
        if encoded is None:
            encoded = self._encode(pieces, after=after)
            self._cache.add(key, encoded)
        return encoded  # type: ignore[no-any-return]

    def encode_prompt(self, prompt: Prompt) -> Encoded:
        """The encoding of all parts of a prompt that become one: a text, a blend, or a join."""
        parts = [self.encode(part.pieces) for part in prompt.parts]
        weights = [part.weight for part in prompt.parts]
        if prompt.how is How.BLEND:
            return self._blend(parts, weights, normalize=prompt.normalize)
        if prompt.how is How.JOIN:
            return self._join(parts, weights)
        return parts[0]

    @torch.no_grad()
    def _encode(self, pieces: tuple[Piece, ...], *, after: bool) -> Encoded:
        states, pooled = [], None
        for encoder in self.encoders:
            chunks = make_chunks(encoder.tokenizer, pieces, after=after)
            states.append(
                torch.cat([weigh(chunk, encoder.encode, self._weighting) for chunk in chunks], 1)
            )
            pooled = encoder.pool(chunks[0]) if not encoder.normed else None
        return Encoded(torch.cat(states, -1), pooled)

    def _blend(self, parts: list[Encoded], weights: list[float], *, normalize: bool) -> Encoded:
        """The weighted sum; shorter parts are filled up with the empty prompt."""
        total = sum(weights) if normalize else 1.0
        longest = max(part.embeds.shape[1] for part in parts)
        filled = [self.fill(part, longest) for part in parts]
        shares = [weight / total for weight in weights]
        pairs = list(zip(filled, shares, strict=True))
        embeds = sum(part.embeds.float() * share for part, share in pairs)
        assert isinstance(embeds, torch.Tensor)
        pooled = None
        if parts[0].pooled is not None:
            pooled = torch.stack(
                [part.pooled.float() * share for part, share in pairs if part.pooled is not None]
            ).sum(0)
            pooled = pooled.to(parts[0].pooled)
        return Encoded(embeds.to(parts[0].embeds), pooled)

    def _join(self, parts: list[Encoded], weights: list[float]) -> Encoded:
        """One behind the other; a weight moves a part away from the empty prompt."""
        weighed = []
        for part, weight in zip(parts, weights, strict=True):
            if weight != 1:
                empty = self.fill(self.empty(), part.embeds.shape[1]).embeds.float()
                moved = empty + (part.embeds.float() - empty) * weight
                part = replace(part, embeds=moved.to(part.embeds))
            weighed.append(part.embeds)
        return Encoded(torch.cat(weighed, 1), parts[0].pooled)

    def empty(self) -> Encoded:
        """The encoding of the empty prompt, one chunk."""
        return self.encode((EMPTY,))

    def fill(self, encoded: Encoded, length: int) -> Encoded:
        """The encoding, with chunks of the empty prompt behind it up to `length` tokens."""
        missing = length - encoded.embeds.shape[1]
        if missing <= 0:
            return encoded
        empty = self.empty().embeds
        more = empty.repeat(1, -(-missing // empty.shape[1]), 1)[:, :missing]
        return replace(encoded, embeds=torch.cat([encoded.embeds, more], 1))

    def chunk(self, pieces: tuple[Piece, ...], *, after: bool = True) -> list[TokenChunk]:
        """The chunks of a text for the first encoder."""
        return make_chunks(self.layout.tokenizer, pieces, after=after)


def zero(like: Encoded) -> Encoded:
    """What SDXL takes for an empty negative prompt: zeros."""
    pooled = None if like.pooled is None else torch.zeros_like(like.pooled)
    return Encoded(torch.zeros_like(like.embeds), pooled)

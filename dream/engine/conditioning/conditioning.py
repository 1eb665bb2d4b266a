"""What one image's prompt becomes for its pipeline: texts, embeddings, or a guided UNet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dream.core.recipe import Recipe
from dream.engine.conditioning.encode import Encoded, PromptEncoder
from dream.engine.conditioning.guide import Guide
from dream.engine.conditioning.plan import Plan
from dream.engine.conditioning.remember import remember_encodings
from dream.engine.conditioning.token_weights import WeighedText, weigh_tokens
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling.prompt_args import PromptArgs
from dream.options.syntax_table import get_default_weighting
from dream.prompt import ParsedPrompt


@dataclass(frozen=True)
class Conditioning:
    """The prompt of one image, ready for every pass."""

    loaded: LoadedModel
    prompt_args: PromptArgs
    """Texts and guidance, by the names of the pipeline's arguments."""
    plan: Plan | None = None
    """Replaces the texts; None where the pipeline encodes them itself."""
    weighed: tuple[WeighedText, ...] = ()
    """Where the pipeline encodes them itself: texts with weights."""

    @contextmanager
    def applied(
        self, pipe: Any, steps: int, skipped: float, before: int | None
    ) -> Iterator[Mapping[str, Any]]:
        """While a pipeline runs `steps` steps: the arguments for it.

        `skipped` is the share of the schedule before them, `before` the steps of the first pass,
        for the second of two.
        """
        if self.plan is None:
            with (
                weigh_tokens(pipe, self.weighed),
                remember_encodings(pipe, self.loaded, self.weighed),
            ):
                yield self.prompt_args
            return
        plan = replace(self.plan, before=before)
        plan.encode_all(steps)
        (first, *others), negative = plan.positive(0, steps), plan.negative(0, steps)
        arguments = self._arguments(plan, first.encoded, negative)
        lengths = {one.encoded.embeds.shape[1] for one in (first, *others)}
        if lengths == {negative.embeds.shape[1]} and not _needs_guide(plan):
            yield arguments
            return
        with Guide(plan, pipe, steps, skipped).over(pipe.unet):
            yield arguments

    def _arguments(self, plan: Plan, positive: Encoded, negative: Encoded) -> dict[str, Any]:
        """The embeddings by the pipeline's names, both of one length."""
        texts = ("prompt", "negative_prompt")
        arguments: dict[str, Any] = {k: v for k, v in self.prompt_args.items() if k not in texts}
        longest = max(positive.embeds.shape[1], negative.embeds.shape[1])
        for name, one in (("prompt", positive), ("negative_prompt", negative)):
            arguments[f"{name}_embeds"] = plan.encoder.fill(one, longest).embeds
            if one.pooled is not None:
                prefix = "negative_" if name != "prompt" else ""
                arguments[f"{prefix}pooled_prompt_embeds"] = one.pooled
        return arguments


def _needs_guide(plan: Plan) -> bool:
    return plan.composes or plan.changes or plan.swap is not None


def make_plan(loaded: LoadedModel, recipe: Recipe, parsed: ParsedPrompt, skips: bool) -> Plan:
    """The plan for a model with CLIP; `skips` says whether it obeys --clip_skip. Raises
    ModelError."""
    weighting = recipe.weighting or get_default_weighting(recipe.syntax)
    key = getattr(getattr(loaded, "adapters", None), "text_key", ())
    skipped = recipe.clip_skip if skips else None
    encoder = PromptEncoder(loaded.pipe, weighting, skipped, loaded.encodings, key)
    return Plan(parsed, encoder)

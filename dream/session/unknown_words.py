"""Reports words of a prompt that the model was not trained on, once each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dream.catalogue import ModelInfo, unknown_words
from dream.core.errors import excerpt
from dream.core.recipe import Recipe
from dream.options.embedding_triggers import build_trigger_pattern
from dream.prompt import parse_prompt

_LISTED = 6
"""Maximum number of words, unknown or known, that a note lists."""


class UnknownWords:
    """The unknown words reported in this session: each word once per model."""

    def __init__(self) -> None:
        self._noted: set[tuple[str, str]] = set()

    def find_unknown(
        self, recipes: Sequence[Recipe], find: Callable[[str], ModelInfo]
    ) -> Iterator[str]:
        """One note for each model of a line's recipes, if new words are unknown to it."""
        for model in dict.fromkeys(recipe.model for recipe in recipes if recipe.fix is None):
            info = find(model)
            prompts = dict.fromkeys(_words(recipe) for recipe in recipes if recipe.model == model)
            unknown = dict.fromkeys(
                word
                for prompt in prompts
                for word in unknown_words(info.knows, prompt)
                if (model, word) not in self._noted
            )
            if unknown:
                self._noted.update((model, word) for word in unknown)
                yield _note(info, tuple(unknown))


def _words(recipe: Recipe) -> str:
    """The words of the prompt and the negative prompt, without their syntax and embeddings."""
    read = parse_prompt(recipe.prompt, recipe.negative, recipe.syntax)
    triggers = build_trigger_pattern(recipe.embedding or ())
    return triggers.sub(" ", f"{read.positive.words}, {read.negative.words}")


def _note(info: ModelInfo, unknown: Sequence[str]) -> str:
    some = ", ".join(f"“{excerpt(word)}”" for word in unknown[:_LISTED])
    if len(unknown) > _LISTED:
        some += f" and {len(unknown) - _LISTED} more"
    known = ", ".join(info.knows[0][1][:_LISTED])
    return f"{info.name} does not know {some}; it knows {known} …; see !help {info.name}"

"""The languages of a prompt: a text becomes a tree. Standard library only.

`--syntax` names the language. `parse_prompt` reads both sides, `write_prompt` writes one again,
`engine.conditioning` makes embeddings of them. Before that, `expand_templates` chooses the words of
a template, `{red|green} __animal__`.
"""

from dream.prompt.legacy_blend import convert_legacy_blend
from dream.prompt.negative import split_negative
from dream.prompt.networks import Network, extract_networks
from dream.prompt.prompt_parser import parse_prompt
from dream.prompt.template_check import Lookup, check_template, list_variables
from dream.prompt.template_expand import expand_templates, list_combinations
from dream.prompt.template_parser import has_places
from dream.prompt.template_tree import TemplateError
from dream.prompt.tree import (
    Break,
    Fragment,
    How,
    ParsedPrompt,
    Piece,
    Prompt,
    PromptError,
    PromptPart,
    Swap,
    SwapOptions,
    Timeline,
    take_side,
)
from dream.prompt.write import convert_to_a1111, escape_text, write_prompt

__all__ = [
    "Break",
    "Fragment",
    "How",
    "Lookup",
    "Network",
    "ParsedPrompt",
    "Piece",
    "Prompt",
    "PromptError",
    "PromptPart",
    "Swap",
    "SwapOptions",
    "TemplateError",
    "Timeline",
    "check_template",
    "convert_legacy_blend",
    "convert_to_a1111",
    "escape_text",
    "expand_templates",
    "extract_networks",
    "has_places",
    "list_combinations",
    "list_variables",
    "parse_prompt",
    "split_negative",
    "take_side",
    "write_prompt",
]

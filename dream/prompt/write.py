"""Writes a prompt in its syntax: reading what was written gives the same prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from dream.options.syntax_table import INVOKEAI, PLAIN
from dream.prompt.swap_options import format_swap_options
from dream.prompt.tree import (
    Break,
    Fragment,
    How,
    Node,
    Piece,
    Prompt,
    PromptPart,
    Swap,
)

_INVOKEAI_SIGNS = re.compile(
    r"""[\\()\[\]（）"<] | (?<=\S)(?:\++|-+)(?=[\W_]|\Z) | [:：](?=\s*[+-]?[\d.])
      | \.(?=(?:attend|swap|blend|and|add)\b)""",
    re.VERBOSE,
)
_A1111_SIGNS = re.compile(
    r"[\\()\[\]\#<:|]|(?<=\bA)(?=ND\b)|(?<=\bB)(?=REAK\b)|(?:(?<=with)|(?<=use))(?=Lora\Z)"
)


def write_prompt(prompt: Prompt, syntax: str) -> str:
    """The prompt as text: `parse(write_prompt(p, s), s) == p` for every p that was parsed."""
    if prompt.how is How.COMPOSE:
        parts = (f"{_write_part(part, syntax)}:{_number(part.weight)} " for part in prompt.parts)
        return "AND".join(parts)
    if prompt.how is How.TEXT:
        return _write_part(prompt.parts[0], syntax)
    texts = ", ".join(f'"{_write_part(part, syntax)}"' for part in prompt.parts)
    weights = ", ".join(_number(part.weight) for part in prompt.parts)
    raw = "" if prompt.normalize else ", no_normalize"
    return f"({texts}).{prompt.how.value}({weights}{raw})"


def convert_to_a1111(prompt: Prompt) -> str | None:
    """The prompt as A1111 and the programs that read its text weight it; weights have four digits.
    None for what they have no words for: a blend, a swap, a text that changes."""
    joined = prompt.how is How.JOIN and all(part.weight == 1 for part in prompt.parts)
    if prompt.how is not How.TEXT and not joined:
        return None
    if any(part.timeline or part.swaps for part in prompt.parts):
        return None
    return " BREAK ".join("".join(map(_convert_piece, part.pieces)) for part in prompt.parts)


def _convert_piece(piece: Piece) -> str:
    if not isinstance(piece, Fragment):
        return " BREAK "
    # Only what always is syntax there: escaped colons and the like are shown as they are.
    text = re.sub(r"[\\()\[\]]", r"\\\g<0>", piece.text)
    return text if piece.weight == 1 else f"({text}:{_number(round(piece.weight, 4))})"


def escape_text(text: str, syntax: str) -> str:
    """Words as a prompt that says just these words."""
    if syntax == PLAIN:
        return re.sub(r"[\[\]]", r"\\\g<0>", text)
    signs = _INVOKEAI_SIGNS if syntax == INVOKEAI else _A1111_SIGNS
    return signs.sub(lambda match: "".join(f"\\{sign}" for sign in match[0]) or "\\", text)


def _write_part(part: PromptPart, syntax: str) -> str:
    if part.timeline is not None:
        return _write_nodes(part.timeline.nodes)
    return "".join(_write_pieces(part.pieces, syntax))


def _write_pieces(pieces: Iterable[Piece], syntax: str) -> Iterable[str]:
    last = ""
    for piece in pieces:
        name, last = last.endswith("Lora"), piece.text if isinstance(piece, Fragment) else ""
        match piece:
            case Break():
                yield " BREAK "
            case Swap(before, after, options):
                left, right = ("".join(_write_pieces(s, syntax)) for s in (before, after))
                left = f"(({left}))" if name else f"({left})"
                yield f"{left}.swap(({right}){format_swap_options(options)})"
            case Fragment(text, 1.0):
                yield escape_text(text, syntax)
            case Fragment(text, weight):
                written = f"({escape_text(text, syntax)}:{_number(weight)})"
                yield f"({written})" if name and syntax == INVOKEAI else written


def _write_nodes(nodes: Iterable[Node]) -> str:
    return "".join(node if isinstance(node, str) else node.source for node in nodes)


def _number(value: float) -> str:
    """Digits, a dot, no exponent, and all of the number."""
    return format(Decimal(repr(value)), "f").removesuffix(".0")

"""How much of a prompt a pipeline reads: its text encoders take a limited number of tokens, and
some pipelines put words of their own before it.

Sources: the tokenizers' arguments in diffusers' `encode_prompt` of each pipeline.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

Row = TypeVar("Row")

NO_LIMIT = 100_000
"""Tokenizers without a limit report a huge number."""

_ARGUMENT = "max_sequence_length"
"""Of pipelines: the tokens of a text. Its default is what they use."""

_PLACEHOLDER = "\0"


class _Frame(NamedTuple):
    """What a pipeline makes of a text before it is encoded."""

    before: str = ""
    """Put before the text."""
    more: int = 0
    """Tokens beyond the limit, which are dropped after they were encoded."""
    is_whole: bool = False
    """Whether `before` has the special tokens, so that the tokenizer adds none."""


def _frame_template(pipe: Any, tokenizer: Any, is_negative: bool) -> _Frame:
    before = pipe.prompt_template_encode.partition("{}")[0]
    return _Frame(before, pipe.prompt_template_encode_start_idx)


def _frame_krea(pipe: Any, tokenizer: Any, is_negative: bool) -> _Frame:
    suffix = pipe.prompt_template_encode_num_suffix_tokens
    more = pipe.prompt_template_encode_start_idx - suffix
    return _Frame(pipe.prompt_template_encode_prefix, more)


def _frame_ovis(pipe: Any, tokenizer: Any, is_negative: bool) -> _Frame:
    (message,) = pipe._get_messages(_PLACEHOLDER)
    return _Frame(message.partition(_PLACEHOLDER)[0], pipe.user_prompt_begin_id, is_whole=True)


def _frame_chat(pipe: Any, tokenizer: Any, is_negative: bool) -> _Frame:
    return _Frame(_write_chat(tokenizer, [{"role": "user", "content": _PLACEHOLDER}]))


def _frame_system_chat(pipe: Any, tokenizer: Any, is_negative: bool) -> _Frame:
    said = (("system", pipe.system_message), ("user", _PLACEHOLDER))
    chat = [{"role": who, "content": [{"type": "text", "text": text}]} for who, text in said]
    return _Frame(_write_chat(tokenizer, chat), is_whole=True)


def _write_chat(tokenizer: Any, messages: list[dict[str, Any]]) -> str:
    if not tokenizer.chat_template:  # the pipeline says so
        return ""
    chat: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    return chat.partition(_PLACEHOLDER)[0]


def _frame_lumina(pipe: Any, tokenizer: Any, is_negative: bool) -> _Frame:
    return _Frame() if is_negative else _Frame(f"{pipe.system_prompt} <Prompt Start> ")


def _frame_sana(pipe: Any, tokenizer: Any, is_negative: bool) -> _Frame:
    if is_negative:
        return _Frame()
    parameters = inspect.signature(pipe.__call__).parameters
    instruction = "\n".join(parameters["complex_human_instruction"].default)
    return _Frame(instruction, len(tokenizer.encode(instruction)) - 2)


_FRAMES: Mapping[str, Callable[[Any, Any, bool], _Frame]] = {
    "QwenImage": _frame_template,
    "Krea2": _frame_krea,
    "OvisImage": _frame_ovis,
    "ZImageOmni": lambda *_: _Frame("<|im_start|>user\n"),
    "ZImage": _frame_chat,
    "Flux2Klein": _frame_chat,
    "Flux2": _frame_system_chat,
    "Lumina2": _frame_lumina,
    "Sana": _frame_sana,
}
"""By the beginning of a pipeline's class; given a pipeline, its tokenizer, and whether the text is
a negative prompt. Other pipelines encode a text alone."""

_LIMITS: Mapping[str, Mapping[str, int | None]] = {
    "QwenImageEdit": {"tokenizer": None},
    "HunyuanDiT": {"tokenizer": 77, "tokenizer_2": 256},
    "HiDream": {"tokenizer": 128, "tokenizer_2": 128},
}
"""The tokens of a text where neither `max_sequence_length` nor the tokenizer says them, by the
beginning of a pipeline's class and the tokenizer's name; None is no limit."""


def get_truncated_text(pipe: Any, text: str, *, is_negative: bool = False) -> str:
    """The end of a prompt or a negative prompt that no text encoder of a pipeline takes; empty if
    none."""
    lower = text.lower()
    changes_case = hasattr(pipe, "_text_preprocessing") and len(lower) == len(text)
    read = [
        _count_read(pipe, name, tokenizer, lower if changes_case else text, is_negative)
        for name, tokenizer in list_tokenizers(pipe)
    ]
    return text[max(read, default=len(text)) :].strip()


def list_tokenizers(pipe: Any) -> Iterator[tuple[str, Any]]:
    """The tokenizers of a pipeline and their names, in its order."""
    for name, part in pipe.components.items():
        if name.startswith("tokenizer") and part is not None:
            # FLUX.2 dev has a processor in its place; Kolors' own has another in it
            yield name, part if hasattr(part, "model_max_length") else part.tokenizer


def _count_read(pipe: Any, name: str, tokenizer: Any, text: str, is_negative: bool) -> int:
    """How many letters of a text are within a tokenizer's limit."""
    limit = _get_limit(pipe, name, tokenizer)
    if limit is None:
        return len(text)
    make_frame = _find_row(_FRAMES, pipe)
    frame = make_frame(pipe, tokenizer, is_negative) if make_frame else _Frame()
    room = limit + frame.more
    if not frame.before and len(text.encode()) < room - 2:  # a token is at least one byte
        return len(text)
    if not frame.is_whole:
        room -= tokenizer.num_special_tokens_to_add()
    whole = frame.before + text
    options = {"add_special_tokens": False, "truncation": False, "verbose": False}
    if tokenizer.is_fast:
        spans = tokenizer(whole, return_offsets_mapping=True, **options)["offset_mapping"]
        end = spans[room][0] if len(spans) > room else len(whole)
    else:  # it does not say where its tokens are
        ids = tokenizer(whole, **options)["input_ids"]
        end = len(tokenizer.decode(ids[:room])) if len(ids) > room else len(whole)
    return max(0, end - len(frame.before))


def _get_limit(pipe: Any, name: str, tokenizer: Any) -> int | None:
    """Tokens of a text, with the special ones; None is no limit."""
    rows = _find_row(_LIMITS, pipe) or {}
    if name in rows:
        return rows[name]
    argument = inspect.signature(pipe.__call__).parameters.get(_ARGUMENT)
    own = int(tokenizer.model_max_length)
    is_clip = type(tokenizer).__name__.startswith("CLIP")  # it has places for no more
    limit = own if argument is None or is_clip else int(argument.default)
    return limit if limit < NO_LIMIT else None


def _find_row(rows: Mapping[str, Row], pipe: Any) -> Row | None:
    """The first value whose key the name of a pipeline's class begins with."""
    return next((row for key, row in rows.items() if type(pipe).__name__.startswith(key)), None)

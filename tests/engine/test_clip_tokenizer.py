"""CLIP's numbering, as its own tokenizer gives it."""

from __future__ import annotations

from dream.engine.loading.clip_tokenizer import VOCAB_SIZE, build_clip_tokenizer


def test_known_prompts_have_their_known_numbers() -> None:
    tokenizer = build_clip_tokenizer()
    assert len(tokenizer) == VOCAB_SIZE
    for text, numbers in (
        ("a photo of a cat", [320, 1125, 539, 320, 2368]),
        ("A photo  of a\nCAT", [320, 1125, 539, 320, 2368]),
        ("hello world!", [3306, 1002, 256]),
        ("an astronaut riding a horse", [550, 18376, 6765, 320, 4558]),
    ):
        assert tokenizer(text).input_ids == [49406, *numbers, 49407]


def test_what_fills_up() -> None:
    whole = {"padding": "max_length", "truncation": True}
    assert build_clip_tokenizer()("a", **whole).input_ids == [49406, 320, *[49407] * 75]
    assert build_clip_tokenizer("!")("a", **whole).input_ids == [49406, 320, 49407, *[0] * 74]

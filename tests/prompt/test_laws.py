"""What holds for every prompt: any text parses, and what is written is read as the same."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest

from dream.options.syntax_table import A1111, INVOKEAI, PLAIN, SYNTAXES
from dream.prompt import PromptError, parse_prompt, write_prompt
from tests.prompt.test_a1111 import ROWS as A1111_ROWS
from tests.prompt.test_invokeai import ROWS as INVOKEAI_ROWS

SCRAPS = (
    *'()[]{}"\\:+-.,|#<>（）：，',
    *(" ", "  ", "\n", "cat", "a red circle", "1.3", "0.5", "红色", "é", "BREAK", " AND ", ":3]"),
    *(".swap(", ".blend(", ".and()", ".attend(0.5)", "<lora:x:1>", "withLora(y)", "[a:b:0.5]"),
)


def made_up(seed: int) -> str:
    rng = random.Random(seed)
    return "".join(rng.choices(SCRAPS, k=rng.randint(1, 40)))


PROMPTS = [*INVOKEAI_ROWS, *A1111_ROWS, *map(made_up, range(1500))]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_writing_and_reading_again_gives_the_same(syntax: str) -> None:
    read = 0
    for prompt in PROMPTS:
        try:
            parsed = parse_prompt(prompt, "", syntax)
        except PromptError as error:
            assert syntax == INVOKEAI and error.message and error.column >= 0
            continue
        read += 1
        for side in (parsed.positive, parsed.negative):
            if syntax == A1111 and side is parsed.negative:
                continue  # AND is a word there, and only there
            written = write_prompt(side, syntax)
            assert parse_prompt(written, "", syntax).positive == side, (prompt, written)
    assert read > len(PROMPTS) * 0.8


def test_words_without_signs_are_the_same_in_every_syntax() -> None:
    for words in ("a red circle on blue", "一个红色的圆形，蓝色背景", "x-ray, 16:9 'n' roll. 3.5"):
        for syntax in SYNTAXES:
            parsed = parse_prompt(words, "dark", syntax)
            assert parsed.positive.is_plain and parsed.positive.plain_text == words
            assert parsed.negative.is_plain and parsed.negative.plain_text == "dark"


@pytest.mark.parametrize(("prompt", "syntax"), [("(a) (red (circle))", INVOKEAI), ("([a])", A1111)])
def test_weights_of_1_are_no_weights(prompt: str, syntax: str) -> None:
    parsed = parse_prompt(prompt, "", syntax).positive
    assert parsed.is_plain and parsed.plain_text == prompt.translate({ord(c): None for c in "()[]"})


HARD = {
    "nested": "((((((a (b (c (d))))))))",
    "deep": "(" * 200 + "a" * 9600 + ")" * 200,
    "deeper": "(" * 5000 + ")" * 5000,
    "open": "(a " * 3333,
    "mixed": "[(:" * 3333,
    "real": ("(masterpiece:1.2), cat++, a red circle on blue, (best quality)1.1, " * 200)[:10_000],
    "methods": "a.swap(" * 1400,
    "quotes": '"' * 10_000,
    "spaces": " " * 10_000 + "BREAK",
    "schedules": "[a:" * 2000 + "b:3]" * 1000,
    "networks": "<withLora(" * 1000,
    "runs": "+" * 10_000,
    "squares": "[a]" * 3333,
    "commas": "(" + "a," * 5000 + ").blend(",
}


@pytest.mark.parametrize("syntax", [INVOKEAI, A1111, PLAIN])
@pytest.mark.parametrize("kind", HARD)
def test_time_is_linear(kind: str, syntax: str) -> None:
    def parse() -> float:
        began = time.thread_time()
        with suppress(PromptError):
            parse_prompt(HARD[kind], "", syntax)
        return time.thread_time() - began

    # Measured 1 to 25 ms; a parser that goes back takes seconds, or for ever. Twice: a collection
    # of garbage over all that other tests left counts too.
    assert min(parse(), parse()) < 0.3

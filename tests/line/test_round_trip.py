"""`read` and `write` are each other's inverse, and `read` never fails in an unexplained way."""

from __future__ import annotations

import contextlib
import gc
import random
import re
import time
from dataclasses import replace
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dream.core.errors import BadLine
from dream.core.request import FLAGS, Request
from dream.line import (
    behind_prefix,
    format_line,
    is_skipped,
    make_typable,
    parse_line,
    parse_log_line,
    read_leniently,
    split_negative,
    write_spelled,
)
from dream.options.control import CONTROL_KINDS, Control, ImagePrompt
from dream.options.image_output import METADATA, METADATA_KINDS
from dream.options.lora import Hypernet, Lora
from dream.options.option_type import BOOLEAN_FLAG, OptionType, Upscale
from dream.options.outpaint import SIDES, TILES, Embiggen, Outcrop, Shift
from dream.options.text_mask import TextMask
from dream.options.variations import Variation
from tests.line.eras import LOGGED, TYPED, WRONG

# What the language gives a meaning to, in any company, and what it has to keep from a line.
_MEANING = st.text(
    st.sampled_from(
        list("\"\\'`$;&-=#:!,.[]{}() \t\n\r\x00\x1b\x85\u2028\u2029\ufeff\ud83d\ude00u5snS")
    ),
    max_size=12,
)
_PHRASES = st.sampled_from(
    [
        " -s5",
        "--steps",
        " # ",
        "a.png: ",
        '"',
        '\\"',
        "\\",
        "\\u{a}",
        "C:\\new",
        "\\\\nas\\a b",
        "utdir",
        "=here",
        "!dream ",
        "[12] ",
        "一只猫",
        "🐈‍⬛",
        "\u202eabc",
        "//",
        "-",
        "--",
        "''",
    ]
)
_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=20),
    st.lists(st.one_of(_MEANING, _PHRASES), max_size=6).map("".join),
)
_NUMBERS = [0, 1, 2, 3, 6, 9, 64, 100, 400, 512, 1000, 4096, 9999, 2**32 - 1, -1, -77]


def _takes(kind: OptionType[Any], value: Any) -> bool:
    try:
        return bool(kind.read(kind.write(value)) == value)
    except ValueError:
        return False


def _values(field: str, hint: Any) -> st.SearchStrategy[Any]:
    """Any value a field may have, whatever fields the table will have one day."""
    flag = FLAGS[field]
    if field == "prompt":
        return _TEXT
    if flag.kind is BOOLEAN_FLAG:
        return st.booleans()
    if flag.kind.choices:
        values: st.SearchStrategy[Any] = st.sampled_from(flag.kind.choices)
    elif Upscale in getattr(hint, "__args__", ()):
        values = st.builds(Upscale, st.floats(1, 8), st.floats(0, 1))
    elif Outcrop in getattr(hint, "__args__", ()):
        values = st.builds(Outcrop, *[st.integers(0, 4096)] * 4).filter(any)
    elif Shift in getattr(hint, "__args__", ()):
        pixels = st.one_of(st.none(), st.integers(1, 4096))
        values = st.builds(Shift, st.sampled_from(SIDES), pixels)
    elif Embiggen in getattr(hint, "__args__", ()):
        overlap = st.one_of(st.floats(0, 0.75), st.integers(1, 4096).map(float))
        values = st.builds(Embiggen, st.floats(1, 16), st.floats(0, 1), overlap)
    elif flag.kind is TILES:
        numbers = st.sets(st.integers(1, 9999), min_size=1, max_size=9)
        values = numbers.map(lambda tiles: tuple(sorted(tiles)))
    elif TextMask in getattr(hint, "__args__", ()):
        words = st.one_of(st.sampled_from(["cat AND NOT (dog OR red ball)", "NOT 猫"]), _TEXT)
        values = st.builds(TextMask, words, st.floats(0, 1))
    elif flag.kind is METADATA:
        values = st.sets(st.sampled_from(METADATA_KINDS)).map(
            lambda kinds: tuple(kind for kind in METADATA_KINDS if kind in kinds)
        )
    elif field == "with_variations":
        one = st.builds(Variation, st.integers(0, 2**32 - 1), st.floats(0, 1))
        values = st.lists(one, min_size=1, max_size=3).map(tuple)
    elif field == "control":
        spans = st.sampled_from([(0.0, 1.0), (0.25, 0.5), (1e-9, 1.0)])
        one = st.builds(
            lambda kind, image, weight, span: Control(kind, image, weight, *span),
            *(st.sampled_from(list(CONTROL_KINDS)), _TEXT.filter(bool), st.floats(0, 10), spans),
        )
        values = st.lists(one, min_size=1, max_size=3).map(tuple)
    elif field == "image_prompt":
        one = st.builds(ImagePrompt, _TEXT.filter(bool), st.floats(0, 10))
        values = st.lists(one, min_size=1, max_size=3).map(tuple)
    elif field in ("embedding", "reference", "control_model"):
        values = st.lists(_TEXT.filter(bool), max_size=3).map(tuple)
    elif field == "hypernet":
        one = st.builds(Hypernet, _TEXT.filter(bool), st.floats(-3, 3))
        values = st.lists(one, min_size=1, max_size=3).map(tuple)
    elif field == "lora":
        weights = st.floats(-3, 3)
        one = st.builds(Lora, _TEXT.filter(bool), weights, st.one_of(st.none(), weights))
        values = st.lists(one, min_size=1, max_size=3).map(tuple)
    elif str in (hint, *getattr(hint, "__args__", ())):
        values = _TEXT.filter(bool)
    elif float in (hint, *getattr(hint, "__args__", ())):
        values = st.one_of(st.floats(0, 1), st.floats(1, 30), st.floats(1))
    else:
        values = st.sampled_from([n for n in _NUMBERS if _takes(flag.kind, n)])
    return st.one_of(st.just(flag.default), values.filter(lambda value: _takes(flag.kind, value)))


PATIENT = settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
"""However many values a kind refuses, and however busy the machine is."""

REQUESTS = _REQUESTS = st.builds(
    Request, **{field: _values(field, get_type_hints(Request)[field]) for field in FLAGS}
)


@settings(PATIENT, max_examples=250)
@given(_REQUESTS, _REQUESTS)
@example(Request(prompt='"a" -s5 # \\'), Request(prompt="b", grid=True, negative="c"))
@example(Request(outdir="utdir"), Request())
@example(Request(outdir="-S"), Request(outdir="=here"))
def test_what_is_written_is_read_again(request_: Request, base: Request) -> None:
    line = format_line(request_, base)
    assert parse_line(line, base) == request_
    assert len(line.splitlines()) == 1 and line == line.strip()
    assert line.encode("utf-8").decode("utf-8") == line
    assert not is_skipped(line)
    assert parse_log_line(line).path is None


@settings(PATIENT, max_examples=150)
@given(_REQUESTS)
@example(Request(prompt="a [b", negative="c]"))
@example(Request(prompt="a hat [red]", negative="blurry, dark"))
def test_what_is_spelled_out_means_the_same(request_: Request) -> None:
    line = write_spelled(request_)
    again = parse_line(line)
    assert len(line.splitlines()) == 1 and parse_log_line(line).path is None
    assert split_negative(again.prompt, again.negative) == split_negative(
        request_.prompt, request_.negative
    )
    same = replace(again, prompt=request_.prompt, negative=request_.negative)
    assert same == request_


@settings(PATIENT, max_examples=100)
@given(_REQUESTS)
def test_a_line_of_ours_is_typed_as_it_is(request_: Request) -> None:
    assert make_typable(format_line(request_)) == format_line(request_)


@settings(PATIENT, max_examples=300)
@given(_TEXT)
@example("dream> !del_model x --files")
@example('"a" -s2\n!set steps 3')
@example("[1] [2] !set steps 3")
@example("q")
@example("\ufeff\ufeff0 0")
def test_what_is_typable_is_one_line_and_no_command(text: str) -> None:
    line = make_typable(text)
    assert len(line.splitlines()) <= 1 and line.isascii() <= line.isprintable()
    assert make_typable(line) == line
    begun = line[behind_prefix(line) :]
    assert not begun.startswith("!") or begun.startswith(("!fix", "!dream"))
    assert line not in ("q", "quit", "exit", "help", "?", "-h", "--help")


@settings(PATIENT, max_examples=100)
@given(_REQUESTS, st.sampled_from(["a.png", "my pictures\\a.png", "out/0.1/x 'y' \"z\".png"]))
def test_what_is_logged_is_read_again(request_: Request, path: str) -> None:
    logged = parse_log_line(f"{path}: {format_line(request_)} # sha256:0123456789abcdef")
    assert (logged.path, logged.comment) == (path, "sha256:0123456789abcdef")
    assert parse_line(logged.line) == request_


@settings(PATIENT, max_examples=300)
@given(_TEXT)
def test_text_without_switches_or_quotes_is_a_prompt_as_it_stands(text: str) -> None:
    text = text.strip()
    plain = not re.search(r'(?:^|\s)-{1,2}[A-Za-z]|^[\ufeff"!]|\.png:|^\[\d|>', text)
    if plain and not is_skipped(text):
        assert parse_line(text).prompt == text


def _mutations(count: int) -> list[str]:
    """Lines of all eras, cut, doubled, shuffled and sprinkled; and noise."""
    chance = random.Random(42)
    lines = [case.line for case in [*LOGGED, *TYPED, *WRONG]]
    letters = '""\'\\\\-- -s=#{}[]:,!.5\t\n\x00\ud800é猫🐈 -U -o --no- .png: '
    mutants = []
    for _ in range(count):
        line = chance.choice(lines)
        for _ in range(chance.randrange(4)):
            a, b = sorted(chance.randrange(len(line) + 1) for _ in range(2))
            other = chance.choice(lines)
            noise = "".join(chance.choices(letters, k=chance.randrange(8)))
            line = chance.choice(
                [
                    line[:a] + line[b:],
                    line[:a] + noise + line[b:],
                    line[:b] + line[a:],
                    line[:a] + other[a:],
                    " ".join(chance.sample(line.split(" "), line.count(" ") + 1)),
                ]
            )
        mutants.append(line)
    return mutants


def test_twenty_thousand_lines_are_read_or_refused_with_a_column() -> None:
    refused = 0
    for line in _mutations(20_000):
        try:
            whole = parse_line(line)
            assert isinstance(whole, Request)
            assert read_leniently(line)[0] == whole
        except BadLine as error:
            refused += 1
            assert read_leniently(line)[1], "what cannot be read is named"
            assert 0 <= error.column <= len(line) + 1
            assert len(str(error).splitlines()) == 1
            str(error).encode()
    assert 2_000 < refused < 18_000


@pytest.mark.parametrize(
    "line",
    [
        '"' * 100_000,
        '"\\' * 50_000,
        ' "a' * 30_000,
        ' \\"' * 30_000,
        '"a" ' * 25_000,
        "-" * 100_000,
        "a " * 50_000,
        "x -s" + "5" * 100_000,
        "x -" + "a" * 100_000,
        ".png: " * 16_000,
        "x -s5 " * 16_000,
        "x " + "-S " * 30_000,
        ".png: -S " * 11_000,
        "a.png: " + '{"a":' * 20_000,
        'a.png: {"a":' * 9_000,
        "x --" + "no-" * 33_000,
        '"' + "\\\\" * 50_000,
        '-a="' * 25_000,
    ],
    ids=lambda line: line[:12],
)
def test_no_line_takes_long(line: str) -> None:
    gc.disable()  # a collection would walk what all other tests left behind, and count it here
    start = time.thread_time()
    try:
        with contextlib.suppress(BadLine):
            parse_line(line)
    finally:
        seconds = time.thread_time() - start
        gc.enable()
    # A hundredth of a second each on an idle machine; quadratic time would be minutes.
    assert seconds < 1

"""InvokeAI's prompts and what they parse to: rows measured with compel 2.5.1."""

from __future__ import annotations

import re

import pytest

from dream.prompt import (
    Break,
    Fragment,
    How,
    Piece,
    Prompt,
    PromptError,
    Swap,
    convert_legacy_blend,
    extract_networks,
    parse_prompt,
)
from dream.prompt.invokeai_parser import parse_invokeai


def tidy(text: str) -> str:
    """Compel's spaces around punctuation do not count: CLIP's tokens are the same."""
    return re.sub(r"\s*([,.])\s*", r"\1", " ".join(text.split()))


def flat(pieces: tuple[Piece, ...]) -> list[tuple[str, float]]:
    made = []
    for piece in pieces:
        assert not isinstance(piece, Break)
        if isinstance(piece, Fragment):
            made.append((tidy(piece.text), round(piece.weight, 4)))
        else:
            made.append((f"{flat(piece.before)}→{flat(piece.after)}", 0))
    return made


def expected(row: str) -> list[tuple[str, float]]:
    """`fire·1 + flames·.5` as pairs."""
    pairs = [part.rpartition("·") for part in row.split(" + ")]
    return [(tidy(text), float(weight)) for text, _, weight in pairs]


ROWS = {
    "fire flames": "fire flames·1",
    "fire (flames)": "fire flames·1",
    "fire,flames": "fire, flames·1",
    "cat hot-dog eating": "cat hot-dog eating·1",
    "(flames)0.5": "flames·.5",
    "flames.attend(0.5)": "flames·.5",
    '"flames".attend(0.5)': "flames·.5",
    "(flames).attend(0.5)": "flames·.5",
    "flames+": "flames·1.1",
    '"flames"+': "flames·1.1",
    "(flames)+": "flames·1.1",
    "flames.attend(+)": "flames·1.1",
    "flames-": "flames·.9",
    "(flowers)--- flames+++": "flowers·.729 + flames·1.331",
    "flowers fire++ flames": "flowers·1 + fire·1.21 + flames·1",
    "fire (flames)0.5": "fire·1 + flames·.5",
    "(pretty flowers)+, the flames are too hot": "pretty flowers·1.1 + , the flames are too hot·1",
    "(a text.)0.7. (a second text.)0.8": "a text .·.7 + .·1 + a second text .·.8",
    "middle age,fantasy++ style": "middle age,·1 + fantasy·1.21 + style·1",
    "fire (flames (trees)1.5)2.0": "fire·1 + flames·2 + trees·3",
    'hairy ("mountain, man" with a beard+)+': "hairy·1 + mountain , man with a·1.1 + beard·1.21",
    'hairy ("mountain, man" with a (beard)2.0)+': "hairy·1 + mountain, man with a·1.1 + beard·2.2",
    r'hairy ((\(man\))1.1 "mountain")+': "hairy·1 + (man)·1.21 + mountain·1.1",
    r"mountain \(man\)": "mountain (man)·1",
    r"mountain (\(man\))+": "mountain·1 + (man)·1.1",
    r"\"mountain\" (\(man\))+": '"mountain"·1 + (man)·1.1',
    r"mountain (\(man)\)": "mountain (man)·1",
    "a badly (formed test prompt": "a badly (formed test prompt·1",
    "a badly (formed +test )prompt": "a badly formed +test prompt·1",
    "(((a badly (formed +test )prompt": "(((a badly formed +test prompt·1",
    "(a (ba)dly (f)ormed +test prompt": "(a ba dly f ormed +test prompt·1",
    "hamburger ((bun))": "hamburger bun·1",
    "(a)+(b)-": "a·1.1 + b·.9",
    "(cat) 1.5": "cat 1.5·1",
    "x-ray": "x-ray·1",
    "x-ray+": "x-ray·1.1",
    "a - b": "a - b·1",
    "a -tall man": "a -tall man·1",
    "a +tall man": "a +tall man·1",
    "-5 degrees": "-5 degrees·1",
    "2+2=4": "2+2=4·1",
    "rock 'n' roll -": "rock 'n' roll -·1",
    "C++ code": "C·1.21 + code·1",
    "5-": "5·.9",
    "A+ grade": "A·1.1 + grade·1",
    "cat+, dog-": "cat·1.1 + ,·1 + dog·.9",
    "cat+dog": "cat+dog·1",
    "(cat).5": "cat·.5",
    "(cat)2": "cat·2",
    "(cat)0": "cat·0",
    "room (number)7": "room·1 + number·7",
    "a photo (1990s)": "a photo 1990s·1",
    'a 5" disk': 'a 5" disk·1',
    'the "cat': 'the "cat·1',
    "it's a dog's life": "it's a dog's life·1",
    'a "quoted phrase" here': "a quoted phrase here·1",
    "a <my-style>+ cat": "a·1 + <my-style>·1.1 + cat·1",
    "a {red|blue} ball": "a {red|blue} ball·1",
    "一个红色的圆形+": "一个红色的圆形·1.1",
    '""': "·1",
    "()": "·1",
    # What is different here, on purpose:
    "(happy camper:1.3)": "happy camper·1.3",
    "Canon (EOS)5D camera": "Canon EOS 5D camera·1",
    "cat++dog": "cat++dog·1",
    "(cat)-1": "cat-1·1",
    "(cat)-0.5": "cat-0.5·1",
    r"C\+\+": "C++·1",
    "一个(红色的)1.3圆形": "一个·1 + 红色的·1.3 + 圆形·1",
    "（红色）1.2": "红色·1.2",
    "（红色：1.2）的猫": "红色·1.2 + 的猫·1",
    "(a:1.2)(b:1.3)": "a·1.2 + b·1.3",
    "(16:9 poster:1.1)": "16:9 poster·1.1",
    "(x)1.2 (y)1.2": "x y·1.2",
}


@pytest.mark.parametrize("prompt", ROWS)
def test_attention(prompt: str) -> None:
    parsed = parse_invokeai(prompt)
    assert parsed.how is How.TEXT
    assert flat(parsed.parts[0].pieces) == expected(ROWS[prompt])


def test_a_run_after_a_run_is_words() -> None:
    assert flat(parse_invokeai("C+ + +").parts[0].pieces) == [("C", 1.1), ("+ +", 1)]


def parts(prompt: Prompt) -> list[list[tuple[str, float]]]:
    return [flat(part.pieces) for part in prompt.parts]


@pytest.mark.parametrize(
    ("prompt", "texts", "weights"),
    [
        ('("mountain", "man").blend()', ["mountain", "man"], [1, 1]),
        ("(mountain, man).blend()", ["mountain", "man"], [1, 1]),
        ("((mountain), (man)).blend()", ["mountain", "man"], [1, 1]),
        ("((mountain), (tall man)).blend()", ["mountain", "tall man"], [1, 1]),
        ('("fire", "fire flames").blend(0.7, 0.3)', ["fire", "fire flames"], [0.7, 0.3]),
        ('("fire").blend(0.7)', ["fire"], [0.7]),
        ('("fire", "  ").blend(0.7, 1)', ["fire", ""], [0.7, 1]),
        ('("a, b", "c").blend(1, -1, no_normalize)', ["a,b", "c"], [1, -1]),
        ("(a big cat, a dog).blend(1,1)", ["a big cat", "a dog"], [1, 1]),
    ],
)
def test_blend(prompt: str, texts: list[str], weights: list[float]) -> None:
    parsed = parse_invokeai(prompt)
    assert parsed.how is How.BLEND
    assert parsed.normalize is ("no_normalize" not in prompt)
    assert parts(parsed) == [[(text, 1)] for text in texts]
    assert [part.weight for part in parsed.parts] == weights


def test_weights_inside_a_blend() -> None:
    parsed = parse_invokeai('("fire", "fire flames (hot)++", "hi").blend(0.7, 0.3, 1.0)')
    assert parts(parsed)[1] == [("fire flames", 1), ("hot", 1.21)]


def test_and() -> None:
    for name in ("and", "add"):
        parsed = parse_invokeai(f'("(fire)2.0", "flames-").{name}(2,1)')
        assert parsed.how is How.JOIN and [part.weight for part in parsed.parts] == [2, 1]
        assert parts(parsed) == [[("fire", 2)], [("flames", 0.9)]]
    assert [part.weight for part in parse_invokeai('("fire", "flames").and()').parts] == [1, 1]


@pytest.mark.parametrize(
    ("prompt", "column"),
    [
        ('("a", "b").blend(0.7)', 18),
        ('("a", "b").blend(1, 2, 3)', 18),
        ('("a", "b").blend(1, x)', 20),
        ('("a, b", "c, eyes--").blend(1,-1)', 22),
        ('((mountain), "cat.swap(dog)").blend()', 18),
        ('a photo of ("a cat", "a dog").blend(1,1)', 30),
        ('("a cat", "a dog").blend(1,1) in the rain', 19),
        ('(("a", "b").blend(1,1), "c").blend(1,1)', 12),
        ('("fire", "flames").and(2)', 24),
        ('("a","b").and() x', 10),
        ('x ("a","b").and()', 12),
        ("a cat.swap(dog, t_strat=0.1)", 16),
        ("a cat.swap(dog, t_start=2)", 16),
        ("a cat.swap(dog.swap(x))", 15),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_its_column(prompt: str, column: int) -> None:
    with pytest.raises(PromptError) as raised:
        parse_invokeai(prompt)
    assert raised.value.column == column


@pytest.mark.parametrize(
    ("prompt", "before", "after"),
    [
        ("a cat.swap(dog) eating a hotdog", [("cat", 1)], [("dog", 1)]),
        ("a (fluffy cat).swap(smiling dog)", [("fluffy cat", 1)], [("smiling dog", 1)]),
        ('"flames".swap("trees"), fire', [("flames", 1)], [("trees", 1)]),
        ('a forest "".swap("in winter")', [], [("in winter", 1)]),
        ('a forest "in winter".swap()', [("in winter", 1)], []),
        ("(a cat.swap(dog))1.3", [("cat", 1.3)], [("dog", 1.3)]),
        ('"(flames)0.5".swap("(trees)0.7"), (fire)2.0', [("flames", 0.5)], [("trees", 0.7)]),
        ("a cat .swap(dog)", [("cat", 1)], [("dog", 1)]),
    ],
)
def test_swap(prompt: str, before: list[tuple[str, float]], after: list[tuple[str, float]]) -> None:
    swaps = [p for p in parse_invokeai(prompt).parts[0].pieces if isinstance(p, Swap)]
    assert len(swaps) == 1
    assert (flat(swaps[0].before), flat(swaps[0].after)) == (before, after)


@pytest.mark.parametrize(
    ("options", "s_end", "t_start"),
    [
        ("", 0, 0.2),
        (", s_end=0.3", 0.3, 0.2),
        (", t_start=0.1, s_end=0.5", 0.5, 0.1),
        (", shape_freedom=0", 1, 0.2),
        (", shape_freedom=0.5", 0.2063, 0.2),
        (", shape_freedom=1", 0, 0.2),
    ],
)
def test_swap_options(options: str, s_end: float, t_start: float) -> None:
    piece = parse_invokeai(f"a cat.swap(dog{options})").parts[0].pieces[1]
    assert isinstance(piece, Swap)
    assert piece.options.s_end == pytest.approx(s_end, abs=1e-4)
    assert piece.options.t_start == t_start


@pytest.mark.parametrize(
    ("prompt", "rest", "networks"),
    [
        ("mountain man withLora(hairy)", "mountain man", [("hairy", ())]),
        ("a useLora(hairy, 0.5) b", "a  b", [("hairy", (0.5,))]),
        ("withLora(hairy,-0.5) x", "x", [("hairy", (-0.5,))]),
        ("withLora(my-lora_v1.2, 0.5)", "", [("my-lora_v1.2", (0.5,))]),
        ("withLora(hairy, 0.5)", "", [("hairy", (0.5,))]),
        ("withLora(a) x useLora(b, 0.5)", "x", [("a", ()), ("b", (0.5,))]),
        (
            '("a withLora(x)", "b").blend(1,1)',
            *('("a ", "b").blend(1,1)', [("x", ())]),
        ),
        ("a <lora:x:0.8>, b", "a , b", [("x", (0.8,))]),
        ("a <lora:x:.5>", "a", [("x", (0.5,))]),
        ("<lora:x> <lyco:y z:0.5:1>", "", [("x", ()), ("y z", (0.5, 1))]),
        (r"a \<lora:x:0.8> <b> <foo:x>", r"a \<lora:x:0.8> <b> <foo:x>", []),
    ],
)
def test_networks(prompt: str, rest: str, networks: list[tuple[str, tuple[float, ...]]]) -> None:
    text, found = extract_networks(prompt, "invokeai")
    assert (text, [(one.name, one.weights) for one in found]) == (rest, networks)
    assert extract_networks(prompt, "plain") == (prompt, ())


def test_named_weights_and_bad_ones() -> None:
    _, (network,) = extract_networks("<lora:x:te=0.5:unet=1> a", "a1111")
    assert dict(network.named) == {"te": 0.5, "unet": 1.0} and network.weights == ()
    _, (hypernet,) = extract_networks("<hypernet:name:0.4>", "a1111")
    assert (hypernet.kind, hypernet.name, hypernet.weights) == ("hypernet", "name", (0.4,))
    with pytest.raises(PromptError, match="is not a weight"):
        extract_networks("a <lora:x:abc>", "a1111")


@pytest.mark.parametrize(
    ("old", "weights"),
    [
        ("mountain man:3 man mountain:1", [3, 1]),
        ("tabby cat:0.25 white duck:0.75 hybrid", [0.25, 0.75, 1]),
        ('"mountain man":4 man mountain', [4, 1]),
        ("a photo, style: anime", [1, 1]),
        ("ratio 16:9 poster", [9, 1]),
        ("a:1 b:-1", [1, 1]),
        ("(word:1.3), cat", [1.3, 1]),
        ("<lora:x:0.8> a cat", [1, 0.8, 1]),
        ("http://x.y", [1, 1]),
        ("a:0.3 b:0.7", [0.3, 0.7]),
    ],
)
def test_legacy_blends(old: str, weights: list[float]) -> None:
    parsed = parse_invokeai(convert_legacy_blend(old))
    assert parsed.how is How.BLEND and [part.weight for part in parsed.parts] == weights


def test_the_texts_of_a_legacy_blend_are_kept_to_the_letter() -> None:
    for old, texts in (
        ("mountain man:3 man mountain:1", ["mountain man", "man mountain"]),
        ("(word:1.3), cat", ["(word", "),cat"]),
        ("<lora:x:0.8> a cat", ["<lora", "x", "> a cat"]),
        ("http://x.y", ["http", "//x.y"]),
        ("ratio 16:9 poster", ["ratio 16", "poster"]),
    ):
        made = parts(parse_invokeai(convert_legacy_blend(old)))
        assert made == [[(text, 1)] for text in texts], old


def test_legacy_blends_leave_other_prompts() -> None:
    for prompt in ("a cat", r"a 16\:9 poster", "a cat:"):
        assert convert_legacy_blend(prompt) == prompt


def test_negative_words_are_cut_out_first() -> None:
    parsed = parse_prompt("a (big [blurry] cat)1.3 [x++]", "dark-", "invokeai")
    assert parts(parsed.positive) == [[("a", 1), ("big cat", 1.3)]]
    assert parts(parsed.negative) == [[("dark", 0.9), (",blurry,", 1), ("x", 1.21)]]
    assert parse_prompt(r"\[x\] y", "", "invokeai").positive.plain_text == "[x] y"

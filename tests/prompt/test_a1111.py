"""A1111's prompts and what they parse to: its own doctests, and rows measured with Forge's copy."""

from __future__ import annotations

import pytest

from dream.prompt import Break, Fragment, How, Timeline
from dream.prompt.a1111_parser import parse_a1111, parse_attention


def flat(prompt: str) -> list[tuple[str, float]]:
    made: list[tuple[str, float]] = []
    for piece in parse_attention(prompt):
        if isinstance(piece, Fragment):
            made.append((piece.text, round(piece.weight, 4)))
        else:
            assert isinstance(piece, Break)
            made.append(("BREAK", -1))
    return made


ROWS: dict[str, list[tuple[str, float]]] = {
    "an (important) word": [("an ", 1), ("important", 1.1), (" word", 1)],
    "((word))": [("word", 1.21)],
    "(((word)))": [("word", 1.331)],
    "[word]": [("word", 0.9091)],
    "[[word]]": [("word", 0.8264)],
    "([word])": [("word", 1)],
    "(word: 1.3 )": [("word", 1.3)],
    "(word:1.3": [("word:1.3", 1.1)],
    "word:1.3)": [("word:1.3)", 1)],
    "(unbalanced": [("unbalanced", 1.1)],
    "a [b": [("a ", 1), ("b", 0.9091)],
    r"\(literal\]": [("(literal]", 1)],
    "(unnecessary)(parens)": [("unnecessaryparens", 1.1)],
    "(a, (b:1.2) c:1.5)": [("a, ", 1.5), ("b", 1.8), (" c", 1.5)],
    "(word:abc)": [("word:abc", 1.1)],
    "(masterpiece:1,2)": [("masterpiece:1,2", 1.1)],
    "(a::1.2)": [("a:", 1.2)],
    "(word:-1)": [("word", -1)],
    "(word:0)": [("word", 0)],
    "(word:1.5.2)": [("word:1.5.2", 1.1)],
    "16:9 poster, style: anime": [("16:9 poster, style: anime", 1)],
    "(16:9 poster:1.1)": [("16:9 poster", 1.1)],
    ":)": [(":)", 1)],
    "(smile :) x": [("smile :", 1.1), (" x", 1)],
    "(a)1.3": [("a", 1.1), ("1.3", 1)],
    "(a)++": [("a", 1.1), ("++", 1)],
    "C++": [("C++", 1)],
    "x-ray+": [("x-ray+", 1)],
    "{a}": [("{a}", 1)],
    "(hatsune_miku_(vocaloid):1.2)": [("hatsune_miku_", 1.2), ("vocaloid", 1.32)],
    r"hatsune_miku_\(vocaloid\)": [("hatsune_miku_(vocaloid)", 1)],
    r"a\b\\c": [("ab\\c", 1)],
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ("a ", 1),
        ("house", 1.573),
        (" ", 1.1),
        ("on", 1),
        (" a ", 1.1),
        ("hill", 0.55),
        (", sun, ", 1.1),
        ("sky", 1.4641),
        (".", 1.1),
    ],
    "a BREAK b": [("a", 1), ("BREAK", -1), ("b", 1)],
    "(a)BREAK(b)": [("a", 1.1), ("BREAK", -1), ("b", 1.1)],
    "(a BREAK b:1.2)": [("a", 1.2), ("BREAK", -1), ("b", 1.2)],
    "a BREAKFAST": [("a BREAKFAST", 1)],
    "": [("", 1)],
    "(a:w)": [("a:w", 1.1)],
    r"\( \) \[ \] \\": [("( ) [ ] \\", 1)],
    "((x))": [("x", 1.21)],
    "([a)b]": [("a", 1), ("b", 0.9091)],
}


@pytest.mark.parametrize("prompt", ROWS)
def test_attention(prompt: str) -> None:
    assert flat(prompt) == ROWS[prompt]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat AND a dog:1.5", [("a cat ", 1), (" a dog", 1.5)]),
        ("a :1.2 AND b:0.5", [("a ", 1.2), (" b", 0.5)]),
        ("a AND b :-0.5", [("a ", 1), (" b ", -0.5)]),
        ("photo 16:9", [("photo 16:9", 1)]),
        ("sand AND b", [("sand ", 1), (" b", 1)]),
        ("a and b", [("a and b", 1)]),
    ],
)
def test_and(prompt: str, expected: list[tuple[str, float]]) -> None:
    parsed = parse_a1111(prompt)
    assert parsed.how is (How.COMPOSE if "AND" in prompt else How.TEXT)
    got = []
    for part in parsed.parts:
        (fragment,) = part.pieces
        assert isinstance(fragment, Fragment)
        got.append((fragment.text, part.weight))
    assert got == expected
    assert parse_a1111(prompt, negative=True).how is How.TEXT


def test_and_comes_before_brackets() -> None:
    first, second = parse_a1111("(a AND b:1.2)").parts
    assert [part.weight for part in (first, second)] == [1, 1]
    assert first.pieces == (Fragment("a ", 1.1),) and second.pieces == (Fragment(" b:1.2)"),)


def steps(prompt: str, count: int = 10, before: int | None = None) -> list[tuple[int, str]]:
    timeline = parse_a1111(prompt).parts[0].timeline
    if timeline is None:
        return [(count, prompt)]
    assert isinstance(timeline, Timeline)
    return timeline.list_texts(count, before)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a [b:3]", [(3, "a "), (10, "a b")]),
        ("a [b:.5] c", [(5, "a  c"), (10, "a b c")]),
        ("[a:b:0.5]", [(5, "a"), (10, "b")]),
        ("[a::0.5]", [(5, "a"), (10, "")]),
        ("[a::5]", [(5, "a"), (10, "")]),
        ("[:b:0.5]", [(5, ""), (10, "b")]),
        ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
        ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
        ("[(a:2):3]", [(3, ""), (10, "(a:2)")]),
        ("[a:b:0]", [(10, "b")]),
        ("[a:b:-1]", [(10, "b")]),
        ("[a:b:0.05]", [(10, "b")]),
        ("[a:b:1]", [(1, "a"), (10, "b")]),
        ("[a:b:1.0]", [(10, "a")]),
        ("[a:b:99]", [(10, "a")]),
        ("[a:b]", [(10, "[a:b]")]),
        ("[a:b:c]", [(10, "[a:b:c]")]),
        ("[a:b:.5:.8]", [(10, "[a:b:.5:.8]")]),
        ("[a:b:.5", [(10, "[a:b:.5")]),
        (r"\[a:b:.5\]", [(10, r"\[a:b:.5\]")]),
        ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
        ("(a [b:c:.5]:1.2)", [(5, "(a b:1.2)"), (10, "(a c:1.2)")]),
    ],
)
def test_schedules(prompt: str, expected: list[tuple[int, str]]) -> None:
    assert steps(prompt) == expected


def test_alternatives() -> None:
    def texts(prompt: str, count: int) -> list[str]:
        return [text for _, text in steps(prompt, count)]

    assert texts("a [cow|horse|cat] x", 4) == ["a cow x", "a horse x", "a cat x", "a cow x"]
    assert texts("[fe|]male", 3) == ["female", "male", "female"]
    assert texts("[fe|||]male", 5) == ["female", "male", "male", "male", "female"]
    assert texts("[[a|b]:c:3]", 5) == ["a", "b", "a", "c", "c"]


def test_its_own_long_example() -> None:
    prompt = (
        "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75]"
        "[ in foreground::0.6][: in background:0.25] [shoddy:masterful:0.5]"
    )
    assert [end for end, _ in steps(prompt, 100)] == [25, 50, 60, 75, 100]


def test_the_second_of_two_passes() -> None:
    assert [end for end, _ in steps("[a:b:13]", 6, 10)] == [3, 6]
    assert [end for end, _ in steps("[a:b:1.5]", 6, 10)] == [3, 6]
    assert steps("[a:b:.5]", 6, 10) == [(6, "b")]


def test_comments() -> None:
    assert flat("a") == flat(str(parse_a1111("a# b").plain_text))
    assert parse_a1111(r"a\# b").plain_text == "a# b"

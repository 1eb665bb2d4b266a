"""Templates: what is chosen, how it is repeated, and what cannot be expanded."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dream.prompt import (
    TemplateError,
    check_template,
    expand_templates,
    has_places,
    list_combinations,
)

_FILES = {
    "colour": ("red", "green", "3::blue"),
    "animals/cat": ("tabby",),
    "animals/dog": ("poodle",),
    "animals/wild/wolf": ("wolf",),
    "nested": ("{a|b} __colour__",),
    "season": ("a ${season} day",),
    "sets": ("${x=from a file}",),
    "loop": ("__loop__",),
    "broken": ("{a|b",),
}


def look_up(pattern: str) -> Sequence[str]:
    found = [value for name in _FILES if fnmatchcase(name, pattern) for value in _FILES[name]]
    if not found:
        raise TemplateError(f"there is no wildcard {pattern}", 0, "did you mean colour?")
    return found


def expand(text: str, seed: int = 0) -> str:
    return expand_templates([text], seed, look_up)[0]


def combine(text: str, most: int = 1000) -> list[str]:
    return [text for (text,) in list_combinations([text], look_up, most)]


@pytest.mark.parametrize(
    ("text", "all_of_it"),
    [
        ("a {red|green} cat", ["a red cat", "a green cat"]),
        ("{0.5::a|2::b}", ["a", "b"]),
        ("{a|0::b}", ["a"]),
        ("{2$$a|b|c}", ["a, b", "a, c", "b, a", "b, c", "c, a", "c, b"]),
        ("{2$$ and $$a|b}", ["a and b", "b and a"]),
        ("{2$$|$$a|b}", ["a|b", "b|a"]),
        ("{1-2$$a|b}", ["a", "b", "a, b", "b, a"]),
        ("{-1$$a|b}", ["a", "b"]),
        ("{2-$$a|b}", ["a, b", "b, a"]),
        ("{-2$$a|b}", ["a", "b", "a, b", "b, a"]),
        ("{2$$ and $$a|b|c}", ["a and b", "a and c", "b and a"]),
        ("{a|}", ["a", ""]),
        ("{red|green} {~x|y}", ["red x", "red y", "green x", "green y"]),
        ("{0-1$$a} x", ["x", "a x"]),
        ("{9$$a|b}", ["a, b", "b, a"]),
        ("a {b|} c", ["a b c", "a c"]),
        ("{a|{b|c}}", ["a", "b", "c"]),
        ("{}", [""]),
        ("{a}", ["a"]),
        ("{{a}}", ["a"]),
        ("{ a | b }", ["a", "b"]),
        ("{~a|b}", ["a", "b"]),
        ("__colour__", ["red", "green", "blue"]),
        ("__animals/cat__s", ["tabbys"]),
        ("__animals/**__", ["tabby", "poodle", "wolf"]),
        ("{2$$__colour__}", ["red, green", "red, blue", "green, red"]),
        ("{2$$__animals/*__}", ["tabby, poodle", "tabby, wolf", "poodle, tabby"]),
        ("__nested__", ["a red", "a green", "a blue", "b red", "b green", "b blue"]),
        ("${x=red}${x} and ${x}", ["red and red"]),
        ("${x={a|b}}${x}${x}", ["aa", "ab", "ba", "bb"]),
        ("${x=!{a|b}}${x}${x}", ["aa", "bb"]),
        ("${x:red}", ["red"]),
        ("${x=a}${x?=b}${x}", ["a"]),
        ("${x?=b}${x}", ["b"]),
        ("__season(season=winter)__", ["a winter day"]),
        ("__season(season={dry|wet})__", ["a dry day", "a wet day"]),
        ("__sets__${x}", ["from a file"]),
        (
            "(a {b|c}:1.2), <lora:x:{0.5|1}>",
            [f"(a {word}:1.2), <lora:x:{weight}>" for word in "bc" for weight in ("0.5", "1")],
        ),
        ("[x:{a|b}:0.5]", ["[x:a:0.5]", "[x:b:0.5]"]),
        ("{[a|b]|c}", ["[a|b]", "c"]),
        ("{[a|c}", ["[a", "c"]),
    ],
)
def test_what_a_template_can_become(text: str, all_of_it: list[str] | None) -> None:
    combined = combine(text)
    if all_of_it is not None:
        assert [one for one in combined if one in all_of_it] == all_of_it
    assert len(combined) == len(set(combined))
    chosen = {expand(text, seed) for seed in range(60)}
    assert chosen <= set(combined)
    assert len(combined) > 8 or chosen == set(combined), "every one is chosen sometimes"


@pytest.mark.parametrize(
    "text",
    [
        *("a cat", r"\{a\|b\}", r"\__colour\__", "a } b", ":{", "{{ x", "a__b__c", "__", "____"),
        *("__ a __", "$5 ${5", "a|b", "[a|b]", "{a", "🐈 __", "(a:1.2)++ -- <lora:a:1>"),
    ],
)
def test_what_is_no_template(text: str) -> None:
    assert not has_places(text)
    assert expand(text) == text
    assert combine(text) == [text]


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("x {a|b", "is not closed", 3),
        ("x {a|{b|c}", "is not closed", 3),
        ("a __colur__", "no wildcard colur", 3),
        ("{a|__nope__}", "no wildcard nope", 4),
        ("${x={a|__nope__}} ${x}", "no wildcard nope", 8),
        ("a ${u}", "u is not set", 3),
        ("${colour=red}${color}", "did you mean ${colour}?", 14),
        ("{@a|b}", "@ at the beginning", 2),
        ("{!a|b}", "! at the beginning", 2),
        ("__@colour__", "@ at the beginning", 3),
        ("__!colour__", "! at the beginning", 3),
        ("a %{b ... c$$d}", "%{…$$…} is not supported", 3),
        ("__season(winter)__", "does not set a variable", 10),
        ("{" * 60 + "|" + "}" * 60, "more than 50 slots", 51),
        ("__loop__", "does it name itself", 0),
        ("${x=${x}}${x}", "does it name itself", 0),
        ("__broken__", "__broken__: “{” is not closed", 0),
        ("${a={xxxxxx|xxxxxx}}" + "${a}" * 9_000, "too large", 0),
        ("${a=xxxxxxxxxx}${b=" + "${a}" * 99 + "}${c=" + "${b}" * 99 + "}${c}", "too large", 0),
    ],
)
def test_what_cannot_be_expanded(text: str, message: str, column: int) -> None:
    with pytest.raises(TemplateError) as raised:
        check_template(text, look_up)
        expand(text)
    error = raised.value
    assert message in f"{error.message} ({error.hint})" and error.column == column


def test_a_choice_is_that_of_its_seed_text_and_place() -> None:
    seeds = range(200)

    def words(text: str, at: int) -> list[str]:
        return [expand(text, seed).split()[at] for seed in seeds]

    before = words("{a|b|c} {d|e|f}", 1)
    assert before == words("{a|b|c} {d|e|f}", 1), "the same again"
    assert before == words("x, {zz|y} {d|e|f} {g|h}", 2), "whatever is chosen around it"
    assert before == words("__colour__ {d|e|f}", 1)
    twice = [expand("{d|e|f} {d|e|f}", seed).split() for seed in seeds]
    assert [one for one, _ in twice] == before
    assert any(one != other for one, other in twice), "the second of them is another choice"
    inside = [expand("{x|{d|e|f}}", seed) for seed in seeds]
    assert inside != [expand("{y|{d|e|f}}", seed) for seed in seeds], "the outer slot is another"
    for one, other in zip(inside, before, strict=True):
        assert one in ("x", other)


def test_a_new_value_changes_only_choices_that_it_wins() -> None:
    fewer, more = ["red", "green", "blue"], ["blue", "pink", "green", "red"]
    for seed in range(200):
        (before,) = expand_templates(["__c__"], seed, lambda _: fewer)
        (after,) = expand_templates(["__c__"], seed, lambda _: more)
        assert after in (before, "pink")


def test_weights_and_counts_are_shares() -> None:
    def shares(text: str) -> Counter[str]:
        return Counter(expand(text, seed) for seed in range(2000))

    found = shares("{a|3::b}")
    assert 420 < found["a"] < 580 and found["a"] + found["b"] == 2000
    assert 560 < shares("__colour__")["blue"] * 5 / 3 / 3 < 780
    counts = Counter(len(one) for one in shares("{1-2$$$$a|b|c}").elements())
    assert 900 < counts[1] < 1100


def test_variables_of_the_prompt_count_in_the_negative_prompt() -> None:
    texts = ["a ${x=!{red|green}}${x} cat", "${x} dog"]
    for seed in range(9):
        prompt, negative = expand_templates(texts, seed, look_up)
        assert prompt.split()[1] == negative.split()[0]
    assert len(list_combinations(texts, look_up, 9)) == 2


def test_too_many_combinations_are_an_error_at_once() -> None:
    for text in ("{a|b|c|d|e|f|g|h} " * 30, "{9$$a|b|c|d|e|f|g|h|i|j|k|l}"):
        with pytest.raises(TemplateError, match="more than 10,000"):
            combine(text, 10_000)


_PARTS = st.sampled_from(
    [*"{}|[]$_\\ab:!=?-", "__colour__", "${x", "2$$", "{a|b}", "1.5::", "__a", "${x=", "::", "\n"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PARTS, max_size=30).map("".join), st.integers(0, 2**32 - 1))
def test_any_text_is_expanded_or_refused(text: str, seed: int) -> None:
    try:
        chosen = expand(text, seed)
    except TemplateError as error:
        assert 0 <= error.column <= len(text)
        return
    assert chosen == expand(text, seed)
    assert has_places(text) or chosen == text


def test_time_is_linear() -> None:
    def measure(count: int) -> float:
        text = "{a|b} __colour__ ${x=c}${x} " * count
        began = time.thread_time()
        expand(text)
        return time.thread_time() - began

    measure(10)
    assert measure(400) < 40 * max(measure(40), 0.002)
    assert re.search("[{}]", expand("{a|b}" * 5000)) is None
    assert expand("{" * 10_000) == "{" * 10_000

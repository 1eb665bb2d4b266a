"""What is sought in words: AND, OR, NOT and parentheses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream.options.mask_query import And, MaskQuery, Not, Or, Term, get_terms, parse_mask_query
from dream.options.text_mask import TEXT_MASK, TextMask

A, B, C = map(Term, "abc")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a", A),
        ("a big  red ball", Term("a big red ball")),
        ("a AND b", And(A, B)),
        ("a OR b AND c", Or(A, And(B, C))),
        ("(a OR b) AND c", And(Or(A, B), C)),
        ("a AND NOT b", And(A, Not(B))),
        ("NOT NOT a", Not(Not(A))),
        ("NOT (a OR b)", Not(Or(A, B))),
        ("a AND b AND c", And(And(A, B), C)),
        ("salt and pepper", Term("salt and pepper")),
        ("黑猫 AND NOT 狗", And(Term("黑猫"), Not(Term("狗")))),
    ],
)
def test_what_words_mean(words: str, expected: MaskQuery) -> None:
    assert parse_mask_query(words) == expected


@pytest.mark.parametrize(
    "words",
    ["", " ", "AND", "a AND", "OR a", "NOT", "a NOT b", "(a", "a)", "()", "a (b)", "a AND OR b"],
)
def test_what_means_nothing_is_refused(words: str) -> None:
    with pytest.raises(ValueError):
        parse_mask_query(words)
    with pytest.raises(ValueError):
        TEXT_MASK.read([words])


def test_a_tower_of_parentheses_is_refused_too() -> None:
    with pytest.raises(ValueError):
        parse_mask_query("(" * 100_000 + "a" + ")" * 100_000)


_SOUGHT = st.recursive(
    st.sampled_from([A, B, C, Term("a b")]),
    lambda one: st.builds(Not, one) | st.builds(And, one, one) | st.builds(Or, one, one),
    max_leaves=8,
)


def spelled(of: MaskQuery) -> str:
    match of:
        case Term(words):
            return words
        case Not(one):
            return f"NOT ({spelled(one)})"
        case And(left, right):
            return f"({spelled(left)}) AND ({spelled(right)})"
        case Or(left, right):
            return f"({spelled(left)}) OR ({spelled(right)})"


@given(_SOUGHT)
def test_all_that_can_be_sought_can_be_said(of: MaskQuery) -> None:
    assert parse_mask_query(spelled(of)) == of
    leaves = [words for words in spelled(of).replace("(", ")").split(")") if words.strip()]
    assert [words for words in leaves if words.strip(" ANDORT")] == list(get_terms(of))


def test_the_threshold_is_a_half_or_said() -> None:
    assert TEXT_MASK.read(["cat"]) == TextMask("cat", 0.5)
    assert TEXT_MASK.read(["cat", "0.25"]) == TextMask("cat", 0.25)
    for threshold in ("1.5", "-1", "nan", "much"):
        with pytest.raises(ValueError):
            TEXT_MASK.read(["cat", threshold])

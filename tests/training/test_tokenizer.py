"""The vocabulary takes any Unicode, within CLIP's 77 tokens."""

import pytest
from transformers import CLIPTokenizer

from training.tokenizer import LENGTH, build


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained("models/tiny/tokenizer")


@pytest.mark.parametrize(
    "text",
    [
        "a red circle on a blue background",
        "蓝色背景上的红色圆形",
        "左上角的一只小的橙色猫",
        "un café à zürich",
        "🦊🌈 and ❤️",
        "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    ],
)
def test_it_gives_back_what_it_took(tokenizer: CLIPTokenizer, text: str) -> None:
    ids = tokenizer(text).input_ids
    again = tokenizer.decode(ids, skip_special_tokens=True)
    assert again.replace(" ", "") == text.replace(" ", "")  # CLIP sets spaces around marks


def test_case_does_not_matter(tokenizer: CLIPTokenizer) -> None:
    assert tokenizer("A Red CIRCLE").input_ids == tokenizer("a red circle").input_ids


@pytest.mark.parametrize("text", ["a red circle " * 40, "蓝色背景上的红色圆形" * 50, "🦊" * 500])
def test_long_texts_are_cut_to_77(tokenizer: CLIPTokenizer, text: str) -> None:
    ids = tokenizer(text, truncation=True, max_length=LENGTH).input_ids
    assert len(ids) <= LENGTH
    assert ids[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("text", "words"),
    [("red", 1), ("background", 1), ("圆形", 1), ("红色圆形", 2), ("蓝色背景上的红色圆形", 5)],
)
def test_the_words_of_captions_are_single_tokens(
    tokenizer: CLIPTokenizer, text: str, words: int
) -> None:
    assert len(tokenizer(text).input_ids) == words + 2


def test_the_vocabulary_is_built_the_same_every_time() -> None:
    assert build() == build()

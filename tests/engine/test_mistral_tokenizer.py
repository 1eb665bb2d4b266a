"""The tokenizer inside ComfyUI's file of Mistral Small 3, without the file of a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PixtralImageProcessor, PixtralProcessor

from dream.engine.loading.mistral_tokenizer import (
    CHAT_TEMPLATE,
    build_mistral_tokenizer,
    read_mistral_tokenizer,
)
from tests.tekken import make_tekken

MESSAGES = [
    [
        {"role": "system", "content": [{"type": "text", "text": "You see."}]},
        {"role": "user", "content": [{"type": "text", "text": "a red circle"}]},
    ]
]
TEXTS = ("a red circle", "Ünïcode 圓形, 12 x 3\n\nred", "<s>[INST] no mark </s>", "")


def test_words_are_made_of_the_pairs_of_the_vocabulary() -> None:
    tokenizer = build_mistral_tokenizer(make_tekken())
    assert tokenizer(" circle", add_special_tokens=False).input_ids == [20 + 256 + 7]
    assert tokenizer("red", add_special_tokens=False).input_ids == [20 + 256 + 1]
    assert len(tokenizer("unused", add_special_tokens=False).input_ids) > 1, "beyond its size"
    assert tokenizer.convert_tokens_to_ids(["<unk>", "<s>", "</s>", "<pad>"]) == [0, 1, 2, 10]


def test_it_is_that_of_the_library(tmp_path: Path) -> None:
    mistral = pytest.importorskip("transformers.integrations.mistral.tokenizer")
    path = tmp_path / "tekken.json"
    path.write_bytes(make_tekken())
    own, other = build_mistral_tokenizer(make_tekken()), mistral.convert_tekken_tokenizer(str(path))
    for text in TEXTS:
        ours, theirs = (one(text, add_special_tokens=False).input_ids for one in (own, other))
        assert ours == theirs


def test_a_prompt_is_padded_on_the_left_as_by_the_processor_of_the_folder(tmp_path: Path) -> None:
    own = build_mistral_tokenizer(make_tekken())
    own.save_pretrained(tmp_path)
    processor = PixtralProcessor(
        image_processor=PixtralImageProcessor(), tokenizer=own, chat_template=CHAT_TEMPLATE
    )
    coded = [
        one.apply_chat_template(
            MESSAGES,
            add_generation_prompt=False,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            padding="max_length",
            truncation=True,
            max_length=64,
        )
        for one in (own, read_mistral_tokenizer(tmp_path), processor)
    ]
    ids = [one["input_ids"].tolist() for one in coded]
    assert ids[0] == ids[1] == ids[2]
    (row,) = ids[0]
    mask = coded[0]["attention_mask"].tolist()[0]
    assert row[0] == 10 and mask[0] == 0, "padding"
    start = mask.index(1)
    assert row[start] == 1 and row.count(1) == 1, "one mark of the beginning"
    assert own.decode(row[start:]) == (
        "<s>[SYSTEM_PROMPT]You see.[/SYSTEM_PROMPT][INST]a red circle[/INST]"
    )


@pytest.mark.parametrize("tekken", [b"", b"{}", b"[]", b'{"config": {}}', b"\xff"])
def test_a_broken_one_is_an_error_of_the_kind_that_is_caught(tekken: bytes) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        build_mistral_tokenizer(tekken)

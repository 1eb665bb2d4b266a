from __future__ import annotations

import random
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry, unknown_words
from dream.catalogue.read_model_info import read_folder
from dream.catalogue.vocabulary import Vocabulary, read_vocabulary
from training.arrangements import sample_arrangement
from training.captions import caption
from training.free_captions import describe, describe_in_chinese
from training.model_card import knows_table
from training.scene_specs import FULL, sample_spec

SHIPPED = Path("models/tiny")
FEW: Vocabulary = (("things", ("cat", "box", "berry", "clouds", "猫", "红色")),)


@pytest.fixture(scope="module")
def shipped() -> Vocabulary:
    def refuse(complaint: str) -> None:
        raise AssertionError(complaint)

    return read_folder("tiny", SHIPPED, refuse).knows


def test_every_word_that_training_used_is_known(shipped: Vocabulary) -> None:
    rng = random.Random(5)
    for _ in range(1000):
        message = caption(rng, sample_spec(rng, FULL))
        assert unknown_words(shipped, message) == (), message
    arrangements = (sample_arrangement(rng) for _ in range(1000))
    for spec in (each for each in arrangements if not each.unknown):
        for message in (describe(rng, spec), describe_in_chinese(rng, spec)):
            assert unknown_words(shipped, message) == (), message


def test_the_shipped_card_lists_the_words_of_training() -> None:
    assert knows_table() in (SHIPPED / "card.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("A Cat, two cats and boxes!", ("two",)),
        ("a red dragon's castle, a red castle", ("red", "dragon", "castle")),
        ("berries under a cloud, 4 of them (…)", ()),
        ("ＣＡＴ", ()),
        ("红色的猫在城市里", ("城市",)),
        ("一只猫和cat", ()),
        ("一只熊猫和猫", ("熊猫",)),
        ("红色熊在猫旁边", ("熊",)),
        ("猫熊", ("猫熊",)),
        ("猫дом", ("дом",)),
        ("", ()),
    ],
)
def test_words_outside_a_vocabulary(prompt: str, unknown: tuple[str, ...]) -> None:
    assert unknown_words(FEW, prompt) == unknown


def test_a_model_that_does_not_say_what_it_knows_is_not_limited() -> None:
    assert unknown_words((), "a dragon") == ()


@pytest.mark.parametrize("table", [3, ["cat"], {"things": "cat"}, {"things": [1]}])
def test_what_is_no_list_of_words_is_complained_about(table: object) -> None:
    complaints: list[str] = []
    assert read_vocabulary(table, "card.toml", complaints.append) == ()
    assert len(complaints) == 1


def test_any_model_may_say_what_it_knows(tmp_path: Path) -> None:
    model = tmp_path / "mine"
    model.mkdir()
    (model / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (model / "card.toml").write_text('[knows]\nfruit = ["apple"]\n')
    assert ModelRegistry((tmp_path,)).get_model("mine").knows == (("fruit", ("apple",)),)

"""New words cost the old ones nothing: neither their token numbers nor what the encoder says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from training.arrangements import sample_arrangement
from training.captions import caption
from training.extend_text_encoder import QUESTIONS, answers, longer_encoder, teach
from training.extend_tokenizer import extend, missing_words
from training.free_captions import UNKNOWN
from training.nouns import NEW_NOUNS
from training.scene_specs import FULL, sample_spec
from training.train_text_encoder import tokenize

MODEL = Path("models/tiny")


@pytest.fixture(scope="module")
def before() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(MODEL / "tokenizer")


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    extend(MODEL / "tokenizer", folder)
    return CLIPTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def encoder() -> CLIPTextModel:
    folder = MODEL / "text_encoder"
    return CLIPTextModel.from_pretrained(folder, attn_implementation="eager").float().eval()


def old_captions(count: int) -> list[str]:
    rng = random.Random(5)
    return [caption(rng, sample_spec(rng, FULL)) for _ in range(count)]


def test_old_captions_keep_their_tokens(before: CLIPTokenizer, after: CLIPTokenizer) -> None:
    texts = old_captions(300)
    assert after(texts).input_ids == before(texts).input_ids
    assert after.get_vocab().items() >= before.get_vocab().items()


def test_new_nouns_are_single_tokens(before: CLIPTokenizer, after: CLIPTokenizer) -> None:
    for noun in NEW_NOUNS:
        for name in (*noun.english[0].split(), *noun.chinese):
            assert len(after.tokenize(name)) == 1, name
    assert missing_words(after) == []
    for word in UNKNOWN[:10]:
        assert len(after.tokenize(word)) <= len(before.tokenize(word))


def test_the_longer_encoder_says_of_old_captions_what_it_said(
    encoder: CLIPTextModel, after: CLIPTokenizer
) -> None:
    longer = longer_encoder(encoder, after).eval()
    ids = tokenize(after, old_captions(4))
    with torch.no_grad():
        assert torch.equal(longer(ids).last_hidden_state, encoder(ids).last_hidden_state)


def test_it_is_taught(encoder: CLIPTextModel, after: CLIPTokenizer) -> None:
    longer = longer_encoder(encoder, after)
    weight = longer.get_input_embeddings().weight
    start = weight.detach().clone()
    teach(encoder, longer, after, minutes=0.02, batch=4, seed=1)
    assert not torch.equal(weight, start)


def test_every_arrangement_answers_every_question() -> None:
    for seed in range(200):
        facts = answers(sample_arrangement(random.Random(seed)))
        assert all(0 <= a < len(q) for a, q in zip(facts, QUESTIONS.values(), strict=True))

"""Objects in relation to each other: they follow from the seed, and their captions name them."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from training.arrangements import KINDS, RELATIONS, Arrangement, Item, sample_arrangement
from training.captions import caption
from training.drawing import render
from training.free_captions import UNKNOWN as UNKNOWN_NOUNS
from training.free_wording import HELD_OUT_PROMPTS, UNKNOWN, read_prompts
from training.held_out import held_out
from training.image_analysis import analyze
from training.nouns import NEW_NOUNS, NOUNS, Noun, pluralize
from training.objects import KINDS as FIRST_KINDS
from training.palette import NAMES
from training.scene_specs import (
    DETAILS,
    FULL,
    LANDSCAPES,
    NEWER,
    PAIRS,
    PLAIN,
    RICH,
    sample_any_spec,
    sample_spec,
)
from training.settings import SETTINGS
from training.vocabulary import COLOUR_ZH

PROMPTS = read_prompts(frozenset(NAMES))


def test_a_mix_without_arrangements_draws_what_it_always_drew() -> None:
    for mix in (PLAIN, PAIRS, FULL):
        for seed in range(20):
            old = sample_spec(random.Random(seed), mix)
            assert sample_any_spec(random.Random(seed), mix) == old
    rich = [sample_any_spec(random.Random(seed), RICH) for seed in range(100)]
    assert 40 < sum(isinstance(spec, Arrangement) for spec in rich) < 80


def test_arrangements_have_no_held_out_combination_either() -> None:
    rng, seen = random.Random(8), 0
    for _ in range(3000):
        spec = sample_arrangement(rng)
        for item in spec.items:
            ground = spec.background or SETTINGS[spec.setting].colours[0]
            assert not held_out(item.kind, item.colour, ground)
            seen += item.kind in FIRST_KINDS
    assert seen > 1000


def test_the_newer_objects_are_mostly_drawn_alone() -> None:
    specs = [sample_any_spec(random.Random(seed), NEWER) for seed in range(300)]
    newer = {noun.kind for noun in NEW_NOUNS}
    alone = [s for s in specs if isinstance(s, Arrangement) and len(s.items) == s.count == 1]
    assert sum(spec.items[0].kind in newer for spec in alone) > 180
    assert any(spec.unknown for spec in alone)


def test_objects_in_a_landscape_are_drawn_mostly_there() -> None:
    specs = [sample_any_spec(random.Random(seed), LANDSCAPES) for seed in range(300)]
    there = [spec for spec in specs if isinstance(spec, Arrangement) and spec.setting]
    assert 0.8 < len(there) / 300 < 0.95
    assert {spec.setting for spec in there} == set(SETTINGS)


def test_objects_in_a_landscape_have_its_own_colours_too() -> None:
    specs = [sample_any_spec(random.Random(seed), LANDSCAPES) for seed in range(2000)]
    there = [s for s in specs if isinstance(s, Arrangement) and s.setting and not s.relation]
    own = [s for s in there if s.items[0].colour in SETTINGS[s.setting].colours]
    assert 0.05 < len(own) / len(there) < 0.15
    assert any(s.items[0].kind == "mountain" for s in there)


def test_half_of_the_details_have_two_colours_and_many_others_are_groups() -> None:
    specs = [sample_any_spec(random.Random(seed), DETAILS) for seed in range(300)]
    arranged = [spec for spec in specs if isinstance(spec, Arrangement)]
    assert 120 < sum(bool(spec.items[0].second) for spec in arranged) < 180
    groups = [spec.count for spec in arranged if spec.count > 1]
    assert 60 < len(groups) < 120
    assert sum(count > 3 for count in groups) > len(groups) / 2


def test_the_same_seed_draws_the_same_arrangement() -> None:
    def fingerprint(seed: int) -> str:
        spec = sample_arrangement(random.Random(seed))
        return hashlib.sha256(render(spec, 128, 96, seed).image.tobytes()).hexdigest()

    once = [fingerprint(seed) for seed in range(10)]
    assert once == [fingerprint(seed) for seed in range(10)] and len(set(once)) == 10


@pytest.mark.parametrize("noun", NEW_NOUNS, ids=lambda noun: noun.kind)
def test_each_new_object_has_its_colour_and_lies_in_its_circle(noun: Noun) -> None:
    for colour, ground in (("red", "white"), ("blue", "yellow")):
        drawing = render(Arrangement((Item(noun.kind, colour),), ground), 128, 128, 1)
        found = analyze(drawing.image)
        assert found.background == ground
        assert found.regions and found.regions[0].colours[colour] > 0.2
        (spot,) = drawing.spots
        y, x = np.mgrid[:128, :128]
        outside = (x - spot.x) ** 2 + (y - spot.y) ** 2 > (1.5 * spot.radius) ** 2
        pixels = np.asarray(drawing.image, int)[outside]
        assert np.ptp(pixels.reshape(-1, 3), axis=0).max() < 8


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_relation_is_drawn(relation: str) -> None:
    items = (Item("star", "red"), Item("circle", "blue"))
    spots = render(Arrangement(items, "white", relation=relation), 128, 128, 3).spots
    image = render(Arrangement(items, "white", relation=relation), 128, 128, 3).image
    colours = np.asarray(image).reshape(-1, 3)
    for rgb in ((222, 38, 40), (38, 84, 214)):
        assert (np.abs(colours.astype(int) - rgb).sum(1) < 40).sum() > 60, "both are seen"
    if relation == "between":
        assert len(spots) == 3 and spots[0].x < spots[1].x < spots[2].x
    elif relation == "above":
        assert spots[0].y + spots[0].radius < spots[1].y - spots[1].radius
    elif relation == "left of":
        assert spots[0].x + spots[0].radius < spots[1].x - spots[1].radius
    elif relation == "inside":
        assert spots[1].radius < 0.5 * spots[0].radius


def test_captions_name_what_is_there() -> None:
    for seed in range(400):
        spec = sample_arrangement(random.Random(seed))
        text = caption(random.Random(seed), spec)
        chinese = any("\u4e00" <= c <= "\u9fff" for c in text)
        names = NOUNS[spec.items[0].kind].chinese if chinese else NOUNS[spec.items[0].kind].english
        both = [*names, *map(pluralize, names)]
        assert spec.unknown or any(name in text for name in both), text
        assert "{" not in text and text.lower() not in HELD_OUT_PROMPTS


def test_the_first_objects_keep_their_numbers() -> None:
    assert KINDS[: len(FIRST_KINDS)] == FIRST_KINDS and len(KINDS) == len(FIRST_KINDS) + 33
    assert set(COLOUR_ZH) == set(NAMES)


def test_the_prompts_of_the_evaluation_can_be_judged() -> None:
    assert len(PROMPTS) == 200 and len({prompt.text for prompt in PROMPTS}) == 200
    for prompt in PROMPTS:
        assert prompt.ground in ("", *NAMES, *SETTINGS), prompt
        for thing in prompt.things:
            assert thing.kind == UNKNOWN or thing.kind in NOUNS, prompt
            assert set(thing.colours) <= set(NAMES) and 1 <= thing.count <= 5
    unknown = [p.text for p in PROMPTS if any(t.kind == UNKNOWN for t in p.things)]
    assert len(unknown) >= 30
    words = {word for text in unknown for word in text.split()}
    assert not words & set(UNKNOWN_NOUNS), "a noun that training uses is not new"

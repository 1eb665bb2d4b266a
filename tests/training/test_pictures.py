"""The pictures and their captions follow from the seed, and say what they show."""

import hashlib
import random

import pytest

from training.captions import caption, plainly
from training.drawing import render
from training.eval_prompts import background_right, colour_right, count_right, place_right
from training.held_out import held_out
from training.image_analysis import analyze
from training.objects import KINDS
from training.palette import NAMES
from training.scene_specs import FULL, PLACES, ObjectScene, SceneObject, sample_spec
from training.scenes import Scene


def fingerprint(seed: int) -> str:
    spec = sample_spec(random.Random(seed), FULL)
    return hashlib.sha256(render(spec, 128, 192, seed).image.tobytes()).hexdigest()


def test_the_same_seed_draws_the_same_picture() -> None:
    assert [fingerprint(seed) for seed in range(12)] == [fingerprint(seed) for seed in range(12)]


def test_different_seeds_draw_different_pictures() -> None:
    assert len({fingerprint(seed) for seed in range(12)}) == 12


@pytest.mark.parametrize("size", [(128, 128), (192, 256), (384, 256)])
def test_a_picture_has_the_size_asked_for(size: tuple[int, int]) -> None:
    for seed in range(12):
        assert render(sample_spec(random.Random(seed), FULL), *size, seed).image.size == size


def test_training_never_sees_the_combinations_held_out() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        spec = sample_spec(rng, FULL)
        if isinstance(spec, ObjectScene):
            for obj in spec.objects:
                assert not held_out(obj.kind, obj.colour, spec.background)


def test_a_tenth_of_the_combinations_is_held_out() -> None:
    every = [held_out(k, c, b) for k in KINDS for c in NAMES for b in NAMES]
    assert 0.08 < sum(every) / len(every) < 0.12


@pytest.mark.parametrize("kind", KINDS)
def test_the_judge_sees_what_was_drawn(kind: str) -> None:
    wanted = ObjectScene((SceneObject(kind, "orange", "", "top left"),), "blue")
    detection = analyze(render(wanted, 192, 192, 3).image)
    assert background_right(wanted, detection)
    assert colour_right(wanted, detection)
    assert place_right(wanted, detection)
    assert count_right(wanted, detection)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("size", [(256, 256), (192, 320)])
def test_objects_of_a_group_do_not_touch(count: int, size: tuple[int, int]) -> None:
    for kind in KINDS:
        wanted = ObjectScene((SceneObject(kind, "yellow"),), "purple", count=count)
        assert count_right(wanted, analyze(render(wanted, *size, 1).image)), kind


def test_captions_are_plain_when_plainly_asked() -> None:
    still = ObjectScene((SceneObject("circle", "red"),), "blue")
    assert plainly(still) == "a red circle on a blue background"
    assert plainly(still, "zh") == "蓝色背景上的红色圆形"
    corner = ObjectScene((SceneObject("cat", "orange", "small", "top left"),), "black")
    assert plainly(corner) == "a small orange cat in the top left on a black background"
    scene = Scene("orange", "sun", "sea")
    assert plainly(scene) == "an orange sunset over the sea"


def test_captions_vary_and_come_in_two_languages() -> None:
    still = ObjectScene((SceneObject("circle", "red"),), "blue")
    captions = {caption(random.Random(seed), still) for seed in range(400)}
    assert len(captions) > 60
    assert any(text.isascii() for text in captions)
    assert any("红" in text and "圆" in text for text in captions)
    assert any("red" in text and "蓝" in text for text in captions)


def test_every_place_and_kind_has_words_in_both_languages() -> None:
    for kind in KINDS:
        for place in PLACES:
            still = ObjectScene((SceneObject(kind, "cyan", "big", place),), "pink")
            for seed in range(4):
                assert caption(random.Random(seed), still)
            assert plainly(still) and plainly(still, "zh")

"""Captions of an image, in English and in Chinese, in many wordings.

`caption` chooses at random: language, wording, order, what is left out, a few additions. `plainly`
names everything in the simplest words; the evaluation uses it.
"""

import random
from dataclasses import replace
from typing import Any

from training import chinese, english, free_captions
from training.arrangements import Arrangement
from training.free_wording import HELD_OUT_PROMPTS
from training.scene_specs import AnySpec, ObjectScene
from training.vocabulary import ORNAMENTS_EN, ORNAMENTS_ZH


def caption(rng: random.Random, spec: AnySpec) -> str:
    """A caption in one of many wordings; never one of the evaluation's prompts."""
    while (text := _write(rng, spec)).lower() in HELD_OUT_PROMPTS:
        pass
    return text


def _write(rng: random.Random, spec: AnySpec) -> str:
    lot = rng.random()
    if isinstance(spec, Arrangement):
        if lot < 0.65:
            return _ornamented(rng, free_captions.describe(rng, spec), ORNAMENTS_EN, ", ")
        return free_captions.describe_in_chinese(rng, spec)
    if lot < 0.60:
        return _ornamented(rng, english.describe(rng, spec), ORNAMENTS_EN, ", ")
    if lot < 0.94 or not isinstance(spec, ObjectScene) or not spec.objects:
        return _ornamented(rng, chinese.describe(rng, spec), ORNAMENTS_ZH, "，")
    return _mixed(rng, spec)


def plainly(spec: AnySpec, language: str = "en") -> str:
    """The first wording of everything, with nothing left out and nothing added."""
    first = _First()
    if isinstance(spec, Arrangement):
        describe = free_captions.describe if language == "en" else free_captions.describe_in_chinese
        return describe(first, spec)
    return english.describe(first, spec) if language == "en" else chinese.describe(first, spec)


class _First(random.Random):
    """A random generator that always makes the first choice and never leaves anything out."""

    def random(self) -> float:
        return 0.999

    def choice(self, seq: Any) -> Any:
        return seq[0]


def _ornamented(rng: random.Random, text: str, ornaments: tuple[str, ...], comma: str) -> str:
    lot = rng.random()
    if lot < 0.12:
        return comma.join([text, *rng.sample(ornaments, rng.choice((1, 1, 2)))])
    if lot < 0.15:
        return rng.choice(ornaments) + comma + text
    return text


def _mixed(rng: random.Random, still: ObjectScene) -> str:
    """Half in one language, half in the other: 'a red circle, 蓝色背景'."""
    bare = replace(still, style="")
    if rng.random() < 0.5:
        return f"{english.name_objects(rng, bare)}, {chinese.name_ground(rng, bare)}"
    return f"{chinese.name_objects(rng, bare)}, {english.name_ground(rng, bare)}"

"""The judge of free wordings passes true drawings and fails noise and other drawings."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from training import object_reader
from training.arrangements import Arrangement, Item
from training.drawing import render
from training.free_evaluation import (
    PROMPTS,
    Seen,
    draw_new_objects,
    draw_relations,
    drawing_of,
    is_noise,
    kind_right,
    look,
    prompt_right,
    relation_right,
    share_of_flat,
)
from training.object_reader import ObjectReader, find_objects, read_setting

SOME = PROMPTS[::14]


@pytest.fixture(scope="module")
def reader() -> ObjectReader:
    return object_reader.load()


def noise(seed: int, grain: int) -> Image.Image:
    """Coloured noise with grains of this many pixels."""
    rng = np.random.RandomState(seed)
    cells = rng.randint(0, 256, (256 // grain, 256 // grain, 3)).astype(np.uint8)
    return Image.fromarray(cells).resize((256, 256), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def drawn(reader: ObjectReader) -> list[Seen]:
    """What is seen in true drawings of SOME."""
    return [look(reader, drawing_of(prompt, i)) for i, prompt in enumerate(SOME)]


def test_true_drawings_are_right(drawn: list[Seen]) -> None:
    wrong = [p.text for p, seen in zip(SOME, drawn, strict=True) if not prompt_right(p, seen)]
    assert len(wrong) <= 1, wrong


def test_drawings_of_something_else_are_wrong(drawn: list[Seen]) -> None:
    for prompt, own in zip(SOME, drawn, strict=True):
        others = [seen for seen in drawn if seen is not own]
        assert sum(prompt_right(prompt, seen) for seen in others) <= 1, prompt.text


@pytest.mark.parametrize("grain", [1, 4, 16])
def test_noise_is_never_right(reader: ObjectReader, grain: int) -> None:
    seen = look(reader, noise(grain, grain))
    assert is_noise(seen)
    assert not any(prompt_right(prompt, seen) for prompt in PROMPTS)
    assert not any(relation_right(spec, seen) for spec in draw_relations(12))


def test_drawings_in_every_style_are_not_noise() -> None:
    for style in ("", "watercolor", "pixel art"):
        spec = Arrangement((Item("dog", "red"),), "white", style=style)
        assert share_of_flat(render(spec, 256, 256, 1).image) > 0.86


def test_relations_and_sizes_are_read(reader: ObjectReader) -> None:
    specs = draw_relations(12)
    drawn = [look(reader, render(spec, 256, 256, i).image) for i, spec in enumerate(specs)]
    right = [relation_right(spec, seen) for spec, seen in zip(specs, drawn, strict=True)]
    assert sum(right) >= len(specs) - 1
    swapped = [replace(spec, items=spec.items[::-1]) for spec in specs]
    assert not any(relation_right(s, seen) for s, seen in zip(swapped, drawn, strict=True))


def test_most_new_objects_are_read(reader: ObjectReader) -> None:
    specs = draw_new_objects()[::6]
    seen = [look(reader, render(spec, 256, 256, i).image) for i, spec in enumerate(specs)]
    assert sum(map(kind_right, specs, seen)) >= len(specs) - 1


def test_what_is_found_lies_where_it_was_drawn(reader: ObjectReader) -> None:
    spec = Arrangement((Item("star", "red"), Item("circle", "blue")), "white", relation="left of")
    drawing = render(spec, 256, 256, 4)
    found = sorted(find_objects(reader, drawing.image), key=lambda each: each.x)
    assert [(each.kind, each.colours) for each in found] == [
        ("star", ("red",)),
        ("circle", ("blue",)),
    ]
    for each, spot in zip(found, drawing.spots, strict=True):
        assert abs(each.x * 256 - spot.x) < 0.4 * spot.radius
        assert 0.7 < each.radius * 256 / spot.radius < 1.4
    assert read_setting(reader, drawing.image) == ""


def test_windows_and_answers_belong_together() -> None:
    pixels, answers = object_reader.make_windows(random.Random(1), 6)
    assert pixels.shape[1:] == (3, 32, 32) and len(pixels) == len(answers)
    for question, choices in enumerate(object_reader.ANSWERS):
        asked = answers[answers[:, question] != object_reader.IGNORED, question]
        assert ((asked >= 0) & (asked < len(choices))).all()

"""Captions of an image in English."""

import random

from training.scene_specs import ObjectScene, SceneObject, Spec
from training.scenes import Scene
from training.vocabulary import (
    COUNT_EN,
    LAND_EN,
    OPENINGS_EN,
    PLURAL_EN,
    SIZE_EN,
    SKY_EN,
    STYLE_EN,
    SYNONYMS_EN,
    UNSAID,
)


def describe(rng: random.Random, spec: Spec) -> str:
    text = _scene(rng, spec) if isinstance(spec, Scene) else _still(rng, spec)
    if spec.style:
        return rng.choice(STYLE_EN[spec.style]).format(text)
    return rng.choice(OPENINGS_EN) + text if rng.random() < 0.25 else text


def _a(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def name_ground(rng: random.Random, still: ObjectScene) -> str:
    return rng.choice(
        ("{} background", "plain {} background") if still.pattern == "plain" else ("{} background",)
    ).format(_ground_words(rng, still))


def _ground_words(rng: random.Random, still: ObjectScene) -> str:
    a, b = still.background, still.second
    if still.pattern == "plain":
        return a
    if still.pattern == "gradient":
        return rng.choice((f"{a} to {b} gradient", f"{a} and {b} gradient"))
    return rng.choice((f"{a} and {b} {still.pattern}", f"{a} {b} {still.pattern}"))


def _still(rng: random.Random, still: ObjectScene) -> str:
    ground = _ground_words(rng, still)
    if not still.objects:
        return rng.choice((_a(f"{ground} background"), f"{ground} background", ground))
    objects = name_objects(rng, still)
    if rng.random() < UNSAID:
        return objects
    return rng.choice(
        (
            f"{objects} on {_a(ground)} background",
            f"{objects} on {_a(ground)} background",
            f"{objects} on {_a(ground)} background",
            f"{objects} on {ground}",
            f"{objects}, {ground} background",
            f"{objects} against {_a(ground)} background",
            f"{ground} background, {objects}",
            f"on {_a(ground)} background, {objects}",
        )
    )


def name_objects(rng: random.Random, still: ObjectScene) -> str:
    first = still.objects[0]
    if len(still.objects) == 2:
        a, b = (_noun(rng, obj) for obj in still.objects)
        return rng.choice(
            {
                "and": (f"{a} and {b}", f"{a} and {b}", f"{a} next to {b}", f"{b} and {a}"),
                "left of": (
                    f"{a} to the left of {b}",
                    f"{a} left of {b}",
                    f"{b} to the right of {a}",
                    f"{a} on the left and {b} on the right",
                ),
                "above": (
                    f"{a} above {b}",
                    f"{b} below {a}",
                    f"{a} over {b}",
                    f"{a} at the top and {b} at the bottom",
                ),
            }[still.relation]
        )
    if still.count > 1:
        kind = rng.choice(SYNONYMS_EN[first.kind])
        plural = PLURAL_EN.get(kind, kind + "s")
        return f"{rng.choice(COUNT_EN[still.count])} {first.colour} {plural}"
    return _noun(rng, first) + _place(rng, first)


def _noun(rng: random.Random, obj: SceneObject) -> str:
    words = [rng.choice(SYNONYMS_EN[obj.kind])]
    if rng.random() > UNSAID:
        words.insert(0, obj.colour)
    if obj.size:
        words.insert(0, rng.choice(SIZE_EN[obj.size]))
    return _a(" ".join(words))


def _place(rng: random.Random, obj: SceneObject) -> str:
    if obj.place == "center":
        return rng.choice((" in the center", " in the middle")) if rng.random() < 0.15 else ""
    corner = " " in obj.place
    return rng.choice(
        (" in the {}", " in the {} corner", " at the {}")
        if corner
        else (" on the {}", " at the {}", " in the {}")
        if obj.place in ("left", "right")
        else (" at the {}", " at the {}", " in the {}")
    ).format(obj.place)


def _scene(rng: random.Random, scene: Scene) -> str:
    sky = rng.choice(SKY_EN[scene.sky, scene.light])
    land = rng.choice(LAND_EN[scene.land])
    if not scene.item:
        return rng.choice(
            (
                f"{sky} over {land}",
                f"{sky} over {land}",
                f"{land} under {sky}",
                f"{land} with {sky}",
                f"{land}, {sky}",
            )
        )
    colour = (
        ""
        if scene.item == "tree" and scene.item_colour == "green" and rng.random() < 0.6
        else scene.item_colour + " "
    )
    obj = _a(colour + scene.item)
    where = {"sea": "on", "mountains": "in front of", "hills": "on"}.get(scene.land, "in")
    return rng.choice(
        (
            f"{obj} {where} {land} under {sky}",
            f"{obj} {where} {land} under {sky}",
            f"{obj} {where} {land}, {sky}",
            f"{obj} {where} {land} with {sky}",
            f"{sky} over {land} with {obj}",
        )
    )

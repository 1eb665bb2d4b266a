"""Captions of an image in Chinese."""

import random

from training.scene_specs import ObjectScene, SceneObject, Spec
from training.scenes import Scene
from training.vocabulary import (
    COLOUR_ZH,
    COUNT_ZH,
    KIND_ZH,
    LAND_ZH,
    MEASURE_ZH,
    PATTERN_ZH,
    PLACE_ZH,
    SIZE_ZH,
    SKY_ZH,
    STYLE_ZH,
    UNSAID,
)


def describe(rng: random.Random, spec: Spec) -> str:
    text = _scene(rng, spec) if isinstance(spec, Scene) else _still(rng, spec)
    return rng.choice(STYLE_ZH[spec.style]).format(text) if spec.style else text


def name_ground(rng: random.Random, still: ObjectScene) -> str:
    a = rng.choice(COLOUR_ZH[still.background])
    if still.pattern == "plain":
        return f"{a}背景"
    b = rng.choice(COLOUR_ZH[still.second])
    if still.pattern == "gradient":
        return rng.choice((f"{a}到{b}渐变背景", f"{a}和{b}渐变背景"))
    return f"{a}和{b}{rng.choice(PATTERN_ZH[still.pattern])}背景"


def _still(rng: random.Random, still: ObjectScene) -> str:
    ground = name_ground(rng, still)
    if not still.objects:
        return ground
    objects = name_objects(rng, still)
    if rng.random() < UNSAID:
        return objects
    return rng.choice(
        (
            f"{ground}上的{objects}",
            f"{ground}上的{objects}",
            f"{objects}，{ground}",
            f"{ground}，{objects}",
            f"{ground}上有{objects}",
        )
    )


def name_objects(rng: random.Random, still: ObjectScene) -> str:
    first = still.objects[0]
    if len(still.objects) == 2:
        a, b = (_noun(rng, obj) for obj in still.objects)
        return rng.choice(
            {
                "and": (f"{a}和{b}", f"{a}与{b}", f"{b}和{a}"),
                "left of": (f"{a}在{b}左边", f"{b}在{a}右边", f"左边是{a}，右边是{b}"),
                "above": (f"{a}在{b}上面", f"{b}在{a}下面", f"上面是{a}，下面是{b}"),
            }[still.relation]
        )
    colour = rng.choice(COLOUR_ZH[first.colour])
    kind = rng.choice(KIND_ZH[first.kind])
    if still.count > 1:
        measure = rng.choice(("个", MEASURE_ZH.get(first.kind, "个")))
        return f"{rng.choice(COUNT_ZH[still.count])}{measure}{colour}{kind}"
    noun = _noun(rng, first)
    if first.place == "center":
        return noun
    place = rng.choice(PLACE_ZH[first.place])
    return rng.choice((f"{place}的{noun}", f"{noun}在{place}"))


def _noun(rng: random.Random, obj: SceneObject) -> str:
    kind = rng.choice(KIND_ZH[obj.kind])
    colour = rng.choice(COLOUR_ZH[obj.colour]) if rng.random() > UNSAID else ""
    size = rng.choice(SIZE_ZH[obj.size]) if obj.size else ""
    one = "一" + MEASURE_ZH.get(obj.kind, "个") if rng.random() < 0.25 else ""
    return f"{one}{size}{colour}{rng.choice(('', '的')) if colour else ''}{kind}"


def _scene(rng: random.Random, scene: Scene) -> str:
    sky = rng.choice(SKY_ZH[scene.sky, scene.light])
    land = rng.choice(LAND_ZH[scene.land])
    if not scene.item:
        return rng.choice((f"{sky}下的{land}", f"{land}，{sky}", f"{land}和{sky}"))
    obj = rng.choice(COLOUR_ZH[scene.item_colour]) + rng.choice(KIND_ZH[scene.item])
    where = {"sea": "上", "mountains": "前", "hills": "上"}.get(scene.land, "里")
    return rng.choice((f"{sky}下，{land}{where}的{obj}", f"{land}{where}的{obj}，{sky}"))

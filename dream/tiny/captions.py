"""What one may say about a picture, in English and in Chinese, in many wordings.

`caption` draws lots: language, wording, order, what is left unsaid, an ornament or two. `plainly`
says everything in the plainest words; it is what `measure` asks with.
"""

import random
from dataclasses import replace

from dream.tiny.pictures import Spec, Still, Thing
from dream.tiny.scenes import Scene
from dream.tiny.words import (
    COLOUR_ZH,
    COUNT_EN,
    COUNT_ZH,
    KIND_ZH,
    LAND_EN,
    LAND_ZH,
    MEASURE_ZH,
    OPENINGS_EN,
    ORNAMENTS_EN,
    ORNAMENTS_ZH,
    PATTERN_ZH,
    PLACE_ZH,
    PLURAL_EN,
    SIZE_EN,
    SIZE_ZH,
    SKY_EN,
    SKY_ZH,
    STYLE_EN,
    STYLE_ZH,
    SYNONYMS_EN,
)

UNSAID = 0.06  # how often a colour or the background goes without saying


def caption(rng: random.Random, spec: Spec) -> str:
    lot = rng.random()
    if lot < 0.60:
        return _ornamented(rng, _english(rng, spec), ORNAMENTS_EN, ", ")
    if lot < 0.94 or not isinstance(spec, Still) or not spec.things:
        return _ornamented(rng, _chinese(rng, spec), ORNAMENTS_ZH, "，")
    return _mixed(rng, spec)


def plainly(spec: Spec, language: str = "en") -> str:
    """The first wording of everything, nothing unsaid, no ornament."""
    first = _First()
    return _english(first, spec) if language == "en" else _chinese(first, spec)


class _First(random.Random):
    """A lot that always falls on the first choice and never leaves anything out."""

    def random(self) -> float:
        return 0.999

    def choice(self, seq):  # type: ignore[no-untyped-def]
        return seq[0]


def _ornamented(rng: random.Random, text: str, ornaments: tuple[str, ...], comma: str) -> str:
    lot = rng.random()
    if lot < 0.12:
        return comma.join([text, *rng.sample(ornaments, rng.choice((1, 1, 2)))])
    if lot < 0.15:
        return rng.choice(ornaments) + comma + text
    return text


def _mixed(rng: random.Random, still: Still) -> str:
    """Half in one language, half in the other: 'a red circle, 蓝色背景'."""
    bare = replace(still, style="")
    if rng.random() < 0.5:
        return f"{_objects_en(rng, bare)}, {_ground_zh(rng, bare)}"
    return f"{_objects_zh(rng, bare)}, {_ground_en(rng, bare)}"


# ------------------------------------------------------------------------------------ English


def _english(rng: random.Random, spec: Spec) -> str:
    text = _scene_en(rng, spec) if isinstance(spec, Scene) else _still_en(rng, spec)
    if spec.style:
        return rng.choice(STYLE_EN[spec.style]).format(text)
    return rng.choice(OPENINGS_EN) + text if rng.random() < 0.25 else text


def _a(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def _ground_en(rng: random.Random, still: Still) -> str:
    return rng.choice(("{} background", "plain {} background") if still.pattern == "plain"
                      else ("{} background",)).format(_ground_words_en(rng, still))


def _ground_words_en(rng: random.Random, still: Still) -> str:
    a, b = still.background, still.second
    if still.pattern == "plain":
        return a
    if still.pattern == "gradient":
        return rng.choice((f"{a} to {b} gradient", f"{a} and {b} gradient"))
    return rng.choice((f"{a} and {b} {still.pattern}", f"{a} {b} {still.pattern}"))


def _still_en(rng: random.Random, still: Still) -> str:
    ground = _ground_words_en(rng, still)
    if not still.things:
        return rng.choice((_a(f"{ground} background"), f"{ground} background", ground))
    objects = _objects_en(rng, still)
    if rng.random() < UNSAID:
        return objects
    return rng.choice((
        f"{objects} on {_a(ground)} background",
        f"{objects} on {_a(ground)} background",
        f"{objects} on {_a(ground)} background",
        f"{objects} on {ground}",
        f"{objects}, {ground} background",
        f"{objects} against {_a(ground)} background",
        f"{ground} background, {objects}",
        f"on {_a(ground)} background, {objects}",
    ))


def _objects_en(rng: random.Random, still: Still) -> str:
    first = still.things[0]
    if len(still.things) == 2:
        a, b = (_noun_en(rng, thing) for thing in still.things)
        return rng.choice({
            "and": (f"{a} and {b}", f"{a} and {b}", f"{a} next to {b}", f"{b} and {a}"),
            "left of": (f"{a} to the left of {b}", f"{a} left of {b}",
                        f"{b} to the right of {a}", f"{a} on the left and {b} on the right"),
            "above": (f"{a} above {b}", f"{b} below {a}", f"{a} over {b}",
                      f"{a} at the top and {b} at the bottom"),
        }[still.relation])
    if still.count > 1:
        kind = rng.choice(SYNONYMS_EN[first.kind])
        plural = PLURAL_EN.get(kind, kind + "s")
        return f"{rng.choice(COUNT_EN[still.count])} {first.colour} {plural}"
    return _noun_en(rng, first) + _place_en(rng, first)


def _noun_en(rng: random.Random, thing: Thing) -> str:
    words = [rng.choice(SYNONYMS_EN[thing.kind])]
    if rng.random() > UNSAID:
        words.insert(0, thing.colour)
    if thing.size:
        words.insert(0, rng.choice(SIZE_EN[thing.size]))
    return _a(" ".join(words))


def _place_en(rng: random.Random, thing: Thing) -> str:
    if thing.place == "center":
        return rng.choice((" in the center", " in the middle")) if rng.random() < 0.15 else ""
    corner = " " in thing.place
    return rng.choice(
        (" in the {}", " in the {} corner", " at the {}") if corner
        else (" on the {}", " at the {}", " in the {}") if thing.place in ("left", "right")
        else (" at the {}", " at the {}", " in the {}")
    ).format(thing.place)


def _scene_en(rng: random.Random, scene: Scene) -> str:
    sky = rng.choice(SKY_EN[scene.sky, scene.light])
    land = rng.choice(LAND_EN[scene.land])
    if not scene.item:
        return rng.choice((f"{sky} over {land}", f"{sky} over {land}", f"{land} under {sky}",
                           f"{land} with {sky}", f"{land}, {sky}"))
    colour = "" if scene.item == "tree" and scene.item_colour == "green" and rng.random() < 0.6 \
        else scene.item_colour + " "
    thing = _a(colour + scene.item)
    where = {"sea": "on", "mountains": "in front of", "hills": "on"}.get(scene.land, "in")
    return rng.choice((f"{thing} {where} {land} under {sky}", f"{thing} {where} {land} under {sky}",
                       f"{thing} {where} {land}, {sky}", f"{thing} {where} {land} with {sky}",
                       f"{sky} over {land} with {thing}"))


# ------------------------------------------------------------------------------------ Chinese


def _chinese(rng: random.Random, spec: Spec) -> str:
    text = _scene_zh(rng, spec) if isinstance(spec, Scene) else _still_zh(rng, spec)
    return rng.choice(STYLE_ZH[spec.style]).format(text) if spec.style else text


def _ground_zh(rng: random.Random, still: Still) -> str:
    a = rng.choice(COLOUR_ZH[still.background])
    if still.pattern == "plain":
        return f"{a}背景"
    b = rng.choice(COLOUR_ZH[still.second])
    if still.pattern == "gradient":
        return rng.choice((f"{a}到{b}渐变背景", f"{a}和{b}渐变背景"))
    return f"{a}和{b}{rng.choice(PATTERN_ZH[still.pattern])}背景"


def _still_zh(rng: random.Random, still: Still) -> str:
    ground = _ground_zh(rng, still)
    if not still.things:
        return ground
    objects = _objects_zh(rng, still)
    if rng.random() < UNSAID:
        return objects
    return rng.choice((f"{ground}上的{objects}", f"{ground}上的{objects}", f"{objects}，{ground}",
                       f"{ground}，{objects}", f"{ground}上有{objects}"))


def _objects_zh(rng: random.Random, still: Still) -> str:
    first = still.things[0]
    if len(still.things) == 2:
        a, b = (_noun_zh(rng, thing) for thing in still.things)
        return rng.choice({
            "and": (f"{a}和{b}", f"{a}与{b}", f"{b}和{a}"),
            "left of": (f"{a}在{b}左边", f"{b}在{a}右边", f"左边是{a}，右边是{b}"),
            "above": (f"{a}在{b}上面", f"{b}在{a}下面", f"上面是{a}，下面是{b}"),
        }[still.relation])
    colour = rng.choice(COLOUR_ZH[first.colour])
    kind = rng.choice(KIND_ZH[first.kind])
    if still.count > 1:
        measure = rng.choice(("个", MEASURE_ZH.get(first.kind, "个")))
        return f"{rng.choice(COUNT_ZH[still.count])}{measure}{colour}{kind}"
    noun = _noun_zh(rng, first)
    if first.place == "center":
        return noun
    place = rng.choice(PLACE_ZH[first.place])
    return rng.choice((f"{place}的{noun}", f"{noun}在{place}"))


def _noun_zh(rng: random.Random, thing: Thing) -> str:
    kind = rng.choice(KIND_ZH[thing.kind])
    colour = rng.choice(COLOUR_ZH[thing.colour]) if rng.random() > UNSAID else ""
    size = rng.choice(SIZE_ZH[thing.size]) if thing.size else ""
    one = "一" + MEASURE_ZH.get(thing.kind, "个") if rng.random() < 0.25 else ""
    return f"{one}{size}{colour}{rng.choice(('', '的')) if colour else ''}{kind}"


def _scene_zh(rng: random.Random, scene: Scene) -> str:
    sky = rng.choice(SKY_ZH[scene.sky, scene.light])
    land = rng.choice(LAND_ZH[scene.land])
    if not scene.item:
        return rng.choice((f"{sky}下的{land}", f"{land}，{sky}", f"{land}和{sky}"))
    thing = rng.choice(COLOUR_ZH[scene.item_colour]) + rng.choice(KIND_ZH[scene.item])
    where = {"sea": "上", "mountains": "前", "hills": "上"}.get(scene.land, "里")
    return rng.choice((f"{sky}下，{land}{where}的{thing}", f"{land}{where}的{thing}，{sky}"))

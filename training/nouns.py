"""The second set of objects: how each is drawn, and what it is called in English and Chinese."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training import animals, things
from training.objects import OBJECTS
from training.palette import RGB
from training.pen import Pen
from training.vocabulary import KIND_ZH, MEASURE_ZH, PLURAL_EN, SYNONYMS_EN

Draw = Callable[[Pen, RGB, float], None]


@dataclass(frozen=True)
class Noun:
    """One kind of object. The first name in each language is the plainest."""

    kind: str
    draw: Draw
    english: tuple[str, ...]
    chinese: tuple[str, ...]
    measure: str = "个"
    """The measure word between a number and the noun in Chinese."""
    usual: tuple[str, ...] = ()
    """Colours that a caption may leave out, because anyone expects them."""


NEW_NOUNS = (
    Noun("dog", animals.dog, ("dog", "puppy"), ("狗", "小狗"), "只", ("brown",)),
    Noun("bird", animals.bird, ("bird", "little bird"), ("鸟", "小鸟"), "只"),
    Noun("duck", animals.duck, ("duck", "duckling"), ("鸭子", "小鸭"), "只", ("yellow",)),
    Noun("rabbit", animals.rabbit, ("rabbit", "bunny"), ("兔子", "小兔"), "只", ("white",)),
    Noun("bear", animals.bear, ("bear", "teddy bear"), ("熊", "小熊"), "只", ("brown",)),
    Noun("butterfly", animals.butterfly, ("butterfly",), ("蝴蝶",), "只"),
    Noun("turtle", animals.turtle, ("turtle", "tortoise"), ("乌龟", "海龟"), "只", ("green",)),
    Noun("snail", animals.snail, ("snail",), ("蜗牛",), "只"),
    Noun("person", animals.person, ("person", "man", "boy", "figure"), ("人", "小人", "男孩")),
    Noun("face", animals.face, ("face", "portrait", "girl", "woman"), ("人脸", "女孩", "肖像")),
    Noun("ghost", animals.ghost, ("ghost",), ("幽灵", "鬼"), "个", ("white",)),
    Noun("robot", animals.robot, ("robot", "android"), ("机器人",), "个", ("gray",)),
    Noun("snowman", animals.snowman, ("snowman",), ("雪人",), "个"),
    Noun("car", things.car, ("car", "automobile"), ("汽车", "小汽车", "车"), "辆"),
    Noun("bus", things.bus, ("bus", "coach"), ("公共汽车", "巴士"), "辆"),
    Noun("train", things.train, ("train", "steam train", "locomotive"), ("火车",), "列"),
    Noun("plane", things.plane, ("plane", "airplane", "aeroplane"), ("飞机",), "架"),
    Noun("rocket", things.rocket, ("rocket", "spaceship"), ("火箭", "飞船"), "枚"),
    Noun("apple", things.apple, ("apple",), ("苹果",), "个", ("red",)),
    Noun("cup", things.cup, ("cup", "mug", "cup of coffee", "cup of tea"), ("杯子", "茶杯")),
    Noun("book", things.book, ("book", "open book"), ("书", "书本"), "本"),
    Noun("cake", things.cake, ("cake", "birthday cake"), ("蛋糕", "生日蛋糕"), "块"),
    Noun("ice cream", things.ice_cream, ("ice cream", "ice cream cone"), ("冰淇淋",), "个"),
    Noun("key", things.key, ("key",), ("钥匙",), "把", ("yellow",)),
    Noun("lamp", things.lamp, ("lamp", "table lamp"), ("台灯", "灯"), "盏"),
    Noun("hat", things.hat, ("hat", "top hat"), ("帽子",), "顶", ("black",)),
    Noun("umbrella", things.umbrella, ("umbrella", "parasol"), ("雨伞", "伞"), "把"),
    Noun("crown", things.crown, ("crown",), ("王冠", "皇冠"), "顶", ("yellow",)),
    Noun("sun", things.sun, ("sun",), ("太阳",), "个", ("yellow", "orange")),
    Noun("cloud", things.cloud, ("cloud",), ("云", "云朵"), "朵", ("white",)),
    Noun("mountain", things.mountain, ("mountain", "mountain peak"), ("山", "高山"), "座"),
    Noun("leaf", things.leaf, ("leaf",), ("叶子", "树叶"), "片", ("green",)),
    Noun("castle", things.castle, ("castle", "fortress"), ("城堡",), "座", ("gray",)),
)
"""Drawn in addition to `objects.OBJECTS`, which the shipped model knows."""

_PLURALS = {
    **PLURAL_EN,
    "leaf": "leaves",
    "butterfly": "butterflies",
    "bus": "buses",
    "coach": "coaches",
    "puppy": "puppies",
    "bunny": "bunnies",
    "person": "people",
    "man": "men",
    "woman": "women",
    "snowman": "snowmen",
    "fortress": "fortresses",
    "cup of coffee": "cups of coffee",
    "cup of tea": "cups of tea",
    "box": "boxes",
    "cross": "crosses",
}
_USUAL = {"tree": ("green",), "moon": ("yellow", "white"), "heart": ("red",)}

NOUNS: dict[str, Noun] = {
    **{
        kind: Noun(
            kind,
            draw,
            tuple(dict.fromkeys(SYNONYMS_EN[kind])),
            KIND_ZH[kind],
            MEASURE_ZH.get(kind, "个"),
            _USUAL.get(kind, ()),
        )
        for kind, draw in OBJECTS.items()
    },
    **{noun.kind: noun for noun in NEW_NOUNS},
}
"""All objects by kind."""


def pluralize(english: str) -> str:
    """The plural of an English name of this table."""
    return _PLURALS.get(english, english + "s")
